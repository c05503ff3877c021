package capture

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
	"arbalest/internal/lake"
)

// segments is an Appender that keeps what it is given.
type segments struct {
	mu   sync.Mutex
	all  [][]byte
	err  error
	gate chan struct{} // each append takes one from it, if there is one
}

func (s *segments) Pack(dst, lines []byte) []byte { return append(dst, lines...) }

func (s *segments) Append(ctx context.Context, lines []byte, size int) (arbalest.Receipt, error) {
	if size != len(lines) {
		panic(fmt.Sprintf("%d bytes of lines are said to be %d", len(lines), size))
	}
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return "", s.err
	}
	s.all = append(s.all, bytes.Clone(lines))
	return arbalest.Receipt(fmt.Sprintf("01JD3W4X2N8Q7R5T6V9Y0Z1A2B-%06d", len(s.all))), nil
}

func (s *segments) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// stored returns all lines, in the order of the segments.
func (s *segments) stored() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Join(s.all, nil)
}

func (s *segments) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 123_456_789, time.UTC)

func newHandler(t testing.TB, o Options) *Handler {
	t.Helper()
	if o.Now == nil {
		o.Now = func() time.Time { return noon }
	}
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// reply is an answer's JSON.
type reply struct {
	Accepted int
	Rejected []struct {
		Index int
		Error string
		Code  Code
		Retry bool
	}
	Durability string
	Receipt    string
	Error      string
	Retry      bool
}

func send(t testing.TB, h http.Handler, body string, headers ...string) (*httptest.ResponseRecorder, reply) {
	t.Helper()
	r := httptest.NewRequest("POST", "/v1/events", strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return do(t, h, r)
}

func do(t testing.TB, h http.Handler, r *http.Request) (*httptest.ResponseRecorder, reply) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var a reply
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("answer %q: %v", w.Body, err)
	}
	return w, a
}

// split parts stored lines into those of events and the rejected records.
func parted(t testing.TB, lines []byte) (events []arbalest.Line, rejected []lake.Rejected) {
	t.Helper()
	for line := range bytes.Lines(lines) {
		if bytes.HasPrefix(line, []byte(`{"_rejected"`)) {
			r, err := lake.ParseRejected(line)
			if err != nil {
				t.Fatal(err)
			}
			rejected = append(rejected, r)
			continue
		}
		e, err := arbalest.ParseLine(line)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(line) {
			t.Fatalf("stored line is not JSON: %q", line)
		}
		events = append(events, e)
	}
	return events, rejected
}

