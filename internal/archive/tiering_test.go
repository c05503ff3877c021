package archive

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/blob/blobtest"
	"arbalest/internal/duckdb"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// A world is a lake that is loaded into DuckDB, and the passes over both.
type world struct {
	*testing.T
	dir     string
	store   blob.Store
	lake    *lake.Lake
	w       *duckdb.Warehouse
	loader  *load.Loader
	tiering Tiering
	keep    []Keep
	n       int
}

// newWorld makes one at 2015-08-18 12:00, whose events stay in their tables for 2 days:
// days before 2015-08-16 leave.
func newWorld(t *testing.T, store func(dir string) blob.Store) *world {
	t.Helper()
	w := &world{T: t, dir: t.TempDir(), keep: []Keep{{"a", "a", Retention{Hot: 2}}}}
	dir, err := blob.OpenDir(filepath.Join(w.dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	if w.store = dir; store != nil {
		w.store = store(w.dir)
	}
	w.w, err = duckdb.Open(t.Context(), filepath.Join(w.dir, "w.duckdb"), duckdb.Options{Warm: filepath.Join(w.dir, "store")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.w.Close() })
	w.open(w.store)
	return w
}

// open opens the lake anew on a store, as another process would.
func (w *world) open(store blob.Store) {
	w.Helper()
	var err error
	if w.lake, err = lake.Open(store, lake.Options{}); err != nil {
		w.Fatal(err)
	}
	w.loader = load.New(w.lake, w.w, load.Options{BatchBytes: 1 << 16})
	w.tiering = Tiering{Lake: w.lake, Store: store, Warehouse: w.w, Loader: w.loader, Scratch: w.scratch, Now: func() time.Time { return noon }, Mirror: w.tiering.Mirror}
}

type scratch struct {
	*duckdb.Warehouse
	folder string
}

func (s scratch) Close() error { return errors.Join(s.Warehouse.Close(), os.RemoveAll(s.folder)) }

func (w *world) scratch(ctx context.Context) (Scratch, string, error) {
	folder, err := os.MkdirTemp(w.dir, "day-")
	if err != nil {
		return nil, "", err
	}
	s, err := duckdb.Open(ctx, "", duckdb.Options{Files: folder})
	return scratch{s, folder}, folder, err
}

// An occurrence is an event that is sent.
type occurrence struct {
	id         string
	at         time.Time
	received   time.Time // zero is a week later
	properties string    // "" is {}
}

func (w *world) send(events ...occurrence) {
	w.Helper()
	var lines []byte
	for _, e := range events {
		if e.received.IsZero() {
			e.received = noon.AddDate(0, 0, 7)
		}
		if e.properties == "" {
			e.properties = "{}"
		}
		p := []byte(e.properties)
		lines = arbalest.AppendLine(lines, arbalest.Event{ID: e.id, Name: "a", Time: e.at, Received: e.received, Hash: xxh3.Hash(p), Properties: p})
	}
	if _, err := w.lake.NewWriter().AppendLines(w.Context(), lines); err != nil {
		w.Fatal(err)
	}
	if _, err := w.lake.Sort(w.Context()); err != nil {
		w.Fatal(err)
	}
}

func (w *world) load() {
	w.Helper()
	for {
		if r, err := w.loader.Once(w.Context()); err != nil {
			w.Fatal(err)
		} else if r.Idle {
			return
		}
	}
}

// some sends random events of six days, the newest of which is the day of noon, with
// repeats, some of them by receipt over a day's border, and conflicts.
func (w *world) some(random *rand.Rand, events int) {
	w.Helper()
	var all []occurrence
	for range events {
		at := noon.Add(-time.Duration(random.IntN(6*24*60)) * time.Minute)
		e := occurrence{id: fmt.Sprint(random.IntN(2 * events / 3)), at: at, properties: fmt.Sprintf(`{"n":%d}`, random.IntN(3))}
		if random.IntN(3) == 0 {
			e.received = at
		}
		if random.IntN(5) == 0 && len(all) > 0 { // again, later
			e = all[random.IntN(len(all))]
			if e.received.Equal(e.at) {
				e.at = e.at.Add(time.Duration(random.IntN(30*60)) * time.Minute)
				e.received = e.at
			}
		}
		all = append(all, e)
	}
	w.send(all...)
}

// pass does one, and holds that nothing is stopped.
func (w *world) pass() TieringReport {
	w.Helper()
	r, err := w.tiering.Once(w.Context(), w.keep)
	if err != nil || r.Err() != nil {
		w.Fatalf("%v: %+v", err, r)
	}
	return r
}

func (w *world) ask(sql string) string {
	w.Helper()
	rows, err := w.w.Query(context.Background(), sql)
	if err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var parts []string
		for _, v := range rows.Values() {
			parts = append(parts, v.Text)
		}
		out = append(out, strings.Join(parts, "|"))
	}
	if rows.Err() != nil {
		w.Fatalf("%s: %v", sql, rows.Err())
	}
	return strings.Join(out, "\n")
}

const (
	inAll   = "SELECT event_id, event_time, received_at, event_hash, properties FROM a_all ORDER BY ALL"
	inTable = "SELECT event_id, event_time, received_at, event_hash, properties FROM a ORDER BY ALL"
)

// settled holds that all tiers together have what a warehouse has that loads the log
// and lets nothing leave, that store and warehouse agree, and that of each day that left
// there is one warm object.
func (w *world) settled() {
	w.Helper()
	other, err := duckdb.Open(w.Context(), "", duckdb.Options{})
	if err != nil {
		w.Fatal(err)
	}
	defer other.Close()
	l := load.New(w.lake, other, load.Options{})
	for {
		if r, err := l.Once(w.Context()); err != nil {
			w.Fatal(err)
		} else if r.Idle {
			break
		}
	}
	want := (&world{T: w.T, w: other}).ask(inTable)
	if got := w.ask(inAll); got != want {
		w.Fatalf("all tiers have\n%s\nwant\n%s", got, want)
	}
	w.verified()
	for _, store := range w.tiering.warmStores() {
		if got, want := w.warm(store), strings.Fields(w.ask("SELECT warm_key FROM arbalest.days WHERE warm_key IS NOT NULL ORDER BY 1")); !slices.Equal(got, want) {
			w.Fatalf("warm are %v, want %v", got, want)
		}
	}
}

// verified holds that store and warehouse agree.
func (w *world) verified() {
	w.Helper()
	r, err := Verify(w.Context(), w.lake, w.w, Options{Table: w.loader.Table})
	if err != nil || r.Err() != nil {
		w.Fatalf("%v: %v: %+v", err, r.Err(), r)
	}
}

// warm lists the warm objects of a store.
func (w *world) warm(store blob.Store) (keys []string) {
	w.Helper()
	for info, err := range store.List(context.Background(), "_warm/", "") {
		if err != nil {
			w.Fatal(err)
		}
		keys = append(keys, string(info.Key))
	}
	return keys
}

func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 3))
}

