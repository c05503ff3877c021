package duckdb

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/load/warehousetest"
)

func TestQueryValues(t *testing.T) {
	w := mustOpen(t, "", Options{})
	defer w.Close()
	tests := []struct{ sql, kind, text string }{
		{"1.10::DECIMAL(10,2)", "DECIMAL(10,2) 1", "1.10"},
		{"170141183460469231731687303715884105727::HUGEINT", "HUGEINT 1", "170141183460469231731687303715884105727"},
		{"sum(9223372036854775807::BIGINT)", "HUGEINT 1", "9223372036854775807"},
		{"12345678901234567890123456789.123456789::DECIMAL(38,9)", "DECIMAL(38,9) 1", "12345678901234567890123456789.123456789"},
		{"0.1::DOUBLE", "DOUBLE 1", "0.1"},
		{"'inf'::DOUBLE", "DOUBLE 1", "inf"},
		{"true", "BOOLEAN 2", "true"},
		{`'{"a":1.10,"a":1e400 , "b":[]}'::JSON`, "JSON 3", `{"a":1.10,"a":1e400 , "b":[]}`},
		{"TIMESTAMP '2026-08-21 14:53:52'", "TIMESTAMP 0", "2026-08-21 14:53:52"},
		{"TIMESTAMP '2026-08-21 14:53:52.5'", "TIMESTAMP 0", "2026-08-21 14:53:52.5"},
		{"TIMESTAMPTZ '2026-08-21 14:53:52.123456+02'", "TIMESTAMP WITH TIME ZONE 0", "2026-08-21 12:53:52.123456+00"},
		{"DATE '2026-08-21'", "DATE 0", "2026-08-21"},
		{"[1, 2]", "INTEGER[] 3", "[1,2]"},
		{"{'a': 1, 'b': ['x', NULL]}", "STRUCT(a INTEGER, b VARCHAR[]) 3", `{"a":1,"b":["x",null]}`},
		{"MAP {'a': 1}", "MAP(VARCHAR, INTEGER) 3", `{"a":1}`},
		{"'\\xAA'::BLOB", "BLOB 0", `\xAA`},
		{"'a' || chr(0) || 'b'", "VARCHAR 0", "a\x00b"},
		{"''", "VARCHAR 0", ""},
		{"'€' || repeat('x', 40)", "VARCHAR 0", "€" + strings.Repeat("x", 40)},
	}
	for _, test := range tests {
		r, err := w.Query(t.Context(), "SELECT "+test.sql+" AS v, NULL AS v;  -- done;")
		if err != nil {
			t.Errorf("%s: %v", test.sql, err)
			continue
		}
		if !r.Next() {
			t.Fatalf("%s: %v", test.sql, r.Err())
		}
		c, v := r.Columns[0], r.Values()
		if got := fmt.Sprint(c.Type, " ", c.Kind); c.Name != "v" || r.Columns[1].Name != "v" || got != test.kind || v[0] != (Value{Text: test.text}) || v[1] != (Value{Null: true}) {
			t.Errorf("%s: %v %+v, want %s %q", test.sql, r.Columns, v, test.kind, test.text)
		}
		if r.Next() || r.Err() != nil {
			t.Errorf("%s: more than a row: %v", test.sql, r.Err())
		}
		for range 2 { // closing twice is once
			if err := r.Close(); err != nil {
				t.Errorf("%s: close: %v", test.sql, err)
			}
		}
	}
}

