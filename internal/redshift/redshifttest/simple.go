package redshifttest

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgproto3"
)

// simple runs the statements of a simple query, several of them as one
// transaction. An error ends the session; one that the client is told of does
// not.
func (s *session) simple(sql string) error {
	statements, err := tokenize(sql)
	if err == nil && len(statements) == 0 {
		// Nothing is asked: a connection is tried.
		s.client.Send(&pgproto3.EmptyQueryResponse{})
		return nil
	}
	s.server.record(sql)
	if err != nil {
		return s.fail(syntaxError(err.Error()))
	}
	implicit := len(statements) > 1 && s.up.status == 'I'
	if implicit {
		for _, tokens := range statements {
			switch statement(significant(tokens)).word(0) {
			case "begin", "start", "commit", "end", "rollback", "abort", "vacuum":
				implicit = false
			}
		}
	}
	if implicit {
		if err := s.up.run("BEGIN"); err != nil {
			return err
		}
	}
	ok := true
	for _, tokens := range statements {
		if ok, err = s.one(tokens); err != nil || !ok {
			break
		}
	}
	if implicit && err == nil {
		if !ok {
			return s.up.run("ROLLBACK")
		}
		return s.up.run("COMMIT")
	}
	return err
}

// fail tells the client of an error, and aborts the transaction with it.
func (s *session) fail(err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		return s.refuse("FATAL", err)
	}
	if err := s.up.abort(); err != nil {
		return err
	}
	return s.refuse("ERROR", err)
}

// one runs a statement. ok says that it succeeded.
func (s *session) one(tokens []token) (ok bool, err error) {
	st := statement(significant(tokens))
	if s.up.status == 'E' && !st.is(0, "rollback") && !st.is(0, "abort") && !st.is(0, "commit") && !st.is(0, "end") {
		return false, s.fail(&refusal{"25P02", "current transaction is aborted, commands ignored until end of transaction block", ""})
	}
	if fault := s.fault(st); fault != nil {
		return false, s.fail(fault)
	}
	switch {
	case st.is(0, "copy"):
		return s.copy(st)
	case st.is(0, "truncate") && s.up.status == 'T':
		// It commits what came before it (Developer Guide, "TRUNCATE").
		if err := s.up.run("COMMIT"); err != nil {
			return false, err
		}
	}
	up := s.up
	if view := st.systemView(); view != "" {
		if err := s.server.denies(view); err != nil {
			return false, s.fail(err)
		}
		if up, err = s.onSide(); err != nil {
			return false, err
		}
	}
	sql, err := s.rewrite(tokens, s.up.status != 'I')
	if err != nil {
		return false, s.fail(err)
	}
	ok = true
	err = up.query(sql, func(m pgproto3.BackendMessage) error {
		if _, failed := m.(*pgproto3.ErrorResponse); failed {
			ok = false
		}
		return s.forward(m)
	})
	if !ok && up != s.up && err == nil {
		err = s.up.abort()
	}
	if st.is(0, "begin") || st.is(0, "start") {
		s.server.mu.Lock()
		s.server.transactions++
		s.transaction = s.server.transactions
		s.server.mu.Unlock()
	}
	return ok, err
}

// systemView returns the system table that a statement asks, if any.
func (s statement) systemView() string {
	for i := range s {
		if w := s.word(i); w == "sys_load_error_detail" || w == "stl_load_errors" {
			return w
		}
	}
	return ""
}

// denies says how a system view is for the user.
func (s *Server) denies(view string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case view != "sys_load_error_detail" || s.views == Present:
		return nil
	case s.views == Denied:
		return &refusal{"42501", fmt.Sprintf("permission denied for relation %s", view), ""}
	}
	return &refusal{"42P01", fmt.Sprintf(`relation "%s" does not exist`, view), ""}
}

// A fieldMap says what is done to a column of a result.
type fieldMap struct {
	typeName bool // it has names of types
}

// The types of PostgreSQL that SUPER is made of, and SUPER's own.
const (
	oidJSON  = 114
	oidJSONB = 3802
	oidSuper = 4000
)

// forward passes an answer on to the client, in Redshift's terms.
func (s *session) forward(m pgproto3.BackendMessage) error {
	switch m := m.(type) {
	case *pgproto3.ParameterStatus:
		return nil
	case *pgproto3.RowDescription:
		s.fields = s.fields[:0]
		for i := range m.Fields {
			f := &m.Fields[i]
			name := string(f.Name)
			s.fields = append(s.fields, fieldMap{name == "data_type" || name == "udt_name" || name == "format_type"})
			f.Name = []byte(s.server.names.original(name))
			if f.DataTypeOID == oidJSON || f.DataTypeOID == oidJSONB {
				f.DataTypeOID = oidSuper
			}
		}
	case *pgproto3.DataRow:
		for i, v := range m.Values {
			switch {
			case i < len(s.fields) && s.fields[i].typeName && string(v) == "json":
				m.Values[i] = []byte("super")
			case len(v) > shortenedTo && len(v) <= maxPostgres:
				m.Values[i] = []byte(s.server.names.original(string(v)))
			}
		}
	case *pgproto3.ErrorResponse:
		r := refused(m).(*refusal)
		s.client.Send(&pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: r.code, Message: r.message, Detail: r.detail, Where: m.Where})
		return nil
	}
	s.client.Send(m)
	return nil
}
