package capture

import (
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestInvariant8MemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bound = 256 << 10
		store := &segments{gate: make(chan struct{})}
		h := newHandler(t, Options{Appender: store, Writers: 1, MaxBody: bound / 4, MaxBytesInFlight: bound})
		event := `{"event":"a","data":{"x":"` + strings.Repeat("x", 20<<10) + `"}}`
		var all sync.WaitGroup
		var ok, busy atomic.Int32
		for range 100 {
			all.Go(func() {
				w, a := send(t, h, event)
				switch {
				case w.Code == 200:
					ok.Add(1)
				case w.Code == 429 && a.Retry && a.Error != "" && w.Header().Get("Retry-After") != "":
					busy.Add(1)
				default:
					t.Errorf("answer %d %s", w.Code, w.Body)
				}
			})
			synctest.Wait()
			if used := h.budget.used.Load(); used > bound {
				t.Fatalf("%d bytes are held", used)
			}
		}
		if busy.Load() < 80 || ok.Load() != 0 {
			t.Errorf("%d are refused and %d accepted while nothing is written", busy.Load(), ok.Load())
		}
		close(store.gate)
		all.Wait()
		if ok.Load() < 5 || ok.Load()+busy.Load() != 100 {
			t.Errorf("%d accepted, %d refused", ok.Load(), busy.Load())
		}
		if got := h.budget.used.Load(); got != 0 {
			t.Errorf("%d bytes are still held", got)
		}
		if w, _ := send(t, h, event); w.Code != 200 {
			t.Errorf("after the load: %d", w.Code)
		}
	})
}

// TestInvariant8RefusedBeforeReading sends a body while nothing is free: none
// of it is read.
func TestInvariant8RefusedBeforeReading(t *testing.T) {
	h := newHandler(t, Options{Appender: &segments{}})
	h.budget.used.Store(h.budget.limit)
	body := strings.NewReader(`{"event":"a"}`)
	size := body.Len()
	w, _ := do(t, h, httptest.NewRequest("POST", "/v1/events", body))
	if w.Code != 429 || body.Len() != size {
		t.Errorf("answer %d, %d bytes were read", w.Code, size-body.Len())
	}
}

// TestInvariant8ABodyThatGrows sends the smallest events that there are: their
// lines are fifteen times as large as they were. Such a body can never fit, so
// it is not to be sent again.
func TestInvariant8ABodyThatGrows(t *testing.T) {
	store := &segments{}
	h := newHandler(t, Options{Appender: store, MaxBody: 64 << 10, MaxBytesInFlight: 256 << 10})
	body := strings.Repeat(`{"event":"a"}`+"\n", 4000)
	for i, sent := range []string{body, gzipped(body)} {
		encoding := []string{"", "gzip"}[i]
		w, a := send(t, h, sent, "Content-Encoding", encoding)
		if w.Code != 413 || a.Retry || len(a.Rejected) != 1 || a.Rejected[0].Code != BodyTooLarge {
			t.Errorf("answer %d %.300s", w.Code, w.Body)
		}
		if _, records := parted(t, store.stored()); string(records[i].Body) != sent {
			t.Errorf("%d of %d bytes are kept", len(records[i].Body), len(sent))
		}
	}
	if w, a := send(t, h, body[:1400]); w.Code != 200 || a.Accepted != 100 {
		t.Errorf("a smaller one: %d %s", w.Code, w.Body)
	}
	if got := h.budget.used.Load(); got != 0 {
		t.Errorf("%d bytes are still held", got)
	}
}

// slow gives one byte at a time, and looks at the budget.
type slow struct {
	h    *Handler
	left int
	most int64
}

func (s *slow) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, brokenReaderErr
	}
	s.left--
	p[0] = ' '
	s.most = max(s.most, s.h.budget.used.Load())
	return 1, nil
}

func TestInvariant8ASlowClientHoldsLittle(t *testing.T) {
	h := newHandler(t, Options{Appender: &segments{}})
	body := &slow{h: h, left: 1000}
	r := httptest.NewRequest("POST", "/v1/events", body)
	r.ContentLength = 16 << 20
	do(t, h, r)
	if body.most > 2*trustRead {
		t.Errorf("%d bytes are held for 1,000 that came", body.most)
	}
}
