package warehousetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"arbalest"
	"arbalest/internal/decode"
	"arbalest/internal/load"
)

func testLoadErrors(s *suite) {
	table := Inferred("odd", Col("n", "INTEGER"))
	c := s.load(Batch(table, 10, Object{Commit: 1,
		Rows: []Row{{ID: "a", Time: "2015-08-18T06:00:00Z", Values: []any{nil, `{"n":"x"}`}}},
		Errors: []decode.LoadError{
			{Line: 1, ID: "a", Column: "n", Value: `"x"`, Reason: "is not an integer", Loaded: true},
			{Line: 2, ID: "b", Column: "v", Value: `"` + "long" + `"`, Reason: "is too long"},
			{Line: 3, Value: "not JSON \xff", Reason: "is not a stored event"},
		}}))
	s.wantCounts(c[0], load.Counts{Stored: 3, Loaded: 1, Errors: 2})
	s.wantRows(`SELECT table_name, "commit", object, line, event_id, event_time, column_name, value, reason, loaded FROM arbalest.load_errors ORDER BY line`,
		`odd | 1 | odd/2015-08-18/06/00000000000000000001-0.ndjson | 1 | a | 2015-08-18 06:00:00 | n | "x" | is not an integer | true`,
		`odd | 1 | odd/2015-08-18/06/00000000000000000001-0.ndjson | 2 | b | 2015-08-18 06:00:00 | v | "long" | is too long | false`,
		"odd | 1 | odd/2015-08-18/06/00000000000000000001-0.ndjson | 3 | NULL | NULL | NULL | not JSON \uFFFD | is not a stored event | false")
	s.wantRows("SELECT stored, loaded, errors, not_loaded FROM arbalest.books", "3 | 1 | 2 | 0")
	// A batch of nothing but errors makes its table all the same.
	s.load(Batch(Declared("worse", Col("n", "INTEGER")), 10, Object{Commit: 2, Errors: []decode.LoadError{{Line: 1, ID: "a", Time: Micros("1970-01-01T00:00:00Z"), Reason: "bad"}}}))
	s.wantRows("SELECT count(*) FROM worse", "0")
}

func testBooks(s *suite) {
	a, b := Declared("a.b", Col("n", "INTEGER")), Declared("c", Col("n", "INTEGER"))
	row := func(id, time string) Row { return Row{ID: id, Time: time, Values: []any{1}} }
	hour, err := arbalest.ParseHour("2015-08-18/06")
	if err != nil {
		s.Fatal(err)
	}
	_, err = s.w.Load(s.Context(), s.at, load.Batch{
		Tables: []load.TableBatch{
			Batch(a, 10, Object{Commit: 1, Rows: []Row{row("1", "2015-08-18T06:00:00Z"), row("2", "2015-08-18T06:01:00Z")}}, Object{Commit: 1, Rows: []Row{row("3", "2015-08-18T07:00:00Z")}}, Object{Commit: 2, Rows: []Row{row("4", "2015-08-18T06:00:00Z")}}),
			Batch(b, 10, Object{Commit: 2, Rows: []Row{row("1", "2015-08-18T06:00:00Z")}}),
		},
		Rejected: []load.CommitRejection{{Commit: 1, Rejection: arbalest.Rejection{Event: "a.b", Hour: hour, Events: 5}}, {Commit: 2, Rejection: arbalest.Rejection{Hour: hour, Events: 2}}},
		Next:     load.Progress{Cursor: load.Cursor{Commit: 2, Objects: 3}},
	})
	if err != nil {
		s.Fatal(err)
	}
	s.at = load.Progress{Cursor: load.Cursor{Commit: 2, Objects: 3}}
	s.wantProgress()
	s.wantRows(`SELECT "commit", table_name, event, hour, objects, stored, rejected, loaded, repeats, conflicts, errors FROM arbalest.journal ORDER BY "commit", event, hour, table_name`,
		"1 | a_b | a.b | 2015-08-18 06:00:00 | 1 | 2 | 0 | 2 | 0 | 0 | 0",
		"1 | NULL | a.b | 2015-08-18 06:00:00 | 0 | 0 | 5 | 0 | 0 | 0 | 0",
		"1 | a_b | a.b | 2015-08-18 07:00:00 | 1 | 1 | 0 | 1 | 0 | 0 | 0",
		"2 | NULL |  | 2015-08-18 06:00:00 | 0 | 0 | 2 | 0 | 0 | 0 | 0",
		"2 | a_b | a.b | 2015-08-18 06:00:00 | 1 | 1 | 0 | 1 | 0 | 0 | 0",
		"2 | c | c | 2015-08-18 06:00:00 | 1 | 1 | 0 | 1 | 0 | 0 | 0")
	s.wantRows("SELECT event, hour, received, stored, rejected, loaded, repeats, errors, not_loaded FROM arbalest.books ORDER BY event, hour",
		" | 2015-08-18 06:00:00 | 2 | 0 | 2 | 0 | 0 | 0 | 0",
		"a.b | 2015-08-18 06:00:00 | 8 | 3 | 5 | 3 | 0 | 0 | 0",
		"a.b | 2015-08-18 07:00:00 | 1 | 1 | 0 | 1 | 0 | 0 | 0",
		"c | 2015-08-18 06:00:00 | 1 | 1 | 0 | 1 | 0 | 0 | 0")
}

