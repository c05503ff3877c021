package hook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/lake"
)

// now is when the tests' webhooks are received: receipt, to the millisecond.
var now = time.Date(2026, 3, 4, 5, 6, 7, 123_456_789, time.UTC)

const receipt = "2026-03-04T05:06:07.123Z"

// stored is an Appender that keeps lines.
type stored struct{ bytes.Buffer }

func (s *stored) Pack(dst, lines []byte) []byte { return append(dst, lines...) }

func (s *stored) Append(_ context.Context, packed []byte, _ int) (arbalest.Receipt, error) {
	_, err := s.Write(packed)
	return "w-000001", err
}

// A kept is a line: an event, or what was rejected.
type kept struct {
	name, id, time, attributes, data string // of an event
	byReceipt                        bool   // its time is just that
	rejected                         lake.Rejected
}

func (s *stored) last(t *testing.T) (k kept) {
	t.Helper()
	line := bytes.TrimSpace(s.Bytes())
	if len(line) == 0 {
		return k
	}
	if e, err := arbalest.ParseLine(line); err == nil {
		return kept{string(e.Name), e.UnquoteID(), time.UnixMicro(e.Time).UTC().Format(time.RFC3339Nano), string(e.Attributes), "{" + string(e.Rest), e.Time == e.Received, lake.Rejected{}}
	}
	r, err := lake.ParseRejected(line)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	k.rejected = r
	return k
}

