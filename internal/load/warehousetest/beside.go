package warehousetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"arbalest"
	"arbalest/internal/decode"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// beside opens the tables beside and loads a batch into them.
func (s *suite) beside(plan string, prev load.Progress, tables ...load.TableBatch) load.Shadow {
	s.Helper()
	shadow, err := s.w.Beside(s.Context(), plan)
	if err != nil {
		s.Fatal(err)
	}
	if len(tables) == 0 {
		return shadow
	}
	if _, err := shadow.Load(s.Context(), prev, load.Batch{Tables: tables, Next: load.Progress{Cursor: load.Cursor{Commit: prev.Commit + 1}}}); err != nil {
		s.Fatal(err)
	}
	return shadow
}

func (s *suite) wantShadow(shadow load.Shadow, commit arbalest.Seq) {
	s.Helper()
	if p, err := shadow.Progress(s.Context()); err != nil || p.Cursor != (load.Cursor{Commit: commit}) {
		s.Errorf("progress beside is %+v, %v, want commit %d", p, err, commit)
	}
}

func testBeside(s *suite) {
	row := func(id, hash string, values ...any) Row {
		return Row{ID: id, Time: "2015-08-18T06:00:00Z", Hash: hash, Values: values}
	}
	const a, b = "000000000000000a", "000000000000000b"
	old, other := Declared("a.b", Col("gone", "VARCHAR(9)"), Col("n", "INTEGER")), Declared("c", Col("n", "INTEGER"))
	now := Declared("a.b", Col("n", "VARCHAR(9)"))
	bad := []decode.LoadError{{Line: 2, ID: "2", Reason: "bad"}}
	if err := s.w.Swap(s.Context(), load.Part{}); !errors.Is(err, arbalest.ErrUnknown) {
		s.Errorf("swap of nothing: %v", err)
	}
	s.load(Batch(old, 10, Object{Commit: 1, Rows: []Row{row("1", a, "x", 1)}, Errors: bad}), Batch(other, 10, Object{Commit: 1, Rows: []Row{row("1", a, 1)}, Errors: bad}))
	s.load(Batch(old, 10, Object{Commit: 2, Rows: []Row{row("1", b, "x", 1)}}), Batch(other, 10, Object{Commit: 2, Rows: []Row{row("1", b, 1)}}))
	live := func() {
		s.Helper()
		s.wantProgress()
		s.wantRows("SELECT event_id, event_hash, gone, n FROM a_b", "1 | "+a+" | x | 1")
		s.wantRows("SELECT table_name, reason, count(*) FROM arbalest.load_errors GROUP BY table_name, reason ORDER BY table_name", "a_b | bad | 1", "c | bad | 1")
		s.wantRows("SELECT table_name, other_hash FROM arbalest.conflicts ORDER BY table_name", "a_b | "+b, "c | "+b)
		s.wantRows("SELECT event, stored, loaded, repeats, errors, not_loaded FROM arbalest.books ORDER BY event", "a.b | 3 | 1 | 1 | 1 | 0", "c | 3 | 1 | 1 | 1 | 0")
	}
	s.beside("one", load.Progress{}, Batch(now, 10, Object{Commit: 1, Rows: []Row{row("1", a, "one"), row("2", a, "two")}}))
	live()
	if err := s.w.Swap(s.Context(), load.Part{}, "a_b"); !errors.Is(err, arbalest.ErrExists) {
		s.Errorf("swap before the cursor is that of the live tables: %v", err)
	}
	live()
	// It goes on after it was closed; a repeat is one as in a live table.
	s.reopen()
	shadow := s.beside("one", load.Progress{})
	s.wantShadow(shadow, 1)
	if _, err := shadow.Load(s.Context(), load.Progress{}, load.Batch{}); !errors.Is(err, arbalest.ErrExists) {
		s.Errorf("load beside from where it is not: %v", err)
	}
	stall := load.Progress{Cursor: load.Cursor{Commit: 2}, Stalled: map[string]load.Stall{"a_b": {Cursor: load.Cursor{Commit: 1}, Event: "a.b", Reason: "damaged"}}}
	counts, err := shadow.Load(s.Context(), load.Progress{Cursor: load.Cursor{Commit: 1}}, load.Batch{Tables: []load.TableBatch{Batch(now, 10, Object{Commit: 2, Rows: []Row{row("1", b, "uno")}})}, Next: stall})
	if err != nil {
		s.Fatal(err)
	}
	s.wantCounts(counts[0], load.Counts{Stored: 1, Repeats: 1, Conflicts: 1})
	if err := s.w.Swap(s.Context(), load.Part{}, "a_b"); !errors.Is(err, arbalest.ErrExists) {
		s.Errorf("swap of a stalled table: %v", err)
	}
	wrong := Batch(Declared("a.b", Col("n", "BOOLEAN")), 10, Object{Commit: 2, Rows: []Row{row("3", a, true)}})
	_, err = shadow.Load(s.Context(), stall, load.Batch{Tables: []load.TableBatch{wrong}, Next: load.Progress{Cursor: load.Cursor{Commit: 2}}})
	wantTableError(s, err, "a_b")
	live()
	if _, err := shadow.Load(s.Context(), stall, load.Batch{Next: load.Progress{Cursor: load.Cursor{Commit: 2}}}); err != nil {
		s.Fatal(err)
	}
	if err := s.w.Swap(s.Context(), load.Part{}, "a_b"); err != nil {
		s.Fatal(err)
	}
	swapped := func() {
		s.Helper()
		s.wantProgress()
		s.wantRows("SELECT * FROM a_b ORDER BY event_id", "1 | 2015-08-18 06:00:00 | 2015-08-18 06:00:01 | "+a+" | one", "2 | 2015-08-18 06:00:00 | 2015-08-18 06:00:01 | "+a+" | two")
		s.wantRows("SELECT table_name FROM arbalest.load_errors", "c")
		s.wantRows("SELECT event, stored, loaded, repeats, errors, not_loaded FROM arbalest.books ORDER BY event", "a.b | 3 | 2 | 1 | 0 | 0", "c | 3 | 1 | 1 | 1 | 0")
		s.wantRows("SELECT table_name, event FROM arbalest.tables ORDER BY table_name", "a_b | a.b", "c | c")
		s.wantNothingBeside()
	}
	swapped()
	for doing, err := range map[string]error{"progress": func() error { _, err := shadow.Progress(s.Context()); return err }(), "swap": s.w.Swap(s.Context(), load.Part{}, "a_b"),
		"load": func() error { _, err := shadow.Load(s.Context(), stall, load.Batch{}); return err }()} {
		if !errors.Is(err, arbalest.ErrUnknown) {
			s.Errorf("%s after the swap: %v", doing, err)
		}
	}
	// Another plan drops what one before it left, and so does none.
	s.beside("two", load.Progress{}, Batch(now, 10, Object{Commit: 1, Rows: []Row{row("9", a, "nine")}}))
	s.wantShadow(s.beside("three", load.Progress{}, Batch(other, 10, Object{Commit: 1, Rows: []Row{row("9", a, 9)}})), 1)
	s.wantRows("SELECT table_name FROM information_schema.tables WHERE table_name IN ('_rebuild_a_b', '_rebuild_c')", "_rebuild_c")
	if shadow, err := s.w.Beside(s.Context(), ""); shadow != nil || err != nil {
		s.Errorf("beside by no plan: %v, %v", shadow, err)
	}
	swapped()
	// The table goes on as any other.
	s.wantCounts(s.rows(now, row("1", b, "x"), row("3", a, "three")), load.Counts{Stored: 2, Loaded: 1, Repeats: 1, Conflicts: 1})
	s.wantRows("SELECT event_id, n FROM a_b ORDER BY event_id", "1 | one", "2 | two", "3 | three")
	// A table of which nothing was made is dropped, and is stalled no more.
	s.beside("four", load.Progress{})
	next := load.Progress{Cursor: s.at.Cursor, Stalled: map[string]load.Stall{"c": {Event: "c", Reason: "damaged"}, "d": {Event: "d", Reason: "damaged"}}}
	if _, err := s.w.Load(s.Context(), s.at, load.Batch{Next: next}); err != nil {
		s.Fatal(err)
	}
	if _, err := s.beside("four", load.Progress{}).Load(s.Context(), load.Progress{}, load.Batch{Next: s.at}); err != nil {
		s.Fatal(err)
	}
	if err := s.w.Swap(s.Context(), load.Part{}, "c"); err != nil {
		s.Fatal(err)
	}
	if p, err := s.w.Progress(s.Context()); err != nil || p.Cursor != s.at.Cursor || len(p.Stalled) != 1 || p.Stalled["d"].Reason == "" {
		s.Errorf("progress is %+v, %v", p, err)
	}
	s.wantRows("SELECT table_name FROM information_schema.tables WHERE table_name IN ('a_b', 'c')", "a_b")
}

