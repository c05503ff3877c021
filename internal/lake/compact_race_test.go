package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/blob/blobtest"
)

// An interrupted store calls before, once, ahead of the operation on a key that it
// is for.
type interrupted struct {
	blob.Store
	get, list, create arbalest.Key
	before            func()
	done              atomic.Bool
}

func (s *interrupted) Create(ctx context.Context, key arbalest.Key, r io.ReadSeeker) error {
	if key == s.create && s.done.CompareAndSwap(false, true) {
		s.before()
	}
	return s.Store.Create(ctx, key, r)
}

func (s *interrupted) Get(ctx context.Context, key arbalest.Key, offset, length int64) (io.ReadCloser, error) {
	if key == s.get && s.done.CompareAndSwap(false, true) {
		s.before()
	}
	return s.Store.Get(ctx, key, offset, length)
}

func (s *interrupted) List(ctx context.Context, prefix, after arbalest.Key) iter.Seq2[blob.Info, error] {
	if prefix == s.list && s.done.CompareAndSwap(false, true) {
		s.before()
	}
	return s.Store.List(ctx, prefix, after)
}

// sortOne appends an event and sorts it.
func sortOne(t *testing.T, l *Lake, id string, at time.Time) {
	t.Helper()
	if _, err := l.NewWriter().AppendLines(context.Background(), lineOf("a", id, at)); err != nil {
		t.Fatal(err)
	}
	drain(t, l)
}

// passed returns the objects that compactions passed over.
func passed(t *testing.T, l *Lake) (keys []arbalest.Key) {
	t.Helper()
	all, err := l.movesAfter(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range all {
		m, err := l.readMoves(context.Background(), key)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, m.Passed...)
	}
	return keys
}

// TestCompactWhileOthersCompact has others sort and compact between the moment when
// a process finds the log's end and when it lists the moves: it does not merge again
// what they have merged.
func TestCompactWhileOthersCompact(t *testing.T) {
	ctx := context.Background()
	for _, fresh := range []bool{true, false} {
		store := blob.NewMemory()
		others := openTest(t, store, Options{})
		slow := &interrupted{Store: store, list: movesFolder, before: func() {
			sortOne(t, others, "3", noon)
			sortOne(t, others, "4", noon)
			compactAll(t, others)
		}}
		slow.done.Store(true)
		l := openTest(t, slow, Options{})
		sortOne(t, others, "1", noon)
		if !fresh {
			if _, err := l.Compact(ctx, 0); err != nil {
				t.Fatal(err)
			}
		}
		sortOne(t, others, "2", noon)
		slow.done.Store(false)
		compactAll(t, l)
		sortOne(t, others, "5", noon)
		sortOne(t, others, "6", noon)
		compactAll(t, l)
		if keys := passed(t, l); len(keys) > 0 {
			t.Errorf("fresh %v: passed over: %q", fresh, keys)
		}
		contents(t, store)
	}
}

