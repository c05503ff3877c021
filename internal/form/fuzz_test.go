package form

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"arbalest/internal/capture"
)

// answered checks an answer to any body: each event is accepted or rejected,
// the answer says which, what is stored can be read, and the same again is the
// same.
func answered(t *testing.T, p place, r func() *http.Request) {
	t.Helper()
	var before []stored
	for again := range 2 {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r())
		events, rejected := p.lines.take(t)
		var a struct {
			Accepted int
			Rejected []struct{ Index int }
			Success  *bool
		}
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != 200 && w.Code != 400 && w.Code != 415 && w.Code != 429 && w.Code != 413 {
			t.Fatalf("%d %q: %v", w.Code, w.Body, err)
		}
		if a.Accepted != len(events) || len(a.Rejected) != len(rejected) || a.Accepted > 0 && w.Code != 200 {
			t.Fatalf("%d and %d are stored, the answer is %d %s", len(events), len(rejected), w.Code, w.Body)
		}
		if a.Success != nil && *a.Success != (w.Code == 200) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for i, e := range events {
			if !json.Valid([]byte(e.Attributes)) || !json.Valid([]byte(e.Properties)) {
				t.Fatalf("%+v", e)
			}
			if again == 1 && (before[i].Name != e.Name || before[i].Properties != e.Properties || before[i].Attributes != e.Attributes) {
				t.Fatalf("%+v, then %+v", before[i], e)
			}
		}
		before = events
	}
}

func FuzzStructured(f *testing.F) {
	for _, seed := range []string{
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":1}}`, `[{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"QQ==","datacontenttype":"text/plain"}, 7]`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","data":null,"time":"2018-04-05T17:31:00Z"}`, `[`, ``, `{"\u0000":"\ud800"}`,
		`{"specversion":"1.0","id":"0192f5a0-0000-7000-8000-000000000000","source":"/s","type":"t","\u0064ata":[1],"time":null}`,
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	p := newPlace(f, Options{}, capture.Options{MaxBody: 1 << 20})
	f.Fuzz(func(t *testing.T, body []byte, batch bool) {
		answered(t, p, func() *http.Request {
			r := httptest.NewRequest(http.MethodPost, "/v1/cloudevents", strings.NewReader(string(body)))
			r.Header.Set("Content-Type", map[bool]string{true: cloudBatch, false: cloudJSON}[batch])
			return r
		})
	})
}

func FuzzBinary(f *testing.F) {
	f.Add("1", "/s", "t", "a%20b", "text/plain", []byte("x"))
	f.Add("1", "/a%20b", `"q\"x"`, "%C0%A0", "application/json", []byte(`{"a":1}`))
	p := newPlace(f, Options{}, capture.Options{MaxBody: 1 << 20})
	f.Fuzz(func(t *testing.T, id, source, kind, subject, contentType string, body []byte) {
		answered(t, p, func() *http.Request {
			r := httptest.NewRequest(http.MethodPost, "/v1/cloudevents", strings.NewReader(string(body)))
			r.Header = http.Header{"Ce-Specversion": {"1.0"}, "Ce-Id": {id}, "Ce-Source": {source}, "Ce-Type": {kind}, "Ce-Subject": {subject}, "Content-Type": {contentType}}
			return r
		})
	})
}

func FuzzSegment(f *testing.F) {
	for _, seed := range []string{
		`{"event":"A","userId":"u","messageId":"m","properties":{"a":1}}`, `{"batch":[{"type":"track","event":"A","anonymousId":"u"},{"type":"page","userId":1},7],"context":{"a":1},"sentAt":"2026-11-22T12:00:00Z"}`,
		`{"batch":[],"integrations":{"\u0061":1,"a":2}}`, `{"userId":"u","groupId":"g","traits":{"user_id":1},"writeKey":"k","timestamp":"2015-2-02T00:30:08.276Z"}`, `[`, ``,
		`{"batch":[{"type":"track","event":"A","userId":"u","context":{"b":2}}],"context":{"\u0062":1,"c":3},"\ud800":1}`,
	} {
		for _, path := range []string{"/v1/track", "/v1/group", "/v1/batch"} {
			f.Add(path, []byte(seed))
		}
	}
	p := newPlace(f, Options{}, capture.Options{MaxBody: 1 << 20})
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		if p.paths[path] == nil {
			path = "/v1/batch"
		}
		if path == "/v1/events" || path == "/v1/cloudevents" {
			return
		}
		answered(t, p, func() *http.Request {
			return httptest.NewRequest(http.MethodPost, path, strings.NewReader(string(body)))
		})
	})
}

// FuzzElements compares with another parser.
func FuzzElements(f *testing.F) {
	f.Add([]byte(` [1, "]", {"a":[2]} ,[ ] , null,-1e5]`))
	f.Fuzz(func(t *testing.T, array []byte) {
		var want []json.RawMessage
		array = trim(array)
		if len(array) == 0 || array[0] != '[' || json.Unmarshal(array, &want) != nil {
			return
		}
		var got []string
		for at, e := range elements(array) {
			if string(array[at:at+len(e)]) != string(e) {
				t.Fatalf("%q is not at %d", e, at)
			}
			got = append(got, string(e))
		}
		if len(got) != len(want) {
			t.Fatalf("%q, want %q", got, want)
		}
		for i := range want {
			if got[i] != string(want[i]) {
				t.Fatalf("%q, want %q", got, want)
			}
		}
	})
}
