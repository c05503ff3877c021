package source

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"arbalest/internal/capture"
)

var brokersTime = time.Date(2026, 11, 25, 1, 2, 3, 0, time.UTC)

func testMessage(payload string) *message {
	return &message{payload: []byte(payload), id: "t/0/7", time: brokersTime, attributes: []byte(`{"source":"x"}`)}
}

// spelled tells what became of a message, an event to a line.
func spelled(events []capture.Foreign) string {
	var lines []string
	for _, e := range events {
		at := "-"
		if !e.Time.IsZero() {
			at = e.Time.Format("2006-01-02T15:04:05.999Z")
		}
		if e.Bad != nil {
			lines = append(lines, fmt.Sprintf("%s %q", e.Bad.Code, e.Raw))
		} else {
			lines = append(lines, fmt.Sprintf("%s %s %s %s", e.Name, e.ID, at, e.Data))
		}
	}
	return strings.Join(lines, "\n")
}

func TestMessagesInOurForm(t *testing.T) {
	const broker = "2026-11-25T01:02:03Z"
	for payload, want := range map[string]string{
		`{"event":"a.b","data":{"n":1}}`:                                                         "a.b t/0/7 " + broker + ` {"n":1}`,
		`{"event":"a","id":"i","timestamp":"2020-01-01T00:00:00+01:00","data":null}`:             "a i 2019-12-31T23:00:00Z ",
		`{"event":"a","data":{"timestamp":"2020-01-01"}}`:                                        `a t/0/7 - {"timestamp":"2020-01-01"}`,
		`{"event":"a","data":{"timestamp":null}}`:                                                "a t/0/7 " + broker + ` {"timestamp":null}`,
		`{"event":"a","id":"019aba5e-7b00-7000-8000-000000000000"}`:                              "a 019aba5e-7b00-7000-8000-000000000000 - ",
		"\xef\xbb\xbf [ {\"event\":\"a\"} , {\"event\":\"b\",\"id\":\"x\"},{\"event\":\"c\"} ] ": "a t/0/7 " + broker + " \nb x " + broker + " \nc t/0/7/2 " + broker + " ",
		"{\"event\":\"a\"}\n\nnot json\n{\"event\":\"b\"}":                                       "a t/0/7 " + broker + " \nnot_json \"not json\"\nb t/0/7/2 " + broker + " ",
		"{\"event\":\"a\"} tail\n{\"event\":\"b\"}":                                              "not_json \"{\\\"event\\\":\\\"a\\\"} tail\"\nb t/0/7/1 " + broker + " ",
		"{\"event\":\n\"a\",,}\n{\"event\":\"b\"}":                                               "not_json \"{\\\"event\\\":\\n\\\"a\\\",,}\"\nb t/0/7/1 " + broker + " ",
		`[{"event":"a"},{"a":1,"a":2},{"event":"b"},{]`:                                          "a t/0/7 " + broker + " \nduplicate_key \"{\\\"a\\\":1,\\\"a\\\":2}\"\nb t/0/7/2 " + broker + " \nnot_json \"{]\"",
		`[]`:                          `not_json "[]"`,
		" ":                           `not_json " "`,
		`[1]`:                         `not_object "1"`,
		`[{"event":"a"}] x`:           "a t/0/7 " + broker + " \nnot_json \"x\"",
		`[{"event":"a"} {`:            "a t/0/7 " + broker + " \nnot_json \"{\"",
		`{"data":{}}`:                 `bad_name "{\"data\":{}}"`,
		`{"event":"a","id":""}`:       `bad_id "{\"event\":\"a\",\"id\":\"\"}"`,
		`{"event":"a","timestamp":1}`: `bad_time "{\"event\":\"a\",\"timestamp\":1}"`,
		`{"event":"a","user":1}`:      `unknown_member "{\"event\":\"a\",\"user\":1}"`,
	} {
		if got := spelled((Mapping{}).events(testMessage(payload))); got != want {
			t.Errorf("%q:\n%s\nwant\n%s", payload, got, want)
		}
	}
}

