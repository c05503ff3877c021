package redshift

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"arbalest"
)

// The types that values are told by: PostgreSQL's, which Redshift shares (its
// own, such as SUPER's 4000, are text).
const (
	oidBool        = 16
	oidInt8        = 20
	oidInt2        = 21
	oidInt4        = 23
	oidOID         = 26
	oidFloat4      = 700
	oidFloat8      = 701
	oidBpchar      = 1042
	oidDate        = 1082
	oidTimestamp   = 1114
	oidTimestampTZ = 1184
)

// timeText is how times are sent: a TIMESTAMP leaves the zone out, which is UTC.
const timeText = "2006-01-02 15:04:05.999999-07"

// run runs one statement. visit, if it is not nil, is called for every row.
// Rows are those that a statement without a result says it wrote.
func (d *Database) run(ctx context.Context, conn *pgconn.PgConn, sql string, args []any, visit func([]any) error) (rows int64, err error) {
	if err := single(sql); err != nil {
		return 0, err
	}
	if len(args) == 0 {
		results := conn.Exec(ctx, sql)
		for err == nil && results.NextResult() {
			rows, err = result(results.ResultReader(), visit)
		}
		if closed := results.Close(); err == nil {
			err = closed
		}
		return rows, d.failed(ctx, "run statement", err)
	}
	texts, oids := make([][]byte, len(args)), make([]uint32, len(args))
	for i, a := range args {
		if texts[i], oids[i], err = argument(a); err != nil {
			return 0, fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	rows, err = result(conn.ExecParams(ctx, sql, texts, oids, nil, nil), visit)
	return rows, d.failed(ctx, "run statement", err)
}

// A visitError is an error of a visit, or of a value that cannot be read: the
// statement and its transaction are as they should be.
type visitError struct{ error }

// result reads a result to its end. A visitError leaves rows unread, which
// closing skips.
func result(r *pgconn.ResultReader, visit func([]any) error) (rows int64, err error) {
	fields := r.FieldDescriptions()
	values := make([]any, len(fields))
	for visit != nil && err == nil && r.NextRow() {
		for i, text := range r.Values() {
			if values[i], err = value(fields[i].DataTypeOID, text); err != nil {
				err = visitError{fmt.Errorf("column %s: %w", fields[i].Name, err)}
				break
			}
		}
		if err == nil {
			if wrong := visit(values); wrong != nil {
				err = visitError{wrong}
			}
		}
	}
	tag, closed := r.Close()
	if err == nil {
		err = closed
	}
	if len(fields) > 0 {
		return 0, err
	}
	return tag.RowsAffected(), err
}

// value reads a value of a result.
func value(oid uint32, text []byte) (any, error) {
	if text == nil {
		return nil, nil
	}
	s := string(text)
	var v any
	var err error
	switch oid {
	case oidBool:
		return s == "t" || s == "true", nil
	case oidInt2, oidInt4, oidInt8, oidOID:
		v, err = strconv.ParseInt(s, 10, 64)
	case oidFloat4:
		v, err = strconv.ParseFloat(s, 32)
	case oidFloat8:
		v, err = strconv.ParseFloat(s, 64)
	case oidDate:
		v, err = time.Parse(time.DateOnly, s)
	case oidTimestamp:
		v, err = time.Parse(time.DateTime, s)
	case oidTimestampTZ:
		v, err = instant(s)
	case oidBpchar:
		return strings.TrimRight(s, " "), nil
	default:
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the warehouse answered %q, which cannot be read: see that its DateStyle is ISO", arbalest.ErrInvalid, s)
	}
	return v, nil
}

// instant reads a time with its zone, which is in hours, or in hours and
// minutes.
func instant(s string) (time.Time, error) {
	layout := "2006-01-02 15:04:05-07"
	if len(s) > 3 && s[len(s)-3] == ':' {
		layout += ":00"
	}
	t, err := time.Parse(layout, s)
	return t.UTC(), err
}

// argument spells an argument, and says of what type it is; 0 leaves that to
// the server.
func argument(a any) (text []byte, oid uint32, err error) {
	switch a := a.(type) {
	case nil:
		return nil, 0, nil
	case bool:
		return strconv.AppendBool(nil, a), oidBool, nil
	case int:
		return strconv.AppendInt(nil, int64(a), 10), oidInt8, nil
	case int64:
		return strconv.AppendInt(nil, a, 10), oidInt8, nil
	case float64:
		if math.IsInf(a, 0) || math.IsNaN(a) {
			return nil, 0, fmt.Errorf("%w: %v is no number", arbalest.ErrInvalid, a)
		}
		return strconv.AppendFloat(nil, a, 'g', -1, 64), oidFloat8, nil
	case string:
		if !utf8.ValidString(a) || strings.Contains(a, "\x00") {
			return nil, 0, fmt.Errorf("%w: %.80q is not UTF-8 without NUL", arbalest.ErrInvalid, a)
		}
		return []byte(a), 0, nil
	case time.Time:
		return a.UTC().AppendFormat(nil, timeText), 0, nil
	}
	return nil, 0, fmt.Errorf("%w: a value of type %T", arbalest.ErrInvalid, a)
}
