package warehousetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"arbalest"
	"arbalest/internal/load"
)

// Day returns the first hour of a day, which is spelled as 2006-01-02.
func Day(s string) arbalest.Hour { return arbalest.HourOfMicro(Micros(s + "T00:00:00Z")) }

// never is after all days.
var never = Day("2100-01-01")

func (s *suite) tiers() load.Tiers {
	s.Helper()
	w, ok := s.w.(load.Tiers)
	if !ok {
		s.Fatalf("%T is no load.Tiers", s.w)
	}
	return w
}

// leave makes all rows of a day of a table leave it.
func (s *suite) leave(table, day, key string) {
	s.Helper()
	d := load.Departure{Table: table, Day: Day(day), Warm: load.Warm{Key: arbalest.Key(key), Bytes: 7, Columns: "c"}}
	for _, known := range s.days(table) {
		if known.Day == d.Day {
			d.Hot, d.Left = known.Hot, known.Left
		}
	}
	if err := s.tiers().Leave(s.Context(), d); err != nil {
		s.Fatal(err)
	}
}

func (s *suite) days(table string) []load.Day {
	s.Helper()
	days, err := s.tiers().Days(s.Context(), table, never)
	if err != nil {
		s.Fatal(err)
	}
	return days
}

// spell spells a day: its rows, those that left, and what else is known.
func spell(d load.Day) string {
	text := fmt.Sprintf("%s %d %d", d.Day.Time().Format(time.DateOnly), d.Hot, d.Left)
	if d.Warm != (load.Warm{}) {
		text += fmt.Sprintf(" %s %d %s", d.Warm.Key, d.Warm.Bytes, d.Warm.Columns)
	}
	if d.Stale {
		text += " stale"
	}
	if !d.Frozen.IsZero() {
		text += " frozen " + d.Frozen.Format(time.DateOnly)
	}
	if !d.Held.IsZero() {
		text += " held " + d.Held.Format(time.DateOnly)
	}
	return text
}

func (s *suite) wantDays(table string, want ...string) {
	s.Helper()
	var got []string
	for _, d := range s.days(table) {
		got = append(got, spell(d))
	}
	if !slices.Equal(got, want) {
		s.Errorf("days of %s are %q, want %q", table, got, want)
	}
}