// mounted returns a handler of sources, and what it stores and logs.
func mounted(t testing.TB, sources map[string]Config, gate capture.Gate) (h http.Handler, s *stored, log *bytes.Buffer) {
	t.Helper()
	s, log = &stored{}, &bytes.Buffer{}
	clock := func() time.Time { return now }
	c, err := capture.New(capture.Options{Appender: s, Gate: gate, Now: clock, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	h, err = New(Options{Capture: c, Next: c, Sources: sources, Registry: prometheus.NewRegistry(), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	return capture.Identified(h), s, log
}

func deliver(h http.Handler, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const secret = "It's a Secret to Everybody"

// signed returns GitHub's headers.
func signed(event, delivery, body string) []string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return []string{"X-GitHub-Event", event, "X-GitHub-Delivery", delivery, "X-Hub-Signature-256", "sha256=" + hex.EncodeToString(mac.Sum(nil))}
}

// GitHub's documentation has this example of a signature.
func TestGitHubsOwnExample(t *testing.T) {
	s, err := Config{Kind: "github", Secret: secret}.source("github")
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{"X-Hub-Signature-256": {"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}}
	if err := s.verify(header, []byte("Hello, World!")); err != nil {
		t.Error(err)
	}
	if err := s.verify(header, []byte("Hello, World?")); !errors.Is(err, arbalest.ErrDenied) {
		t.Error(err)
	}
}

func TestGitHub(t *testing.T) {
	h, s, log := mounted(t, map[string]Config{"github": {Kind: "github", Secret: secret}}, nil)
	for _, c := range []struct{ event, body, name, time string }{
		{"ping", `{"zen":"Speak like a human."}`, "github.ping", receipt},
		{"pull_request", `{"action":"opened","pull_request":{"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-02T00:00:00Z"},"repository":{"updated_at":"2026-02-01T00:00:00Z"}}`, "github.pull_request.opened", "2026-01-02T00:00:00Z"},
		{"issue_comment", `{"action":"created","issue":{"updated_at":"2026-01-02T00:00:00Z"},"comment":{"created_at":"2026-01-03T00:00:00Z"}}`, "github.issue_comment.created", "2026-01-03T00:00:00Z"},
		{"issue_comment", `{"action":"deleted","issue":{"updated_at":"2026-01-02T00:00:00Z"}}`, "github.issue_comment.deleted", receipt},
		{"sponsorship", `{"action":"cancelled","sponsorship":{"created_at":"2020-01-02T00:00:00Z"}}`, "github.sponsorship.cancelled", receipt},
		{"star", `{"action":"created","starred_at":"2026-01-02T00:00:00Z"}`, "github.star.created", "2026-01-02T00:00:00Z"},
		{"push", `{"head_commit":{"timestamp":"2020-01-01T00:00:00Z"},"repository":{"pushed_at":1767225600,"updated_at":"2026-02-01T00:00:00Z"}}`, "github.push", "2026-01-01T00:00:00Z"},
		{"push", `{"repository":{}}`, "github.push", receipt},
		{"release", `{"action":"edited","release":{"updated_at":"2036-01-01T00:00:00Z"}}`, "github.release.edited", receipt},
		{"odd", `{"timestamp":5,"action":7,"x":{"updated_at":"yesterday"},"y":{"updated_at":null}}`, "github.odd.7", receipt},
	} {
		s.Reset()
		w := deliver(h, "/v1/hooks/github", c.body, append(signed(c.event, "d-1", c.body), "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")...)
		want := kept{c.name, "d-1", c.time, `{"hook":"github","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}`, c.body, c.time == receipt, lake.Rejected{}}
		if got := s.last(t); w.Code != 200 || fmt.Sprint(got) != fmt.Sprint(want) || !strings.HasPrefix(w.Body.String(), `{"accepted":1,"rejected":[],"durability":"fsync","receipt":"`) {
			t.Errorf("%d %s\n got %+v\nwant %+v", w.Code, w.Body, got, want)
		}
	}
	// As a form, of which all is signed.
	s.Reset()
	form := "payload=" + url.QueryEscape(`{ "action": "closed" }`)
	if w := deliver(h, "/v1/hooks/github", form, append(signed("issues", "d-2", form), "Content-Type", "application/x-www-form-urlencoded")...); w.Code != 200 || s.last(t).name != "github.issues.closed" || s.last(t).data != `{"action":"closed"}` {
		t.Errorf("%d %s %s", w.Code, w.Body, s)
	}
	if log.Len() > 0 {
		t.Error(log)
	}
}

func TestWhatIsNotSigned(t *testing.T) {
	h, s, log := mounted(t, map[string]Config{"github": {Kind: "github", Secret: secret}}, nil)
	const body = `{"action":"opened"}`
	good := signed("issues", "d", body)
	for _, headers := range [][]string{
		nil, signed("issues", "d", body+" "), good[:4:4], append(good[:4:4], "X-Hub-Signature-256", strings.TrimPrefix(good[5], "sha256=")),
		append(good[:4:4], "X-Hub-Signature-256", "sha256="), append(good[:4:4], "X-Hub-Signature-256", "sha256=zz"), append(good[:4:4], "X-Hub-Signature-256", good[5][:30]),
		append(good[:4:4], "X-Hub-Signature", "sha1=00"), append(good[:4:4], "Authorization", "Bearer "+secret),
	} {
		log.Reset()
		w := deliver(h, "/v1/hooks/github", body, append(headers, "X-Request-Id", "r-1")...)
		if w.Code != 401 || s.Len() > 0 || !strings.Contains(w.Body.String(), "X-Hub-Signature-256") || strings.Contains(w.Body.String()+log.String(), secret) {
			t.Errorf("%v: %d %s %s", headers, w.Code, w.Body, s)
		}
		if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "request=r-1") || !strings.Contains(log.String(), "hook github") {
			t.Errorf("log: %s", log)
		}
	}
	if w := deliver(h, "/v1/hooks/github", body, append(good, "Content-Encoding", "gzip")...); w.Code != 400 || s.Len() > 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := deliver(h, "/v1/hooks/gitlab", body, good...); w.Code != 404 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, httptest.NewRequest("GET", "/v1/hooks/github", nil)); w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := deliver(h, "/v1/events", `{"event":"a"}`); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// What is proven to be of the source, and is no event, is kept as it came.
func TestWhatIsNoEvent(t *testing.T) {
	h, s, _ := mounted(t, map[string]Config{
		"github": {Kind: "github", Secret: secret},
		"shop":   {Kind: "generic", Event: "/type", ID: "/id", Time: "/at"},
	}, nil)
	for _, c := range []struct {
		path, body string
		code       capture.Code
		event      string
		headers    []string
	}{
		{"github", `{}`, capture.BadForm, "", signed("", "d", `{}`)},
		{"github", `{}`, capture.BadForm, "github.push", signed("push", "", `{}`)},
		{"github", `[]`, capture.NotObject, "", signed("push", "d", `[]`)},
		{"github", `{"a":`, capture.NotJSON, "", signed("push", "d", `{"a":`)},
		{"github", "x=y", capture.BadForm, "", append(signed("push", "d", "x=y"), "Content-Type", "application/x-www-form-urlencoded")},
		{"github", `{"action":"a b"}`, capture.BadName, "", signed("dispatch", "d", `{"action":"a b"}`)},
		{"shop", `{"id":1}`, capture.BadForm, "", nil},
		{"shop", `{"id":1,"type":7}`, capture.BadForm, "", nil},
		{"shop", `{"type":"order.paid"}`, capture.BadForm, "order.paid", nil},
		{"shop", `{"type":"order.paid","id":{}}`, capture.BadForm, "order.paid", nil},
		{"shop", `{"type":"order.paid","id":null}`, capture.BadForm, "order.paid", nil},
		{"shop", `{"type":"order paid","id":1}`, capture.BadName, "", nil},
		{"shop", `{"type":"order.paid","id":1,"at":"now"}`, capture.BadTime, "order.paid", nil},
		{"shop", `{"type":"order.paid","id":1,"at":"2030-01-01T00:00:00Z"}`, capture.Future, "order.paid", nil},
		{"shop", `{"type":"order.paid","id":1,"_event":2}`, capture.ReservedProperty, "order.paid", nil},
		{"shop", `{"type":"a","type":"b"}`, capture.NotJSON, "", nil},
		{"shop", ``, capture.NotJSON, "", nil},
	} {
		s.Reset()
		w := deliver(h, "/v1/hooks/"+c.path, c.body, c.headers...)
		got := s.last(t).rejected
		if w.Code != 400 || got.Code != string(c.code) || string(got.Event) != c.event || !strings.Contains(string(got.Body), c.body) || string(got.Attributes) != `{"hook":"`+c.path+`"}` {
			t.Errorf("%s: %d %s\n%+v", c.body, w.Code, w.Body, got)
		}
	}
}

func TestGeneric(t *testing.T) {
	prefix := "shop."
	h, s, _ := mounted(t, map[string]Config{
		"shop":  {Kind: "generic", Event: "/type", NamePrefix: &prefix, ID: "/data/0/a~1b", Time: "/at"},
		"fixed": {Kind: "generic", Event: "lamp.switched"},
	}, nil)
	for _, c := range []struct{ path, body, name, id, time string }{
		{"shop", `{"type":"order.paid","data":[{"a/b":"x"}],"at":"2026-01-01T02:00:00+02:00"}`, "shop.order.paid", "x", "2026-01-01T00:00:00Z"},
		{"shop", `{"type":"order.paid","data":[{"a/b":12.50}],"at":1767225600}`, "shop.order.paid", "12.50", "2026-01-01T00:00:00Z"},
		{"shop", `{"type":"order.paid","data":[{"a/b":1}],"at":1767225600500}`, "shop.order.paid", "1", "2026-01-01T00:00:00.5Z"},
		{"shop", `{"type":"order.paid","data":[{"a/b":1}],"at":null}`, "shop.order.paid", "1", receipt},
		{"shop", `{"type":"order.paid","data":[{"a/b":1}],"timestamp":3}`, "shop.order.paid", "1", receipt},
		{"fixed", `{"timestamp":1767225600}`, "lamp.switched", "", "2026-01-01T00:00:00Z"},
		{"fixed", `{"timestamp":"soon"}`, "lamp.switched", "", receipt},
	} {
		s.Reset()
		w := deliver(h, "/v1/hooks/"+c.path, c.body)
		if got := s.last(t); w.Code != 200 || got.name != c.name || c.id != "" && got.id != c.id || got.id == "" || got.time != c.time || got.byReceipt != (c.time == receipt) || got.data != c.body {
			t.Errorf("%d %s %+v", w.Code, w.Body, got)
		}
	}
}

// closed is a gate for one key.
type closed struct{ capture.Pass }

func (g closed) Open(token string) (capture.Pass, error) {
	if token != "key" {
		return nil, fmt.Errorf("%w: no key", arbalest.ErrDenied)
	}
	return g, nil
}

func (closed) Allows(name arbalest.EventName) bool { return name == "a" }
func (closed) Take(int) error                      { return nil }

// Every source has to prove itself, in its own way.
func TestProofs(t *testing.T) {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte("{}"))
	h, s, log := mounted(t, map[string]Config{
		"sha1":  {Kind: "generic", Event: "b", Secret: secret, HMAC: &HMAC{Header: "X-Sig", Algorithm: "sha1", Encoding: "base64"}},
		"token": {Kind: "generic", Event: "b", Token: &Token{"X-Token", "tok"}},
		"both":  {Kind: "generic", Event: "b", Secret: secret, HMAC: &HMAC{Header: "X-Sig", Algorithm: "sha1", Encoding: "base64"}, Token: &Token{"X-Token", "tok"}},
		"key":   {Kind: "generic", Event: "a"},
		"other": {Kind: "generic", Event: "b"},
	}, closed{})
	sig := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, c := range []struct {
		path    string
		status  int
		headers []string
	}{
		{"sha1", 200, []string{"X-Sig", sig}}, {"sha1", 401, []string{"X-Sig", sig[1:]}}, {"sha1", 401, []string{"X-Api-Key", "key"}},
		{"token", 200, []string{"X-Token", "tok"}}, {"token", 401, []string{"X-Token", "token"}}, {"token", 401, nil},
		{"both", 200, []string{"X-Token", "tok", "X-Sig", sig}}, {"both", 401, []string{"X-Token", "tok"}}, {"both", 401, []string{"X-Sig", sig}},
		{"key", 200, []string{"X-Api-Key", "key"}}, {"key", 401, nil}, {"other", 400, []string{"X-Api-Key", "key"}},
	} {
		s.Reset()
		if w := deliver(h, "/v1/hooks/"+c.path, "{}", c.headers...); w.Code != c.status || (s.Len() > 0) != (c.status != 401) {
			t.Errorf("%s %v: %d %s %s", c.path, c.headers, w.Code, w.Body, s)
		}
	}
	if strings.Contains(log.String(), "tok\"") || strings.Contains(log.String(), secret) {
		t.Error(log)
	}
}

func TestConfigsThatAreRefused(t *testing.T) {
	for _, c := range []Config{
		{}, {Kind: "github"}, {Kind: "gitlab"}, {Kind: "github", Secret: "verysecret", ID: "/id"}, {Kind: "generic"}, {Kind: "generic", Event: "a b"},
		{Kind: "generic", Event: "/a~2"}, {Kind: "generic", Event: "/a", ID: "id"}, {Kind: "generic", Event: "/a", Secret: "verysecret"},
		{Kind: "generic", Event: "/a", HMAC: &HMAC{Header: "X"}}, {Kind: "generic", Event: "/a", Secret: "verysecret", HMAC: &HMAC{}},
		{Kind: "generic", Event: "/a", Secret: "verysecret", HMAC: &HMAC{Header: "X", Algorithm: "md5"}}, {Kind: "generic", Event: "/a", Secret: "verysecret", HMAC: &HMAC{Header: "X", Encoding: "hax"}},
		{Kind: "generic", Event: "/a", Token: &Token{Header: "X"}}, {Kind: "generic", Event: "/a", Token: &Token{Value: "verysecret"}},
	} {
		_, err := New(Options{Sources: map[string]Config{"src": c}})
		if !errors.Is(err, arbalest.ErrInvalid) || strings.Contains(err.Error(), "verysecret") || !strings.Contains(err.Error(), "src") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := New(Options{Sources: map[string]Config{"a/b": {Kind: "generic", Event: "/a"}}}); err == nil {
		t.Error("a source's name has a slash")
	}
}

// A guard is the policy of events of which nothing may be kept as it came.
type guard struct{}

func (guard) Guards() bool                                      { return true }
func (guard) Admit(*arbalest.Event, bool) *capture.Refusal      { return nil }
func (guard) Protect(_, _ []byte) (_, _ []byte, whole, ok bool) { return nil, nil, false, false }

// Whose rules are those of a delivery its action says, which cannot be told of
// what is no JSON as it is taken.
func TestNothingOfAGuardedDeliveryIsKept(t *testing.T) {
	s := &stored{}
	c, err := capture.New(capture.Options{Appender: s, Guarded: true, Policies: func(name arbalest.EventName) capture.Policy {
		if name == "github.issues.opened" {
			return guard{}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	h, err := New(Options{Capture: c, Next: c, Sources: map[string]Config{"github": {Kind: "github", Secret: secret}}})
	if err != nil {
		t.Fatal(err)
	}
	for body, delivery := range map[string]string{
		`{"action":"opened","issue":{"title":"\ud800"},"email":"jane@doe.com"}`: "1",
		`{"action":"opened","email":"jane@doe.com","email":""}`:                 "2",
		`{"action":"opened","email":"jane@doe.com"}`:                            "", // there is none
	} {
		s.Reset()
		w := deliver(h, "/v1/hooks/github", body, signed("issues", delivery, body)...)
		if w.Code != 400 || s.Len() == 0 || bytes.Contains(s.Bytes(), []byte("jane@doe.com")) {
			t.Errorf("%s: %d %s", body, w.Code, s.Bytes())
		}
	}
}
