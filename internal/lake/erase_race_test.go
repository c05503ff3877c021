package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/blob/blobtest"
)

// TestEraseBeatsLateSorters has a sorter write its objects after all of it was sorted
// by another, compacted and erased.
func TestEraseBeatsLateSorters(t *testing.T) {
	ctx := context.Background()
	for _, compacted := range []bool{false, true} {
		for _, dies := range []bool{false, true} {
			store := blob.NewMemory()
			others := openTest(t, store, Options{})
			if _, err := others.NewWriter().AppendLines(ctx, append(lineOf("a", secretID, noon), lineOf("a", "b", noon)...)); err != nil {
				t.Fatal(err)
			}
			slow := &late{Store: store, before: func() {
				drain(t, others)
				sortOne(t, others, "c", noon)
				if compacted {
					compactAll(t, others)
				}
				eraseAll(t, others, erasureOf(secretID))
			}}
			var dying blob.Store = slow
			if dies {
				dying = blobtest.StopAfter(slow, blobtest.Stop{Steps: 2}) // after the plan and the object
			}
			if _, err := openTest(t, dying, Options{}).Sort(ctx); (err != nil) != dies {
				t.Fatal(err)
			}
			if keys := unwanted(t, store, secretID); (len(keys) > 0) != dies {
				t.Errorf("compacted %v, dies %v: %q have what was erased", compacted, dies, keys)
			}
			eraseAll(t, openTest(t, store, Options{}), erasureOf(secretID))
			if keys := unwanted(t, store, secretID); len(keys) > 0 {
				t.Errorf("compacted %v, dies %v: %q have what was erased, at last", compacted, dies, keys)
			}
			if ids := contents(t, store); ids["b"] != 1 || ids["c"] != 1 || len(ids) != 2 {
				t.Errorf("compacted %v, dies %v: %v", compacted, dies, ids)
			}
		}
	}
}

// A late store calls before ahead of the first Put.
type late struct {
	blob.Store
	before func()
}

func (s *late) Put(ctx context.Context, key arbalest.Key, r io.ReadSeeker) error {
	if f := s.before; f != nil {
		s.before = nil
		f()
	}
	return s.Store.Put(ctx, key, r)
}

// TestEraseListsDaysAtTheirEnd erases a day bit by bit, in a process that dies at
// every step, and in another that goes on: the day is listed once nothing of it is
// left to erase, and only then.
func TestEraseListsDaysAtTheirEnd(t *testing.T) {
	ctx := context.Background()
	var ids []string
	for i := range 6 {
		ids = append(ids, fmt.Sprint(secretID, i))
	}
	for step := range 100 {
		store := blob.NewMemory()
		l := openTest(t, store, Options{})
		for _, id := range ids {
			sortOne(t, l, id, noon)
		}
		head, err := l.Head(ctx)
		if err != nil {
			t.Fatal(err)
		}
		dying := blobtest.StopAfter(store, blobtest.Stop{Steps: step})
		_, died := openTest(t, dying, Options{CompactBytes: 300, Parallel: 1}).Erase(ctx, erasureOf(ids...))
		eraseAll(t, openTest(t, store, Options{CompactBytes: 300}), erasureOf(ids...))
		left, commits, listed := int64(len(ids)), 0, 0
		for {
			head++
			r, err := l.Erasure(ctx, head)
			if errors.Is(err, arbalest.ErrUnknown) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			commits++
			for _, n := range r.Lines {
				left -= n.Events
			}
			if slices.Contains(r.Days, arbalest.EventDay{Event: "a", Day: arbalest.HourOf(noon).Day()}) {
				if listed++; left > 0 {
					t.Errorf("step %d: commit %d lists the day when %d lines are left", step, head, left)
				}
			}
		}
		if left != 0 || commits < 2 || listed != 1 {
			t.Errorf("step %d: %d lines are left, %d commits, of which %d list the day", step, left, commits, listed)
		}
		if died == nil || t.Failed() {
			return
		}
	}
	t.Error("it never came to the end")
}

