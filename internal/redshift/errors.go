package redshift

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"arbalest"
)

// A failure is an error of the database. Its text has no secrets, and what has
// them is not wrapped.
type failure struct {
	kinds []error // sentinels
	text  string
	code  string // SQLSTATE; empty if the server did not answer
	// conflict says that the transaction may succeed when it is done again.
	conflict bool
	// lost says that the connection is gone.
	lost bool
	// rows says that rows were wrong, and a system table tells which.
	rows bool
}

func (f *failure) Error() string   { return f.text }
func (f *failure) Unwrap() []error { return f.kinds }

// isolation is the text of errors 1023 and 1018 (Developer Guide, "Serializable
// isolation"): "ERROR: 1023 DETAIL: Serializable isolation violation on table in
// Redshift", "ERROR: 1018 DETAIL: Relation does not exist".
var isolation = regexp.MustCompile(`(?s)Serializable isolation violation|\b1018\b.*Relation does not exist|^\s*10(23|18)\b`)

// loadErrors is what COPY says of rows that are wrong.
var loadErrors = regexp.MustCompile(`(?i)check '(stl_load_errors|sys_load_error_detail)' system table`)

// passing are what S3 and the cluster say while they are overloaded.
var passing = regexp.MustCompile(`(?i)SlowDown|ServiceUnavailable|RequestTimeout|InternalError,|Status 50[0234]|Disk Full|out of memory`)

// failed makes a failure of what a connection returned. doing is verb and noun.
func (d *Database) failed(ctx context.Context, doing string, err error) error {
	var visited visitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &visited):
		return visited.error
	}
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("%s: %w", doing, cause)
	}
	var known *failure
	if errors.As(err, &known) {
		return err
	}
	f := &failure{text: doing + ": " + d.secrets.redact(err.Error())}
	var answer *pgconn.PgError
	if !errors.As(err, &answer) {
		f.kinds, f.lost = []error{arbalest.ErrUnavailable}, true
		return f
	}
	f.code = answer.Code
	text := answer.Message
	if answer.Detail != "" {
		text += ": " + answer.Detail
	}
	if answer.Where != "" {
		text += " (" + answer.Where + ")"
	}
	f.text = d.secrets.redact(fmt.Sprintf("%s: %s [%s]", doing, text, answer.Code))
	f.classify(answer.Code, answer.Message+" "+answer.Detail)
	return f
}

// classify sets a failure's kinds by its SQLSTATE and text. Redshift answers
// XX000 to much that is not its own fault, and says what it means in the text.
func (f *failure) classify(code, text string) {
	kind := arbalest.ErrInvalid
	switch {
	case code == "40001" || code == "40P01" || isolation.MatchString(text):
		kind, f.conflict = arbalest.ErrBusy, true
	case code == "42P01" || code == "42703" || code == "3F000" || code == "3D000":
		kind = arbalest.ErrUnknown
	case code == "42P07" || code == "42701" || code == "42P06" || code == "42710":
		kind = arbalest.ErrExists
	case code == "42501" || strings.HasPrefix(code, "28"):
		f.kinds = append(f.kinds, fs.ErrPermission)
	case code == "08P01":
		// What was sent is wrong: too few arguments.
	case code == "57P01" || code == "57P02" || code == "57P03" || strings.HasPrefix(code, "08"):
		kind, f.lost = arbalest.ErrUnavailable, true
	case code == "55P03":
		kind = arbalest.ErrBusy
	case code == "57014" || strings.HasPrefix(code, "53") || passing.MatchString(text):
		kind = arbalest.ErrUnavailable
	}
	f.rows = loadErrors.MatchString(text)
	f.kinds = append(f.kinds, kind)
}

// again says whether a transaction that met the error may succeed when it is
// done again.
func again(err error) bool {
	var f *failure
	return errors.As(err, &f) && (f.conflict || f.lost)
}

// denied says that a relation cannot be had: it is not there, or not for us.
func denied(err error) bool {
	return errors.Is(err, arbalest.ErrUnknown) || errors.Is(err, fs.ErrPermission)
}
