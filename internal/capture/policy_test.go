package capture

import (
	"strings"
	"testing"

	"arbalest"
)

// masks is a policy under which no secret may be stored.
type masks struct{}

func (masks) Guards() bool { return true }

func (masks) Admit(e *arbalest.Event, protected bool) *Refusal {
	if strings.Contains(string(e.Properties), "refuse") {
		return &Refusal{BadSchema, "it does not fit"}
	}
	if strings.Contains(string(e.Properties), "discard") {
		return &Refusal{Discarded, "it does not fit"}
	}
	e.Properties = []byte(mask(e.Properties))
	return nil
}

func (masks) Protect(wire, attributes []byte) ([]byte, []byte, bool, bool) {
	return []byte(mask(wire)), attributes, true, true
}

func mask(b []byte) string { return strings.ReplaceAll(string(b), "secret", "******") }

// guarded says that user.created has a policy, and no other event.
func guarded(name arbalest.EventName) Policy {
	if name == "user.created" {
		return masks{}
	}
	return nil
}

func TestNoSecretIsKept(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		code Code
		kept string // of the body
	}{
		"refused":            {`{"event":"user.created","data":{"refuse":"secret"}}`, BadSchema, `{"event":"user.created","data":{"refuse":"******"}}`},
		"a time":             {`{"event":"user.created","data":{"timestamp":"secret"}}`, BadTime, `{"event":"user.created","data":{"timestamp":"******"}}`},
		"a member":           {`{"event":"user.created","secret":1}`, UnknownMember, `{"event":"user.created","******":1}`},
		"data":               {`{"event":"user.created","data":"secret"}`, BadData, `{"event":"user.created","data":"******"}`},
		"no rules":           {`{"event":"other","data":{"timestamp":"secret"}}`, BadTime, `{"event":"other","data":{"timestamp":"secret"}}`},
		"no name":            {`{"data":{"x":"secret"}}`, BadName, ""},
		"a bad name":         {`{"event":"secret user","data":{"x":"secret"}}`, BadName, ""},
		"a key twice":        {`{"event":"user.created","data":{"x":"secret","x":1}}`, DuplicateKey, ""},
		"not JSON":           {`{"event":"user.created","data":{"x":"secret"`, NotJSON, ""},
		"too large":          {`{"event":"user.created","data":{"x":"` + strings.Repeat("secret", 1000) + `"}}`, EventTooLarge, ""},
		"an array":           {`[{"event":"other"} "secret"]`, NotJSON, ""},
		"not JSON, no rules": {`{"event":"other","data":{"x":"secret","x":1}}`, DuplicateKey, ""},
	} {
		s := &segments{}
		h := newHandler(t, Options{Appender: s, MaxEvent: 4096, Policies: guarded, Guarded: true})
		w, a := send(t, h, c.body)
		_, rejected := parted(t, s.stored())
		if len(rejected) != 1 || rejected[0].Code != string(c.code) || string(rejected[0].Body) != c.kept {
			t.Errorf("%s: %s: %+v", name, w.Body, rejected)
			continue
		}
		if r := rejected[0]; !strings.Contains(c.kept, "secret") && strings.Contains(string(s.stored()), "secret") || r.Truncated != (c.kept == "") || r.Protected != strings.Contains(c.kept, "user.created") {
			t.Errorf("%s: %s", name, s.stored())
		}
		if len(a.Rejected) != 1 {
			t.Errorf("%s: %s", name, w.Body)
		}
	}
}

func TestDiscardedIsNobodysFault(t *testing.T) {
	s := &segments{}
	h := newHandler(t, Options{Appender: s, Policies: guarded, Guarded: true})
	for body, want := range map[string]int{
		`{"event":"user.created","data":{"x":"discard"}}`:                                                      200,
		`[{"event":"user.created","data":{"x":"discard"}},{"event":"user.created","data":{"x":"refuse"}}]`:     400,
		`[{"event":"user.created","data":{"x":"discard"}},{"event":"user.created","data":{"x":"secret"}}]`:     200,
		`[{"event":"user.created","data":{"x":"discard"}},{"event":"user.created","data":{"x":"discard"}}, 7]`: 400,
	} {
		if w, a := send(t, h, body); w.Code != want || len(a.Rejected) == 0 || a.Accepted+len(a.Rejected) == 0 || strings.Contains(w.Body.String(), `"error":"none`) != (want == 400) {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	taken, outcomes, err := h.TakeForeign(t.Context(), []Foreign{{Name: "user.created", Data: []byte(`{"x":"discard"}`)}}, nil)
	if err != nil || taken.Discarded != 1 || taken.Status() != 200 || outcomes[0].Code != Discarded {
		t.Errorf("%+v, %v", taken, err)
	}
}

// TestProtectedAgain holds that what a record says is protected is not protected
// twice.
func TestProtectedAgain(t *testing.T) {
	s := &segments{}
	again := false
	h := newHandler(t, Options{Appender: s, Guarded: true, Policies: func(arbalest.EventName) Policy { return told{&again} }})
	if _, _, err := h.TakeForeign(t.Context(), []Foreign{{Name: "a", Protected: true}}, nil); err != nil || !again {
		t.Errorf("%v, %v", again, err)
	}
}

// told notes what it is told.
type told struct{ protected *bool }

func (told) Guards() bool { return true }

func (p told) Admit(_ *arbalest.Event, protected bool) *Refusal { *p.protected = protected; return nil }

func (told) Protect(wire, attributes []byte) ([]byte, []byte, bool, bool) {
	return wire, attributes, true, true
}
