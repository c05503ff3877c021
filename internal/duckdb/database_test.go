package duckdb

import (
	"errors"
	"testing"

	"arbalest"
	"arbalest/internal/load/warehousetest"
	"arbalest/internal/warehouse"
	"arbalest/internal/warehouse/databasetest"
)

func TestDatabase(t *testing.T) {
	databasetest.Run(t, func(t *testing.T) warehouse.Database {
		w := mustOpen(t, "", Options{})
		t.Cleanup(func() {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
		return w.Database()
	})
}

// TestDatabaseValues reads values of types that only DuckDB has.
func TestDatabaseValues(t *testing.T) {
	w := mustOpen(t, "", Options{})
	defer w.Close()
	for sql, want := range map[string]any{
		"170141183460469231731687303715884105727::HUGEINT": "170141183460469231731687303715884105727",
		"18446744073709551615::UBIGINT":                    "18446744073709551615",
		"4294967295::UINTEGER":                             int64(4294967295),
		"(-128)::TINYINT":                                  int64(-128),
		"sum(1)":                                           "1",
		"0.1::FLOAT":                                       float64(float32(0.1)),
		"'{\"a\": 1.10}'::JSON":                            `{"a": 1.10}`,
		"[1, NULL]":                                        "[1,null]",
		"{'a': 1}":                                         `{"a":1}`,
		"'\\xAA'::BLOB":                                    `\xAA`,
		"TIME '10:00:00.5'":                                "10:00:00.5",
		"INTERVAL 90 MINUTE":                               "01:30:00",
		"'infinity'::TIMESTAMP":                            "infinity",
		"'-infinity'::TIMESTAMPTZ":                         "-infinity",
		"'00000000-0000-0000-0000-000000000001'::UUID": "00000000-0000-0000-0000-000000000001",
		"'a'::ENUM('a', 'b')":                          "a",
	} {
		var got any = errors.New("no row")
		err := w.Database().Query(t.Context(), "SELECT "+sql, func(values []any) error { got = values[0]; return nil })
		if err != nil || got != want {
			t.Errorf("%s: %T %v, %v; want %T %v", sql, got, got, err, want, want)
		}
	}
}

func TestDatabaseRefuses(t *testing.T) {
	w := mustOpen(t, "", Options{})
	defer w.Close()
	try := func(do func(tx warehouse.Tx) error) error { return w.Database().Transact(t.Context(), "x", do) }
	for _, sql := range []string{"COMMIT", "ROLLBACK", "BEGIN", "SET threads = 1", "USE memory", "ATTACH ':memory:' AS m", "DETACH warehouse", "COPY (SELECT 1) TO '/tmp/x.csv'", "CREATE TABLE x AS FROM read_csv('/etc/passwd')"} {
		if err := try(func(tx warehouse.Tx) error { _, err := tx.Exec(t.Context(), sql); return err }); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if err := w.Database().Query(t.Context(), "CREATE TABLE x (n INTEGER)", nil); !errors.Is(err, arbalest.ErrInvalid) {
		t.Error(err)
	}
	err := try(func(tx warehouse.Tx) error {
		return tx.Query(t.Context(), "SELECT 1", func([]any) error {
			_, err := tx.Exec(t.Context(), "CREATE TABLE within (n INTEGER)")
			return err
		})
	})
	if !errors.Is(err, arbalest.ErrInvalid) {
		t.Errorf("a statement within a query: %v", err)
	}
	for _, c := range []struct {
		table, column string
		ok            bool
	}{
		{"INTEGER", "SMALLINT", true}, {"BIGINT", "INTEGER", true}, {"DECIMAL(14,2)", "DECIMAL(12,2)", true}, {"JSON", "VARCHAR(9)", true},
		{"VARCHAR", "JSON", true}, {"DOUBLE", "REAL", true}, {"TIMESTAMP", "DATE", true},
		{"INTEGER", "BIGINT", false}, {"DECIMAL(12,2)", "DECIMAL(12,4)", false}, {"INTEGER", "DOUBLE PRECISION", false}, {"BOOLEAN", "INTEGER", false}, {"DATE", "TIMESTAMP", false},
	} {
		columns := []arbalest.Column{warehousetest.Col("c", c.column)}
		err := try(func(tx warehouse.Tx) error {
			if _, err := tx.Exec(t.Context(), "CREATE OR REPLACE TABLE types (c "+c.table+")"); err != nil {
				return err
			}
			chunk := warehousetest.Batch(warehousetest.Declared("e", columns...), 1, warehousetest.Object{Rows: []warehousetest.Row{{Time: "2015-08-18T06:00:00Z", Values: []any{nil}}}}).Chunks[0]
			_, err := tx.Insert(t.Context(), "types", columns, []warehouse.Page{{Rows: 1, Columns: chunk.Columns[len(arbalest.SystemColumns):]}})
			return err
		})
		if c.ok && err != nil || !c.ok && !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("%s into %s: %v", c.column, c.table, err)
		}
	}
}

// TestDatabaseBesideLoad changes an event's table between two loads, which
// must see that.
func TestDatabaseBesideLoad(t *testing.T) {
	w := mustOpen(t, "", Options{})
	defer w.Close()
	row := func(id string) warehousetest.Row {
		return warehousetest.Row{ID: id, Time: "2015-08-18T06:00:00Z", Values: []any{1}}
	}
	load := func(commit arbalest.Seq, ids ...string) {
		var rows []warehousetest.Row
		for _, id := range ids {
			rows = append(rows, row(id))
		}
		mustLoad(t, w, commit, warehousetest.Batch(warehousetest.Declared("beside", warehousetest.Col("n", "INTEGER")), 10, warehousetest.Object{Commit: commit, Rows: rows}))
	}
	load(1, "a", "b")
	load(2, "b", "c")
	for i, sql := range []string{"DELETE FROM beside", "ALTER TABLE beside DROP COLUMN n", "DROP TABLE beside"} {
		err := w.Database().Transact(t.Context(), "x", func(tx warehouse.Tx) error {
			_, err := tx.Exec(t.Context(), sql)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		load(arbalest.Seq(3+2*i), "a", "d")
		load(arbalest.Seq(4+2*i), "d", "e")
		if got := mustQuery(t, w, "SELECT count(*) FROM beside WHERE n = 1 OR n IS NULL")[0][0]; got != "3" {
			t.Errorf("after %s: %s rows, want a, d and e", sql, got)
		}
	}
}
