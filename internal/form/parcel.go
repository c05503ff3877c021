package form

import (
	"bytes"

	"arbalest/internal/capture"
)

// A parcel is a request's events on their way to capture, and what they hold of
// the memory bound.
type parcel struct {
	events []capture.Foreign
	hold   *capture.Hold
	size   int
	bad    int // events that are none
}

// maxBad is after how many events of a request that are none the rest is
// rejected as one, as of POST /v1/events.
const maxBad = 10_000

// foreignSize is about what a capture.Foreign takes, and its outcome.
const foreignSize = 256

// room takes room for an event that is made of raw. The error is the Hold's.
func (p *parcel) room(raw []byte) error {
	need := 3*len(raw) + foreignSize
	if bytes.Contains(raw, []byte("data_base64")) {
		need += growth(raw) + 4*len(raw)
	}
	return p.hold.Cover(p.size + need)
}

// add adds an event.
func (p *parcel) add(e capture.Foreign) {
	p.size += len(e.Data) + len(e.Attributes) + foreignSize
	if e.Bad != nil {
		p.bad++
	}
	p.events = append(p.events, e)
}

// full says that too many events are none, and makes one of all that is left.
func (p *parcel) full(rest []byte, form string) bool {
	if p.bad < maxBad {
		return false
	}
	p.add(capture.Foreign{Form: form, Raw: rest,
		Bad: refusef(capture.TooManyRejected, "%d events of this request are invalid: the rest was not looked at; send it again in smaller requests", p.bad)})
	return true
}
