package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// sentByClients is how many events each published client sends.
const sentByClients = 10_000

// A row is an event in its table.
type row struct {
	Table string `json:"t"`
	ID    string `json:"event_id"`
	Time  int64  `json:"ms"`
	N     *int   `json:"n"`
	Title string `json:"title"`
	User  string `json:"user_id"`
}

// TestInvariant2PublishedClients has published clients, unchanged, send through
// a proxy that loses requests and answers, so that they send again; every event
// is then in its table once, with its name, id, time and properties.
func TestInvariant2PublishedClients(t *testing.T) {
	for _, c := range []struct {
		name    string
		command func(t *testing.T, url string) *exec.Cmd
		want    func(i int) row
		tables  []string
	}{
		{"segment in JavaScript", javaScript("segment.js", ""), segmentRow, segmentTables},
		{"segment in Go", goClient("segment", ""), segmentRow, segmentTables},
		{"CloudEvents in JavaScript", javaScript("cloudevents.js", "/v1/cloudevents"), cloudRow, cloudTables},
		{"CloudEvents in Go", goClient("cloudevents", "/v1/events"), cloudRow, cloudTables},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // clients wait long before they send again
			dir := t.TempDir()
			s := serve(t, dir)
			p := failing(t, s.url)
			start := time.Now()
			if out, err := c.command(t, p.URL).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%.4000s", err, out)
			}
			t.Logf("%d requests in %v, of which %d were refused, %d reset, %d and %d lost their answers", p.requests.Load(), time.Since(start).Round(time.Millisecond), p.refused.Load(), p.reset.Load(), p.lost.Load(), p.blind.Load())
			if p.refused.Load() == 0 || p.reset.Load() == 0 || p.lost.Load() == 0 || p.blind.Load() == 0 {
				t.Error("not every kind of failure happened")
			}
			must(t, "sync", "--data", dir)
			want := map[string]row{}
			for i := range sentByClients {
				r := c.want(i)
				want[r.Table+" "+r.ID] = r
			}
			sameRows(t, dir, c.tables, want)
			books := query(t, dir, "SELECT sum(loaded), sum(not_loaded), sum(rejected), sum(repeats) > 0, sum(conflicts) FROM arbalest.books")[0]
			if books != fmt.Sprintf("%d,0,0,true,0", sentByClients) {
				t.Errorf("books: %s", books)
			}
			must(t, "verify", "--data", dir)
			s.stop()
		})
	}
}

// sameRows compares tables with what is to be in them, each row once.
func sameRows(t *testing.T, dir string, tables []string, want map[string]row) {
	t.Helper()
	var selects []string
	for _, table := range tables {
		columns := "n, title, user_id"
		switch {
		case table == "user_aliased":
			columns = "NULL AS n, previous_id AS title, user_id"
		case strings.HasPrefix(table, "com_"):
			columns = "n, title, NULL AS user_id"
		}
		selects = append(selects, fmt.Sprintf("SELECT '%s' AS t, event_id, epoch_ms(event_time) AS ms, %s FROM %s", table, columns, table))
	}
	out := must(t, "query", "--data", dir, "--format", "ndjson", strings.Join(selects, " UNION ALL "))
	wrong := 0
	for line := range strings.Lines(out) {
		var got row
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		key := got.Table + " " + got.ID
		expected, ok := want[key]
		delete(want, key)
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(expected)
		if !ok || string(a) != string(b) {
			if wrong++; wrong < 10 {
				t.Errorf("there is %s, want %s", a, b)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("%d events are missing", len(want))
	}
}

// momentOf is when a client's event i happened, in milliseconds.
func momentOf(i int) int64 {
	return time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC).UnixMilli() + int64(i)*7919
}

var segmentTables = []string{"order_completed", "song_played", "user_identified", "page_viewed", "screen_viewed", "group_identified", "user_aliased"}

// segmentRow is what becomes of call i.
func segmentRow(i int) row {
	r := row{segmentTables[i%7], fmt.Sprintf("m-%05d", i), momentOf(i), &i, fmt.Sprintf("é \"%d\"", i), fmt.Sprintf("user-%d", i%100)}
	if r.Table == "user_aliased" {
		r.N, r.Title = nil, fmt.Sprintf("before-%d", i)
	}
	return r
}

var cloudTables = []string{"com_example_order_completed", "com_example_song_played"}

// cloudRow is what becomes of CloudEvent i.
func cloudRow(i int) row {
	return row{cloudTables[i%2], fmt.Sprintf("/shop/%d e-%05d", i%3, i), momentOf(i), &i, fmt.Sprintf("é \"%d\"", i), ""}
}

// absent skips a test for which something is missing, but not in CI.
func absent(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// javaScript returns the command that runs a script of a published client.
func javaScript(script, path string) func(*testing.T, string) *exec.Cmd {
	return func(t *testing.T, url string) *exec.Cmd {
		t.Helper()
		npm(t, "clients")
		return exec.Command("node", filepath.Join("clients", script), url+path, fmt.Sprint(sentByClients))
	}
}

// installing is held while npm installs.
var installing sync.Mutex

// npm installs the packages that a folder's package-lock.json names.
func npm(t *testing.T, folder string) {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			absent(t, "what runs in Node needs %s: %v", tool, err)
		}
	}
	installing.Lock()
	defer installing.Unlock()
	if upToDate(filepath.Join(folder, "node_modules", ".package-lock.json"), filepath.Join(folder, "package-lock.json")) {
		return
	}
	install := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	install.Dir = folder
	if out, err := install.CombinedOutput(); err != nil {
		absent(t, "npm ci: %v\n%s", err, out)
	}
}

