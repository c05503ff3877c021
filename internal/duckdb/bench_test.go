package duckdb

import (
	"bufio"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/decode"
	"arbalest/internal/load"
	"arbalest/internal/load/warehousetest"
)

// benchRows is how many rows the benchmarks load: 12 columns, about 240 bytes
// a row as NDJSON.
const benchRows = 2_000_000

func benchTable() arbalest.Table {
	return warehousetest.Declared("bench", warehousetest.Col("email", "VARCHAR(256)"), warehousetest.Col("workflow", "VARCHAR(256)"),
		warehousetest.Col("country", "VARCHAR(256)"), warehousetest.Col("path", "VARCHAR(256)"), warehousetest.Col("session", "VARCHAR(256)"),
		warehousetest.Col("at", "TIMESTAMP"), warehousetest.Col("amount", "DOUBLE PRECISION"), warehousetest.Col("n", "BIGINT"))
}

// benchStart is when the rows begin.
var benchStart = warehousetest.Micros("2026-08-21T00:00:00Z")

// benchBatch makes rows from first on, one each step, in chunks of 8,171. Ids are random
// UUIDs, of the generator.
func benchBatch(table arbalest.Table, commit arbalest.Seq, first, rows int, step time.Duration, random *rand.Rand) load.TableBatch {
	b := load.TableBatch{Table: table}
	b.Objects = []load.ObjectRef{{Commit: commit, Object: arbalest.Object{Key: "bench/x", Event: table.Event, Hour: arbalest.HourOfUnix((benchStart + int64(first)*step.Microseconds()) / 1e6), Events: int64(rows)}}}
	columns := table.AllColumns()
	for done := 0; done < rows; {
		n := min(8171, rows-done)
		c := &decode.Chunk{Rows: n, Columns: make([]decode.Vector, len(columns)), Object: make([]int32, n), Line: make([]int64, n)}
		text := func(i int, format string, args ...any) {
			c.Columns[i].Data = fmt.Appendf(c.Columns[i].Data, format, args...)
			c.Columns[i].Offsets = append(c.Columns[i].Offsets, int32(len(c.Columns[i].Data)))
		}
		for i := range columns {
			c.Columns[i].Type = columns[i].Type
			if k := columns[i].Type.Kind; k == arbalest.Varchar || k == arbalest.Char {
				c.Columns[i].Offsets = []int32{0}
			}
		}
		for r := range n {
			at := benchStart + int64(first+done+r)*step.Microseconds()
			x, y := random.Uint64(), random.Uint64()
			text(0, "%08x-%04x-4%03x-a%03x-%012x", uint32(x), uint16(x>>32), uint16(x>>52), uint16(y)&0xfff, y>>16)
			c.Columns[1].Int64 = append(c.Columns[1].Int64, at)
			c.Columns[2].Int64 = append(c.Columns[2].Int64, at+500_000)
			text(3, "%016x", random.Uint64())
			text(4, "user%d@example.com", random.IntN(1_000_000))
			text(5, "%s", [...]string{"mobile", "web", "api"}[random.IntN(3)])
			text(6, "C%d", random.IntN(200))
			text(7, "/products/%d/view", random.IntN(10_000))
			text(8, "%016x", random.IntN(500_000)*7919)
			c.Columns[9].Int64 = append(c.Columns[9].Int64, at)
			c.Columns[10].Float64 = append(c.Columns[10].Float64, float64(random.IntN(1_000_000))/100)
			c.Columns[11].Int64 = append(c.Columns[11].Int64, random.Int64N(100_000))
			c.Line[r] = int64(done + r + 1)
		}
		b.Chunks = append(b.Chunks, c)
		done += n
	}
	return load.FindRepeats(b)
}

// BenchmarkLoad loads batches of 250,000 rows into a file. The more rows an hour
// has, the more there is to look through for repeats.
func BenchmarkLoad(b *testing.B) {
	for _, step := range []time.Duration{time.Second / 10, time.Second / 100, time.Second / 1000} {
		b.Run(fmt.Sprintf("%d_a_second", time.Second/step), func(b *testing.B) { benchmarkLoad(b, step) })
	}
}

func benchmarkLoad(b *testing.B, step time.Duration) {
	spent := time.Duration(0)
	for range b.N {
		w := mustOpen(b, filepath.Join(b.TempDir(), "w.duckdb"), Options{})
		random := rand.New(rand.NewPCG(1, 2))
		b.StopTimer()
		for first := 0; first < benchRows; first += 250_000 {
			commit := arbalest.Seq(first/250_000 + 1)
			batch := benchBatch(benchTable(), commit, first, 250_000, step, random)
			b.StartTimer()
			from := processorTime()
			mustLoad(b, w, commit, batch)
			spent += processorTime() - from
			b.StopTimer()
		}
		b.StartTimer()
		from := processorTime()
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
		spent += processorTime() - from
	}
	b.ReportMetric(spent.Seconds()/float64(b.N), "cpu-s/op")
	b.ReportMetric(float64(b.N)*benchRows/b.Elapsed().Seconds(), "rows/s")
}

func mustLoad(t testing.TB, w *Warehouse, commit arbalest.Seq, b load.TableBatch) load.Counts {
	t.Helper()
	counts, err := w.Load(t.Context(), load.Progress{Cursor: load.Cursor{Commit: commit - 1}}, load.Batch{Tables: []load.TableBatch{b}, Next: load.Progress{Cursor: load.Cursor{Commit: commit}}})
	if err != nil {
		t.Fatal(err)
	}
	return counts[0]
}