func TestQueryStatements(t *testing.T) {
	w := mustOpen(t, "", Options{})
	defer w.Close()
	mustLoad(t, w, 1, warehousetest.Batch(warehousetest.Declared("listed"), 10, warehousetest.Object{Commit: 1, Rows: []warehousetest.Row{{ID: "a", Time: "2015-08-18T06:00:00Z"}}}))
	for _, sql := range []string{
		"SELECT 1", "select 1;", "/* a; */ SELECT 1 -- b", "FROM listed", "VALUES (1)", "WITH x AS (SELECT 1) FROM x", "SHOW TABLES", "DESCRIBE listed",
		"SUMMARIZE listed", "EXPLAIN SELECT 1", "EXPLAIN ANALYZE FROM listed", "TABLE listed", "(SELECT 1) UNION ALL SELECT 2 ORDER BY 1 LIMIT 1",
		"SELECT ';' AS \";\", $$;$$, E'\\';' ;;", "FROM arbalest.books", "SELECT * FROM information_schema.tables", "SELECT count(*), count(*) FROM listed",
		"SELECT * FROM listed a JOIN listed b ON a.event_id = b.event_id",
	} {
		if rows, err := queryAll(t, w, sql); err != nil || len(rows) == 0 {
			t.Errorf("%s: %q, %v", sql, rows, err)
		}
	}
	bad := []struct {
		sql  string
		want error
		says string
	}{
		{"", arbalest.ErrInvalid, "no statement"},
		{" ; -- x", arbalest.ErrInvalid, "no statement"},
		{"SELECT 1; SELECT 2", arbalest.ErrInvalid, "2 statements"},
		{"SELECT 1; DROP TABLE listed", arbalest.ErrInvalid, "2 statements"},
		{"selec 1", arbalest.ErrInvalid, "syntax error at or near"},
		{"SELECT even_id FROM listed", arbalest.ErrInvalid, "event_id"},
		{"SELECT * FROM liste", arbalest.ErrUnknown, `Did you mean "listed"`},
		{"SELECT nofunction(1)", arbalest.ErrInvalid, "nofunction"},
		{"SELECT 'a'::INTEGER", arbalest.ErrInvalid, "Could not convert string"},
		{"SELECT CAST(event_id AS INTEGER) FROM listed", arbalest.ErrInvalid, "Could not convert string"},
		{"SELECT $1", arbalest.ErrInvalid, "parameters"},
		{"DROP TABLE listed", arbalest.ErrInvalid, ""}, {"INSERT INTO listed SELECT * FROM listed", arbalest.ErrInvalid, ""},
		{"CREATE TEMP TABLE x AS SELECT 1", arbalest.ErrInvalid, ""}, {"SET VARIABLE x = 1", arbalest.ErrInvalid, ""}, {"SET memory_limit = '1GB'", arbalest.ErrInvalid, ""},
		{"ATTACH '/tmp/x.duckdb'", arbalest.ErrInvalid, ""}, {"COPY listed TO '/tmp/x.csv'", arbalest.ErrInvalid, ""}, {"COMMIT", arbalest.ErrInvalid, ""},
		{"USE memory", arbalest.ErrInvalid, ""}, {"CHECKPOINT", arbalest.ErrInvalid, ""}, {"PRAGMA database_list", arbalest.ErrInvalid, ""},
		{"SELECT * FROM read_csv('/etc/passwd')", arbalest.ErrInvalid, "disabled by configuration"}, {"FROM '/etc/passwd'", arbalest.ErrUnknown, ""},
		{"INSTALL httpfs", arbalest.ErrInvalid, ""}, {"SELECT getenv('HOME')", arbalest.ErrInvalid, ""},
		{"FROM " + w.scanner.name + "(1::UBIGINT)", arbalest.ErrInvalid, "no such batch"},
	}
	for _, test := range bad {
		_, err := queryAll(t, w, test.sql)
		if !errors.Is(err, test.want) || !strings.Contains(fmt.Sprint(err), test.says) {
			t.Errorf("%s: %v, want %v with %q", test.sql, err, test.want, test.says)
		}
	}
	if got := mustQuery(t, w, "SELECT count(*) FROM listed"); got[0][0] != "1" {
		t.Errorf("table has %s rows", got[0][0])
	}
}

func TestQueryKeepsOrder(t *testing.T) {
	w := mustOpen(t, "", Options{})
	defer w.Close()
	rows := mustQuery(t, w, "SELECT i FROM range(300000) r(i) ORDER BY i DESC")
	if len(rows) != 300_000 {
		t.Fatalf("%d rows", len(rows))
	}
	for i, row := range rows {
		if row[0] != fmt.Sprint(299_999-i) {
			t.Fatalf("row %d is %s", i, row[0])
		}
	}
}

