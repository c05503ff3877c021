package duckdb

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"arbalest"
	"arbalest/internal/load"
	"arbalest/internal/load/warehousetest"
)

// TestRepeatsAreThoseOfTheRule loads batches of random events of few ids and
// hours, and compares what is in the table with what the rule says, with room
// for the ids of all hours, of some, and of none.
func TestRepeatsAreThoseOfTheRule(t *testing.T) {
	for _, limit := range []int64{64 << 20, 12 << 10, 1} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			w := mustOpen(t, "", Options{RecentLimit: limit})
			defer w.Close()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			table := warehousetest.Declared("random", warehousetest.Col("n", "INTEGER"))
			var rule warehousetest.Rule
			var counts load.Counts
			for commit := range arbalest.Seq(120) {
				rows := warehousetest.RandomRows(random, 40, 300)
				for _, r := range rows {
					rule.Take(r)
				}
				counts.Add(mustLoad(t, w, commit+1, warehousetest.Batch(table, 1+random.IntN(50), warehousetest.Object{Commit: commit + 1, Rows: rows})))
			}
			if counts != rule.Counts {
				t.Errorf("counts are %+v, want %+v", counts, rule.Counts)
			}
			var got []string
			err := w.Rows(t.Context(), "random", 0, 1<<60, func(r load.Row) error {
				got = append(got, fmt.Sprint(r.ID, " ", r.Time, " ", r.Hash))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(got)
			slices.Sort(rule.Rows)
			if !slices.Equal(got, rule.Rows) {
				t.Errorf("table has %d rows, want %d", len(got), len(rule.Rows))
			}
			if w.recent.bytes > limit {
				t.Errorf("ids of recent hours take %d bytes, over %d", w.recent.bytes, limit)
			}
			sets := 0
			for _, h := range w.recent.hours {
				if h.set != nil && h.set.bytes() > 0 {
					sets++
				}
			}
			if limit >= 1<<20 && sets == 0 || limit == 1 && sets > 0 {
				t.Errorf("ids of %d hours are known", sets)
			}
		})
	}
}

func TestIDSet(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	s := newIDSet(0)
	var hashes []uint64
	bytes := int64(0)
	for range 300_000 {
		h := random.Uint64()
		hashes = append(hashes, h)
		had, grown := s.add(h)
		if had {
			t.Fatalf("set has %x before it came", h)
		}
		bytes += grown
	}
	for _, h := range hashes {
		if had, grown := s.add(h); !s.has(h) || !had || grown > 0 {
			t.Fatalf("set lost %x", h)
		}
	}
	wrong := 0
	for range 1_000_000 {
		if s.has(random.Uint64()) {
			wrong++
		}
	}
	if wrong > 3 {
		t.Errorf("set has %d of a million hashes that it has not", wrong)
	}
	if bytes != s.bytes() || bytes > 300_000*11 {
		t.Errorf("set takes %d bytes, and says it grew by %d", s.bytes(), bytes)
	}
}
