package form

import (
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

// A message is the members of a call.
type message struct {
	names  []string
	values [][]byte
}

// readMessage reads the members of an object that json.Valid takes.
func readMessage(raw []byte) (m message) {
	_ = decode.Members(raw, func(key, value []byte) error {
		m.names, m.values = append(m.names, string(key)), append(m.values, value)
		return nil
	})
	return m
}

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
	if bad := object(raw); bad != nil {
		e.Bad, e.Raw = bad, raw
		return e
	}
	m := readMessage(raw)
	if kind == "" {
		kind = m.text("type")
	}
	s, known := shapeOf(kind)
	if !known {
		e.Bad, e.Raw = refusef(capture.BadForm, "type is %.40q: it must be track, identify, page, screen, group or alias", kind), withoutKey(raw)
		return e
	}
	var bad *capture.Refusal
	if e.Name, bad = f.callName(kind, m); bad == nil {
		bad = s.check(m)
	}
	m = batch.with(m)
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
func (b shared) with(m message) message {
	for i, name := range b.members.names {
		at := slices.Index(m.names, name)
		switch own := m.get(name); {
		case at < 0:
			m.names, m.values = append(m.names, name), append(m.values, b.members.values[i])
		case isNull(own):
			m.values[at] = b.members.values[i]
		case own[0] == '{' && b.members.values[i][0] == '{':
			m.values[at] = merged(own, b.members.values[i])
		}
	}
	return m
}

// merged returns an object with those members of another that it has not.
func merged(own, other []byte) []byte {
	has := readMessage(own).names
	b := decode.Compact(nil, own)
	b = b[:len(b)-1]
	_ = decode.Members(other, func(key, value []byte) error {
		if !slices.Contains(has, string(key)) {
			b = appendMember(b, string(key), value)
		}
		return nil
	})
	return append(b, '}')
}

// properties returns the event's: those of the call, and the members that are
// promoted, where there is no property of that name. took has these members'
// names.
func (s shape) properties(m message) (properties []byte, took []string) {
	bag := m.get(s.bag)
	if isNull(bag) {
		bag = []byte("{}")
	}
	has := readMessage(bag).names
	b := decode.Compact(nil, bag)
	b = b[:len(b)-1]
	for _, p := range s.promoted {
		if value := m.get(p.member); !isEmpty(value) && !slices.Contains(has, p.property) {
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
	m := readMessage(raw)
	if m.get("writeKey") == nil {
		return raw
	}
	b := []byte{'{'}
	for i, name := range m.names {
		if name != "writeKey" {
			b = appendMember(b, name, m.values[i])
		}
	}
	return append(b, '}')
}
