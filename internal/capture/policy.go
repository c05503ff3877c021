package capture

import (
	"fmt"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/lake"
)

// A Policy is what is done with events of a name at the door. Its methods may be
// called at once by many goroutines. They change no bytes that they are given.
type Policy interface {
	// Admit looks at an event whose Properties are as they came, a valid JSON
	// object without white space, and may put others in their place, and
	// other Attributes. What is not to be stored as an event is refused with a
	// reason, and the event is then as it was. protected says that Protect had it
	// before.
	Admit(e *arbalest.Event, protected bool) *Refusal
	// Guards says that not all of an event may be stored as it came.
	Guards() bool
	// Protect returns what may be stored of an event that is rejected: wire, the
	// valid JSON of POST /v1/events, and its attributes. whole says that no member
	// of wire was left out. ok says that there is something that may be.
	Protect(wire, attributes []byte) (body, kept []byte, whole, ok bool)
}

// A Refusal is why an event is rejected.
type Refusal struct {
	Code   Code
	Reason string // a sentence that says what to do
}

// policy returns what is to be done with events of a name, nil for nothing.
func (in *intake) policy(name arbalest.EventName) Policy {
	if in.opts.Policies == nil {
		return nil
	}
	return in.opts.Policies(name)
}

// admit lets the policy of an event's name look at it, and change it.
func (in *intake) admit(e *arbalest.Event, protected bool) *fault {
	if in.pass != nil && !in.pass.Allows(e.Name) {
		return faultf(NotAllowed, "the key may not send %s: see which events it may with arbalest keys list", e.Name)
	}
	p := in.policy(e.Name)
	if p == nil {
		return nil
	}
	before := e.Properties
	if bad := p.Admit(e, protected); bad != nil {
		return &fault{code: bad.Code, reason: bad.Reason}
	}
	if len(e.Properties) != len(before) || &e.Properties[0] != &before[0] {
		e.Hash = xxh3.Hash(e.Properties)
	}
	return nil
}

// guard sees to it that a record of a rejected event has nothing that may not be
// stored. src is what came, JSON as POST /v1/events takes it if sound.
func (in *intake) guard(src []byte, f *fault, r *lake.Rejected, sound bool) (body []byte, kept *fault) {
	if !in.opts.Guarded {
		return src, f
	}
	if r.Protected {
		return src, f
	}
	// Of what is not the JSON that is accepted the name may be read in more than
	// one way.
	if r.Event != "" && (sound || r.Form != "") {
		p := in.policy(r.Event)
		if p == nil || !p.Guards() {
			return src, f
		}
		if sound {
			if body, attributes, whole, ok := p.Protect(src, r.Attributes); ok {
				r.Attributes, r.Protected = attributes, true
				return body, f.discreet(whole)
			}
		}
	}
	r.Attributes, r.ID = nil, ""
	return nil, &fault{code: f.code, truncated: true, reason: fmt.Sprintf("%s; none of its %d bytes is kept, since events with privacy rules are configured, and it cannot be told that it is none of them: mend it and send it again", f.code.plainly(), len(src))}
}

// discreet returns the fault as it may be kept where the body may not be kept
// as it came: without what it quotes.
func (f *fault) discreet(whole bool) *fault {
	kept := *f
	switch f.code {
	case BadTime, UnknownMember, BadData:
		kept.reason = f.code.plainly()
	}
	if !whole {
		kept.reason += "; of its members only event, id, timestamp and data are kept, since the event has privacy rules"
	}
	return &kept
}

// plainly says what a code means without quoting what came.
func (c Code) plainly() string {
	switch c {
	case BadTime:
		return "the event's time cannot be read"
	case UnknownMember:
		return "there is a member other than event, id, timestamp and data"
	case BadData:
		return "data is not an object"
	}
	return "what came was rejected with the code " + string(c)
}
