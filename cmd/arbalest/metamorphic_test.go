package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"arbalest"
	"arbalest/connect"
	"arbalest/internal/blob"
	"arbalest/internal/capture"
	"arbalest/internal/lake"
)

// TestMetamorphic does random operations on random places, in any order, some of
// which fail or die half-way, and holds that the answers are those of a plain list of
// the events that were captured. ARBALEST_METAMORPHIC, or else ARBALEST_SOAK, says for
// how long. What fails is said with the few operations that it takes, and what to set
// ARBALEST_SEED to, to do those again.
func TestMetamorphic(t *testing.T) {
	if chosen := os.Getenv("ARBALEST_SEED"); chosen != "" {
		seed, picks, err := parseSeed(chosen)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := replay(t, seed, picks, t.Logf); err != nil {
			t.Fatal(err)
		}
		return
	}
	lasts, seed := metamorphicTime(t), rand.Uint64()
	t.Logf("for %s from seed %d", lasts, seed)
	worlds, steps := 0, 0
	for begun := time.Now(); time.Since(begun) < lasts; worlds++ {
		done, err := replay(t, seed, all(metaSteps), func(string, ...any) {})
		steps += done
		if err != nil {
			t.Errorf("after %d operations on %d places: seed %d: %v", steps, worlds+1, seed, err)
			t.Fatal(shrink(t, seed, done, err))
		}
		seed++
	}
	t.Logf("%d operations on %d places", steps, worlds)
}

// metaSteps is how many operations are done on a place.
const metaSteps = 40

