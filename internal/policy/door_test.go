package policy_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/lake"
	"arbalest/internal/policy"
)

// lines is an Appender that keeps what it is given.
type lines struct {
	mu  sync.Mutex
	all []byte
}

func (l *lines) Pack(dst, lines []byte) []byte { return append(dst, lines...) }

func (l *lines) Append(_ context.Context, packed []byte, _ int) (arbalest.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, packed...)
	return "r", nil
}

func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := string(l.all)
	l.all = l.all[:0]
	return s
}

// FuzzDoor checks of any request that of an event with privacy rules nothing is
// stored that a rule is about, whether it is accepted or rejected, and of what
// cannot be told to be none such nothing at all.
func FuzzDoor(f *testing.F) {
	for _, seed := range []string{
		`{"event":"user.created","id":"1","data":{"email":"jane","pin":1,"n":1.0}}`, `{"event":"user.created","email":"jane"}`, `[{"event":"user.created","data":{"email":{"x":["jane"]}}},{"event":"other","data":{"email":"jane"}}]`,
		`{"event":"user.created","timestamp":{"email":"jane"},"data":[{"email":"jane"}]}`, `{"event":"user.created","data":{"email":"jane","email":"joe"}}`, `{"Event":"other","event":"user.created","data":{"pin":1},"x":1,"x":2}`,
		`{"event":"user.created","data":{"timestamp":"jane","email":"x"}}` + "\n" + `{"event":"user.created","data":{"email":"` + "\xff" + `"}}`, `[{"event":"user.created","data":{"email":"jane"}} 7]`, `{"event":"user.created","data":{"_event":{"email":"x"},"email":"jane"}}`,
		`{"event":"user.created","data":{"age":"jane","email":null}}`,
	} {
		f.Add([]byte(seed))
	}
	whole, err := arbalest.ParseType("INTEGER")
	if err != nil {
		f.Fatal(err)
	}
	p, err := policy.Compile(policy.Definition{Event: "user.created", Required: [][]string{{"email"}}, Columns: []policy.Column{{Column: arbalest.Column{Name: "age", Path: []string{"age"}, Type: whole}}},
		Contract: policy.Contract{DataType: policy.Freeze}, Privacy: policy.Privacy{Hash: [][]string{{"email"}}, Drop: [][]string{{"pin"}}}}, []byte("a key of sixteen b"))
	if err != nil {
		f.Fatal(err)
	}
	store := &lines{}
	h, err := capture.New(capture.Options{Appender: store, MaxEvent: 4096, MaxBody: 1 << 20, Guarded: true, Policies: func(name arbalest.EventName) capture.Policy {
		if name == "user.created" {
			return p
		}
		return nil
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/v1/events", strings.NewReader(string(body))))
		for line := range strings.Lines(store.take()) {
			if !strings.HasPrefix(line, `{"_rejected"`) {
				l, err := arbalest.ParseLine([]byte(line))
				if err != nil {
					t.Fatal(err)
				}
				if string(l.Name) == "user.created" {
					checkProperties(t, "{"+string(l.Rest))
				}
				continue
			}
			r, err := lake.ParseRejected([]byte(line))
			if err != nil {
				t.Fatal(err)
			}
			checkRejected(t, r)
		}
	})
}

func checkRejected(t *testing.T, r lake.Rejected) {
	t.Helper()
	if len(r.Body) == 0 || r.Event != "" && r.Event != "user.created" {
		return
	}
	if r.Event == "" || !r.Protected {
		t.Fatalf("kept without protection: %+v %s", r, r.Body)
	}
	var wire map[string]json.RawMessage
	if err := json.Unmarshal(r.Body, &wire); err != nil {
		t.Fatalf("%s: %v", r.Body, err)
	}
	for key, value := range wire {
		switch {
		case key == "data" && value[0] == '{':
			checkProperties(t, string(value))
		case key == "event", key == "id", key == "timestamp", string(value) == "null":
			if value[0] == '{' || value[0] == '[' {
				t.Fatalf("kept: %s", r.Body)
			}
		default:
			t.Fatalf("kept: %s", r.Body)
		}
	}
}

// hashed matches what is stored in place of a value that is hashed.
var hashed = regexp.MustCompile(`^("[0-9a-f]{64}"|null)$`)

func checkProperties(t *testing.T, text string) {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if email := all["email"]; email != nil && !hashed.Match(email) || all["pin"] != nil {
		t.Fatalf("stored: %s", text)
	}
}

func BenchmarkAdmit(b *testing.B) {
	properties := []byte(`{"email":"jane@doe.com","plan":"free","age":41,"ip":"198.51.100.77","address":{"city":"Paris","street":"Rue de Rivoli"},"tags":["a","b","c"],"timestamp":"2015-08-18T06:36:40Z"}`)
	for name, d := range map[string]policy.Definition{
		"required": {Required: [][]string{{"email"}, {"address", "city"}}},
		"privacy":  {Privacy: policy.Privacy{Hash: [][]string{{"email"}}, Truncate: []policy.Truncation{{Path: []string{"ip"}}}}},
		"schema":   {Schema: []byte(`{"type":"object","properties":{"email":{"type":"string","format":"email"},"age":{"type":"integer"}},"required":["email"]}`)},
	} {
		d.Event = "user.created"
		p, err := policy.Compile(d, []byte("a key of sixteen b"))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e := arbalest.Event{Name: "user.created", Properties: properties}
				if refusal := p.Admit(&e, false); refusal != nil {
					b.Fatal(refusal)
				}
			}
		})
	}
}
