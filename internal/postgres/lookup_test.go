package postgres

import (
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/load"
	"arbalest/internal/postgres/postgrestest"
	"arbalest/internal/warehouse"
)

// TestLookupReadsAnIndex has the planner say how it would look rows up: by hour
// and id, whether or not the table was analysed, and before the last hour.
func TestLookupReadsAnIndex(t *testing.T) {
	d := mustOpen(t, postgrestest.Start(t), Options{})
	w := warehouse.New(d)
	for commit, hour := range []time.Duration{0, 1} {
		batch := benchBatch(1, 0, 30_000, time.Millisecond)
		for _, c := range batch.Chunks {
			for row := range c.Columns[load.TimeColumn].Int64 {
				c.Columns[load.TimeColumn].Int64[row] += (hour * time.Hour).Microseconds()
			}
		}
		if _, err := w.Load(t.Context(), at(arbalest.Seq(commit)), load.Batch{Tables: []load.TableBatch{batch}, Next: at(arbalest.Seq(commit + 1))}); err != nil {
			t.Fatal(err)
		}
		run(t, d, "DROP TABLE IF EXISTS stage")
		run(t, d, "CREATE TABLE stage AS SELECT 1::bigint AS row_place, event_id, event_time, true AS by_receipt FROM inserted ORDER BY event_time DESC LIMIT 1000")
		for _, receipts := range []bool{false, true} {
			plan := strings.Join(rows(t, d, "EXPLAIN "+lookup("inserted", "stage", receipts)), "\n")
			want := 1
			if receipts {
				want = 2
			}
			if strings.Count(plan, "Index Cond: ((date_trunc(") != want || strings.Contains(plan, "Seq Scan on inserted") || strings.Contains(plan, "Hash") {
				t.Errorf("with receipts %v the plan is\n%s", receipts, plan)
			}
		}
		run(t, d, "ANALYZE inserted")
	}
}
