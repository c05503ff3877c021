package redshifttest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// A session is one client's connection.
type session struct {
	server      *Server
	client      *pgproto3.Backend
	up          *upstream
	side        *upstream // for system tables, which no snapshot holds; nil until it is asked
	pid         uint32
	transaction int // number of the open block; 0 outside
	copyID      int64
	copyCount   int64
	fields      []fieldMap // of the rows that are being sent
	skipping    bool       // up to Sync, after an error in the extended protocol
	asked       string     // what Parse had
}

// parameters are those that a startup message may have: what Amazon's JDBC
// driver sends. Old servers refuse others.
var parameters = []string{"user", "database", "client_encoding", "datestyle", "timezone", "extra_float_digits", "application_name",
	"driver_version", "os_version", "client_protocol_version"}

func (s *Server) serve(conn net.Conn) {
	s.mu.Lock()
	s.lastPID++
	ses := &session{server: s, client: pgproto3.NewBackend(conn, conn), pid: 1073741824 + s.lastPID, copyID: -1}
	s.conns[conn] = true
	s.mu.Unlock()
	defer func() {
		_ = conn.Close()
		for _, u := range []*upstream{ses.up, ses.side} {
			if u != nil {
				u.close()
			}
		}
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}()
	if err := ses.start(conn); err != nil {
		return
	}
	for {
		m, err := ses.client.Receive()
		if err != nil {
			return // the client went away
		}
		if _, ok := m.(*pgproto3.Terminate); ok {
			return
		}
		if err := ses.handle(m); err != nil {
			return
		}
	}
}

// start does the startup and the login.
func (s *session) start(conn net.Conn) error {
	var startup *pgproto3.StartupMessage
	for startup == nil {
		m, err := s.client.ReceiveStartupMessage()
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *pgproto3.SSLRequest, *pgproto3.GSSEncRequest:
			if _, err := conn.Write([]byte{'N'}); err != nil {
				return err
			}
		case *pgproto3.StartupMessage:
			startup = m
		default:
			return fmt.Errorf("startup message %T", m)
		}
	}
	settings := map[string]string{}
	for name, value := range startup.Parameters {
		switch known := fold(name); {
		case !contains(parameters, known):
			return s.refuse("FATAL", &refusal{"42704", fmt.Sprintf(`unrecognized configuration parameter "%s"`, name), ""})
		case known == "extra_float_digits" || known == "datestyle":
			settings[known] = value
		}
	}
	s.client.Send(&pgproto3.AuthenticationCleartextPassword{})
	if err := s.flush(); err != nil {
		return err
	}
	if err := s.client.SetAuthType(pgproto3.AuthTypeCleartextPassword); err != nil {
		return err
	}
	m, err := s.client.Receive()
	if err != nil {
		return err
	}
	p, ok := m.(*pgproto3.PasswordMessage)
	if !ok || p.Password != Password || startup.Parameters["user"] != User {
		return s.refuse("FATAL", &refusal{"28000", fmt.Sprintf(`password authentication failed for user "%s"`, startup.Parameters["user"]), ""})
	}
	if startup.Parameters["database"] != Database {
		return s.refuse("FATAL", &refusal{"3D000", fmt.Sprintf(`database "%s" does not exist`, startup.Parameters["database"]), ""})
	}
	if s.up, err = s.server.dial(settings); err != nil {
		return err
	}
	s.client.Send(&pgproto3.AuthenticationOk{})
	// As Redshift: no standard_conforming_strings.
	for _, p := range [][2]string{{"server_version", "8.0.2"}, {"server_encoding", "UNICODE"}, {"client_encoding", "UTF8"},
		{"DateStyle", "ISO, MDY"}, {"TimeZone", "UTC"}, {"integer_datetimes", "on"}, {"is_superuser", "off"}, {"session_authorization", User}} {
		s.client.Send(&pgproto3.ParameterStatus{Name: p[0], Value: p[1]})
	}
	secret := make([]byte, 4)
	_, _ = rand.Read(secret) // never fails
	s.client.Send(&pgproto3.BackendKeyData{ProcessID: s.pid, SecretKey: secret})
	return s.ready()
}

