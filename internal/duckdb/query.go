package duckdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/duckdb/duckdb-go/v2/mapping"

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

// Rows are a query's result, as it is computed. They belong to one goroutine
// and must be closed.
type Rows struct {
	Columns []Column

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
	conn, done, err := w.reader(ctx)
	if err != nil {
		return nil, err
	}
	r := &Rows{ctx: ctx, done: done}
	if err := r.start(conn, query, args, cast); err != nil {
		done()
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

func (r *Rows) start(conn *sql.Conn, query string, args []any, cast func(Column) string) error {
	statement, err := inspect(conn, query)
	if err != nil {
		return err
	}
	if n := len(statement.parameters); n != len(args) {
		return fmt.Errorf("%w: the statement has %d parameters and %d values for them", arbalest.ErrInvalid, n, len(args))
	}
	if r.Columns, err = statement.describe(r.ctx, conn); err != nil {
		return err
	}
	r.values = make([]Value, len(r.Columns))
	if statement.kind != mapping.StatementTypeExplain {
		query = statement.asText(r.Columns, cast)
	}
	r.stream, err = openStream(r.ctx, conn, query, args...)
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
// arbalest.ErrInvalid if it is not one statement that reads.
func inspect(conn *sql.Conn, query string) (s statement, err error) {
	s.text = trimStatement(query)
	err = prepared(conn, query, func(stmt mapping.PreparedStatement) error {
		s.kind = mapping.PreparedStatementType(stmt)
		if s.kind != mapping.StatementTypeSelect && s.kind != mapping.StatementTypeExplain {
			return fmt.Errorf("%w: the statement does not only read: use SELECT, FROM, VALUES, SHOW, DESCRIBE, SUMMARIZE or EXPLAIN; tables are derived from events and are not written by hand", arbalest.ErrInvalid)
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

// prepared lets DuckDB parse and bind what must be one statement, and gives it to
// look. The error wraps arbalest.ErrInvalid if it is none, or look's.
func prepared(conn *sql.Conn, query string, look func(mapping.PreparedStatement) error) error {
	return conn.Raw(func(c any) error {
		raw, err := connectionOf(c)
		if err != nil {
			return err
		}
		connection := mapping.Connection{Ptr: raw}
		var parsed mapping.ExtractedStatements
		defer mapping.DestroyExtracted(&parsed)
		switch n := mapping.ExtractStatements(connection, query, &parsed); {
		case n == 0:
			if message := mapping.ExtractStatementsError(parsed); message != "" {
				return duckError(message)
			}
			return fmt.Errorf("%w: there is no statement: send one", arbalest.ErrInvalid)
		case n > 1:
			return fmt.Errorf("%w: there are %d statements: send one at a time", arbalest.ErrInvalid, n)
		}
		var stmt mapping.PreparedStatement
		defer mapping.DestroyPrepare(&stmt)
		if mapping.PrepareExtractedStatement(connection, parsed, 0, &stmt) == mapping.StateError {
			return duckError(mapping.PrepareError(stmt))
		}
		return look(stmt)
	})
}

// describe returns a statement's columns. Parameters are NULL meanwhile: the
// types do not follow from them if each is cast to one.
func (s statement) describe(ctx context.Context, conn *sql.Conn) ([]Column, error) {
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
	rows, err := conn.QueryContext(ctx, "DESCRIBE SELECT * FROM (\n"+s.text+"\n)", make([]any, len(s.parameters))...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name, kind string
		var ignored [4]any
		if err := rows.Scan(&name, &kind, &ignored[0], &ignored[1], &ignored[2], &ignored[3]); err != nil {
			return nil, err
		}
		if len(columns) < len(names) {
			name = names[len(columns)]
		}
		columns = append(columns, Column{Name: name, Type: kind, Kind: kindOf(kind)})
	}
	if err := rows.Err(); err != nil {
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
	if r.err = r.stream.next(); r.err != nil {
		return false
	}
	for i := range r.values {
		text, ok := r.stream.text(i)
		r.values[i] = Value{Text: text, Null: !ok}
	}
	return true
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
	r.stream.close()
	r.done()
	r.done = nil
	if r.err == nil {
		r.err = io.EOF
	}
	return nil
}
