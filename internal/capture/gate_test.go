package capture

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"arbalest"
)

// A doorman knows three keys: good may send all but not.mine, slow nothing at
// present, small one event at a time.
type doorman struct{}

func (doorman) Open(token string) (Pass, error) {
	switch token {
	case "good":
		return only{}, nil
	case "slow", "small":
		return limited(token), nil
	}
	return nil, fmt.Errorf("%w: the key is not known: ask for one", arbalest.ErrDenied)
}

type limited string

func (limited) Allows(arbalest.EventName) bool { return true }

func (l limited) Take(n int) error {
	switch {
	case l == "slow":
		return tooSoon{}
	case n > 1:
		return fmt.Errorf("%w: more than one event", arbalest.ErrTooLarge)
	}
	return nil
}

// tooSoon asks for 1.5 seconds.
type tooSoon struct{}

func (tooSoon) Error() string             { return "busy: the key's rate is used up" }
func (tooSoon) Unwrap() error             { return arbalest.ErrBusy }
func (tooSoon) RetryAfter() time.Duration { return 1500 * time.Millisecond }

func TestGate(t *testing.T) {
	s := &segments{}
	h := newHandler(t, Options{Appender: s, Gate: doorman{}})
	two := `[{"event":"a"},{"event":"not.mine","id":"n"}]`
	for _, c := range []struct {
		key, body string
		status    int
		after     string
		accepted  int
	}{
		{"", two, 401, "", 0}, {"wrong", two, 401, "", 0}, {"good", two, 200, "", 1}, {"good", `{"event":"not.mine"}`, 400, "", 0},
		{"slow", two, 429, "2", 0}, {"small", two, 413, "", 0}, {"small", `{"event":"a"}`, 200, "", 1},
	} {
		s.all = nil
		w, r := send(t, h, c.body, "X-Api-Key", c.key)
		if w.Code != c.status || w.Header().Get("Retry-After") != c.after || r.Accepted != c.accepted || (w.Header().Get("WWW-Authenticate") != "") != (c.status == 401) {
			t.Errorf("%q: %d %v %s", c.key, w.Code, w.Header(), w.Body)
		}
		events, rejected := parted(t, s.stored())
		if stores := c.status == 200 || c.status == 400; len(events) != c.accepted || !stores && len(rejected) > 0 {
			t.Errorf("%q: %d and %d are stored", c.key, len(events), len(rejected))
		}
		if c.key == "good" && (len(rejected) != 1 || rejected[0].Code != string(NotAllowed)) {
			t.Errorf("%+v", rejected)
		}
	}
	for path, want := range map[string]int{"/metrics": 401, "/v1/receipts/x": 401, "/healthz": 200, "/readyz": 200} {
		for key, want := range map[string]int{"": want, "good": map[string]int{"/v1/receipts/x": 404}[path]} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest("GET", path, nil)
			r.Header.Set("X-Api-Key", key)
			if h.ServeHTTP(w, r); w.Code != max(want, 200) {
				t.Errorf("%s with key %q: %d %s", path, key, w.Code, w.Body)
			}
		}
	}
}

func TestToken(t *testing.T) {
	for _, c := range []struct{ authorization, key, want string }{
		{"", "", ""}, {"Bearer a", "", "a"}, {"bearer  a ", "b", "a"}, {"", "b", "b"}, {"Basic YTpi", "", "a"}, {"Basic YQ==", "c", "a"},
		{"Basic Og==", "c", "c"}, {"Basic !", "", ""}, {"Digest a", "", ""}, {"Bearer", "c", "c"}, {"a", "", ""},
	} {
		if got := Token(http.Header{"Authorization": {c.authorization}, "X-Api-Key": {c.key}}); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

const someTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestTraceparent(t *testing.T) {
	for value, want := range map[string]bool{
		someTrace: true, "cc" + someTrace[2:]: true, "ff" + someTrace[2:]: false, someTrace + "-x": false, "": false, someTrace[:54]: false,
		strings.ToUpper(someTrace): false, "00-" + strings.Repeat("0", 32) + someTrace[35:]: false, someTrace[:36] + strings.Repeat("0", 16) + "-01": false,
		strings.Replace(someTrace, "-", "_", 1): false, `00-0af7651916cd43dd8448eb211c80319c"b7ad6b7169203331-01`: false,
	} {
		if got := Traceparent(http.Header{"Traceparent": {value}}); (got == value && value != "") != want {
			t.Errorf("%q: %q", value, got)
		}
	}
	if got := Traceparent(http.Header{"Traceparent": {someTrace, someTrace}}); got != "" {
		t.Errorf("two: %q", got)
	}
}

// The trace of a request is in all its events and in the records of what was
// rejected, and not in those of the next, by the front as by net/http.
func TestTraceIsKept(t *testing.T) {
	s := &segments{}
	h := newHandler(t, Options{Appender: s})
	_, addr := listening(t, h)
	body := `[{"event":"a"},{"event":"_"},{"event":"a","data":{"b":1}},{"event":"a","data":{"b":"\ud800"}}]x`
	sent := requestOf("Traceparent: "+someTrace+"\r\n", body) + requestOf("", `{"event":"a"}`) + requestOf("Traceparent: x\r\n", `{"event":"a"}`)
	for _, head := range []string{"", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"} { // which is answered by net/http, and so is what follows
		s.all = nil
		exchange(t, addr, head+sent)
		events, rejected := parted(t, s.stored())
		if len(events) != 4 || len(rejected) != 3 {
			t.Fatalf("%d and %d are stored: %s", len(events), len(rejected), s.stored())
		}
		const want = `{"traceparent":"` + someTrace + `"}`
		for i, e := range events {
			if got := string(e.Attributes); i < 2 && got != want || i >= 2 && got != "" {
				t.Errorf("event %d: %s", i, got)
			}
		}
		for i, r := range rejected {
			if string(r.Attributes) != want {
				t.Errorf("rejected %d: %s", i, r.Attributes)
			}
		}
	}
}

// What the log says of a request has the id of its answer, and no key.
func TestRefusalsAreLogged(t *testing.T) {
	var b bytes.Buffer
	h := newHandler(t, Options{Appender: &segments{}, Gate: doorman{}, Log: slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	f := NewFront(h, &http.Server{Handler: h})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- f.Serve(ln) }()
	exchange(t, ln.Addr().String(), requestOf("X-Request-Id: one\r\nX-Api-Key: verysecret\r\n", "{}")+requestOf("X-Request-Id: two\r\nX-Api-Key: slow\r\n", "{}")+
		requestOf("X-Request-Id: three\r\nX-Api-Key: good\r\n", `{"event":"a"}`)+"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nExpect: 100-continue\r\nX-Request-Id: four\r\n\r\n")
	if err := f.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	<-served
	for _, want := range []string{"level=WARN msg=refused status=401", "request=one\n", "level=DEBUG msg=refused status=429", "request=two\n", "request=four\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	if strings.Contains(b.String(), "verysecret") || strings.Contains(b.String(), "three") {
		t.Error(&b)
	}
}
