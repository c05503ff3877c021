package form

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/lake"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// lines is an Appender that keeps what it is given.
type lines struct {
	mu  sync.Mutex
	all []byte
	err error
}

func (l *lines) Pack(dst, src []byte) []byte { return append(dst, src...) }

func (l *lines) Append(_ context.Context, packed []byte, _ int) (arbalest.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return "", l.err
	}
	l.all = append(l.all, packed...)
	return "01JD3W4X2N8Q7R5T6V9Y0Z1A2B-000001", nil
}

// A stored is an event as it is kept.
type stored struct {
	Name, ID, Time, Properties, Attributes string
}

// take returns what is kept since the last time.
func (l *lines) take(t testing.TB) (events []stored, rejected []lake.Rejected) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(l.all) {
		if bytes.HasPrefix(line, []byte(`{"_rejected":`)) {
			r, err := lake.ParseRejected(line)
			if err != nil {
				t.Fatal(err)
			}
			rejected = append(rejected, r)
			continue
		}
		e, err := arbalest.ParseLine(line)
		if err != nil || !json.Valid(line) {
			t.Fatalf("%s: %v", line, err)
		}
		events = append(events, stored{string(e.Name), e.UnquoteID(), time.UnixMicro(e.Time).UTC().Format(time.RFC3339Nano), "{" + string(e.Rest), string(e.Attributes)})
	}
	l.all = nil
	return events, rejected
}

// A place is a handler and what it stores.
type place struct {
	*Handler
	lines *lines
}

func newPlace(t testing.TB, o Options, c capture.Options) place {
	t.Helper()
	p := place{lines: &lines{}}
	c.Appender = p.lines
	c.Now = func() time.Time { return noon }
	if o.Now == nil {
		o.Now = c.Now
	}
	h, err := capture.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if p.Handler, err = New(h, o); err != nil {
		t.Fatal(err)
	}
	return p
}

