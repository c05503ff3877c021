package capture

import (
	"bytes"
	"fmt"
	"time"
	"unsafe"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/decode"
)

// maxAhead is how far in the future an event's time may be, for clocks that
// differ and zones that were mistaken.
const maxAhead = 24 * time.Hour

// A wireEvent is an event as it is sent: the texts of its members' values, nil
// where they were left out or are null.
//
//	{"event":"user.verified","id":"…","timestamp":"2015-08-18T07:38:40Z","data":{…}}
type wireEvent struct {
	name, id, timestamp, data []byte
	// propertyTime is the text of the property "timestamp" at the top of data,
	// and reserved says that there is a property "_event".
	propertyTime []byte
	reserved     bool
}

// A reader turns the text of one event into an arbalest.Event. It is used again
// for the next: what an event points into is overwritten.
type reader struct {
	scanner decode.Scanner // has scanned the event last
	wire    wireEvent
	event   arbalest.Event
	timed   bool // event.Time is valid

	ids      *idSource
	received time.Time // UTC, in whole milliseconds
	now      time.Time // as received, unless the event is replayed
	again    *again    // what is replayed; nil for nothing
	// attributes are those of all events of the request.
	attributes []byte
	madeID     [36]byte
	compact    []byte // room for properties without white space
}

// read fills r.event from the value at body[at], which r.scanner has scanned.
// compact says that it has no white space between its tokens. Where there is a
// fault the rest is read all the same, so that the record of the event says as
// much as is known of it.
func (r *reader) read(body []byte, at int, compact bool) *fault {
	r.wire, r.timed = wireEvent{}, false
	r.event = arbalest.Event{Received: r.received, Attributes: r.attributes}
	if body[at] != '{' {
		return faultf(NotObject, "an event is a JSON object such as {\"event\":\"user.created\",\"data\":{}}: this begins with %q", rune(body[at]))
	}
	f := r.members(body)
	f = first(f, r.name())
	f = first(f, r.properties(compact))
	f = first(f, r.id())
	return first(f, r.time())
}

// members finds the envelope's members, and the two properties that mean
// something here.
func (r *reader) members(body []byte) (f *fault) {
	var inner wireEvent // of the value that is next
	for _, m := range r.scanner.Members() {
		key, value := m.Key(body), m.Value(body)
		if m.Inner {
			switch string(key) {
			case "_event":
				inner.reserved = true
			case "timestamp":
				inner.propertyTime = value
			}
			continue
		}
		to := r.wire.member(key)
		switch {
		case to == nil:
			f = first(f, faultf(UnknownMember, "unknown member %.80q: put properties inside \"data\"", key))
		case string(value) != "null":
			*to = value
			if to == &r.wire.data {
				r.wire.propertyTime, r.wire.reserved = inner.propertyTime, inner.reserved
			}
		}
		inner = wireEvent{}
	}
	return f
}

func (w *wireEvent) member(key []byte) *[]byte {
	switch string(key) {
	case "event":
		return &w.name
	case "id":
		return &w.id
	case "timestamp":
		return &w.timestamp
	case "data":
		return &w.data
	}
	return nil
}

func (r *reader) name() *fault {
	raw := r.wire.name
	if raw == nil {
		return faultf(BadName, `the event has no name: send it as "event"`)
	}
	if raw[0] != '"' {
		return faultf(BadName, `"event" is not a string: send the event's name, such as "user.created"`)
	}
	name := arbalest.EventName(text(unquote(raw)))
	if err := name.Validate(); err != nil {
		return faultf(BadName, "%s", plain(err))
	}
	r.event.Name = name
	return nil
}

// properties takes data and hashes it.
func (r *reader) properties(compact bool) (f *fault) {
	data := r.wire.data
	switch {
	case data == nil:
		r.compact = append(r.compact[:0], "{}"...)
		data = r.compact
	case data[0] != '{':
		return faultf(BadData, `"data" is not an object: send the event's properties as {"name":value}`)
	case !compact:
		r.compact = decode.Compact(r.compact[:0], data)
		data = r.compact
	}
	if r.wire.reserved {
		f = faultf(ReservedProperty, `the property "_event" is the system's own: rename it`)
	}
	r.event.Properties, r.event.Hash = data, xxh3.Hash(data)
	return f
}