// TestCompactFromOnesWhoSawMore begins anew after two who had looked at the log so
// far, and less far.
func TestCompactFromOnesWhoSawMore(t *testing.T) {
	ctx := context.Background()
	store := blob.NewMemory()
	near, far := openTest(t, store, Options{}), openTest(t, store, Options{})
	for i := range 6 {
		sortOne(t, far, fmt.Sprint(i), noon.AddDate(0, 0, i/2))
	}
	for i := range 4 {
		sortOne(t, far, fmt.Sprint(i, "late"), noon.AddDate(0, 0, 7))
	}
	closed := arbalest.HourOf(noon.AddDate(0, 0, 3))
	if c, err := far.Compact(ctx, closed); err != nil || c.Before != 6 {
		t.Fatalf("%+v, %v", c, err)
	}
	// As of one who saw two commits of the log, and had others to merge.
	sortOne(t, far, "more", noon.AddDate(0, 0, 8))
	head, err := far.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	plan, _, err := near.claim(ctx, head, arbalest.Plan{Format: compactFormat, Kind: arbalest.KindCompact, Suffix: suffixZstd, Through: 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := near.finishAny(ctx, plan); err != nil {
		t.Fatal(err)
	}
	compactAll(t, openTest(t, store, Options{}))
	if keys := passed(t, far); len(keys) > 0 {
		t.Errorf("passed over: %q", keys)
	}
	contents(t, store)
}

// TestFrameOfOneWhoGaveUp reads a frame while another reads it and is cancelled.
func TestFrameOfOneWhoGaveUp(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	store := blob.NewMemory()
	l := openTest(t, store, Options{})
	for i := range 3 {
		sortOne(t, l, fmt.Sprint(i), noon)
	}
	all := objects(t, l)
	compactAll(t, l)
	key := mergedKey(mergedFolder(all), 4, 0, suffixZstd)
	reading, others := make(chan error), make(chan error)
	slow := &interrupted{Store: blobtest.Faulty(store, blobtest.Fault{Op: blobtest.OpGet, Key: string(key), Nth: 1, Kind: blobtest.Delay, Delay: time.Hour}), get: key}
	slow.before = func() {
		go func() {
			_, _, err := l.AppendLines(context.Background(), nil, all[1])
			others <- err
		}()
		time.Sleep(20 * time.Millisecond) // until it waits
		cancel()
	}
	l = openTest(t, slow, Options{})
	go func() {
		_, _, err := l.AppendLines(ctx, nil, all[0])
		reading <- err
	}()
	if err := <-reading; !errors.Is(err, context.Canceled) {
		t.Errorf("who is cancelled: %v", err)
	}
	if err := <-others; err != nil {
		t.Errorf("who waited for it: %v", err)
	}
}

// TestDamagedMoves leaves readable what other moves say.
func TestDamagedMoves(t *testing.T) {
	ctx := context.Background()
	store := blob.NewMemory()
	l := openTest(t, store, Options{})
	for i := range 6 {
		sortOne(t, l, fmt.Sprint(i), noon.AddDate(0, 0, i/2))
		if i%2 == 1 {
			compactAll(t, l)
		}
	}
	all := objects(t, l)
	keys, err := l.movesAfter(ctx, 0)
	if err != nil || len(keys) != 3 {
		t.Fatalf("%q, %v", keys, err)
	}
	if err := store.Put(ctx, keys[1], io.NewSectionReader(nil, 0, 0)); err != nil {
		t.Fatal(err)
	}
	l = openTest(t, store, Options{})
	for i, o := range all {
		want := error(nil)
		if i/2 == 1 {
			want = arbalest.ErrCorrupt
		}
		if err := l.Check(ctx, o, func([]byte) error { return nil }); !errors.Is(err, want) {
			t.Errorf("object %d: %v, want %v", i, err, want)
		}
	}
}

// TestCopyWhileItCompacts copies a lake that compacts after the copy has begun. The
// copy goes on as a lake of its own, whenever the copying ended.
func TestCopyWhileItCompacts(t *testing.T) {
	ctx := context.Background()
	for step := range 100 {
		store, copied := blob.NewMemory(), blob.NewMemory()
		l := openTest(t, store, Options{})
		for i := range 3 {
			sortOne(t, l, fmt.Sprint(i), noon)
		}
		slow := &interrupted{Store: store, get: planKey(1), before: func() {
			sortOne(t, l, "new", noon)
			compactAll(t, l)
		}}
		dying := blobtest.StopAfter(copied, blobtest.Stop{Steps: step})
		done, copyErr := openTest(t, slow, Options{}).CopyTo(ctx, openTest(t, dying, Options{Parallel: 1}), silent)
		head := whole(t, copied)
		to := openTest(t, copied, Options{})
		var want []string
		for i := range min(int(head), 3) {
			want = append(want, fmt.Sprint(i))
		}
		if head > 3 {
			want = append(want, "new")
		}
		var err error
		for i := range 3 {
			id := fmt.Sprint("own", i)
			if _, err = to.NewWriter().AppendLines(ctx, lineOf("a", id, noon)); err != nil {
				t.Fatal(err)
			}
			if _, err = to.Sort(ctx); err != nil {
				break
			}
			want = append(want, id)
		}
		switch {
		case copyErr == nil && (err != nil || done.Head != head || head < 5):
			t.Errorf("step %d: whole copy, of %+v to %d: %v", step, done, head, err)
		case err != nil && !errors.Is(err, arbalest.ErrExists) && !errors.Is(err, arbalest.ErrUnknown): // of a copied plan
			t.Errorf("step %d: %v", step, err)
		case err == nil:
			compactAll(t, to)
			ids := contents(t, copied)
			for _, id := range want {
				if ids[id] != 1 {
					t.Errorf("step %d: %s is there %d times", step, id, ids[id])
				}
			}
		}
		if t.Failed() {
			return
		}
		if copyErr == nil {
			return
		}
	}
}