func (s *suite) wantNothingBeside() {
	s.Helper()
	s.wantRows(`SELECT table_name FROM information_schema.tables WHERE substring(table_name, 1, 8) IN ('_rebuild', 'rebuild_')`)
}

// answers are what tables and books have, by query.
func (s *suite) answers() (answers []string) {
	s.Helper()
	for _, sql := range []string{
		"SELECT * FROM strict", "SELECT event_id, event_time, received_at, event_hash, n, v, properties FROM open",
		"SELECT table_name, event_id, event_time, kept_hash, other_hash, object, line FROM arbalest.conflicts",
		"SELECT table_name, object, line, event_id, event_time, column_name, value, loaded FROM arbalest.load_errors",
		`SELECT "commit", table_name, event, hour, CAST(sum(objects) AS BIGINT), CAST(sum(stored) AS BIGINT), CAST(sum(rejected) AS BIGINT), CAST(sum(loaded) AS BIGINT), CAST(sum(repeats) AS BIGINT),
			CAST(sum(conflicts) AS BIGINT), CAST(sum(errors) AS BIGINT) FROM arbalest.journal WHERE objects > 0 OR table_name IS NULL GROUP BY "commit", table_name, event, hour`,
		"SELECT table_name, event FROM arbalest.tables",
	} {
		var rows []string
		for _, row := range s.query(sql) {
			rows = append(rows, strings.Join(row, " | "))
		}
		slices.Sort(rows)
		answers = append(answers, sql+"\n"+strings.Join(rows, "\n"))
	}
	return answers
}

