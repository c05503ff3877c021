package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"arbalest"
	"arbalest/connect"
	"arbalest/internal/capture"
	"arbalest/internal/lake"
	"arbalest/internal/load"
	"arbalest/internal/warehouse"
)

// A world is a place with all that serve has but its door: a store, a warehouse,
// and handlers that take events, which can be made to fail and to wait.
type world struct {
	t      *testing.T
	lake   *lake.Lake
	loader *load.Loader
	house  *connect.Opened
	fails  atomic.Bool           // appends fail
	gate   atomic.Pointer[gated] // appends wait, where it is set
	lines  atomic.Int64          // bytes that were appended
	log    *safeLog
}

// A gated is appends that wait for open to be closed.
type gated struct {
	open   chan struct{}
	waits  chan struct{} // one for each that does
	denies bool          // and fail then
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx := context.Background()
	dir := t.TempDir()
	store, closes, err := connect.Store(ctx, filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, log: &safeLog{}}
	if w.lake, err = lake.Open(store, lake.Options{}); err != nil {
		t.Fatal(err)
	}
	if w.house, err = connect.Warehouse(ctx, filepath.Join(dir, "warehouse.duckdb"), store, connect.Options{}); err != nil {
		t.Fatal(err)
	}
	w.loader = load.New(w.lake, w.house, load.Options{})
	t.Cleanup(func() {
		if err := errors.Join(w.house.Close(), closes()); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(w.log.String())
		}
	})
	return w
}

// Append implements capture.Appender, with faults.
type appender struct {
	*lake.Gatherer
	world *world
}

func (a appender) Append(ctx context.Context, packed []byte, size int) (arbalest.Receipt, error) {
	if g := a.world.gate.Load(); g != nil {
		g.waits <- struct{}{}
		select {
		case <-g.open:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		if g.denies {
			return "", errors.New("no disk")
		}
	}
	if a.world.fails.Load() {
		return "", errors.New("no disk")
	}
	a.world.lines.Add(int64(size))
	return a.Gatherer.Append(ctx, packed, size)
}

// A running is a source that runs into a handler of its own.
type running struct {
	stop    context.CancelFunc
	done    chan error
	handler *capture.Handler
	gather  *lake.Gatherer
	stats   *Stats
}

// run starts a source.
func (w *world) run(o Options) *running {
	w.t.Helper()
	if o.Stats == nil {
		o.Stats = &Stats{}
	}
	o.Log = slog.New(slog.NewTextHandler(w.log, nil))
	s, err := New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	r := &running{done: make(chan error, 1), gather: w.lake.NewGatherer(), stats: o.Stats}
	if r.handler, err = capture.New(capture.Options{Appender: appender{r.gather, w}}); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() {
		r.done <- s.Run(ctx, func(ctx context.Context, events []capture.Foreign) ([]capture.Outcome, error) {
			_, outcomes, err := r.handler.TakeForeign(ctx, events, nil)
			return outcomes, err
		})
	}()
	w.t.Cleanup(func() { r.end(w.t) })
	return r
}

// end stops the source as serve does, and closes its handler.
func (r *running) end(t *testing.T) {
	t.Helper()
	r.stop()
	if r.done == nil {
		return
	}
	select {
	case err := <-r.done:
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the source does not stop")
	}
	r.done = nil
	if err := errors.Join(r.handler.Close(context.Background()), r.gather.Close(context.Background())); err != nil {
		t.Error(err)
	}
}

// sync sorts and loads all that landed.
func (w *world) sync() {
	w.t.Helper()
	ctx := context.Background()
	for {
		sorted, err := w.lake.Sort(ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		if sorted.Commit == 0 {
			break
		}
	}
	for {
		r, err := w.loader.Once(ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		if r.Idle {
			return
		}
	}
}

type rows [][]string

func (r *rows) Columns([]warehouse.ResultColumn) error { return nil }
func (r *rows) Row(values []warehouse.Value) error {
	row := make([]string, len(values))
	for i, v := range values {
		row[i] = v.Text
	}
	*r = append(*r, row)
	return nil
}

// query returns the first row of a result, with commas.
func (w *world) query(sql string) string {
	w.t.Helper()
	var r rows
	if err := w.house.Ask(context.Background(), sql, &r); err != nil {
		if errors.Is(err, arbalest.ErrUnknown) {
			return "no table"
		}
		w.t.Fatal(err)
	}
	if len(r) == 0 {
		return ""
	}
	return strings.Join(r[0], ",")
}

// rejected returns how often each body is in _rejected/, by code. The body has
// the id that the event was given.
func (w *world) rejected() map[string]map[string]int {
	w.t.Helper()
	found := map[string]map[string]int{}
	for k, err := range w.lake.Rejections(context.Background(), lake.Span{}) {
		if err != nil {
			w.t.Fatal(err)
		}
		if found[k.Code] == nil {
			found[k.Code] = map[string]int{}
		}
		found[k.Code][string(k.Body)]++
	}
	return found
}

// want waits until a table has so many rows, and says that each n from 0 is
// there once.
func (w *world) want(table string, n int) {
	w.t.Helper()
	want := fmt.Sprintf("%d,%d,%d,0,%d", n, n, n, n-1)
	var got string
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		w.sync()
		if got = w.query("SELECT count(*), count(DISTINCT event_id), count(DISTINCT n), min(n), max(n) FROM " + table); got == want {
			return
		}
	}
	w.t.Fatalf("%s: count, ids, n, least, most: %s, want %s", table, got, want)
}

// until waits for something to become true.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute: %s", what)
		}
	}
}

// A safeLog is a log's text.
type safeLog struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *safeLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *safeLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// poison are messages that are no events, and the codes that they get.
var poison = []struct {
	payload string
	code    capture.Code
}{
	{`not json`, capture.NotJSON},
	{`{"event":"bad name","data":{}}`, capture.BadName},
	{``, capture.NotJSON},
	{`{"event":"m","data":[1]}`, capture.BadData},
	{`{"event":"m","id":7}`, capture.BadID},
	{`{"event":"m","data":{"a":1,"a":2}}`, capture.DuplicateKey},
	{`{"event":"m","timestamp":"soon"}`, capture.BadTime},
	{"{\"event\":\"m\",\"data\":{\"a\":\"\xff\"}}", capture.InvalidUTF8},
	{`{"n":1}`, capture.UnknownMember},
	{`{"event":"m","timestamp":"2999-01-01T00:00:00Z"}`, capture.Future},
}

// wantPoison says that each of poison is in _rejected/, at least once, for what
// is delivered again is rejected again.
func (w *world) wantPoison() {
	w.t.Helper()
	w.sync()
	got := w.rejected()
	want := map[string]int{}
	for _, p := range poison {
		want[string(p.code)]++
	}
	for code, n := range want {
		if len(got[code]) != n {
			w.t.Errorf("rejected as %s: %v, want %d", code, got[code], n)
		}
		delete(got, code)
	}
	if len(got) > 0 {
		w.t.Errorf("also rejected: %v", got)
	}
}

// event is the nth event in the form of POST /v1/events.
func event(n int) []byte {
	return fmt.Appendf(nil, `{"event":"m","data":{"n":%d,"text":"some text that makes it a little longer"}}`, n)
}
