package capture

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"arbalest"
	"arbalest/internal/lake"
)

// An intake is one request's events on their way to a group: the lines to be
// written and the answer's list of rejections. It is used again.
type intake struct {
	reservation
	opts    *Options
	buffers *buffers
	reader  reader
	raw     *buffer    // the body as it came
	plain   [2]*buffer // the body decoded, where it was encoded; in turn
	work               // accepted events and records of invalid ones

	pass               Pass // of the sender; nil is for all
	accepted, rejected int
	discarded          int    // of the rejected ones, by their contracts: nobody's fault
	codes              []Code // of the rejected ones
	rejections         []byte // the elements of the answer's "rejected", with commas
	answer             []byte
	wire               []byte // a foreign event, as it would be posted
	traced             []byte // room for attributes
}

// Work is lines on their way to a segment.
type work struct {
	lines  *buffer // that are not packed yet
	packed *buffer // in the Appender's form; nil while there are none
	size   int     // of the lines that are packed, in bytes
}

// bytes is how large all lines are.
func (w *work) bytes() int { return w.size + len(w.lines.b) }

// drop gives the buffers back.
func (w *work) drop(b *buffers) {
	b.put(w.lines)
	b.put(w.packed)
	*w = work{}
}

// pack packs the lines that are not.
func (w *work) pack(a Appender, b *buffers) {
	if w.packed == nil {
		w.packed = b.get(0)
	}
	w.packed.b = a.Pack(w.packed.b, w.lines.b)
	w.size += len(w.lines.b)
	w.lines.b = w.lines.b[:0]
}

// packBlock is how many bytes of lines a request holds before they are packed:
// so it holds little more than its body.
const packBlock = 256 << 10

type intakes struct{ pool sync.Pool }

// get returns an empty intake of h.
func (p *intakes) get(h *Handler) *intake {
	in, ok := p.pool.Get().(*intake)
	if !ok {
		in = &intake{opts: &h.opts, buffers: &h.buffers}
		in.budget, in.reader.ids = &h.budget, &h.ids
	}
	in.reader.received = h.opts.Now().UTC().Truncate(1e6)
	in.reader.now, in.reader.again = in.reader.received, nil
	in.forget()
	in.answer = in.answer[:0]
	return in
}

// put takes an intake back, and its part of the budget.
func (p *intakes) put(in *intake) {
	in.drop()
	in.work.drop(in.buffers)
	in.shrink(0)
	if cap(in.rejections)+cap(in.answer)+cap(in.reader.compact)+cap(in.wire) <= maxPooled {
		p.pool.Put(in)
	}
}

// forget undoes what has been taken.
func (in *intake) forget() {
	in.work.drop(in.buffers)
	in.lines = in.buffers.get(0)
	in.rejections, in.codes = in.rejections[:0], in.codes[:0]
	in.accepted, in.rejected, in.discarded = 0, 0, 0
}

// drop gives the body's buffers back.
func (in *intake) drop() {
	in.dropPlain()
	in.buffers.put(in.raw)
	in.raw = nil
	in.reader.wire, in.reader.event, in.reader.attributes, in.pass = wireEvent{}, arbalest.Event{}, nil, nil
}

// dropPlain gives the buffers of the decoded body back.
func (in *intake) dropPlain() {
	in.buffers.put(in.plain[0])
	in.buffers.put(in.plain[1])
	in.plain = [2]*buffer{}
}

// holds is what the intake holds, in bytes.
func (in *intake) holds() int {
	n := len(in.rejections) + cap(in.reader.compact)
	for _, b := range [...]*buffer{in.lines, in.packed, in.raw, in.plain[0], in.plain[1]} {
		n += b.bytes()
	}
	return n
}

// packFull packs the lines once they are many. The error wraps
// arbalest.ErrTooLarge if they are too many.
func (in *intake) packFull() error {
	if err := in.fits(0); err != nil {
		return err
	}
	if len(in.lines.b) < packBlock {
		return nil
	}
	if err := in.cover(in.holds() + len(in.lines.b)); err != nil {
		return err
	}
	in.pack(in.opts.Appender, in.buffers)
	return nil
}

// fits says that so many bytes more of lines are not too many.
func (in *intake) fits(more int) error {
	if most := in.opts.maxLines(); in.bytes()+more > most {
		return fmt.Errorf("%w: the request's events are more than %d bytes as they are stored: send fewer events in a request", arbalest.ErrTooLarge, most)
	}
	return nil
}

// maxEnvelope is more than _event takes of a line: an id may grow sixfold by
// its escapes.
const maxEnvelope = 6*arbalest.MaxEventID + arbalest.MaxEventName + 256

// take accepts the event at body[at:end], which the reader's scanner has scanned,
// or rejects it. The error is that of the reservation.
func (in *intake) take(body []byte, at, end int, compact bool) error {
	if err := in.cover(in.holds() + end - at + maxEnvelope); err != nil {
		return err
	}
	f := in.reader.read(body, at, compact)
	if f == nil {
		f = in.admit(&in.reader.event, in.reader.again.guarded())
	}
	if f != nil {
		return in.record(body[at:end], f, in.rejectedEvent(), true)
	}
	return in.accept()
}

