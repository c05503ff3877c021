package capture

import (
	"context"
	"fmt"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"arbalest"
)

// stages is a Tracker whose receipt is loaded after a while.
type stages struct {
	start  time.Time
	loaded time.Duration
	looks  int
}

func (s *stages) Track(_ context.Context, receipt arbalest.Receipt) (Progress, error) {
	s.looks++
	switch {
	case receipt == "bad":
		return Progress{}, fmt.Errorf("%w: receipt %q", arbalest.ErrInvalid, receipt)
	case receipt != "w-000001":
		return Progress{}, fmt.Errorf("%w: receipt %q", arbalest.ErrUnknown, receipt)
	case time.Since(s.start) < s.loaded:
		return Progress{State: Landed}, nil
	}
	return Progress{Loaded, 42, []string{"a", "b"}}, nil
}

func TestReceipts(t *testing.T) {
	const landed = `{"receipt":"w-000001","state":"landed","tables":[]}` + "\n"
	const loaded = `{"receipt":"w-000001","state":"loaded","commit":42,"tables":["a","b"]}` + "\n"
	for _, c := range []struct {
		name, path string
		loaded     time.Duration
		status     int
		took       time.Duration // at least, and less than half a second more
		text       string
	}{
		{"at once", "w-000001", 0, 200, 0, loaded},
		{"not yet", "w-000001", time.Second, 200, 0, landed},
		{"wait", "w-000001?wait=5s", time.Second, 200, time.Second, loaded},
		{"wait in seconds", "w-000001?wait=5", time.Second, 200, time.Second, loaded},
		{"wait in vain", "w-000001?wait=5s", time.Hour, 200, 5 * time.Second, landed},
		{"wait too long", "w-000001?wait=3h", 2 * time.Hour, 200, time.Minute, landed},
		{"bad wait", "w-000001?wait=x", 0, 400, 0, ""},
		{"negative wait", "w-000001?wait=-1s", 0, 400, 0, ""},
		{"unknown", "w-000002?wait=5s", 0, 404, 0, ""},
		{"bad", "bad", 0, 400, 0, ""},
		{"missing", "", 0, 400, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				h := newHandler(t, Options{Appender: &segments{}, Tracker: &stages{start: start, loaded: c.loaded}})
				w, a := do(t, h, httptest.NewRequest("GET", "/v1/receipts/"+c.path, nil))
				if w.Code != c.status || c.text != "" && w.Body.String() != c.text || c.status != 200 && (a.Error == "" || a.Retry) {
					t.Errorf("answer %d %s", w.Code, w.Body)
				}
				if took := time.Since(start); took < c.took || took > c.took+500*time.Millisecond {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

func TestCloseEndsWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		h := newHandler(t, Options{Appender: &segments{}, Tracker: &stages{start: start, loaded: time.Hour}})
		done := make(chan struct{})
		go func() {
			defer close(done)
			do(t, h, httptest.NewRequest("GET", "/v1/receipts/w-000001?wait=60s", nil))
		}()
		synctest.Wait()
		if err := h.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-done
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v", took)
		}
	})
}