// upToDate says whether a file is there and no older than another.
func upToDate(file, than string) bool {
	a, errA := os.Stat(file)
	b, errB := os.Stat(than)
	return errA == nil && errB == nil && !a.ModTime().Before(b.ModTime())
}

// goClient returns the command that runs a client in Go, which is built as a
// module of its own.
func goClient(kind, path string) func(*testing.T, string) *exec.Cmd {
	return func(t *testing.T, url string) *exec.Cmd {
		t.Helper()
		binary := filepath.Join(t.TempDir(), "clients")
		for _, args := range [][]string{{"mod", "download"}, {"build", "-o", binary, "."}} {
			cmd := exec.Command("go", args...)
			cmd.Dir = filepath.Join("clients", "go")
			if out, err := cmd.CombinedOutput(); err != nil && args[0] == "mod" {
				absent(t, "the modules of the published clients: %v\n%s", err, out)
			} else if err != nil {
				t.Fatalf("build the clients: %v\n%s", err, out)
			}
		}
		return exec.Command(binary, kind, url+path, fmt.Sprint(sentByClients))
	}
}

// A browser asks first, and may then send with the key in the body, from the
// configured origin only; the short paths are those that Segment's script uses.
func TestBrowser(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "arbalest.yaml"), []byte("cors: {origins: [\"https://example.com\"]}\nsegment: {names: {\"Order Completed\": order.completed}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, dir)
	for origin, want := range map[string]string{"https://example.com": "https://example.com", "https://example.org": ""} {
		for _, c := range []struct{ path, body string }{
			{"/v1/t", `{"event":"Order Completed","userId":"u","messageId":"m1","timestamp":"2026-01-15T00:00:00Z"}`},
			{"/v1/events", `{"event":"order.completed","id":"m2","timestamp":"2026-01-15T00:00:00Z"}`},
		} {
			for _, method := range []string{http.MethodOptions, http.MethodPost} {
				r, err := http.NewRequest(method, s.url+c.path, strings.NewReader(c.body))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Origin", origin)
				if method == http.MethodOptions {
					r.Header.Set("Access-Control-Request-Method", http.MethodPost)
				}
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if got := resp.Header.Get("Access-Control-Allow-Origin"); got != want || resp.StatusCode/100 != 2 {
					t.Errorf("%s %s from %s: %d, allowed is %q", method, c.path, origin, resp.StatusCode, got)
				}
			}
		}
	}
	must(t, "sync", "--data", dir)
	if got := strings.Join(query(t, dir, "SELECT event_id FROM order_completed ORDER BY 1"), " "); got != "m1 m2" {
		t.Errorf("stored: %s", got)
	}
	s.stop()
}
