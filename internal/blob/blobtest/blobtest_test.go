package blobtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"arbalest"
	"arbalest/internal/blob"
	. "arbalest/internal/blob/blobtest"
)

// Stores that do nothing to their operations are stores.
func TestTransparent(t *testing.T) {
	for name, open := range map[string]func(blob.Store) blob.Store{
		"Faulty": func(s blob.Store) blob.Store { return Faulty(s, Fault{Op: OpPut, Nth: 1, Kind: Delay}) },
		"Stop":   func(s blob.Store) blob.Store { return StopAfter(s, Stop{Steps: -1}) },
		"Trace":  func(s blob.Store) blob.Store { return Trace(s) },
		"Cold":   func(s blob.Store) blob.Store { return NewCold(s) },
	} {
		t.Run(name, func(t *testing.T) {
			Run(t, func(*testing.T) blob.Store { return open(blob.NewMemory()) })
		})
	}
}

func TestCold(t *testing.T) {
	RunTiered(t, func(*testing.T) (blob.Tiered, func(time.Duration)) {
		c := NewCold(blob.NewMemory())
		return c, c.Advance
	})
}

// What befalls the store below befalls freezing, and leaves an object whole.
func TestColdFaults(t *testing.T) {
	body := strings.Repeat("x", blob.MinFrozen)
	for _, kind := range []Kind{Error, LostReply, Torn} {
		for _, op := range []Op{OpList, OpGet, OpPut} {
			memory := blob.NewMemory()
			if err := memory.Put(t.Context(), "k", strings.NewReader(body)); err != nil {
				t.Fatal(err)
			}
			c := NewCold(Faulty(memory, Fault{Op: op, Kind: kind, Nth: 1}))
			if err := c.Freeze(t.Context(), "k", blob.Glacier); !errors.Is(err, arbalest.ErrUnavailable) && op != OpList {
				t.Errorf("%v of %s: %v", kind, op, err)
			}
			if err := c.Freeze(t.Context(), "k", blob.Glacier); err != nil {
				t.Error(err)
			}
			r, err := memory.Get(t.Context(), "k", 0, blob.Whole)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(r); err != nil || string(b) != body {
				t.Errorf("%v of %s left %d bytes, %v", kind, op, len(b), err)
			}
		}
	}
}

// script does an operation of each kind, and returns what it saw.
func script(s blob.Store) (seen []string) {
	ctx := context.Background()
	see := func(what string, err error) {
		switch {
		case errors.Is(err, ErrCrashed):
			what += " crashed"
		case err != nil:
			what += " " + arbalest.OutcomeOf(err).Err.Error()
		}
		seen = append(seen, what)
	}
	body := strings.NewReader("0123456789abcdef0123456789abcdef")
	see("create", s.Create(ctx, "a/1", body))
	see("create", s.Create(ctx, "a/1", body))
	see("put", s.Put(ctx, "a/2", body))
	var keys []string
	var failed error
	for info, err := range s.List(ctx, "a/", "") {
		if failed = err; err == nil {
			keys = append(keys, string(info.Key))
		}
	}
	see(fmt.Sprint("list ", keys), failed)
	r, err := s.Get(ctx, "a/2", 0, blob.Whole)
	var got []byte
	if err == nil {
		got, err = io.ReadAll(r)
		r.Close()
	}
	see(fmt.Sprint("get ", len(got)), err)
	see("delete", s.Delete(ctx, "a/2"))
	return seen
}

func keys(s blob.Store) string {
	var keys []string
	for info := range s.List(context.Background(), "", "") {
		keys = append(keys, string(info.Key))
	}
	return strings.Join(keys, " ")
}

