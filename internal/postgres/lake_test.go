package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/archive"
	"arbalest/internal/blob"
	"arbalest/internal/duckdb"
	"arbalest/internal/lake"
	"arbalest/internal/load"
	"arbalest/internal/postgres/postgrestest"
	"arbalest/internal/warehouse"
)

// randomLake has random events of three names and few ids, of which two have
// one table.
func randomLake(t *testing.T, random *rand.Rand) *lake.Lake {
	t.Helper()
	noon := time.Date(2015, 8, 18, 12, 0, 0, 0, time.UTC)
	values := []string{"1", "2.5", "-0.0", "1e20", "1e-7", "0.1", "1e400", "123456789.123456789", `"x"`, `"é😀\n\\"`, `"2026-01-02"`, `"2026-01-02T03:04:05Z"`, `"2026-01-02T03:04:05.5+02:00"`,
		"true", "null", `{"y":1}`, "[1, 2.0]", "9007199254740993", "12345678901234567890", `""`}
	l, err := lake.Open(blob.NewMemory(), lake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		var lines []byte
		for range 1 + random.IntN(40) {
			at := noon.Add(time.Duration(random.IntN(8)) * 20 * time.Minute)
			if random.IntN(4) == 0 {
				at = noon.Add(48 * time.Hour) // that of receipt
			}
			p := fmt.Appendf(nil, `{"v%d":%s}`, random.IntN(6), values[random.IntN(len(values))])
			lines = arbalest.AppendLine(lines, arbalest.Event{ID: fmt.Sprint(random.IntN(80)), Name: []arbalest.EventName{"a", "b", "A"}[random.IntN(3)], Time: at, Received: noon.Add(48 * time.Hour), Hash: xxh3.Hash(p), Properties: p})
		}
		if _, err := l.NewWriter().AppendLines(t.Context(), lines); err != nil {
			t.Fatal(err)
		}
		for {
			s, err := l.Sort(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if s.Commit == 0 {
				break
			}
		}
	}
	return l
}

// tell returns all that a warehouse has, as text, but for the reasons of load
// errors: they name the type that the column had when it was tried.
func tell(t *testing.T, w interface {
	warehouse.Asker
	Tables(context.Context) ([]warehouse.TableInfo, error)
}) (out []string) {
	t.Helper()
	queries := []string{
		"SELECT event, hour, received, stored, rejected, loaded, repeats, conflicts, errors, not_loaded FROM arbalest.books ORDER BY event, hour",
		"SELECT table_name, event_id, event_time, kept_hash, other_hash, object, line FROM arbalest.conflicts ORDER BY object, line",
		"SELECT table_name, object, line, event_id, event_time, column_name, value, loaded FROM arbalest.load_errors ORDER BY object, line, column_name",
		`SELECT "commit", table_name, event, hour, stored FROM arbalest.journal ORDER BY "commit", table_name, event, hour`,
	}
	tables, err := w.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range tables {
		queries = append(queries, fmt.Sprintf("SELECT * FROM %s ORDER BY event_time, event_id", warehouse.Ident(info.Name)))
	}
	for _, sql := range queries {
		s := &sink{}
		if err := w.Ask(t.Context(), sql, s); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		names := make([]string, len(s.columns))
		for i, c := range s.columns {
			names[i] = c.Name
		}
		out = append(out, sql+": "+strings.Join(names, "|"))
		for _, row := range s.rows {
			out = append(out, strings.Join(row, "|"))
		}
	}
	return out
}

// TestInvariant3SameAsDuckDB loads random lakes into DuckDB and into PostgreSQL,
// and into PostgreSQL again from the store. All have the same; and what they
// have is what the store has.
func TestInvariant3SameAsDuckDB(t *testing.T) {
	for range 3 {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		l := randomLake(t, random)
		opts := load.Options{BatchBytes: int64(1 + random.IntN(3000)), Workers: 2}
		all := func(w load.Warehouse, opts load.Options) {
			t.Helper()
			loader := load.New(l, w, opts)
			for {
				r, err := loader.Once(t.Context())
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				for table, stall := range r.Progress.Stalled {
					t.Fatalf("seed %d: %s is stalled: %s", seed, table, stall.Reason)
				}
				if r.Idle {
					return
				}
			}
		}
		duck, err := duckdb.Open(t.Context(), "", duckdb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer duck.Close()
		all(duck, opts)
		want := tell(t, duck)
		w := warehouse.New(mustOpen(t, postgrestest.Start(t), Options{}))
		all(w, load.Options{Workers: 2})
		if err := w.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
		all(w, opts)
		got := tell(t, w)
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i] != want[i] {
				t.Errorf("seed %d, line %d of %d and %d:\nPostgreSQL has %s\nDuckDB has     %s", seed, i, len(got), len(want), got[min(i, len(got)-1)], want[min(i, len(want)-1)])
				break
			}
		}
		for _, of := range []struct {
			archive.Warehouse
			archive.Values
		}{{w, w.Database()}, {duck, duck.Database()}} {
			report, err := archive.Verify(t.Context(), l, of.Warehouse, archive.Options{Table: load.New(l, w, load.Options{}).Table, Values: of.Values})
			if err != nil || report.Err() != nil || len(report.Tables) < 2 || report.Tables[0].Compared == 0 {
				t.Errorf("seed %d: %s: %+v, %v", seed, of.Dialect().Name, report, err)
			}
		}
		if err := w.Reset(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		// The loader waits before it tries a stalled table again: a new one does not.
		loader := load.New(l, w, load.Options{})
		for done := false; !done; {
			r, err := loader.Once(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			done = r.Idle
		}
		after := tell(t, w)
		slices.Sort(after)
		slices.Sort(got)
		if !slices.Equal(after, got) {
			for i := range got {
				if i >= len(after) || after[i] != got[i] {
					t.Errorf("seed %d: after a rebuild of one table:\n has %s\n had %s", seed, after[min(i, len(after)-1)], got[i])
					break
				}
			}
		}
	}
}
