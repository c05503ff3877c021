package form

import "arbalest/internal/capture"

// track is the type of the calls that have a name of their own.
const track = "track"

// A shape is what a call of Segment's API has (Segment Spec): which member holds
// its properties, which of the others become properties too, and which it must
// have.
type shape struct {
	bag      string
	promoted []promotion
	needs    []string
}

// A promotion is a member that becomes a property, unless there is one of that
// name.
type promotion struct{ member, property string }

// shapeOf returns the shape of a type of call.
func shapeOf(kind string) (s shape, known bool) {
	who := []promotion{{"userId", "user_id"}, {"anonymousId", "anonymous_id"}}
	switch kind {
	case track:
		return shape{bag: "properties", promoted: who, needs: []string{"event"}}, true
	case "page", "screen":
		return shape{bag: "properties", promoted: append(who, promotion{"name", "name"}, promotion{"category", "category"})}, true
	case "identify":
		return shape{bag: "traits", promoted: who}, true
	case "group":
		return shape{bag: "traits", promoted: append(who, promotion{"groupId", "group_id"}), needs: []string{"groupId"}}, true
	case "alias":
		return shape{bag: "traits", promoted: append(who, promotion{"previousId", "previous_id"}), needs: []string{"userId", "previousId"}}, true
	}
	return shape{}, false
}

// check says what a call must have and has not.
func (s shape) check(m message) *capture.Refusal {
	for _, name := range s.needs {
		if isEmpty(m.get(name)) {
			return refusef(capture.BadForm, "the call has no %s, which a call of its type must have", name)
		}
	}
	if isEmpty(m.get("userId")) && isEmpty(m.get("anonymousId")) {
		return refusef(capture.BadForm, "the call has neither userId nor anonymousId: send one of them")
	}
	if bag := m.get(s.bag); !isNull(bag) && bag[0] != '{' {
		return refusef(capture.BadData, "%s is not an object: send {\"name\":value}", s.bag)
	}
	return nil
}

// isEmpty says whether a member is left out, null or an empty string.
func isEmpty(raw []byte) bool { return isNull(raw) || string(raw) == `""` }
