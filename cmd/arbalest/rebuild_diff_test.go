package main

import (
	"fmt"
	"strings"
	"testing"

	"arbalest/internal/capture"
	"arbalest/internal/postgres/postgrestest"
	"arbalest/internal/warehouse"
)

// TestRebuildDiff damages a live table and changes its definition: the diff says so,
// and leaves the live table as it is until it is told to swap.
func TestRebuildDiff(t *testing.T) {
	for _, kind := range []string{"duckdb", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			p := place{dir: t.TempDir()}
			url := ""
			if kind == "postgres" {
				url = postgrestest.Start(t)
			}
			open := func(columns ...columnConfig) *engine {
				e, err := openEngine(t.Context(), p, config{Warehouse: warehouseConfig{URL: url}, Events: map[string]eventConfig{"order": {Columns: columns}}})
				if err != nil {
					t.Fatal(err)
				}
				return e
			}
			quiet := func(progress) {}
			e := open(columnConfig{Name: "amount", Type: "INTEGER"}, columnConfig{Name: "gone", Type: "DATE"}, columnConfig{Name: "doc", Type: "JSON"}, columnConfig{Name: "code", Type: "INTEGER"})
			h, err := capture.New(capture.Options{Appender: e.lake.NewWriter()})
			if err != nil {
				t.Fatal(err)
			}
			var lines strings.Builder
			for i := range 10 {
				fmt.Fprintf(&lines, `{"event":"order","id":"%d","timestamp":"2026-01-01T00:00:00Z","data":{"amount":%d,"doc":{"a":%d},"new":"x","code":7}}`+"\n", i, i, i)
			}
			lines.WriteString(`{"event":"other","id":"1","timestamp":"2026-01-01T00:00:00Z","data":{"n":1}}`)
			if _, err := h.Take(t.Context(), []byte(lines.String())); err != nil {
				t.Fatal(err)
			}
			if _, err := e.Sync(t.Context(), quiet); err != nil {
				t.Fatal(err)
			}
			damage := []string{`DELETE FROM "order" WHERE event_id = '1'`, `UPDATE "order" SET amount = 99 WHERE event_id IN ('2', '3')`, `UPDATE "order" SET amount = NULL WHERE event_id = '4'`,
				`UPDATE "order" SET doc = '{}' WHERE event_id = '5'`, `UPDATE "order" SET code = 8 WHERE event_id = '7'`, `UPDATE "order" SET event_id = 'nobody' WHERE event_id = '6'`}
			err = e.database.Transact(t.Context(), "test", func(tx warehouse.Tx) error {
				for _, sql := range damage {
					if _, err := tx.Exec(t.Context(), sql); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			e = open(columnConfig{Name: "amount", Type: "DECIMAL(9,2)"}, columnConfig{Name: "doc", Type: "JSON"}, columnConfig{Name: "new", Type: "VARCHAR(3)"}, columnConfig{Name: "code", Type: "VARCHAR(3)"})
			defer e.Close()
			told := func(q rebuildRequest) string {
				t.Helper()
				r, err := e.Rebuild(t.Context(), q, quiet)
				if err != nil {
					t.Fatal(err)
				}
				var out strings.Builder
				if err := r.print(&out, false); err != nil {
					t.Fatal(err)
				}
				return out.String()
			}
			has := `SELECT count(*), sum(amount), count(amount), min(event_id) FROM "order"`
			was := answerOf(t, e, has)
			const diff = `order: 8 rows in both, 1 only in the live table, 2 only in the new one.
  amount INTEGER to DECIMAL(9,2): 3 values differ
  gone DATE goes
  doc JSON: 1 value differs
  code INTEGER to VARCHAR: 1 value differs
  new VARCHAR comes
`
			const other = "other: 1 row in both, 0 only in the live table, 0 only in the new one.\n"
			const stay = "The live tables are as they were: rebuild without --diff puts the new ones in their place.\n"
			want := func(got, want string) {
				t.Helper()
				got = strings.NewReplacer("integer", "INTEGER", "numeric", "DECIMAL", "date ", "DATE ", "json", "JSON", "character varying(3)", "VARCHAR").Replace(got)
				if !strings.HasPrefix(got, want) {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			}
			want(told(rebuildRequest{Tables: []string{"order"}, Diff: true}), diff+stay)
			want(told(rebuildRequest{Diff: true}), diff+other+stay)
			if got := answerOf(t, e, has); got != was {
				t.Errorf("the live table was %s, and is %s", was, got)
			}
			want(told(rebuildRequest{Diff: true, Swap: true}), diff+other+"The tables that were made before are in place.\n")
			want(told(rebuildRequest{Diff: true}), "order: 10 rows in both, 0 only in the live table, 0 only in the new one.\n"+other+stay)
			if r, err := e.Rebuild(t.Context(), rebuildRequest{}, quiet); err != nil || r.Loaded != 0 || !r.Swapped {
				t.Errorf("rebuild after its diff loads again: %+v, %v", r, err)
			}
			if report, err := e.Verify(t.Context(), verifyRequest{}, quiet); err != nil || report.Err() != nil {
				t.Error(err, report.Err())
			}
		})
	}
}