func TestFaulty(t *testing.T) {
	good := []string{"create", "create already exists", "put", "list [a/1 a/2]", "get 32", "delete"}
	for _, c := range []struct {
		fault Fault
		at    int // the line of good that differs, and how
		want  string
		left  string
	}{
		{Fault{Op: OpGet, Key: "b/*"}, 0, "create", "a/1"},
		{Fault{Op: OpPut}, 2, "put unavailable", "a/1"},
		{Fault{Key: "*/2", Nth: 1, Err: arbalest.ErrBusy}, 2, "put busy", "a/1"},
		{Fault{Op: OpCreate, Nth: 1, Kind: LostReply}, 0, "create unavailable", "a/1"},
		{Fault{Op: OpDelete, Kind: LostReply}, 5, "delete unavailable", "a/1"},
		{Fault{Op: OpGet, Kind: LostReply}, 4, "get 0 unavailable", "a/1"},
		{Fault{Op: OpCreate, Nth: 2, Kind: LostReply}, 1, "create already exists", "a/1"},
		{Fault{Op: OpPut, Kind: Torn}, 2, "put unavailable", "a/1"},
		{Fault{Op: OpGet, Kind: Torn}, 4, "get 16 unavailable", "a/1"},
		{Fault{Op: OpList, Kind: Torn}, 3, "list [a/1] unavailable", "a/1"},
		{Fault{Op: OpList, Key: "a/"}, 3, "list [] unavailable", "a/1"},
		{Fault{Op: OpDelete, Kind: Crash}, 5, "delete crashed", "a/1 a/2"},
	} {
		store := blob.NewMemory()
		got := script(Faulty(store, c.fault))
		want := slices.Clone(good)
		want[c.at] = c.want
		if c.fault.Op == OpPut { // then there is nothing to list and get
			want[3], want[4] = "list [a/1]", "get 0 not found"
		}
		if c.fault.Nth == 1 && c.fault.Err != nil {
			want[3], want[4] = "list [a/1]", "get 0 not found"
		}
		if !slices.Equal(got, want) || keys(store) != c.left {
			t.Errorf("%+v:\n got %q, left %s\nwant %q, left %s", c.fault, got, keys(store), want, c.left)
		}
	}
}

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Faulty(blob.NewMemory(), Fault{Op: OpPut, Kind: Delay, Delay: time.Minute})
		began := time.Now()
		if err := s.Put(t.Context(), "k", strings.NewReader("")); err != nil || time.Since(began) != time.Minute {
			t.Errorf("put: %v after %v", err, time.Since(began))
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Put(short, "k", strings.NewReader("")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("put with a deadline: %v", err)
		}
	})
}

func TestStopAfter(t *testing.T) {
	whole := StopAfter(blob.NewMemory(), Stop{Steps: -1})
	script(whole)
	all := StopAfter(blob.NewMemory(), Stop{Steps: -1, Reads: true})
	script(all)
	if whole.Done() != 4 || all.Done() != 6 || whole.Crashed() {
		t.Errorf("steps: %d and %d, want 4 and 6", whole.Done(), all.Done())
	}
	for _, c := range []struct {
		stop Stop
		done int    // operations before the first that failed
		left string // in the store
	}{
		{Stop{Steps: 0}, 0, ""},
		{Stop{Steps: 1}, 1, "a/1"},
		{Stop{Steps: 2}, 2, "a/1"},
		{Stop{Steps: 3}, 5, "a/1 a/2"},
		{Stop{Steps: 4}, 6, "a/1"},
		{Stop{Steps: 0, LostReply: true}, 0, "a/1"},
		{Stop{Steps: 2, LostReply: true}, 2, "a/1 a/2"},
		{Stop{Steps: 3, LostReply: true}, 5, "a/1"},
		{Stop{Steps: 3, Reads: true}, 3, "a/1 a/2"},
		{Stop{Steps: 4, Reads: true}, 4, "a/1 a/2"},
	} {
		store := blob.NewMemory()
		s := StopAfter(store, c.stop)
		seen := script(s)
		crashes := 0
		for _, line := range seen {
			if strings.HasSuffix(line, " crashed") {
				crashes++
			} else if crashes > 0 {
				t.Errorf("%+v: %q after the crash", c.stop, line)
			}
		}
		if len(seen)-crashes != c.done || keys(store) != c.left || s.Crashed() != (crashes > 0) {
			t.Errorf("%+v: %d done, left %q; want %d, %q", c.stop, len(seen)-crashes, keys(store), c.done, c.left)
		}
	}
}

// What is under way when the process dies dies too.
func TestStopUnderWay(t *testing.T) {
	s := StopAfter(blob.NewMemory(), Stop{Steps: 2})
	for _, key := range []arbalest.Key{"1", "2"} {
		if err := s.Put(t.Context(), key, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
	}
	r, err := s.Get(t.Context(), "1", 0, blob.Whole)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range s.List(t.Context(), "", "") {
		if n++; n == 1 {
			_ = s.Delete(t.Context(), "1")
		} else if !errors.Is(err, ErrCrashed) {
			t.Errorf("list: %v", err)
		}
	}
	if _, err := r.Read(make([]byte, 1)); n != 2 || !errors.Is(err, ErrCrashed) {
		t.Errorf("read: %v, and %d of the list", err, n)
	}
}

func TestTrace(t *testing.T) {
	s := Trace(blob.NewMemory())
	script(s)
	if r, err := s.Get(t.Context(), "a/1", 5, 10); err == nil {
		r.Close()
	}
	_, _ = s.Get(t.Context(), "a/2", 5, blob.Whole)
	for range s.List(t.Context(), "", "a/0") {
		break
	}
	want := `create a/1 32
create a/1 32: already exists
put a/2 32
list a/ after=
get a/2
delete a/2
get a/1 5+10
get a/2 5+: not found
list after=a/0
`
	if got := s.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if s.Count() != 9 || s.Count(OpGet, OpList) != 5 || s.Count(OpPut) != 1 {
		t.Errorf("counts: %d, %d, %d", s.Count(), s.Count(OpGet, OpList), s.Count(OpPut))
	}
	if s.Reset(); s.Count() != 0 {
		t.Error("reset leaves lines")
	}
}