// testJournalOfManyRows loads an import's batch: one event in each of 45,000
// hours.
func testJournalOfManyRows(s *suite) {
	table := Declared("hourly", Col("n", "INTEGER"))
	var objects []Object
	from := time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)
	n := many(45_000, 10_000)
	for i := range n {
		objects = append(objects, Object{Commit: 1, Rows: []Row{{ID: fmt.Sprint(i), Time: from.Add(time.Duration(i) * time.Hour).Format(time.RFC3339), Values: []any{i}}}})
	}
	s.load(Batch(table, 8000, objects...))
	s.wantRows("SELECT count(*), CAST(sum(not_loaded) AS BIGINT), CAST(sum(loaded) AS BIGINT) FROM arbalest.books", fmt.Sprintf("%d | 0 | %d", n, n))
}

func testStalePrev(s *suite) {
	table := Declared("raced", Col("n", "INTEGER"))
	s.rows(table, Row{ID: "1", Time: "2015-08-18T06:00:00Z", Values: []any{1}})
	for _, prev := range []load.Progress{{}, {Cursor: load.Cursor{Commit: 2}}, {Cursor: load.Cursor{Commit: 1, Objects: 1}},
		{Cursor: s.at.Cursor, Stalled: map[string]load.Stall{"raced": {}}}} {
		next := load.Progress{Cursor: load.Cursor{Commit: 9}}
		b := Batch(Declared("raced", Col("n", "INTEGER"), Col("m", "INTEGER")), 10, Object{Commit: 9, Rows: []Row{{ID: "2", Time: "2015-08-18T06:00:00Z", Values: []any{2, 2}}}})
		if _, err := s.w.Load(s.Context(), prev, load.Batch{Tables: []load.TableBatch{b}, Next: next}); !errors.Is(err, arbalest.ErrExists) {
			s.Errorf("load from %+v: %v, want ErrExists", prev, err)
		}
	}
	s.wantProgress()
	s.wantRows("SELECT * FROM raced", "1 | 2015-08-18 06:00:00 | 2015-08-18 06:00:01 | 0000000000000000 | 1")
	s.wantRows("SELECT count(*) FROM arbalest.journal", "1")
}

func testStalled(s *suite) {
	since := time.Date(2026, 11, 22, 20, 12, 3, 120_000_000, time.UTC)
	stall := load.Stall{Cursor: load.Cursor{Commit: 3, Objects: 7}, Event: "a.b", Since: since, Reason: "it's \"bad\""}
	step := func(next load.Progress) {
		s.Helper()
		if _, err := s.w.Load(s.Context(), s.at, load.Batch{Next: next}); err != nil {
			s.Fatal(err)
		}
		s.at = next
		s.wantProgress()
	}
	step(load.Progress{Cursor: load.Cursor{Commit: 5, Objects: 1}, Stalled: map[string]load.Stall{"a_b": stall, "c": stall}})
	stall.Cursor.Objects++
	step(load.Progress{Cursor: load.Cursor{Commit: 5, Objects: 1}, Stalled: map[string]load.Stall{"a_b": stall}})
	step(load.Progress{Cursor: load.Cursor{Commit: 5, Objects: 1}})
}

