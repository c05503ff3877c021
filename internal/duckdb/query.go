package duckdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/duckdb/duckdb-go/v2/mapping"
	"golang.org/x/sync/semaphore"

	"arbalest"
	"arbalest/internal/warehouse"
)

// What a query gives, in DuckDB's words: types as "DECIMAL(18,2)" and
// "STRUCT(a INTEGER)[]". JSONValue is JSON itself, lists, structs, maps and
// unions, whose numbers have a double's precision; a BLOB's bytes that are not
// printable ASCII are \xHH.
type (
	Column = warehouse.ResultColumn
	Value  = warehouse.Value
)

// maxRow is the most bytes that a row's texts may have; largeRow is how many
// they may without being counted: of the others there are maxRow bytes at once.
const (
	maxRow   = 32 << 20
	largeRow = 256 << 10
)

// Rows are a query's result, as it is computed. They belong to one goroutine
// and must be closed.
type Rows struct {
	Columns []Column

	large  *semaphore.Weighted
	held   int64 // of large
	ctx    context.Context
	done   func()
	stream *stream
	values []Value
	err    error
}

// Query runs one statement that reads: SELECT and what DuckDB makes of it
// (FROM, VALUES, SHOW, DESCRIBE, SUMMARIZE), or EXPLAIN. It sees what was
// committed when it began, and nothing that it does changes anything; files and
// settings are out of its reach. The error of a statement that is wrong wraps
// arbalest.ErrInvalid, or arbalest.ErrUnknown where a table does not exist, and
// has DuckDB's own message. The context's end stops the query.
func (w *Warehouse) Query(ctx context.Context, query string) (*Rows, error) {
	return w.QueryAs(ctx, query, nil, castToText)
}

// QueryAs is Query with arguments for $1 and so on, as bind takes them, and with
// each column cast to VARCHAR as cast says: an expression of %s, the column.
func (w *Warehouse) QueryAs(ctx context.Context, query string, args []any, cast func(Column) string) (*Rows, error) {
	g, err := w.guest(ctx)
	if err != nil {
		return nil, err
	}
	r := &Rows{ctx: ctx, done: g.leave, large: w.large}
	if err := r.start(g, query, args, cast); err != nil {
		g.leave()
		return nil, queryError(ctx, err)
	}
	return r, nil
}

