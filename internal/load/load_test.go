package load_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
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

var noon = time.Date(2015, 8, 18, 12, 0, 0, 0, time.UTC)

// An event of the tests: its properties are JSON text.
type event struct {
	name, id   string
	at         time.Time
	properties string
}

func appendEvents(t *testing.T, l *lake.Lake, events ...event) {
	t.Helper()
	var lines []byte
	for _, e := range events {
		p := []byte(e.properties)
		lines = arbalest.AppendLine(lines, arbalest.Event{ID: e.id, Name: arbalest.EventName(e.name), Time: e.at, Received: noon.Add(48 * time.Hour), Hash: xxh3.Hash(p), Properties: p})
	}
	if _, err := l.NewWriter().AppendLines(context.Background(), lines); err != nil {
		t.Fatal(err)
	}
}

func sortAll(t *testing.T, l *lake.Lake) {
	t.Helper()
	for {
		s, err := l.Sort(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if s.Commit == 0 {
			return
		}
	}
}

// loadAll loads all there is, and returns the last, idle result.
func loadAll(t *testing.T, loader *load.Loader) load.Result {
	t.Helper()
	for {
		r, err := loader.Once(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if r.Idle {
			return r
		}
	}
}

func openLake(t *testing.T, store blob.Store) *lake.Lake {
	t.Helper()
	l, err := lake.Open(store, lake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func openWarehouse(t *testing.T) *duckdb.Warehouse {
	t.Helper()
	w, err := duckdb.Open(context.Background(), "", duckdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// ask returns a query's rows, values joined by "|".
func ask(t *testing.T, w *duckdb.Warehouse, sql string) string {
	t.Helper()
	rows, err := w.Query(context.Background(), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var parts []string
		for _, v := range rows.Values() {
			if v.Null {
				v.Text = "NULL"
			}
			parts = append(parts, v.Text)
		}
		out = append(out, strings.Join(parts, "|"))
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return strings.Join(out, "\n")
}

const books = "SELECT sum(received), sum(stored), sum(rejected), sum(loaded), sum(repeats), sum(conflicts), sum(errors), sum(not_loaded) FROM arbalest.books"

func TestLoadEvolvesAndLeavesRepeatsOut(t *testing.T) {
	l, w := openLake(t, blob.NewMemory()), openWarehouse(t)
	loader := load.New(l, w, load.Options{})
	appendEvents(t, l, event{"user.created", "1", noon, `{"n":1,"a":{"b":"x"}}`}, event{"user.created", "2", noon, `{"n":2}`})
	sortAll(t, l)
	loadAll(t, loader)
	appendEvents(t, l,
		event{"user.created", "1", noon, `{"n":1,"a":{"b":"x"}}`},                    // a repeat
		event{"user.created", "2", noon.Add(10 * time.Minute), `{"n":99}`},           // a conflict: the same hour
		event{"user.created", "2", noon.Add(time.Hour), `{"n":2.5,"late":true}`},     // another hour is another event
		event{"user.created", "3", noon, `{"n":"text","a":{"b":"y"},"new":[1,2.0]}`}, // a value that does not fit
	)
	sortAll(t, l)
	loadAll(t, loader)
	if got, want := ask(t, w, "SELECT event_id, n, a_b, late, new FROM user_created ORDER BY event_time, event_id"), "1|1.0|x|NULL|NULL\n2|2.0|NULL|NULL|NULL\n3|NULL|y|NULL|[1,2.0]\n2|2.5|NULL|true|NULL"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := ask(t, w, books), "6|6|0|4|2|1|0|0"; got != want {
		t.Errorf("books %s, want %s", got, want)
	}
	if got, want := ask(t, w, "SELECT event_id, column_name, value, loaded FROM arbalest.load_errors"), `3|n|"text"|true`; got != want {
		t.Errorf("load errors %s, want %s", got, want)
	}
	if got, want := ask(t, w, "SELECT count(*), min(event_id) FROM arbalest.conflicts"), "1|2"; got != want {
		t.Errorf("conflicts %s, want %s", got, want)
	}
}

func TestDeclaredTableIsStrict(t *testing.T) {
	l, w := openLake(t, blob.NewMemory()), openWarehouse(t)
	amount, _ := arbalest.ParseType("DECIMAL(12,2)")
	loader := load.New(l, w, load.Options{Declared: []arbalest.Table{{Name: "orders", Event: "order", Columns: []arbalest.Column{{Name: "amount", Path: []string{"amount"}, Type: amount}}}}})
	appendEvents(t, l, event{"order", "1", noon, `{"amount":12.50}`}, event{"order", "2", noon, `{"amount":1.255}`}, event{"order", "3", noon, `{"amount":"7"}`}, event{"order", "4", noon, `{}`})
	sortAll(t, l)
	loadAll(t, loader)
	if got, want := ask(t, w, "SELECT event_id, amount FROM orders ORDER BY 1"), "1|12.50\n3|7.00\n4|NULL"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := ask(t, w, "SELECT event_id, value, loaded FROM arbalest.load_errors"), "2|1.255|false"; got != want {
		t.Errorf("load errors %s, want %s", got, want)
	}
	if got, want := ask(t, w, books), "4|4|0|3|0|0|1|0"; got != want {
		t.Errorf("books %s, want %s", got, want)
	}
}

// A table whose object is damaged waits; the others do not, and it catches up.
func TestStalledTableHoldsUpNoOther(t *testing.T) {
	ctx := context.Background()
	store := blob.NewMemory()
	l, w := openLake(t, store), openWarehouse(t)
	loader := load.New(l, w, load.Options{})
	appendEvents(t, l, event{"a", "1", noon, `{}`}, event{"b", "1", noon, `{}`})
	sortAll(t, l)
	c, err := l.Commit(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := store.Get(ctx, c.Objects[0].Key, 0, blob.Whole)
	if err != nil {
		t.Fatal(err)
	}
	good := make([]byte, 1<<16)
	n, _ := r.Read(good)
	if err := store.Put(ctx, c.Objects[0].Key, strings.NewReader("damaged")); err != nil {
		t.Fatal(err)
	}
	loadAll(t, loader)
	appendEvents(t, l, event{"a", "2", noon, `{}`}, event{"b", "2", noon, `{}`})
	sortAll(t, l)
	last := loadAll(t, loader)
	if got := ask(t, w, "SELECT count(*) FROM b"); got != "2" {
		t.Errorf("b has %s rows", got)
	}
	if s := last.Progress.Stalled["a"]; s.Event != "a" || s.Commit != 0 || s.Reason == "" {
		t.Errorf("stalled: %+v", last.Progress.Stalled)
	}
	if err := store.Put(ctx, c.Objects[0].Key, strings.NewReader(string(good[:n]))); err != nil {
		t.Fatal(err)
	}
	loader.Wake()
	last = loadAll(t, loader)
	if got := ask(t, w, "SELECT count(*) FROM a"); got != "2" || len(last.Progress.Stalled) != 0 {
		t.Errorf("a has %s rows, stalled %v", got, last.Progress.Stalled)
	}
	if got, want := ask(t, w, books), "4|4|0|4|0|0|0|0"; got != want {
		t.Errorf("books %s, want %s", got, want)
	}
}

// A table whose object is frozen is stalled, with what to do, and goes on when that
// is thawed.
func TestFrozenObjectStallsItsTable(t *testing.T) {
	ctx := context.Background()
	store := blobtest.NewCold(blob.NewMemory())
	l, w := openLake(t, store), openWarehouse(t)
	loader := load.New(l, w, load.Options{})
	appendEvents(t, l, event{"a", "1", noon, `{}`}, event{"b", "1", noon, `{}`})
	sortAll(t, l)
	c, err := l.Commit(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	key := c.Objects[0].Key
	store.Chill(key, blob.Glacier)
	last := loadAll(t, loader)
	if s := last.Progress.Stalled["a"]; s.Event != "a" || !strings.Contains(s.Reason, string(key)) || !strings.Contains(s.Reason, "arbalest restore") {
		t.Errorf("stalled: %+v", last.Progress.Stalled)
	}
	if got := ask(t, w, "SELECT count(*) FROM b"); got != "1" {
		t.Errorf("b has %s rows", got)
	}
	if err := store.Thaw(ctx, key, blob.Thaw{Days: 1, Speed: blob.Expedited}); err != nil {
		t.Fatal(err)
	}
	store.Advance(5 * time.Minute)
	loader.Wake()
	last = loadAll(t, loader)
	if got := ask(t, w, "SELECT count(*) FROM a"); got != "1" || len(last.Progress.Stalled) != 0 {
		t.Errorf("a has %s rows, stalled %v", got, last.Progress.Stalled)
	}
}

// TestInvariant2CrashInLoad stops loading at every operation on the store, and
// has another loader finish.
func TestInvariant2CrashInLoad(t *testing.T) {
	fill := func(l *lake.Lake) {
		for round := range 3 {
			var events []event
			for i := range 6 {
				events = append(events, event{fmt.Sprint("e", i%2), fmt.Sprint(round*4 + i), noon.Add(time.Duration(i%3) * time.Hour), fmt.Sprintf(`{"n":%d,"c%d":1}`, i, round)})
			}
			appendEvents(t, l, events...)
			sortAll(t, l)
		}
	}
	want := ""
	for k, crashed := 0, true; crashed; k++ {
		store := blob.NewMemory()
		fill(openLake(t, store))
		w := openWarehouse(t)
		dying := load.New(openLake(t, blobtest.StopAfter(store, blobtest.Stop{Steps: k, Reads: true, LostReply: k%2 == 0})), w, load.Options{BatchBytes: 500})
		var err error
		for r := (load.Result{}); err == nil && !r.Idle; {
			r, err = dying.Once(context.Background())
		}
		crashed = err != nil
		if crashed && !errors.Is(err, blobtest.ErrCrashed) {
			t.Fatal(err)
		}
		loadAll(t, load.New(openLake(t, store), w, load.Options{}))
		got := ask(t, w, "SELECT * EXCLUDE (received_at) FROM e0 ORDER BY event_time, event_id") + "\n" + ask(t, w, books)
		if want == "" {
			want = got
		}
		if got != want {
			t.Fatalf("stopped after %d:\n%s\nwant:\n%s", k, got, want)
		}
		w.Close()
		if !crashed && k < 15 {
			t.Errorf("only %d steps", k)
		}
	}
}

// TestInvariant3RebuildIsTheSame loads random events in batches of random
// sizes, and again in one go: rows, books, conflicts and load errors are the
// same.
func TestInvariant3RebuildIsTheSame(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 1))
		l := openLake(t, blob.NewMemory())
		values := []string{"1", "2.5", `"x"`, `"2026-01-02"`, `"2026-01-02T03:04:05Z"`, "true", "null", `{"y":1}`, "[1]", "9007199254740993", "12345678901234567890"}
		for range 12 {
			var events []event
			for range 1 + r.IntN(30) {
				at := noon.Add(time.Duration(r.IntN(8)) * 20 * time.Minute)
				if r.IntN(4) == 0 {
					at = noon.Add(48 * time.Hour) // that of receipt
				}
				events = append(events, event{[]string{"a", "b", "A"}[r.IntN(3)], fmt.Sprint(r.IntN(60)), at, fmt.Sprintf(`{"v%d":%s}`, r.IntN(4), values[r.IntN(len(values))])})
			}
			appendEvents(t, l, events...)
			sortAll(t, l)
		}
		tables := "SELECT * FROM (SELECT event_id, event_time, event_hash, properties::VARCHAR FROM a UNION ALL SELECT event_id, event_time, event_hash, properties::VARCHAR FROM b) ORDER BY ALL"
		columns := "SELECT * FROM a ORDER BY event_time, event_id"
		perHour := "SELECT event, hour, stored, loaded, repeats, conflicts, errors FROM arbalest.books ORDER BY ALL"
		conflicts := "SELECT table_name, event_id, event_time, kept_hash, other_hash, object, line FROM arbalest.conflicts ORDER BY ALL"
		w := openWarehouse(t)
		for table, stall := range loadAll(t, load.New(l, w, load.Options{BatchBytes: int64(1 + r.IntN(3000)), Workers: 2})).Progress.Stalled {
			t.Errorf("seed %d: table %s is stalled: %s", seed, table, stall.Reason)
		}
		before := []string{ask(t, w, tables), ask(t, w, columns), ask(t, w, perHour), ask(t, w, conflicts)}
		loader := load.New(l, w, load.Options{})
		if err := w.Reset(ctx); err != nil {
			t.Fatal(err)
		}
		loadAll(t, loader)
		for i, sql := range []string{tables, columns, perHour, conflicts} {
			if after := ask(t, w, sql); after != before[i] {
				t.Errorf("seed %d: %s:\n%s", seed, sql, difference(before[i], after))
			}
		}
		if got := ask(t, w, "SELECT count(*) FROM arbalest.books WHERE not_loaded <> 0"); got != "0" {
			t.Errorf("seed %d: %s books do not balance", seed, got)
		}
	}
}

// difference returns the lines that only one of two texts has.
func difference(before, after string) string {
	count := map[string]int{}
	for _, line := range strings.Split(before, "\n") {
		count["-"+line]++
	}
	for _, line := range strings.Split(after, "\n") {
		if count["-"+line] > 0 {
			count["-"+line]--
		} else {
			count["+"+line]++
		}
	}
	var out []string
	for line, n := range count {
		if n > 0 {
			out = append(out, line)
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// TestInvariant4NothingNew counts what a pass with nothing new asks of the
// store.
func TestInvariant4NothingNew(t *testing.T) {
	store := blob.NewMemory()
	l, w := openLake(t, store), openWarehouse(t)
	var events []event
	for i := range 2000 {
		events = append(events, event{"a", fmt.Sprint(i), noon.Add(time.Duration(i) * time.Hour), `{}`})
	}
	appendEvents(t, l, events...)
	sortAll(t, l)
	loadAll(t, load.New(l, w, load.Options{}))
	trace := blobtest.Trace(store)
	fresh := openLake(t, trace)
	loader := load.New(fresh, w, load.Options{})
	start := time.Now()
	if s, err := fresh.Sort(context.Background()); err != nil || s.Commit != 0 {
		t.Fatal(s, err)
	}
	if r, err := loader.Once(context.Background()); err != nil || !r.Idle {
		t.Fatal(r, err)
	}
	if took := time.Since(start); took > 50*time.Millisecond {
		t.Errorf("took %v", took)
	}
	if got, want := trace.String(), "list _landing/ after=\nget _log/00000000000000000002.json: not found\n"; got != want {
		t.Errorf("operations:\n%swant:\n%s", got, want)
	}
}

// TestInvariant6TwoLoaders has two loaders load one lake into one warehouse.
func TestInvariant6TwoLoaders(t *testing.T) {
	l, w := openLake(t, blob.NewMemory()), openWarehouse(t)
	for round := range 20 {
		var events []event
		for i := range 50 {
			events = append(events, event{fmt.Sprint("e", i%2), fmt.Sprint(round*40 + i), noon, `{"n":1}`})
		}
		appendEvents(t, l, events...)
		sortAll(t, l)
	}
	done := make(chan error)
	for range 2 {
		go func() {
			loader := load.New(l, w, load.Options{BatchBytes: 5000})
			for {
				r, err := loader.Once(context.Background())
				if err != nil || r.Idle {
					done <- err
					return
				}
			}
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got, want := ask(t, w, books), "1000|1000|0|810|190|0|0|0"; got != want {
		t.Errorf("books %s, want %s", got, want)
	}
}

// lingering is a store in which the second commit's partition is read for as long as
// somebody waits for it, and a while longer.
type lingering struct {
	blob.Store
	begun  chan struct{}
	active atomic.Bool
}

func (s *lingering) Get(ctx context.Context, key arbalest.Key, offset, length int64) (io.ReadCloser, error) {
	if !strings.HasPrefix(string(key), "e/") || !strings.HasSuffix(string(key), "02.ndjson.zst") {
		return s.Store.Get(ctx, key, offset, length)
	}
	s.active.Store(true)
	close(s.begun) // panics if it is read again
	<-ctx.Done()
	time.Sleep(50 * time.Millisecond)
	s.active.Store(false)
	return nil, ctx.Err()
}

// full is a warehouse that fails when the next batch is being read.
type full struct {
	*duckdb.Warehouse
	begun chan struct{}
}

var errFull = errors.New("no room")

func (w full) Load(context.Context, load.Progress, load.Batch) ([]load.Counts, error) {
	<-w.begun
	return nil, errFull
}

// When a load has failed, what was read ahead of it is over: nobody reads a
// warehouse that its owner closes then.
func TestNothingGoesOnAfterAnError(t *testing.T) {
	store := &lingering{Store: blob.NewMemory(), begun: make(chan struct{})}
	l := openLake(t, store)
	for i := range 3 {
		appendEvents(t, l, event{"e", fmt.Sprint(i), noon.Add(time.Duration(i) * time.Hour), `{"n":1}`})
		sortAll(t, l)
	}
	loader := load.New(l, full{openWarehouse(t), store.begun}, load.Options{BatchBytes: 1})
	if _, err := loader.Once(t.Context()); !errors.Is(err, errFull) {
		t.Fatal(err)
	}
	if store.active.Load() {
		t.Error("the next batch is still being read")
	}
}

// cramped is a warehouse that has not the memory for one table.
type cramped struct {
	*duckdb.Warehouse
	table string
}

func (w cramped) Load(ctx context.Context, prev load.Progress, b load.Batch) ([]load.Counts, error) {
	if slices.ContainsFunc(b.Tables, func(t load.TableBatch) bool { return t.Table.Name == w.table }) {
		return nil, fmt.Errorf("%w: out of memory", arbalest.ErrBusy)
	}
	return w.Warehouse.Load(ctx, prev, b)
}

// A table that is too wide for the memory that there is holds up no other.
func TestTableThatIsTooWideHoldsUpNoOther(t *testing.T) {
	l := openLake(t, blob.NewMemory())
	appendEvents(t, l, event{"narrow", "1", noon, `{"a":1}`}, event{"wide", "1", noon, `{"a":1}`}, event{"zebra", "1", noon, `{"a":1}`})
	sortAll(t, l)
	w := openWarehouse(t)
	loader := load.New(l, cramped{w, "wide"}, load.Options{})
	r := loadAll(t, loader)
	if s, ok := r.Progress.Stalled["wide"]; !ok || !strings.Contains(s.Reason, "out of memory") {
		t.Errorf("%+v", r.Progress)
	}
	if got := ask(t, w, "SELECT (SELECT count(*) FROM narrow), (SELECT count(*) FROM zebra)"); got != "1|1" {
		t.Error(got)
	}
	if loadAll(t, load.New(l, w, load.Options{})); ask(t, w, "SELECT count(*) FROM wide") != "1" {
		t.Error("it was not loaded when there was memory")
	}
}

// TestWideTablesAfterARestart adds rows to tables that were checkpointed, which
// takes DuckDB more than a MiB for each of their columns: to one of 600, and to 40
// tables of 30, in serve's memory.
func TestWideTablesAfterARestart(t *testing.T) {
	properties := func(columns int) string {
		var b strings.Builder
		for i := range columns {
			fmt.Fprintf(&b, `,"p%d":%d`, i, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	for name, events := range map[string]func(id string) []event{
		"one table": func(id string) []event { return []event{{"wide", id, noon, properties(600)}} },
		"many": func(id string) (all []event) {
			for i := range 40 {
				all = append(all, event{fmt.Sprint("table", i), id, noon, properties(30)})
			}
			return all
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, path := openLake(t, blob.NewMemory()), t.TempDir()+"/w.duckdb"
			for _, id := range []string{"1", "2", "3"} {
				appendEvents(t, l, events(id)...)
				sortAll(t, l)
				w, err := duckdb.Open(t.Context(), path, duckdb.Options{})
				if err != nil {
					t.Fatal(err)
				}
				r := loadAll(t, load.New(l, w, load.Options{BatchColumns: w.BatchColumns()}))
				if len(r.Progress.Stalled) > 0 {
					t.Errorf("%s: %+v", id, r.Progress.Stalled)
				}
				if got, want := ask(t, w, "SELECT sum(loaded) FROM arbalest.journal"), fmt.Sprint(len(events(""))*int(id[0]-'0')); got != want {
					t.Errorf("%s: %s rows, want %s", id, got, want)
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
