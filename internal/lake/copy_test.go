package lake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/blob/blobtest"
)

// grow appends two events and an invalid one to a lake, and sorts them if it is
// told to.
func grow(t *testing.T, l *Lake, round int, sort bool) {
	t.Helper()
	lines := append(lineOf("user.created", fmt.Sprint(round), noon), lineOf("user.verified", fmt.Sprint(round, "v"), noon)...)
	lines = AppendRejected(lines, Rejected{Code: "c", Reason: "r", Hour: arbalest.HourOf(noon), Received: noon, Body: []byte("{")})
	if _, err := l.NewWriter().AppendLines(context.Background(), lines); err != nil {
		t.Fatal(err)
	}
	if sort {
		drain(t, l)
	}
}

// everything returns the objects of a store.
func everything(t *testing.T, store blob.Store) map[arbalest.Key]string {
	t.Helper()
	l, all := openTest(t, store, Options{}), map[arbalest.Key]string{}
	for info, err := range store.List(context.Background(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		b, err := l.readAll(context.Background(), info.Key)
		if err != nil {
			t.Fatal(err)
		}
		all[info.Key] = string(b)
	}
	return all
}

// whole holds that every commit of a lake has its objects.
func whole(t *testing.T, store blob.Store) (head arbalest.Seq) {
	t.Helper()
	ctx := context.Background()
	l := openTest(t, store, Options{})
	head, err := l.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for seq := arbalest.Seq(1); seq <= head; seq++ {
		c, err := l.Commit(ctx, seq)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range c.Objects {
			if err := l.Check(ctx, o, func([]byte) error { return nil }); err != nil {
				t.Errorf("commit %d: %v", seq, err)
			}
		}
		if err := l.CheckRejected(ctx, c); err != nil {
			t.Errorf("commit %d: %v", seq, err)
		}
	}
	return head
}

func silent(Copied) {}

// TestCopyIsTheLake copies a lake as it grows: sorted or not, the copy has its
// every object, and no other.
func TestCopyIsTheLake(t *testing.T) {
	stores(t, func(t *testing.T, store blob.Store) {
		ctx := context.Background()
		l, copied := openTest(t, store, Options{}), blob.NewMemory()
		if err := l.SaveTable(ctx, arbalest.Table{Name: "user_created", Event: "user.created", Version: 1}); err != nil {
			t.Fatal(err)
		}
		for round := range 6 {
			grow(t, l, round, round%3 != 1)
			if round == 4 {
				if err := l.Mark(ctx, Replay{Hour: arbalest.HourOf(noon), Time: noon}); err != nil {
					t.Fatal(err)
				}
			}
			done, err := l.CopyTo(ctx, openTest(t, copied, Options{}), silent)
			if err != nil {
				t.Fatal(err)
			}
			if want := everything(t, store); !maps.Equal(everything(t, copied), want) {
				t.Fatalf("round %d: the copy has %v, the lake %v", round, keysOf(everything(t, copied)), keysOf(want))
			}
			if head, err := l.Head(ctx); err != nil || done.Head != head || whole(t, copied) != head {
				t.Errorf("round %d: %+v, head %d, %v", round, done, head, err)
			}
		}
		again, err := l.CopyTo(ctx, openTest(t, copied, Options{}), silent)
		if err != nil || again.Commits != 0 || again.Objects != 0 || again.Others != 0 {
			t.Errorf("again: %+v, %v", again, err)
		}
		// The copy is a lake: what was landing is sorted in it.
		drain(t, openTest(t, copied, Options{}))
		drain(t, l)
		if head, err := l.Head(ctx); err != nil || whole(t, copied) != head {
			t.Errorf("head %d, %v", head, err)
		}
	})
}

func keysOf(all map[arbalest.Key]string) (keys []arbalest.Key) {
	for k := range all {
		keys = append(keys, k)
	}
	return keys
}

// TestInvariant2CopyCutAtEveryStep cuts a copy after step k of its writes, for
// all k: it is a whole lake then, and the next copy makes it the source's. Some
// of it was landing when it was copied first, and is sorted now.
func TestInvariant2CopyCutAtEveryStep(t *testing.T) {
	ctx := context.Background()
	source := blob.NewMemory()
	l := openTest(t, source, Options{})
	grow(t, l, 0, true)
	grow(t, l, 1, false)
	before := blob.NewMemory()
	if _, err := l.CopyTo(ctx, openTest(t, before, Options{}), silent); err != nil {
		t.Fatal(err)
	}
	drain(t, l)
	grow(t, l, 2, true)
	grow(t, l, 3, false)
	copyTo := func(store blob.Store) error {
		_, err := l.CopyTo(ctx, openTest(t, store, Options{Parallel: 1}), silent)
		return err
	}
	begun := func() blob.Store {
		store := blob.NewMemory()
		for key, b := range everything(t, before) {
			if err := store.Put(ctx, key, bytes.NewReader([]byte(b))); err != nil {
				t.Fatal(err)
			}
		}
		return store
	}
	for name, fresh := range map[string]func() blob.Store{"empty": func() blob.Store { return blob.NewMemory() }, "begun": begun} {
		for _, stop := range []blobtest.Stop{{}, {LostReply: true}, {Reads: true}} {
			count := blobtest.StopAfter(fresh(), blobtest.Stop{Steps: -1, Reads: stop.Reads})
			if err := copyTo(count); err != nil {
				t.Fatal(err)
			}
			if count.Done() < 10 {
				t.Fatalf("%s: only %d steps", name, count.Done())
			}
			for stop.Steps = range count.Done() {
				store := fresh()
				if err := copyTo(blobtest.StopAfter(store, stop)); !errors.Is(err, blobtest.ErrCrashed) {
					t.Fatalf("%s, %+v: %v", name, stop, err)
				}
				whole(t, store)
				if err := copyTo(store); err != nil {
					t.Fatalf("%s, %+v: again: %v", name, stop, err)
				}
				if want := everything(t, source); !maps.Equal(everything(t, store), want) {
					t.Fatalf("%s, %+v: the copy has %v, the lake %v", name, stop, keysOf(everything(t, store)), keysOf(want))
				}
			}
		}
	}
}

// TestCopyRefuses what is no copy, and what is not as its commit says.
func TestCopyRefuses(t *testing.T) {
	ctx := context.Background()
	source := blob.NewMemory()
	l := openTest(t, source, Options{})
	grow(t, l, 0, true)
	grow(t, l, 1, false)

	other := blob.NewMemory()
	grow(t, openTest(t, other, Options{}), 7, true)
	landing := blob.NewMemory()
	grow(t, openTest(t, landing, Options{}), 7, false)
	if err := l.SaveTable(ctx, arbalest.Table{Name: "user_created", Event: "user.created", Version: 1}); err != nil {
		t.Fatal(err)
	}
	copied := blob.NewMemory()
	if _, err := l.CopyTo(ctx, openTest(t, copied, Options{}), silent); err != nil {
		t.Fatal(err)
	}
	drain(t, openTest(t, copied, Options{}))
	for name, store := range map[string]blob.Store{"another lake": other, "another that was not sorted": landing, "a copy that was sorted": copied} {
		had := everything(t, store)
		if _, err := l.CopyTo(ctx, openTest(t, store, Options{}), silent); !errors.Is(err, arbalest.ErrExists) {
			t.Errorf("%s: %v", name, err)
		}
		if !maps.Equal(everything(t, store), had) {
			t.Errorf("%s was changed", name)
		}
	}

	c, err := l.Commit(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := source.Put(ctx, c.Objects[0].Key, bytes.NewReader([]byte("x"))); err != nil {
		t.Fatal(err)
	}
	into := blob.NewMemory()
	if _, err := l.CopyTo(ctx, openTest(t, into, Options{}), silent); !errors.Is(err, arbalest.ErrCorrupt) {
		t.Errorf("a damaged object: %v", err)
	}
	if head := whole(t, into); head != 0 {
		t.Errorf("the copy has commit %d", head)
	}
}
