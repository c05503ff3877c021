package web

import (
	"encoding/json"
	"net/http"

	"arbalest/internal/warehouse"
)

// maxColumns is how many columns of tables are told for completion.
const maxColumns = 20_000

// schemaQuery lists the columns of tables and views, as all warehouses have them.
const schemaQuery = `SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns
WHERE table_catalog = current_database() AND table_schema NOT IN ('information_schema', 'pg_catalog')
ORDER BY table_schema, table_name, ordinal_position LIMIT 20000`

// A relation is a table or a view.
type relation struct {
	Schema  string      `json:"schema"`
	Name    string      `json:"name"`
	Columns [][2]string `json:"columns"` // name and type
}

// schema lists the tables, for completion.
func (c *console) schema(w http.ResponseWriter, r *http.Request) error {
	s := relations{list: []relation{}}
	if err := c.ask(r.Context(), schemaQuery, &s); err != nil {
		return err
	}
	b, err := json.Marshal(struct {
		Tables []relation `json:"tables"`
		More   bool       `json:"more"`
	}{s.list, s.columns >= maxColumns})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b) // the browser may be gone
	return nil
}

// relations gathers the rows of schemaQuery.
type relations struct {
	list    []relation
	columns int
}

// Columns implements warehouse.Sink.
func (s *relations) Columns([]warehouse.ResultColumn) error { return nil }

// Row implements warehouse.Sink.
func (s *relations) Row(v []warehouse.Value) error {
	s.columns++
	n := len(s.list)
	if n == 0 || s.list[n-1].Schema != v[0].Text || s.list[n-1].Name != v[1].Text {
		s.list = append(s.list, relation{Schema: v[0].Text, Name: v[1].Text})
		n++
	}
	s.list[n-1].Columns = append(s.list[n-1].Columns, [2]string{v[2].Text, v[3].Text})
	return nil
}