// accept takes the event that the reader was given last.
func (in *intake) accept() error {
	e := &in.reader.event
	if err := in.cover(in.holds() + len(e.Properties) + len(e.Attributes) + maxEnvelope); err != nil {
		return err
	}
	in.lines.b = arbalest.AppendLine(in.lines.b, *e)
	in.accepted++
	return in.packFull()
}

// rejectedEvent is what is known of the event that the reader was given last.
func (in *intake) rejectedEvent() lake.Rejected {
	e := &in.reader.event
	r := lake.Rejected{Event: e.Name, Hour: arbalest.HourOf(in.reader.received), Attributes: e.Attributes}
	if in.reader.wire.id != nil {
		r.ID = e.ID
	}
	if in.reader.timed {
		r.Hour = arbalest.HourOf(e.Time)
	}
	return r
}

// reject keeps bytes that no event can be told of.
func (in *intake) reject(src []byte, f *fault) error {
	return in.record(src, f, lake.Rejected{Hour: arbalest.HourOf(in.reader.received), Attributes: in.reader.attributes}, false)
}

// rejectEvent keeps one event that is not the JSON that is accepted. Where it
// is JSON to a parser that takes more, its name and id go into the record, so
// that the books know whose it is.
func (in *intake) rejectEvent(src []byte, f *fault) error {
	r := lake.Rejected{Hour: arbalest.HourOf(in.reader.received), Attributes: in.reader.attributes}
	var e struct {
		Event arbalest.EventName `json:"event"`
		ID    string             `json:"id"`
	}
	if f.code != NotJSON && json.Unmarshal(src, &e) == nil {
		if e.Event.Validate() == nil {
			r.Event = e.Event
		}
		if len(e.ID) <= arbalest.MaxEventID && !strings.ContainsRune(e.ID, utf8.RuneError) {
			r.ID = e.ID
		}
	}
	return in.record(src, f, r, false)
}

// record appends an invalid event to the lines and to the answer. sound says
// that src is one event, and valid JSON.
func (in *intake) record(src []byte, f *fault, r lake.Rejected, sound bool) error {
	r.Protected = r.Protected || in.reader.again.guarded()
	src, kept := in.guard(src, f, &r, sound)
	need := in.holds() + recordSize(src) + len(r.Attributes) + 12*(len(f.reason)+len(kept.reason)) + 2*maxEnvelope
	if err := in.cover(need); err != nil {
		return err
	}
	r.Code, r.Reason, r.Body = string(f.code), kept.reason, src
	r.Index, r.Received = in.rejected+in.accepted, in.reader.received
	r.Truncated = kept.truncated
	if again := in.reader.again; again != nil {
		again.trace(&r)
	}
	in.lines.b = lake.AppendRejected(in.lines.b, r)
	in.rejections = appendRejection(in.rejections, r.Index, f)
	in.rejected++
	if f.code == Discarded {
		in.discarded++
	}
	in.codes = append(in.codes, f.code)
	return in.packFull()
}

// recordSize returns how many bytes of a record are for its body: a JSON string
// where it is UTF-8, else base64.
func recordSize(body []byte) int {
	if !utf8.Valid(body) {
		return (len(body) + 2) / 3 * 4
	}
	n := len(body) + bytes.Count(body, []byte{'"'}) + bytes.Count(body, []byte{'\\'})
	for _, c := range body {
		if c < 0x20 {
			n += 5
		}
	}
	return n
}

// whole rejects a whole body, in place of what was taken of it before. Where
// its record can never fit, only the body's beginning is kept.
func (in *intake) whole(body []byte, f *fault) error {
	in.forget()
	for {
		room := min(int(in.budget.limit), in.opts.maxLines()) - in.holds() - 12*len(f.reason) - 3*maxEnvelope
		if recordSize(body) <= room || len(body) < 1024 {
			return in.reject(body, f)
		}
		body, f.truncated = body[:len(body)/2], true
	}
}

// appendRejection appends an element of the answer's "rejected".
func appendRejection(dst []byte, index int, f *fault) []byte {
	if len(dst) > 0 {
		dst = append(dst, ',')
	}
	dst = append(dst, `{"index":`...)
	dst = strconv.AppendInt(dst, int64(index), 10)
	dst = append(dst, `,"error":`...)
	dst = arbalest.AppendString(dst, strings.ToValidUTF8(f.reason, "\uFFFD"))
	dst = append(dst, `,"code":"`...)
	dst = append(dst, f.code...)
	return append(dst, `","retry":false}`...)
}

// appendAnswer appends the answer for events that are durable.
func (in *intake) appendAnswer(dst []byte, receipt arbalest.Receipt) []byte {
	dst = append(dst, `{"accepted":`...)
	dst = strconv.AppendInt(dst, int64(in.accepted), 10)
	dst = append(dst, `,"rejected":[`...)
	dst = append(dst, in.rejections...)
	dst = append(dst, `],"durability":`...)
	dst = arbalest.AppendString(dst, in.opts.Durability)
	dst = append(dst, `,"receipt":`...)
	dst = arbalest.AppendString(dst, string(receipt))
	if in.accepted == 0 && in.rejected > in.discarded {
		dst = append(dst, `,"error":`...)
		dst = arbalest.AppendString(dst, fmt.Sprintf("none of the %d events of this request is valid: \"rejected\" says why; they are kept with their reasons", in.rejected))
	}
	return append(dst, '}', '\n')
}