// testRace has several loaders do the same 20 steps at once.
func testRace(s *suite) {
	const loaders, steps = 4, 20
	table := Declared("contended", Col("n", "INTEGER"))
	var won [loaders]int
	var wg sync.WaitGroup
	for k := range loaders {
		wg.Go(func() {
			for i := range steps {
				prev, next := load.Progress{Cursor: load.Cursor{Commit: arbalest.Seq(i)}}, load.Progress{Cursor: load.Cursor{Commit: arbalest.Seq(i + 1)}}
				b := Batch(table, 10, Object{Commit: next.Commit, Rows: []Row{{ID: fmt.Sprintf("%d by %d", i, k), Time: "2015-08-18T06:00:00Z", Values: []any{i}}}})
				_, err := s.w.Load(s.Context(), prev, load.Batch{Tables: []load.TableBatch{b}, Next: next})
				switch {
				case err == nil:
					won[k]++
				case !errors.Is(err, arbalest.ErrExists):
					s.Errorf("step %d: %v", i, err)
				}
				for err != nil { // until the step is done, whoever does it
					p, err := s.w.Progress(s.Context())
					if err != nil || p.Commit > arbalest.Seq(i) {
						break
					}
				}
			}
		})
	}
	wg.Wait()
	if sum := won[0] + won[1] + won[2] + won[3]; sum != steps {
		s.Errorf("%v loads succeeded, want %d in all", won, steps)
	}
	s.wantRows("SELECT count(*), count(DISTINCT n) FROM contended", fmt.Sprintf("%d | %d", steps, steps))
}

func testManyTables(s *suite) {
	const n = 161
	batch := func(commit arbalest.Seq) (tables []load.TableBatch) {
		for i := range n {
			tables = append(tables, Batch(Inferred(fmt.Sprintf("event.%03d", i), Col("a", "BIGINT"), Col("b", "VARCHAR(256)")), 10,
				Object{Commit: commit, Rows: []Row{{ID: fmt.Sprint(int(commit)), Time: "2015-08-18T06:00:00Z", Values: []any{i, "x", "{}"}}, {ID: "0", Time: "2015-08-18T06:00:00Z", Values: []any{i, "x", "{}"}}}}))
		}
		return tables
	}
	s.load(batch(1)...)
	for i, c := range s.load(batch(2)...) {
		if c != (load.Counts{Stored: 2, Loaded: 1, Repeats: 1}) {
			s.Errorf("counts of table %d are %+v", i, c)
		}
	}
	s.wantRows("SELECT count(*), CAST(sum(loaded) AS BIGINT), CAST(sum(repeats) AS BIGINT), CAST(sum(not_loaded) AS BIGINT) FROM arbalest.books", fmt.Sprintf("%d | %d | %d | 0", n, 3*n, n))
	s.wantRows("SELECT event_id, a FROM event_160 ORDER BY event_id", "0 | 160", "1 | 160", "2 | 160")
}