// Ask is Query, as warehouse.Asker has it.
func (w *Warehouse) Ask(ctx context.Context, query string, to warehouse.Sink) error {
	rows, err := w.Query(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	if err := to.Columns(rows.Columns); err != nil {
		return err
	}
	for rows.Next() {
		if err := to.Row(rows.Values()); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (r *Rows) start(g *guest, query string, args []any, cast func(Column) string) error {
	statement, err := inspect(g, query)
	if err != nil {
		return err
	}
	if n := len(statement.parameters); n != len(args) {
		return fmt.Errorf("%w: the statement has %d parameters and %d values for them", arbalest.ErrInvalid, n, len(args))
	}
	if r.Columns, err = statement.describe(r.ctx, g); err != nil {
		return err
	}
	r.values = make([]Value, len(r.Columns))
	if statement.kind != mapping.StatementTypeExplain {
		query = statement.asText(r.Columns, cast)
	}
	r.stream, err = g.open(r.ctx, query, args...)
	return err
}

// A statement is one that Query may run.
type statement struct {
	text       string // without what follows it
	kind       mapping.StatementType
	columns    []string
	parameters []mapping.Type // $1 first
}

// inspect lets DuckDB parse and bind a query. The error wraps
// arbalest.ErrInvalid if it is not one statement that only reads.
func inspect(g *guest, query string) (s statement, err error) {
	s.text = trimStatement(query)
	if err := checkCalls(query); err != nil {
		return s, err
	}
	err = g.prepared(query, func(stmt mapping.PreparedStatement) error {
		s.kind = mapping.PreparedStatementType(stmt)
		if s.kind != mapping.StatementTypeSelect && s.kind != mapping.StatementTypeExplain {
			return fmt.Errorf("%w: the statement does not only read: use SELECT, FROM, VALUES, SHOW, DESCRIBE, SUMMARIZE or EXPLAIN; tables are derived from events and are not written by hand", arbalest.ErrInvalid)
		}
		if s.kind == mapping.StatementTypeExplain {
			if err := checkCopy(query); err != nil {
				return err
			}
		}
		for i := range mapping.NParams(stmt) {
			s.parameters = append(s.parameters, mapping.ParamType(stmt, i+1))
		}
		for i := range mapping.PreparedStatementColumnCount(stmt) {
			s.columns = append(s.columns, mapping.PreparedStatementColumnName(stmt, i))
		}
		return nil
	})
	return s, err
}

// describe returns a statement's columns. Parameters are NULL meanwhile: the
// types do not follow from them if each is cast to one.
func (s statement) describe(ctx context.Context, g *guest) ([]Column, error) {
	var columns []Column
	if s.kind == mapping.StatementTypeExplain {
		for _, name := range s.columns {
			columns = append(columns, Column{Name: name, Type: "VARCHAR"})
		}
		return columns, nil
	}
	names := s.columns
	if len(s.parameters) > 0 && len(names) == 1 && names[0] == "unknown" {
		names = nil // a table function has a parameter, and DuckDB would bind that first
	}
	rows, err := g.open(ctx, "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM (\n"+s.text+"\n))", make([]any, len(s.parameters))...)
	if err != nil {
		return nil, err
	}
	err = rows.each(func() error {
		name, _ := rows.text(0)
		kind, _ := rows.text(1)
		if len(columns) < len(names) {
			name = names[len(columns)]
		}
		columns = append(columns, Column{Name: name, Type: kind, Kind: kindOf(kind)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	if names != nil && len(columns) != len(names) {
		return nil, fmt.Errorf("%w: the statement has %d columns by one account and %d by another: give each a name of its own", arbalest.ErrInvalid, len(s.columns), len(columns))
	}
	return columns, nil
}

// castToText casts a column as Query gives it.
func castToText(c Column) string {
	if c.Kind == warehouse.JSONValue && c.Type != "JSON" {
		return "to_json(%s)::VARCHAR"
	}
	return "%s::VARCHAR"
}

// asText returns the statement with every column as VARCHAR.
func (s statement) asText(columns []Column, cast func(Column) string) string {
	var casts, names strings.Builder
	for i, c := range columns {
		if i > 0 {
			casts.WriteString(", ")
			names.WriteString(", ")
		}
		name := fmt.Sprintf("c%d", i)
		names.WriteString(name)
		casts.WriteString(strings.ReplaceAll(cast(c), "%s", name))
	}
	return fmt.Sprintf("SELECT %s FROM (\n%s\n) AS q(%s)", &casts, s.text, &names)
}

// kindOf returns how values of one of DuckDB's types are written.
func kindOf(t string) warehouse.ValueKind {
	switch t {
	case "BOOLEAN":
		return warehouse.BooleanValue
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE", "BIGNUM":
		return warehouse.NumberValue
	case "JSON":
		return warehouse.JSONValue
	}
	switch {
	case strings.HasSuffix(t, "]"), strings.HasPrefix(t, "STRUCT("), strings.HasPrefix(t, "MAP("), strings.HasPrefix(t, "UNION("):
		return warehouse.JSONValue
	case strings.HasPrefix(t, "DECIMAL("):
		return warehouse.NumberValue
	}
	return warehouse.TextValue
}

// Next moves to the next row. It returns false after the last, and where Err
// says why there are no more.
func (r *Rows) Next() bool {
	if r.err != nil {
		return false
	}
	r.Drop()
	if r.err = r.stream.next(); r.err != nil {
		return false
	}
	if r.err = r.hold(); r.err != nil {
		return false
	}
	for i := range r.values {
		text, ok := r.stream.text(i)
		r.values[i] = Value{Text: text, Null: !ok}
	}
	return true
}

// hold waits until the row may be had.
func (r *Rows) hold() error {
	size := int64(0)
	for i := range r.values {
		size += int64(len(r.stream.bytes(i)))
	}
	switch {
	case size <= largeRow:
		return nil
	case size > maxRow:
		return fmt.Errorf("%w: a row has %d bytes, of at most %d: select less of it", arbalest.ErrTooLarge, size, maxRow)
	}
	if err := r.large.Acquire(r.ctx, size); err != nil {
		return err
	}
	r.held = size
	return nil
}

// Drop lets go of the row before Next does, so that others can have large ones
// while nothing is asked for.
func (r *Rows) Drop() {
	clear(r.values)
	if r.held > 0 {
		r.large.Release(r.held)
		r.held = 0
	}
}

// Values returns the row, one value for each column. The slice is only good
// until Next is called again; the texts are the caller's.
func (r *Rows) Values() []Value { return r.values }

// Err returns why Next returned false, nil if all rows were read. It wraps what
// Query's errors do: a value that cannot be cast is found as it is read.
func (r *Rows) Err() error {
	if r.err == nil || errors.Is(r.err, io.EOF) {
		return nil
	}
	return queryError(r.ctx, r.err)
}

// Close ends the query. It may be called twice.
func (r *Rows) Close() error {
	if r.done == nil {
		return nil
	}
	r.Drop()
	r.stream.close()
	r.done()
	r.done = nil
	if r.err == nil {
		r.err = io.EOF
	}
	return nil
}