func contains(list []string, v string) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}

func (s *session) flush() error { return s.client.Flush() }

// ready tells the client that the next statement may come.
func (s *session) ready() error {
	s.client.Send(&pgproto3.ReadyForQuery{TxStatus: s.up.status})
	if s.up.status == 'I' {
		s.transaction = 0
	}
	return s.flush()
}

// refuse sends an error.
func (s *session) refuse(severity string, err error) error {
	r := &refusal{"XX000", "emulator: " + err.Error(), ""}
	errors.As(err, &r)
	s.client.Send(&pgproto3.ErrorResponse{Severity: severity, SeverityUnlocalized: severity, Code: r.code, Message: r.message, Detail: r.detail})
	if ferr := s.flush(); ferr != nil {
		return ferr
	}
	if severity == "FATAL" {
		return err
	}
	return nil
}

// handle does what one message says. An error ends the session.
func (s *session) handle(m pgproto3.FrontendMessage) error {
	switch m := m.(type) {
	case *pgproto3.Query:
		if err := s.simple(m.String); err != nil {
			return err
		}
		return s.ready()
	case *pgproto3.Sync:
		s.up.wire.Send(m)
		if err := s.up.wire.Flush(); err != nil {
			return err
		}
		if err := s.up.until(s.forward); err != nil {
			return err
		}
		s.skipping = false
		return s.ready()
	}
	if s.skipping {
		return nil
	}
	switch m := m.(type) {
	case *pgproto3.Parse:
		return s.parse(m)
	case *pgproto3.Bind:
		s.bind(m)
	case *pgproto3.Describe, *pgproto3.Execute, *pgproto3.Close:
		s.up.wire.Send(m)
	case *pgproto3.Flush:
		// Answers come with Sync, which our clients always send.
	default:
		return s.refuse("FATAL", fmt.Errorf("message %T is not emulated", m))
	}
	return nil
}

// parse passes on a statement of the extended protocol.
func (s *session) parse(m *pgproto3.Parse) error {
	sql, err := s.prepareOne(m.Query)
	s.asked = m.Query
	if err != nil {
		s.server.record(m.Query)
		s.skipping = true
		if err := s.up.abort(); err != nil {
			return err
		}
		return s.refuse("ERROR", err)
	}
	s.up.wire.Send(&pgproto3.Parse{Name: m.Name, Query: sql, ParameterOIDs: m.ParameterOIDs})
	return nil
}

func (s *session) prepareOne(query string) (sql string, err error) {
	statements, err := tokenize(query)
	if err != nil {
		return "", syntaxError(err.Error())
	}
	if len(statements) != 1 {
		return "", &refusal{"42601", "cannot insert multiple commands into a prepared statement", ""}
	}
	st := statement(significant(statements[0]))
	if err := st.bindable(); err != nil {
		return "", err
	}
	if st.is(0, "copy") {
		return "", unsupported("emulator: COPY over the extended protocol")
	}
	if err := s.fault(st); err != nil {
		return "", err
	}
	return s.rewrite(statements[0], s.up.status != 'I')
}

// fault returns the error that is to happen at a statement.
func (s *session) fault(st statement) error {
	if s.transaction == 0 {
		return nil
	}
	return s.server.fault(s.transaction, st.word(0))
}

// bind passes on arguments. Long names among them are PostgreSQL's.
func (s *session) bind(m *pgproto3.Bind) {
	var b strings.Builder
	b.WriteString(s.asked)
	for i, p := range m.Parameters {
		if p == nil {
			fmt.Fprintf(&b, "\n-- $%d NULL", i+1)
			continue
		}
		fmt.Fprintf(&b, "\n-- $%d %.200q", i+1, p)
		if known := s.server.names.known(string(p)); known != string(p) {
			m.Parameters[i] = []byte(known)
		}
	}
	s.server.record(b.String())
	s.up.wire.Send(m)
}

// onSide returns the connection that is in no transaction.
func (s *session) onSide() (*upstream, error) {
	if s.side == nil {
		side, err := s.server.dial(nil)
		if err != nil {
			return nil, err
		}
		s.side = side
	}
	return s.side, nil
}
