package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/blob/blobtest"
	"arbalest/internal/capture"
	"arbalest/internal/lake"
)

// bodies are posts of which one event is valid at once, seven are once the limit
// for an event is raised or not so large, and three never are.
func bodies() []string {
	large := func(id string) string {
		return fmt.Sprintf(`{"event":"a"%s,"data":{"x":"%s"}}`, id, strings.Repeat("x", 300))
	}
	return []string{
		`{"event":"a","id":"ok"}` + "\n" + large(`,"id":"1"`) + "\n" + large(``) + "\nhello",
		"[" + large(`,"id":"2"`) + "," + large(`,"id":"3","timestamp":"2015-08-18T06:36:40Z"`) + `,{"event":"_"},{"event":tru},` + large(`,"id":"4"`) + "," + large("") + "]",
		"[" + `{"event":"a","id":"5"` + strings.Repeat(" ", 400) + "}]",
	}
}

// keep returns a lake with the bodies: what is rejected is sorted, but for the last
// one's.
func keep(t *testing.T) blob.Store {
	t.Helper()
	store := blob.NewMemory()
	l := openLakeOn(t, store)
	for i, body := range bodies() {
		h, err := capture.New(capture.Options{Appender: l.NewWriter(), MaxEvent: 200, Now: func() time.Time { return time.Date(2026, 11, 22, 12+i, 0, 0, 0, time.UTC) }})
		if err != nil {
			t.Fatal(err)
		}
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/v1/events", strings.NewReader(body)))
		if i < 2 {
			sortAll(t, l)
		}
	}
	return store
}

// copyOf returns a store with the same objects.
func copyOf(t *testing.T, store blob.Store) blob.Store {
	t.Helper()
	to := blob.NewMemory()
	for info, err := range store.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		r, err := store.Get(t.Context(), info.Key, 0, blob.Whole)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err = errors.Join(err, to.Put(t.Context(), info.Key, bytes.NewReader(b))); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func openLakeOn(t *testing.T, store blob.Store) *lake.Lake {
	t.Helper()
	l, err := lake.Open(store, lake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func sortAll(t *testing.T, l *lake.Lake) {
	t.Helper()
	for {
		s, err := l.Sort(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s.Commit == 0 {
			return
		}
	}
}

// replayOn replays all that is rejected on a store, as a process does that may
// die.
func replayOn(ctx context.Context, store blob.Store, dry bool) (replayReport, error) {
	l, err := lake.Open(store, lake.Options{})
	if err != nil {
		return replayReport{}, err
	}
	h, err := capture.New(capture.Options{Appender: l.NewWriter()})
	if err != nil {
		return replayReport{}, err
	}
	r := &replayer{lake: l, capture: h, dry: dry, show: func(progress) {}}
	err = r.selected(ctx, lake.Span{}, selection{})
	return r.report, errors.Join(err, h.Close(ctx))
}

// stored returns how often each event is stored, by id and hour, and proves that
// the log's books are of what is there.
func stored(t *testing.T, store blob.Store) map[string]int {
	t.Helper()
	l := openLakeOn(t, store)
	sortAll(t, l)
	head, err := l.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	events, rejected := map[string]int{}, int64(0)
	for seq := arbalest.Seq(1); seq <= head; seq++ {
		c, err := l.Commit(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range c.Rejected {
			rejected += r.Events
		}
		for _, o := range c.Objects {
			err := l.Check(t.Context(), o, func(line []byte) error {
				e, err := arbalest.ParseLine(line)
				events[fmt.Sprint(e.UnquoteID(), " ", o.Hour)]++
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for k, err := range l.Rejections(t.Context(), lake.Span{}) {
		if err != nil || k.Err != nil {
			t.Fatal(err, k.Err)
		}
		rejected--
	}
	if rejected != 0 {
		t.Errorf("the books have %d rejected events more than there are", rejected)
	}
	return events
}

// left returns the bodies of what is neither valid nor replayed.
func left(t *testing.T, store blob.Store) map[string]int {
	t.Helper()
	bodies := map[string]int{}
	for k, err := range openLakeOn(t, store).Rejections(t.Context(), lake.Span{}) {
		if err != nil {
			t.Fatal(err)
		}
		if k.Again.IsZero() {
			bodies[string(k.Body)]++
		}
	}
	return bodies
}

// Invariants 2 and 5: a replay that dies at any step loses nothing, and what it
// did before is repeats of the same events when it is done again.
func TestInvariant5ReplayCrashesAtEveryStep(t *testing.T) {
	full := keep(t)
	perfect := copyOf(t, full)
	counted := blobtest.StopAfter(perfect, blobtest.Stop{Steps: -1})
	report, err := replayOn(t.Context(), counted, false)
	if err != nil {
		t.Fatal(err)
	}
	want := stored(t, perfect)
	if report.Accepted != 7 || len(want) != 8 {
		t.Fatalf("%+v, %v", report, want)
	}
	rest := left(t, perfect)
	if len(rest) == 0 || rest["hello"] != 1 {
		t.Fatalf("left: %v", rest)
	}
	for _, lost := range []bool{false, true} {
		for k := range counted.Done() {
			store := copyOf(t, full)
			stopped := blobtest.StopAfter(store, blobtest.Stop{Steps: k, LostReply: lost})
			if _, err := replayOn(t.Context(), stopped, false); err == nil {
				t.Fatalf("step %d: it did not stop", k)
			}
			for round := range 3 {
				before := left(t, store)
				r, err := replayOn(t.Context(), store, false)
				if err != nil {
					t.Fatal(err)
				}
				if round == 2 && (r.Accepted > 0 || len(before) != len(rest)) {
					t.Errorf("step %d, lost reply %v: a replay more accepts %d", k, lost, r.Accepted)
				}
			}
			got := stored(t, store)
			for id := range want {
				if got[id] == 0 {
					t.Errorf("step %d, lost reply %v: %s is not stored", k, lost, id)
				}
			}
			if len(got) != len(want) {
				t.Errorf("step %d, lost reply %v: events %v, want %v", k, lost, got, want)
			}
			for body := range rest {
				if left(t, store)[body] == 0 {
					t.Errorf("step %d, lost reply %v: %s is lost", k, lost, body)
				}
			}
		}
	}
}

// To replay what was replayed writes nothing, and neither does a dry run.
func TestReplayTwiceWritesNothing(t *testing.T) {
	store := keep(t)
	dryStore := blobtest.StopAfter(store, blobtest.Stop{Steps: -1})
	dry, err := replayOn(t.Context(), dryStore, true)
	if err != nil || dryStore.Done() != 0 {
		t.Errorf("a dry run made %d writes: %v", dryStore.Done(), err)
	}
	first, err := replayOn(t.Context(), store, false)
	if err != nil || first.Accepted != dry.Accepted || first.Replayed != dry.Replayed || first.Rejected != dry.Rejected {
		t.Errorf("a dry run says %+v, then it is %+v: %v", dry, first, err)
	}
	again := blobtest.StopAfter(store, blobtest.Stop{Steps: -1})
	second, err := replayOn(t.Context(), again, false)
	if err != nil || again.Done() != 0 || second.Replayed != 0 {
		t.Errorf("the second made %d writes: %+v, %v", again.Done(), second, err)
	}
}
