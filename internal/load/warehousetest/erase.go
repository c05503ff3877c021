package warehousetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"arbalest"
	"arbalest/internal/decode"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// remove loads removals and returns nothing: they have no counts of their own.
func (s *suite) remove(removals ...load.Removal) {
	s.Helper()
	if _, err := s.w.Load(s.Context(), s.at, load.Batch{Removals: removals, Next: s.next()}); err != nil {
		s.Fatal(err)
	}
	s.at = s.next()
}

func span(from, to string) []load.Span { return []load.Span{{From: Micros(from), To: Micros(to)}} }

// testErase takes rows, load errors and conflicts out of a table, by ids and by days,
// beside others that stay; loading goes on as if they had not been.
func testErase(s *suite) {
	const books = "SELECT event, hour, stored, loaded, repeats, conflicts, errors, not_loaded, erased FROM arbalest.books ORDER BY event, hour"
	table, other := Declared("a.b", Col("n", "INTEGER")), Declared("c", Col("n", "INTEGER"))
	row := func(id, at string, n int) Row {
		return Row{ID: id, Time: at, Hash: fmt.Sprintf("%016x", n), Values: []any{n}}
	}
	rows := []Row{row("o'ne", "2015-08-18T06:00:00Z", 1), row("two\\", "2015-08-18T06:10:00Z", 2), row("ü", "2015-08-18T07:00:00Z", 3), row("o'ne", "2015-08-20T06:00:00Z", 4)}
	bad := []decode.LoadError{{Line: 7, ID: "five", Time: Micros("2015-08-18T06:20:00Z"), Reason: "bad"}, {Line: 8, ID: "six", Time: Micros("2015-08-18T06:20:00Z"), Reason: "bad"}}
	s.load(Batch(table, 10, Object{Commit: 1, Rows: rows[:2], Errors: bad}, Object{Commit: 1, Rows: rows[2:]}), Batch(other, 10, Object{Commit: 1, Rows: rows}))
	nextDay := row("o'ne", "2015-08-19T05:00:00Z", 8)
	nextDay.ByReceipt = true
	s.rows(table, row("o'ne", "2015-08-18T06:00:00Z", 9), row("ü", "2015-08-18T07:00:00Z", 9), nextDay)
	s.wantRows("SELECT count(*) FROM arbalest.conflicts", "3")
	day := span("2015-08-18T00:00:00Z", "2015-08-19T00:00:00Z")
	erased := load.Removal{Commit: 3, Event: "a.b", Table: "a_b", IDs: []string{"five", "o'ne", "two\\", "nobody's"}, Spans: day}
	s.remove(erased)
	left := func() {
		s.Helper()
		s.wantRows("SELECT event_id, n FROM a_b ORDER BY event_id, n", "o'ne | 4", "ü | 3")
		s.wantRows("SELECT count(*) FROM c", "4")
		s.wantRows("SELECT event_id FROM arbalest.load_errors WHERE table_name = 'a_b'", "six")
		s.wantRows("SELECT event_id FROM arbalest.conflicts", "ü")
		s.wantRows("SELECT \"commit\", hour, loaded, errors FROM arbalest.journal WHERE loaded < 0 OR errors < 0", "3 | 2015-08-18 06:00:00 | -2 | -1")
		s.wantRows("SELECT \"commit\", table_name, event, hour, erased FROM arbalest.erased", "3 | a_b | a.b | 2015-08-18 06:00:00 | 3")
	}
	left()
	balance := func() {
		s.Helper()
		for _, b := range s.query(books) {
			if b[7] != "0" {
				s.Errorf("books do not balance: %q", b)
			}
		}
	}
	balance()
	// Again, and of a table that is not there: nothing changes but the cursor.
	s.remove(erased, load.Removal{Commit: 3, Event: "nothing", Table: "nothing", IDs: []string{"o'ne"}, Spans: day, Whole: day})
	left()
	// What was erased before it was loaded, and an id that is free again.
	b := Batch(table, 10, Object{Commit: 5, Rows: []Row{row("two\\", "2015-08-18T06:10:00Z", 5)}})
	b.Objects[0].Events += 2
	b.Objects[0].Erased = 2
	s.wantCounts(s.load(b)[0], load.Counts{Stored: 3, Loaded: 1, Erased: 2})
	balance()
	s.wantRows("SELECT event_id, n FROM a_b ORDER BY event_id, n", "o'ne | 4", "two\\ | 5", "ü | 3")
	// All of a day goes.
	s.remove(load.Removal{Commit: 6, Event: "a.b", Table: "a_b", Whole: day})
	s.wantRows("SELECT event_id, n FROM a_b", "o'ne | 4")
	s.wantRows("SELECT count(*) FROM arbalest.load_errors WHERE table_name = 'a_b'", "0")
	s.wantRows("SELECT count(*) FROM arbalest.conflicts", "0")
	s.wantRows(books+" LIMIT 3", "a.b | 2015-08-18 06:00:00 | 10 | 0 | 3 | 3 | 0 | 0 | 7", "a.b | 2015-08-18 07:00:00 | 2 | 1 | 0 | 0 | 0 | 0 | 1", "c | 2015-08-18 06:00:00 | 4 | 4 | 0 | 0 | 0 | 0 | 0")
	balance()
	// A batch that is refused removes nothing, and so does one that another loaded.
	if _, err := s.w.Load(s.Context(), load.Progress{}, load.Batch{Removals: []load.Removal{{Commit: 7, Event: "c", Table: "c", Whole: day}}, Next: s.next()}); !errors.Is(err, arbalest.ErrExists) {
		s.Errorf("%v", err)
	}
	s.wantRows("SELECT count(*) FROM c", "4")
	// Many ids, in a table beside.
	var ids []string
	var many []Row
	for i := range 1200 {
		ids = append(ids, fmt.Sprint("id", i))
		many = append(many, row(ids[i], "2015-08-18T06:00:00Z", i))
	}
	shadow := s.beside("one", load.Progress{}, Batch(table, 10_000, Object{Commit: 1, Rows: append(many, row("stays", "2015-08-18T06:00:00Z", 1)), Errors: bad[:1]}))
	found, failed := 0, 0
	if err := shadow.Rows(s.Context(), "a_b", day[0].From, day[0].To, func(load.Row) error { found++; return nil }); err != nil || found != 1201 {
		s.Errorf("%d rows beside, %v", found, err)
	}
	if err := shadow.Unloaded(s.Context(), "a_b", func(string, int64) error { failed++; return nil }); err != nil || failed != 1 {
		s.Errorf("%d load errors beside, %v", failed, err)
	}
	next := load.Progress{Cursor: load.Cursor{Commit: s.at.Commit}}
	if _, err := shadow.Load(s.Context(), load.Progress{Cursor: load.Cursor{Commit: 1}}, load.Batch{Removals: []load.Removal{{Commit: 3, Event: "a.b", Table: "a_b", IDs: append(ids, "five"), Spans: day}}, Next: next}); err != nil {
		s.Fatal(err)
	}
	s.wantRows("SELECT event_id FROM a_b", "o'ne")
	if err := s.w.Swap(s.Context(), load.Part{}, "a_b"); err != nil {
		s.Fatal(err)
	}
	s.wantRows("SELECT event_id FROM a_b", "stays")
	s.wantRows(books+" LIMIT 1", "a.b | 2015-08-18 06:00:00 | 1202 | 1 | 0 | 0 | 0 | 0 | 1201")
}