func (s *suite) wantAnswers(when string, want []string) {
	s.Helper()
	for i, got := range s.answers() {
		if got != want[i] {
			s.Errorf("%s:\n got %s\nwant %s", when, got, want[i])
		}
	}
}

// The table strict, before and after its definition changed.
var (
	strictBefore = arbalest.Table{Name: "strict", Event: "strict", Version: 1, Columns: []arbalest.Column{Col("n", "INTEGER"), Col("v", "VARCHAR(10)")}}
	strictAfter  = arbalest.Table{Name: "strict", Event: "strict", Version: 1, Columns: []arbalest.Column{Col("n", "VARCHAR(3)")}}
)

// A dying warehouse does the nth thing that a rebuild asks of it, or not, and then
// says no more, as if the process had died.
type dying struct {
	load.Warehouse
	left  int
	after bool // it does the last
}

var errDied = errors.New("died")

func (d *dying) step(do func() error) error {
	if d.left--; d.left > 0 {
		return do()
	}
	if d.left == 0 && d.after {
		return errors.Join(do(), errDied)
	}
	return errDied
}

func (d *dying) Beside(ctx context.Context, plan string) (shadow load.Shadow, err error) {
	err = d.step(func() error { shadow, err = d.Warehouse.Beside(ctx, plan); return err })
	return dyingShadow{shadow, d}, err
}

