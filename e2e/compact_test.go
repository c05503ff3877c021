package e2e

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCompact has a serve compact while it takes events, dies by kill -9 now and
// then, and a day's few objects say the same as the many did: in tables, verify,
// rebuild, copies, and in what is drafted from examples.
func TestCompact(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()+"/copy"
	write(t, dir+"/arbalest.yaml", "compact: {every: 100ms}\n")
	const rounds, each = 12, 20
	s := serve(t, dir)
	for round := range rounds {
		var batch []string
		for i := range each {
			event := fmt.Sprintf(`{"event":"order.placed","id":"%d-%d","timestamp":"2026-03-0%dT%02d:00:00Z","data":{"amount":"%d.50"}}`, round, i, 1+i%3, i, i)
			batch = append(batch, event, fmt.Sprintf(`{"event":"order.placed","id":"again %d","timestamp":"2026-03-01T05:00:00Z","data":{"amount":"1"}}`, i))
		}
		status, a, err := post(s.url, "["+strings.Join(batch, ",")+"]")
		if err != nil || status != 200 || a.Accepted != len(batch) {
			t.Fatalf("status %d, %+v, %v", status, a, err)
		}
		must(t, "sync", "--data", dir)
		if round%4 == 3 {
			s.kill()
			s = serve(t, dir)
		}
	}
	objects := func() (n int) {
		err := filepath.WalkDir(filepath.Join(dir, "store", "order.placed"), func(_ string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				n++
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for begin := time.Now(); objects() > 3*rounds; time.Sleep(50 * time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("%d objects are left", objects())
		}
	}
	t.Logf("%d objects are left of some %d", objects(), rounds*each)
	const sql = "SELECT count(*), count(DISTINCT event_id), sum(amount::DECIMAL(9,2)) FROM order_placed"
	want := query(t, dir, sql)[0]
	if !strings.HasPrefix(want, fmt.Sprintf("%d,%d,", rounds*each+each, rounds*each+each)) {
		t.Errorf("rows: %s", want)
	}
	s.stop()
	must(t, "verify", "--data", dir)
	must(t, "rebuild", "--data", dir)
	must(t, "copy", dir, other)
	must(t, "sync", "--data", other)
	for _, dir := range []string{dir, other} {
		must(t, "compact", "--data", dir)
		if out := must(t, "compact", "--data", dir); !strings.HasPrefix(out, "Nothing to merge") {
			t.Errorf("again: %s", out)
		}
		must(t, "verify", "--data", dir)
		if got := query(t, dir, sql)[0]; got != want {
			t.Errorf("%s has %s, want %s", dir, got, want)
		}
		if got := query(t, dir, "SELECT sum(stored), sum(not_loaded) FROM arbalest.books")[0]; got != fmt.Sprintf("%d,0", 2*rounds*each) {
			t.Errorf("%s: books: %s", dir, got)
		}
		if out := must(t, "schema", "infer", "order.placed", "--data", dir); !strings.Contains(out, "amount") {
			t.Errorf("schema infer: %s", out)
		}
		if out := must(t, "events", "order.placed", "--data", dir); !strings.Contains(out, "amount") {
			t.Errorf("events: %s", out)
		}
	}
}
