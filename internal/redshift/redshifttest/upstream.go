package redshifttest

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// An upstream is a connection to PostgreSQL, spoken to message by message.
type upstream struct {
	conn   net.Conn
	wire   *pgproto3.Frontend
	status byte // of the transaction: I, T or E
}

// dial connects to PostgreSQL. Transactions are of the isolation that Redshift's
// SNAPSHOT is nearest to: the snapshot is that of the first statement that
// touches a table, and LOCK is none.
func (s *Server) dial(settings map[string]string) (*upstream, error) {
	config, err := pgconn.ParseConfig(s.dsn)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams = map[string]string{"default_transaction_isolation": "repeatable read", "TimeZone": "UTC", "client_encoding": "UTF8", "extra_float_digits": "0"}
	for name, value := range settings {
		config.RuntimeParams[name] = value
	}
	conn, err := pgconn.ConnectConfig(context.Background(), config)
	if err != nil {
		return nil, err
	}
	hijacked, err := conn.Hijack()
	if err != nil {
		return nil, err
	}
	return &upstream{hijacked.Conn, hijacked.Frontend, 'I'}, nil
}

func (u *upstream) close() {
	u.wire.Send(&pgproto3.Terminate{})
	_, _ = u.wire.Flush(), u.conn.Close()
}

// until receives messages up to ReadyForQuery, and calls each for all but that
// one.
func (u *upstream) until(each func(pgproto3.BackendMessage) error) error {
	var failed error
	for {
		m, err := u.wire.Receive()
		if err != nil {
			return err
		}
		if ready, ok := m.(*pgproto3.ReadyForQuery); ok {
			u.status = ready.TxStatus
			return failed
		}
		if err := each(m); err != nil && failed == nil {
			failed = err
		}
	}
}

// query runs a simple query.
func (u *upstream) query(sql string, each func(pgproto3.BackendMessage) error) error {
	u.wire.Send(&pgproto3.Query{String: sql})
	if err := u.wire.Flush(); err != nil {
		return err
	}
	return u.until(each)
}

// run runs a statement whose result nobody wants.
func (u *upstream) run(sql string) error {
	_, err := u.rows(sql)
	return err
}

// rows runs a statement and returns its rows; NULL is "".
func (u *upstream) rows(sql string) (rows [][]string, err error) {
	err = u.query(sql, func(m pgproto3.BackendMessage) error {
		switch m := m.(type) {
		case *pgproto3.DataRow:
			row := make([]string, len(m.Values))
			for i, v := range m.Values {
				row[i] = string(v)
			}
			rows = append(rows, row)
		case *pgproto3.ErrorResponse:
			return refused(m)
		}
		return nil
	})
	return rows, err
}

// refused makes a refusal of what PostgreSQL answered, with a conflict as
// Redshift tells of it.
func refused(m *pgproto3.ErrorResponse) error {
	if m.Code == "40001" {
		return violation()
	}
	return &refusal{m.Code, m.Message, m.Detail}
}

// copyIn feeds rows in PostgreSQL's text format.
func (u *upstream) copyIn(sql string, rows []byte) error {
	u.wire.Send(&pgproto3.Query{String: sql})
	if err := u.wire.Flush(); err != nil {
		return err
	}
	return u.until(func(m pgproto3.BackendMessage) error {
		switch m := m.(type) {
		case *pgproto3.CopyInResponse:
			const chunk = 1 << 20
			for len(rows) > 0 {
				n := min(len(rows), chunk)
				u.wire.Send(&pgproto3.CopyData{Data: rows[:n]})
				rows = rows[n:]
			}
			u.wire.Send(&pgproto3.CopyDone{})
			return u.wire.Flush()
		case *pgproto3.ErrorResponse:
			return refused(m)
		}
		return nil
	})
}

// abort puts an open transaction into the state that an error does.
func (u *upstream) abort() error {
	if u.status != 'T' {
		return nil
	}
	err := u.run("SELECT 1/0")
	var r *refusal
	if errors.As(err, &r) {
		return nil
	}
	return fmt.Errorf("abort: %w", err)
}
