package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestInvariant8MemoryIsBounded floods serve with more than it can take, in
// large requests on many connections, and looks at the most memory it ever had.
func TestInvariant8MemoryIsBounded(t *testing.T) {
	const limit = 512 << 20
	lasting := 15 * time.Second
	if d, err := time.ParseDuration(os.Getenv("ARBALEST_SOAK")); err == nil {
		lasting = d
	}
	dir := t.TempDir()
	s := serve(t, dir)
	var accepted, busy, failed atomic.Int64
	var running sync.WaitGroup
	until := time.Now().Add(lasting)
	pad := strings.Repeat("x", 120)
	for client := range 32 {
		running.Go(func() {
			var body bytes.Buffer
			for batch := 0; time.Now().Before(until); batch++ {
				body.Reset()
				for i := range 10_000 {
					fmt.Fprintf(&body, `{"event":"flood.e%d","id":"c%d-%d-%d","timestamp":"2026-03-01T%02d:00:00Z","data":{"n":%d,"pad":%q}}`+"\n", i%7, client, batch, i, i%24, i, pad)
				}
				resp, err := http.Post(s.url+"/v1/events", "application/x-ndjson", bytes.NewReader(body.Bytes()))
				if err != nil {
					failed.Add(1)
					continue
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				switch {
				case resp.StatusCode == 200:
					accepted.Add(10_000)
				case resp.StatusCode == 429 && resp.Header.Get("Retry-After") != "":
					busy.Add(1)
					time.Sleep(50 * time.Millisecond)
				default:
					failed.Add(1)
				}
			}
		})
	}
	running.Wait()
	must(t, "sync", "--data", dir)
	peak := s.peak()
	t.Logf("%d events accepted, %d requests told 429, peak %d MiB", accepted.Load(), busy.Load(), peak>>20)
	if peak > limit {
		t.Errorf("serve had %d MiB at its peak, more than 512", peak>>20)
	}
	if accepted.Load() < 100_000 || failed.Load() > 0 {
		t.Errorf("%d events accepted, %d requests failed", accepted.Load(), failed.Load())
	}
	got := query(t, dir, "SELECT sum(loaded), sum(not_loaded), sum(repeats) FROM arbalest.books")[0]
	if want := fmt.Sprintf("%d,0,0", accepted.Load()); got != want {
		t.Errorf("books: %s, want %s", got, want)
	}
	s.stop()
}