// BenchmarkReadJSON is what BenchmarkLoad is measured against: DuckDB reads the
// same rows from NDJSON with the columns' types given. It looks for no repeats
// and notices no bad value.
func BenchmarkReadJSON(b *testing.B) {
	lines := filepath.Join(b.TempDir(), "lines.ndjson")
	writeLines(b, lines)
	b.ResetTimer()
	from := processorTime()
	for range b.N {
		db, err := sql.Open("duckdb", filepath.Join(b.TempDir(), "j.duckdb")+"?threads=2")
		if err != nil {
			b.Fatal(err)
		}
		for _, statement := range []string{
			`CREATE TABLE bench (event_id VARCHAR, event_time TIMESTAMP, received_at TIMESTAMP, event_hash VARCHAR, email VARCHAR, workflow VARCHAR, country VARCHAR, path VARCHAR, session VARCHAR, at_ TIMESTAMP, amount DOUBLE, n BIGINT)`,
			`INSERT INTO bench SELECT * FROM read_json('` + lines + `', format = 'newline_delimited', columns = {event_id: 'VARCHAR', event_time: 'TIMESTAMP', received_at: 'TIMESTAMP', event_hash: 'VARCHAR', email: 'VARCHAR', workflow: 'VARCHAR', country: 'VARCHAR', path: 'VARCHAR', session: 'VARCHAR', at_: 'TIMESTAMP', amount: 'DOUBLE', n: 'BIGINT'})`,
		} {
			if _, err := db.Exec(statement); err != nil {
				b.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((processorTime()-from).Seconds()/float64(b.N), "cpu-s/op")
	b.ReportMetric(float64(b.N)*benchRows/b.Elapsed().Seconds(), "rows/s")
}

func writeLines(b *testing.B, path string) {
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	out := bufio.NewWriterSize(f, 1<<20)
	random := rand.New(rand.NewPCG(1, 2))
	for first := 0; first < benchRows; first += 250_000 {
		batch := benchBatch(benchTable(), 1, first, 250_000, time.Millisecond, random)
		for _, c := range batch.Chunks {
			for r := range c.Rows {
				v := func(i int) string { return string(load.Text(&c.Columns[i], r)) }
				at := func(i int) string {
					return time.UnixMicro(c.Columns[i].Int64[r]).UTC().Format("2006-01-02T15:04:05.999999")
				}
				fmt.Fprintf(out, `{"event_id":"%s","event_time":"%s","received_at":"%s","event_hash":"%s","email":"%s","workflow":"%s","country":"%s","path":"%s","session":"%s","at_":"%s","amount":%g,"n":%d}`+"\n",
					v(0), at(1), at(2), v(3), v(4), v(5), v(6), v(7), v(8), at(9), c.Columns[10].Float64[r], c.Columns[11].Int64[r])
			}
		}
	}
	if err := out.Flush(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkLive loads a second's 5,000 events into a table that has ten million
// of the same hour (-benchtime 20x is enough).
func BenchmarkLive(b *testing.B) {
	w := mustOpen(b, filepath.Join(b.TempDir(), "w.duckdb"), Options{})
	defer w.Close()
	random := rand.New(rand.NewPCG(1, 2))
	table := benchTable()
	commit := arbalest.Seq(0)
	loadRows := func(rows int, at int64) load.TableBatch {
		commit++
		batch := benchBatch(table, commit, 0, rows, time.Millisecond, random)
		for _, c := range batch.Chunks {
			for r := range c.Rows {
				c.Columns[1].Int64[r] = at + int64(r)
				c.Columns[2].Int64[r] = at + int64(r) + 300
			}
		}
		return batch
	}
	for i := range 40 {
		at := benchStart + int64(i)*90_000_000
		batch := loadRows(250_000, at)
		mustLoad(b, w, commit, batch)
	}
	b.ResetTimer()
	spent := time.Duration(0)
	for i := range b.N {
		b.StopTimer()
		batch := loadRows(5000, benchStart+3_590_000_000+int64(i%10)*1000)
		b.StartTimer()
		from := processorTime()
		mustLoad(b, w, commit, batch)
		spent += processorTime() - from
	}
	b.ReportMetric(spent.Seconds()/float64(b.N), "cpu-s/op")
}

// processorTime is what the process has used, of all processors: unlike the
// clock it says little of what else the machine does.
func processorTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkManyTables loads two events of each of 161 tables.
func BenchmarkManyTables(b *testing.B) {
	w := mustOpen(b, filepath.Join(b.TempDir(), "w.duckdb"), Options{})
	defer w.Close()
	for commit := range arbalest.Seq(b.N) {
		b.StopTimer()
		var batch load.Batch
		batch.Next.Commit = commit + 1
		for i := range 161 {
			rows := []warehousetest.Row{{ID: fmt.Sprint(int(commit)), Time: "2015-08-18T06:00:00Z", Values: []any{i, "x", "{}"}}, {ID: fmt.Sprint("b", int(commit)), Time: "2015-08-18T06:00:00Z", Values: []any{i, "x", "{}"}}}
			batch.Tables = append(batch.Tables, warehousetest.Batch(warehousetest.Inferred(fmt.Sprintf("event.%03d", i), warehousetest.Col("a", "BIGINT"), warehousetest.Col("b", "VARCHAR(256)")), 10, warehousetest.Object{Commit: commit + 1, Rows: rows}))
		}
		b.StartTimer()
		if _, err := w.Load(b.Context(), load.Progress{Cursor: load.Cursor{Commit: commit}}, batch); err != nil {
			b.Fatal(err)
		}
	}
}