// wantIdentities compares what Rows yields: "-" before those that left.
func (s *suite) wantIdentities(table string, want ...string) {
	s.Helper()
	var got []string
	err := s.w.Rows(s.Context(), table, -1<<60, 1<<60, func(r load.Row) error {
		text := fmt.Sprint(r.ID, " ", time.UnixMicro(r.Time).UTC().Format("02T15:04"), " ", r.Hash[14:])
		if r.Left {
			text = "-" + text
		}
		if r.Received < r.Time || r.Received > r.Time+1_000_000 {
			s.Errorf("%s was received at %d", text, r.Received)
		}
		got = append(got, text)
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	s.wantSame("identities of "+table, got, want)
}

func hashed(r Row, hash string) Row {
	r.Hash = "00000000000000" + hash
	return r
}

func testLeave(s *suite) {
	table := Declared("a.b", Col("n", "INTEGER"))
	row := func(id, at string, n int) Row { return Row{ID: id, Time: "2015-08-" + at + ":00Z", Values: []any{n}} }
	s.wantDays("a_b")
	s.rows(table, row("x", "18T06:00", 1), row("y", "18T06:10", 2), row("z", "18T23:59", 3), row("x", "19T00:00", 4), row("x", "20T12:00", 5), Row{ID: "old", Time: "1969-12-31T23:59:59.5Z", Values: []any{6}})
	s.rows(Declared("c", Col("n", "INTEGER")), row("x", "18T06:00", 1))
	s.wantDays("a_b", "1969-12-31 1 0", "2015-08-18 3 0", "2015-08-19 1 0", "2015-08-20 1 0")
	before, err := s.tiers().Days(s.Context(), "a_b", Day("2015-08-19")+5)
	if err != nil || len(before) != 2 || before[1].Day != Day("2015-08-18") {
		s.Errorf("days before the 19th are %+v, %v", before, err)
	}
	// Programs that do not look for repeats among what left must not load from then on.
	s.wantRows("SELECT version FROM arbalest.format", "1")
	s.leave("a_b", "2015-08-18", "_warm/a_b/day=2015-08-18/1.parquet")
	s.wantRows("SELECT version FROM arbalest.format", "2")
	s.leave("a_b", "1969-12-31", "_warm/a_b/day=1969-12-31/1.parquet")
	state := func() {
		s.Helper()
		s.wantDays("a_b", "1969-12-31 0 1 _warm/a_b/day=1969-12-31/1.parquet 7 c", "2015-08-18 0 3 _warm/a_b/day=2015-08-18/1.parquet 7 c", "2015-08-19 1 0", "2015-08-20 1 0")
		s.wantIdentities("a_b", "-old 31T23:59 00", "-x 18T06:00 00", "-y 18T06:10 00", "-z 18T23:59 00", "x 19T00:00 00", "x 20T12:00 00")
		s.wantRows("SELECT n FROM a_b ORDER BY n", "4", "5")
		s.wantProgress()
	}
	state()
	s.reopen()
	state()
	s.wantRows("SELECT n FROM c", "1")
	// Repeats of what left are repeats, and others' rows do not matter. The second
	// time small batches ask for an hour its ids are remembered.
	s.wantCounts(s.rows(table, row("x", "18T06:59", 7), hashed(row("y", "18T06:00", 8), "ff"), row("old", "20T12:00", 9)), load.Counts{Stored: 3, Loaded: 1, Repeats: 2, Conflicts: 1})
	s.wantRows("SELECT event_id, event_time, kept_hash, other_hash FROM arbalest.conflicts", "y | 2015-08-18 06:00:00 | 0000000000000000 | 00000000000000ff")
	s.wantCounts(s.rows(Declared("c", Col("n", "INTEGER")), row("y", "18T06:00", 2)), load.Counts{Stored: 1, Loaded: 1})
	s.wantCounts(s.rows(table, row("x", "18T06:59", 7)), load.Counts{Stored: 1, Repeats: 1})
	s.wantCounts(s.rows(table, row("x", "18T06:58", 7)), load.Counts{Stored: 1, Repeats: 1})
	// Late events are rows, and repeats of those too. They leave in turn.
	s.wantCounts(s.rows(table, row("late", "18T06:30", 10), row("late", "18T06:31", 11), row("x", "18T07:30", 12), row("x", "31T07:30", 13)), load.Counts{Stored: 4, Loaded: 3, Repeats: 1})
	s.wantCounts(s.rows(table, row("late", "18T06:32", 10)), load.Counts{Stored: 1, Repeats: 1})
	s.wantDays("a_b", "1969-12-31 0 1 _warm/a_b/day=1969-12-31/1.parquet 7 c", "2015-08-18 2 3 _warm/a_b/day=2015-08-18/1.parquet 7 c", "2015-08-19 1 0", "2015-08-20 2 0", "2015-08-31 1 0")
	s.leave("a_b", "2015-08-18", "_warm/a_b/day=2015-08-18/2.parquet")
	s.wantRows("SELECT event_id, n FROM a_b ORDER BY n", "x | 4", "x | 5", "old | 9", "x | 13")
	s.wantDays("a_b", "1969-12-31 0 1 _warm/a_b/day=1969-12-31/1.parquet 7 c", "2015-08-18 0 5 _warm/a_b/day=2015-08-18/2.parquet 7 c", "2015-08-19 1 0", "2015-08-20 2 0", "2015-08-31 1 0")
	s.wantCounts(s.rows(table, row("late", "18T06:32", 10), row("x", "18T07:00", 12), row("x", "18T08:00", 14)), load.Counts{Stored: 3, Loaded: 1, Repeats: 2})
}

func testLeaveByReceipt(s *suite) {
	table := Declared("late", Col("n", "INTEGER"))
	s.rows(table, Row{ID: "r", Time: "2015-08-18T23:30:00Z", ByReceipt: true, Values: []any{1}}, Row{ID: "t", Time: "2015-08-18T23:30:00Z", Values: []any{2}})
	s.leave("late", "2015-08-18", "_warm/late/day=2015-08-18/1.parquet")
	step := func(want load.Counts, rows ...Row) {
		s.Helper()
		s.wantCounts(s.rows(table, rows...), want)
	}
	step(load.Counts{Stored: 1, Repeats: 1}, Row{ID: "r", Time: "2015-08-19T23:30:00Z", ByReceipt: true, Values: []any{3}})
	step(load.Counts{Stored: 1, Repeats: 1}, Row{ID: "t", Time: "2015-08-19T06:30:00Z", ByReceipt: true, Values: []any{4}})
	step(load.Counts{Stored: 1, Loaded: 1}, Row{ID: "t", Time: "2015-08-19T00:00:00Z", Values: []any{5}})
	step(load.Counts{Stored: 1, Repeats: 1, Conflicts: 1}, hashed(Row{ID: "t", Time: "2015-08-19T20:00:00Z", ByReceipt: true, Values: []any{6}}, "aa"))
	s.leave("late", "2015-08-19", "_warm/late/day=2015-08-19/1.parquet")
	// Of two that left it is the one with the same hash, else the earliest.
	step(load.Counts{Stored: 1, Loaded: 1}, hashed(Row{ID: "u", Time: "2015-08-19T01:00:00Z", Values: []any{7}}, "bb"))
	step(load.Counts{Stored: 1, Loaded: 1}, hashed(Row{ID: "u", Time: "2015-08-19T02:00:00Z", Values: []any{8}}, "cc"))
	s.leave("late", "2015-08-19", "_warm/late/day=2015-08-19/2.parquet")
	step(load.Counts{Stored: 2, Repeats: 2, Conflicts: 1}, hashed(Row{ID: "u", Time: "2015-08-20T00:30:00Z", ByReceipt: true, Values: []any{9}}, "cc"), hashed(Row{ID: "u", Time: "2015-08-20T00:40:00Z", ByReceipt: true, Values: []any{9}}, "dd"))
	s.wantRows("SELECT event_id, kept_hash, other_hash FROM arbalest.conflicts ORDER BY event_id", "t | 0000000000000000 | 00000000000000aa", "u | 00000000000000bb | 00000000000000dd")
	s.wantRows("SELECT n FROM late")
}

// testLeaveAtRandom loads batches of random events of few ids and hours, makes random
// days leave in between, and compares with what the rule of repeats says.
func testLeaveAtRandom(s *suite) {
	seed := rand.Uint64()
	s.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	table := Declared("random", Col("n", "INTEGER"))
	var rule Rule
	var counts load.Counts
	left := 0
	for i := range 25 {
		rows := RandomRows(random, 60, 60)
		for _, r := range rows {
			rule.Take(r)
		}
		counts.Add(s.load(Batch(table, 1+random.IntN(50), Object{Commit: s.at.Commit + 1, Rows: rows}))[0])
		for _, d := range s.days("random") {
			if random.IntN(3) == 0 && d.Hot > 0 {
				s.leave("random", d.Day.Time().Format(time.DateOnly), fmt.Sprint("_warm/random/", i))
				left++
			}
		}
		if random.IntN(10) == 0 {
			s.reopen()
		}
	}
	s.wantCounts(counts, rule.Counts)
	var got []string
	hot, gone := int64(0), int64(0)
	err := s.w.Rows(s.Context(), "random", 0, 1<<60, func(r load.Row) error {
		got = append(got, fmt.Sprint(r.ID, " ", r.Time, " ", r.Hash))
		if r.Left {
			gone++
		} else {
			hot++
		}
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	s.wantSame("rows", got, rule.Rows)
	for _, d := range s.days("random") {
		hot, gone = hot-d.Hot, gone-d.Left
	}
	if hot != 0 || gone != 0 || left == 0 {
		s.Errorf("seed %d: %d days left; days have %d rows and %d that left too few", seed, left, hot, gone)
	}
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

// testLeaveCounts holds that nothing leaves but what was proved, and that leaving again
// is none.
func testLeaveCounts(s *suite) {
	table := Declared("a.b", Col("n", "INTEGER"))
	row := func(id, at string) Row { return Row{ID: id, Time: "2015-08-" + at + ":00Z", Values: []any{1}} }
	s.rows(table, row("x", "18T06:00"), row("y", "18T06:10"), row("z", "19T06:00"))
	warm := func(n int) load.Warm {
		return load.Warm{Key: arbalest.Key(fmt.Sprintf("_warm/a_b/day=2015-08-18/%d.parquet", n)), Bytes: int64(n), Columns: "c"}
	}
	day := Day("2015-08-18")
	steps := []struct {
		what string
		do   load.Departure
		want error
		day  string // that day after it
	}{
		{"a row fewer", load.Departure{Hot: 1, Warm: warm(1)}, arbalest.ErrExists, "2015-08-18 2 0"},
		{"a row more", load.Departure{Hot: 3, Warm: warm(1)}, arbalest.ErrExists, "2015-08-18 2 0"},
		{"more that left", load.Departure{Hot: 2, Left: 1, Warm: warm(1)}, arbalest.ErrExists, "2015-08-18 2 0"},
		{"gone with a row fewer", load.Departure{Hot: 1, Gone: true}, arbalest.ErrExists, "2015-08-18 2 0"},
		{"no first hour", load.Departure{Day: day + 1, Hot: 2, Warm: warm(1)}, arbalest.ErrInvalid, "2015-08-18 2 0"},
		{"they leave", load.Departure{Hot: 2, Warm: warm(1)}, nil, "2015-08-18 0 2 _warm/a_b/day=2015-08-18/1.parquet 1 c"},
		{"again", load.Departure{Hot: 2, Warm: warm(1)}, nil, "2015-08-18 0 2 _warm/a_b/day=2015-08-18/1.parquet 1 c"},
		{"again, as it is now", load.Departure{Left: 2, Warm: warm(1)}, nil, "2015-08-18 0 2 _warm/a_b/day=2015-08-18/1.parquet 1 c"},
		{"again, to elsewhere", load.Departure{Hot: 2, Warm: warm(2)}, arbalest.ErrExists, "2015-08-18 0 2 _warm/a_b/day=2015-08-18/1.parquet 1 c"},
		{"to elsewhere", load.Departure{Left: 2, Warm: warm(2)}, nil, "2015-08-18 0 2 _warm/a_b/day=2015-08-18/2.parquet 2 c"},
		{"to nowhere", load.Departure{Left: 2}, nil, "2015-08-18 0 2"},
		{"to elsewhere with too few", load.Departure{Left: 1, Warm: warm(3)}, arbalest.ErrExists, "2015-08-18 0 2"},
	}
	for _, step := range steps {
		step.do.Table = "a_b"
		if step.do.Day == 0 {
			step.do.Day = day
		}
		if err := s.tiers().Leave(s.Context(), step.do); !errors.Is(err, step.want) {
			s.Errorf("%s: %v, want %v", step.what, err, step.want)
		}
		if s.wantDays("a_b", step.day, "2015-08-19 1 0"); s.Failed() {
			s.Fatalf("after %s", step.what)
		}
	}
	s.wantIdentities("a_b", "-x 18T06:00 00", "-y 18T06:10 00", "z 19T06:00 00")
	// A row was loaded meanwhile.
	s.rows(table, row("late", "18T06:00"))
	if err := s.tiers().Leave(s.Context(), load.Departure{Table: "a_b", Day: day, Left: 2, Warm: warm(4)}); !errors.Is(err, arbalest.ErrExists) {
		s.Errorf("with a row that came meanwhile: %v", err)
	}
	s.wantDays("a_b", "2015-08-18 1 2", "2015-08-19 1 0")
}

func testLeaveForGood(s *suite) {
	table := Declared("a.b", Col("n", "INTEGER"))
	row := func(id, at string) Row { return Row{ID: id, Time: "2015-08-" + at + ":00Z", Values: []any{1}} }
	rows := []Row{row("x", "18T06:00"), row("y", "18T06:10"), row("z", "19T06:00")}
	s.rows(table, rows...)
	s.leave("a_b", "2015-08-18", "_warm/a_b/day=2015-08-18/1.parquet")
	s.rows(table, row("late", "18T06:00"))
	s.beside("one", load.Progress{}, Batch(table, 10, Object{Commit: 1, Rows: rows}))
	for range 2 {
		if err := s.tiers().Leave(s.Context(), load.Departure{Table: "a_b", Day: Day("2015-08-18"), Hot: 1, Left: 2, Gone: true}); err != nil {
			s.Fatal(err)
		}
		s.wantDays("a_b", "2015-08-19 1 0")
		s.wantIdentities("a_b", "z 19T06:00 00")
		s.wantRows("SELECT event_id FROM _rebuild_a_b", "z")
	}
	// What nothing is kept of can come again.
	s.wantCounts(s.rows(table, row("x", "18T06:00")), load.Counts{Stored: 1, Loaded: 1})
}

// testLeaveThenReset holds that tables that are made anew have not lost rows.
func testLeaveThenReset(s *suite) {
	a, b := Declared("a", Col("n", "INTEGER")), Declared("b", Col("n", "INTEGER"))
	rows := []Row{{ID: "x", Time: "2015-08-18T06:00:00Z", Values: []any{1}}}
	until := time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)
	begin := func() {
		s.Helper()
		s.wantCounts(s.rows(a, rows...), load.Counts{Stored: 1, Loaded: 1})
		s.wantCounts(s.rows(b, rows...), load.Counts{Stored: 1, Loaded: 1})
		for _, table := range []string{"a", "b"} {
			s.leave(table, "2015-08-18", "_warm/"+table+"/day=2015-08-18/1.parquet")
			if err := s.tiers().Hold(s.Context(), table, Day("2015-08-18"), never, until); err != nil {
				s.Fatal(err)
			}
			s.wantDays(table, "2015-08-18 0 1 _warm/"+table+"/day=2015-08-18/1.parquet 7 c held 2050-01-01")
		}
	}
	begin()
	if err := s.w.Reset(s.Context(), "a"); err != nil {
		s.Fatal(err)
	}
	s.wantDays("a")
	s.wantIdentities("a")
	s.wantIdentities("b", "-x 18T06:00 00")
	var err error
	if s.at, err = s.w.Progress(s.Context()); err != nil {
		s.Fatal(err)
	}
	s.wantCounts(s.rows(a, rows...), load.Counts{Stored: 1, Loaded: 1})
	s.wantDays("a", "2015-08-18 1 0")
	s.wantCounts(s.rows(b, rows...), load.Counts{Stored: 1, Repeats: 1})
	if err := s.w.Reset(s.Context()); err != nil {
		s.Fatal(err)
	}
	s.at = load.Progress{}
	s.wantDays("b")
	begin()
	// A swap forgets what left, of the tables that it replaces.
	s.beside("one", load.Progress{}, Batch(a, 10, Object{Commit: 1, Rows: rows}))
	shadow := s.beside("one", load.Progress{})
	if _, err := shadow.Load(s.Context(), load.Progress{Cursor: load.Cursor{Commit: 1}}, load.Batch{Next: s.at}); err != nil {
		s.Fatal(err)
	}
	s.wantDays("a", "2015-08-18 0 1 _warm/a/day=2015-08-18/1.parquet 7 c held 2050-01-01")
	if err := s.w.Swap(s.Context(), load.Part{}, "a"); err != nil {
		s.Fatal(err)
	}
	s.wantDays("a", "2015-08-18 1 0")
	s.wantIdentities("a", "x 18T06:00 00")
	s.wantDays("b", "2015-08-18 0 1 _warm/b/day=2015-08-18/1.parquet 7 c held 2050-01-01")
	s.wantCounts(s.rows(a, rows...), load.Counts{Stored: 1, Repeats: 1})
	s.wantCounts(s.rows(b, rows...), load.Counts{Stored: 1, Repeats: 1})
}

func testHeld(s *suite) {
	table := Declared("a", Col("n", "INTEGER"))
	for day := 17; day < 22; day++ {
		s.rows(table, Row{ID: "x", Time: fmt.Sprintf("2015-08-%dT06:00:00Z", day), Values: []any{1}})
	}
	s.leave("a", "2015-08-18", "k")
	date := func(day string) time.Time { return Day(day).Time() }
	hold := func(from, to arbalest.Hour, until time.Time) {
		s.Helper()
		if err := s.tiers().Hold(s.Context(), "a", from, to, until); err != nil {
			s.Fatal(err)
		}
	}
	hold(Day("2015-08-18"), Day("2015-08-20"), date("2030-01-01"))
	hold(Day("2015-08-19")+23, Day("2015-08-20")+1, date("2031-01-01"))
	hold(Day("2015-08-21"), Day("2015-08-22"), date("2032-01-01"))
	hold(Day("2015-08-21"), Day("2015-08-22"), date("2029-01-01")) // instead
	s.wantDays("a", "2015-08-17 1 0", "2015-08-18 0 1 k 7 c held 2030-01-01", "2015-08-19 1 0 held 2031-01-01", "2015-08-20 1 0 held 2031-01-01", "2015-08-21 1 0 held 2029-01-01")
	hold(Day("2015-08-01"), Day("2015-09-01"), time.Time{})
	if err := s.tiers().Froze(s.Context(), "a", Day("2015-08-18"), date("2020-01-01")); err != nil {
		s.Fatal(err)
	}
	if err := s.tiers().Froze(s.Context(), "a", Day("2015-08-19"), date("2020-01-01")); !errors.Is(err, arbalest.ErrUnknown) {
		s.Errorf("a day that has not left is frozen: %v", err)
	}
	s.wantDays("a", "2015-08-17 1 0", "2015-08-18 0 1 k 7 c frozen 2020-01-01", "2015-08-19 1 0", "2015-08-20 1 0", "2015-08-21 1 0")
	// It stays so when its warm copy goes.
	if err := s.tiers().Leave(s.Context(), load.Departure{Table: "a", Day: Day("2015-08-18"), Left: 1}); err != nil {
		s.Fatal(err)
	}
	s.wantDays("a", "2015-08-17 1 0", "2015-08-18 0 1 frozen 2020-01-01", "2015-08-19 1 0", "2015-08-20 1 0", "2015-08-21 1 0")
	if err := s.tiers().Froze(s.Context(), "a", Day("2015-08-18"), time.Time{}); err != nil {
		s.Fatal(err)
	}
	s.wantDays("a", "2015-08-17 1 0", "2015-08-18 0 1", "2015-08-19 1 0", "2015-08-20 1 0", "2015-08-21 1 0")
}

// testLeaveMeanwhile makes days leave while late events of them, and repeats, are loaded.
func testLeaveMeanwhile(s *suite) {
	seed := rand.Uint64()
	s.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	table := Declared("random", Col("n", "INTEGER"))
	var rule Rule
	var counts load.Counts
	leaver := s.tiers()
	first := RandomRows(random, 60, 60)
	for _, r := range first {
		rule.Take(r)
	}
	counts.Add(s.load(Batch(table, 50, Object{Commit: s.at.Commit + 1, Rows: first}))[0])
	done := make(chan struct{})
	var left atomic.Int64
	var leaving sync.WaitGroup
	leaving.Go(func() {
		for {
			days, err := leaver.Days(s.Context(), "random", never)
			for _, d := range days {
				if err == nil && d.Hot > 0 {
					err = leaver.Leave(s.Context(), load.Departure{Table: "random", Day: d.Day, Hot: d.Hot, Left: d.Left})
				}
				switch {
				case err == nil && d.Hot > 0:
					left.Add(1)
				case errors.Is(err, arbalest.ErrExists), errors.Is(err, arbalest.ErrBusy):
					err = nil // rows came meanwhile
				}
			}
			if err != nil {
				s.Errorf("seed %d: %v", seed, err)
				return
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	isHot := func(d load.Day) bool { return d.Hot > 0 }
	for i := range 20 {
		rows := RandomRows(random, 40, 60)
		for _, r := range rows {
			rule.Take(r)
		}
		before := left.Load()
		counts.Add(s.load(Batch(table, 1+random.IntN(50), Object{Commit: s.at.Commit + 1, Rows: rows}))[0])
		// Now and then a day can leave before more come.
		for i%5 == 0 && left.Load() == before && !s.Failed() && slices.ContainsFunc(s.days("random"), isHot) {
		}
	}
	close(done)
	leaving.Wait()
	if left.Load() < 2 {
		s.Errorf("seed %d: %d days left", seed, left.Load())
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
}