func TestAcceptedEvents(t *testing.T) {
	const received = "2026-11-22T12:00:00.123Z"
	for _, c := range []struct{ name, body, id, time, rest string }{
		{"whole", `{"event":"user.verified","id":"e1","timestamp":"2015-08-18T07:38:40Z","data":{"a":1.10,"b":"x\/y"}}`,
			"e1", "2015-08-18T07:38:40Z", `"a":1.10,"b":"x\/y"}`},
		{"zone", `{"event":"a","id":"e","timestamp":"2015-08-18T07:38:40.5+02:00"}`, "e", "2015-08-18T05:38:40.5Z", `}`},
		{"property time", `{"event":"a","id":"e","data":{"timestamp":"2015-08-18T06:36:40Z"}}`, "e", "2015-08-18T06:36:40Z", `"timestamp":"2015-08-18T06:36:40Z"}`},
		{"envelope before property", `{"event":"a","id":"e","timestamp":"2015-01-01T00:00:00Z","data":{"timestamp":"2016-01-01T00:00:00Z"}}`,
			"e", "2015-01-01T00:00:00Z", `"timestamp":"2016-01-01T00:00:00Z"}`},
		{"envelope before a number", `{"event":"a","id":"e","timestamp":"2015-01-01T00:00:00Z","data":{"timestamp":5}}`, "e", "2015-01-01T00:00:00Z", `"timestamp":5}`},
		{"nested time means nothing", `{"event":"a","id":"e","data":{"x":{"timestamp":"no","_event":1}}}`, "e", received, `"x":{"timestamp":"no","_event":1}}`},
		{"uuid7", `{"event":"a","id":"01994f7a-1000-7abc-8def-0123456789ab"}`, "01994f7a-1000-7abc-8def-0123456789ab", "2025-09-15T22:23:43.616Z", `}`},
		{"receipt", `{"event":"a","id":"e"}`, "e", received, `}`},
		{"nulls", `{"event":"a","id":"e","timestamp":null,"data":null}`, "e", received, `}`},
		{"property null", `{"event":"a","id":"e","data":{"timestamp":null}}`, "e", received, `"timestamp":null}`},
		{"white space", "{ \"event\" : \"a\",\n\t\"id\": \"e\", \"data\": { \"s\" : \"a b\" , \"n\" : [ 1 , 2 ] } }", "e", received, `"s":"a b","n":[1,2]}`},
		{"escaped members", `{"\u0065vent":"\u0061","id":"q\"\u00e9\n"}`, "q\"\u00e9\n", received, `}`},
		{"almost tomorrow", `{"event":"a","id":"e","timestamp":"2026-11-23T12:00:00Z"}`, "e", "2026-11-23T12:00:00Z", `}`},
		{"255 bytes of id", `{"event":"a","id":"` + strings.Repeat("i", 255) + `"}`, strings.Repeat("i", 255), received, `}`},
		{"byte order mark", "\xef\xbb\xbf" + `{"event":"a","id":"e"}`, "e", received, `}`},
		{"carriage returns", "\r\n" + `{"event":"a","id":"e"}` + "\r\n\r\n", "e", received, `}`},
		{"in an array", ` [ {"event":"a","id":"e"} ] `, "e", received, `}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := &segments{}
			w, a := send(t, newHandler(t, Options{Appender: store}), c.body)
			if w.Code != 200 || a.Accepted != 1 || len(a.Rejected) != 0 || a.Durability != "fsync" || a.Receipt == "" {
				t.Fatalf("answer %d %s", w.Code, w.Body)
			}
			events, _ := parted(t, store.stored())
			e := events[0]
			if e.UnquoteID() != c.id || string(e.Rest) != c.rest {
				t.Errorf("stored %q %q", e.UnquoteID(), e.Rest)
			}
			if got := time.UnixMicro(e.Time).UTC().Format(arbalest.TimeLayout); got != c.time {
				t.Errorf("time %s, want %s", got, c.time)
			}
			if got := time.UnixMicro(e.Received).UTC().Format(arbalest.TimeLayout); got != received {
				t.Errorf("received %s, want %s", got, received)
			}
		})
	}
}

func TestMadeIDs(t *testing.T) {
	store := &segments{}
	h := newHandler(t, Options{Appender: store})
	send(t, h, strings.Repeat(`{"event":"a"}`+"\n", 5000))
	events, _ := parted(t, store.stored())
	last := ""
	for _, e := range events {
		id := e.UnquoteID()
		if id <= last || len(id) != 36 || id[14] != '7' || !strings.ContainsRune("89ab", rune(id[19])) {
			t.Fatalf("id %s after %s", id, last)
		}
		last = id
		var ms int64
		if _, err := fmt.Sscanf(id[:8]+id[9:13], "%x", &ms); err != nil || ms*1000 != e.Time {
			t.Fatalf("id %s has the time %d ms, its event %d us", id, ms, e.Time)
		}
	}
	if len(events) != 5000 {
		t.Fatalf("%d events", len(events))
	}
}

func TestAnswerForms(t *testing.T) {
	store := &segments{}
	h := newHandler(t, Options{Appender: store})
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		header, value            string
		text                     string
	}{
		{"contract", "POST", "/v1/events", `{"event":"a"}`, 200, "Content-Type", "application/json",
			`{"accepted":1,"rejected":[],"durability":"fsync","receipt":"01JD3W4X2N8Q7R5T6V9Y0Z1A2B-000001"}` + "\n"},
		{"method", "GET", "/v1/events", "", 405, "Allow", "POST", ""},
		{"empty", "POST", "/v1/events", "", 400, "Retry-After", "", ""},
		{"white space", "POST", "/v1/events", " \r\n", 400, "Retry-After", "", ""},
		{"empty array", "POST", "/v1/events", "[ ]", 400, "Retry-After", "", `{"error":"no events: send one object, a JSON array of them, or one to a line","retry":false}` + "\n"},
		{"nowhere", "GET", "/v1/event", "", 404, "", "", ""},
		{"health", "GET", "/healthz", "", 200, "", "", `{"status":"up"}` + "\n"},
		{"ready", "GET", "/readyz", "", 200, "", "", `{"status":"ready"}` + "\n"},
		{"no tracker", "GET", "/v1/receipts/x-1", "", 404, "", "", ""},
	} {
		w, _ := do(t, h, httptest.NewRequest(c.method, c.path, strings.NewReader(c.body)))
		if w.Code != c.status || c.header != "" && w.Header().Get(c.header) != c.value || c.text != "" && w.Body.String() != c.text {
			t.Errorf("%s: %d %v %s", c.name, w.Code, w.Header(), w.Body)
		}
		if w.Header().Get("X-Request-Id") == "" {
			t.Errorf("%s: no request id", c.name)
		}
	}
	w, _ := send(t, h, `{"event":"a"}`, "X-Request-Id", "mine-1")
	if got := w.Header().Get("X-Request-Id"); got != "mine-1" {
		t.Errorf("request id %q", got)
	}
	w, _ = send(t, h, `{"event":"a"}`, "X-Request-Id", "no good")
	if got := w.Header().Get("X-Request-Id"); len(got) != 16 {
		t.Errorf("request id %q", got)
	}
}

func TestMetrics(t *testing.T) {
	h := newHandler(t, Options{Appender: &segments{}})
	send(t, h, `[{"event":"a"},{"event":"_b"}]`)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`arbalest_capture_requests_total{status="200"} 1`,
		`arbalest_capture_accepted_events_total 1`,
		`arbalest_capture_rejected_events_total{code="bad_name"} 1`,
		`arbalest_capture_received_bytes_total 30`,
		`arbalest_capture_answer_seconds_count 1`,
		`arbalest_capture_segment_bytes_count 1`,
		`arbalest_capture_in_flight_bytes 0`,
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("no %s in\n%s", want, w.Body)
		}
	}
}

func TestReadiness(t *testing.T) {
	store := &segments{}
	now := noon
	var check error
	h := newHandler(t, Options{Appender: store, Now: func() time.Time { return now }, Check: func(context.Context) error { return check }})
	ready := func() int {
		w, _ := do(t, h, httptest.NewRequest("GET", "/readyz", nil))
		return w.Code
	}
	store.fail(errors.New("disk full"))
	send(t, h, `{"event":"a"}`)
	if got := ready(); got != 503 {
		t.Errorf("after a failed write: %d", got)
	}
	now = now.Add(failureWindow + time.Second)
	if got := ready(); got != 200 {
		t.Errorf("long after a failed write: %d", got)
	}
	check = fmt.Errorf("%w: the warehouse is away", arbalest.ErrUnavailable)
	if got := ready(); got != 503 {
		t.Errorf("with a failing check: %d", got)
	}
	check = nil
	if err := h.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := ready(); got != 503 {
		t.Errorf("after Close: %d", got)
	}
}

func TestOptionsAreValidated(t *testing.T) {
	for _, o := range []Options{{}, {Appender: &segments{}, Linger: -1}, {Appender: &segments{}, MaxBody: 1 << 20, MaxBytesInFlight: 1 << 20}} {
		if _, err := New(o); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("New(%+v) = %v", o, err)
		}
	}
}