func (r *reader) id() *fault {
	raw := r.wire.id
	if raw == nil {
		return nil // time makes one
	}
	if raw[0] != '"' {
		return faultf(BadID, `"id" is not a string: send it in double quotes, or leave it out to have one made`)
	}
	id := unquote(raw)
	switch {
	case len(id) == 0:
		return faultf(BadID, `"id" is empty: send a unique one, or leave it out to have one made`)
	case len(id) > arbalest.MaxEventID:
		return faultf(IDTooLong, `"id" has %d bytes: at most %d are allowed`, len(id), arbalest.MaxEventID)
	case bytes.IndexByte(id, 0) >= 0:
		return faultf(BadID, `"id" has a NUL character, which SQL strings cannot hold: leave it out of the id`)
	}
	r.event.ID = text(id)
	return nil
}

// time finds the event's time: the envelope's, else the property's, else the
// id's, else that of receipt. It also makes the id where there is none, since
// the one may follow from the other.
func (r *reader) time() *fault {
	var from string
	var f *fault
	property := r.wire.propertyTime
	switch {
	case r.wire.timestamp != nil:
		from = `"timestamp"`
		f = r.spelledTime(r.wire.timestamp, `"timestamp" is not a time: %.80q; send a string such as "2015-08-18T07:38:40Z"`)
	case property != nil && string(property) != "null":
		from = `the property "timestamp"`
		f = r.spelledTime(property, `the property "timestamp" is not a time: %.80q; send a string such as "2015-08-18T07:38:40Z", or the event's time as "timestamp" beside "data"`)
	}
	switch {
	case r.wire.id == nil && r.again != nil:
		r.again.id(&r.madeID)
		r.event.ID = text(r.madeID[:])
		if from == "" {
			r.event.Time, r.timed = r.received, true
			return nil
		}
	case r.wire.id == nil:
		ms := r.ids.next(&r.madeID, r.received.UnixMilli())
		r.event.ID = text(r.madeID[:])
		if from == "" {
			r.event.Time, r.timed = time.UnixMilli(ms).UTC(), true
			return nil
		}
	}
	if from == "" {
		var ok bool
		if r.event.Time, ok = decode.IDTime(r.event.ID); !ok {
			r.event.Time, r.timed = r.received, true
			return nil
		}
		from = `the time in "id"`
	}
	if ahead := r.now.Add(maxAhead); f == nil && r.event.Time.After(ahead) {
		return faultf(Future, `the event's time, %s, is more than a day in the future (it is %s): send the time at which it happened as "timestamp"; it was taken from %s`,
			r.event.Time.UTC().Format(arbalest.TimeLayout), r.now.Format(arbalest.TimeLayout), from)
	}
	r.timed = f == nil
	return f
}

// spelledTime takes the event's time from its JSON text. Years outside 1 to
// 9999 are refused: neither stored lines nor SQL can spell them.
func (r *reader) spelledTime(raw []byte, wrong string) *fault {
	if raw[0] == '"' {
		t, err := decode.ParseTime(unquote(raw))
		if t = t.UTC(); err == nil && t.Year() >= 1 && t.Year() <= 9999 {
			r.event.Time = t
			return nil
		}
	}
	return &fault{code: BadTime, reason: fmt.Sprintf(wrong, raw)}
}

// unquote returns the text of a valid JSON string: inside it where it has no
// escapes.
func unquote(str []byte) []byte {
	if inside := str[1 : len(str)-1]; bytes.IndexByte(inside, '\\') < 0 {
		return inside
	}
	return decode.Unquote(nil, str)
}

// text returns b's bytes as a string without copying them. They must not change
// while it is in use, which for the fields of a reader's event is until the
// next read.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
