package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestWebInABrowser has Chromium use every page: events are seen as they come, a
// rejected one is replayed, store and warehouse are compared, SQL is run, drawn,
// downloaded, shared and saved. axe finds nothing serious on any page, in light and
// dark, on a phone and a desktop. browser/drive.js has what is done;
// ARBALEST_SCREENSHOTS names a folder for pictures.
func TestWebInABrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		absent(t, "no browser (make tools installs it): %v", err)
	}
	npm(t, "browser")
	dir, folder := t.TempDir(), t.TempDir()
	history(t, dir)
	stray := filepath.Join(dir, "store", "order.placed", "2026-01-02", "03")
	if err := os.MkdirAll(stray, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(stray, "00000000000000000001-000007.ndjson.zst"), "the log does not know it")
	empty := freeAddress(t)
	s := serve(t, dir, "--sql", "off") // its pages are beside capture
	must(t, "run", "--data", dir, filepath.Join(dir, "summary.yaml"))
	serve(t, t.TempDir(), "--sql", "off", "--web", empty)
	if pictures := os.Getenv("ARBALEST_SCREENSHOTS"); pictures != "" {
		if err := os.MkdirAll(pictures, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	drive := exec.CommandContext(ctx, "node", "browser/drive.js", s.url, s.url, "http://"+empty, folder)
	drive.Env = append(os.Environ(), "CHROMIUM="+chromium)
	out, err := drive.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)

	sql, err := os.ReadFile(filepath.Join(folder, "statement.sql"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(folder, "download.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.ReplaceAll(must(t, "query", "--data", dir, "--format", "csv", string(sql)), "\n", "\r\n"); string(got) != want {
		t.Errorf("the CSV downloaded is\n%s, and that of arbalest query\n%s", got, want)
	}
	saved, err := os.ReadFile(filepath.Join(dir, "queries", "orders-by-hour.sql"))
	if err != nil || !strings.Contains(string(saved), string(sql)) {
		t.Errorf("saved: %s, %v", saved, err)
	}
	s.stop()
}

// history fills a data directory: two days of orders, load errors, rejected
// events of which some can be replayed, two models and a pipeline.
func history(t *testing.T, dir string) {
	t.Helper()
	const events = "events: {user.verified: {columns: [{name: workflow, type: VARCHAR(8)}, {name: seats, type: INTEGER}]}}\n"
	write(t, filepath.Join(dir, "arbalest.yaml"), events+"limits: {event: 2KiB}\n")
	write(t, filepath.Join(dir, "models", "hourly.sql"), "-- materialized: incremental\n-- partition: hour\n-- key: hour\n-- description: Orders by the hour\n-- tests: not_null(orders)\nSELECT date_trunc('hour', event_time) AS hour, count(*) AS orders FROM order_placed GROUP BY 1\n")
	write(t, filepath.Join(dir, "models", "busy.sql"), "-- description: Hours with many orders\nSELECT * FROM hourly WHERE orders > 3\n")
	write(t, filepath.Join(dir, "summary.yaml"), "name: summary\nsteps:\n  - sync: {}\n  - sql: CREATE TABLE IF NOT EXISTS names AS SELECT event, sum(stored) AS events FROM arbalest.books GROUP BY event\n")
	s := serve(t, dir, "--sql", "off", "--web", "off")
	var lines strings.Builder
	for i := range 300 {
		at := time.Now().UTC().Add(-time.Duration(i) * 577 * time.Second).Format(time.RFC3339)
		fmt.Fprintf(&lines, `{"event":"order.placed","id":"o%d","timestamp":%q,"data":{"amount":%d.5,"channel":%q,"customer":{"city":"Zürich","since":"2015-08-18"},"items":[{"sku":"a-%d"}]}}`+"\n", i, at, i%97, []string{"web", "shop", "phone"}[i%3], i%7)
		fmt.Fprintf(&lines, `{"event":"user.created","id":"u%d","timestamp":%q,"data":{"email_address":"user-%d@example.com","invited":%v}}`+"\n", i, at, i, i%4 == 0)
	}
	for i, data := range []string{`{"workflow":"mobile","seats":1}`, `{"workflow":"this is far too long for its column","seats":2}`, `{"workflow":"web","seats":"many","browser":"none"}`} {
		fmt.Fprintf(&lines, `{"event":"user.verified","id":"v%d","data":%s}`+"\n", i, data)
	}
	_, a, err := post(s.url, lines.String())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := post(s.url, fmt.Sprintf(`[{"event":"order.placed","id":"large","data":{"note":"lengthy %s"}},{"event":"no name"},{"event":"user.created","timestamp":"yesterday"}]`, strings.Repeat("x", 3000))); err != nil {
		t.Fatal(err)
	}
	loaded(t, s.url, a.Receipt)
	s.stop()
	write(t, filepath.Join(dir, "arbalest.yaml"), events)
}