func (d *dying) Swap(ctx context.Context, part load.Part, tables ...string) error {
	return d.step(func() error { return d.Warehouse.Swap(ctx, part, tables...) })
}

type dyingShadow struct {
	load.Shadow
	with *dying
}

func (d dyingShadow) Load(ctx context.Context, prev load.Progress, b load.Batch) (counts []load.Counts, err error) {
	err = d.with.step(func() error { counts, err = d.Shadow.Load(ctx, prev, b); return err })
	return counts, err
}

// rebuild makes strict, or all tables, again.
func (s *suite) rebuild(l *lake.Lake, w load.Warehouse, opts load.Options, all bool, meanwhile func()) error {
	return s.rebuildPart(l, w, opts, load.Part{}, all, meanwhile)
}

// rebuildPart makes a part of strict, or of all tables, again.
func (s *suite) rebuildPart(l *lake.Lake, w load.Warehouse, opts load.Options, part load.Part, all bool, meanwhile func()) error {
	r, err := load.New(l, w, opts).Rebuild(s.Context(), tablesOf(all), part)
	for err == nil {
		var result load.Result
		if result, err = r.Once(s.Context()); err == nil && result.Idle {
			return r.Swap(s.Context())
		}
		meanwhile()
	}
	return err
}

// tablesOf returns strict, or nil for all tables.
func tablesOf(all bool) map[string]arbalest.EventName {
	if all {
		return nil
	}
	return map[string]arbalest.EventName{"strict": "strict"}
}

// testRebuildKilled rebuilds tables by a changed definition and dies in each step of
// it, before the step has an effect and after. At any time there are all rows of the
// old table or all of the new one, with their books, and the next rebuild goes on.
func testRebuildKilled(s *suite) {
	seed := rand.Uint64()
	s.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	l := randomLake(s, random)
	before := load.Options{Workers: 2, BatchBytes: 8000, Declared: []arbalest.Table{strictBefore}}
	after := before
	after.Declared = []arbalest.Table{strictAfter}
	s.loadLake(l, after, func() {})
	want := s.answers()
	for _, done := range []bool{false, true} {
		for n, died := 1, true; died; n++ {
			all := random.IntN(2) == 0
			if err := s.w.Reset(s.Context()); err != nil {
				s.Fatal(err)
			}
			s.loadLake(l, before, func() {})
			was := s.answers()
			died = false
			// It dies at the nth step of every try, until one has so few left that it does not.
			for try := 0; ; try++ {
				err := s.rebuild(l, &dying{s.w, n, done}, after, all, func() {})
				s.reopen()
				if err == nil {
					break
				}
				died = true
				if errors.Is(err, arbalest.ErrUnknown) || !errors.Is(err, errDied) || try > 100 {
					s.Fatalf("seed %d, all %v, step %d of try %d: %v", seed, all, n, try, err)
				}
				if isNew := len(s.query("SELECT column_name FROM information_schema.columns WHERE table_name = 'strict' AND column_name = 'v'")) == 0; isNew != (done && s.swapped()) {
					s.Fatalf("seed %d, all %v, step %d of try %d: is new: %v", seed, all, n, try, isNew)
				} else if isNew {
					break
				}
				s.wantAnswers(fmt.Sprintf("seed %d, all %v, after step %d of try %d", seed, all, n, try), was)
				if n == 1 || n == 2 && !done { // it never gets any further
					if err := s.rebuild(l, s.w, after, all, func() {}); err != nil {
						s.Fatal(err)
					}
					break
				}
			}
			s.wantAnswers(fmt.Sprintf("seed %d, all %v, after step %d", seed, all, n), want)
			s.wantNothingBeside()
			if s.Failed() {
				return
			}
		}
	}
}