func TestMappedMessages(t *testing.T) {
	const broker = "2026-11-25T01:02:03Z"
	pointers := Mapping{Event: "/meta/type", ID: "/ids/0", Time: "/at", IDPrefix: "c1:"}
	for _, c := range []struct {
		mapping       Mapping
		payload, want string
	}{
		{Mapping{Event: "click"}, `{"n":1}`, "click t/0/7 " + broker + ` {"n":1}`},
		{Mapping{Event: "click"}, `{"event":7}` + "\n" + `{"timestamp":"2020-01-01T00:00:00Z"}`, "click t/0/7 " + broker + " {\"event\":7}\nclick t/0/7/1 - {\"timestamp\":\"2020-01-01T00:00:00Z\"}"},
		{Mapping{Event: "click", IDPrefix: "c1:"}, `{}`, "click c1:t/0/7 " + broker + " {}"},
		{pointers, `{"meta":{"type":"a.b"},"ids":[42],"at":"2020-01-01T00:00:00Z"}`, `a.b 42 2020-01-01T00:00:00Z {"meta":{"type":"a.b"},"ids":[42],"at":"2020-01-01T00:00:00Z"}`},
		{pointers, `{"meta":{"type":"a"},"ids":["x"],"at":1577836800}`, `a x 2020-01-01T00:00:00Z {"meta":{"type":"a"},"ids":["x"],"at":1577836800}`},
		{pointers, `{"meta":{"type":"a"},"ids":[],"at":1577836800123}`, `a c1:t/0/7 2020-01-01T00:00:00.123Z {"meta":{"type":"a"},"ids":[],"at":1577836800123}`},
		{pointers, `{"meta":{"type":"a"},"ids":[null],"at":null}`, `a c1:t/0/7 ` + broker + ` {"meta":{"type":"a"},"ids":[null],"at":null}`},
		{pointers, `{"meta":{"type":"a"},"ids":[{}]}`, `bad_id "{\"meta\":{\"type\":\"a\"},\"ids\":[{}]}"`},
		{pointers, `{"meta":{"type":"a"},"at":true}`, `bad_time "{\"meta\":{\"type\":\"a\"},\"at\":true}"`},
		{pointers, `{"meta":[]}`, `bad_name "{\"meta\":[]}"`},
		{Mapping{Event: "/a~1b/~0"}, `{"a/b":{"~":"x"}}`, "x t/0/7 " + broker + ` {"a/b":{"~":"x"}}`},
	} {
		if err := c.mapping.validate(); err != nil {
			t.Error(err)
		}
		if got := spelled(c.mapping.events(testMessage(c.payload))); got != c.want {
			t.Errorf("%q:\n%s\nwant\n%s", c.payload, got, c.want)
		}
	}
	if e := (Mapping{Event: "click"}).events(testMessage("no"))[0]; e.Name != "click" || e.Form != "message" || string(e.Attributes) != `{"source":"x"}` {
		t.Errorf("%+v", e)
	}
}

func TestCloudEventsOfBrokers(t *testing.T) {
	const data, broker = `{"n":1}`, "2026-11-25T01:02:03Z"
	for _, c := range []struct{ prefix, contentType string }{{"ce_", "application/json"}, {"ce-", "application/json"}, {"cloudEvents:", ""}, {"cloudEvents_", ""}} {
		m := testMessage(data)
		source := "/a%20b"
		if c.prefix == "ce-" {
			source = "/a%2520b"
		}
		for name, value := range map[string]string{"specversion": "1.0", "id": "7", "source": source, "type": "a.b"} {
			m.headers = append(m.headers, header{c.prefix + name, []byte(value)})
		}
		if c.contentType != "" {
			m.headers = append(m.headers, header{"content-type", []byte(c.contentType)})
		} else {
			m.contentType = "application/json"
		}
		e := (Mapping{Form: cloudEvents}).events(m)
		if got := spelled(e); got != "a.b /a%20b 7 "+broker+" "+data {
			t.Errorf("%s: %s", c.prefix, got)
		}
		var attributes struct {
			Source  string
			Message struct{ Source string } `json:"_message"`
		}
		if err := json.Unmarshal(e[0].Attributes, &attributes); err != nil || attributes.Source != "/a%20b" || attributes.Message.Source != "x" {
			t.Errorf("%s, %v", e[0].Attributes, err)
		}
	}
	one := `{"specversion":"1.0","id":"7","source":"/s","type":"a.b","time":"2020-01-01T00:00:00Z","data":{"n":1}}`
	m := testMessage(one)
	if got := spelled((Mapping{Form: cloudEvents}).events(m)); got != "a.b /s 7 2020-01-01T00:00:00Z "+data {
		t.Error(got)
	}
	m = testMessage(" [" + one + "," + one + "]")
	m.contentType = "application/cloudevents-batch+json; charset=utf-8"
	if e := (Mapping{Form: cloudEvents}).events(m); len(e) != 2 || e[1].Bad != nil {
		t.Error(spelled(e))
	}
	for payload, contentType := range map[string]string{"no": "", "[]": "application/cloudevents-batch+json", "{}": "", one: "application/cloudevents+avro", " ": "application/cloudevents-batch+json"} {
		m := testMessage(payload)
		m.contentType = contentType
		if e := (Mapping{Form: cloudEvents}).events(m); len(e) != 1 || e[0].Bad == nil || string(e[0].Raw) != payload || string(e[0].Attributes) != `{"source":"x"}` {
			t.Errorf("%q: %s", payload, spelled(e))
		}
	}
}

