package lake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/blob/blobtest"
)

// secretID begins the ids of events that tests erase; their properties have it, too.
const secretID = "secret"

// erasureOf erases events with ids of a's.
func erasureOf(ids ...string) Erasure {
	return Erasure{By: "test", Why: "asked", IDs: map[arbalest.EventName][]string{"a": ids}, Days: []arbalest.EventDay{{Event: "a", Day: arbalest.HourOf(noon)}}}
}

// eraseAll erases, and proves that nothing is left to do.
func eraseAll(t *testing.T, l *Lake, e Erasure) Erased {
	t.Helper()
	done, err := l.Erase(context.Background(), e)
	if err != nil {
		t.Fatal(err)
	}
	again, err := l.Erase(context.Background(), e)
	if err != nil || len(again.Commits) > 0 {
		t.Errorf("again: %+v, %v", again, err)
	}
	return done
}

// unwanted returns the objects of a store, of whatever kind, that have a text once
// they are decompressed.
func unwanted(t *testing.T, store blob.Store, text string) (keys []arbalest.Key) {
	t.Helper()
	ctx := context.Background()
	l := openTest(t, store, Options{})
	for info, err := range store.List(ctx, "", "") {
		if err != nil {
			t.Fatal(err)
		}
		b, err := l.readAll(ctx, info.Key)
		if err == nil && strings.HasSuffix(string(info.Key), suffixS2) {
			b, err = l.segmentLines(b, info.Key)
		} else if err == nil {
			b, err = l.codec.unpack(nil, b, info.Key)
		}
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(text)) {
			keys = append(keys, info.Key)
		}
	}
	return keys
}

