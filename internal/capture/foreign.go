package capture

import (
	"context"
	"time"

	"arbalest"
)

// A Foreign is an event that came in another form than that of POST /v1/events:
// another protocol's, a webhook, a broker's message.
type Foreign struct {
	Name arbalest.EventName
	ID   string    // empty to have one made
	Time time.Time // zero is that of the properties, the id or the receipt
	// ByReceipt says that the time is that of the receipt, whatever properties and
	// id say.
	ByReceipt bool
	// Data is the text of a JSON object, checked here. Nil is {}.
	Data []byte
	// Attributes is a JSON object, compacted and known to be valid: Event's.
	Attributes []byte
	// Bad says that what came is no event, and Raw what came. The name and id, if
	// there are any, are kept with it.
	Bad *Refusal
	Raw []byte
	// Form is the form's name: "cloudevents".
	Form string
	// Protected says that this is a rejected event again, of whose record that
	// is said: its policy's Protect has had it.
	Protected bool
}

// An Outcome says what became of a foreign event: nil if it is durable, else why
// it was rejected, which is kept with it.
type Outcome = *Refusal

// TakeForeign makes events durable, with every limit and check of POST
// /v1/events. pass says what the sender may send; nil is all. Outcomes
// are those of the events, in order, and good only if the error is nil: an error
// says that nothing was taken, and wraps arbalest.ErrBusy, ErrUnavailable or
// ErrTooLarge (together they do not fit the memory bound: take fewer at a time).
//
// An event that is rejected is kept in the form of POST /v1/events, with its
// attributes, so that it can be replayed; only what is Bad is kept as it came.
func (h *Handler) TakeForeign(ctx context.Context, events []Foreign, pass Pass) (taken Taken, outcomes []Outcome, err error) {
	if h.closing.Load() {
		return taken, nil, errClosing
	}
	start := h.opts.Now()
	in := h.intakes.get(h)
	defer h.intakes.put(in)
	if pass != nil {
		if err := pass.Take(len(events)); err != nil {
			return taken, nil, err
		}
		in.pass = pass
	}
	outcomes = make([]Outcome, len(events))
	for i := range events {
		f, err := in.takeForeign(&events[i])
		if err != nil {
			return Taken{}, nil, err
		}
		if f != nil {
			outcomes[i] = &Refusal{f.code, f.reason}
		}
	}
	taken = Taken{Accepted: in.accepted, Rejected: in.rejected, Discarded: in.discarded}
	if len(events) == 0 {
		return taken, outcomes, nil
	}
	if taken.Receipt, err = h.commit(ctx, in); err != nil {
		return Taken{}, nil, err
	}
	h.metrics.durable(in, h.opts.Now().Sub(start))
	return taken, outcomes, nil
}

// takeForeign takes one event, or records why not. The error is that of the
// reservation.
func (in *intake) takeForeign(e *Foreign) (*fault, error) {
	if e.Bad != nil {
		f := &fault{code: e.Bad.Code, reason: e.Bad.Reason}
		in.reader.event, in.reader.wire, in.reader.timed = arbalest.Event{Attributes: e.Attributes}, wireEvent{}, false
		r := in.rejectedEvent()
		r.Form = e.Form
		if e.Name.Validate() == nil {
			r.Event = e.Name
		}
		return f, in.record(e.Raw, f, r, false)
	}
	wire := in.spell(e)
	if err := in.cover(in.holds() + 2*len(wire) + len(e.Attributes) + maxEnvelope); err != nil {
		return nil, err
	}
	s := splitter{in: in, body: wire}
	end, compact, bad := s.scan(0)
	if bad == nil && end != len(wire) {
		bad = &misstep{end, faultf(NotJSON, "the event's data is more than one JSON value")}
	}
	if bad != nil {
		r := in.rejectedEvent()
		r.Event, r.Attributes = "", e.Attributes
		if e.Name.Validate() == nil {
			r.Event = e.Name
		}
		return bad.fault, in.record(wire, bad.fault, r, false)
	}
	f := in.reader.read(wire, 0, compact)
	in.reader.event.Attributes = e.Attributes
	if f == nil {
		f = in.admit(&in.reader.event, e.Protected)
	}
	if f != nil {
		r := in.rejectedEvent()
		r.Protected = e.Protected
		return f, in.record(wire, f, r, true)
	}
	return nil, in.accept()
}

// spell writes a foreign event as POST /v1/events takes it.
func (in *intake) spell(e *Foreign) []byte {
	b := append(in.wire[:0], `{"event":`...)
	b = arbalest.AppendString(b, string(e.Name))
	if e.ID != "" {
		b = append(b, `,"id":`...)
		b = arbalest.AppendString(b, e.ID)
	}
	at := e.Time.UTC()
	if e.ByReceipt {
		at = in.reader.received
	}
	if !at.IsZero() {
		b = append(b, `,"timestamp":"`...)
		b = append(arbalest.AppendTime(b, at), '"')
	}
	if e.Data != nil {
		b = append(append(b, `,"data":`...), e.Data...)
	}
	in.wire = append(b, '}')
	return in.wire
}
