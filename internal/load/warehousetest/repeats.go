package warehousetest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"arbalest/internal/load"
)

func testRepeatsInBatch(s *suite) {
	table := Declared("sent", Col("n", "INTEGER"))
	c := s.load(Batch(table, 2,
		Object{Commit: 1, Rows: []Row{
			{ID: "a", Time: "2015-08-18T06:00:00Z", Values: []any{1}},
			{ID: "b", Time: "2015-08-18T06:00:01Z", Values: []any{2}},
			{ID: "a", Time: "2015-08-18T06:59:59Z", Values: []any{3}},
		}},
		Object{Commit: 1, Rows: []Row{
			{ID: "b", Time: "2015-08-18T06:30:00Z", Values: []any{4}, Hash: "000000000000000b"},
			{ID: "c", Time: "2015-08-18T06:30:00Z", Values: []any{5}},
		}}))
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

// testRepeatsOfRepeats has rows that repeat a row of their batch which repeats
// one of the table: it is the one in the table that counts.
func testRepeatsOfRepeats(s *suite) {
	table := Declared("again", Col("n", "INTEGER"))
	day := func(times string) Row { // of the id a
		return Row{ID: "a", Time: "2015-08-" + times + ":00Z", Values: []any{0}}
	}
	hash := func(r Row, h string) Row { r.Hash = "00000000000000" + h; return r }
	receipt := func(r Row) Row { r.ByReceipt = true; return r }
	steps := []struct {
		what string
		rows []Row // a batch
		want load.Counts
	}{
		{"the first", []Row{hash(day("18T06:00"), "aa")}, load.Counts{Stored: 1, Loaded: 1}},
		{"both differ from the table's, and not from each other", []Row{hash(day("18T06:10"), "bb"), hash(day("18T06:20"), "bb")}, load.Counts{Stored: 2, Repeats: 2, Conflicts: 2}},
		{"they differ from each other, and one not from the table's", []Row{hash(day("18T06:30"), "bb"), hash(day("18T06:40"), "aa")}, load.Counts{Stored: 2, Repeats: 2, Conflicts: 1}},
		{"the row that the second repeats is 24 hours from the table's, and the second is not of its hour", []Row{hash(receipt(day("19T05:30")), "bb"), hash(day("19T05:40"), "cc")}, load.Counts{Stored: 2, Loaded: 1, Repeats: 1, Conflicts: 1}},
		{"and what repeats the second", []Row{hash(receipt(day("20T05:20")), "cc"), hash(day("20T05:50"), "dd"), hash(receipt(day("21T05:45")), "ee")}, load.Counts{Stored: 3, Loaded: 1, Repeats: 2, Conflicts: 1}},
		{"of two in the table and one in the batch it is the one with the same hash", []Row{hash(day("20T04:00"), "ff"), hash(receipt(day("20T04:30")), "cc"), hash(receipt(day("20T04:40")), "ff"), hash(receipt(day("20T04:50")), "dd")}, load.Counts{Stored: 4, Loaded: 1, Repeats: 3}},
		{"else the earliest, which is in the table", []Row{hash(day("20T06:00"), "11"), hash(receipt(day("20T05:10")), "22")}, load.Counts{Stored: 2, Loaded: 1, Repeats: 1, Conflicts: 1}},
	}
	for i, step := range steps {
		c := s.load(Batch(table, 2, Object{Commit: s.at.Commit + 1, Rows: step.rows}))
		if c[0] != step.want {
			s.Errorf("%d, %s: counts are %+v, want %+v", i, step.what, c[0], step.want)
		}
	}
	s.wantRows("SELECT event_time, event_hash FROM again ORDER BY event_time", "2015-08-18 06:00:00 | 00000000000000aa", "2015-08-19 05:40:00 | 00000000000000cc",
		"2015-08-20 04:00:00 | 00000000000000ff", "2015-08-20 05:50:00 | 00000000000000dd", "2015-08-20 06:00:00 | 0000000000000011")
	s.wantRows("SELECT event_time, kept_hash, other_hash FROM arbalest.conflicts ORDER BY event_time",
		"2015-08-18 06:10:00 | 00000000000000aa | 00000000000000bb", "2015-08-18 06:20:00 | 00000000000000aa | 00000000000000bb", "2015-08-18 06:30:00 | 00000000000000aa | 00000000000000bb",
		"2015-08-19 05:30:00 | 00000000000000aa | 00000000000000bb", "2015-08-20 05:10:00 | 00000000000000cc | 0000000000000022", "2015-08-21 05:45:00 | 00000000000000dd | 00000000000000ee")
}

// A Rule says what comes of rows that are taken one after the other, as the rule
// of repeats has it.
type Rule struct {
	Counts    load.Counts
	Rows      []string // id, time in microseconds and hash of those that are kept
	Conflicts []string // id, time in microseconds, hash of the one that is kept and the row's own
	kept      map[string][]Row
}

// Take takes a row.
func (m *Rule) Take(r Row) {
	m.Counts.Stored++
	this := load.Sighting{Time: Micros(r.Time), ByReceipt: r.ByReceipt}
	var of []Row
	for _, k := range m.kept[r.ID] {
		if this.Repeats(Micros(k.Time)) {
			of = append(of, k)
		}
	}
	if of == nil {
		if m.kept == nil {
			m.kept = map[string][]Row{}
		}
		m.kept[r.ID] = append(m.kept[r.ID], r)
		m.Rows = append(m.Rows, fmt.Sprint(r.ID, " ", this.Time, " ", r.Hash))
		m.Counts.Loaded++
		return
	}
	m.Counts.Repeats++
	if slices.ContainsFunc(of, func(k Row) bool { return k.Hash == r.Hash }) {
		return
	}
	first := slices.MinFunc(of, func(a, b Row) int { return cmp.Compare(Micros(a.Time), Micros(b.Time)) })
	m.Counts.Conflicts++
	m.Conflicts = append(m.Conflicts, fmt.Sprint(r.ID, " ", this.Time, " ", first.Hash, " ", r.Hash))
}

// RandomRows returns up to n rows of few ids, hours and hashes, for a table with
// one column of numbers.
func RandomRows(random *rand.Rand, n, ids int) (rows []Row) {
	for i := range 1 + random.IntN(n) {
		at := Micros("2015-08-18T00:00:00Z") + random.Int64N(50*3600*1_000_000)
		rows = append(rows, Row{ID: fmt.Sprint(random.IntN(ids)), Time: time.UnixMicro(at).UTC().Format(time.RFC3339Nano), ByReceipt: random.IntN(4) == 0, Hash: fmt.Sprintf("%016x", random.IntN(3)), Values: []any{i}})
	}
	return rows
}

// testRandomRepeats loads batches of random events of few ids and hours, and
// compares what is in the table and the conflicts with what the rule says.
func testRandomRepeats(s *suite) {
	seed := rand.Uint64()
	s.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	table := Declared("random", Col("n", "INTEGER"))
	var rule Rule
	var counts load.Counts
	for range 25 {
		rows := RandomRows(random, 60, 60)
		for _, r := range rows {
			rule.Take(r)
		}
		counts.Add(s.load(Batch(table, 1+random.IntN(50), Object{Commit: s.at.Commit + 1, Rows: rows}))[0])
	}
	s.wantCounts(counts, rule.Counts)
	var got []string
	err := s.w.Rows(s.Context(), "random", 0, 1<<60, func(r load.Row) error {
		got = append(got, fmt.Sprint(r.ID, " ", r.Time, " ", r.Hash))
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	s.wantSame("rows", got, rule.Rows)
	got = nil
	for _, row := range s.query("SELECT event_id, event_time, kept_hash, other_hash FROM arbalest.conflicts") {
		at, err := time.Parse("2006-01-02 15:04:05.999999", row[1])
		if err != nil {
			s.Fatal(err)
		}
		got = append(got, fmt.Sprint(row[0], " ", at.UnixMicro(), " ", row[2], " ", row[3]))
	}
	s.wantSame("conflicts", got, rule.Conflicts)
}

// wantSame compares lines of which the order does not matter.
func (s *suite) wantSame(what string, got, want []string) {
	s.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.Errorf("%s:\n has %s\nnot %s", what, strings.Join(without(got, want), "\n     "), strings.Join(without(want, got), "\n     "))
	}
}