// swapped says whether nothing is beside.
func (s *suite) swapped() bool {
	return len(s.query("SELECT table_name FROM information_schema.tables WHERE table_name = 'rebuild_cursor'")) == 0
}

// testRebuildWhileAsked rebuilds tables while others ask for their rows: at all times
// these are all of the old table or all of the new one, which has some more where the
// warehouse could not have them in a column that is gone.
func testRebuildWhileAsked(s *suite) {
	seed := rand.Uint64()
	s.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	l := randomLake(s, random)
	opts := load.Options{Workers: 2, BatchBytes: 1500, Declared: []arbalest.Table{strictBefore}}
	s.loadLake(l, opts, func() {})
	count := func(ctx context.Context) (n int, err error) {
		err = s.w.Rows(ctx, "strict", Micros("2015-01-01T00:00:00Z"), Micros("2016-01-01T00:00:00Z"), func(load.Row) error { n++; return nil })
		return n, err
	}
	var rows [2]int // before and after
	for i, table := range []arbalest.Table{strictAfter, strictBefore} {
		opts.Declared = []arbalest.Table{table}
		if err := s.w.Reset(s.Context()); err != nil {
			s.Fatal(err)
		}
		s.loadLake(l, opts, func() {})
		var err error
		if rows[i], err = count(s.Context()); err != nil || rows[i] == 0 {
			s.Fatal(rows, err)
		}
	}
	ctx, cancel := context.WithCancel(s.Context())
	var asking sync.WaitGroup
	asked := [2]int{}
	for i := range asked {
		asking.Go(func() {
			for ctx.Err() == nil {
				if n, err := count(s.Context()); err != nil || n != rows[0] && n != rows[1] {
					s.Errorf("seed %d: %d of %v rows, %v", seed, n, rows, err)
					return
				}
				asked[i]++
			}
		})
	}
	for i, table := range []arbalest.Table{strictAfter, strictBefore, strictAfter, strictBefore} {
		opts.Declared = []arbalest.Table{table}
		if err := s.rebuild(l, s.w, opts, i%2 == 1, func() {}); err != nil {
			s.Errorf("seed %d: %v", seed, err)
		}
	}
	cancel()
	asking.Wait()
	s.Logf("asked %d times", asked[0]+asked[1])
	if asked[0] == 0 || asked[1] == 0 {
		s.Error("nobody asked")
	}
}

// testRebuildMeanwhile rebuilds tables while events come in and the live tables are
// loaded.
func testRebuildMeanwhile(s *suite) {
	seed := rand.Uint64()
	s.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	l := randomLake(s, random)
	opts := load.Options{Workers: 2, BatchBytes: 3000, Declared: []arbalest.Table{strictBefore}}
	s.loadLake(l, opts, func() {})
	later, calls := 0, 0
	for i, all := range []bool{false, true} {
		opts.BatchBytes = 2000 + random.Int64N(4000)
		opts.Declared = []arbalest.Table{[]arbalest.Table{strictAfter, strictBefore}[i]}
		live := opts
		live.Declared = []arbalest.Table{[]arbalest.Table{strictBefore, strictAfter}[i]}
		meanwhile := func() {
			if calls++; calls%3 != 1 {
				return
			}
			later++
			s.land(l, random, 1+random.IntN(20))
			s.loadLake(l, live, func() {})
		}
		for {
			err := s.rebuild(l, s.w, opts, all, meanwhile)
			if err == nil {
				break
			}
			if !errors.Is(err, arbalest.ErrExists) {
				s.Fatalf("seed %d: %v", seed, err)
			}
		}
		got := s.answers()
		if err := s.w.Reset(s.Context()); err != nil {
			s.Fatal(err)
		}
		s.loadLake(l, opts, func() {})
		s.wantAnswers(fmt.Sprintf("seed %d, all %v: loaded anew, and rebuilt", seed, all), got)
	}
	if later == 0 {
		s.Error("nothing came meanwhile")
	}
}
