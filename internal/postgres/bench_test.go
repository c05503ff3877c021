package postgres

import (
	"fmt"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/load"
	"arbalest/internal/load/warehousetest"
	"arbalest/internal/postgres/postgrestest"
	"arbalest/internal/warehouse"
)

// benchTable has 12 columns, as most events do.
func benchTable() arbalest.Table {
	return warehousetest.Inferred("inserted", warehousetest.Col("a", "BIGINT"), warehousetest.Col("b", "DOUBLE PRECISION"), warehousetest.Col("c", "BOOLEAN"),
		warehousetest.Col("d", "DECIMAL(18,2)"), warehousetest.Col("e", "VARCHAR(256)"), warehousetest.Col("f", "VARCHAR(256)"), warehousetest.Col("g", "TIMESTAMP"))
}

// benchBatch has rows of which each comes some time after the one before it.
func benchBatch(commit arbalest.Seq, first, rows int, apart time.Duration) load.TableBatch {
	var in []warehousetest.Row
	from := time.Date(2015, 8, 18, 6, 0, 0, 0, time.UTC)
	for i := range rows {
		in = append(in, warehousetest.Row{ID: fmt.Sprintf("%08x-0000-4000-8000-%012d", uint32(first+i)*2654435761, first+i), Time: from.Add(time.Duration(first+i) * apart).Format(time.RFC3339Nano),
			Values: []any{i, 0.5, true, "12345.67", "jane@doe.com", "mobile", "2015-08-18T06:36:40Z", `{"email_address":"jane@doe.com","amount":12345.67,"workflow":"mobile"}`}})
	}
	return warehousetest.Batch(benchTable(), 8192, warehousetest.Object{Commit: commit, Rows: in})
}

// BenchmarkInsert inserts rows of 12 columns.
func BenchmarkInsert(b *testing.B) {
	const n = 100_000
	d := mustOpen(b, postgrestest.Start(b), Options{})
	var pages []warehouse.Page
	for _, c := range benchBatch(1, 0, n, time.Millisecond).Chunks {
		pages = append(pages, warehouse.Page{Rows: c.Rows, Columns: c.Columns})
	}
	columns := benchTable().AllColumns()
	run(b, d, "CREATE TABLE inserted ("+d.Dialect().Define(columns)+")")
	b.ResetTimer()
	for b.Loop() {
		if err := insert(b, d, "inserted", columns, pages); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkLoad loads batches into a table, each of rows of an hour that has
// rows already.
func BenchmarkLoad(b *testing.B) {
	for _, rows := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			w := warehouse.New(mustOpen(b, postgrestest.Start(b), Options{}))
			at := load.Progress{}
			first := 0
			step := func() {
				b.StopTimer()
				at.Commit++
				batch := benchBatch(at.Commit, first, rows, 10*time.Millisecond)
				first += rows
				b.StartTimer()
				prev := load.Progress{Cursor: load.Cursor{Commit: at.Commit - 1}}
				if _, err := w.Load(b.Context(), prev, load.Batch{Tables: []load.TableBatch{batch}, Next: at}); err != nil {
					b.Fatal(err)
				}
			}
			step()
			b.ResetTimer()
			for range b.N {
				step()
			}
			b.ReportMetric(float64(b.N*rows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkLive loads a second's 1,000 events into a table that has two million
// of the same hour (-benchtime 20x is enough).
func BenchmarkLive(b *testing.B) {
	w := warehouse.New(mustOpen(b, postgrestest.Start(b), Options{}))
	first := 0
	step := func(prev arbalest.Seq, rows int, receipts bool) {
		b.StopTimer()
		batch := benchBatch(prev+1, first, rows, time.Millisecond)
		if first += rows; receipts {
			for _, c := range batch.Chunks {
				c.Columns[load.ReceivedColumn].Int64 = c.Columns[load.TimeColumn].Int64
			}
			batch = load.FindRepeats(batch)
		}
		b.StartTimer()
		if _, err := w.Load(b.Context(), at(prev), load.Batch{Tables: []load.TableBatch{batch}, Next: at(prev + 1)}); err != nil {
			b.Fatal(err)
		}
	}
	commit := arbalest.Seq(0)
	for ; commit < 20; commit++ {
		step(commit, 100_000, false)
	}
	for _, receipts := range []bool{false, true} {
		b.Run(fmt.Sprintf("receipts_%v", receipts), func(b *testing.B) {
			for range b.N {
				step(commit, 1000, receipts)
				commit++
			}
		})
	}
}
