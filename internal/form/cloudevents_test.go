package form

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"arbalest/internal/capture"
)

const structuredType = "application/cloudevents+json; charset=UTF-8"

// The examples of the specification (JSON format, sections 3.2 and 4.3) in
// structured mode, and re-encoded in binary mode.
func TestCloudEventExamples(t *testing.T) {
	p := newPlace(t, Options{}, capture.Options{})
	headers := func(id, contentType string) []string {
		return []string{"ce-specversion", "1.0", "ce-type", "com.example.someevent", "ce-source", "/mycontext", "ce-id", id, "ce-time", "2018-04-05T17:31:00Z",
			"ce-comexampleextension1", "value", "ce-comexampleothervalue", "5", "content-type", contentType}
	}
	common := `"specversion":"1.0","type":"com.example.someevent","source":"/mycontext","time":"2018-04-05T17:31:00Z","comexampleextension1":"value","comexampleothervalue":5,"unsetextension":null,"subject":null`
	raw := "\x80\x01\x00"
	for _, c := range []struct {
		id, contentType, member, body, properties string
	}{
		{"A234-1234-1234", "application/vnd.apache.thrift.binary", `"data_base64":"` + base64.StdEncoding.EncodeToString([]byte(raw)) + `"`, raw, `{"data_base64":"gAEA"}`},
		{"B234-1234-1234", "application/xml", `"data":"<much wow=\"xml\"/>"`, `<much wow="xml"/>`, `{"data":"<much wow=\"xml\"/>"}`},
		{"C234-1234-1234", "application/json", `"data" : { "appinfoA" : "abc", "appinfoB" : 123, "appinfoC" : true }`, "{\n  \"appinfoA\" : \"abc\",\n  \"appinfoB\" : 123,\n  \"appinfoC\" : true\n}\n", `{"appinfoA":"abc","appinfoB":123,"appinfoC":true}`},
		{"D234-1234-1234", "", `"data":"I'm just a string"`, `"I'm just a string"`, `{"data":"I'm just a string"}`},
		{"E", "application/vnd.x+json; charset=utf-8", `"data":[1, 2.50]`, `[1, 2.50]`, `{"data":[1,2.50]}`},
		{"F", "text/plain", `"data":null`, "null", ""},
		{"G", "text/plain", `"subject2":"x"`, "", `{}`},
		{"H", "application/json", `"data_base64":"` + base64.StdEncoding.EncodeToString([]byte(`{"a": 1}`)) + `"`, `{"a": 1}`, `{"a":1}`},
	} {
		own := `{` + common + `,"id":"` + c.id + `",` + c.member + `}`
		if c.contentType != "" {
			own = own[:len(own)-1] + `,"datacontenttype":"` + c.contentType + `"}`
		} else {
			c.contentType = "application/json"
		}
		var seen []stored
		for mode, w := range map[string]*httptest.ResponseRecorder{
			"structured": p.post("/v1/cloudevents", own, "Content-Type", structuredType),
			"on events":  p.post("/v1/events", own, "Content-Type", "Application/CloudEvents+JSON"),
			"batched":    p.post("/v1/events", "[ "+own+" ]", "Content-Type", cloudBatch),
			"binary":     p.post("/v1/events", c.body, headers(c.id, c.contentType)...),
		} {
			if w.Code != 200 || !strings.HasPrefix(w.Body.String(), `{"accepted":1,"rejected":[],`) {
				t.Errorf("%s, %s: %d %s", c.id, mode, w.Code, w.Body)
			}
		}
		seen, _ = p.lines.take(t)
		for _, e := range seen {
			if e.Name != "com.example.someevent" || e.ID != "/mycontext "+c.id || e.Time != "2018-04-05T17:31:00Z" || c.properties != "" && e.Properties != c.properties {
				t.Errorf("%s: %+v", c.id, e)
			}
			for _, want := range []string{`"source":"/mycontext"`, `"comexampleextension1":"value"`, `"comexampleothervalue":`, `"id":"` + c.id + `"`} {
				if !strings.Contains(e.Attributes, want) {
					t.Errorf("%s: attributes %s", c.id, e.Attributes)
				}
			}
			if strings.Contains(e.Attributes, "null") || strings.Contains(e.Attributes, `"data"`) {
				t.Errorf("%s: attributes %s", c.id, e.Attributes)
			}
		}
	}
}

