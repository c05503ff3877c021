package capture

import (
	"errors"
	"strings"
	"testing"
	"time"

	"arbalest"
)

// only is a pass for all but one name.
type only struct{ everything }

func (only) Allows(name arbalest.EventName) bool { return name != "not.mine" }

func TestForeignEvents(t *testing.T) {
	s := &segments{}
	h := newHandler(t, Options{Appender: s})
	at := time.Date(2015, 8, 18, 7, 38, 40, 0, time.FixedZone("", 7200))
	taken, outcomes, err := h.TakeForeign(t.Context(), []Foreign{
		{Name: "user.created", ID: "a\"b", Time: at, Data: []byte(`{ "n": 1.10 }`), Attributes: []byte(`{"source":"/x"}`)},
		{Name: "bad name", ID: "b", Data: []byte(`{"n":2}`), Attributes: []byte(`{"source":"/y"}`)},
		{Name: "user.created", ID: "c", Data: []byte(`{"n":3},"event":"other"`)},
		{Name: "user.created", ID: "d", Data: []byte(`{"n":4}} {"event":"x"`)},
		{Name: "user.created", ID: "e", Data: []byte(`[5]`)},
		{Bad: &Refusal{BadForm, "no type"}, Raw: []byte(`{"specversion":"1.0"}`), Form: "cloudevents", Name: "kept.name"},
		{Name: "only.name"},
		{Name: "not.mine", Data: []byte(`{}`)},
	}, only{})
	if err != nil || taken.Accepted != 2 || taken.Rejected != 6 || taken.Receipt == "" {
		t.Fatalf("%+v, %v", taken, err)
	}
	for i, want := range []Code{"", BadName, DuplicateKey, NotJSON, BadData, BadForm, "", NotAllowed} {
		got := Code("")
		if outcomes[i] != nil {
			got = outcomes[i].Code
		}
		if got != want {
			t.Errorf("event %d: %q, want %q", i, got, want)
		}
	}
	events, rejected := parted(t, s.stored())
	if len(events) != 2 || events[0].UnquoteID() != `a"b` || string(events[0].Attributes) != `{"source":"/x"}` || string(events[0].Rest) != `"n":1.10}` || events[0].Time != at.UnixMicro() || events[1].Attributes != nil {
		t.Errorf("%+v", events)
	}
	if r := rejected[0]; string(r.Body) != `{"event":"bad name","id":"b","data":{"n":2}}` || string(r.Attributes) != `{"source":"/y"}` || r.Form != "" || r.ID != "b" {
		t.Errorf("%+v", r)
	}
	if r := rejected[4]; string(r.Body) != `{"specversion":"1.0"}` || r.Form != "cloudevents" || r.Event != "kept.name" {
		t.Errorf("%+v", r)
	}
	s.fail(errors.New("no disk"))
	if _, _, err := h.TakeForeign(t.Context(), []Foreign{{Name: "a"}}, nil); !errors.Is(err, arbalest.ErrUnavailable) {
		t.Errorf("a store that fails: %v", err)
	}
	if _, _, err := newHandler(t, Options{Appender: &segments{}, MaxBody: 1000, MaxBytesInFlight: 4000}).TakeForeign(t.Context(), []Foreign{{Name: "a", Data: []byte(`{"x":"` + strings.Repeat("y", 5000) + `"}`)}}, nil); err == nil {
		t.Error("more than the memory bound was taken")
	}
}

// upper is a policy that changes and refuses.
type upper struct{}

func (upper) Admit(e *arbalest.Event, _ bool) *Refusal {
	if strings.Contains(string(e.Properties), "secret") {
		return &Refusal{BadSchema, "it has a secret"}
	}
	e.Properties = []byte(strings.ToUpper(string(e.Properties)))
	return nil
}

func (upper) Guards() bool { return false }

func (upper) Protect(wire, attributes []byte) ([]byte, []byte, bool, bool) {
	return nil, nil, false, false
}

func TestPolicies(t *testing.T) {
	s := &segments{}
	h := newHandler(t, Options{Appender: s, Policies: func(name arbalest.EventName) Policy {
		if name == "a.b" {
			return upper{}
		}
		return nil
	}})
	if w, r := send(t, h, `[{"event":"a.b","data":{"x":"y"}},{"event":"a.b","data":{"x":"secret"}},{"event":"c","data":{"x":"y"}}]`); w.Code != 200 || r.Accepted != 2 || len(r.Rejected) != 1 {
		t.Fatalf("%d %+v", w.Code, r)
	}
	events, rejected := parted(t, s.stored())
	if string(events[0].Rest) != `"X":"Y"}` || string(events[1].Rest) != `"x":"y"}` || string(events[0].Hash) == string(events[1].Hash) {
		t.Errorf("%s %s", events[0].Rest, events[1].Rest)
	}
	if rejected[0].Code != string(BadSchema) {
		t.Errorf("%+v", rejected[0])
	}
}
