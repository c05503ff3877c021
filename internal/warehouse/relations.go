package warehouse

import "context"

// OwnRelations is true, in views of information_schema, of what is not the
// database's own. Schema arbalest, which has the books, is among it.
const OwnRelations = `table_catalog = current_database() AND table_schema NOT IN ('information_schema', 'pg_catalog', 'pg_toast', 'pg_internal')`

// columnsSQL lists columns in the SQL that all warehouses share.
const columnsSQL = `SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns WHERE ` + OwnRelations + ` ORDER BY table_schema, table_name, ordinal_position LIMIT 20000`

// maxColumns is the limit of columnsSQL.
const maxColumns = 20_000

// A Relation is a table or a view.
type Relation struct {
	Schema  string      `json:"schema"`
	Name    string      `json:"name"`
	Columns [][2]string `json:"columns"` // name and type
}

// Relations are what statements can name, for completion.
type Relations struct {
	Tables []Relation `json:"tables"` // by schema and name
	More   bool       `json:"more"`   // there are columns that were left out
}

// ReadRelations asks for the relations that there are, with 20,000 columns at
// most.
func ReadRelations(ctx context.Context, ask func(ctx context.Context, sql string, to Sink) error) (Relations, error) {
	r := relationSink{Relations: Relations{Tables: []Relation{}}}
	err := ask(ctx, columnsSQL, &r)
	return r.Relations, err
}

// A relationSink gathers the rows of columnsSQL.
type relationSink struct {
	Relations
	columns int
}

// Columns implements Sink.
func (r *relationSink) Columns([]ResultColumn) error { return nil }

// Row implements Sink.
func (r *relationSink) Row(v []Value) error {
	r.columns++
	r.More = r.columns >= maxColumns
	n := len(r.Tables)
	if n == 0 || r.Tables[n-1].Schema != v[0].Text || r.Tables[n-1].Name != v[1].Text {
		r.Tables = append(r.Tables, Relation{Schema: v[0].Text, Name: v[1].Text})
		n++
	}
	r.Tables[n-1].Columns = append(r.Tables[n-1].Columns, [2]string{v[2].Text, v[3].Text})
	return nil
}
