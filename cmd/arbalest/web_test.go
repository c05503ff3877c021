package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/keys"
	"arbalest/internal/web"
)

// placeOf makes a place that has these files.
func placeOf(t *testing.T, files map[string]string) place {
	t.Helper()
	p := place{dir: t.TempDir()}
	for name, text := range files {
		path := filepath.Join(p.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// startPages starts a serve with pages on a place.
func startPages(t *testing.T, p place) *server {
	t.Helper()
	c, err := p.read()
	if err != nil {
		t.Fatal(err)
	}
	c.Listen, c.SQL.Listen, c.Web.Listen = "127.0.0.1:0", "off", "127.0.0.1:0"
	s, err := startServer(t.Context(), p, c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// end closes a serve.
func (s *server) end(t *testing.T) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// fetch gets a page, or posts a form to it, and returns its text without
// entities.
func (s *server) fetch(t *testing.T, path string, form url.Values) string {
	t.Helper()
	var resp *http.Response
	var err error
	if form == nil {
		resp, err = http.Get(s.web.Load().url + path)
	} else {
		resp, err = http.PostForm(s.web.Load().url+path, form)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	text := html.UnescapeString(string(b))
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s: %s", path, resp.Status, text)
	}
	return text
}

// load posts events and waits until they are in SQL.
func (s *server) load(t *testing.T, lines ...string) {
	t.Helper()
	var answer struct {
		Receipt string `json:"receipt"`
		State   string `json:"state"`
	}
	d := demo{server: s}
	if err := d.call(t.Context(), http.MethodPost, "/v1/events", strings.Join(lines, "\n"), &answer); err != nil {
		t.Fatal(err)
	}
	if err := d.call(t.Context(), http.MethodGet, "/v1/receipts/"+answer.Receipt+"?wait=30s", "", &answer); err != nil || answer.State != "loaded" {
		t.Fatalf("%s, %v", answer.State, err)
	}
}

var (
	placeLink = regexp.MustCompile(`/rejected/one\?place=([^"]+)"`)
	lineLink  = regexp.MustCompile(`/tables/order_placed/line\?[^"]+`)
)

func TestPagesTellWhatIsThere(t *testing.T) {
	s := startPages(t, placeOf(t, map[string]string{
		"events/order.yaml": "events:\n  order.placed:\n    columns:\n      - {name: amount, type: integer}\n      - {name: never, type: date}\n    required: [amount]\n    contract: {columns: evolve, data_type: evolve}\n",
		"models/orders.sql": "-- materialized: table\n-- tests: not_null(amount)\nSELECT amount FROM order_placed\n",
	}))
	defer s.end(t)
	for _, path := range []string{"/", "/events", "/tables", "/rejected", "/runs", "/store"} {
		if text := s.fetch(t, path, nil); !strings.Contains(text, "curl -d") || !strings.Contains(text, s.url) {
			t.Errorf("%s is empty and has no line of curl for %s", path, s.url)
		}
	}
	s.load(t,
		`{"event":"order.placed","id":"a","timestamp":"2026-01-02T03:04:05Z","data":{"amount":7,"<b>new":"x"}}`,
		`{"event":"order.placed","id":"b","timestamp":"2026-01-02T04:04:05Z","data":{"amount":"many"}}`,
		`{"event":"order.placed","id":"c","timestamp":"yesterday","data":{"amount":3}}`)
	time.Sleep(countsForLeast + 100*time.Millisecond) // for as long what was made is good
	for path, wants := range map[string][]string{
		"/":                    {"order.placed"},
		"/events":              {"order.placed", "2026-01-02 03h", "2026-01-02 04h"},
		"/events/order.placed": {"<b>new", "not defined", "events/order.yaml:3:5", "never", `"many" is not an INTEGER`, `"id":"b"`, "order_placed"},
		"/tables":              {"order_placed", "<td class=\"n\">0\u00a0B</td>", "2026-01-02"},
		"/tables/order_placed": {"amount", "INTEGER", `"many"`, "not in the table", "2026-01-02 03h: 1"},
		"/rejected":            {"bad_time", "order.placed", "yesterday"},
		"/models":              {"orders", "order_placed", "1, not run"},
		"/models/orders":       {"SELECT amount FROM order_placed", "not_null(amount)"},
		"/store":               {"partitions", "order.placed", "0.023"},
	} {
		text := s.fetch(t, path, nil)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not have %q:\n%s", path, want, text)
			}
		}
	}
	link := lineLink.FindString(s.fetch(t, "/tables/order_placed", nil))
	if text := s.fetch(t, link, nil); !strings.Contains(text, `"amount":"many"`) {
		t.Errorf("%s: %s", link, text)
	}
	if resp, err := http.Get(s.web.Load().url + "/tables/order_placed/line?line=1&object=_log/00000000000000000001.json"); err != nil || resp.StatusCode != 404 {
		t.Errorf("a line that no error is about: %v, %v", resp.Status, err)
	}
	var flow web.Flow
	if err := json.Unmarshal([]byte(s.fetch(t, "/flow.json", nil)), &flow); err != nil || !flow.Ever || len(flow.At) != web.FlowSeconds-1 || len(flow.Names) != 1 || flow.Names[0].Name != "order.placed" {
		t.Errorf("flow: %v, %+v", err, flow.Names)
	}
}

func TestPagesReplayWhatIsMended(t *testing.T) {
	p := placeOf(t, map[string]string{"arbalest.yaml": "limits: {event: 1KiB}\n"})
	s := startPages(t, p)
	large := fmt.Sprintf(`{"event":"big","id":"a","data":{"text":%q}}`, strings.Repeat("x", 2000))
	s.load(t, large, `{"event":"small","id":"b","data":{}}`, `{"event":"small","id":"c","timestamp":"x"}`)
	text := s.fetch(t, "/rejected?event=big", nil)
	link := placeLink.FindStringSubmatch(text)
	if link == nil {
		t.Fatalf("no link to what was rejected: %s", text)
	}
	ref, err := url.QueryUnescape(link[1])
	if err != nil {
		t.Fatal(err)
	}
	if text := s.fetch(t, "/rejected/bytes?place="+url.QueryEscape(ref), nil); text != large {
		t.Errorf("the bytes are %s", text)
	}
	if text := s.fetch(t, "/rejected/replay", url.Values{"place": {ref}}); !strings.Contains(text, "0 of 1 were replayed") || !strings.Contains(text, "event_too_large") {
		t.Errorf("before it is mended: %s", text)
	}
	s.end(t)
	if err := os.WriteFile(filepath.Join(p.dir, "arbalest.yaml"), []byte("limits: {event: 1MiB}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s = startPages(t, p)
	defer s.end(t)
	if text := s.fetch(t, "/rejected/replay", url.Values{"place": {ref}, "dry": {"1"}}); !strings.Contains(text, "1 of 1 would be replayed") {
		t.Errorf("a try: %s", text)
	}
	if text := s.fetch(t, "/rejected/replay", url.Values{"event": {"b*"}}); !strings.Contains(text, "1 of 1 were replayed: 1 events accepted, 1 new rows in SQL") {
		t.Errorf("a replay: %s", text)
	}
	if text := s.fetch(t, "/rejected/replay", url.Values{"place": {ref}}); !strings.Contains(text, "replayed before") {
		t.Errorf("a second one: %s", text)
	}
	if text := s.fetch(t, "/rejected", nil); strings.Contains(text, "event_too_large</td>") || !strings.Contains(text, "bad_time") {
		t.Errorf("what is left: %s", text)
	}
}

// TestPagesRunTests holds that what tests find is noted, so that it is on the page
// whoever ran them, and after a restart.
func TestPagesRunTests(t *testing.T) {
	p := placeOf(t, map[string]string{"models/orders.sql": "-- materialized: view\n-- tests: not_null(amount), unique(amount)\nSELECT amount FROM order_placed\n"})
	s := startPages(t, p)
	s.load(t, `{"event":"order.placed","id":"a","data":{"amount":7}}`, `{"event":"order.placed","id":"b","data":{}}`)
	if _, err := s.engine.Build(t.Context(), modelRequest{}, func(progress) {}); err != nil {
		t.Fatal(err)
	}
	failing := ">fails</span></td><td class=\"n\">1</td>"
	text := s.fetch(t, "/models/orders/test", url.Values{"x": {""}})
	if !strings.Contains(text, failing) || !strings.Contains(text, ">holds<") || !strings.Contains(text, `/sql?q=SELECT`) {
		t.Error(text)
	}
	if r, err := s.engine.Status(t.Context()); err != nil || len(r.Models) != 1 || len(r.Models[0].Failing) != 1 {
		t.Errorf("status: %+v, %v", r.Models, err)
	}
	if _, err := (&facts{server: s}).Table(t.Context(), "orders"); !errors.Is(err, arbalest.ErrUnknown) {
		t.Errorf("a model among tables: %v", err)
	}
	s.end(t)
	s = startPages(t, p)
	defer s.end(t)
	if text := s.fetch(t, "/models/orders", nil); !strings.Contains(text, failing) {
		t.Errorf("after a restart: %s", text)
	}
	s.load(t, `{"event":"order.placed","id":"c","data":{}}`)
	if _, err := s.engine.Test(t.Context(), modelRequest{}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond) // for as long what was made is good
	if text := s.fetch(t, "/models/orders", nil); !strings.Contains(text, ">fails</span></td><td class=\"n\">2</td>") {
		t.Errorf("after a command's: %s", text)
	}
}

func TestPagesNeedAPasswordElsewhere(t *testing.T) {
	start := func(c webConfig) (*server, error) {
		return startServer(t.Context(), place{dir: t.TempDir()}, config{Listen: "127.0.0.1:0", SQL: sqlConfig{Listen: "off"}, Web: c}, slog.New(slog.DiscardHandler))
	}
	if _, err := start(webConfig{Listen: "0.0.0.0:0"}); !errors.Is(err, arbalest.ErrInvalid) || !strings.Contains(err.Error(), "password") {
		t.Errorf("all addresses, no password: %v", err)
	}
	if _, err := start(webConfig{Listen: "127.0.0.1:0", Password: "${ARBALEST_TEST_NO_SUCH_VARIABLE}"}); !errors.Is(err, arbalest.ErrInvalid) {
		t.Errorf("a variable that is not set: %v", err)
	}
	t.Setenv("ARBALEST_TEST_PASSWORD", "s3cret")
	s, err := start(webConfig{Listen: "0.0.0.0:0", Password: "${ARBALEST_TEST_PASSWORD}"})
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.web.Load().url, "http://"))
	for password, want := range map[string]int{"s3cret": 200, "${ARBALEST_TEST_PASSWORD}": 401} {
		req, _ := http.NewRequest("GET", "http://127.0.0.1:"+port+"/", nil)
		req.SetBasicAuth(web.User, password)
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != want {
			t.Errorf("password %s: %v, %v", password, resp, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if s, err = start(webConfig{Listen: "off"}); err != nil || s.web.Load() != nil {
		t.Fatalf("off: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if _, err := start(webConfig{Listen: ln.Addr().String()}); err == nil || !strings.Contains(err.Error(), "--web") {
		t.Errorf("an address that is taken, and was asked for: %v", err)
	}
}

// Pages are beside capture where only this machine sends events, and leave its
// paths to it. The first write key closes them; a password opens them again.
func TestPagesBesideCapture(t *testing.T) {
	dir := t.TempDir()
	start := func(c webConfig) *server {
		s, err := startServer(t.Context(), place{dir: dir}, config{Listen: "127.0.0.1:0", SQL: sqlConfig{Listen: "off"}, Web: c}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	status := func(s *server, path, password string) int {
		req, _ := http.NewRequest("GET", s.url+path, nil)
		if password != "" {
			req.SetBasicAuth(web.User, password)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	s := start(webConfig{})
	if got := s.web.Load().url; got != s.url {
		t.Errorf("the pages are at %s, capture at %s", got, s.url)
	}
	for path, want := range map[string]int{"/": 200, "/events": 200, "/nothing": 404, "/healthz": 200, "/metrics": 200, "/v1/events": 405, "/v1/nothing": 404} {
		if got := status(s, path, ""); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	if _, _, err := (place{dir: dir}).keys(config{}).New(keys.Key{Name: "web"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	s.look("keys", s.keys.Reload)
	if got := status(s, "/", ""); got != 403 {
		t.Errorf("with a key: %d", got)
	}
	s.end(t)
	s = start(webConfig{Password: "s3cret"})
	if none, right := status(s, "/", ""), status(s, "/", "s3cret"); none != 401 || right != 200 {
		t.Errorf("with a key and a password: %d without, %d with it", none, right)
	}
	s.end(t)
}

// verified returns the page Verify once no verification goes on.
func (s *server) verified(t *testing.T) string {
	t.Helper()
	s.engine.verifying.one.Lock()
	defer s.engine.verifying.one.Unlock()
	return s.fetch(t, "/verify", nil)
}

// TestPagesVerify holds that whoever verifies, what was found is on the page: of the
// page, of a command through serve, and of one that had the place alone.
func TestPagesVerify(t *testing.T) {
	p := placeOf(t, nil)
	s := startPages(t, p)
	if text := s.fetch(t, "/verify", nil); !strings.Contains(text, "None was made yet") {
		t.Error(text)
	}
	s.load(t, `{"event":"order.placed","id":"a","data":{"amount":7}}`, `{"event":"order.placed","id":"a","data":{"amount":7}}`)
	wants := func(what, text string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s: it does not have %q:\n%s", what, want, text)
			}
		}
	}
	s.fetch(t, "/verify", url.Values{"sample": {"50%"}, "content": {"1"}})
	wants("a sample with contents", s.verified(t), "agree", "arbalest verify --sample 50% --seed ", " --content", "on this page", "1 of 1 partitions", "every column’s value of 1<", `<td class="n">2</td><td class="n">1</td><td class="n">1</td><td class="n">0</td>`)
	resp, err := http.PostForm(s.web.Load().url+"/verify", url.Values{"sample": {"some"}})
	if err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a sample that is none: %v, %v", resp, err)
	}

	op, err := dialServant(t.Context(), p.servant())
	if err != nil || op == nil {
		t.Fatal(op, err)
	}
	stray := filepath.Join(p.dir, "store", "order.placed", "2026-01-02", "03", "00000000000000000001-000007.ndjson.zst")
	if err := errors.Join(os.MkdirAll(filepath.Dir(stray), 0o755), os.WriteFile(stray, []byte("x"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if r, err := op.Verify(t.Context(), verifyRequest{}, func(progress) {}); err != nil || r.Err() == nil {
		t.Errorf("a command's: %+v, %v", r, err)
	}
	wants("a command's", s.fetch(t, "/verify", nil), "differ", "by a command", ">orphan<", "000007.ndjson.zst", "everything")
	s.end(t)

	if err := os.Remove(stray); err != nil {
		t.Fatal(err)
	}
	alone, err := p.operate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r, err := alone.Verify(t.Context(), verifyRequest{}, func(progress) {}); err != nil || r.Err() != nil {
		t.Errorf("alone: %+v, %v", r, err)
	}
	if info, err := os.Stat(p.verified()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the report's file: %v, %v", info, err)
	}
	if err := alone.Close(); err != nil {
		t.Fatal(err)
	}
	s = startPages(t, p)
	defer s.end(t)
	wants("after a restart", s.fetch(t, "/verify", nil), "agree", "by a command")
	if err := os.WriteFile(p.verified(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	wants("a damaged file", s.fetch(t, "/verify", nil), "not to be had", "Verify</button>")
	s.fetch(t, "/verify", url.Values{"sample": {""}})
	wants("and then anew", s.verified(t), "agree", "on this page")
}

// TestPagesVerifyOneAtATime holds that the page does not wait for a verification,
// begins no second one, and stops the one that goes on, also a command's; what was
// found before stays.
func TestPagesVerifyOneAtATime(t *testing.T) {
	s := startPages(t, placeOf(t, nil))
	defer s.end(t)
	s.load(t, `{"event":"order.placed","id":"a","data":{"amount":7}}`)
	if _, err := s.engine.Verify(t.Context(), verifyRequest{}, func(progress) {}); err != nil {
		t.Fatal(err)
	}
	s.engine.work.Lock() // as a load does
	text := s.fetch(t, "/verify", url.Values{"content": {"1"}})
	if !strings.Contains(text, "waits until a load has ended") || !strings.Contains(text, "arbalest verify --content<") || !strings.Contains(text, "agree") {
		t.Error(text)
	}
	if text := s.fetch(t, "/verify", url.Values{"sample": {"5"}}); !strings.Contains(text, "arbalest verify --content<") || strings.Contains(text, "--sample") {
		t.Errorf("a second one: %s", text)
	}
	s.fetch(t, "/verify/stop", url.Values{"x": {""}})
	s.engine.work.Unlock()
	if text := s.verified(t); !strings.Contains(text, "has no result: it was stopped on the page Verify") || !strings.Contains(text, "agree") || strings.Contains(text, "goes on") {
		t.Errorf("stopped: %s", text)
	}
	reading, on, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		_, err := s.engine.Verify(t.Context(), verifyRequest{}, func(progress) { close(reading); <-on })
		done <- err
	}()
	<-reading
	if text := s.fetch(t, "/verify", nil); !strings.Contains(text, "1 objects were read so far, and 1 the last time") || !strings.Contains(text, "by a command") {
		t.Errorf("a command's, while it goes on: %s", text)
	}
	s.fetch(t, "/verify/stop", url.Values{"x": {""}})
	close(on)
	if err := <-done; !errors.Is(err, context.Canceled) || arbalest.OutcomeOf(newRemoteError(err)).Exit != 130 || !strings.Contains(err.Error(), "on the page Verify") {
		t.Errorf("a command's that was stopped: %v", err)
	}
}