// TestDaysLeave has days leave, late events and repeats of them come, definitions grow,
// and objects be merged, and finds each event once at every stage.
func TestDaysLeave(t *testing.T) {
	for _, most := range []int{0, 40, 3} { // all of a day, of an hour, and less are held at once
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			w := newWorld(t, nil)
			random := seeded(t)
			for round := range 3 {
				w.some(random, 150)
				w.load()
				w.tiering.MaxEvents = most
				r := w.pass()
				if n, sum := r.Sum(Warmed); n == 0 || sum.Rows == 0 || sum.Warm == 0 || round == 0 && n != 4 {
					t.Fatalf("%+v", r)
				}
				w.settled()
				if got := w.ask("SELECT count(*) FROM a WHERE event_time < TIMESTAMP '2015-08-16'"); got != "0" {
					t.Fatalf("%s rows are left of days that left", got)
				}
				if r := w.pass(); len(r.Days) > 0 {
					t.Fatalf("again: %+v", r)
				}
				if round == 1 { // a column more: all is made again
					w.send(occurrence{id: "wide", at: noon, properties: `{"n":1,"more":"x"}`})
					w.load()
					w.settled()
					if n, _ := w.pass().Sum(Remade); n != 4 {
						t.Fatalf("%d days were made again", n)
					}
					w.settled()
					if got := w.ask("SELECT count(*) FROM a_all WHERE more = 'x'"); got != "1" {
						t.Fatalf("%s rows have the new column's value", got)
					}
				}
				if _, err := w.lake.Compact(t.Context(), arbalest.HourOf(noon)+48); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestNothingToDoCostsNothing asks the store for nothing when no day is due.
func TestNothingToDoCostsNothing(t *testing.T) {
	w := newWorld(t, nil)
	w.some(seeded(t), 100)
	w.load()
	trace := blobtest.Trace(w.store)
	w.open(trace)
	if n, _ := w.pass().Sum(Warmed); n != 4 {
		t.Fatalf("%d days left", n)
	}
	trace.Reset()
	w.pass()
	if n := len(trace.Lines()); n != 0 {
		t.Errorf("%d requests:\n%s", n, trace)
	}
	w.settled()
}

// TestPlanChangesNothing says what a pass would do.
func TestPlanChangesNothing(t *testing.T) {
	w := newWorld(t, nil)
	w.some(seeded(t), 100)
	w.load()
	plan, err := w.tiering.Plan(t.Context(), w.keep)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.warm(w.store)) > 0 || w.ask("SELECT count(*) FROM arbalest.days") != "0" {
		t.Error("a plan has made something")
	}
	done := w.pass()
	if len(plan.Days) != len(done.Days) {
		t.Fatalf("planned %+v, done %+v", plan, done)
	}
	for i, d := range done.Days {
		d.Warm = 0
		if plan.Days[i] != d {
			t.Errorf("planned %+v, done %+v", plan.Days[i], d)
		}
	}
}

// TestWhatTheStoreLacksStays loses an object of the store, and lets no row of its day
// leave; days before it may have.
func TestWhatTheStoreLacksStays(t *testing.T) {
	for _, most := range []int{0, 1} {
		w := newWorld(t, nil)
		w.tiering.MaxEvents = most
		at := noon.AddDate(0, 0, -4)
		w.send(occurrence{id: "1", at: at}, occurrence{id: "2", at: at.Add(time.Hour)}, occurrence{id: "3", at: at.AddDate(0, 0, -1)})
		w.load()
		commit, err := w.lake.Commit(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		lost := slices.IndexFunc(commit.Objects, func(o arbalest.Object) bool { return o.Hour == arbalest.HourOf(at.Add(time.Hour)) })
		if err := w.store.Delete(t.Context(), commit.Objects[lost].Key); err != nil {
			t.Fatal(err)
		}
		r, err := w.tiering.Once(t.Context(), append(w.keep, Keep{"other", "other", Retention{Hot: 1}}))
		if err != nil || !errors.Is(r.Err(), arbalest.ErrDiffers) || !strings.Contains(r.Err().Error(), "event 2 of 2015-08-14/13") || !strings.Contains(r.Err().Error(), "nothing was deleted") {
			t.Fatalf("%v: %v", err, r.Err())
		}
		if got := w.ask("SELECT string_agg(event_id, ',' ORDER BY event_id) FROM a"); got != "1,2" {
			t.Errorf("rows %s", got)
		}
		if got := w.ask("SELECT count(*) FROM a_all"); got != "3" {
			t.Errorf("%s rows in all", got)
		}
	}
}

// TestWhatIsNotLoadedWaits leaves a day that the warehouse has not all of, or gets more
// of meanwhile.
func TestWhatIsNotLoadedWaits(t *testing.T) {
	w := newWorld(t, nil)
	at := noon.AddDate(0, 0, -4)
	w.send(occurrence{id: "1", at: at})
	w.load()
	w.send(occurrence{id: "2", at: at.Add(time.Hour)})
	waits := func() {
		t.Helper()
		r := w.pass()
		if len(r.Days) != 1 || r.Days[0].Action != Waits || r.Days[0].Why == "" || w.ask("SELECT count(*) FROM arbalest.archived") != "0" {
			t.Fatalf("%+v", r)
		}
	}
	waits()
	w.load()
	w.tiering.Exclusive = func() func() { // between its making and its leaving
		if w.n == 0 && len(w.warm(w.store)) > 0 {
			w.send(occurrence{id: fmt.Sprint("m", w.n), at: at})
			w.n++
			w.load()
		}
		return func() {}
	}
	waits()
	w.tiering.Exclusive = nil
	if n, sum := w.pass().Sum(Warmed); n != 1 || sum.Rows != 3 {
		t.Fatalf("%d days, %+v", n, sum)
	}
	w.settled()
}

// TestHeldDaysStay leaves days that are held until then.
func TestHeldDaysStay(t *testing.T) {
	w := newWorld(t, nil)
	w.send(occurrence{id: "1", at: noon.AddDate(0, 0, -4)})
	w.load()
	day := before(noon, 4)
	if err := w.w.Hold(t.Context(), "a", day, day+24, noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if r := w.pass(); len(r.Days) != 0 || r.Held != 1 {
		t.Errorf("%+v", r)
	}
	w.tiering.Now = func() time.Time { return noon.Add(2 * time.Hour) }
	if n, _ := w.pass().Sum(Warmed); n != 1 {
		t.Error("it stays")
	}
	w.settled()
}

// TestInvariant2ArchiveCrashesAtEveryStep stops passes at every step of the store, with
// a day that is to be made again for a late event and one for a new column, and finds
// each event once afterwards, before and after the next pass.
func TestInvariant2ArchiveCrashesAtEveryStep(t *testing.T) {
	w := newWorld(t, nil)
	recent, old := noon.AddDate(0, 0, -3), noon.AddDate(0, 0, -4)
	w.send(occurrence{id: "old", at: old}, occurrence{id: "recent", at: recent})
	w.load()
	w.pass()
	for _, stop := range []blobtest.Stop{{}, {LostReply: true}, {Reads: true}} {
		for k := 0; ; k++ {
			w.n++
			w.send(occurrence{id: fmt.Sprint("late", w.n), at: recent, properties: fmt.Sprintf(`{"c%d":1}`, w.n)}, occurrence{id: "old", at: old})
			w.load()
			stop.Steps = k
			stopped := blobtest.StopAfter(w.store, stop)
			w.open(stopped)
			_, err := w.tiering.Once(t.Context(), w.keep)
			if stopped.Crashed() != (err != nil) || err != nil && !errors.Is(err, blobtest.ErrCrashed) {
				t.Fatalf("step %d: %v", k, err)
			}
			w.open(w.store)
			w.verified()
			all := w.ask(inAll)
			if want := fmt.Sprintf("%d", 2+w.n); w.ask("SELECT count(*) FROM a_all") != want {
				t.Fatalf("step %d: want %s rows:\n%s", k, want, all)
			}
			w.pass()
			if got := w.ask(inAll); got != all {
				t.Fatalf("step %d: before\n%s\nafter\n%s", k, all, got)
			}
			if !stopped.Crashed() {
				t.Logf("%+v: %d steps", stop, k)
				break
			}
			if stop.Reads { // there are more of them each time
				k += 1 + k/2
			}
		}
		w.settled()
	}
}

// TestMirror keeps warm objects of a store that the warehouse does not read where it
// does, and gets those that are missing there.
func TestMirror(t *testing.T) {
	w := newWorld(t, func(string) blob.Store { return blob.NewMemory() })
	mirror, err := blob.OpenDir(filepath.Join(w.dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer mirror.Close()
	w.tiering.Mirror = mirror
	w.some(seeded(t), 80)
	w.load()
	if n, _ := w.pass().Sum(Warmed); n != 4 {
		t.Fatalf("%d days left", n)
	}
	w.settled()
	keys := w.warm(mirror)
	for _, key := range keys[:2] {
		if err := mirror.Delete(t.Context(), arbalest.Key(key)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.store.Delete(t.Context(), arbalest.Key(keys[1])); err != nil { // one is nowhere
		t.Fatal(err)
	}
	if n, _ := w.pass().Sum(Remade); n != 1 {
		t.Errorf("%d days were made again", n)
	}
	w.settled()
}

// TestDaysGoForGood has days leave the store and the warehouse, of which some were hot,
// some warm, and some had no row; late events of them go too, and a pass that dies
// anywhere is gone on with.
func TestDaysGoForGood(t *testing.T) {
	declared := load.Options{Declared: []arbalest.Table{{Name: "a", Event: "a", Version: 1, Columns: []arbalest.Column{{Name: "n", Type: arbalest.Type{Kind: arbalest.Integer}, Path: []string{"n"}}}}}}
	for _, stop := range []blobtest.Stop{{}, {LostReply: true}, {Reads: true}} {
		for k, crashed := 0, true; crashed; k++ {
			w := newWorld(t, nil)
			at := func(ago int) time.Time { return noon.AddDate(0, 0, -ago) }
			w.loader = load.New(w.lake, w.w, declared)
			w.tiering.Loader = w.loader
			w.send(occurrence{id: "hot", at: at(1)}, occurrence{id: "warm", at: at(3)}, occurrence{id: "old", at: at(5)}, occurrence{id: "bad", at: at(7), properties: `{"n":"x"}`})
			w.load()
			w.pass()
			w.send(occurrence{id: "late", at: at(5)}, occurrence{id: "later", at: at(6)}, occurrence{id: "warm", at: at(3)})
			w.load()
			w.keep[0].Gone = 4
			if plan, err := w.tiering.Plan(t.Context(), w.keep); err != nil || len(plan.Days) != 3 || w.ask("SELECT count(*) FROM a_all") != "5" {
				t.Fatalf("%v: %+v: %s: %s", err, plan, w.ask("SELECT event_id FROM a_all"), w.ask("SELECT * FROM arbalest.load_errors"))
			}
			stop.Steps = k
			stopped := blobtest.StopAfter(w.store, stop)
			w.open(stopped)
			w.tiering.Loader = load.New(w.lake, w.w, declared)
			_, err := w.tiering.Once(t.Context(), w.keep)
			if crashed = stopped.Crashed(); crashed != (err != nil) || err != nil && !errors.Is(err, blobtest.ErrCrashed) {
				t.Fatalf("step %d: %v", k, err)
			}
			w.open(w.store)
			w.loader = load.New(w.lake, w.w, declared)
			w.tiering.Loader = w.loader
			w.pass()
			w.send(occurrence{id: "old", at: at(5)}) // again, and it goes again
			w.load()
			w.pass()
			if got := w.ask("SELECT event_id FROM a_all ORDER BY 1"); got != "hot\nwarm" {
				t.Fatalf("step %d: left are %s", k, got)
			}
			if got := w.ask("SELECT count(*) FROM arbalest.archived"); got != "1" {
				t.Fatalf("step %d: %s identities are left", k, got)
			}
			for info, err := range w.store.List(t.Context(), "", "") {
				if n, ok := lake.NameOf(info.Key); err != nil || ok && n.Hour.Time().Before(at(5).Truncate(24*time.Hour).AddDate(0, 0, 1)) {
					t.Fatalf("step %d: %s is left, %v", k, info.Key, err)
				}
			}
			if warm := w.warm(w.store); len(warm) != 1 {
				t.Fatalf("step %d: warm are %v", k, warm)
			}
			if got := w.ask("SELECT CAST(sum(stored) AS BIGINT), CAST(sum(loaded) AS BIGINT), CAST(sum(not_loaded) AS BIGINT) FROM arbalest.books"); got != "8|2|0" {
				t.Fatalf("step %d: books are %s", k, got)
			}
			w.verified()
			if stop.Reads { // there are more of them
				k += 1 + k/2
			}
		}
	}
}

// TestLostWarmObjects has objects go and be cut short in a directory that the warehouse
// reads: a pass makes them again, loading goes on meanwhile, and days of no retention any
// more are not forgotten.
func TestLostWarmObjects(t *testing.T) {
	w := newWorld(t, nil)
	w.some(seeded(t), 80)
	w.load()
	if n, _ := w.pass().Sum(Warmed); n != 4 {
		t.Fatalf("%d days left", n)
	}
	w.settled()
	w.keep[0].Hot = 100
	keys := w.warm(w.store)
	for i, damage := range []func(file string) error{os.Remove, func(file string) error { return os.Truncate(file, 40) }} {
		if err := damage(filepath.Join(w.dir, "store", keys[i])); err != nil {
			t.Fatal(err)
		}
		w.send(occurrence{id: fmt.Sprint("new", i), at: noon, properties: fmt.Sprintf(`{"new%d":1}`, i)}) // another column
		w.load()
		if p, err := w.w.Progress(t.Context()); err != nil || len(p.Stalled) > 0 {
			t.Fatalf("%v: %+v", err, p)
		}
		if n, _ := w.pass().Sum(Remade); n == 0 {
			t.Error("nothing was made again")
		}
		w.settled()
	}
}
