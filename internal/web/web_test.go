package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/archive"
	"arbalest/internal/lake"
	"arbalest/internal/load"
	"arbalest/internal/model"
	"arbalest/internal/warehouse"
	"arbalest/pipeline"
)

// hostile is what names and values may have in them.
const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>{{.}}`

// A fake is a Program: an empty one, or one that has something of everything,
// all of whose texts are hostile.
type fake struct {
	full     bool
	err      error
	replayed int
	verified []string // samples that were asked for, and "stop"
}

var (
	then = time.Date(2015, 8, 18, 6, 36, 40, 0, time.UTC)
	ref  = lake.Ref{Hour: arbalest.HourOf(then), Writer: "01JD3W4X2N8Q7R5T6V9Y0Z1A2B", N: 17, Line: 3}
)

func (f *fake) Flow(context.Context) (Flow, error) {
	if !f.full {
		return Flow{}, f.err
	}
	v := 0.0016
	return Flow{
		At: []int64{1, 2}, Names: []FlowName{{Name: hostile, Events: []float64{1, 2}, Minute: 3}, {Events: []float64{1, 1}}},
		Accepted: []float64{1, 2}, Rejected: []float64{0, 0}, Median: []*float64{nil, &v}, High: []*float64{nil, &v}, Lag: []*float64{nil, &v},
		Minute: FlowMinute{Accepted: 12345.6, Median: &v, High: &v, Lag: &v}, Troubles: []Trouble{{hostile, "/tables/x"}, {hostile, ""}}, Ever: true,
	}, f.err
}

func (f *fake) line() EventLine {
	return EventLine{Name: hostile, Table: hostile, PerSecond: 1, Stored: 1234567, Rejected: 2, First: &then, Last: &then, Loaded: &then, Defined: true}
}

func (f *fake) Events(context.Context) ([]EventLine, error) {
	if !f.full {
		return nil, f.err
	}
	return []EventLine{f.line(), {Name: "b"}}, f.err
}

func (f *fake) Event(_ context.Context, name arbalest.EventName) (EventDetail, error) {
	if !f.full {
		return EventDetail{EventLine: EventLine{Name: name}}, f.err
	}
	return EventDetail{
		EventLine: f.line(), Sampled: 10, From: then, To: then, Examples: []string{hostile},
		Properties: []Property{{Path: hostile, Type: "BIGINT", Events: 5, Nulls: 1, Examples: []string{hostile}, Unknown: true}, {Path: "b", Defined: "DATE", Required: true}},
		Definition: &Definition{Place: hostile, Contract: hostile, Absent: []string{hostile}, Taken: []Misfit{{hostile, hostile, 1, hostile}}, LoadErrors: []Misfit{{hostile, hostile, 1, hostile}}},
	}, f.err
}

func (f *fake) Tables(context.Context) ([]TableLine, error) {
	if !f.full {
		return nil, f.err
	}
	return []TableLine{{Name: hostile, Event: hostile, Rows: 1, Columns: 2, Bytes: 3 << 20, Newest: &then, Loaded: &then, Errors: 1, Stalled: hostile}, {Name: "b", Bytes: -1}}, f.err
}

func (f *fake) errors() []LoadError {
	return []LoadError{{LoadedAt: &then, Object: hostile, Line: 7, ID: hostile, Column: hostile, Value: hostile, Reason: hostile}, {Loaded: true}}
}

func (f *fake) Table(_ context.Context, name string) (TableDetail, error) {
	if !f.full {
		return TableDetail{TableLine: TableLine{Name: name, Bytes: -1}}, f.err
	}
	return TableDetail{
		TableLine: TableLine{Name: hostile, Event: hostile, Rows: 1, Bytes: 1, Stalled: hostile}, Fields: []TableField{{hostile, hostile}},
		Loads: []TableLoad{{Commit: 1, Hour: &then, Counts: load.Counts{Errors: 1}, LoadedAt: &then}}, Errors: f.errors(), Hours: []HourOfRows{{then, 0}, {then, 10}}, MoreErrors: true,
	}, f.err
}

func (f *fake) Line(_ context.Context, table string, object arbalest.Key, line int64) (OffendingLine, error) {
	return OffendingLine{Table: table, Object: object, Line: line, Text: hostile, Cut: true, Errors: f.errors()}, f.err
}

func (f *fake) kept() lake.Kept {
	return lake.Kept{Ref: ref, Rejected: lake.Rejected{Code: hostile, Reason: hostile, Event: "user.created", ID: hostile, Received: then, Body: []byte(hostile + "\x1b[31m"), Form: hostile, Attributes: []byte(hostile), Origin: hostile, Truncated: true}, Again: then}
}

func (f *fake) Rejected(_ context.Context, filter RejectFilter) (RejectList, error) {
	r := RejectList{Filter: filter, Codes: []string{"bad_time"}}
	if f.full {
		r.Shown, r.Looked, r.Matched, r.More = []lake.Kept{f.kept(), {Ref: ref, Err: errors.New(hostile)}}, 5000, 3, true
		r.Groups = []RejectGroup{{hostile, hostile, 2, then}, {"not_json", "", 1, then}}
	}
	return r, f.err
}

func (f *fake) Kept(context.Context, lake.Ref) (lake.Kept, error) { return f.kept(), f.err }

func (f *fake) Replay(_ context.Context, _ RejectFilter, _ *lake.Ref, dry bool) (Outcome, error) {
	f.replayed++
	return Outcome{Dry: dry, Places: 3, Replayed: 2, Accepted: 2, Rejected: 1, Loaded: 2, Left: []Left{{hostile, hostile, ref.String(), 1}}, Stalled: hostile}, f.err
}

func (f *fake) Models(context.Context) (ModelSet, error) {
	set := ModelSet{Folder: hostile}
	if f.full {
		state := &model.State{Kind: model.Table, Build: 2, Rows: 3, Built: then, State: model.Failed, Message: hostile}
		tests := []ModelTest{{Tested: model.Tested{Test: hostile}}, {model.Tested{Test: "unique(a)", Ran: then, Failures: 2}, hostile}, {Tested: model.Tested{Test: "b", Ran: then, Error: hostile}}}
		set.Models = []ModelLine{
			{Name: hostile, File: hostile, Kind: model.Table, Description: hostile, SQL: hostile, Sources: []string{hostile + "source"}, State: state, Next: "full", Why: hostile, Tests: tests},
			{Name: "b", Kind: model.View, Sources: []string{hostile}, Error: hostile, Waiting: true},
		}
	}
	return set, f.err
}

func (f *fake) TestModels(context.Context, string) error { return f.err }

func (f *fake) Runs(context.Context) ([]pipeline.RunLine, error) {
	if !f.full {
		return nil, f.err
	}
	return []pipeline.RunLine{{Pipeline: hostile, Run: "01M88BR9GEQ6XJ60GH6DW58QSG", Key: hostile, State: pipeline.Failed, Started: then, Finished: &then, Rows: 1, Errors: 1, Message: hostile}, {Pipeline: "b"}}, f.err
}

func (f *fake) Run(_ context.Context, run string) (RunDetail, error) {
	d := RunDetail{RunLine: pipeline.RunLine{Pipeline: hostile, Run: run, Key: hostile, Message: hostile}}
	if f.full {
		d.Steps = []pipeline.StepLine{{Name: hostile, State: pipeline.Done, Started: &then, Finished: &then, Message: hostile}, {}}
	}
	return d, f.err
}

func (f *fake) Store(context.Context) (StoreCount, error) {
	c := StoreCount{Where: hostile, Hot: -1, Price: 0.023}
	if f.full {
		c.Begun, c.Finished, c.Cut, c.Again, c.Hot, c.Others = then, then, true, true, 1<<40, 3
		c.Kinds, c.Events = []StoreKind{{hostile, hostile, 1, 2 << 40}}, []StoreKind{{hostile, hostile, 1, 1 << 40}}
	}
	return c, f.err
}

func (f *fake) Verification(context.Context) (Verification, error) {
	var v Verification
	if f.full {
		asked := Asked{Command: hostile, Begun: then}
		n := verifyShown + 3
		t := archive.TableReport{Event: hostile, Table: hostile, Stored: 1234567, Findings: map[archive.Kind]int64{archive.Extra: 3}}
		r := archive.Report{Head: 9, Through: 8, Sample: &archive.Sampled{Seed: 1}, Tables: []archive.TableReport{{Event: "a"}, t}, Found: map[archive.Kind]int64{archive.Extra: 3, archive.Orphan: 4321}}
		for range n {
			r.Tables[1].Hours = append(r.Tables[1].Hours, archive.HourReport{Hour: hostile})
			r.Findings = append(r.Findings, archive.Finding{Kind: archive.Orphan, Event: hostile, Object: hostile, Hour: hostile, What: hostile + "\x1b"})
		}
		v = Verification{Last: &Verified{Asked: asked, Seconds: 3, Report: r}, Now: &Verifying{Asked: asked, Objects: 98765}, Failed: &VerifyFailure{asked, hostile}}
	}
	return v, f.err
}

func (f *fake) Verify(_ context.Context, sample string, content bool) error {
	f.verified = append(f.verified, fmt.Sprint(sample, content))
	return f.err
}

func (f *fake) StopVerify(context.Context) error {
	f.verified = append(f.verified, "stop")
	return f.err
}

func (f *fake) Ask(_ context.Context, _ string, to warehouse.Sink) error {
	if f.err != nil {
		return f.err
	}
	return to.Columns([]warehouse.ResultColumn{{Name: "a", Type: "VARCHAR"}})
}

func newSite(t *testing.T, p Program, change ...func(*Options)) *Site {
	t.Helper()
	opts := Options{Program: p, Capture: "http://127.0.0.1:9"}
	for _, c := range change {
		c(&opts)
	}
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask sends a request and returns the answer and its body.
func ask(t *testing.T, s *Site, method, target, form string, headers ...string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(form))
	r.Host = "127.0.0.1:8081"
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Result(), string(body)
}

// paths are all pages but SQL's.
var paths = []string{
	"/", "/events", "/events/" + url.PathEscape(hostile), "/tables", "/tables/user_created", "/tables/user_created/line?object=a&line=3",
	"/rejected", "/rejected?reason=bad_time&event=" + url.QueryEscape(hostile), "/rejected/one?place=" + url.QueryEscape(ref.String()),
	"/models", "/runs", "/runs/01M88BR9GEQ6XJ60GH6DW58QSG", "/store", "/verify",
}

// element matches what a browser would run or load of hostile text.
var element = regexp.MustCompile(`(?i)<script>|<img|onerror=["']?alert\(2\)>|\sstyle=|\son[a-z]+="`)

func TestPagesAreMadeEmptyAndFull(t *testing.T) {
	for _, full := range []bool{false, true} {
		s := newSite(t, &fake{full: full})
		for _, path := range paths {
			r, body := ask(t, s, "GET", path, "")
			if r.StatusCode != 200 || !strings.Contains(body, "</html>") {
				t.Errorf("full %v, %s: %s, %.300s", full, path, r.Status, body)
			}
			if bad := element.FindString(body); bad != "" {
				t.Errorf("full %v, %s has %q", full, path, bad)
			}
			if !strings.Contains(body, `<h1>`) || !strings.Contains(body, `class="skip"`) || strings.Contains(body, "<no value>") || strings.Contains(body, "ZgotmplZ") {
				t.Errorf("full %v, %s lacks a heading or the skip link, or a value", full, path)
			}
		}
	}
}

func TestEmptyPagesShowTheLineThatFillsThem(t *testing.T) {
	s := newSite(t, &fake{})
	for _, path := range []string{"/", "/events", "/tables", "/rejected", "/models", "/runs", "/store", "/verify"} {
		if _, body := ask(t, s, "GET", path, ""); !strings.Contains(body, "curl -d") || !strings.Contains(body, "http://127.0.0.1:9/v1/events") {
			t.Errorf("%s has no line of curl", path)
		}
	}
}

func TestAModelsPage(t *testing.T) {
	s := newSite(t, &fake{full: true})
	if r, body := ask(t, s, "GET", "/models/b", ""); r.StatusCode != 200 || element.MatchString(body) {
		t.Errorf("%s %s", r.Status, body)
	}
	if r, _ := ask(t, s, "GET", "/models/none", ""); r.StatusCode != 404 {
		t.Errorf("a model that is not there: %s", r.Status)
	}
	if r, _ := ask(t, s, "POST", "/models/b/test", "x=1"); r.StatusCode != 303 || r.Header.Get("Location") != "/models/b#tests" {
		t.Errorf("test: %s to %s", r.Status, r.Header.Get("Location"))
	}
}

func TestControlCharactersAreShownAsOthers(t *testing.T) {
	_, body := ask(t, newSite(t, &fake{full: true}), "GET", "/rejected/one?place="+url.QueryEscape(ref.String()), "")
	if strings.Contains(body, "\x1b") || !strings.Contains(body, "␛[31m") {
		t.Error("an escape came through")
	}
	if got := visible("a\u202eb\x00\x7f\n"); got != "a\ufffdb␀␡\n" {
		t.Errorf("visible: %q", got)
	}
}

func TestRejectedBytesAreAFile(t *testing.T) {
	f := &fake{full: true}
	r, body := ask(t, newSite(t, f), "GET", "/rejected/bytes?place="+url.QueryEscape(ref.String()), "")
	if body != string(f.kept().Body) || r.Header.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(r.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("%v %q", r.Header, body)
	}
}

func TestOtherHostsAreRefusedWithoutAPassword(t *testing.T) {
	s := newSite(t, &fake{})
	for host, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:8081": 200, "localhost:8081": 200, "LOCALHOST": 200, "[::1]:8081": 200, "127.5.6.7:1": 200,
		"evil.example": 421, "evil.example:8081": 421, "127.0.0.1.evil.example": 421, "localhost.evil.example": 421, "10.0.0.1": 421, "": 421, "[::ffff:10.0.0.1]:1": 421,
	} {
		if r, _ := ask(t, s, "GET", "/", "", "Host", host); r.StatusCode != want {
			t.Errorf("host %q: %s, want %d", host, r.Status, want)
		}
	}
}

func TestThePasswordLetsIn(t *testing.T) {
	s := newSite(t, &fake{}, func(o *Options) { o.Password = "s3cret" })
	for _, c := range []struct {
		user, password string
		want           int
	}{{"arbalest", "s3cret", 200}, {"arbalest", "s3cre", 401}, {"arbalest", "", 401}, {"admin", "s3cret", 401}, {"", "", 401}} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = "events.example:8081"
		if c.user != "" {
			r.SetBasicAuth(c.user, c.password)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != c.want || c.want == 401 && w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s:%s: %d, want %d", c.user, c.password, w.Code, c.want)
		}
	}
	if r, _ := ask(t, s, "GET", s.mustURL("style.css"), ""); r.StatusCode != 401 {
		t.Errorf("an asset without the password: %s", r.Status)
	}
}

// mustURL returns the URL of an asset that is there.
func (s *Site) mustURL(name string) string {
	u, err := s.assets.url(name)
	if err != nil {
		panic(err)
	}
	return u
}

func TestPostsFromOtherOriginsAreRefused(t *testing.T) {
	f := &fake{full: true}
	s := newSite(t, f)
	place := url.Values{"place": {ref.String()}}.Encode()
	for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "http://evil.example"}, {"Origin", "null"}} {
		if r, _ := ask(t, s, "POST", "/rejected/replay", place, headers...); r.StatusCode != 403 {
			t.Errorf("%v: %s", headers, r.Status)
		}
	}
	if f.replayed != 0 {
		t.Fatal("something was replayed")
	}
	r, body := ask(t, s, "POST", "/rejected/replay", place+"&dry=1", "Sec-Fetch-Site", "same-origin", "Origin", "http://127.0.0.1:8081")
	if r.StatusCode != 200 || f.replayed != 1 || element.MatchString(body) || !strings.Contains(body, "would be") {
		t.Errorf("of the page itself: %s, %d replays: %s", r.Status, f.replayed, body)
	}
	if r, _ := ask(t, s, "GET", "/rejected/replay?place=x", ""); r.StatusCode != 404 && r.StatusCode != 405 || f.replayed != 1 {
		t.Errorf("GET replays: %s", r.Status)
	}
}

func TestErrorsHaveTheirStatus(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{fmt.Errorf("%w: %s", arbalest.ErrUnknown, hostile), 404}, {fmt.Errorf("%w: a", arbalest.ErrInvalid), 400},
		{fmt.Errorf("%w: a", arbalest.ErrUnavailable), 503}, {context.DeadlineExceeded, 503}, {errors.New("a"), 500},
	} {
		s := newSite(t, &fake{err: c.err})
		for _, path := range paths {
			r, body := ask(t, s, "GET", path, "")
			if r.StatusCode != c.want || element.MatchString(body) || !strings.Contains(body, "<h1>") {
				t.Errorf("%v at %s: %s", c.err, path, r.Status)
			}
		}
	}
	s := newSite(t, &fake{})
	for path, want := range map[string]int{"/nothing": 404, "/rejected/one?place=x": 400, "/rejected/bytes?place=": 400, "/tables/a/line?line=x": 400, "/assets/0/style.css": 404} {
		if r, _ := ask(t, s, "GET", path, ""); r.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, r.Status, want)
		}
	}
}

func TestThePolicyAllowsNothingInline(t *testing.T) {
	s := newSite(t, &fake{full: true})
	for _, path := range append(paths, "/nothing", "/flow.json", s.mustURL("style.css")) {
		r, body := ask(t, s, "GET", path, "")
		csp := r.Header.Get("Content-Security-Policy")
		if csp != policy || strings.Contains(csp, "unsafe") || r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, r.Header)
		}
		if regexp.MustCompile(`<script(?:\s[^>]*)?>[^<]|<style|javascript:`).MatchString(body) {
			t.Errorf("%s has something inline", path)
		}
	}
}

func TestAssetsAreKeptForGood(t *testing.T) {
	s := newSite(t, &fake{})
	_, page := ask(t, s, "GET", "/", "")
	for _, m := range regexp.MustCompile(`(?:href|src)="(/assets/[^"]+)"`).FindAllStringSubmatch(page, -1) {
		r, body := ask(t, s, "GET", m[1], "")
		if r.StatusCode != 200 || !strings.Contains(r.Header.Get("Cache-Control"), "immutable") || len(body) == 0 {
			t.Errorf("%s: %s, %v", m[1], r.Status, r.Header)
		}
	}
	r, packed := ask(t, s, "GET", s.mustURL("vendor/uPlot.js"), "", "Accept-Encoding", "br, gzip")
	if r.Header.Get("Content-Encoding") != "gzip" || len(packed) > 30_000 {
		t.Errorf("%d bytes, %v", len(packed), r.Header)
	}
	for name := range s.assets.files {
		if strings.HasPrefix(name, "vendor/") && strings.HasSuffix(name, ".js") {
			if _, ok := s.assets.files[strings.TrimSuffix(name, ".js")+".LICENSE.txt"]; !ok {
				t.Errorf("%s has no licence beside it", name)
			}
		}
	}
}

func TestPagesThatAreTooManyWait(t *testing.T) {
	s := newSite(t, &fake{}, func(o *Options) { o.Timeout = 20 * time.Millisecond })
	for range pagesAtATime {
		s.making <- struct{}{}
	}
	if r, _ := ask(t, s, "GET", "/runs", ""); r.StatusCode != 503 {
		t.Errorf("with all places taken: %s", r.Status)
	}
	<-s.making
	if r, _ := ask(t, s, "GET", "/runs", ""); r.StatusCode != 200 {
		t.Errorf("with one free: %s", r.Status)
	}
}
