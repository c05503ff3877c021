package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"arbalest"
)

// A lostError says that the connection was lost, or could not be made.
type lostError struct{ error }

// Unwrap returns the error that it was lost by.
func (e *lostError) Unwrap() error { return e.error }

// A serverError is an error of the server, as one of the sentinels, with what
// to do about it. It never shows the password: the server does not know it.
type serverError struct {
	kind   error
	server *pgconn.PgError
	advice string
}

func (e *serverError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v: PostgreSQL: %s", e.kind, e.server.Message)
	for _, more := range []string{e.server.Detail, e.server.Hint, e.server.Where} {
		if more != "" {
			b.WriteString("; " + strings.TrimSuffix(strings.Join(strings.Fields(more), " "), "."))
		}
	}
	fmt.Fprintf(&b, " (SQLSTATE %s)", e.server.Code)
	if e.advice != "" {
		b.WriteString(": " + e.advice)
	}
	return b.String()
}

// Unwrap returns the sentinel and the server's own error.
func (e *serverError) Unwrap() []error { return []error{e.kind, e.server} }

// wrap makes an error one of warehouse.Database's.
func (d *Database) wrap(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, sentinel := range []error{arbalest.ErrInvalid, arbalest.ErrUnknown, arbalest.ErrExists, arbalest.ErrBusy, arbalest.ErrUnavailable} {
		if errors.Is(err, sentinel) {
			return err
		}
	}
	var server *pgconn.PgError
	if errors.As(err, &server) {
		advice, kind := outcome(server.Code)
		return &serverError{kind, server, advice}
	}
	text := err.Error()
	if d.password != "" {
		text = strings.ReplaceAll(text, d.password, "xxxxx")
	}
	return fmt.Errorf("%w: PostgreSQL: %s: see that the server runs and can be reached", arbalest.ErrUnavailable, text)
}

// outcome says which sentinel a SQLSTATE is, and what to do (PostgreSQL,
// appendix "PostgreSQL Error Codes").
func outcome(code string) (advice string, kind error) {
	switch code {
	case "42P01", "42703", "3F000":
		return "", arbalest.ErrUnknown
	case "3D000":
		return "make the database (createdb), or name another", arbalest.ErrUnknown
	case "42P07", "42701", "42710", "42P06":
		return "", arbalest.ErrExists
	case "42501":
		return "let the database's owner GRANT CREATE ON DATABASE and ON SCHEMA public to arbalest's user, or make it the owner", arbalest.ErrInvalid
	case "08P01": // such as fewer arguments than the statement has
		return "", arbalest.ErrInvalid
	case "25006":
		return "only statements that read can be run here", arbalest.ErrInvalid
	case "40001", "40P01", "55P03", "55006":
		return "other transactions were in the way: try again", arbalest.ErrBusy
	case "53200":
		return "give the server more memory, or load smaller batches", arbalest.ErrBusy
	case "53100":
		return "the server's disk is full: make room", arbalest.ErrUnavailable
	case "53300":
		return "raise the server's max_connections, or allow arbalest fewer", arbalest.ErrUnavailable
	case "57014":
		return "the server stopped the statement: raise statement_timeout for arbalest's user", arbalest.ErrUnavailable
	}
	switch code[:min(2, len(code))] {
	case "28":
		return "see that user, password and pg_hba.conf are right", arbalest.ErrInvalid
	case "0A", "21", "22", "23", "26", "2B", "34", "42", "44", "54", "P0":
		return "", arbalest.ErrInvalid
	}
	return "", arbalest.ErrUnavailable
}

// isWorthRetry says whether a transaction may succeed when all of it is tried
// again.
func isWorthRetry(err error) bool {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		switch server.Code {
		case "40001", "40P01", "53300":
			return true
		case "08P01":
			return false
		}
		return strings.HasPrefix(server.Code, "08") || strings.HasPrefix(server.Code, "57P0")
	}
	var lost *lostError
	return errors.As(err, &lost)
}