// testEraseOfTiers erases what left a table: its identity goes, its warm object is
// stale until there is a new one, and what stays is found to be repeated as before.
func testEraseOfTiers(s *suite) {
	table := Declared("a.b", Col("n", "INTEGER"))
	row := func(id, at string) Row { return Row{ID: id, Time: at, Values: []any{1}} }
	rows := []Row{row("1", "2015-08-18T06:00:00Z"), row("2", "2015-08-18T07:00:00Z"), row("3", "2015-08-19T06:00:00Z")}
	s.rows(table, rows...)
	s.leave("a_b", "2015-08-18", "")
	s.leave("a_b", "2015-08-19", "")
	s.rows(table, row("4", "2015-08-18T06:00:00Z"))
	s.remove(load.Removal{Commit: 3, Event: "a.b", Table: "a_b", IDs: []string{"1", "4"}, Spans: span("2015-08-18T00:00:00Z", "2015-08-20T00:00:00Z")})
	s.wantIdentities("a_b", "-2 18T07:00 00", "-3 19T06:00 00")
	stale := func(days ...string) {
		s.Helper()
		for i, d := range s.days("a_b") {
			if got := fmt.Sprintf("%s %d %v", d.Day.Time().Format("02"), d.Left, d.Stale); got != days[i] {
				s.Errorf("day %d is %s, want %s", i, got, days[i])
			}
		}
	}
	stale("18 1 true", "19 1 false")
	s.wantRows("SELECT hour, loaded, repeats, not_loaded, erased FROM arbalest.books ORDER BY hour", "2015-08-18 06:00:00 | 2 | 0 | 0 | 2")
	s.wantCounts(s.rows(table, rows[1]), load.Counts{Stored: 1, Repeats: 1})
	s.remove(load.Removal{Commit: 5, Event: "a.b", Table: "a_b", Whole: span("2015-08-18T00:00:00Z", "2015-08-20T00:00:00Z")})
	s.wantIdentities("a_b")
	stale("18 0 true", "19 0 true")
}

