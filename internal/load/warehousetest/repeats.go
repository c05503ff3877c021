package warehousetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"arbalest/internal/load"
)

func testRepeatsInBatch(s *suite) {
	table := Declared("sent", Col("n", "INTEGER"))
	c := s.load(Batch(table, 2,
		Object{Commit: 1, Rows: []Row{
			{ID: "a", Time: "2015-08-18T06:00:00Z", Values: []any{1}},
			{ID: "b", Time: "2015-08-18T06:00:01Z", Values: []any{2}},
			{ID: "a", Time: "2015-08-18T06:59:59Z", Values: []any{3}, Dropped: true},
		}},
		Object{Commit: 1, Rows: []Row{
			{ID: "b", Time: "2015-08-18T06:30:00Z", Values: []any{4}, Dropped: true, Hash: "000000000000000b"},
			{ID: "c", Time: "2015-08-18T06:30:00Z", Values: []any{5}},
		}, ConflictRows: []load.Conflict{{Line: 1, ID: "b", Hash: "000000000000000b", Kept: "0000000000000000"}}}))
	s.wantCounts(c[0], load.Counts{Stored: 5, Loaded: 3, Repeats: 2, Conflicts: 1})
	s.wantRows("SELECT event_id, n FROM sent ORDER BY n", "a | 1", "b | 2", "c | 5")
	s.wantRows("SELECT table_name, event_id, kept_hash, other_hash, line FROM arbalest.conflicts", "sent | b | 0000000000000000 | 000000000000000b | 1")
}

func testRepeatsInTable(s *suite) {
	table := Declared("sent", Col("n", "INTEGER"))
	s.rows(table, Row{ID: "a", Time: "2015-08-18T06:00:00Z", Values: []any{1}}, Row{ID: "b", Time: "2015-08-18T06:59:59.999999Z", Values: []any{2}},
		Row{ID: "old", Time: "1969-12-31T23:59:59.5Z", Values: []any{3}})
	c := s.rows(table,
		Row{ID: "a", Time: "2015-08-18T06:59:59.999999Z", Values: []any{11}}, // same hour
		Row{ID: "b", Time: "2015-08-18T07:00:00Z", Values: []any{12}},        // the next
		Row{ID: "a", Time: "2015-08-18T05:59:59.999999Z", Values: []any{13}}, // the one before
		Row{ID: "c", Time: "2015-08-18T06:00:00Z", Values: []any{14}},
		Row{ID: "old", Time: "1969-12-31T23:00:00Z", Values: []any{15}},
		Row{ID: "old", Time: "1970-01-01T00:00:00Z", Values: []any{16}},
		Row{ID: "A", Time: "2015-08-18T06:00:00Z", Values: []any{17}})
	s.wantCounts(c, load.Counts{Stored: 7, Loaded: 5, Repeats: 2})
	s.wantRows("SELECT n FROM sent ORDER BY n", "1", "2", "3", "12", "13", "14", "16", "17")
	// The same batch again, in chunks of one row: nothing is new.
	c = s.rows(table, Row{ID: "a", Time: "2015-08-18T05:10:00Z", Values: []any{1}}, Row{ID: "b", Time: "2015-08-18T07:10:00Z", Values: []any{2}}, Row{ID: "c", Time: "2015-08-18T06:10:00Z", Values: []any{3}})
	s.wantCounts(c, load.Counts{Stored: 3, Repeats: 3})
	// Another table's ids are its own.
	c = s.rows(Declared("other", Col("n", "INTEGER")), Row{ID: "a", Time: "2015-08-18T06:00:00Z", Values: []any{1}})
	s.wantCounts(c, load.Counts{Stored: 1, Loaded: 1})
}

func testRepeatsByReceipt(s *suite) {
	table := Declared("late", Col("n", "INTEGER"))
	s.rows(table, Row{ID: "r", Time: "2015-08-18T06:30:00Z", ByReceipt: true, Values: []any{1}}, Row{ID: "t", Time: "2015-08-18T06:30:00Z", Values: []any{2}})
	step := func(want load.Counts, rows ...Row) {
		s.Helper()
		s.wantCounts(s.rows(table, rows...), want)
	}
	step(load.Counts{Stored: 1, Repeats: 1}, Row{ID: "r", Time: "2015-08-19T06:30:00Z", ByReceipt: true, Values: []any{3}})       // 24 hours later
	step(load.Counts{Stored: 1, Repeats: 1}, Row{ID: "r", Time: "2015-08-17T06:30:00Z", ByReceipt: true, Values: []any{4}})       // another clock
	step(load.Counts{Stored: 1, Repeats: 1}, Row{ID: "t", Time: "2015-08-18T23:30:00Z", ByReceipt: true, Values: []any{5}})       // of one that had a time
	step(load.Counts{Stored: 1, Loaded: 1}, Row{ID: "r", Time: "2015-08-18T08:30:00Z", Values: []any{6}})                         // has a time of its own
	step(load.Counts{Stored: 1, Loaded: 1}, Row{ID: "t", Time: "2015-08-19T06:30:00.000001Z", ByReceipt: true, Values: []any{7}}) // more than 24 hours
	step(load.Counts{Stored: 2, Repeats: 1, Loaded: 1}, Row{ID: "t", Time: "2015-08-19T06:59:00Z", Values: []any{8}}, Row{ID: "u", Time: "2015-08-19T06:59:00Z", ByReceipt: true, Values: []any{9}})
	s.wantRows("SELECT n FROM late ORDER BY n", "1", "2", "6", "7", "9")
}