// TestEraseTakesLinesOut erases some of what is in objects of commits and of
// compactions, in two erasures, and reads all that is left, by its old numbers.
func TestEraseTakesLinesOut(t *testing.T) {
	stores(t, func(t *testing.T, store blob.Store) {
		for _, plain := range []bool{false, true} {
			ctx := context.Background()
			l := openTest(t, store, Options{CompactBytes: 1500, Plain: plain})
			id := func(parts ...any) string { return fmt.Sprint(append([]any{plain}, parts...)...) }
			grow := func(round int) {
				w := l.NewWriter()
				for i := range 6 {
					var lines []byte
					for j := range 4 {
						at := noon.Add(time.Duration(i%3*5+j) * time.Hour)
						lines = append(lines, lineOf("a", id(round, "-", i, "-", j), at)...)
						lines = append(lines, lineOf("a", id(round, "again", j), at)...)
						lines = append(lines, lineOf("a", id(secretID, round%2, "-", j), at)...)
						lines = append(lines, lineOf("a", id(round, "last", i, "-", j), at)...)
					}
					if _, err := w.AppendLines(ctx, append(lines, lineOf("b", id(secretID, "0-0"), noon)...)); err != nil {
						t.Fatal(err)
					}
					drain(t, l)
				}
			}
			grow(0)
			compactAll(t, l)
			grow(1)
			all := objects(t, l)
			before := map[arbalest.Key]map[int64]string{} // lines, by their numbers
			for _, o := range all {
				lines, now, err := l.AppendLines(ctx, nil, o)
				if err != nil {
					t.Fatal(err)
				}
				before[o.Key] = numbered(now, lines)
			}
			old := openTest(t, store, Options{}) // knows where all was
			bodies(t, old, all)
			for round := range 2 {
				var ids []string
				for j := range 4 {
					ids = append(ids, id(secretID, round, "-", j))
				}
				done := eraseAll(t, l, erasureOf(ids...))
				for _, o := range all { // what it holds of where they were is read once more, at most
					if err := old.Check(ctx, o, func([]byte) error { return nil }); err != nil {
						t.Error(err)
					}
					if r, _, err := old.Lines(ctx, o); err != nil {
						t.Error(err)
					} else {
						r.Close()
					}
				}
				gone := int64(0)
				for _, l := range []*Lake{l, old, openTest(t, store, Options{})} {
					gone = 0
					for key, body := range bodies(t, l, all) {
						i := slices.IndexFunc(all, func(o arbalest.Object) bool { return o.Key == key })
						_, now, err := l.AppendLines(ctx, nil, all[i])
						if err != nil {
							t.Fatal(err)
						}
						if n := now.Events + int64(len(now.Repeats)) + countRuns(now.Erased); n != all[i].Events {
							t.Errorf("%s: %d lines are accounted for, of %d", key, n, all[i].Events)
						}
						want := maps.Clone(before[key])
						maps.DeleteFunc(want, func(n int64, line string) bool {
							p, err := arbalest.ParseLine([]byte(line))
							erased := err == nil && all[i].Event == "a" && slices.Contains(ids, p.UnquoteID())
							if erased {
								gone++
							}
							if (now.Now(n) == 0) != erased {
								t.Errorf("%s: line %d is now line %d", key, n, now.Now(n))
							}
							return erased
						})
						if got := numbered(now, []byte(body)); !maps.Equal(got, want) {
							t.Errorf("%s: %d lines, want %d", key, len(got), len(want))
						}
					}
				}
				if n := done.Events["a"]; n != gone || n == 0 {
					t.Errorf("%d lines are erased, want %d", n, gone)
				}
				for _, o := range all {
					_, now, err := l.AppendLines(ctx, nil, o)
					if err != nil {
						t.Fatal(err)
					}
					maps.DeleteFunc(before[o.Key], func(n int64, _ string) bool { return now.Now(n) == 0 })
				}
				whole(t, store)
			}
			// Late repeats are refused; others with such an id are not.
			w := l.NewWriter()
			if _, err := w.AppendLines(ctx, append(lineOf("a", id(secretID, "0-1"), noon.AddDate(0, 1, 0)), lineOf("c", id(secretID, "0-1"), noon)...)); err != nil {
				t.Fatal(err)
			}
			if stored, rejected, err := l.Unsorted(ctx); err != nil || len(stored) != 1 || len(rejected) != 1 {
				t.Errorf("unsorted: %v, %v, %v", stored, rejected, err)
			}
			s := drain(t, l)
			c, err := l.Commit(ctx, s.Commit)
			if err != nil || s.Events != 1 || s.Rejected != 1 || len(c.Erased) != 1 || len(c.RejectedKeys) != 0 || c.Format != eraseFormat {
				t.Errorf("%+v, %+v, %v", s, c, err)
			}
			compactAll(t, l)
			whole(t, store)
		}
		for _, key := range unwanted(t, store, secretID) {
			if !strings.HasPrefix(string(key), "b/") && !strings.HasPrefix(string(key), "c/") {
				t.Errorf("%s has what was erased", key)
			}
		}
		contents(t, store)
	})
}

// numbered returns lines of what is stored by their numbers in the committed object.
func numbered(now Stored, lines []byte) map[int64]string {
	out := map[int64]string{}
	rest := strings.SplitAfter(string(lines), "\n")
	for first, n := range now.Runs(1, now.Events) {
		for i := range n {
			out[first+i] = rest[0]
			rest = rest[1:]
		}
	}
	return out
}

// TestEraseWholeDays erases all of a day without reading it, and what comes later
// once more.
func TestEraseWholeDays(t *testing.T) {
	kinds(t, func(t *testing.T, k kind) {
		ctx := context.Background()
		store := k.fresh(t)
		l := openTest(t, store, Options{})
		day := Erasure{Whole: []arbalest.EventDay{{Event: "a", Day: arbalest.HourOf(noon)}}}
		for round := range 2 {
			for i := range 3 {
				sortOne(t, l, fmt.Sprint(secretID, round, i), noon.Add(time.Duration(i)*time.Hour))
				sortOne(t, l, fmt.Sprint("next", round, i), noon.AddDate(0, 0, 1))
				if i == 1 && round == 0 {
					compactAll(t, l)
				}
			}
			done := eraseAll(t, l, day)
			if done.Events["a"] != 3 || len(done.Commits) != 1 {
				t.Errorf("%+v", done)
			}
			r, err := l.Erasure(ctx, done.Commits[0])
			if err != nil || len(r.Whole) != 1 || len(r.Days) != 0 || len(r.Fingerprints) != 0 || len(r.Lines) != 3 {
				t.Errorf("%+v, %v", r, err)
			}
			if keys := unwanted(t, store, secretID); len(keys) > 0 {
				t.Errorf("%q have what was erased", keys)
			}
			whole(t, store)
		}
		if ids := contents(t, store); len(ids) != 6 {
			t.Errorf("%v", ids)
		}
	})
}