// FuzzMessages holds that every message has events, which have ids and
// attributes or are bad, and that it has the same when it comes again.
func FuzzMessages(f *testing.F) {
	for _, s := range []string{`{"event":"a"}`, `[{"event":"a"},{]`, "{}\n{}", ``, "[", `{"a":"\ud800"}`, `[1,2`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		for _, m := range []Mapping{{}, {Event: "x", ID: "/a/0", Time: "/t"}, {Event: "/event"}, {Form: cloudEvents}} {
			first, again := m.events(testMessage(payload)), m.events(testMessage(payload))
			if len(first) == 0 || spelled(first) != spelled(again) {
				t.Fatalf("%+v: %s, then %s", m, spelled(first), spelled(again))
			}
			for _, e := range first {
				if e.Bad == nil && (e.ID == "" || !json.Valid(e.Data) && e.Data != nil) || !json.Valid(e.Attributes) {
					t.Fatalf("%+v: %+v", m, e)
				}
			}
		}
	})
}

func TestOptions(t *testing.T) {
	nats := Options{Name: "n", Kind: NATS, URL: "nats://u:hidden-from-all@h:4222", Stream: "S"}
	for what, change := range map[string]func(*Options){
		"kind":        func(o *Options) { o.Kind = "mqtt" },
		"name":        func(o *Options) { o.Name = "a b" },
		"stream":      func(o *Options) { o.Stream = "" },
		"brokers":     func(o *Options) { o.Brokers = []string{"h:1"} },
		"queue":       func(o *Options) { o.Queue = "q" },
		"url":         func(o *Options) { o.URL = "nats://u:hidden-from-all@h:port" },
		"url: want":   func(o *Options) { o.URL = "http://u:hidden-from-all@h" },
		"event":       func(o *Options) { o.Mapping.ID = "/id" },
		"pointer":     func(o *Options) { o.Mapping = Mapping{Event: "a", ID: "id"} },
		"event name":  func(o *Options) { o.Mapping.Event = "a b" },
		"form":        func(o *Options) { o.Mapping.Form = "avro" },
		"CloudEvents": func(o *Options) { o.Mapping = Mapping{Form: cloudEvents, Event: "a"} },
		"id_prefix":   func(o *Options) { o.Mapping.IDPrefix = strings.Repeat("x", 65) },
		"prefetch":    func(o *Options) { o.Prefetch = -1 },
		"tls.ca":      func(o *Options) { o.TLS = &TLS{CA: "/nonexistent"} },
		"mechanism": func(o *Options) {
			*o = Options{Name: "k", Kind: Kafka, Brokers: []string{"h:1"}, Topics: []string{"t"}, SASL: &SASL{Mechanism: "x"}}
		},
		"topics": func(o *Options) { *o = Options{Name: "k", Kind: Kafka, Brokers: []string{"h:1"}} },
		"amqp": func(o *Options) {
			*o = Options{Name: "r", Kind: RabbitMQ, URL: "nats://u:hidden-from-all@h", Queue: "q"}
		},
	} {
		o := nats
		change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), what) || strings.Contains(err.Error(), "hidden-from-all") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := New(nats); err != nil {
		t.Error(err)
	}
}