// testRepeatsFarApart loads a batch of many hours over many years, each with a
// repeat.
func testRepeatsFarApart(s *suite) {
	table := Declared("sparse", Col("n", "INTEGER"))
	var old, again []Row
	for i := range 100 {
		at := fmt.Sprintf("%d-03-01T06:%02d:00Z", 1950+i, i%60)
		old = append(old, Row{ID: "a", Time: at, Values: []any{i}})
		again = append(again, Row{ID: "a", Time: fmt.Sprintf("%d-03-01T06:59:00Z", 1950+i), Values: []any{i}}, Row{ID: "b", Time: at, Values: []any{i}})
	}
	s.load(Batch(table, 7, Object{Commit: 1, Rows: old}))
	c := s.load(Batch(table, 7, Object{Commit: 2, Rows: again}))
	s.wantCounts(c[0], load.Counts{Stored: 200, Loaded: 100, Repeats: 100})
}

func testConflicts(s *suite) {
	table := Declared("changed", Col("n", "INTEGER"))
	s.rows(table, Row{ID: "a", Time: "2015-08-18T06:00:00Z", Hash: "00000000000000aa", Values: []any{1}}, Row{ID: "b", Time: "2015-08-18T06:00:00Z", Hash: "00000000000000bb", Values: []any{2}})
	c := s.load(Batch(table, 2,
		Object{Commit: 2, Rows: []Row{{ID: "z", Time: "2015-08-18T06:00:00Z", Values: []any{3}}, {ID: "b", Time: "2015-08-18T06:00:00Z", Hash: "00000000000000bb", Values: []any{4}}}},
		Object{Commit: 2, Rows: []Row{{ID: "y", Time: "2015-08-18T06:00:00Z", Values: []any{5}}, {ID: "a", Time: "2015-08-18T06:10:00Z", Hash: "00000000000000ff", Values: []any{6}}}}))
	s.wantCounts(c[0], load.Counts{Stored: 4, Loaded: 2, Repeats: 2, Conflicts: 1})
	s.wantRows("SELECT event_id, n FROM changed ORDER BY n", "a | 1", "b | 2", "z | 3", "y | 5")
	s.wantRows(`SELECT table_name, event_id, event_time, kept_hash, other_hash, object, line, "commit" FROM arbalest.conflicts`,
		"changed | a | 2015-08-18 06:10:00 | 00000000000000aa | 00000000000000ff | changed/2015-08-18/06/00000000000000000002-1.ndjson | 2 | 2")
	s.wantRows("SELECT event, hour, received, stored, rejected, loaded, repeats, conflicts, errors, not_loaded FROM arbalest.books",
		"changed | 2015-08-18 06:00:00 | 6 | 6 | 0 | 4 | 2 | 1 | 0 | 0")
}

// testRandomRepeats loads batches of random events of few ids and hours, and
// compares what is in the table with what the rule says.
func testRandomRepeats(s *suite) {
	seed := rand.Uint64()
	s.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	table := Declared("random", Col("n", "INTEGER"))
	kept := map[string][]int64{} // by id, the times in the table
	var want []string
	for range 25 {
		var rows []Row
		for range 1 + random.IntN(60) {
			at := Micros("2015-08-18T00:00:00Z") + random.Int64N(50*3600*1_000_000)
			r := Row{ID: fmt.Sprint(random.IntN(150)), Time: time.UnixMicro(at).UTC().Format(time.RFC3339Nano), ByReceipt: random.IntN(4) == 0, Values: []any{len(want)}}
			r.Dropped = slices.ContainsFunc(rows, func(o Row) bool { return o.ID == r.ID })
			rows = append(rows, r)
			sighting := load.Sighting{Time: at, ByReceipt: r.ByReceipt}
			if !r.Dropped && !slices.ContainsFunc(kept[r.ID], sighting.Repeats) {
				kept[r.ID] = append(kept[r.ID], at)
				want = append(want, fmt.Sprint(r.ID, " ", at))
			}
		}
		s.load(Batch(table, 1+random.IntN(50), Object{Commit: s.at.Commit + 1, Rows: rows}))
	}
	var got []string
	err := s.w.Rows(s.Context(), "random", 0, 1<<60, func(r load.Row) error {
		got = append(got, fmt.Sprint(r.ID, " ", r.Time))
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.Errorf("table has %d rows, want %d", len(got), len(want))
	}
}