// The first example of the specification itself, and that of an empty batch.
func TestCloudEventOfTheSpecification(t *testing.T) {
	p := newPlace(t, Options{}, capture.Options{})
	w := p.post("/v1/cloudevents", `{
    "specversion" : "1.0",
    "type" : "com.github.pull_request.opened",
    "source" : "https://github.com/cloudevents/spec/pull",
    "subject" : "123",
    "id" : "A234-1234-1234",
    "time" : "2018-04-05T17:31:00Z",
    "comexampleextension1" : "value",
    "comexampleothervalue" : 5,
    "datacontenttype" : "text/xml",
    "data" : "<much wow=\"xml\"/>"
}`, "Content-Type", structuredType)
	events, _ := p.lines.take(t)
	want := stored{"com.github.pull_request.opened", "https://github.com/cloudevents/spec/pull A234-1234-1234", "2018-04-05T17:31:00Z", `{"data":"<much wow=\"xml\"/>"}`,
		`{"specversion":"1.0","type":"com.github.pull_request.opened","source":"https://github.com/cloudevents/spec/pull","subject":"123","id":"A234-1234-1234","time":"2018-04-05T17:31:00Z","comexampleextension1":"value","comexampleothervalue":5,"datacontenttype":"text/xml"}`}
	if w.Code != 200 || len(events) != 1 || events[0] != want {
		t.Errorf("%d %+v", w.Code, events)
	}
	if w := p.post("/v1/cloudevents", "[]", "Content-Type", cloudBatch); w.Code != 200 || !strings.HasPrefix(w.Body.String(), `{"accepted":0,"rejected":[]`) {
		t.Errorf("an empty batch: %d %s", w.Code, w.Body)
	}
}

