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

// relationsSQL lists tables and views, with those of schema arbalest or without.
func relationsSQL(books bool) string {
	where := warehouse.OwnRelations
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
	where := warehouse.OwnRelations + " AND lower(table_name) = " + warehouse.Literal(strings.ToLower(strings.Trim(table, `"`)))
	if schema != "" {
		where += " AND lower(table_schema) = " + warehouse.Literal(strings.ToLower(strings.Trim(schema, `"`)))
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
	var there warehouse.Relations
	err := s.with(ctx, func(op operator) (err error) {
		there, err = warehouse.ReadRelations(ctx, op.Query)
		return err
	})
	var c shell.Catalog
	for _, r := range there.Tables {
		t := shell.Table{Schema: r.Schema, Name: r.Name}
		if r.Schema == "main" || r.Schema == "public" { // DuckDB's and the others' own
			t.Schema = ""
		}
		for _, column := range r.Columns {
			t.Columns = append(t.Columns, column[0])
		}
		c.Tables = append(c.Tables, t)
	}
	return c, err
}

// rows returns a small result.
func (s *session) rows(ctx context.Context, sql string) ([][]string, error) {
	var rows rowList
	err := s.with(ctx, func(op operator) error { return op.Query(ctx, sql, &rows) })
	return rows, err
}
