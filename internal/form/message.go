package form

import (
	"errors"
	"slices"
	"time"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/decode"
)

// formSegment is the form in which calls that are none are kept, each alone and
// without its key; formSegmentBody that of whole bodies.
const (
	formSegment     = "segment"
	formSegmentBody = "segment-body"
)

// maxMembers is how many members a call, what it has in common with others, or a
// CloudEvent may have, beside its properties': each is held apart, and looked up
// among the others.
const maxMembers = 256

// errMany says that there are more.
var errMany = errors.New("too many members")

// manyMembers is the refusal of what has more.
func manyMembers() *capture.Refusal {
	return refusef(capture.BadForm, "it has more than %d members beside its properties: send fewer", maxMembers)
}

// A message is the members of a call.
type message struct {
	names  []string
	values [][]byte
}

// readMessage reads the members of an object that json.Valid takes. ok is false
// if they are too many, and then there are none.
func readMessage(raw []byte) (m message, ok bool) {
	err := decode.Members(raw, func(key, value []byte) error {
		if len(m.names) == maxMembers {
			return errMany
		}
		m.names, m.values = append(m.names, string(key)), append(m.values, value)
		return nil
	})
	if err != nil {
		return message{}, false
	}
	return m, true
}

// has says whether an object has a member.
func has(object []byte, name string) bool {
	return decode.Members(object, func(key, _ []byte) error {
		if string(key) == name {
			return errFound
		}
		return nil
	}) != nil
}

// errFound ends a walk.
var errFound = errors.New("found")

// get returns a member's text, or nil.
func (m message) get(name string) []byte {
	if i := slices.Index(m.names, name); i >= 0 {
		return m.values[i]
	}
	return nil
}

// text returns a member that is a string, or "".
func (m message) text(name string) string {
	s, _ := text(m.get(name))
	return s
}

// A shared is what all calls of a batch have, where they have not their own.
type shared struct {
	members  message // those of the batch that are not its own
	received time.Time
}

// call returns the event of one call. kind is its type; empty is what it says
// itself.
func (f *Handler) call(raw []byte, kind string, batch shared) capture.Foreign {
	e := capture.Foreign{Form: formSegment}
	bad := f.tooLarge(raw)
	if bad == nil {
		bad = object(raw)
	}
	if bad != nil {
		e.Bad, e.Raw = bad, withoutKey(raw)
		return e
	}
	m, ok := readMessage(raw)
	if !ok {
		e.Bad, e.Raw = manyMembers(), withoutKey(raw)
		return e
	}
	if kind == "" {
		kind = m.text("type")
	}
	s, known := shapeOf(kind)
	if !known {
		e.Bad, e.Raw = refusef(capture.BadForm, "type is %.40q: it must be track, identify, page, screen, group or alias", kind), withoutKey(raw)
		return e
	}
	if e.Name, bad = f.callName(kind, m); bad == nil {
		bad = s.check(m)
	}
	if bad == nil {
		m, bad = batch.with(m)
	}
	if bad == nil {
		e.ID, bad = callID(m)
	}
	if bad == nil {
		e.Time, bad = f.callTime(m, batch.received)
	}
	if e.Bad = bad; bad != nil {
		e.Raw = withoutKey(raw)
		return e
	}
	var took []string
	e.Data, took = s.properties(m)
	e.Attributes = m.attributes(kind, s.bag, took)
	if e.Time.IsZero() {
		e.Time, e.ByReceipt = ownTime(e.Data, e.ID)
	}
	return e
}

// callName returns the event's name for a call.
func (f *Handler) callName(kind string, m message) (arbalest.EventName, *capture.Refusal) {
	if kind != track {
		return f.opts.Types[kind], nil
	}
	event, ok := text(m.get("event"))
	if !ok {
		return "", refusef(capture.BadForm, "the call has no event, or it is not a string: send the name of what was tracked")
	}
	if name, ok := f.opts.Names[event]; ok {
		return name, nil
	}
	return callName(event)
}

// callID returns the event's id for a call, or "" to have one made.
func callID(m message) (string, *capture.Refusal) {
	raw := m.get("messageId")
	if isEmpty(raw) {
		return "", nil
	}
	id, ok := text(raw)
	if !ok {
		return "", refusef(capture.BadID, "messageId is not a string: send it in double quotes, or leave it out to have one made")
	}
	return messageID(id), nil
}

// with adds to a call what its batch has for all: context and integrations
// member by member, and when it was sent.
func (b shared) with(m message) (_ message, bad *capture.Refusal) {
	for i, name := range b.members.names {
		at := slices.Index(m.names, name)
		switch own := m.get(name); {
		case at < 0:
			m.names, m.values = append(m.names, name), append(m.values, b.members.values[i])
		case isNull(own):
			m.values[at] = b.members.values[i]
		case own[0] == '{' && b.members.values[i][0] == '{':
			var ok bool
			if m.values[at], ok = merged(own, b.members.values[i]); !ok {
				bad = manyMembers()
			}
		}
	}
	return m, bad
}

// merged returns an object with those members of another that it has not. ok is
// false if one of them has too many.
func merged(own, other []byte) (_ []byte, ok bool) {
	mine, ok := readMessage(own)
	theirs, fine := readMessage(other)
	if !ok || !fine {
		return own, false
	}
	b := decode.Compact(nil, own)
	b = b[:len(b)-1]
	for i, name := range theirs.names {
		if !slices.Contains(mine.names, name) {
			b = appendMember(b, name, theirs.values[i])
		}
	}
	return append(b, '}'), true
}

// properties returns the event's: those of the call, and the members that are
// promoted, where there is no property of that name. took has these members'
// names.
func (s shape) properties(m message) (properties []byte, took []string) {
	bag := m.get(s.bag)
	if isNull(bag) {
		bag = []byte("{}")
	}
	b := decode.Compact(nil, bag)
	b = b[:len(b)-1]
	for _, p := range s.promoted {
		if value := m.get(p.member); !isEmpty(value) && !has(bag, p.property) {
			b = appendMember(b, p.property, value)
			took = append(took, p.member)
		}
	}
	return append(b, '}'), took
}

// attributes returns all of a call that is not in its properties, without its
// key. It has nothing twice, so that what is hidden in one place is not read in
// another.
func (m message) attributes(kind, bag string, took []string) []byte {
	b := appendMember([]byte{'{'}, "type", quote(kind))
	for i, name := range m.names {
		if name != "type" && name != bag && name != "writeKey" && !slices.Contains(took, name) {
			b = appendMember(b, name, m.values[i])
		}
	}
	return append(b, '}')
}

// withoutKey returns a call as it came, but for its key, which is not to be
// kept.
func withoutKey(raw []byte) []byte {
	if raw[0] != '{' || !has(raw, "writeKey") {
		return raw
	}
	b := make([]byte, 1, len(raw))
	b[0] = '{'
	_ = decode.Members(raw, func(key, value []byte) error { // visit returns no error
		if string(key) != "writeKey" {
			b = appendMember(b, string(key), value)
		}
		return nil
	})
	return append(b, '}')
}