// TestQueryStreams reads the beginning of a result that does not fit in
// memory.
func TestQueryStreams(t *testing.T) {
	w := mustOpen(t, "", Options{})
	defer w.Close()
	r, err := w.Query(t.Context(), "SELECT i, repeat('x', 1000) FROM range(1000000000) r(i)")
	if err != nil {
		t.Fatal(err)
	}
	for range 10_000 {
		if !r.Next() {
			t.Fatal(r.Err())
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestQueryCancelled(t *testing.T) {
	w := mustOpen(t, "", Options{})
	defer w.Close()
	for _, wait := range []time.Duration{0, time.Millisecond, 100 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		began := time.Now()
		r, err := w.Query(ctx, "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range + b.range = 7")
		if err == nil {
			for r.Next() {
			}
			err = r.Err()
			r.Close()
		}
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 20*time.Second {
			t.Errorf("query cancelled after %v ended after %v: %v", wait, time.Since(began), err)
		}
		cancel()
	}
	mustQuery(t, w, "SELECT 1")
}

func TestTrimStatement(t *testing.T) {
	for _, test := range [][2]string{
		{"SELECT 1", "SELECT 1"}, {"SELECT 1 ; ; ", "SELECT 1"}, {"SELECT ';' ;", "SELECT ';'"}, {"SELECT 1 -- ;\n;", "SELECT 1"},
		{"SELECT 1 /* ; /* ; */ */ ;", "SELECT 1"}, {`SELECT ";""" ;`, `SELECT ";"""`}, {"SELECT $a$;$$;$a$;", "SELECT $a$;$$;$a$"},
		{"SELECT 'it''s;'; -- '", "SELECT 'it''s;'"}, {`SELECT E'\';' ;`, `SELECT E'\';'`}, {"SELECT a$b FROM t; ", "SELECT a$b FROM t"},
		{"-- a\nSELECT 1", "-- a\nSELECT 1"}, {"", ""}, {"'open;", "'open;"}, {"/* open", ""}, {"$1;", "$1"}, {"e;", "e"}, {"SELECT 1 --\r+ 1;", "SELECT 1 --\r+ 1"},
	} {
		if got := trimStatement(test[0]); got != test[1] {
			t.Errorf("trimStatement(%q) = %q, want %q", test[0], got, test[1])
		}
	}
}

func TestTablesAndSize(t *testing.T) {
	w := mustOpen(t, t.TempDir()+"/w.duckdb", Options{})
	defer w.Close()
	mustLoad(t, w, 1, warehousetest.Batch(warehousetest.Inferred("a.b"), 10, warehousetest.Object{Commit: 1, Rows: []warehousetest.Row{{ID: "a", Time: "2015-08-18T06:00:00Z", Values: []any{"{}"}}}}))
	tables, err := w.Tables(t.Context())
	if want := []TableInfo{{Name: "a_b", Event: "a.b", Rows: 1, Columns: 5}}; err != nil || !slices.Equal(tables, want) {
		t.Errorf("tables are %+v, %v", tables, err)
	}
	file, wal, err := w.Size(t.Context())
	if err != nil || file+wal == 0 {
		t.Errorf("size is %d and %d, %v", file, wal, err)
	}
}

// TestQuerySpills sorts more than the memory limit.
func TestQuerySpills(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, dir+"/w.duckdb", Options{MemoryLimit: 48 << 20})
	rows := mustQuery(t, w, "SELECT i FROM range(6000000) r(i) ORDER BY hash(i), i OFFSET 5999999")
	if len(rows) != 1 {
		t.Errorf("%d rows", len(rows))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(dir + "/w.duckdb.tmp/*"); err != nil || len(left) > 0 {
		t.Errorf("Close left %v, %v", left, err)
	}
}
