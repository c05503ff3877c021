package pgwire

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"arbalest"
)

// A failure is an error with the SQLSTATE that clients are told.
type failure struct {
	code    string
	message string
	fatal   bool // the session ends
}

func (f *failure) Error() string { return f.message }

func fail(code, format string, args ...any) error {
	return &failure{code: code, message: fmt.Sprintf(format, args...)}
}

func fatal(code, format string, args ...any) error {
	return &failure{code: code, message: fmt.Sprintf(format, args...), fatal: true}
}

// Why a statement was stopped.
func errCancelled() error { return fail("57014", "canceling statement due to user request") }
func errTimeout() error {
	return fail("57014", "canceling statement due to statement timeout")
}
func errStopping() error {
	return fatal("57P01", "terminating connection: arbalest is being stopped")
}

// because returns why a context ended, if that is what err is.
func because(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return context.Cause(ctx)
	}
	return err
}

// responseOf returns what a client is told of an error.
func responseOf(err error) *pgproto3.ErrorResponse {
	r := &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Message: strings.TrimPrefix(err.Error(), "invalid: ")}
	var f *failure
	if errors.As(err, &f) {
		r.Code, r.Message = f.code, f.message
		if f.fatal {
			r.Severity, r.SeverityUnlocalized = "FATAL", "FATAL"
		}
		return r
	}
	r.Code = stateOf(err)
	return r
}

// stateOf returns an error's SQLSTATE: that of arbalest.Outcomes, or what DuckDB
// says more exactly.
func stateOf(err error) string {
	state := arbalest.OutcomeOf(err).SQLState
	if !errors.Is(err, arbalest.ErrInvalid) {
		return state
	}
	message := err.Error()
	has := func(parts ...string) bool {
		for _, p := range parts {
			if !strings.Contains(message, p) {
				return false
			}
		}
		return true
	}
	switch {
	case has("Parser Error"):
		return "42601"
	case has("does not only read"):
		return "25006"
	case has("Binder Error", "olumn"):
		return "42703"
	case has("Binder Error", "No function matches"), has("Catalog Error", "Function with name"):
		return "42883"
	case has("Catalog Error", "Schema with name"):
		return "3F000"
	case has("Catalog Error"):
		return "42704"
	case has("Binder Error"):
		return "42000"
	case has("Conversion Error"), has("Invalid Input Error"):
		return "22P02"
	case has("Out of Range Error"):
		return "22003"
	case has("Permission Error"):
		return "42501"
	}
	return state
}
