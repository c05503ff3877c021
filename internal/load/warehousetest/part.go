package warehousetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/decode"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// day is the first hour of the suite's events.
var day = arbalest.HourOf(time.Date(2015, 8, 18, 0, 0, 0, 0, time.UTC))

// testSwapPart replaces hours of tables by what is beside, of which there is more.
func testSwapPart(s *suite) {
	row := func(hour int, id string, values ...any) Row {
		return Row{ID: id, Time: fmt.Sprintf("2015-08-18T%02d:59:59.999999Z", hour), Hash: "000000000000000a", Values: values}
	}
	other := func(r Row) Row { r.Hash = "000000000000000b"; return r }
	bad := func(reason string) []decode.LoadError { return []decode.LoadError{{Line: 9, Reason: reason}} } // without id or time
	rejected := func(events int64, hours ...arbalest.Hour) (r []load.CommitRejection) {
		for _, h := range hours {
			r = append(r, load.CommitRejection{Commit: 1, Rejection: arbalest.Rejection{Event: "x", Hour: day + h, Events: events}})
		}
		return r
	}
	at := func(commit arbalest.Seq) load.Progress {
		return load.Progress{Cursor: load.Cursor{Commit: commit}}
	}
	old, c := Declared("a.b", Col("gone", "VARCHAR(9)"), Col("n", "INTEGER")), Declared("c", Col("n", "INTEGER"))
	first := []load.TableBatch{
		Batch(old, 10, Object{Commit: 1, Rows: []Row{row(5, "5", "x", 5)}, Errors: bad("live 5")}, Object{Commit: 1, Rows: []Row{row(6, "bogus", "x", 6), row(6, "6", "x", 6)}, Errors: bad("live 6")}, Object{Commit: 1, Rows: []Row{row(8, "8", "x", 8)}}),
		Batch(c, 10, Object{Commit: 1, Rows: []Row{row(6, "6", 6)}, Errors: bad("live 6")}),
	}
	if _, err := s.w.Load(s.Context(), load.Progress{}, load.Batch{Tables: first, Next: at(1), Rejected: rejected(1, 5, 6)}); err != nil {
		s.Fatal(err)
	}
	s.at = at(1)
	s.load(Batch(old, 10, Object{Commit: 2, Rows: []Row{other(row(5, "5", "x", 5))}}, Object{Commit: 2, Rows: []Row{other(row(6, "6", "x", 6)), row(6, "bogus2", "x", 6)}}))
	part := load.Part{From: day + 6, To: day + 8}
	beside := func(table arbalest.Table, value any) {
		s.Helper()
		shadow := s.beside(fmt.Sprint(table.Columns, value), load.Progress{})
		tb := Batch(table, 10, Object{Commit: 1, Rows: []Row{row(5, "five", value)}, Errors: bad("new 5")}, Object{Commit: 1, Rows: []Row{row(6, "6", value)}, Errors: bad("new 6")}, Object{Commit: 1, Rows: []Row{row(7, "7", value), other(row(7, "7", value))}}, Object{Commit: 1, Rows: []Row{row(8, "eight", value)}})
		if _, err := shadow.Load(s.Context(), load.Progress{}, load.Batch{Tables: []load.TableBatch{tb}, Next: at(s.at.Commit), Rejected: rejected(7, 5, 6)}); err != nil {
			s.Fatal(err)
		}
	}
	state := func() (out []string) {
		s.Helper()
		for _, sql := range []string{"SELECT * FROM a_b ORDER BY event_time, event_id", "SELECT * FROM c ORDER BY event_id", "SELECT table_name, reason FROM arbalest.load_errors ORDER BY table_name, reason",
			"SELECT table_name, event_id FROM arbalest.conflicts ORDER BY table_name, event_id", "SELECT event, hour, rejected, stored, loaded, repeats, conflicts, errors FROM arbalest.books ORDER BY event, hour",
			`SELECT "commit", table_name, hour, count(*) FROM arbalest.journal WHERE objects = 0 AND table_name IS NOT NULL GROUP BY "commit", table_name, hour ORDER BY "commit", table_name, hour`} {
			for _, r := range s.query(sql) {
				out = append(out, strings.Join(r, " | "))
			}
		}
		return out
	}
	was := state()
	asBefore := func(err, want error, says string) {
		s.Helper()
		if !errors.Is(err, want) || !strings.Contains(fmt.Sprint(err), says) {
			s.Errorf("swap: %v, want %v: %s", err, want, says)
		}
		s.wantSame("after an error", state(), was)
		s.wantProgress()
	}
	now := Declared("a.b", Col("n", "BIGINT"))
	s.beside("early", load.Progress{}, Batch(c, 10, Object{Commit: 1, Rows: []Row{row(6, "1", 1)}}))
	asBefore(s.w.Swap(s.Context(), part, "c"), arbalest.ErrExists, "the tables beside are at commit 1")
	beside(Declared("a.b", Col("n", "DATE")), "2015-08-18")
	asBefore(s.w.Swap(s.Context(), part, "a_b"), arbalest.ErrInvalid, "arbalest rebuild a_b makes the table anew")
	if s.swapped() {
		s.Error("what was beside is gone")
	}
	// The hours come, and no others.
	beside(now, 1<<40)
	if err := s.w.Swap(s.Context(), part, "a_b"); err != nil {
		s.Fatal(err)
	}
	s.wantProgress()
	s.wantNothingBeside()
	want := []string{
		"5 | 2015-08-18 05:59:59.999999 | 2015-08-18 06:00:00.999999 | 000000000000000a | x | 5",
		"6 | 2015-08-18 06:59:59.999999 | 2015-08-18 07:00:00.999999 | 000000000000000a | NULL | 1099511627776",
		"7 | 2015-08-18 07:59:59.999999 | 2015-08-18 08:00:00.999999 | 000000000000000a | NULL | 1099511627776",
		"8 | 2015-08-18 08:59:59.999999 | 2015-08-18 09:00:00.999999 | 000000000000000a | x | 8",
		"6 | 2015-08-18 06:59:59.999999 | 2015-08-18 07:00:00.999999 | 000000000000000a | 6",
		"a_b | live 5", "a_b | new 6", "c | live 6", "a_b | 5", "a_b | 7",
		"a.b | 2015-08-18 05:00:00 | 0 | 3 | 1 | 1 | 1 | 1", "a.b | 2015-08-18 06:00:00 | 0 | 2 | 1 | 0 | 0 | 1", "a.b | 2015-08-18 07:00:00 | 0 | 2 | 1 | 1 | 1 | 0", "a.b | 2015-08-18 08:00:00 | 0 | 1 | 1 | 0 | 0 | 0",
		"c | 2015-08-18 06:00:00 | 0 | 2 | 1 | 0 | 0 | 1", "x | 2015-08-18 05:00:00 | 1 | 0 | 0 | 0 | 0 | 0", "x | 2015-08-18 06:00:00 | 1 | 0 | 0 | 0 | 0 | 0",
		"2 | a_b | 2015-08-18 06:00:00 | 2", "2 | a_b | 2015-08-18 07:00:00 | 1",
	}
	if got := state(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		s.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// A column of another type that does not hold what is beside.
	s.load(Batch(Declared("a.b", Col("x", "DOUBLE PRECISION")), 10, Object{Commit: 3, Rows: []Row{row(8, "9", 0.5)}}))
	was = state()
	beside(Declared("a.b", Col("x", "BIGINT")), 1<<53+1)
	asBefore(s.w.Swap(s.Context(), part, "a_b"), arbalest.ErrInvalid, "arbalest rebuild a_b makes the table anew")
	beside(Declared("a.b", Col("x", "BIGINT")), 1<<53)
	s.reopen()
	if err := s.w.Swap(s.Context(), part, "a_b"); err != nil {
		s.Fatal(err)
	}
	s.wantRows("SELECT event_id, x FROM a_b WHERE x IS NOT NULL ORDER BY event_id", "6 | 9007199254740992.0", "7 | 9007199254740992.0", "9 | 0.5")
	// Rows go into a table of their own, and all else stays.
	was = state()
	into := part
	beside(Declared("a.b", Col("n", "DATE")), "2015-08-18")
	for _, name := range []string{"c", "_rebuild_c"} {
		into.Into = name
		asBefore(s.w.Swap(s.Context(), into, "a_b"), arbalest.ErrInvalid, "choose another name")
	}
	into.Into = "old_ones"
	if err := s.w.Swap(s.Context(), into, "a_b"); err != nil {
		s.Fatal(err)
	}
	s.wantSame("after the swap into another table", state(), was)
	s.wantRows("SELECT event_id, n FROM old_ones ORDER BY event_id", "6 | 2015-08-18", "7 | 2015-08-18")
	s.wantNothingBeside()
	beside(now, 1)
	asBefore(s.w.Swap(s.Context(), into, "a_b"), arbalest.ErrInvalid, "choose another name")
	into.Into = "none"
	asBefore(s.w.Swap(s.Context(), into, "c"), arbalest.ErrUnknown, "no rows")
	into.From, into.To = day+16, day+17
	asBefore(s.w.Swap(s.Context(), into, "a_b"), arbalest.ErrUnknown, "no rows")
	// All tables: one that was not made before comes, one that has nothing beside loses its rows.
	beside(Declared("new", Col("n", "INTEGER")), 1)
	if err := s.w.Swap(s.Context(), part); err != nil {
		s.Fatal(err)
	}
	s.wantRows("SELECT event_id, n FROM new ORDER BY event_id", "6 | 1", "7 | 1")
	s.wantRows("SELECT table_name, event FROM arbalest.tables ORDER BY table_name", "a_b | a.b", "c | c", "new | new")
	s.wantRows("SELECT event_id FROM a_b ORDER BY event_id", "5", "8", "9")
	s.wantRows("SELECT event_id FROM c")
	s.wantRows("SELECT table_name, reason FROM arbalest.load_errors ORDER BY table_name, reason", "a_b | live 5", "new | new 6")
	s.wantRows("SELECT hour, rejected FROM arbalest.books WHERE event = 'x' ORDER BY hour", "2015-08-18 05:00:00 | 1", "2015-08-18 06:00:00 | 7")
	s.wantRows("SELECT event, hour, stored, loaded, repeats, errors FROM arbalest.books WHERE stored > 0 ORDER BY event, hour", "a.b | 2015-08-18 05:00:00 | 3 | 1 | 1 | 1", "a.b | 2015-08-18 08:00:00 | 2 | 2 | 0 | 0",
		"new | 2015-08-18 06:00:00 | 2 | 1 | 0 | 1", "new | 2015-08-18 07:00:00 | 2 | 1 | 1 | 0")
	s.wantNothingBeside()
	// They go on as any others.
	s.wantCounts(s.rows(old, row(6, "6", "x", 6), row(8, "8", "x", 8)), load.Counts{Stored: 2, Loaded: 1, Repeats: 1})
	// What is stalled is loaded yet.
	next := load.Progress{Cursor: s.at.Cursor, Stalled: map[string]load.Stall{"c": {Event: "c", Reason: "damaged"}}}
	if _, err := s.w.Load(s.Context(), s.at, load.Batch{Next: next}); err != nil {
		s.Fatal(err)
	}
	s.at = next
	p, err := s.w.Progress(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	s.at = p
	was = state()
	beside(c, 1)
	asBefore(s.w.Swap(s.Context(), part, "c"), arbalest.ErrUnavailable, "table c is stalled")
	asBefore(s.w.Swap(s.Context(), part), arbalest.ErrUnavailable, "table c is stalled")
	if err := s.w.Swap(s.Context(), part, "a_b"); err != nil {
		s.Error(err)
	}
}

// The table strict after a change that takes nothing away.
var strictWider = arbalest.Table{Name: "strict", Event: "strict", Version: 1, Columns: []arbalest.Column{Col("n", "BIGINT"), Col("v", "VARCHAR(10)"), {Name: "m", Path: []string{"n"}, Type: Col("m", "INTEGER").Type}}}

// spoil adds rows and load errors that the store has not to hours of the table strict.
func (s *suite) spoil(part load.Part) {
	s.Helper()
	p, err := s.w.Progress(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	at := part.From.Time().Format(time.RFC3339)
	table := strictBefore
	table.Declared = true
	tb := Batch(table, 10, Object{Commit: p.Commit, Rows: []Row{{ID: "spoilt", Time: at, Values: []any{1, "x"}}}, Errors: []decode.LoadError{{Line: 2, ID: "spoilt", Reason: "spoilt"}}},
		Object{Commit: p.Commit, Rows: []Row{{ID: "spoilt", Time: at, Hash: "000000000000000b", Values: []any{1, "x"}}}})
	if _, err := s.w.Load(s.Context(), p, load.Batch{Tables: []load.TableBatch{tb}, Next: p}); err != nil {
		s.Fatal(err)
	}
}

// somePart returns some hours of those that random lakes have events in.
func somePart(random *rand.Rand) load.Part {
	from := day + arbalest.Hour(random.IntN(50))
	return load.Part{From: from, To: from + 1 + arbalest.Hour(random.IntN(20))}
}

// wantMade holds which rows of strict are made by strictWider.
func (s *suite) wantMade(when string, made func(arbalest.Hour) bool) {
	s.Helper()
	for _, row := range s.query("SELECT event_time, n, m FROM strict") {
		at, err := time.Parse("2006-01-02 15:04:05", row[0])
		if err != nil {
			s.Fatal(err)
		}
		if is := row[2] == row[1]; is != made(arbalest.HourOf(at)) {
			s.Errorf("%s: row %v is made again: %v", when, row, is)
		}
	}
}

// partAnswers are what tables and books have, without the columns that strictWider
// adds.
func (s *suite) partAnswers() []string {
	s.Helper()
	return append(join(s.query("SELECT event_id, event_time, received_at, event_hash, n, v FROM strict")), s.answers()[1:]...)
}

func (s *suite) wantPartAnswers(when string, want []string) {
	s.Helper()
	s.wantSame(when, s.partAnswers(), want)
}

// testSwapPartLeft makes days that left a table come back.
func testSwapPartLeft(s *suite) {
	table := Declared("a.b", Col("n", "INTEGER"))
	row := func(id, at string, n int) Row { return Row{ID: id, Time: "2015-08-" + at + ":00Z", Values: []any{n}} }
	s.rows(table, row("x", "18T06:00", 1), row("y", "18T23:59", 2), row("x", "19T00:00", 3), row("x", "20T12:00", 4))
	for _, day := range []string{"2015-08-18", "2015-08-19"} {
		s.leave("a_b", day, "_warm/a_b/day="+day+"/1.parquet")
	}
	if err := s.tiers().Hold(s.Context(), "a_b", day, day+24, never.Time()); err != nil {
		s.Fatal(err)
	}
	known := []string{"2015-08-18 0 2 _warm/a_b/day=2015-08-18/1.parquet 7 c held 2100-01-01", "2015-08-19 0 1 _warm/a_b/day=2015-08-19/1.parquet 7 c", "2015-08-20 1 0"}
	s.wantDays("a_b", known...)
	shadow := s.beside("days", load.Progress{})
	tb := Batch(table, 10, Object{Commit: 1, Rows: []Row{row("x", "18T06:00", 1), row("y", "18T23:59", 2), row("x", "19T00:00", 3)}})
	if _, err := shadow.Load(s.Context(), load.Progress{}, load.Batch{Tables: []load.TableBatch{tb}, Next: s.at}); err != nil {
		s.Fatal(err)
	}
	for _, part := range []load.Part{{From: day + 1, To: day + 24}, {From: day, To: day + 25}, {From: day + 23, To: day + 24}} {
		if err := s.w.Swap(s.Context(), part, "a_b"); !errors.Is(err, arbalest.ErrInvalid) || !strings.Contains(fmt.Sprint(err), "all hours of that day") {
			s.Errorf("swap %s: %v", part, err)
		}
		s.wantDays("a_b", known...)
	}
	if err := s.w.Swap(s.Context(), load.Part{From: day, To: day + 24}, "a_b"); err != nil {
		s.Fatal(err)
	}
	s.wantDays("a_b", "2015-08-18 2 0 held 2100-01-01", known[1], known[2])
	s.wantIdentities("a_b", "x 18T06:00 00", "y 18T23:59 00", "-x 19T00:00 00", "x 20T12:00 00")
	s.rows(table, row("y", "18T23:59", 2), row("x", "19T00:00", 3), row("z", "18T07:00", 5))
	s.wantIdentities("a_b", "x 18T06:00 00", "y 18T23:59 00", "z 18T07:00 00", "-x 19T00:00 00", "x 20T12:00 00")
}

// testRebuildPart makes hours of random lakes again, of tables in which something
// else is: they come out as if all had been loaded anew, though rows of other hours
// decide which of those are repeats.
func testRebuildPart(s *suite) {
	random, seed := s.random()
	taken := 0
	for range 6 {
		l := randomLake(s, random)
		opts := load.Options{Workers: 2, BatchBytes: 1 + random.Int64N(20_000), Declared: []arbalest.Table{strictBefore}}
		if err := s.w.Reset(s.Context()); err != nil {
			s.Fatal(err)
		}
		s.loadLake(l, opts, func() {})
		want := s.partAnswers()
		opts.Declared = []arbalest.Table{strictWider}
		made := map[arbalest.Hour]bool{}
		for range 2 {
			part := somePart(random)
			when := fmt.Sprintf("seed %d, %s", seed, part)
			s.spoil(part)
			opts.BatchBytes = 1 + random.Int64N(3000)
			if err := s.rebuildPart(l, s.w, opts, part, random.IntN(2) == 0, func() {}); err != nil {
				s.Fatalf("%s: %v", when, err)
			}
			for h := part.From; h < part.To; h++ {
				made[h] = true
			}
			s.wantPartAnswers(when, want)
			if len(s.query("SELECT column_name FROM information_schema.columns WHERE table_name = 'strict' AND column_name = 'm'")) > 0 {
				s.wantMade(when, func(h arbalest.Hour) bool { return made[h] })
				taken++
			}
			s.wantNothingBeside()
			if s.Failed() {
				return
			}
		}
	}
	if taken == 0 {
		s.Error("no part had rows")
	}
}

// testRebuildPartChain has an event that was sent again and again, each time within a
// day of the time before: which of them are kept is decided far from the part.
func testRebuildPartChain(s *suite) {
	l, err := lake.Open(blob.NewMemory(), lake.Options{})
	if err != nil {
		s.Fatal(err)
	}
	s.sort(l, arbalest.AppendLine(nil, arbalest.Event{ID: "1", Name: "open", Time: day.Time(), Received: day.Time(), Properties: []byte(`{"n":1,"v":"x"}`)}))
	for i := range 12 {
		at := day.Time().Add(time.Duration(i) * 20 * time.Hour)
		s.sort(l, arbalest.AppendLine(nil, arbalest.Event{ID: "1", Name: "strict", Time: at, Received: at, Properties: []byte(`{"n":1}`)}))
	}
	opts := load.Options{Declared: []arbalest.Table{strictBefore}}
	s.loadLake(l, opts, func() {})
	s.wantRows("SELECT count(*) FROM strict", "6")
	want := s.partAnswers()
	opts.Declared = []arbalest.Table{strictWider}
	for i := range arbalest.Hour(12) {
		part := load.Part{From: day + i*20, To: day + i*20 + 1}
		s.spoil(part)
		if err := s.rebuildPart(l, s.w, opts, part, false, func() {}); err != nil {
			s.Fatal(err)
		}
		s.wantPartAnswers(fmt.Sprint("part ", i), want)
	}
	s.wantMade("each", func(arbalest.Hour) bool { return true })
	// By hours that have nothing.
	if err := s.rebuildPart(l, s.w, opts, load.Part{From: day + 1, To: day + 2}, true, func() {}); err != nil {
		s.Error(err)
	}
	s.wantPartAnswers("of nothing", want)
	for _, part := range []load.Part{{From: day, To: day, Into: "x"}, {From: day + 1, To: day}, {From: arbalest.FirstHour - 1, To: day}, {From: day, To: arbalest.EndHour + 1}, {From: day, To: day + 1, Into: "x"}} {
		if err := s.rebuildPart(l, s.w, opts, part, true, func() {}); !errors.Is(err, arbalest.ErrInvalid) {
			s.Errorf("%+v: %v", part, err)
		}
	}
}

// testRebuildPartKilled dies in each step of making hours again, before the step has
// an effect and after, while events come in: the next goes on, and at any time there
// is all of the old hours or all of the new.
func testRebuildPartKilled(s *suite) {
	random, seed := s.random()
	later := 0
	for _, done := range []bool{false, true} {
		for n, died := 1, true; died && !s.Failed(); n++ {
			l := randomLake(s, random)
			if err := s.w.Reset(s.Context()); err != nil {
				s.Fatal(err)
			}
			before := load.Options{Workers: 2, BatchBytes: 8000, Declared: []arbalest.Table{strictBefore}}
			after := before
			after.Declared, after.BatchBytes = []arbalest.Table{strictWider}, 12_000
			s.loadLake(l, before, func() {})
			part, all := somePart(random), random.IntN(2) == 0
			when := fmt.Sprintf("seed %d, step %d, after it %v, %s", seed, n, done, part)
			s.spoil(part)
			was := s.partAnswers()
			err := s.rebuildPart(l, &dying{s.w, n, done}, after, part, all, func() {})
			died = err != nil
			if died && !errors.Is(err, errDied) {
				s.Fatalf("%s: %v", when, err)
			}
			s.reopen()
			if !s.swapped() {
				s.wantPartAnswers(when, was)
				s.land(l, random, 10)
				s.loadLake(l, before, func() {})
			}
			if died && n > 1 && !s.swapped() {
				// It goes on with what is there: a rebuild that begins anew would drop it.
				made := s.query(`SELECT "commit", objects FROM arbalest.rebuild_cursor WHERE table_name IS NULL`)
				if _, err := load.New(l, s.w, after).Rebuild(s.Context(), tablesOf(all), part); err != nil {
					s.Fatal(err)
				}
				s.wantSame(when+": cursor", join(s.query(`SELECT "commit", objects FROM arbalest.rebuild_cursor WHERE table_name IS NULL`)), join(made))
			}
			if n == 1 || !s.swapped() {
				calls := 0
				err := s.rebuildPart(l, s.w, after, part, all, func() {
					if calls++; calls%3 == 1 {
						s.land(l, random, 5)
						s.loadLake(l, before, func() {})
						later++
					}
				})
				if err != nil {
					s.Fatalf("%s: %v", when, err)
				}
			}
			got := s.partAnswers()
			s.wantMade(when, part.Has)
			if err := s.w.Reset(s.Context()); err != nil {
				s.Fatal(err)
			}
			s.loadLake(l, before, func() {})
			s.wantPartAnswers(when+": loaded anew, and its hours", got)
		}
	}
	if later == 0 {
		s.Error("nothing came meanwhile")
	}
}

// random returns random numbers, and their seed, which it logs.
func (s *suite) random() (*rand.Rand, uint64) {
	s.Helper()
	seed := rand.Uint64()
	s.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0)), seed
}

func join(rows [][]string) (lines []string) {
	for _, row := range rows {
		lines = append(lines, strings.Join(row, " | "))
	}
	return lines
}