// testAtomic has the last table of a batch fail.
func testAtomic(s *suite) {
	good := Declared("good", Col("n", "INTEGER"))
	bad := Declared("bad", Col("n", "INTEGER"))
	s.load(Batch(good, 10, Object{Commit: 1, Rows: []Row{{ID: "1", Time: "2015-08-18T06:00:00Z", Values: []any{1}}}}), Batch(bad, 10, Object{Commit: 1, Rows: []Row{{ID: "1", Time: "2015-08-18T06:00:00Z", Values: []any{1}}}}))
	more := []load.TableBatch{
		Batch(Declared("fresh", Col("n", "INTEGER")), 10, Object{Commit: 2, Rows: []Row{{ID: "1", Time: "2015-08-18T06:00:00Z", Values: []any{1}}}}),
		Batch(Declared("good", Col("n", "BIGINT"), Col("m", "BIGINT")), 10, Object{Commit: 2, Rows: []Row{{ID: "2", Time: "2015-08-18T06:00:00Z", Hash: "ffffffffffffffff", Values: []any{2, 2}}, {ID: "1", Time: "2015-08-18T06:00:00Z", Hash: "ffffffffffffffff", Values: []any{2, 2}}},
			Errors: []decode.LoadError{{Line: 9, Reason: "bad"}}}),
		Batch(Declared("bad", Col("n", "VARCHAR(10)")), 10, Object{Commit: 2, Rows: []Row{{ID: "2", Time: "2015-08-18T06:00:00Z", Values: []any{"x"}}}}),
	}
	unchanged := func() {
		s.Helper()
		s.wantProgress()
		s.wantRows("SELECT * FROM good", "1 | 2015-08-18 06:00:00 | 2015-08-18 06:00:01 | 0000000000000000 | 1")
		s.wantRows("SELECT n FROM bad", "1")
		s.wantRows("SELECT count(*) FROM arbalest.journal", "2")
		s.wantRows("SELECT count(*) FROM arbalest.conflicts", "0")
		s.wantRows("SELECT count(*) FROM arbalest.load_errors", "0")
		s.wantRows("SELECT count(*) FROM information_schema.tables WHERE table_name = 'fresh'", "0")
	}
	wantTableError(s, s.refused(more...), "bad")
	unchanged()
	// A definition that no warehouse can have.
	twice := Batch(Declared("twice", Col("n", "INTEGER"), Col("n", "INTEGER")), 10, Object{Commit: 2, Rows: []Row{{ID: "2", Time: "2015-08-18T06:00:00Z", Values: []any{1, 1}}}})
	wantTableError(s, s.refused(more[0], twice), "twice")
	unchanged()
	// Without the table at fault the rest goes in.
	s.load(more[:2]...)
	s.wantRows("SELECT n, m FROM good ORDER BY event_id", "1 | NULL", "2 | 2")
	s.wantRows("SELECT event_id, other_hash FROM arbalest.conflicts", "1 | ffffffffffffffff")
	s.wantRows("SELECT n FROM fresh", "1")
}

