package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// The story of a day: declared and undeclared tables, bad events, all formats,
// commands beside a running serve, and a stop that loads what was accepted.
func TestServeAndAsk(t *testing.T) {
	dir := t.TempDir()
	must(t, "init", "--data", filepath.Join(dir, "fresh"))
	write(t, filepath.Join(dir, "arbalest.yaml"), "events:\n  order.placed:\n    columns:\n      - {name: amount, type: \"DECIMAL(12,2)\"}\n      - {path: ship.to, type: VARCHAR(8)}\n")
	s := serve(t, dir)
	status, a, err := post(s.url, `[{"event":"order.placed","id":"1","timestamp":"2026-08-21T16:53:52+02:00","data":{"amount":12.50,"ship":{"to":"de"}}},
		{"event":"order.placed","id":"2","data":{"amount":1.255}},
		{"event":"bad name","id":"3"},
		{"event":"note","id":"4","timestamp":"2026-08-21T16:53:52+02:00","data":{"big":12345678901234567890,"price":1.10,"at":"2026-01-02T03:04:05+02:00","text":"ü,\"x\""}}]`)
	if err != nil || status != 200 || a.Accepted != 3 || len(a.Rejected) != 1 || a.Rejected[0].Index != 2 {
		t.Fatalf("%d %+v %v", status, a, err)
	}
	loaded(t, s.url, a.Receipt)
	for format, want := range map[string]string{
		"csv":    "event_id,event_time,amount,ship_to\n1,2026-08-21 14:53:52,12.50,de\n",
		"json":   "[\n{\"event_id\":\"1\",\"event_time\":\"2026-08-21 14:53:52\",\"amount\":12.50,\"ship_to\":\"de\"}\n]\n",
		"ndjson": "{\"event_id\":\"1\",\"event_time\":\"2026-08-21 14:53:52\",\"amount\":12.50,\"ship_to\":\"de\"}\n",
	} {
		if got := must(t, "query", "--data", dir, "--format", format, "SELECT event_id, event_time, amount, ship_to FROM order_placed"); got != want {
			t.Errorf("%s:\n%s", format, got)
		}
	}
	if got := must(t, "query", "--data", dir, "SELECT amount FROM order_placed"); !strings.Contains(got, "│  12.50 │") || !strings.Contains(got, "1 row\n") {
		t.Errorf("table:\n%s", got)
	}
	if got, want := must(t, "query", "--data", dir, "--format", "ndjson", "SELECT big, price, \"at\", properties FROM note"), `{"big":12345678901234567890,"price":1.1,"at":"2026-01-02 01:04:05","properties":{"big":12345678901234567890,"price":1.10,"at":"2026-01-02T03:04:05+02:00","text":"ü,\"x\""}}`+"\n"; got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	if got := query(t, dir, "SELECT event_id, column_name, value, loaded FROM arbalest.load_errors")[0]; got != "2,amount,1.255,false" {
		t.Errorf("load errors: %s", got)
	}
	var status2 struct {
		Serve    string `json:"serve"`
		Balanced bool   `json:"balanced"`
		Books    []struct {
			Received, Stored, Rejected, Loaded, Errors int64
		} `json:"books"`
	}
	if err := json.Unmarshal([]byte(must(t, "status", "--data", dir, "--json")), &status2); err != nil || status2.Serve != s.url || !status2.Balanced {
		t.Errorf("status: %+v, %v", status2, err)
	}
	rejected, _ := filepath.Glob(filepath.Join(dir, "store", "_rejected", "*", "*", "*.ndjson.zst"))
	if len(rejected) != 1 {
		t.Errorf("rejected objects: %v", rejected)
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/nowhere": 404} {
		resp, err := http.Get(s.url + path)
		if err != nil || resp.StatusCode != want || resp.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %v, %v", path, resp, err)
			continue
		}
		resp.Body.Close()
	}
	must(t, "verify", "--data", dir)
	if status, a, err = post(s.url, `{"event":"last.words","id":"z"}`); err != nil || status != 200 {
		t.Fatal(status, a, err)
	}
	s.stop()
	if got := query(t, dir, "SELECT count(*) FROM last_words")[0]; got != "1" {
		t.Errorf("%s rows after the stop", got)
	}
	must(t, "rebuild", "--data", dir, "note")
	must(t, "verify", "--data", dir)
}

func TestErrorsSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	bad := write(t, filepath.Join(dir, "bad.yaml"), "listen: 127.0.0.1:0\nlimitz:\n  body: 1MiB\n")
	lake := filepath.Join(dir, "lake")
	must(t, "import", "--data", lake, write(t, filepath.Join(dir, "in.ndjson"), `{"event":"a","id":"1"}`+"\n"))
	for _, c := range []struct {
		args []string
		exit int
		says string
	}{
		{[]string{"query", "--data", filepath.Join(dir, "none"), "SELECT 1"}, 3, "arbalest serve"},
		{[]string{"query", "SELECT 1"}, 2, "--data DIR"},
		{[]string{"query", "--data", lake}, 2, "--help"},
		{[]string{"query", "--data", lake, "--format", "xml", "SELECT 1"}, 2, "ndjson"},
		{[]string{"query", "--data", lake, "SELEC 1"}, 2, "syntax error"},
		{[]string{"query", "--data", lake, "SELECT * FROM nowhere"}, 3, "nowhere"},
		{[]string{"query", "--data", lake, "DROP TABLE a"}, 2, "a"},
		{[]string{"query", "--data", lake, "SELECT * FROM read_csv('/etc/passwd')"}, 2, ""},
		{[]string{"rebuild", "--data", lake, "nowhere"}, 3, "arbalest status"},
		{[]string{"import", "--data", lake, filepath.Join(dir, "no-such-file")}, 3, "check the path"},
		{[]string{"import", "--data", lake, write(t, filepath.Join(dir, "junk.ndjson"), "junk\n")}, 2, "_rejected"},
		{[]string{"sync", "--data", lake, "--config", bad}, 2, "limitz"},
		{[]string{"nonsense"}, 2, "--help"},
		{[]string{"serve", "--data", lake, "--listen", "256.0.0.1:99999"}, 1, "--listen"},
	} {
		stdout, stderr, exit := run(t, c.args...)
		if exit != c.exit || !strings.Contains(stderr, c.says) || strings.Contains(stderr, "goroutine") {
			t.Errorf("%v: exit %d, want %d with %q: %s%s", c.args, exit, c.exit, c.says, stdout, stderr)
		}
	}
}

// The original's layout: one plain JSON object for each event, with its id as
// the file's name.
func TestImportOriginalLayout(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "bucket")
	write(t, filepath.Join(source, "user.created/2015-08-18/06/009bd890-cb8f-4896-b9e7-8bb6c9b8b8fb"), "{\n  \"email_address\": \"jane@doe.com\",\n  \"timestamp\": \"2015-08-18T06:36:40Z\"\n}\n")
	write(t, filepath.Join(source, "user.created/2015-08-18/07/b"), `{"email_address":"joe@doe.com"}`)
	write(t, filepath.Join(source, "user.created/2015-08-18/07/broken"), `{"email_address":`)
	lake := filepath.Join(dir, "lake")
	for range 2 {
		must(t, "import", "--data", lake, source)
	}
	got := strings.Join(query(t, lake, "SELECT event_id, event_time, email_address FROM user_created ORDER BY event_time"), "\n")
	if want := "009bd890-cb8f-4896-b9e7-8bb6c9b8b8fb,2015-08-18 06:36:40,jane@doe.com\nb,2015-08-18 07:00:00,joe@doe.com"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := query(t, lake, "SELECT sum(received), sum(rejected), sum(stored), sum(loaded), sum(repeats) FROM arbalest.books")[0]; got != "6,2,4,2,2" {
		t.Errorf("books: %s", got)
	}
}

// verify finds what is not as it was.
func TestVerifyFindsDamage(t *testing.T) {
	dir := t.TempDir()
	var lines []string
	for i := range 100 {
		lines = append(lines, fmt.Sprintf(`{"event":"a","id":"%d","timestamp":"2026-01-01T%02d:00:00Z","data":{"n":%d}}`, i, i%10, i))
	}
	must(t, "import", "--data", dir, write(t, filepath.Join(t.TempDir(), "in.ndjson"), strings.Join(lines, "\n")))
	must(t, "verify", "--data", dir)
	objects, _ := filepath.Glob(filepath.Join(dir, "store", "a", "*", "*", "*.zst"))
	b, err := os.ReadFile(objects[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(){
		"an object that is gone":    func() { os.Remove(objects[0]) },
		"an object that is cut off": func() { os.WriteFile(objects[0], b[:len(b)-3], 0o644) },
		"one with a changed byte":   func() { c := append([]byte(nil), b...); c[len(c)/2] ^= 1; os.WriteFile(objects[0], c, 0o644) },
	} {
		damage()
		stdout, stderr, exit := run(t, "verify", "--data", dir)
		if exit != 1 || !strings.Contains(stdout+stderr, "object") {
			t.Errorf("%s: exit %d: %s%s", name, exit, stdout, stderr)
		}
	}
	if err := os.WriteFile(objects[0], b, 0o644); err != nil {
		t.Fatal(err)
	}
	must(t, "verify", "--data", dir)
}

// The demo tells its story, on data that is kept too, twice.
func TestDemo(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		out := must(t, "demo", "--data", dir)
		for _, want := range []string{"jane@doe.com", "01:02:00", "median_hours", "4480 rows before,   4480 after", "█", "/sql/charts"} {
			if !strings.Contains(out, want) {
				t.Errorf("the demo does not say %q:\n%s", want, out)
			}
		}
	}
	must(t, "verify", "--data", dir)
}
