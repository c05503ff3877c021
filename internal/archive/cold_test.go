package archive

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/blob/blobtest"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// coldFill makes a lake of the event "a" with an object in each of three hours, and
// the shelf that goes with it. Event "early" was received an hour after it happened
// the first time, and comes again, without a time of its own, two hours later; event
// "own" is of that later hour alone.
func coldFill(t *testing.T) (*blobtest.Cold, *lake.Lake, *shelf, []arbalest.Object) {
	t.Helper()
	ctx := context.Background()
	store := blobtest.NewCold(blob.NewMemory())
	l, err := lake.Open(store, lake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{}
	add := func(id string, at, received time.Time, loaded bool) {
		t.Helper()
		line := arbalest.AppendLine(nil, arbalest.Event{ID: id, Name: "a", Time: at, Received: received, Hash: xxh3.HashString("{}"), Properties: []byte("{}")})
		if _, err := l.NewWriter().AppendLines(ctx, line); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Sort(ctx); err != nil {
			t.Fatal(err)
		}
		b := load.Book{Event: "a", Hour: arbalest.HourOf(at), Received: 1, Counts: load.Counts{Stored: 1}}
		if loaded {
			row := rowOf(id, "{}")
			row.Time, row.Received = at.UnixMicro(), received.UnixMicro()
			s.rows = append(s.rows, row)
			b.Loaded = 1
		} else {
			b.Repeats = 1
		}
		for i := range s.books {
			if have := &s.books[i]; have.Hour == b.Hour {
				have.Received, have.Stored, have.Loaded, have.Repeats = have.Received+1, have.Stored+1, have.Loaded+b.Loaded, have.Repeats+b.Repeats
				return
			}
		}
		s.books = append(s.books, b)
	}
	later := noon.Add(2 * time.Hour)
	add("early", noon, noon.Add(time.Hour), true)
	add("early", later, later, false) // repeats it, by the time of its receipt
	add("own", later, later, true)
	add("far", noon.Add(100*time.Hour), noon.Add(101*time.Hour), true)
	var all []arbalest.Object
	for seq := arbalest.Seq(1); seq <= 4; seq++ {
		c, err := l.Commit(ctx, seq)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c.Objects...)
	}
	s.progress = load.Progress{Cursor: load.Cursor{Commit: 4}}
	return store, l, s, all
}

// Frozen objects are counted and named, and nothing else is said of them; the rest
// is compared as ever.
func TestVerifyPassesFrozenOver(t *testing.T) {
	for _, maxEvents := range []int64{0, 1} {
		store, l, s, all := coldFill(t)
		if r := verify(t, l, s, maxEvents); r.Err() != nil || r.Frozen != nil || r.Objects != 4 {
			t.Fatalf("nothing is frozen: %+v", r)
		}
		store.Chill(all[0].Key, blob.DeepArchive)
		r := verify(t, l, s, maxEvents)
		if r.Err() != nil || r.Frozen == nil || r.Frozen.Objects != 1 || r.Frozen.Events != 1 || !slices.Equal(r.Frozen.Listed, []arbalest.Key{all[0].Key}) || r.Objects != 3 {
			t.Errorf("%+v, frozen %+v", r, r.Frozen)
		}
		if len(r.Tables) != 1 || len(r.Tables[0].Hours) != 0 {
			t.Errorf("hours differ: %+v", r.Tables)
		}
		for name, damage := range map[string]func(s *shelf) Kind{
			"missing beside": func(s *shelf) Kind { s.rows = slices.Delete(s.rows, 2, 3); return Missing },
			"extra beside": func(s *shelf) Kind {
				row := rowOf("9", "{}")
				row.Time = noon.Add(100 * time.Hour).UnixMicro()
				s.rows = append(s.rows, row)
				return Extra
			},
			"books of the frozen hour": func(s *shelf) Kind { s.books[0].Loaded = 0; return Books },
		} {
			store, l, s, all := coldFill(t)
			store.Chill(all[0].Key, blob.DeepArchive)
			want := damage(s)
			if r := verify(t, l, s, maxEvents); len(r.Findings) != 1 || r.Findings[0].Kind != want {
				t.Errorf("%s: %+v", name, r.Findings)
			}
		}
		// Nor of a repeat of what is frozen, where that is no row.
		s.rows, s.errors = s.rows[1:], []string{"early"}
		s.books[0].Loaded, s.books[0].Errors = 0, 1
		if r := verify(t, l, s, maxEvents); r.Err() != nil || r.Frozen.Objects != 1 {
			t.Errorf("a load error is frozen: %+v", r.Findings)
		}
		if err := store.Thaw(t.Context(), all[0].Key, blob.Thaw{Days: 1}); err != nil {
			t.Fatal(err)
		}
		store.Advance(12 * time.Hour)
		s.errors = nil // what could not be told while it was frozen
		if r := verify(t, l, s, maxEvents); len(r.Findings) != 1 || r.Findings[0].Kind != Missing || r.Frozen != nil {
			t.Errorf("thawed: %+v", r)
		}
	}
}

// A merged object that is frozen is named, with how many it is of.
func TestVerifyPassesFrozenMergedOver(t *testing.T) {
	store, l, s, all := coldFill(t)
	for {
		c, err := l.Compact(t.Context(), arbalest.HourOf(noon.AddDate(1, 0, 0)))
		if err != nil {
			t.Fatal(err)
		}
		if c == (lake.Compacted{}) {
			break
		}
	}
	var merged arbalest.Key
	for info, err := range l.Stored(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(all, func(o arbalest.Object) bool { return o.Key == info.Key }) {
			merged = info.Key
		}
	}
	head, err := l.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.progress.Commit = head
	store.Chill(merged, blob.Glacier)
	r := verify(t, l, s, 0)
	if r.Err() != nil || r.Frozen == nil || r.Frozen.Objects != 3 || !slices.Equal(r.Frozen.Listed, []arbalest.Key{merged}) {
		t.Errorf("%+v, frozen %+v, %s", r, r.Frozen, merged)
	}
}

// What was rejected and is frozen is counted too.
func TestVerifyPassesFrozenRejectedOver(t *testing.T) {
	memory, _, s := fill(t)
	store := blobtest.NewCold(memory)
	l, err := lake.Open(store, lake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Commit(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	store.Chill(c.RejectedKeys[0], blob.Glacier)
	if r := verify(t, l, s, 0); r.Err() != nil || r.Frozen == nil || fmt.Sprint(r.Frozen.Listed) != fmt.Sprint(c.RejectedKeys) {
		t.Errorf("%+v, frozen %+v", r, r.Frozen)
	}
}