// Everything that must be refused in structured mode is, alone and in a batch
// whose other events are stored, and is kept as it came.
func TestCloudEventsThatAreNone(t *testing.T) {
	p := newPlace(t, Options{}, capture.Options{})
	with := func(member string) string {
		return `{"specversion":"1.0","id":"1","source":"/s","type":"t",` + member + `}`
	}
	const good = `{"specversion":"1.0","id":"good","source":"/s","type":"t"}`
	for _, c := range []struct {
		sent string
		code capture.Code
	}{
		{`{"specversion":"1.0","id":"1","source":"/s"}`, capture.BadForm},
		{`{"specversion":"1.0","id":"1","type":"t"}`, capture.BadForm},
		{`{"specversion":"1.0","source":"/s","type":"t"}`, capture.BadForm},
		{`{"id":"1","source":"/s","type":"t"}`, capture.BadForm},
		{`{"specversion":"1.0","id":"","source":"/s","type":"t"}`, capture.BadForm},
		{`{"specversion":"1.0","id":"1","source":"","type":"t"}`, capture.BadForm},
		{`{"specversion":"1.0","id":"1","source":"/s","type":""}`, capture.BadForm},
		{`{"specversion":"","id":"1","source":"/s","type":"t"}`, capture.BadForm},
		{`{"specversion":"1.0","id":null,"source":"/s","type":"t"}`, capture.BadForm},
		{`{"specversion":"1.0","id":7,"source":"/s","type":"t"}`, capture.BadForm},
		{`{"specversion":1.0,"id":"1","source":"/s","type":"t"}`, capture.BadForm},
		{`{"specversion":"0.3","id":"1","source":"/s","type":"t"}`, capture.BadForm},
		{`{"specversion":"1.1","id":"1","source":"/s","type":"t"}`, capture.BadForm},
		{`{"specversion":"1.0","id":"1","source":"a b","type":"t"}`, capture.BadForm},
		{`{"specversion":"1.0","id":"1","source":"/%zz","type":"t"}`, capture.BadForm},
		{`{"specversion":"1.0","id":"1","source":"/s","type":"..."}`, capture.BadName},
		{`{"specversion":"1.0","id":"1","source":"/s","type":"購入"}`, capture.BadName},
		{`{"specversion":"1.0","id":"1","source":"/s","type":"` + strings.Repeat("t", 128) + `"}`, capture.BadName},
		{with(`"Upper":"x"`), capture.BadForm},
		{with(manyNames()), capture.BadForm},
		{with(`"e":"` + strings.Repeat("x", 1<<20) + `"`), capture.EventTooLarge},
		{with(`"with_underscore":"x"`), capture.BadForm},
		{with(`"with-dash":"x"`), capture.BadForm},
		{with(`"":"x"`), capture.BadForm},
		{with(`"ext":{"a":1}`), capture.BadForm},
		{with(`"ext":[1]`), capture.BadForm},
		{with(`"ext":1.5`), capture.BadForm},
		{with(`"ext":1e3`), capture.BadForm},
		{with(`"ext":2147483648`), capture.BadForm},
		{with(`"ext":-2147483649`), capture.BadForm},
		{with(`"ext":"a\u0007b"`), capture.BadForm},
		{with(`"ext":"a\u0085b"`), capture.BadForm},
		{with(`"ext":"a\ufdd0b"`), capture.BadForm},
		{with(`"ext":"a\uffff"`), capture.BadForm},
		{with(`"ext":"\uDEAD"`), capture.LoneSurrogate},
		{with(`"ext":"a","ext":"b"`), capture.DuplicateKey},
		{with(`"subject":""`), capture.BadForm},
		{with(`"subject":5`), capture.BadForm},
		{with(`"dataschema":""`), capture.BadForm},
		{with(`"dataschema":"/relative"`), capture.BadForm},
		{with(`"datacontenttype":"nonsense"`), capture.BadForm},
		{with(`"datacontenttype":"a/b c"`), capture.BadForm},
		{with(`"time":"2018-04-05"`), capture.BadTime},
		{with(`"time":"2018-04-05 17:31:00Z"`), capture.BadTime},
		{with(`"time":"2018-04-05T17:31:00"`), capture.BadTime},
		{with(`"time":"2018-04-05T17:31Z"`), capture.BadTime},
		{with(`"time":"2018-04-05T17:31:00+0200"`), capture.BadTime},
		{with(`"time":"2018-02-30T17:31:00Z"`), capture.BadTime},
		{with(`"time":"2016-12-31T23:59:60Z"`), capture.BadTime},
		{with(`"time":1522949460`), capture.BadForm},
		{with(`"time":""`), capture.BadForm},
		{with(`"data":1,"data_base64":"QQ=="`), capture.BadForm},
		{with(`"data_base64":"QQ"`), capture.BadData},
		{with(`"data_base64":7`), capture.BadData},
		{with(`"datacontenttype":"application/json","data_base64":"QQ=="`), capture.BadData},
		{`[]`, capture.NotObject}, {`"x"`, capture.NotObject}, {`7`, capture.NotObject},
	} {
		w := p.post("/v1/cloudevents", c.sent, "Content-Type", structuredType)
		events, rejected := p.lines.take(t)
		if w.Code != 400 || len(events) != 0 || len(rejected) != 1 || rejected[0].Code != string(c.code) || string(rejected[0].Body) != c.sent || rejected[0].Form != formCloudEvent {
			t.Errorf("%s: %d %s\n%+v", c.sent, w.Code, w.Body, rejected)
		}
		w = p.post("/v1/cloudevents", "["+good+", "+c.sent+" ,"+good+"]", "Content-Type", cloudBatch)
		events, rejected = p.lines.take(t)
		if w.Code != 200 || len(events) != 2 || len(rejected) != 1 || rejected[0].Index != 1 || string(rejected[0].Body) != c.sent || !strings.HasPrefix(w.Body.String(), `{"accepted":2,"rejected":[{"index":1,`) {
			t.Errorf("batch with %s: %d %s", c.sent, w.Code, w.Body)
		}
	}
	for body, contentType := range map[string]string{
		`[` + good: cloudBatch, good: cloudBatch, "": cloudBatch, "[" + good + "]": structuredType, "{": structuredType, good + good: structuredType,
	} {
		w := p.post("/v1/cloudevents", body, "Content-Type", contentType)
		events, rejected := p.lines.take(t)
		if w.Code != 400 || len(events) != 0 || len(rejected) != 1 || string(rejected[0].Body) != body {
			t.Errorf("%q: %d %s", body, w.Code, w.Body)
		}
	}
	// What only our own rules refuse is kept in our form, and can be replayed.
	w := p.post("/v1/cloudevents", with(`"data":{"_event":1},"time":"2018-04-05T17:31:00Z"`), "Content-Type", structuredType)
	if _, rejected := p.lines.take(t); w.Code != 400 || len(rejected) != 1 || rejected[0].Form != "" || rejected[0].ID != "/s 1" || rejected[0].Attributes == nil {
		t.Errorf("%d %+v", w.Code, rejected)
	}
}

