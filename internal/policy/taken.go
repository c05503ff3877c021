package policy

import (
	"slices"

	"arbalest"
)

// DiscardedMember is the member of an event's attributes that has what was taken
// out of its properties: a list of {"path":…,"reason":…,"value":…}. No protocol's
// attribute begins with "_".
const DiscardedMember = "_discarded"

// A takenOut collects the values that are taken out of an event.
type takenOut struct{ list []byte }

// add adds a value, as it may be stored.
func (t *takenOut) add(path []string, value []byte, reason string) {
	if len(t.list) > 0 {
		t.list = append(t.list, ',')
	}
	t.list = append(t.list, `{"path":[`...)
	for i, key := range path {
		if i > 0 {
			t.list = append(t.list, ',')
		}
		t.list = arbalest.AppendString(t.list, key)
	}
	t.list = append(t.list, `],"reason":`...)
	t.list = arbalest.AppendString(t.list, reason)
	if value != nil {
		t.list = append(append(t.list, `,"value":`...), value...)
	}
	t.list = append(t.list, '}')
}

// into returns an event's attributes with what was taken out. size is that of its
// properties: the list may not be much more.
func (t *takenOut) into(attributes []byte, size int) (out []byte, ok bool) {
	if len(t.list) == 0 {
		return attributes, true
	}
	if len(t.list) > size+maxGrowth {
		return nil, false
	}
	out = make([]byte, 0, len(attributes)+len(t.list)+32)
	if len(attributes) > 2 { // it is an object with members
		out = append(append(out, attributes[:len(attributes)-1]...), ',')
	} else {
		out = append(out, '{')
	}
	out = append(out, `"`+DiscardedMember+`":[`...)
	return append(append(out, t.list...), "]}"...), true
}

// Protect implements capture.Policy.
func (p *Policy) Protect(wire, attributes []byte) (body, kept []byte, whole, ok bool) {
	kept, ok = p.guard.ofAttributes(attributes)
	if !ok {
		return nil, nil, false, false
	}
	whole = true
	cuts := &cut{}
	var data *rule
	if p.guard != nil {
		data = p.guard.properties[0]
	}
	for _, m := range members(wire) {
		switch {
		case m.key == "data" && m.first == '{':
		case m.first != '{' && m.first != '[' && slices.Contains([]string{"event", "id", "timestamp"}, m.key), m.first == 'n':
		default:
			whole = false
			cuts.add([]string{m.key}, "")
		}
	}
	root := &rule{children: map[string]*rule{}}
	if data != nil {
		root.children["data"] = data
	}
	e := p.guard.edit()
	body, ok = e.run(wire, []*rule{root}, cuts)
	return body, kept, whole, ok && body != nil
}