func metamorphicTime(t *testing.T) time.Duration {
	text := cmp.Or(os.Getenv("ARBALEST_METAMORPHIC"), os.Getenv("ARBALEST_SOAK"))
	if text == "" && testing.Short() {
		return 10 * time.Second
	}
	d, err := time.ParseDuration(cmp.Or(text, "2m"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func all(n int) []int {
	picks := make([]int, n)
	for i := range picks {
		picks[i] = i
	}
	return picks
}

// parseSeed reads what shrink says: a seed, and the operations of it.
func parseSeed(text string) (seed uint64, picks []int, err error) {
	first, rest, some := strings.Cut(text, ":")
	if seed, err = strconv.ParseUint(first, 10, 64); err != nil || !some {
		return seed, all(metaSteps), err
	}
	for _, n := range strings.Split(rest, ",") {
		i, err := strconv.Atoi(n)
		if err != nil {
			return 0, nil, err
		}
		picks = append(picks, i)
	}
	return seed, picks, nil
}

// replay does the operations of a seed that are picked, on a place of their own. It
// returns how many were done.
func replay(t *testing.T, seed uint64, picks []int, log func(string, ...any)) (done int, err error) {
	w, err := newWorld(t.Context(), seed)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	log("%s", w)
	defer func() {
		if err != nil {
			w.list.tell(err.Error(), log)
		}
	}()
	for _, pick := range picks {
		r := rand.New(rand.NewPCG(seed, uint64(pick)))
		op := choose(r, operations)
		w.did = op.name
		begun := time.Now()
		err := op.do(w, r)
		if err == nil && r.IntN(3) == 0 {
			err = w.check()
		}
		done++
		log("%d: %s (%.1f s)", pick, w.did, time.Since(begun).Seconds())
		if err != nil {
			return done, fmt.Errorf("%s: %w", w.did, err)
		}
	}
	w.did = "at the end"
	return done, w.check()
}

// shrink leaves out what it does not take to fail, and says what is left. Who fails
// for another reason fails too.
func shrink(t *testing.T, seed uint64, failed int, fails error) string {
	picks := all(failed)
	begun := time.Now()
	for size := max(len(picks)/2, 1); size > 0; {
		removed := false
		for from := 0; from < len(picks) && time.Since(begun) < 2*time.Minute; {
			without := slices.Delete(slices.Clone(picks), from, min(from+size, len(picks)))
			if done, err := replay(t, seed, without, func(string, ...any) {}); err != nil {
				picks, fails, removed = without[:min(done, len(without))], err, true
			} else {
				from += size
			}
		}
		if !removed || size > 1 {
			size /= 2
		}
	}
	names, numbers := make([]string, len(picks)), make([]string, len(picks))
	for i, pick := range picks {
		names[i] = choose(rand.New(rand.NewPCG(seed, uint64(pick))), operations).name
		numbers[i] = strconv.Itoa(pick)
	}
	return fmt.Sprintf("it takes %s: %v\nagain: ARBALEST_SEED=%d:%s go test -run TestMetamorphic -v ./cmd/arbalest", strings.Join(names, ", "), fails, seed, strings.Join(numbers, ","))
}

// An operation is something that may be done to a place at any time.
type operation struct {
	name   string
	weight int
	do     func(w *world, r *rand.Rand) error
}

// operations are all that is done. A new one goes here; if it may be stopped
// half-way, into breakable.
var operations = append([]operation{
	{"reopen", 2, func(w *world, r *rand.Rand) error { return w.reopen() }},
	{"kill", 2, func(w *world, r *rand.Rand) error { return w.kill() }},
	{"drop the warehouse", 1, (*world).dropWarehouse},
	{"another warehouse", 1, (*world).another},
	{"verify", 3, (*world).verifies},
	{"break", 12, (*world).breaks},
	{"all at once", 2, (*world).atOnce},
}, breakable...)

// breakable are operations that may be stopped half-way, after which doing them
// again, or anything else, must do.
var breakable = []operation{
	{"capture", 10, (*world).captures},
	{"capture again", 6, (*world).capturesAgain},
	{"sort", 3, func(w *world, r *rand.Rand) error {
		_, err := w.engine.lake.Sort(w.ctx)
		return err
	}},
	{"sync", 4, func(w *world, r *rand.Rand) error { return w.sync() }},
	{"compact", 5, (*world).compact},
	{"rebuild", 3, (*world).rebuild},
	{"copy", 1, (*world).copies},
	{"erase", 2, (*world).erases},
	{"archive", 4, (*world).archives},
	{"restore", 2, (*world).restores},
}

func choose(r *rand.Rand, from []operation) operation {
	sum := 0
	for _, op := range from {
		sum += op.weight
	}
	n := r.IntN(sum)
	for _, op := range from {
		if n -= op.weight; n < 0 {
			return op
		}
	}
	panic("weights")
}

// A world is a place that is worked on, and what it must be.
type world struct {
	ctx     context.Context
	root    string // of its directories
	dirs    int
	dir     string // of the data
	config  config
	memory  *blob.Memory // the store; nil if it is in the directory
	store   *shaky
	engine  *engine
	gather  *lake.Gatherer
	capture *capture.Handler
	list    *plainList
	now     time.Time     // of capture
	did     string        // the operation that was done last
	pending *sending      // what was not acknowledged
	erasing *lake.Erasure // what is to be erased, and may not be yet
}

// metaBegin is when captures begin: before the present, so that no clock is behind.
var metaBegin = time.Date(2026, 3, 1, 20, 0, 0, 0, time.UTC)

func newWorld(ctx context.Context, seed uint64) (*world, error) {
	r := rand.New(rand.NewPCG(seed, metaSteps+1))
	w := &world{ctx: ctx, list: newPlainList(), now: metaBegin, config: config{Events: metaEvents}}
	if r.IntN(3) == 0 {
		w.memory = blob.NewMemory()
		w.config.Store = "s3://memory" // DuckDB reads copies of what is warm, as with any store but a directory
	}
	w.config.Compression = []string{"", "none"}[r.IntN(2)]
	w.config.Warehouse.Batch = []size{0, 1500, 6000}[r.IntN(3)]
	w.config.Compact.Target = []size{0, 500, 10_000}[r.IntN(3)]
	w.config.Warehouse.Memory = 128 << 20
	var err error
	if w.root, err = os.MkdirTemp("", "metamorphic"); err != nil {
		return nil, err
	}
	w.dir = w.newDir()
	return w, w.open()
}

func (w *world) String() string {
	return fmt.Sprintf("memory %t, compression %q, batch %d, target %d", w.memory != nil, w.config.Compression, w.config.Warehouse.Batch, w.config.Compact.Target)
}

func (w *world) newDir() string {
	w.dirs++
	return filepath.Join(w.root, strconv.Itoa(w.dirs))
}

// openStore opens a store anew, as another process would.
func (w *world) openStore() (blob.Store, func() error, error) {
	if w.memory != nil {
		return w.memory, func() error { return nil }, nil
	}
	return connect.Store(w.ctx, filepath.Join(w.dir, "store"))
}

func (w *world) open() error {
	store, closes, err := w.openStore()
	if err != nil {
		return err
	}
	w.store = &shaky{base: store}
	store = w.store
	if dir, ok := w.store.base.(*blob.Dir); ok {
		store = shakyDir{w.store, dir}
		dir.Around(w.store.around)
	}
	if w.engine, err = engineOn(w.ctx, place{dir: w.dir}, w.config, store, closes); err != nil {
		return errors.Join(err, closes())
	}
	w.gather = w.engine.lake.NewGatherer()
	w.capture, err = capture.New(capture.Options{Appender: w.gather, Now: func() time.Time { return w.now }, Patience: -1})
	return err
}

func (w *world) close() error {
	var err error
	if w.engine != nil {
		err = w.engine.Close()
	}
	return errors.Join(err, os.RemoveAll(w.root))
}

func (w *world) reopen() error {
	err := errors.Join(w.capture.Close(w.ctx), w.gather.Close(w.ctx), w.engine.Close())
	w.engine = nil
	if err != nil {
		return err
	}
	return w.open()
}

// kill goes on with what is on disk now, as if the process had died: a copy of the
// directory has no locks on it.
func (w *world) kill() error {
	dead := w.engine
	from := w.dir
	w.dir = w.newDir()
	if err := os.CopyFS(w.dir, os.DirFS(from)); err != nil {
		return err
	}
	w.engine = nil
	if dead != nil {
		_ = dead.Close() // what it does is not seen any more
	}
	if err := os.RemoveAll(from); err != nil {
		return err
	}
	return w.open()
}

// check brings everything up to date, and compares it with the list.
func (w *world) check() error {
	if err := w.sync(); err != nil {
		return fmt.Errorf("sync to check: %w", err)
	}
	return w.agrees(w.engine)
}

func (w *world) agrees(e *engine) error {
	if err := w.list.answers(w.ctx, e); err != nil {
		return err
	}
	return w.verify(e)
}

func (w *world) verify(e *engine) error {
	report, err := e.Verify(w.ctx, verifyRequest{Content: true}, func(progress) {})
	if err == nil {
		err = report.Err()
	}
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	return nil
}

// verifies compares store and warehouse as they are, and holds that the books have
// all that was captured, wherever it is.
func (w *world) verifies(r *rand.Rand) error {
	if err := w.verify(w.engine); err != nil {
		return err
	}
	s, err := w.engine.Status(w.ctx)
	if err != nil {
		return err
	}
	received, doubts := int64(0), w.list.doubts
	for _, b := range s.Books {
		received += b.Received
	}
	for _, n := range w.list.doubted {
		doubts += n
	}
	if want := int64(len(w.list.events)+len(w.list.gone)) + w.list.rejected; !s.Balanced || received < want || received > want+doubts {
		return fmt.Errorf("status: balanced %t, %d received, want %d and at most %d more", s.Balanced, received, want, doubts)
	}
	return nil
}

func (w *world) sync() error {
	w.engine.loader.Wake()
	r, err := w.engine.Sync(w.ctx, func(progress) {})
	return errors.Join(err, r.err())
}

// A sending is events that a client sends until it is told that they are there.
type sending struct {
	lines   string
	facts   []*fact
	invalid int
	at      time.Time
}

// captures sends a batch of events.
func (w *world) captures(r *rand.Rand) error { return w.sends(r, 0) }

// capturesAgain sends events of which most were sent before.
func (w *world) capturesAgain(r *rand.Rand) error { return w.sends(r, 3) }

// sends sends a batch, of which old in 4 were sent before.
func (w *world) sends(r *rand.Rand, old int) error {
	w.now = w.now.Add([]time.Duration{0, time.Millisecond, 10 * time.Minute, time.Hour, 5 * time.Hour, 24 * time.Hour, 50 * time.Hour}[r.IntN(7)]).Add(time.Duration(r.IntN(1000)) * time.Millisecond)
	s := &sending{at: w.now}
	var b strings.Builder
	sent := len(w.list.events)
	for range 1 + r.IntN(20) {
		var f *fact
		if sent > 0 && r.IntN(4) < old {
			from := w.list.events
			if len(w.list.gone) > 0 && r.IntN(4) == 0 {
				from = w.list.gone
			}
			f = w.list.again(r, w.now, from[r.IntN(min(len(from), sent))])
		} else {
			f = w.list.fresh(r, w.now)
		}
		// So that the others of the batch are seen by the next.
		w.list.events = append(w.list.events, f)
		b.WriteString(f.line(r))
		if r.IntN(15) == 0 {
			b.WriteString(rejects(r, w.now))
			s.invalid++
		}
	}
	s.facts = slices.Clone(w.list.events[sent:])
	w.list.events = w.list.events[:sent]
	s.lines = b.String()
	w.pending = s
	return w.send()
}

// send sends what is pending. The list has it once it is acknowledged.
func (w *world) send() error {
	s := w.pending
	taken, err := w.capture.Take(w.ctx, []byte(s.lines))
	if err != nil {
		return err
	}
	w.pending = nil
	if taken.Accepted != len(s.facts) || taken.Rejected != s.invalid {
		return fmt.Errorf("capture accepted %d and rejected %d, not %d and %d, of %.500s", taken.Accepted, taken.Rejected, len(s.facts), s.invalid, s.lines)
	}
	for _, f := range s.facts {
		if w.list.forgotten[f.event+" "+f.id] {
			w.list.rejected++
		} else {
			w.list.events = append(w.list.events, f)
		}
	}
	w.list.rejected += int64(s.invalid)
	return nil
}

// erases erases the events of some ids, or of whole days. Those that are not sorted
// yet would count as rejected.
func (w *world) erases(r *rand.Rand) error {
	if err := w.sync(); err != nil || len(w.list.events) == 0 {
		return err
	}
	e := &lake.Erasure{By: "test", Why: "a test", IDs: map[arbalest.EventName][]string{}}
	days := map[arbalest.EventDay]bool{}
	for range 1 + r.IntN(4) {
		some := w.list.events[r.IntN(len(w.list.events))]
		if r.IntN(5) == 0 {
			if !w.list.leans(some.day()) {
				e.Whole = append(e.Whole, some.day())
			}
			continue
		}
		e.IDs[arbalest.EventName(some.event)] = append(e.IDs[arbalest.EventName(some.event)], some.id)
		for _, f := range w.list.of(some.event) {
			if f.id == some.id {
				days[f.day()] = true
			}
		}
	}
	e.Days = slices.Collect(maps.Keys(days))
	w.erasing = e
	return w.erase()
}

// erase erases what is to be erased.
func (w *world) erase() error {
	if w.erasing == nil {
		return nil
	}
	if _, err := w.engine.lake.Erase(w.ctx, *w.erasing); err != nil {
		return err
	}
	w.list.erase(w.erasing)
	w.erasing = nil
	return nil
}

// sendAgain sends what was not acknowledged, at the same time by its clock: which of
// the two is stored then makes no difference.
func (w *world) sendAgain() error {
	if w.pending == nil {
		return nil
	}
	for _, f := range w.pending.facts {
		if w.list.forgotten[f.event+" "+f.id] {
			w.list.doubts++
			continue
		}
		w.list.doubted[bookOf(f.event, f.hour())]++
	}
	w.list.doubts += int64(w.pending.invalid)
	return w.send()
}

func (w *world) closed(r *rand.Rand) arbalest.Hour {
	return arbalest.HourOf(w.now) + arbalest.Hour(r.IntN(24*5)-24*2)
}

// compact merges what is closed at some time, wholly or one commit's worth.
func (w *world) compact(r *rand.Rand) error {
	closed, whole := w.closed(r), r.IntN(3) > 0
	for {
		c, err := w.engine.lake.Compact(w.ctx, closed)
		if err != nil || !whole || c.Commit == 0 && !c.More {
			return err
		}
	}
}

// tables returns those of events.
func (w *world) tables() ([]tableLine, error) {
	r, err := w.engine.Tables(w.ctx)
	return slices.DeleteFunc(r.Tables, func(t tableLine) bool { return t.Kind != "event" }), err
}

// rebuild makes all tables again, or one, or some hours, or says what would differ.
func (w *world) rebuild(r *rand.Rand) error {
	var q rebuildRequest
	tables, err := w.tables()
	if err != nil {
		return err
	}
	if n := len(tables); n > 0 && r.IntN(2) == 0 {
		q.Tables = []string{tables[r.IntN(n)].Table}
	}
	q.Diff = r.IntN(4) == 0
	if r.IntN(2) == 0 {
		from := arbalest.HourOf(w.now) - arbalest.Hour(r.IntN(24*7))
		to := from + arbalest.Hour(1+r.IntN(48))
		q.hours = []hours{{&from, &to}, {&from, nil}, {nil, &to}}[r.IntN(3)]
	}
	if q.Diff { // what was erased and is not loaded yet would be in the old table only
		if err := w.sync(); err != nil {
			return err
		}
	}
	report, err := w.engine.Rebuild(w.ctx, q, func(progress) {})
	if errors.Is(err, arbalest.ErrInvalid) && (q.hours.From != nil || q.hours.To != nil) {
		// Days that left are made again as a whole, or not.
		for _, h := range []*arbalest.Hour{q.hours.From, q.hours.To} {
			if h != nil {
				*h = (*h).Day()
			}
		}
		if from, to := q.hours.From, q.hours.To; from != nil && to != nil && *from == *to {
			*to += 24
		}
		report, err = w.engine.Rebuild(w.ctx, q, func(progress) {})
	}
	if err == nil {
		err = report.err()
	}
	for _, d := range report.Diff {
		if other := slices.ContainsFunc(d.Columns, func(c columnDiff) bool { return c.Values > 0 }); err == nil && (other || d.OnlyOld+d.OnlyNew > 0) {
			err = fmt.Errorf("a rebuild changes what verify agrees with: %+v", d)
		}
	}
	return err
}

// archives has days leave their tables that are before some day.
func (w *world) archives(r *rand.Rand) error {
	days := w.closed(r)/24 - arbalest.Hour(r.IntN(4))
	return w.archive(days)
}

// archive has days leave that are before one, which is counted as hours are. Ages are
// of the clock's time.
func (w *world) archive(before arbalest.Hour) error {
	w.engine.config.Retention.HotFor = days(arbalest.HourOf(time.Now())/24 - before)
	report, err := w.engine.Archive(w.ctx, archiveRequest{}, func(progress) {})
	return errors.Join(err, report.Err())
}

// restores brings some days of a table back, and holds them or not.
func (w *world) restores(r *rand.Rand) error {
	tables, err := w.tables()
	if err != nil || len(tables) == 0 {
		return err
	}
	t := tables[r.IntN(len(tables))]
	from := w.now.Truncate(24*time.Hour).AddDate(0, 0, -r.IntN(8))
	q := restoreRequest{Event: t.Event, From: from, To: from.AddDate(0, 0, r.IntN(3)), Days: 1, Speed: string(blob.ThawStandard)}
	if _, err := w.engine.Restore(w.ctx, q, func(progress) {}); err != nil || r.IntN(3) == 0 {
		return err
	}
	first, last := q.hours()
	return w.engine.warehouse.Hold(w.ctx, t.Table, first, last, time.Time{})
}

// copies copies the lake to another place, and goes on there, with the warehouse or
// a new one.
func (w *world) copies(r *rand.Rand) error {
	to := w.newDir()
	memory := w.memory
	var store blob.Store = blob.NewMemory()
	if memory == nil {
		dir, err := blob.OpenDir(filepath.Join(to, "store"))
		if err != nil {
			return err
		}
		defer dir.Close()
		store = dir
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	l, err := lakeOn(store, w.config)
	if err != nil {
		return err
	}
	_, err = w.engine.lake.CopyTo(w.ctx, l, func(lake.Copied) {})
	if err != nil {
		w.store.mend() // and goes on where it was
		_, err = w.engine.lake.CopyTo(context.WithoutCancel(w.ctx), l, func(lake.Copied) {})
	}
	if err != nil {
		return err
	}
	err = errors.Join(w.capture.Close(w.ctx), w.gather.Close(w.ctx), w.engine.Close())
	w.engine = nil
	if err != nil {
		return err
	}
	if r.IntN(2) == 0 {
		warm := "warm"
		if memory == nil {
			warm = "store/_warm"
		}
		for _, name := range []string{"warehouse.duckdb", warm} {
			if err := os.Rename(filepath.Join(w.dir, name), filepath.Join(to, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	if err := os.RemoveAll(w.dir); err != nil {
		return err
	}
	w.dir = to
	if memory != nil {
		w.memory = store.(*blob.Memory)
	}
	return w.open()
}

// dropWarehouse deletes all that is derived.
func (w *world) dropWarehouse(r *rand.Rand) error {
	err := errors.Join(w.capture.Close(w.ctx), w.gather.Close(w.ctx), w.engine.Close(), os.Remove(filepath.Join(w.dir, "warehouse.duckdb")))
	w.engine = nil
	if err != nil {
		return err
	}
	return w.open()
}

// beside opens the place as another process with a warehouse of its own.
func (w *world) beside() (*engine, error) {
	c := w.config
	c.Warehouse.URL = "second.duckdb"
	store, closes, err := w.openStore()
	if err != nil {
		return nil, err
	}
	e, err := engineOn(w.ctx, place{dir: w.dir}, c, store, closes)
	if err != nil {
		return nil, errors.Join(err, closes())
	}
	return e, nil
}

// another brings the other warehouse of the place to where the lake is: it must have
// the same answers.
func (w *world) another(r *rand.Rand) (err error) {
	if err := w.engine.Land(w.ctx); err != nil {
		return err
	}
	e, err := w.beside()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	report, err := e.Sync(w.ctx, func(progress) {})
	if err := errors.Join(err, report.err()); err != nil {
		return err
	}
	return w.agrees(e)
}

// atOnce does what others than the one engine may do while it is in use.
func (w *world) atOnce(r *rand.Rand) error {
	closed, before := w.closed(r), w.closed(r)/24
	e, err := w.beside()
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.Go(func() error { return w.sends(r, 1) })
	g.Go(w.sync)
	g.Go(func() error { return w.archive(before) })
	g.Go(func() error {
		_, err := w.engine.lake.Compact(w.ctx, closed)
		return err
	})
	g.Go(func() error {
		_, err := e.lake.Compact(w.ctx, closed)
		return err
	})
	g.Go(func() error {
		_, err := e.Sync(w.ctx, func(progress) {})
		return err
	})
	return errors.Join(g.Wait(), e.Close())
}

// breaks has an operation fail half-way, or the whole process die.
func (w *world) breaks(r *rand.Rand) error {
	op := breakable[r.IntN(len(breakable))]
	if r.IntN(3) > 0 { // so that there is something to do
		if err := w.captures(r); err != nil {
			return err
		}
	}
	whole, store := w.ctx, w.store
	ctx, cancel := context.WithCancel(whole)
	defer cancel()
	w.did = op.name + ", with " + store.arm(r, cancel)
	w.ctx = ctx
	err := op.do(w, r)
	w.ctx = whole
	store.mend()
	if err != nil && !isOurs(err) {
		return err
	}
	if err == nil {
		w.did += ", and done all the same"
	} else if w.engine == nil || r.IntN(3) > 0 {
		w.did += ", and a kill after it"
		if err := w.kill(); err != nil {
			return err
		}
	}
	return errors.Join(w.sendAgain(), w.erase())
}