func TestCloudEventsInBinaryMode(t *testing.T) {
	p := newPlace(t, Options{}, capture.Options{})
	base := []string{"ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "t"}
	post := func(body string, more ...string) (int, []stored, []string) {
		w := p.post("/v1/cloudevents", body, append(append([]string{}, base...), more...)...)
		events, rejected := p.lines.take(t)
		var codes []string
		for _, r := range rejected {
			codes = append(codes, r.Code+" "+r.Form)
		}
		return w.Code, events, codes
	}
	for _, c := range []struct{ value, want string }{
		{"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"}, // the example of section 3.1.3.2
		{"%e2%82%ac", "€"}, {"%41", "A"}, {"%2541", "%41"}, {`"quo\"ted\\ %20x"`, `quo"ted\  x`},
		{"50%", "50%"}, {"€ raw", "€ raw"}, {`a "b"`, `a "b"`}, {`"a" and "b"`, `"a" and "b"`},
	} {
		code, events, bad := post("", "ce-subject", c.value)
		if code != 200 || len(events) != 1 || !strings.Contains(events[0].Attributes, `"subject":`+string(quote(c.want))) {
			t.Errorf("%s: %d %+v %v", c.value, code, events, bad)
		}
	}
	for _, c := range []struct {
		name, body string
		headers    []string
		code       capture.Code
	}{
		{"overlong UTF-8", "", []string{"ce-subject", "%C0%A0"}, capture.InvalidUTF8},
		{"half of a character", "", []string{"ce-subject", "%E2%82"}, capture.InvalidUTF8},
		{"a byte that is none", "", []string{"ce-subject", "\xe9"}, capture.InvalidUTF8},
		{"an escaped control character", "", []string{"ce-subject", "a%07"}, capture.BadForm},
		{"ce-datacontenttype", "{}", []string{"Content-Type", "application/json", "ce-datacontenttype", "application/json"}, capture.BadForm},
		{"an attribute twice", "", []string{"ce-subject", "a", "CE-Subject", "b"}, capture.BadForm},
		{"a required one twice", "", []string{"ce-id", "2"}, capture.BadForm},
		{"a name with an underscore", "", []string{"ce-a_b", "x"}, capture.BadForm},
		{"a name with a dash", "", []string{"ce-a-b", "x"}, capture.BadForm},
		{"the name data", "", []string{"ce-data", "x"}, capture.BadForm},
		{"an empty subject", "", []string{"ce-subject", ""}, capture.BadForm},
		{"a time that is none", "", []string{"ce-time", "yesterday"}, capture.BadTime},
		{"data that is not JSON", "I'm just a string", []string{"Content-Type", "application/json"}, capture.BadData},
		{"a content type that is none", "x", []string{"Content-Type", "text"}, capture.BadForm},
	} {
		if code, events, bad := post(c.body, c.headers...); code != 400 || len(events) != 0 || len(bad) != 1 || bad[0] != string(c.code)+" "+formCloudHTTP {
			t.Errorf("%s: %d %v %v", c.name, code, events, bad)
		}
	}
	for i := 0; i < len(base); i += 2 {
		w := p.post("/v1/cloudevents", "x", append(append([]string{"Authorization", "Bearer secret"}, base[:i]...), base[i+2:]...)...)
		_, rejected := p.lines.take(t)
		if w.Code != 400 || len(rejected) != 1 || rejected[0].Code != string(capture.BadForm) || !strings.HasSuffix(string(rejected[0].Body), "\r\n\r\nx") || strings.Contains(string(rejected[0].Body), "secret") {
			t.Errorf("without %s: %d %+v", base[i], w.Code, rejected)
		}
	}
}

func TestCloudEventData(t *testing.T) {
	p := newPlace(t, Options{}, capture.Options{})
	for _, c := range []struct{ contentType, body, want string }{
		{"", `{"a":1}`, `{"a":1}`}, {"", "plain", `{"data_base64":"cGxhaW4="}`}, {"text/plain", "a\n\"b\"", `{"data":"a\u000a\"b\""}`},
		{"text/plain; charset=iso-8859-1", "x", `{"data_base64":"eA=="}`}, {"text/plain; charset=utf-8", "ü", `{"data":"ü"}`}, {"text/plain", "\xff", `{"data_base64":"/w=="}`},
		{"application/octet-stream", "abc", `{"data_base64":"YWJj"}`}, {"application/atom+xml", "<a/>", `{"data":"<a/>"}`}, {"application/json", " 7 ", `{"data":7}`},
	} {
		headers := []string{"ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "t"}
		if c.contentType != "" {
			headers = append(headers, "Content-Type", c.contentType)
		}
		w := p.post("/v1/events", c.body, headers...)
		if events, _ := p.lines.take(t); w.Code != 200 || len(events) != 1 || events[0].Properties != c.want {
			t.Errorf("%s %q: %d %+v", c.contentType, c.body, w.Code, events)
		}
	}
}

// The identity is source and id together; the time that of the event, wherever
// it is.
func TestCloudEventIdentityAndTime(t *testing.T) {
	p := newPlace(t, Options{}, capture.Options{})
	long := strings.Repeat("x", 300)
	for _, c := range []struct{ source, id, more, wantID, wantTime string }{
		{"/s", "1", "", "/s 1", "2026-11-22T12:00:00Z"},
		{"/s#a", "b", `,"time":"2018-04-05T17:31:00.123456789+02:00"`, "/s#a b", "2018-04-05T15:31:00.123456Z"},
		{"/s", "0192f5a0-0000-7000-8000-000000000000", "", "/s 0192f5a0-0000-7000-8000-000000000000", "2024-11-04T05:22:36.672Z"},
		{"/s", "0192f5a0-0000-7000-8000-000000000000", `,"data":{"timestamp":"2015-08-18T07:38:40Z"}`, "/s 0192f5a0-0000-7000-8000-000000000000", "2015-08-18T07:38:40Z"},
		{"/s", "1", `,"data":{"timestamp":"2015-08-18T07:38:40Z"}`, "/s 1", "2015-08-18T07:38:40Z"},
		{"/s", "1", `,"data":{"timestamp":1522949460}`, "/s 1", "2026-11-22T12:00:00Z"},
		{"/s", "0192f5a0-0000-7000-8000-000000000000", `,"data":{"timestamp":"soon"}`, "/s 0192f5a0-0000-7000-8000-000000000000", "2024-11-04T05:22:36.672Z"},
		{"/" + long, "1", "", hashed("/" + long + "\n1"), "2026-11-22T12:00:00Z"},
		{"urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", "a b", "", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66 a b", "2026-11-22T12:00:00Z"},
		{"mailto:cncf-wg-serverless@lists.cncf.io", "1", "", "mailto:cncf-wg-serverless@lists.cncf.io 1", "2026-11-22T12:00:00Z"},
		{"1-555-123-4567", "1", "", "1-555-123-4567 1", "2026-11-22T12:00:00Z"},
	} {
		w := p.post("/v1/events", `{"specversion":"1.0","id":"`+c.id+`","source":"`+c.source+`","type":"Some Type/v1"`+c.more+`}`, "Content-Type", structuredType)
		if events, _ := p.lines.take(t); w.Code != 200 || events[0].ID != c.wantID || events[0].Time != c.wantTime || events[0].Name != "Some_Type_v1" {
			t.Errorf("%s %s: %d %s %+v", c.source, c.id, w.Code, w.Body, events)
		}
	}
	// Published clients do not percent-encode: a source that has escapes stays.
	w := p.post("/v1/events", "", "ce-specversion", "1.0", "ce-id", "1", "ce-source", "/a%20b", "ce-type", "t")
	if events, _ := p.lines.take(t); w.Code != 200 || events[0].ID != "/a%20b 1" {
		t.Errorf("%d %s %+v", w.Code, w.Body, events)
	}
}

func TestCloudEventFormats(t *testing.T) {
	p := newPlace(t, Options{}, capture.Options{Gate: key("k")})
	for _, contentType := range []string{"application/cloudevents+avro", "application/cloudevents", "application/cloudevents-batch+xml", "application/cloudevents+json; charset=utf-16"} {
		if w := p.post("/v1/events", "{}", "Content-Type", contentType); w.Code != 415 {
			t.Errorf("%s: %d %s", contentType, w.Code, w.Body)
		}
	}
	for _, contentType := range []string{"application/cloudevents+json; profile=x", "application/cloudevents+json;Charset=\"UTF-8\"", "APPLICATION/cloudevents+json"} {
		if w := p.post("/v1/events", `{"specversion":"1.0","id":"1","source":"/s","type":"t"}`, "Content-Type", contentType, "Authorization", "Bearer k"); w.Code != 200 {
			t.Errorf("%s: %d %s", contentType, w.Code, w.Body)
		}
	}
	w := p.post("/v1/cloudevents?access_token=k", `{"specversion":"1.0","id":"1","source":"/s","type":"t"}`, "Content-Type", structuredType)
	if w.Code != 200 || w.Header().Get("Cache-Control") != "private" {
		t.Errorf("a key in the query: %d %s", w.Code, w.Body)
	}
	r := httptest.NewRequest(http.MethodPut, "/v1/cloudevents", nil)
	put := httptest.NewRecorder()
	if p.ServeHTTP(put, r); put.Code != 405 || put.Header().Get("Allow") != "POST, OPTIONS" {
		t.Errorf("PUT: %d %v", put.Code, put.Header())
	}
	w = p.post("/v1/cloudevents", `{"specversion":"1.0","id":"1","source":"/s","type":"not.mine"}`, "Content-Type", structuredType, "Authorization", "Bearer k")
	if !strings.Contains(w.Body.String(), string(capture.NotAllowed)) || w.Code != 400 {
		t.Errorf("a name that the key may not: %d %s", w.Code, w.Body)
	}
}

// The handshake of webhooks, section 4.
func TestWebhookHandshake(t *testing.T) {
	p := newPlace(t, Options{}, capture.Options{})
	for _, path := range []string{"/v1/cloudevents", "/v1/events"} {
		r := httptest.NewRequest(http.MethodOptions, path, nil)
		r.Header.Set("WebHook-Request-Origin", "eventemitter.example.com")
		r.Header.Set("WebHook-Request-Rate", "120")
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if h := w.Header(); w.Code/100 != 2 || h.Get("WebHook-Allowed-Origin") != "*" || h.Get("WebHook-Allowed-Rate") != "*" || !strings.Contains(h.Get("Allow"), "POST") {
			t.Errorf("%s: %d %v", path, w.Code, h)
		}
		r.Header.Del("WebHook-Request-Origin")
		w = httptest.NewRecorder()
		if p.ServeHTTP(w, r); w.Header().Get("WebHook-Allowed-Origin") != "" {
			t.Errorf("%s, nobody asked: %v", path, w.Header())
		}
	}
}
