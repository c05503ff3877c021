package duckdb

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"arbalest"
)

// A form is how a column's values are had as Go's: what it is cast to, and what
// reads that.
type form struct {
	cast string // of %s, the column
	read func(s *stream, column int) any
}

func formOf(t mapping.Type) form {
	text := func(s *stream, c int) any { return orNil(s.text(c)) }
	switch t {
	case mapping.TypeBoolean:
		return form{"%s", func(s *stream, c int) any { return orNil(fixed[bool](s, c)) }}
	case mapping.TypeTinyInt, mapping.TypeSmallInt, mapping.TypeInteger, mapping.TypeBigInt, mapping.TypeUTinyInt, mapping.TypeUSmallInt, mapping.TypeUInteger:
		return form{"%s::BIGINT", func(s *stream, c int) any { return orNil(s.integer(c)) }}
	case mapping.TypeFloat, mapping.TypeDouble:
		return form{"%s::DOUBLE", func(s *stream, c int) any { return orNil(fixed[float64](s, c)) }}
	case mapping.TypeDate, mapping.TypeTimestamp, mapping.TypeTimestampS, mapping.TypeTimestampMS, mapping.TypeTimestampTZ:
		return form{"%s::TIMESTAMP", func(s *stream, c int) any { return timeOf(s.integer(c)) }}
	case mapping.TypeList, mapping.TypeArray, mapping.TypeStruct, mapping.TypeMap, mapping.TypeUnion:
		return form{"to_json(%s)::VARCHAR", text}
	}
	return form{"%s::VARCHAR", text}
}

// fixed returns a value of a column whose vector is an array of Ts, and false
// if it is NULL.
func fixed[T any](s *stream, column int) (value T, ok bool) {
	v := mapping.DataChunkGetVector(s.chunk, mapping.IdxT(column))
	if !s.valid(v) {
		return value, false
	}
	return *(*T)(unsafe.Add(mapping.VectorGetData(v), uintptr(s.row)*unsafe.Sizeof(value))), true
}

func orNil[T any](value T, ok bool) any {
	if !ok {
		return nil
	}
	return value
}

// timeOf returns a TIMESTAMP's microseconds as a time; the two infinities,
// which no time.Time is, as texts.
func timeOf(micros int64, ok bool) any {
	switch {
	case !ok:
		return nil
	case micros == math.MaxInt64:
		return "infinity"
	case micros == -math.MaxInt64:
		return "-infinity"
	}
	return time.UnixMicro(micros).UTC()
}

// selectValues runs a SELECT on a connection and calls visit for each row, with
// values as warehouse.Tx has them. An error of visit is returned as it is, all
// others as databaseError makes them.
func selectValues(ctx context.Context, conn *sql.Conn, query string, args []any, visit func([]any) error) error {
	kind, err := kindOfStatement(conn, query)
	if err == nil && kind != mapping.StatementTypeSelect {
		err = fmt.Errorf("%w: this statement is not a SELECT: %.60s", arbalest.ErrInvalid, query)
	}
	var forms []form
	query = trimStatement(query)
	if err == nil {
		forms, err = formsOf(ctx, conn, query, args)
	}
	var s *stream
	if err == nil {
		s, err = openStream(ctx, conn, inForms(query, forms), args...)
	}
	if err != nil {
		return databaseError(ctx, err)
	}
	values := make([]any, len(forms))
	var stopped error // by visit, whose error is not DuckDB's
	err = s.each(func() error {
		for i := range forms {
			values[i] = forms[i].read(s, i)
		}
		stopped = visit(values)
		return stopped
	})
	if err != nil && stopped == nil {
		return databaseError(ctx, err)
	}
	return err
}

// formsOf runs a query without its rows, to learn its columns' types: those of
// parameters are known only then.
func formsOf(ctx context.Context, conn *sql.Conn, query string, args []any) ([]form, error) {
	s, err := openStream(ctx, conn, "SELECT * FROM (\n"+query+"\n) LIMIT 0", args...)
	if err != nil {
		return nil, err
	}
	defer s.close()
	var forms []form
	for i := range mapping.ColumnCount(s.res) {
		forms = append(forms, formOf(mapping.ColumnType(s.res, i)))
	}
	return forms, nil
}

// inForms returns the query with its columns cast.
func inForms(query string, forms []form) string {
	var casts, names strings.Builder
	for i, f := range forms {
		if i > 0 {
			casts.WriteString(", ")
			names.WriteString(", ")
		}
		name := "c" + strconv.Itoa(i)
		names.WriteString(name)
		fmt.Fprintf(&casts, f.cast, name)
	}
	return fmt.Sprintf("SELECT %s FROM (\n%s\n) AS q(%s)", &casts, query, &names)
}

// kindOfStatement says of what kind one statement is.
func kindOfStatement(conn *sql.Conn, query string) (kind mapping.StatementType, err error) {
	raw, err := rawOf(conn)
	if err != nil {
		return kind, err
	}
	err = (&guest{raw: raw}).prepared(query, func(stmt mapping.PreparedStatement) error {
		kind = mapping.PreparedStatementType(stmt)
		return nil
	})
	return kind, err
}

// bind gives a prepared statement its arguments, $1 first.
func bind(stmt mapping.PreparedStatement, args []any) error {
	if n := int(mapping.NParams(stmt)); n != len(args) {
		return fmt.Errorf("%w: the statement has %d parameters, and %d arguments", arbalest.ErrInvalid, n, len(args))
	}
	for i, arg := range args {
		var at mapping.IdxT
		if mapping.BindParameterIndex(stmt, &at, strconv.Itoa(i+1)) == mapping.StateError {
			return fmt.Errorf("%w: the statement has no parameter $%d", arbalest.ErrInvalid, i+1)
		}
		state := mapping.State(mapping.StateError)
		switch v := arg.(type) {
		case nil:
			state = mapping.BindNull(stmt, at)
		case bool:
			state = mapping.BindBoolean(stmt, at, v)
		case int:
			state = mapping.BindInt64(stmt, at, int64(v))
		case int64:
			state = mapping.BindInt64(stmt, at, v)
		case float64:
			state = mapping.BindDouble(stmt, at, v)
		case string:
			state = mapping.BindVarcharLength(stmt, at, v, mapping.IdxT(len(v)))
		case time.Time:
			// A TIMESTAMP: compared with one it lets DuckDB skip rows by their times.
			state = mapping.BindTimestamp(stmt, at, mapping.NewTimestamp(v.UnixMicro()))
		default:
			return fmt.Errorf("%w: argument $%d is a %T", arbalest.ErrInvalid, i+1, arg)
		}
		if state == mapping.StateError {
			return fmt.Errorf("%w: argument $%d, %.100v, cannot be bound", arbalest.ErrInvalid, i+1, arg)
		}
	}
	return nil
}
