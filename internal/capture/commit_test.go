package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"arbalest"
)

func TestInvariant1NoAnswerBeforeAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &segments{gate: make(chan struct{})}
		h := newHandler(t, Options{Appender: store, Writers: 1})
		var answered atomic.Int32
		for i := range 10 {
			go func() {
				_, a := send(t, h, fmt.Sprintf(`{"event":"a","id":"%d"}`, i))
				if !bytes.Contains(store.stored(), fmt.Appendf(nil, `"id":"%d"`, i)) {
					t.Errorf("event %d was acknowledged and is not stored", i)
				}
				if a.Accepted != 1 {
					t.Errorf("answer %+v", a)
				}
				answered.Add(1)
			}()
		}
		synctest.Wait()
		time.Sleep(time.Hour)
		if n := answered.Load(); n != 0 {
			t.Fatalf("%d answers before anything was durable", n)
		}
		store.gate <- struct{}{}
		synctest.Wait()
		first := answered.Load()
		if first == 0 || store.count() != 1 {
			t.Fatalf("%d answers after %d segments", first, store.count())
		}
		if first < 10 {
			store.gate <- struct{}{}
		}
		synctest.Wait()
		if n := answered.Load(); n != 10 || store.count() > 2 {
			t.Fatalf("%d answers after %d segments: those that waited must share one", n, store.count())
		}
		if got := h.budget.used.Load(); got != 0 {
			t.Errorf("%d bytes are still held", got)
		}
	})
}

func TestInvariant1AppendErrorsAcknowledgeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &segments{gate: make(chan struct{}), err: fmt.Errorf("%w: no space left", arbalest.ErrInvalid)}
		h := newHandler(t, Options{Appender: store, Writers: 1})
		var refused atomic.Int32
		for range 8 {
			go func() {
				w, a := send(t, h, `[{"event":"a"},{"event":"_"}]`)
				if w.Code != 503 || !a.Retry || w.Header().Get("Retry-After") == "" || a.Accepted != 0 || a.Receipt != "" || len(a.Rejected) != 0 {
					t.Errorf("answer %d %s", w.Code, w.Body)
				}
				refused.Add(1)
			}()
		}
		synctest.Wait()
		close(store.gate)
		time.Sleep(time.Second)
		if n := refused.Load(); n != 8 {
			t.Errorf("%d of 8 requests were refused", n)
		}
		store.fail(nil)
		if w, _ := send(t, h, `{"event":"a"}`); w.Code != 200 {
			t.Errorf("after the store came back: %d", w.Code)
		}
	})
}

type panicky struct{ null }

func (panicky) Append(context.Context, []byte, int) (arbalest.Receipt, error) { panic("boom") }

func TestInvariant1APanicAcknowledgesNothing(t *testing.T) {
	h := newHandler(t, Options{Appender: panicky{}, Writers: 1})
	for range 3 { // the writer must be free again
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			send(t, h, `{"event":"a"}`)
		}()
	}
	if got := h.budget.used.Load(); got != 0 {
		t.Errorf("%d bytes are still held", got)
	}
}

func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &segments{}
		h := newHandler(t, Options{Appender: store, Linger: 250 * time.Millisecond, Now: time.Now})
		start := time.Now()
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 60 * time.Millisecond)
				send(t, h, `{"event":"a"}`)
			})
		}
		all.Wait()
		// The fifth comes at 240 ms, in time for the first's group.
		if took := time.Since(start); took != 250*time.Millisecond || store.count() != 1 {
			t.Errorf("%d segments in %v", store.count(), took)
		}
	})
}

// A group waits for as many requests as the one before had, and not for long.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &segments{gate: make(chan struct{}, 100)}
		const patience = time.Millisecond
		h := newHandler(t, Options{Appender: store, Writers: 1, Patience: patience})
		var all sync.WaitGroup
		post := func(n int) {
			for range n {
				all.Go(func() { send(t, h, `{"event":"a"}`) })
			}
		}
		post(1)
		synctest.Wait() // it is being written, and 20 wait for the next
		post(20)
		synctest.Wait()
		store.gate <- struct{}{}
		store.gate <- struct{}{}
		all.Wait()
		if store.count() != 2 {
			t.Fatalf("%d segments", store.count())
		}
		for range 98 {
			store.gate <- struct{}{}
		}
		start := time.Now()
		post(10)
		time.Sleep(patience / 2)
		if store.count() != 2 {
			t.Errorf("ten of twenty requests did not wait")
		}
		post(10)
		all.Wait()
		if took := time.Since(start); took != patience/2 || store.count() != 3 {
			t.Errorf("twenty of twenty took %v, in %d segments", took, store.count()-2)
		}
		start = time.Now()
		post(2)
		all.Wait()
		if took := time.Since(start); took != patience || store.count() != 4 {
			t.Errorf("two of twenty took %v, in %d segments", took, store.count()-3)
		}
		start = time.Now()
		for range 3 {
			post(1)
			all.Wait()
		}
		if took := time.Since(start); took != patience {
			t.Errorf("one, one and one after two took %v", took)
		}
	})
}

func TestGroupsEndAtTheirSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &segments{gate: make(chan struct{})}
		h := newHandler(t, Options{Appender: store, Writers: 1, SegmentBytes: 1000, Linger: time.Hour})
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { send(t, h, `{"event":"a","data":{"x":"`+strings.Repeat("x", 300)+`"}}`) })
		}
		synctest.Wait()
		close(store.gate) // no hour passes for those that are full
		all.Wait()
		for _, s := range store.all {
			if len(s) > 1000 {
				t.Errorf("a segment of %d bytes", len(s))
			}
		}
	})
}

func TestCloseEndsLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &segments{}
		h := newHandler(t, Options{Appender: store, Linger: time.Hour})
		done := make(chan struct{})
		go func() {
			defer close(done)
			if w, _ := send(t, h, `{"event":"a"}`); w.Code != 200 {
				t.Errorf("answer %d", w.Code)
			}
		}()
		synctest.Wait()
		start := time.Now()
		if err := h.Close(t.Context()); err != nil || time.Since(start) != 0 {
			t.Errorf("Close: %v after %v", err, time.Since(start))
		}
		<-done
		if w, a := send(t, h, `{"event":"a"}`); w.Code != 503 || !a.Retry {
			t.Errorf("after Close: %d %s", w.Code, w.Body)
		}
	})
}

func TestCloseHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &segments{gate: make(chan struct{})}
		h := newHandler(t, Options{Appender: store})
		done := make(chan int)
		go func() {
			w, _ := send(t, h, `{"event":"a"}`)
			done <- w.Code
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v", err)
		}
		if got := <-done; got != 503 {
			t.Errorf("the request that hung was answered %d", got)
		}
	})
}

func TestARequestThatEndsIsCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &segments{gate: make(chan struct{})}
		h := newHandler(t, Options{Appender: store, Writers: 1})
		var all sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for range 3 {
			all.Go(func() {
				r := httptest.NewRequest("POST", "/v1/events", strings.NewReader(`{"event":"a"}`))
				h.ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
			})
			synctest.Wait()
		}
		cancel()
		synctest.Wait()
		close(store.gate)
		all.Wait()
		if events, _ := parted(t, store.stored()); len(events) != 3 {
			t.Errorf("%d of 3 events are stored", len(events))
		}
	})
}

// TestInvariant1ShutdownUnderLoad closes the handler in the middle of a load:
// what was acknowledged is stored, and nothing of what was refused is.
func TestInvariant1ShutdownUnderLoad(t *testing.T) {
	store := &segments{}
	h := newHandler(t, Options{Appender: store, Writers: 2, SegmentBytes: 4 << 10})
	var yes, no sync.Map
	var all sync.WaitGroup
	var sent atomic.Int32
	enough := make(chan struct{})
	for c := range 16 {
		all.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d", c, i)
				w, _ := send(t, h, `{"event":"a","id":"`+id+`","data":{"n":1}}`)
				if w.Code != 200 {
					no.Store(id, true)
					return
				}
				yes.Store(id, true)
				if sent.Add(1) == 500 {
					close(enough)
				}
			}
		})
	}
	<-enough
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	stored := make(map[string]bool)
	events, _ := parted(t, store.stored())
	for _, e := range events {
		stored[e.UnquoteID()] = true
	}
	yes.Range(func(id, _ any) bool {
		if !stored[id.(string)] {
			t.Errorf("%s was acknowledged and is not stored", id)
		}
		return true
	})
	no.Range(func(id, _ any) bool {
		if stored[id.(string)] {
			t.Errorf("%s was refused and is stored", id)
		}
		return true
	})
	if got := h.budget.used.Load(); got != 0 {
		t.Errorf("%d bytes are still held", got)
	}
}