// TestEraseListsUnreadDays erases events, that are refused already, of a day whose only
// object cannot be read: its rows may be in a warehouse.
func TestEraseListsUnreadDays(t *testing.T) {
	ctx := context.Background()
	store := blob.NewMemory()
	l := openTest(t, store, Options{})
	sortOne(t, l, secretID, noon)
	if err := store.Put(ctx, objects(t, l)[0].Key, strings.NewReader("damaged")); err != nil {
		t.Fatal(err)
	}
	elsewhere := erasureOf(secretID)
	elsewhere.Days = nil
	eraseAll(t, l, elsewhere)
	done := eraseAll(t, l, erasureOf(secretID))
	if len(done.Commits) != 1 || len(done.Unread) != 1 {
		t.Fatalf("%+v", done)
	}
	if r, err := l.Erasure(ctx, done.Commits[0]); err != nil || len(r.Days) != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestEraseWhileOthersCompact has others compact a day between the moment when its
// moves were looked at and when it is listed, and all of it is gone from there.
func TestEraseWhileOthersCompact(t *testing.T) {
	whole := Erasure{Whole: erasureOf().Days}
	for _, e := range []Erasure{erasureOf(secretID), whole} {
		store := blob.NewMemory()
		others := openTest(t, store, Options{})
		sortOne(t, others, secretID, noon)
		sortOne(t, others, fmt.Sprint(secretID, "b"), noon.Add(time.Hour))
		eraseAll(t, others, Erasure{IDs: erasureOf(secretID).IDs}) // of no day
		slow := &interrupted{Store: store, list: "a/" + arbalest.Key(noon.Format(time.DateOnly)) + "/", before: func() { compactAll(t, others) }}
		eraseAll(t, openTest(t, slow, Options{}), e)
		if ids := contents(t, store); ids[secretID] > 0 || !slow.done.Load() || len(e.Whole) > 0 && len(ids) > 0 {
			t.Errorf("%v: done %v, %v", e, slow.done.Load(), ids)
		}
	}
}

// TestEraseBodiesBeatsLateDoers has a sorter, or one who erases, write rejected events
// after all of its commit was done by another, and more of them erased.
func TestEraseBodiesBeatsLateDoers(t *testing.T) {
	ctx := context.Background()
	for _, erases := range []bool{false, true} {
		for _, segments := range []int{1, 2} { // of the second it finds that it is late
			store := blob.NewMemory()
			others := openTest(t, store, Options{})
			for i := range segments {
				var lines []byte
				for j := range 2 {
					id := fmt.Sprint(secretID, i, j)
					lines = append(lines, AppendRejected(nil, Rejected{Code: "bad_time", Reason: id, Event: "a", ID: id, Hour: arbalest.HourOf(noon), Received: noon, Body: []byte(id)})...)
				}
				if _, err := others.NewWriter().AppendLines(ctx, lines); err != nil {
					t.Fatal(err)
				}
			}
			refs := func(line int) (refs []Ref) {
				for k, err := range others.Rejections(ctx, Span{}) {
					if err != nil {
						t.Fatal(err)
					}
					if k.Ref.Line == line {
						refs = append(refs, k.Ref)
					}
				}
				return refs
			}
			slow := &late{Store: store, before: func() {
				drain(t, others)
				for line := range 2 {
					if _, err := others.Erase(ctx, Erasure{Bodies: refs(line + 1)}); err != nil {
						t.Fatal(err)
					}
				}
				if keys := unwanted(t, store, secretID); len(keys) > 0 {
					t.Fatalf("%q have what was erased", keys)
				}
			}}
			var err error
			if l := openTest(t, slow, Options{}); erases {
				drain(t, others)
				_, err = l.Erase(ctx, Erasure{Bodies: refs(1)})
			} else {
				_, err = l.Sort(ctx)
			}
			if err != nil || slow.before != nil {
				t.Fatal(err)
			}
			if keys := unwanted(t, store, secretID); len(keys) > 0 {
				t.Errorf("erases %v, %d segments: %q have what was erased", erases, segments, keys)
			}
		}
	}
}

// TestEraseBeatsLateMergers has one who merges write an object after its commit was done
// by another, and the object erased: it is late for the next one, too, and stops.
func TestEraseBeatsLateMergers(t *testing.T) {
	store := blob.NewMemory()
	others := openTest(t, store, Options{})
	for day := range 2 {
		sortOne(t, others, fmt.Sprint(secretID, day), noon.AddDate(0, 0, day))
		sortOne(t, others, fmt.Sprint("b", day), noon.AddDate(0, 0, day))
	}
	slow := &interrupted{Store: store, create: mergedKey(mergedFolder(objects(t, others)[:2]), 5, 0, suffixZstd), before: func() {
		compactAll(t, others)
		eraseAll(t, others, erasureOf(secretID+"0"))
		sortOne(t, others, "c", noon) // what the newest commit moved is looked for anyway
	}}
	compactAll(t, openTest(t, slow, Options{Parallel: 1}))
	if keys := unwanted(t, store, secretID+"0"); len(keys) > 0 || !slow.done.Load() {
		t.Errorf("%q have what was erased", keys)
	}
	contents(t, store)
}

// TestEraseAtTheEndOfTime lists no day that is not of the years 1 to 9999, which no
// log can be read with.
func TestEraseAtTheEndOfTime(t *testing.T) {
	for _, hour := range []arbalest.Hour{arbalest.FirstHour, arbalest.EndHour - 1} {
		store := blob.NewMemory()
		l := openTest(t, store, Options{})
		sortOne(t, l, secretID, hour.Time())
		done := eraseAll(t, l, Erasure{IDs: erasureOf(secretID).IDs, Days: []arbalest.EventDay{{Event: "a", Day: hour}}})
		l = openTest(t, store, Options{})
		if r, err := l.Erasure(context.Background(), done.Commits[0]); err != nil || len(r.Days) != 2 {
			t.Errorf("%+v, %v", r, err)
		}
		sortOne(t, l, "b", noon)
		contents(t, store)
	}
}