// testErasedMeanwhile loads random lakes, in batches of any size, while some of the
// ids are erased and all is compacted, and again when they are: the tables come out
// the same, the books balance, and nothing of what was erased is in them.
func testErasedMeanwhile(s *suite) {
	queries := []string{
		"SELECT event_id, event_time, received_at, event_hash, n, v FROM strict",
		"SELECT event_id, event_time, received_at, event_hash, n, v, properties FROM open",
		"SELECT DISTINCT table_name, event_id, event_time, column_name, value, loaded FROM arbalest.load_errors",
		"SELECT event, hour, received, stored, rejected FROM arbalest.books",
	}
	opts := load.Options{Workers: 2, Declared: []arbalest.Table{{Name: "strict", Event: "strict", Version: 1, Columns: []arbalest.Column{Col("n", "INTEGER"), Col("v", "VARCHAR(10)")}}}}
	for range 2 {
		seed := rand.Uint64()
		s.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		l := randomLake(s, random)
		head, err := l.Head(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		var gone []string
		e := lake.Erasure{IDs: map[arbalest.EventName][]string{}}
		for i := range 5 {
			gone = append(gone, fmt.Sprint(i*3))
		}
		e.IDs["strict"], e.IDs["open"] = gone, gone
		for day := range 4 {
			for _, event := range []arbalest.EventName{"strict", "open"} {
				at := arbalest.HourOfMicro(Micros("2015-08-17T00:00:00Z")) + arbalest.Hour(24*day)
				e.Days = append(e.Days, arbalest.EventDay{Event: event, Day: at})
			}
		}
		erase := func() {
			if _, err := l.Erase(s.Context(), e); err != nil {
				s.Fatal(err)
			}
		}
		var first [][]string
		opts.BatchBytes = 1 + random.Int64N(3000)
		if err := s.w.Reset(s.Context()); err != nil {
			s.Fatal(err)
		}
		s.loadLake(l, opts, func() {
			switch random.IntN(6) {
			case 0:
				erase()
			case 1:
				if _, err := l.Compact(s.Context(), arbalest.HourOfMicro(Micros("2015-08-18T12:00:00Z"))); err != nil {
					s.Fatal(err)
				}
			}
		})
		erase()
		for i := range 2 {
			if i == 0 {
				s.loadLake(l, opts, func() {})
			} else if err := s.rebuild(l, s.w, opts, true, func() {}); err != nil {
				s.Fatal(err)
			}
			for k, sql := range queries {
				var rows []string
				for _, row := range s.query(sql) {
					rows = append(rows, strings.Join(row, " | "))
					if k < 2 && slices.Contains(gone, row[0]) || k == 2 && slices.Contains(gone, row[1]) {
						s.Errorf("seed %d, load %d: erased, and in %s: %q", seed, i, sql, row)
					}
				}
				if i == 0 {
					first = append(first, rows)
				}
				s.wantSame(fmt.Sprintf("seed %d, load %d: %s", seed, i, sql), rows, first[k])
			}
			erased := false
			for _, b := range s.query("SELECT event, hour, not_loaded, erased FROM arbalest.books") {
				erased = erased || b[3] != "0"
				if b[2] != "0" {
					s.Errorf("seed %d, load %d: books do not balance: %q", seed, i, b)
				}
			}
			if !erased {
				s.Errorf("seed %d, load %d: the books know of nothing that was erased", seed, i)
			}
			if s.Failed() {
				return
			}
		}
		if now, err := l.Head(s.Context()); err != nil || now == head {
			s.Errorf("seed %d: nothing was erased, %v", seed, err)
		}
	}
}