// post sends a body, with headers in pairs.
func (p place) post(path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

// key is a Gate of one key, which may not send one name.
type key string

func (k key) Open(token string) (capture.Pass, error) {
	if token != string(k) {
		return nil, fmt.Errorf("%w: no such key", arbalest.ErrDenied)
	}
	return k, nil
}

func (key) Allows(name arbalest.EventName) bool { return name != "not.mine" }

func (key) Take(events int) error {
	if events > 3 {
		return fmt.Errorf("%w: too fast", arbalest.ErrBusy)
	}
	return nil
}

// Everything that is not of another form is capture's, on the same paths.
func TestOursIsCaptures(t *testing.T) {
	p := newPlace(t, Options{}, capture.Options{})
	if w := p.post("/v1/events", `{"event":"a","id":"1"}`); w.Code != 200 || w.Header().Get("X-Request-Id") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for path, want := range map[string]int{"/v1/nothing": 404, "/healthz": 200, "/v1/receipts/": 405} {
		if w := p.post(path, ""); w.Code != want {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if events, _ := p.lines.take(t); len(events) != 1 {
		t.Errorf("%+v", events)
	}
}

// Every form is answered in the same way where events cannot be taken now, are
// too many for their key, or too large.
func TestRetryableAndNot(t *testing.T) {
	cloud := `{"specversion":"1.0","id":"1","source":"/s","type":"a"}`
	sent := map[string]struct{ body, contentType string }{
		"/v1/cloudevents": {cloud, "application/cloudevents+json"},
		"/v1/events":      {"[" + strings.Repeat(cloud+",", 3) + cloud + "]", "application/cloudevents-batch+json"},
		"/v1/track":       {`{"event":"A","userId":"u","messageId":"m"}`, "application/json"},
		"/v1/batch":       {`{"batch":[` + strings.Repeat(`{"type":"track","event":"A","userId":"u"},`, 3) + `{"type":"track","event":"A","userId":"u"}]}`, "text/plain"},
	}
	for path, s := range sent {
		p := newPlace(t, Options{}, capture.Options{Gate: key("k"), MaxBody: 1000})
		if w := p.post(path, s.body, "Content-Type", s.contentType); w.Code != 401 {
			t.Errorf("%s without a key: %d %s", path, w.Code, w.Body)
		}
		if w := p.post(path, s.body, "Content-Type", s.contentType, "Authorization", "Bearer no"); w.Code != 401 {
			t.Errorf("%s with a wrong key: %d %s", path, w.Code, w.Body)
		}
		w := p.post(path, s.body, "Content-Type", s.contentType, "Authorization", "Bearer k")
		want := map[string]int{"/v1/cloudevents": 200, "/v1/events": 429, "/v1/track": 200, "/v1/batch": 429}[path]
		if w.Code != want || (w.Code == 429) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%s with a key: %d %s %v", path, w.Code, w.Body, w.Header())
		}
		p.lines.err = errors.New("no disk")
		if w := p.post(path, s.body, "Content-Type", s.contentType, "Authorization", "Bearer k"); w.Code != 429 && (w.Code != 503 || w.Header().Get("Retry-After") == "") {
			t.Errorf("%s without a disk: %d %s", path, w.Code, w.Body)
		}
		large := 413
		if path == "/v1/track" || path == "/v1/batch" {
			large = 400
		}
		if w := p.post(path, strings.Repeat(" ", 2000), "Content-Type", s.contentType, "Authorization", "Bearer k"); w.Code != large {
			t.Errorf("%s, too large: %d %s", path, w.Code, w.Body)
		}
		if w := p.post(path, s.body, "Content-Type", s.contentType, "Content-Encoding", "br", "Authorization", "Bearer k"); w.Code != 415 {
			t.Errorf("%s in brotli: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestCORS(t *testing.T) {
	preflight := func(p place, path, origin string) http.Header {
		r := httptest.NewRequest(http.MethodOptions, path, nil)
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code != 204 {
			t.Errorf("preflight of %s: %d", path, w.Code)
		}
		return w.Header()
	}
	none := newPlace(t, Options{}, capture.Options{})
	some := newPlace(t, Options{Origins: []string{"https://example.com"}}, capture.Options{Gate: key("k")})
	all := newPlace(t, Options{Origins: []string{"*"}}, capture.Options{})
	for _, path := range []string{"/v1/events", "/v1/cloudevents", "/v1/track", "/v1/t", "/v1/batch", "/v1/receipts/x"} {
		if h := preflight(none, path, "https://example.com"); h.Get("Access-Control-Allow-Origin") != "" || h.Get("Access-Control-Allow-Headers") != "" {
			t.Errorf("%s, none configured: %v", path, h)
		}
		h := preflight(some, path, "https://example.com")
		if h.Get("Access-Control-Allow-Origin") != "https://example.com" || h.Get("Access-Control-Allow-Headers") != "authorization,content-type" ||
			h.Get("Access-Control-Allow-Methods") != "GET, POST" || h.Get("Access-Control-Max-Age") == "" || !strings.Contains(strings.Join(h["Vary"], ","), "Origin") {
			t.Errorf("%s: %v", path, h)
		}
		if h := preflight(some, path, "https://example.com.evil.net"); h.Get("Access-Control-Allow-Origin") != "" || h.Get("Vary") != "Origin" {
			t.Errorf("%s, another origin: %v", path, h)
		}
		if h := preflight(all, path, "null"); h.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s, all origins: %v", path, h)
		}
	}
	w := some.post("/v1/track", `{"event":"A","userId":"u","writeKey":"k"}`, "Origin", "https://example.com")
	if w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != "https://example.com" || !strings.Contains(w.Header().Get("Access-Control-Expose-Headers"), "X-Request-Id") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w := some.post("/v1/track", `{"event":"A","userId":"u"}`, "Origin", "https://example.com"); w.Code != 401 || w.Header().Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("a refusal is not for the page to read: %d %v", w.Code, w.Header())
	}
	for _, bad := range []string{"example.com", "https://example.com/", "https://Example.com", "https://*.example.com/x", ""} {
		if _, err := New(none.capture, Options{Origins: []string{bad}}); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("origin %q: %v", bad, err)
		}
	}
}
