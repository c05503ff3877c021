package lake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/blob/blobtest"
)

// later is an hour before which all that these tests make is closed.
var later = arbalest.HourOf(noon.AddDate(1, 0, 0))

// compactAll compacts until there is nothing to do.
func compactAll(t *testing.T, l *Lake) (total Compacted) {
	t.Helper()
	for {
		c, err := l.Compact(context.Background(), later)
		if err != nil {
			t.Fatal(err)
		}
		if c == (Compacted{}) {
			return total
		}
		total.Before += c.Before
		total.After += c.After
		total.Events += c.Events
		total.Repeats += c.Repeats
		total.Bytes += c.Bytes
	}
}

// objects returns all objects of the log.
func objects(t *testing.T, l *Lake) (all []arbalest.Object) {
	t.Helper()
	ctx := context.Background()
	head, err := l.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for seq := arbalest.Seq(1); seq <= head; seq++ {
		c, err := l.Commit(ctx, seq)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c.Objects...)
	}
	return all
}

// bodies reads objects in both ways, which must agree.
func bodies(t *testing.T, l *Lake, objects []arbalest.Object) map[arbalest.Key]string {
	t.Helper()
	ctx, out := context.Background(), map[arbalest.Key]string{}
	for _, o := range objects {
		b, now, err := l.AppendLines(ctx, []byte("before"), o)
		if err != nil {
			t.Fatal(err)
		}
		r, now2, err := l.Lines(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		streamed, err := io.ReadAll(r)
		r.Close()
		if body, ok := bytes.CutPrefix(b, []byte("before")); err != nil || !ok || now.Object != now2.Object || !bytes.Equal(body, streamed) {
			t.Fatalf("%s: %v: %d bytes and %d: %+v, %+v", o.Key, err, len(b), len(streamed), now, now2)
		}
		if err := checkLines(now.Object, bytes.NewReader(streamed), func([]byte) error { return nil }); err != nil {
			t.Error(err)
		}
		out[o.Key] = string(streamed)
	}
	return out
}

// TestCompactKeepsEveryLine merges objects of some days, with repeats and a late
// hour, and reads all that was, from a lake that knew it before and from one that
// did not.
func TestCompactKeepsEveryLine(t *testing.T) {
	stores(t, func(t *testing.T, store blob.Store) {
		for _, plain := range []bool{false, true} {
			ctx := context.Background()
			l := openTest(t, store, Options{CompactBytes: 900, Plain: plain})
			w := l.NewWriter()
			for i := range 12 {
				var lines []byte
				for j := range 4 {
					at := noon.Add(time.Duration(i%3*13+j) * time.Hour)
					lines = append(lines, lineOf("a", fmt.Sprint(plain, i, "-", j), at)...)
					lines = append(lines, lineOf("a", fmt.Sprint(plain, i%3, "again", j), at)...)
				}
				if _, err := w.AppendLines(ctx, append(lines, lineOf("b", fmt.Sprint(plain, i), noon)...)); err != nil {
					t.Fatal(err)
				}
				drain(t, l)
			}
			all := objects(t, l)
			before := bodies(t, l, all)
			c := compactAll(t, l)
			if c.Repeats == 0 || c.After*2 > c.Before || c.Before < len(all)/4 {
				t.Errorf("%+v of %d", c, len(all))
			}
			for _, l := range []*Lake{l, openTest(t, store, Options{})} {
				after := bodies(t, l, all)
				left := 0
				seen := map[string]bool{}
				for _, o := range all {
					_, stored, err := l.AppendLines(ctx, nil, o)
					if err != nil {
						t.Fatal(err)
					}
					n, want := int64(0), ""
					for line := range strings.Lines(before[o.Key]) {
						n++
						now := stored.Now(n)
						switch {
						case now == 0 && !seen[line]:
							t.Errorf("line %d of %s is left out and is nowhere else", n, o.Key)
						case now == 0:
							left++
						case strings.Split(after[o.Key], "\n")[now-1]+"\n" != line:
							t.Errorf("line %d of %s is not line %d", n, o.Key, now)
						default:
							want += line
						}
						seen[line] = true
					}
					if after[o.Key] != want {
						t.Errorf("%s: has %q, want %q", o.Key, after[o.Key], want)
					}
				}
				if left < 9 {
					t.Errorf("%d repeats are left out", left)
				}
			}
			whole(t, store)
		}
		contents(t, store)
	})
}

// TestRuns counts lines past those that are left out or erased.
func TestRuns(t *testing.T) {
	for _, s := range []Stored{
		{}, {Repeats: []int64{1}}, {Repeats: []int64{3}}, {Repeats: []int64{1, 2}}, {Repeats: []int64{2, 3, 5}}, {Repeats: []int64{1, 4, 10}},
		{Erased: []arbalest.Run{{1, 3}}}, {Erased: []arbalest.Run{{2, 2}, {5, 7}}}, {Repeats: []int64{2, 4, 9}, Erased: []arbalest.Run{{1, 1}, {3, 3}, {7, 8}}}, {Repeats: []int64{6}, Erased: []arbalest.Run{{4, 5}, {12, 12}}},
	} {
		var want []int64 // numbers of the lines that are left
		for n := int64(1); n <= 12; n++ {
			erased := slices.ContainsFunc(s.Erased, func(r arbalest.Run) bool { return r[0] <= n && n <= r[1] })
			if !erased && !slices.Contains(s.Repeats, n) {
				want = append(want, n)
				if s.Now(n) != int64(len(want)) {
					t.Errorf("%+v: line %d is now %d, want %d", s, n, s.Now(n), len(want))
				}
			} else if s.Now(n) != 0 {
				t.Errorf("%+v: line %d is now %d", s, n, s.Now(n))
			}
		}
		for first := range want {
			var got []int64
			for from, n := range s.Runs(int64(first)+1, int64(len(want)-first)) {
				for i := range n {
					got = append(got, from+i)
				}
			}
			if !slices.Equal(got, want[first:]) {
				t.Errorf("%+v from %d: %v", s, first, got)
			}
		}
	}
}

// TestCompactWaits leaves hours alone that are not closed, and looks at nothing
// twice.
func TestCompactWaits(t *testing.T) {
	kinds(t, func(t *testing.T, k kind) {
		ctx := context.Background()
		trace := blobtest.Trace(k.fresh(t))
		l := openTest(t, trace, Options{})
		add := func(n int, at time.Time) {
			for range n {
				if _, err := l.NewWriter().AppendLines(ctx, lineOf("a", fmt.Sprint(time.Now().UnixNano()), at)); err != nil {
					t.Fatal(err)
				}
				drain(t, l)
			}
		}
		pass := func(l *Lake, closed time.Time, before, after int) {
			t.Helper()
			c, err := l.Compact(ctx, arbalest.HourOf(closed))
			if err != nil || c.Before != before || c.After != after {
				t.Errorf("closed %v: %+v, %v, want %d to %d", closed, c, err, before, after)
			}
		}
		day := noon.Truncate(24 * time.Hour)
		add(3, noon)
		add(1, noon.Add(time.Hour))
		pass(l, noon.Add(2*time.Hour), 0, 0) // few: they wait for the day
		add(hourObjects, noon.Add(2*time.Hour))
		pass(l, noon.Add(2*time.Hour), 0, 0)
		pass(l, noon.Add(3*time.Hour), hourObjects, 1)
		fresh := openTest(t, trace, Options{})
		pass(fresh, day.Add(23*time.Hour), 0, 0)
		pass(fresh, day.Add(24*time.Hour), 4, 1)
		pass(l, day.Add(24*time.Hour), 0, 0)
		add(1, noon)
		pass(l, day.Add(24*time.Hour), 0, 0) // late, and alone: it stays
		fresh = openTest(t, trace, Options{})
		add(2, noon)
		pass(fresh, day.Add(24*time.Hour), 3, 1) // no process had noted that it stays
		pass(l, day.Add(24*time.Hour), 0, 0)
		pass(openTest(t, trace, Options{}), day.Add(24*time.Hour), 0, 0)
		trace.Reset()
		pass(l, later.Time(), 0, 0)
		if n := trace.Count(); n > 3 {
			t.Errorf("nothing new: %d requests:\n%s", n, trace)
		}
		contents(t, trace)
	})
}

// TestCompactLooksBitByBit follows a log of more objects than it looks at at once,
// in one process and in one that begins anew each time.
func TestCompactLooksBitByBit(t *testing.T) {
	ctx := context.Background()
	for _, anew := range []bool{false, true} {
		store := blob.NewMemory()
		const scan = 400
		l := openTest(t, store, Options{ScanObjects: scan})
		w := l.NewWriter()
		const hours = scan/4 + 50
		for i := range 5 {
			var lines []byte
			for h := range hours {
				lines = append(lines, lineOf("a", fmt.Sprint(i, "-", h), noon.Add(time.Duration(h-hours)*time.Hour))...)
			}
			if _, err := w.AppendLines(ctx, lines); err != nil {
				t.Fatal(err)
			}
			drain(t, l)
		}
		var total Compacted
		for {
			if anew {
				l = openTest(t, store, Options{ScanObjects: scan})
			}
			c, err := l.Compact(ctx, later)
			if err != nil {
				t.Fatal(err)
			}
			if c == (Compacted{}) {
				break
			}
			total.Before, total.After = total.Before+c.Before, total.After+c.After
		}
		if total.Before != 5*hours || total.After > 2*(hours/24+2) {
			t.Errorf("anew %v: %+v of %d", anew, total, 5*hours)
		}
		if ids := contents(t, store); len(ids) != 5*hours {
			t.Errorf("anew %v: %d events", anew, len(ids))
		}
	}
}

// compactingSession is a session that compacts, too.
func compactingSession(store blob.Store, rounds int) (acknowledged map[string]bool, err error) {
	acknowledged = map[string]bool{}
	for round := range rounds {
		l, err := Open(store, Options{Parallel: 1, CompactBytes: 400})
		if err != nil {
			return nil, err
		}
		w := l.NewWriter()
		for i := range 2 {
			id := fmt.Sprint(round, "-", i)
			lines := append(lineOf("a", id, noon.Add(time.Duration(i)*time.Hour)), lineOf("a", "same", noon)...)
			if _, err := w.AppendLines(context.Background(), lines); err != nil {
				return acknowledged, err
			}
			acknowledged[id] = true
			if _, err := l.Sort(context.Background()); err != nil {
				return acknowledged, err
			}
		}
		for range 2 {
			if _, err := l.Compact(context.Background(), later); err != nil {
				return acknowledged, err
			}
		}
	}
	return acknowledged, nil
}

// TestInvariant2CompactCrashesAtEveryStep cuts a session at every step, and has
// another process go on: every event is there, and nothing that nobody knows.
func TestInvariant2CompactCrashesAtEveryStep(t *testing.T) {
	kinds(t, func(t *testing.T, k kind) {
		rounds := k.of(3, 2)
		for _, stop := range []blobtest.Stop{{}, {LostReply: true}} {
			count := blobtest.StopAfter(blob.NewMemory(), blobtest.Stop{Steps: -1})
			if _, err := compactingSession(count, rounds); err != nil {
				t.Fatal(err)
			}
			for stop.Steps = range count.Done() {
				if k.slow && stop.Steps%3 != 0 {
					continue
				}
				store := k.fresh(t)
				acknowledged, err := compactingSession(blobtest.StopAfter(store, stop), rounds)
				if !errors.Is(err, blobtest.ErrCrashed) {
					t.Fatalf("%+v: %v", stop, err)
				}
				l := openTest(t, store, Options{})
				if _, err := l.NewWriter().AppendLines(context.Background(), lineOf("z", "z", noon)); err != nil {
					t.Fatal(err)
				}
				drain(t, l) // also finishes a compaction
				whole(t, store)
				compactAll(t, l)
				ids := contents(t, store)
				for id := range acknowledged {
					if ids[id] != 1 {
						t.Errorf("%+v: %s is there %d times", stop, id, ids[id])
					}
				}
				if whole(t, store); t.Failed() {
					return
				}
			}
			t.Logf("%+v: %d steps", stop, count.Done())
		}
	})
}

// TestInvariant6AnyNumberMayCompact races processes that sort, compact, write and
// read.
func TestInvariant6AnyNumberMayCompact(t *testing.T) {
	kinds(t, func(t *testing.T, k kind) {
		store, each := k.fresh(t), k.of(40, 15)
		ctx := context.Background()
		done := make(chan error)
		for range 3 {
			go func() {
				l, err := Open(store, Options{PlanBytes: 400, Parallel: 2, CompactBytes: 2000})
				for i := 0; err == nil && i < each; i++ {
					if _, err = l.Sort(ctx); err == nil {
						_, err = l.Compact(ctx, later)
					}
				}
				done <- err
			}()
		}
		l := openTest(t, store, Options{})
		for n := range 2 {
			go func() {
				w := l.NewWriter()
				var err error
				for i := 0; err == nil && i < each; i++ {
					_, err = w.AppendLines(ctx, lineOf("a", fmt.Sprint(n, "-", i), noon.Add(time.Duration(i%5)*time.Hour)))
				}
				done <- err
			}()
		}
		go func() {
			l, err := Open(store, Options{})
			for seq := arbalest.Seq(1); err == nil && int(seq) < each; {
				var c arbalest.Commit
				if c, err = l.Commit(ctx, seq); errors.Is(err, arbalest.ErrUnknown) {
					err = nil
					time.Sleep(time.Millisecond)
					if ctx.Err() != nil {
						break
					}
					continue
				}
				for _, o := range c.Objects {
					err = errors.Join(err, l.Check(ctx, o, func([]byte) error { return nil }))
				}
				seq++
			}
			done <- err
		}()
		for range 5 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		drain(t, l)
		for range each { // for the one who reads
			if _, err := l.NewWriter().AppendLines(ctx, lineOf("b", "b", noon)); err != nil {
				t.Fatal(err)
			}
			drain(t, l)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		compactAll(t, l)
		ids := contents(t, store)
		delete(ids, "b")
		if len(ids) != 2*each {
			t.Errorf("%d events", len(ids))
		}
		for id, n := range ids {
			if n != 1 {
				t.Errorf("%s is there %d times", id, n)
			}
		}
	})
}

// TestCompactLeavesOutRepeatsOnly keeps what a load might keep: the same id with
// other properties, another time, or the time of its receipt.
func TestCompactLeavesOutRepeatsOnly(t *testing.T) {
	ctx := context.Background()
	l := openTest(t, blob.NewMemory(), Options{})
	event := func(id string, at, received time.Time, properties string) []byte {
		return arbalest.AppendLine(nil, arbalest.Event{ID: id, Name: "a", Time: at, Received: received, Hash: xxh3.HashString(properties), Properties: []byte(properties)})
	}
	kept := [][]byte{
		event("1", noon, noon.Add(time.Hour), `{}`), event("1", noon, noon.Add(time.Hour), `{"x":1}`), event("1", noon.Add(time.Second), noon.Add(time.Hour), `{}`),
		event("1", noon, noon, `{}`), event("2", noon, noon.Add(time.Hour), `{}`), event("1", noon.Add(time.Hour), noon, `{}`),
	}
	for _, line := range append(kept, event("1", noon, noon.Add(2*time.Hour), `{}`), kept[1], kept[5]) {
		if _, err := l.NewWriter().AppendLines(ctx, line); err != nil {
			t.Fatal(err)
		}
		drain(t, l)
	}
	if c := compactAll(t, l); c.Repeats != 3 || c.Events != int64(len(kept)) || c.Before != 9 || c.After != 1 {
		t.Errorf("%+v", c)
	}
}

// TestCompactPassesDamageOver leaves an object that is damaged or missing as it
// is, with those that it was to be merged with, and merges others.
func TestCompactPassesDamageOver(t *testing.T) {
	ctx := context.Background()
	store := blob.NewMemory()
	l := openTest(t, store, Options{})
	for i := range 6 {
		name := arbalest.EventName([]string{"a", "b", "c"}[i%3])
		if _, err := l.NewWriter().AppendLines(ctx, lineOf(name, fmt.Sprint(i), noon)); err != nil {
			t.Fatal(err)
		}
		drain(t, l)
	}
	all := objects(t, l)
	if err := store.Put(ctx, all[0].Key, strings.NewReader("damaged")); err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(ctx, all[1].Key); err != nil {
		t.Fatal(err)
	}
	if c := compactAll(t, l); c.Before != 2 || c.After != 1 {
		t.Errorf("%+v", c)
	}
	for i, want := range []error{arbalest.ErrCorrupt, arbalest.ErrUnknown, nil, nil, nil, nil} {
		if err := openTest(t, store, Options{}).Check(ctx, all[i], func([]byte) error { return nil }); !errors.Is(err, want) {
			t.Errorf("object %d: %v", i, err)
		}
	}
}

// TestMergedByAnother finds an object that another build made, in other frames.
func TestMergedByAnother(t *testing.T) {
	ctx := context.Background()
	for _, same := range []bool{true, false} {
		store := blob.NewMemory()
		l := openTest(t, store, Options{})
		var lines []byte
		for i := range 3 {
			line := lineOf("a", fmt.Sprint(i), noon)
			if _, err := l.NewWriter().AppendLines(ctx, line); err != nil {
				t.Fatal(err)
			}
			drain(t, l)
			lines = append(lines, line...)
		}
		all := objects(t, l)
		if !same {
			lines = lines[:len(lines)/3]
		}
		// Frames that end within lines, with and without contents that repeat.
		packed := l.codec.pack(l.codec.pack(nil, lines[:50], suffixZstd), lines[50:], suffixZstd)
		key := mergedKey(mergedFolder(all), 4, 0, suffixZstd)
		if err := store.Put(ctx, key, bytes.NewReader(packed)); err != nil {
			t.Fatal(err)
		}
		c := compactAll(t, l)
		if want := map[bool]int{true: 3, false: 0}[same]; c.Before != want {
			t.Errorf("same %v: %+v", same, c)
		}
		whole(t, store)
	}
	zeros := openTest(t, blob.NewMemory(), Options{})
	packed := zeros.codec.pack(zeros.codec.pack(nil, make([]byte, 3<<20), suffixZstd), []byte("x"), suffixZstd)
	frames, err := zeros.framesOf("a.zst", packed)
	if err != nil || len(frames) != 2 || frames[0].Lines != 3<<20 || frames[1].Lines != 1 || frames[0].Packed+frames[1].Packed != int64(len(packed)) {
		t.Errorf("%+v, %v", frames, err)
	}
	for i := range packed {
		if _, err := zeros.framesOf("a.zst", packed[:i]); i > 0 && int64(i) != frames[0].Packed && !errors.Is(err, arbalest.ErrCorrupt) {
			t.Errorf("%d bytes of frames: %v", i, err)
		}
	}
}

// TestCompactMakesFrames reads parts of an object of many frames, small and large.
func TestCompactMakesFrames(t *testing.T) {
	ctx := context.Background()
	trace := blobtest.Trace(blob.NewMemory())
	l := openTest(t, trace, Options{})
	for i := range 40 {
		var lines []byte
		for j := range 1 + i*i {
			lines = append(lines, lineOf("a", fmt.Sprint(i, "-", j, strings.Repeat("x", i*20)), noon)...)
		}
		if _, err := l.NewWriter().AppendLines(ctx, lines); err != nil {
			t.Fatal(err)
		}
		drain(t, l)
	}
	all := objects(t, l)
	before := bodies(t, l, all)
	if c := compactAll(t, l); c.Before != 40 || c.After != 1 || c.Bytes < 10<<20 {
		t.Errorf("%+v", c)
	}
	fresh := openTest(t, trace, Options{})
	if after := bodies(t, fresh, all); !maps.Equal(before, after) {
		t.Error("what is read is not what was")
	}
	trace.Reset()
	for _, o := range all {
		if _, _, err := fresh.AppendLines(ctx, nil, o); err != nil {
			t.Fatal(err)
		}
	}
	if n := trace.Count(); n > 40 {
		t.Errorf("%d requests", n)
	}
}

// TestCopyOfCompacted copies a lake that compacts meanwhile, and cuts the copy at
// every step: it is whole at every moment, and the lake at the end.
func TestCopyOfCompacted(t *testing.T) {
	ctx := context.Background()
	for step := range 200 {
		store, copied := blob.NewMemory(), blob.NewMemory()
		l := openTest(t, store, Options{CompactBytes: 500})
		grown := func(from, n int) {
			for i := range n {
				grow(t, l, from+i, true)
			}
		}
		grown(0, 3)
		if _, err := l.CopyTo(ctx, openTest(t, copied, Options{}), silent); err != nil {
			t.Fatal(err)
		}
		grown(3, 3)
		compactAll(t, l)
		grown(6, 2)
		compactAll(t, l)
		dying := blobtest.StopAfter(copied, blobtest.Stop{Steps: step})
		_, err := l.CopyTo(ctx, openTest(t, dying, Options{Parallel: 1}), silent)
		whole(t, copied)
		if err == nil {
			if step < 20 {
				t.Errorf("only %d steps", step)
			}
			break
		}
		if _, err := l.CopyTo(ctx, openTest(t, copied, Options{}), silent); err != nil {
			t.Fatal(err)
		}
		if whole(t, copied); !maps.Equal(everything(t, store), everything(t, copied)) {
			t.Errorf("step %d: the copy has %q\nthe lake has %q", step, slices.Sorted(maps.Keys(everything(t, copied))), slices.Sorted(maps.Keys(everything(t, store))))
		}
		if t.Failed() {
			return
		}
	}
}
