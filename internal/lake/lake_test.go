package lake

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/blob/blobtest"
)

var noon = time.Date(2015, 8, 18, 12, 0, 0, 0, time.UTC)

// lineOf returns the stored line of an event with an id.
func lineOf(name arbalest.EventName, id string, at time.Time) []byte {
	p := []byte(fmt.Sprintf(`{"n":%q}`, id))
	return arbalest.AppendLine(nil, arbalest.Event{ID: id, Name: name, Time: at, Received: noon, Hash: xxh3.Hash(p), Properties: p})
}

func openTest(t testing.TB, store blob.Store, opts Options) *Lake {
	t.Helper()
	l, err := Open(store, opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// contents reads everything that the log says, proves that it is all there is,
// and returns how often each event id is stored.
func contents(t *testing.T, store blob.Store) map[string]int {
	t.Helper()
	ctx := context.Background()
	l := openTest(t, store, Options{})
	head, err := l.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ids, known := map[string]int{}, map[arbalest.Key]bool{}
	moves, err := l.movesAfter(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	moved := map[arbalest.Key]bool{}
	for _, key := range moves {
		m, err := l.readMoves(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		known[key] = true
		for _, one := range m.Merged {
			known[one.Key], known[one.From] = true, false
			for _, in := range one.Inputs {
				moved[in.Key] = true
			}
		}
	}
	for seq := arbalest.Seq(1); seq <= head; seq++ {
		c, err := l.Commit(ctx, seq)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range c.RejectedKeys {
			known[k] = true
		}
		for _, o := range c.Objects {
			known[o.Key] = !moved[o.Key]
			err := l.Check(ctx, o, func(line []byte) error {
				parsed, err := arbalest.ParseLine(line)
				if err == nil {
					if at := (arbalest.Partition{Event: arbalest.EventName(parsed.Name), Hour: arbalest.HourOfMicro(parsed.Time)}); at != (arbalest.Partition{Event: o.Event, Hour: o.Hour}) {
						t.Errorf("%s holds an event of %v", o.Key, at)
					}
					ids[parsed.UnquoteID()]++
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
	for info, err := range store.List(ctx, "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(string(info.Key), erasedFolder) {
			continue
		}
		if !known[info.Key] && !strings.HasPrefix(string(info.Key), logPrefix) {
			t.Errorf("orphan: %s", info.Key)
		}
	}
	if _, left, err := l.plan(ctx, head+1); err != nil || left {
		t.Errorf("plan %d is left: %v", head+1, err)
	}
	return ids
}

func drain(t *testing.T, l *Lake) (total Sorted) {
	t.Helper()
	for {
		s, err := l.Sort(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if s.Commit == 0 {
			return total
		}
		total.Events += s.Events
		total.Rejected += s.Rejected
		total.Objects += s.Objects
		total.Commit = s.Commit
	}
}

func TestSortMovesEventsToTheirPartitions(t *testing.T) {
	stores(t, func(t *testing.T, store blob.Store) {
		ctx := context.Background()
		l := openTest(t, store, Options{})
		w := l.NewWriter()
		lines := append(lineOf("user.created", "a", noon), lineOf("user.verified", "b", noon.Add(time.Hour))...)
		lines = AppendRejected(lines, Rejected{Code: "bad_time", Reason: "no", Event: "user.created", Hour: arbalest.HourOf(noon), Received: noon, Body: []byte("x\xff")})
		receipt, err := w.AppendLines(ctx, append(lines, lineOf("user.created", "c", noon)...))
		if err != nil {
			t.Fatal(err)
		}
		if p, err := l.Track(ctx, receipt); err != nil || p.Commit != 0 {
			t.Errorf("before sorting: %+v, %v", p, err)
		}
		if stored, rejected, err := l.Unsorted(ctx); err != nil || len(stored) != 2 || len(rejected) != 1 {
			t.Errorf("unsorted: %v %v %v", stored, rejected, err)
		}
		s, err := l.Sort(ctx)
		if err != nil || s.Events != 3 || s.Rejected != 1 || s.Objects != 2 || s.Commit != 1 {
			t.Fatalf("%+v, %v", s, err)
		}
		if p, err := l.Track(ctx, receipt); err != nil || p.Commit != 1 || len(p.Events) != 2 {
			t.Errorf("after sorting: %+v, %v", p, err)
		}
		if _, err := l.Track(ctx, "01JD3W4X2N8Q7R5T6V9Y0Z1A2B-000017"); !errors.Is(err, arbalest.ErrUnknown) {
			t.Errorf("a receipt of nobody's: %v", err)
		}
		if _, err := l.Track(ctx, "../etc"); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("not a receipt: %v", err)
		}
		if ids := contents(t, store); len(ids) != 3 {
			t.Error(ids)
		}
		c, err := l.Commit(ctx, 1)
		if err != nil || len(c.RejectedKeys) != 1 {
			t.Fatal(c, err)
		}
		r, err := l.Read(ctx, c.RejectedKeys[0])
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var line [4096]byte
		n, _ := r.Read(line[:])
		kept, err := ParseRejected(line[:n])
		if err != nil || string(kept.Body) != "x\xff" || kept.Code != "bad_time" {
			t.Errorf("%+v, %v", kept, err)
		}
		if s, err := l.Sort(ctx); err != nil || s != (Sorted{}) {
			t.Errorf("nothing new: %+v, %v", s, err)
		}
	})
}

// A commit that outgrows FlushBytes writes a partition more than once, under
// names of its own.
func TestSortFlushes(t *testing.T) {
	stores(t, func(t *testing.T, store blob.Store) {
		for _, plain := range []bool{false, true} {
			l := openTest(t, store, Options{FlushBytes: 300, Plain: plain})
			w := l.NewWriter()
			for i := range 7 {
				if _, err := w.AppendLines(context.Background(), append(lineOf("a", fmt.Sprint(plain, i), noon), lineOf("a", fmt.Sprint(plain, -1-i), noon)...)); err != nil {
					t.Fatal(err)
				}
			}
			if s := drain(t, l); s.Events != 14 || s.Objects < 3 {
				t.Errorf("%+v", s)
			}
		}
		if ids := contents(t, store); len(ids) != 28 {
			t.Error(len(ids))
		}
	})
}

func TestDamagedSegmentIsKeptAndStopsNobody(t *testing.T) {
	stores(t, func(t *testing.T, store blob.Store) {
		ctx := context.Background()
		l := openTest(t, store, Options{})
		w := l.NewWriter()
		for i := range 3 {
			if _, err := w.AppendLines(ctx, lineOf("a", fmt.Sprint(i), noon)); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.Put(ctx, segmentKey(w.id, 2), strings.NewReader("damaged")); err != nil {
			t.Fatal(err)
		}
		if s := drain(t, l); s.Events != 2 || s.Rejected != 1 {
			t.Errorf("%+v", s)
		}
		c, err := l.Commit(ctx, 1)
		if err != nil || len(c.RejectedKeys) != 1 {
			t.Fatal(c, err)
		}
		contents(t, store)
	})
}

// TestInvariant6AnyNumberMaySort races sorters and writers on one store.
func TestInvariant6AnyNumberMaySort(t *testing.T) {
	kinds(t, func(t *testing.T, k kind) {
		store, each := k.fresh(t), k.of(40, 20)
		ctx := context.Background()
		done := make(chan error)
		for range 4 {
			go func() {
				l, err := Open(store, Options{PlanBytes: 400, Parallel: 2})
				for i := 0; err == nil && i < each; i++ {
					_, err = l.Sort(ctx)
				}
				done <- err
			}()
		}
		l := openTest(t, store, Options{})
		for n := range 3 {
			go func() {
				w := l.NewWriter()
				var err error
				for i := 0; err == nil && i < each; i++ {
					_, err = w.AppendLines(ctx, lineOf("a", fmt.Sprint(n, "-", i), noon.Add(time.Duration(i%5)*time.Hour)))
				}
				done <- err
			}()
		}
		for range 7 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		drain(t, l)
		ids := contents(t, store)
		if len(ids) != 3*each {
			t.Errorf("%d events", len(ids))
		}
		for id, n := range ids {
			if n != 1 {
				t.Errorf("%s is there %d times", id, n)
			}
		}
	})
}

// A session is a sequence of operations that a crash may cut. It appends and
// sorts, some rounds of some appends each, and says which events were
// acknowledged.
func session(store blob.Store, rounds, each int) (acknowledged map[string]bool, err error) {
	ctx := context.Background()
	acknowledged = map[string]bool{}
	l, err := Open(store, Options{Parallel: 1, FlushBytes: 500})
	if err != nil {
		return nil, err
	}
	w := l.NewWriter()
	for round := range rounds {
		for i := range each {
			id := fmt.Sprint(round, "-", i)
			lines := append(lineOf("user.created", id, noon.Add(time.Duration(i)*time.Hour)), lineOf("user.verified", id+"v", noon)...)
			lines = AppendRejected(lines, Rejected{Code: "c", Reason: "r", Hour: arbalest.HourOf(noon), Received: noon, Body: []byte("{")})
			if _, err := w.AppendLines(ctx, lines); err != nil {
				return acknowledged, err
			}
			acknowledged[id], acknowledged[id+"v"] = true, true
		}
		if _, err := l.Sort(ctx); err != nil {
			return acknowledged, err
		}
	}
	return acknowledged, nil
}

// TestInvariant2CrashAtEveryStep cuts a session after step k, for all k, with
// and without the last step's reply being lost, has another process finish, and
// checks that the partitions hold every acknowledged event once, and that
// there is no orphan.
func TestInvariant2CrashAtEveryStep(t *testing.T) {
	kinds(t, func(t *testing.T, k kind) {
		if k.name == "dir" {
			t.Skip("TestInvariant2KilledAtEveryCall has it")
		}
		rounds, each := k.of(3, 2), k.of(3, 2)
		for _, stop := range []blobtest.Stop{{}, {Reads: true}, {LostReply: true}} {
			count := blobtest.StopAfter(blob.NewMemory(), blobtest.Stop{Steps: -1, Reads: stop.Reads})
			if _, err := session(count, rounds, each); err != nil {
				t.Fatal(err)
			}
			steps := count.Done()
			if steps < k.of(30, 15) {
				t.Fatalf("only %d steps", steps)
			}
			for stop.Steps = range steps {
				store := k.fresh(t)
				acknowledged, err := session(blobtest.StopAfter(store, stop), rounds, each)
				if !errors.Is(err, blobtest.ErrCrashed) {
					t.Fatalf("%+v: %v", stop, err)
				}
				drain(t, openTest(t, store, Options{}))
				ids := contents(t, store)
				for id := range acknowledged {
					if ids[id] != 1 {
						t.Errorf("%+v: %s is there %d times", stop, id, ids[id])
					}
				}
				for id, n := range ids {
					if n != 1 {
						t.Errorf("%+v: %s is there %d times", stop, id, n)
					}
				}
				if t.Failed() {
					return
				}
			}
			t.Logf("%+v: %d steps", stop, steps)
		}
	})
}

// Two processes, one of which dies, at every step of the dying one, while the
// other works on: the survivor finishes what the other began.
func TestInvariant6CrashBesideASurvivor(t *testing.T) {
	kinds(t, func(t *testing.T, k kind) {
		if k.name == "dir" {
			t.Skip("TestInvariant2KilledAtEveryCall has it")
		}
		rounds, each := k.of(3, 2), k.of(3, 2)
		for step := range k.of(60, 20) {
			store := k.fresh(t)
			dying := blobtest.StopAfter(store, blobtest.Stop{Steps: step})
			done := make(chan map[string]bool)
			go func() {
				acknowledged, _ := session(dying, rounds, each) // dies, or was fast
				done <- acknowledged
			}()
			mine, err := session(store, rounds, each)
			theirs := <-done
			if err != nil {
				t.Fatal(err)
			}
			drain(t, openTest(t, store, Options{}))
			ids := contents(t, store)
			for id := range mine {
				want := 1
				if theirs[id] {
					want = 2 // both sent it: loading tells
				}
				if ids[id] < want {
					t.Fatalf("step %d: %s is there %d times, want %d", step, id, ids[id], want)
				}
			}
		}
	})
}

func TestHeadFindsTheEnd(t *testing.T) {
	kinds(t, func(t *testing.T, k kind) {
		ctx := context.Background()
		for _, n := range []int{0, 1, 2, 3, 4, 5, 8, 31, 100, 1000}[:k.of(10, 8)] {
			trace := blobtest.Trace(k.fresh(t))
			l := openTest(t, trace, Options{})
			for i := 1; i <= n; i++ {
				if err := trace.Put(ctx, commitKey(arbalest.Seq(i)), strings.NewReader("{}")); err != nil {
					t.Fatal(err)
				}
			}
			trace.Reset()
			head, err := l.Head(ctx)
			if err != nil || head != arbalest.Seq(n) {
				t.Errorf("head of %d: %d, %v", n, head, err)
			}
			if ops := trace.Count(); ops > 25 {
				t.Errorf("head of %d took %d requests", n, ops)
			}
			trace.Reset()
			if _, err := l.Head(ctx); err != nil || trace.Count() != 1 {
				t.Errorf("again: %d requests: %s", trace.Count(), trace)
			}
		}
	})
}

// TestInvariant4NothingNewCostsNothing counts the operations of a pass over a
// lake of 100,000 objects.
func TestInvariant4NothingNewCostsNothing(t *testing.T) {
	kinds(t, func(t *testing.T, k kind) {
		store, n := k.fresh(t), k.of(100_000, 500)
		ctx := context.Background()
		l := openTest(t, store, Options{})
		w := l.NewWriter()
		var lines []byte
		for i := range n {
			lines = append(lines, lineOf("a", fmt.Sprint(i), noon.Add(time.Duration(i)*time.Hour))...)
		}
		if _, err := w.AppendLines(ctx, lines); err != nil {
			t.Fatal(err)
		}
		if s := drain(t, l); s.Objects != n {
			t.Fatal(s.Objects)
		}
		trace := blobtest.Trace(store)
		fresh := openTest(t, trace, Options{})
		start := time.Now()
		if s, err := fresh.Sort(ctx); err != nil || s != (Sorted{}) {
			t.Fatal(s, err)
		}
		if took := time.Since(start); took > time.Duration(k.of(50, 500))*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if got, want := trace.String(), "list _landing/ after=\n"; got != want {
			t.Errorf("operations:\n%swant:\n%s", got, want)
		}
	})
}

func TestNewerFormatIsRefused(t *testing.T) {
	stores(t, func(t *testing.T, store blob.Store) {
		ctx := context.Background()
		if err := store.Put(ctx, commitKey(1), strings.NewReader(`{"format":99,"seq":1}`)); err != nil {
			t.Fatal(err)
		}
		if _, err := openTest(t, store, Options{}).Commit(ctx, 1); !errors.Is(err, arbalest.ErrNewer) {
			t.Error(err)
		}
	})
}

func TestTableNamesAreClaimedOnce(t *testing.T) {
	stores(t, func(t *testing.T, store blob.Store) {
		ctx := context.Background()
		l := openTest(t, store, Options{})
		a, err := l.Table(ctx, "user.created")
		if err != nil || a.Version != 0 || a.Name != "user_created" {
			t.Fatal(a, err)
		}
		a.Version = 1
		a.Columns = []arbalest.Column{{Name: "n", Path: []string{"n"}, Type: arbalest.Type{Kind: arbalest.Decimal, Precision: 12, Scale: 2}}}
		if err := l.SaveTable(ctx, a); err != nil {
			t.Fatal(err)
		}
		if b, err := l.Table(ctx, "User.Created"); err != nil || b.Name != "user_created_2" {
			t.Error(b, err)
		}
		again, err := l.Table(ctx, "user.created")
		if err != nil || again.Version != 1 || len(again.Columns) != 1 || again.Columns[0].Type != a.Columns[0].Type {
			t.Error(again, err)
		}
		other := a
		other.Columns = nil
		if err := l.SaveTable(ctx, other); !errors.Is(err, arbalest.ErrExists) {
			t.Error(err)
		}
		if all, err := l.Tables(ctx); err != nil || len(all) != 1 {
			t.Error(all, err)
		}
	})
}

func FuzzParseRejected(f *testing.F) {
	f.Add([]byte("{"), "reason", "id")
	f.Fuzz(func(t *testing.T, body []byte, reason, id string) {
		r := Rejected{Code: "c", Reason: reason, ID: id, Hour: 3, Received: noon, Index: 7, Body: body, Truncated: true}
		got, err := ParseRejected(AppendRejected(nil, r))
		if err != nil || string(got.Body) != string(body) || got.Hour != 3 || got.Index != 7 || !got.Truncated {
			t.Errorf("%+v, %v", got, err)
		}
		if r, err := ParseRejected(body); err == nil && r.Code == "" {
			t.Error("a record without a code")
		}
	})
}

func FuzzLogDecoders(f *testing.F) {
	f.Add([]byte(`{"format":1,"seq":1,"kind":"sort","segments":["_landing/w/1.ndjson.zst"],"objects":[{"key":"a","hour":"2015-08-18/06","hash":"1"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		ctx := context.Background()
		store := blob.NewMemory()
		for _, key := range []arbalest.Key{commitKey(1), planKey(1), definitionKey("t", 1), segmentKey("w", 1), "a/2015-08-18/06/1.ndjson.zst"} {
			if err := store.Put(ctx, key, strings.NewReader(string(b))); err != nil {
				t.Fatal(err)
			}
		}
		l := openTest(t, store, Options{})
		for _, err := range []error{
			second(l.Commit(ctx, 1)), third(l.plan(ctx, 1)), second(l.Table(ctx, "t")), third(l.Unsorted(ctx)),
			l.Check(ctx, arbalest.Object{Key: "a/2015-08-18/06/1.ndjson.zst"}, func([]byte) error { return nil }),
		} {
			if err != nil && !errors.Is(err, arbalest.ErrCorrupt) && !errors.Is(err, arbalest.ErrNewer) {
				t.Error(err)
			}
		}
	})
}

func second[A any](_ A, err error) error      { return err }
func third[A, B any](_ A, _ B, e error) error { return e }
