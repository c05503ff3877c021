package e2e

import (
	"fmt"
	"strings"
	"testing"

	"arbalest/internal/s3/s3test"
)

// A store is copied to S3 while a serve takes events, and from there to another
// directory, whose tables come out the same.
func TestCopy(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()+"/new"
	bucket := s3test.Start(t)
	s := serve(t, dir)
	for round := range 3 {
		var batch []string
		for i := range 100 {
			batch = append(batch, fmt.Sprintf(`{"event":"order.placed","id":"%d-%d","timestamp":"2026-03-01T%02d:00:00Z","data":{"amount":"%d.50"}}`, round, i, i%24, i))
		}
		batch = append(batch, `{"event":"not a name"}`)
		status, a, err := post(s.url, "["+strings.Join(batch, ",")+"]")
		if err != nil || status != 200 || a.Accepted != 100 {
			t.Fatalf("status %d, %+v, %v", status, a, err)
		}
		must(t, "copy", dir, bucket)
	}
	s.stop()
	out := must(t, "copy", dir, bucket)
	if again := must(t, "copy", dir, bucket); !strings.HasPrefix(again, "Nothing new") {
		t.Errorf("after %q: %q", out, again)
	}
	must(t, "copy", bucket, other)
	must(t, "sync", "--data", other)
	must(t, "verify", "--data", other)
	const sql = "SELECT event_id, event_time, received_at, event_hash, amount FROM order_placed ORDER BY event_id"
	if want, got := query(t, dir, sql), query(t, other, sql); len(got) != 300 || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
	const rejected = "SELECT sum(rejected) FROM arbalest.books"
	if want, got := query(t, dir, rejected)[0], query(t, other, rejected)[0]; got != want || got != "3" {
		t.Errorf("%s were rejected, want %s", got, want)
	}
	more := write(t, t.TempDir()+"/more.ndjson", `{"event":"order.placed","id":"other's","timestamp":"2026-03-01T00:00:00Z"}`+"\n")
	must(t, "import", "--data", other, more)
	if _, stderr, exit := run(t, "copy", dir, other); exit != 4 || !strings.Contains(stderr, "no copy of the source") {
		t.Errorf("exit %d: %s", exit, stderr)
	}
	if _, stderr, exit := run(t, "copy", dir+"/nowhere", other); exit == 0 || !strings.Contains(stderr, "source") {
		t.Errorf("exit %d: %s", exit, stderr)
	}
}
