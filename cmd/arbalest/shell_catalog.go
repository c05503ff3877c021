package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/shell"
	"arbalest/internal/warehouse"
)

// Statements of the SQL that all warehouses share, about what is in this one.
// Schema arbalest has the books.
const (
	ownRelations = `table_catalog = current_database() AND table_schema NOT IN ('information_schema', 'pg_catalog', 'pg_toast', 'pg_internal')`

	columnsSQL = `SELECT table_schema, table_name, column_name FROM information_schema.columns WHERE ` + ownRelations + ` ORDER BY table_schema, table_name, ordinal_position`
)

// relationsSQL lists tables and views, with those of schema arbalest or without.
func relationsSQL(books bool) string {
	where := ownRelations
	if !books {
		where += " AND table_schema <> 'arbalest'"
	}
	return `SELECT table_schema AS "schema", table_name AS "name", CASE table_type WHEN 'VIEW' THEN 'view' ELSE 'table' END AS "kind" FROM information_schema.tables WHERE ` + where + ` ORDER BY 1, 2`
}

// describe shows a table's columns.
func (s *session) describe(ctx context.Context, name string) error {
	schema, table := "", name
	if a, b, ok := strings.Cut(name, "."); ok {
		schema, table = a, b
	}
	where := ownRelations + " AND lower(table_name) = " + literal(strings.ToLower(strings.Trim(table, `"`)))
	if schema != "" {
		where += " AND lower(table_schema) = " + literal(strings.ToLower(strings.Trim(schema, `"`)))
	}
	found, err := s.rows(ctx, `SELECT count(*) FROM information_schema.columns WHERE `+where)
	if err != nil {
		return err
	}
	if len(found) == 1 && found[0][0] == "0" {
		return fmt.Errorf("%w: table %s: \\d lists what there is", arbalest.ErrUnknown, name)
	}
	return s.ask(ctx, `SELECT column_name AS "column", data_type AS "type" FROM information_schema.columns WHERE `+where+` ORDER BY table_schema, ordinal_position`)
}

// catalog returns what there is to complete. It does not wait for long.
func (s *session) catalog(ctx context.Context) (shell.Catalog, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	rows, err := s.rows(ctx, columnsSQL)
	if err != nil {
		return shell.Catalog{}, err
	}
	var c shell.Catalog
	last := ""
	for _, r := range rows {
		schema, table := r[0], r[1]
		if key := schema + "." + table; key != last {
			last = key
			if schema == "main" || schema == "public" { // DuckDB's and the others' own
				schema = ""
			}
			c.Tables = append(c.Tables, shell.Table{Schema: schema, Name: table})
		}
		t := &c.Tables[len(c.Tables)-1]
		t.Columns = append(t.Columns, r[2])
	}
	return c, nil
}

// rows returns a small result.
func (s *session) rows(ctx context.Context, sql string) ([][]string, error) {
	var to gathered
	err := s.with(ctx, func(op operator) error { return op.Query(ctx, sql, &to) })
	return to.rows, err
}

// A gathered holds a small result as text.
type gathered struct{ rows [][]string }

// Columns implements rowSink.
func (g *gathered) Columns([]warehouse.ResultColumn) error { return nil }

// Row implements rowSink.
func (g *gathered) Row(values []warehouse.Value) error {
	row := make([]string, len(values))
	for i, v := range values {
		row[i] = v.Text
	}
	g.rows = append(g.rows, row)
	return nil
}

// literal quotes a string for SQL.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