func testReset(s *suite) {
	a, b := Declared("a.b", Col("n", "INTEGER")), Declared("c", Col("n", "INTEGER"))
	row := []Row{{ID: "1", Time: "2015-08-18T06:00:00Z", Hash: "000000000000000a", Values: []any{1}}}
	again := []Row{{ID: "1", Time: "2015-08-18T06:00:00Z", Hash: "000000000000000b", Values: []any{1}}}
	bad := []decode.LoadError{{Line: 2, ID: "2", Reason: "bad"}}
	s.load(Batch(a, 10, Object{Commit: 1, Rows: row, Errors: bad}), Batch(b, 10, Object{Commit: 1, Rows: row, Errors: bad}))
	s.load(Batch(a, 10, Object{Commit: 2, Rows: again}), Batch(b, 10, Object{Commit: 2, Rows: again}))
	if err := s.w.Reset(s.Context(), "nothing"); !errors.Is(err, arbalest.ErrUnknown) {
		s.Errorf("reset of an unknown table: %v", err)
	}
	if err := s.w.Reset(s.Context(), "a_b"); err != nil {
		s.Fatal(err)
	}
	p, err := s.w.Progress(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	stall := p.Stalled["a_b"]
	if p.Cursor != s.at.Cursor || len(p.Stalled) != 1 || stall.Cursor != (load.Cursor{}) || stall.Event != "a.b" || stall.Reason != "rebuild" || time.Since(stall.Since) > time.Minute {
		s.Errorf("progress after reset is %+v", p)
	}
	s.wantRows("SELECT count(*) FROM information_schema.tables WHERE table_name = 'a_b'", "0")
	for _, books := range []string{"journal", "load_errors", "conflicts"} {
		s.wantRows("SELECT DISTINCT table_name FROM arbalest."+books, "c")
	}
	// A load that does not know of the reset is refused.
	if err := s.refused(Batch(a, 10, Object{Commit: 3, Rows: row})); !errors.Is(err, arbalest.ErrExists) {
		s.Errorf("load across a reset: %v", err)
	}
	s.at = p
	s.load(Batch(a, 10, Object{Commit: 1, Rows: row, Errors: bad}))
	s.wantRows("SELECT event_id, event_hash FROM a_b", "1 | 000000000000000a")
}

func testResetAll(s *suite) {
	s.load(Batch(Declared("a", Col("n", "INTEGER")), 10, Object{Commit: 1, Rows: []Row{{ID: "1", Time: "2015-08-18T06:00:00Z", Values: []any{1}}}}),
		Batch(Declared("b", Col("n", "INTEGER")), 10, Object{Commit: 1, Rows: []Row{{ID: "1", Time: "2015-08-18T06:00:00Z", Values: []any{1}}}}))
	if err := s.w.Reset(s.Context()); err != nil {
		s.Fatal(err)
	}
	s.at = load.Progress{}
	s.wantProgress()
	s.wantRows("SELECT count(*) FROM information_schema.tables WHERE table_name IN ('a', 'b')", "0")
	s.wantRows("SELECT count(*) FROM arbalest.books", "0")
	s.rows(Declared("a", Col("m", "VARCHAR(9)")), Row{ID: "1", Time: "2015-08-18T06:00:00Z", Values: []any{"x"}})
	s.wantRows("SELECT event_id, m FROM a", "1 | x")
}

func testRows(s *suite) {
	s.rows(Declared("listed"), Row{ID: "a", Time: "2015-08-18T06:00:00Z", Hash: "00000000000000aa"}, Row{ID: "b", Time: "2015-08-18T06:59:59.999999Z", ByReceipt: true}, Row{ID: "c", Time: "2015-08-18T07:00:00Z"})
	visit := func(table, from, to string) (ids []string) {
		err := s.w.Rows(s.Context(), table, Micros(from), Micros(to), func(r load.Row) error {
			ids = append(ids, fmt.Sprintf("%s %d %d %s", r.ID, r.Time-Micros(from), r.Received-r.Time, r.Hash))
			return nil
		})
		if err != nil {
			s.Fatal(err)
		}
		slices.Sort(ids)
		return ids
	}
	if got := visit("listed", "2015-08-18T06:00:00Z", "2015-08-18T07:00:00Z"); !slices.Equal(got, []string{"a 0 1000000 00000000000000aa", "b 3599999999 0 0000000000000000"}) {
		s.Errorf("rows are %q", got)
	}
	if got := visit("absent", "2015-08-18T06:00:00Z", "2015-08-18T07:00:00Z"); got != nil {
		s.Errorf("rows of a table that does not exist are %q", got)
	}
	stop := errors.New("stop")
	if err := s.w.Rows(s.Context(), "listed", Micros("2015-08-18T06:00:00Z"), Micros("2015-08-18T08:00:00Z"), func(load.Row) error { return stop }); err != stop {
		s.Errorf("error of visit came back as %v", err)
	}
}

func testReopen(s *suite) {
	table := Declared("kept", Col("n", "INTEGER"))
	for i := range 5 {
		s.rows(table, Row{ID: fmt.Sprint(i), Time: "2015-08-18T06:00:00Z", Values: []any{i}})
		s.reopen()
		s.wantProgress()
		s.wantRows("SELECT count(*) FROM kept", fmt.Sprint(i+1))
	}
	if c := s.rows(table, Row{ID: "0", Time: "2015-08-18T06:00:00Z", Values: []any{0}}); c.Repeats != 1 {
		s.Errorf("counts after reopening are %+v", c)
	}
}

func testCancelled(s *suite) {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	b := Batch(Declared("never", Col("n", "INTEGER")), 10, Object{Commit: 1, Rows: []Row{{ID: "1", Time: "2015-08-18T06:00:00Z", Values: []any{1}}}})
	if _, err := s.w.Load(ctx, s.at, load.Batch{Tables: []load.TableBatch{b}, Next: s.next()}); !errors.Is(err, context.Canceled) {
		s.Errorf("load with a cancelled context: %v", err)
	}
	s.wantProgress()
	s.load(b)
	s.wantRows("SELECT count(*) FROM never", "1")
}