// erasingSession writes, sorts, compacts and erases.
func erasingSession(store blob.Store, rounds int) (acknowledged map[string]bool, err error) {
	acknowledged = map[string]bool{}
	ctx := context.Background()
	for round := range rounds {
		l, err := Open(store, Options{Parallel: 1, CompactBytes: 400})
		if err != nil {
			return nil, err
		}
		w := l.NewWriter()
		for i := range 2 {
			id := fmt.Sprint(round, "-", i)
			lines := append(lineOf("a", id, noon.Add(time.Duration(i)*time.Hour)), lineOf("a", secretID, noon)...)
			if _, err := w.AppendLines(ctx, append(lines, lineOf("a", fmt.Sprint(secretID, round), noon)...)); err != nil {
				return acknowledged, err
			}
			acknowledged[id] = true
			if _, err := l.Sort(ctx); err != nil {
				return acknowledged, err
			}
		}
		for i := range 2 {
			if i == round%2 {
				if _, err := l.Compact(ctx, later); err != nil {
					return acknowledged, err
				}
			}
			if _, err := l.Erase(ctx, erasureOf(secretID, fmt.Sprint(secretID, round-i))); err != nil {
				return acknowledged, err
			}
		}
	}
	return acknowledged, nil
}

// TestInvariant2EraseCrashesAtEveryStep cuts a session at every step, and has another
// process go on, and erase again: nothing of what was erased is anywhere, and all else
// is there.
func TestInvariant2EraseCrashesAtEveryStep(t *testing.T) {
	kinds(t, func(t *testing.T, k kind) {
		ctx := context.Background()
		rounds := k.of(3, 2)
		for _, stop := range []blobtest.Stop{{}, {LostReply: true}} {
			count := blobtest.StopAfter(blob.NewMemory(), blobtest.Stop{Steps: -1})
			if _, err := erasingSession(count, rounds); err != nil {
				t.Fatal(err)
			}
			for stop.Steps = range count.Done() {
				if k.slow && stop.Steps%5 != 0 {
					continue
				}
				store := k.fresh(t)
				acknowledged, err := erasingSession(blobtest.StopAfter(store, stop), rounds)
				if !errors.Is(err, blobtest.ErrCrashed) {
					t.Fatalf("%+v: %v", stop, err)
				}
				l := openTest(t, store, Options{})
				whole(t, store)
				if _, err := l.NewWriter().AppendLines(ctx, lineOf("z", "z", noon)); err != nil {
					t.Fatal(err)
				}
				drain(t, l) // also finishes what was begun
				var ids []string
				for round := range rounds + 1 {
					ids = append(ids, fmt.Sprint(secretID, round-1))
				}
				eraseAll(t, l, erasureOf(append(ids, secretID)...))
				if keys := unwanted(t, store, secretID); len(keys) > 0 {
					t.Errorf("%+v: %q have what was erased", stop, keys)
				}
				compactAll(t, l)
				left := contents(t, store)
				for id := range acknowledged {
					if left[id] != 1 {
						t.Errorf("%+v: %s is there %d times", stop, id, left[id])
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

// TestInvariant6AnyNumberMayErase races processes that erase, sort, compact, write
// and read.
func TestInvariant6AnyNumberMayErase(t *testing.T) {
	kinds(t, func(t *testing.T, k kind) {
		store, each := k.fresh(t), k.of(30, 10)
		ctx := context.Background()
		done := make(chan error)
		var secrets []string
		for i := range each {
			secrets = append(secrets, fmt.Sprint(secretID, i))
		}
		for n := range 3 {
			go func() {
				l, err := Open(store, Options{PlanBytes: 400, Parallel: 2, CompactBytes: 2000})
				for i := 0; err == nil && i < each; i++ {
					if _, err = l.Sort(ctx); err == nil && n < 2 {
						_, err = l.Compact(ctx, later)
					}
					if err == nil && n > 0 {
						_, err = l.Erase(ctx, erasureOf(secrets[max(0, i-2):i+1]...))
					}
				}
				done <- err
			}()
		}
		for n := range 2 {
			go func() {
				l, err := Open(store, Options{})
				w := l.NewWriter()
				for i := 0; err == nil && i < each; i++ {
					lines := append(lineOf("a", fmt.Sprint(n, "-", i), noon.Add(time.Duration(i%5)*time.Hour)), lineOf("a", secrets[i], noon)...)
					_, err = w.AppendLines(ctx, lines)
				}
				done <- err
			}()
		}
		reading, cancel := context.WithCancel(ctx)
		read := make(chan error)
		go func() {
			l, err := Open(store, Options{})
			for seq := arbalest.Seq(1); err == nil && reading.Err() == nil; {
				head, headErr := l.Head(ctx)
				if err = headErr; err != nil || head == 0 {
					continue
				}
				var c arbalest.Commit
				if c, err = l.Commit(ctx, seq); err != nil {
					continue
				}
				for _, o := range c.Objects {
					err = errors.Join(err, l.Check(ctx, o, func([]byte) error { return nil }))
				}
				seq = seq%head + 1
			}
			read <- err
		}()
		for range 5 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		cancel()
		if err := <-read; err != nil {
			t.Error(err)
		}
		l := openTest(t, store, Options{})
		drain(t, l)
		eraseAll(t, l, erasureOf(secrets...))
		compactAll(t, l)
		if keys := unwanted(t, store, secretID); len(keys) > 0 {
			t.Errorf("%q have what was erased", keys)
		}
		ids := contents(t, store)
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

// TestErasePassesDamageOver says which objects it could not read, and erases in
// others.
func TestErasePassesDamageOver(t *testing.T) {
	ctx := context.Background()
	store := blob.NewMemory()
	l := openTest(t, store, Options{})
	for i := range 3 {
		sortOne(t, l, fmt.Sprint(secretID, i), noon)
	}
	all := objects(t, l)
	if err := store.Put(ctx, all[1].Key, strings.NewReader("damaged")); err != nil {
		t.Fatal(err)
	}
	done, err := l.Erase(ctx, erasureOf(secretID+"0", secretID+"1", secretID+"2"))
	if err != nil || done.Events["a"] != 2 || !slices.Equal(done.Unread, []arbalest.Key{all[1].Key}) {
		t.Errorf("%+v, %v", done, err)
	}
}

// TestEraseNeedsItsRecords refuses to sort when it is not known what was erased.
func TestEraseNeedsItsRecords(t *testing.T) {
	ctx := context.Background()
	store := blob.NewMemory()
	l := openTest(t, store, Options{})
	sortOne(t, l, secretID, noon)
	done := eraseAll(t, l, erasureOf(secretID))
	if err := store.Delete(ctx, erasureKey(done.Commits[0])); err != nil {
		t.Fatal(err)
	}
	l = openTest(t, store, Options{})
	if _, err := l.NewWriter().AppendLines(ctx, lineOf("a", "b", noon)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Sort(ctx); !errors.Is(err, arbalest.ErrCorrupt) {
		t.Errorf("%v", err)
	}
}

// TestEraseBitByBit erases more than one commit takes on.
func TestEraseBitByBit(t *testing.T) {
	store := blob.NewMemory()
	l := openTest(t, store, Options{CompactBytes: 300})
	for i := range 10 {
		sortOne(t, l, fmt.Sprint(secretID, i), noon)
		sortOne(t, l, fmt.Sprint("other", i), noon.AddDate(0, 0, 1))
	}
	var ids []string
	for i := range 10 {
		ids = append(ids, fmt.Sprint(secretID, i))
	}
	done := eraseAll(t, l, erasureOf(ids...))
	if len(done.Commits) < 3 || done.Events["a"] != 10 || done.Objects != 10 {
		t.Errorf("%+v", done)
	}
	if keys := unwanted(t, store, secretID); len(keys) > 0 {
		t.Errorf("%q have what was erased", keys)
	}
	if ids := contents(t, store); len(ids) != 10 {
		t.Errorf("%v", ids)
	}
}

// TestCopyOfErased copies a lake that was copied before it erased, and cuts the copy
// at every step.
func TestCopyOfErased(t *testing.T) {
	ctx := context.Background()
	for step := range 300 {
		store, copied := blob.NewMemory(), blob.NewMemory()
		l := openTest(t, store, Options{CompactBytes: 2000})
		add := func(from, n int) {
			for i := range n {
				sortOne(t, l, fmt.Sprint(secretID, from+i), noon)
				sortOne(t, l, fmt.Sprint("other", from+i), noon.Add(time.Hour))
			}
		}
		add(0, 3)
		compactAll(t, l)
		add(3, 2)
		if _, err := l.CopyTo(ctx, openTest(t, copied, Options{}), silent); err != nil {
			t.Fatal(err)
		}
		eraseAll(t, l, erasureOf(secretID+"0", secretID+"3"))
		add(5, 2)
		compactAll(t, l)
		eraseAll(t, l, erasureOf(secretID+"1", secretID+"2", secretID+"5", secretID+"6"))
		add(7, 1)
		eraseAll(t, l, erasureOf(secretID+"7", secretID+"4"))
		dying := blobtest.StopAfter(copied, blobtest.Stop{Steps: step})
		_, err := l.CopyTo(ctx, openTest(t, dying, Options{Parallel: 1}), silent)
		whole(t, copied)
		if err == nil {
			if step < 30 {
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
		if keys := unwanted(t, copied, secretID); len(keys) > 0 {
			t.Errorf("step %d: %q have what was erased", step, keys)
		}
		if t.Failed() {
			return
		}
	}
	// A new copy of it has all that is left.
	store, copied := blob.NewMemory(), blob.NewMemory()
	l := openTest(t, store, Options{})
	for i := range 4 {
		sortOne(t, l, fmt.Sprint(secretID, i), noon)
		sortOne(t, l, fmt.Sprint("other", i), noon)
		if i == 2 {
			compactAll(t, l)
			eraseAll(t, l, erasureOf(secretID+"0"))
		}
	}
	eraseAll(t, l, erasureOf(secretID+"1", secretID+"2", secretID+"3"))
	if _, err := l.CopyTo(ctx, openTest(t, copied, Options{}), silent); err != nil {
		t.Fatal(err)
	}
	if whole(t, copied); !maps.Equal(everything(t, store), everything(t, copied)) {
		t.Error("the copy is not the lake")
	}
	sortOne(t, openTest(t, copied, Options{}), secretID+"1", noon)
	if keys := unwanted(t, copied, secretID); len(keys) > 0 {
		t.Errorf("%q have what was erased", keys)
	}
}

// TestEraseBodies erases what rejected events were, in this lake and in a copy made
// before; that they were rejected stays, under the same Refs.
func TestEraseBodies(t *testing.T) {
	ctx := context.Background()
	for step := range 100 {
		store, copied := blob.NewMemory(), blob.NewMemory()
		l := openTest(t, store, Options{})
		rejected := func(i int, text string) []byte {
			return AppendRejected(nil, Rejected{Code: "bad_time", Reason: text, Event: "a", ID: text, Hour: arbalest.HourOf(noon), Received: noon, Index: i, Body: []byte(text)})
		}
		var lines []byte
		for i := range 6 {
			lines = append(lines, rejected(i, fmt.Sprint([]string{"other", secretID, secretID}[i%3], i))...)
		}
		if _, err := l.NewWriter().AppendLines(ctx, lines); err != nil {
			t.Fatal(err)
		}
		drain(t, l)
		if _, err := l.CopyTo(ctx, openTest(t, copied, Options{}), silent); err != nil {
			t.Fatal(err)
		}
		var e Erasure
		for k, err := range l.Rejections(ctx, Span{}) {
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(k.ID, secretID) {
				e.Bodies = append(e.Bodies, k.Ref)
			}
		}
		dying := blobtest.StopAfter(store, blobtest.Stop{Steps: step})
		done, err := openTest(t, dying, Options{Parallel: 1}).Erase(ctx, e)
		if err == nil && (done.Bodies != 4 || len(done.Commits) != 1 || step < 4) {
			t.Errorf("step %d: %+v", step, done)
		}
		if _, err := l.Erase(ctx, e); err != nil {
			t.Fatal(err)
		}
		// What is rejected later with the id of an event that was erased loses its body, too.
		if _, err := l.Erase(ctx, erasureOf(secretID+"9")); err != nil {
			t.Fatal(err)
		}
		if _, err := l.NewWriter().AppendLines(ctx, rejected(9, secretID+"9")); err != nil {
			t.Fatal(err)
		}
		drain(t, l)
		if _, err := l.CopyTo(ctx, openTest(t, copied, Options{}), silent); err != nil {
			t.Fatal(err)
		}
		for name, store := range map[string]blob.Store{"lake": store, "copy": copied} {
			if keys := unwanted(t, store, secretID); len(keys) > 0 {
				t.Errorf("step %d: in the %s %q have what was erased", step, name, keys)
			}
			whole(t, store)
		}
		for _, ref := range e.Bodies {
			if k, err := l.Kept(ctx, ref); err != nil || k.Code != "bad_time" || k.ID != "" || len(k.Body) > 0 || !k.Truncated || k.Event != "a" {
				t.Errorf("step %d: %+v, %v", step, k, err)
			}
		}
		if err == nil || t.Failed() {
			return
		}
	}
	t.Error("it never came to the end")
}

// TestEraseScrubs leaves nothing of an event in the slots that its segment grew in, be
// they free or in use.
func TestEraseScrubs(t *testing.T) {
	ctx := context.Background()
	at := t.TempDir()
	l := openTest(t, openStore(t, at), Options{})
	g := l.NewGatherer()
	add := func(id string) {
		t.Helper()
		if _, err := g.AppendLines(ctx, lineOf("a", id, noon)); err != nil {
			t.Fatal(err)
		}
	}
	slots := func() (have []string) {
		t.Helper()
		files, err := os.ReadDir(filepath.Join(at, ".drafts"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(filepath.Join(at, ".drafts", f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(b, []byte(secretID)) {
				have = append(have, f.Name())
			}
		}
		return have
	}
	add(secretID)
	add("b")
	drain(t, l)
	if len(slots()) == 0 {
		t.Fatal("the slots have nothing to scrub")
	}
	add("c") // in the same slot, over what it had
	eraseAll(t, l, erasureOf(secretID))
	drain(t, l)
	if have := slots(); len(have) > 0 {
		t.Errorf("slots %q have what was erased", have)
	}
	add("d")
	if err := g.Close(ctx); err != nil {
		t.Fatal(err)
	}
	drain(t, l)
	if ids := contents(t, l.store); len(ids) != 3 {
		t.Errorf("%v", ids)
	}
}

func BenchmarkForgotten(b *testing.B) {
	l, err := Open(blob.NewMemory(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	done, err := l.Erase(context.Background(), erasureOf(secretID))
	if err != nil {
		b.Fatal(err)
	}
	f, err := l.Forgotten(context.Background(), done.Commits[0])
	if err != nil {
		b.Fatal(err)
	}
	line, err := arbalest.ParseLine(lineOf("user.created", "009bd890-cb8f-4896-b9e7-8bb6c9b8b8fb", noon))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if f.Has(line) {
			b.Fatal("it was not erased")
		}
	}
}
