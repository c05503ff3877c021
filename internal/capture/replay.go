package capture

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/lake"
)

// Retaken is what became of something that was rejected, or would become of it.
type Retaken struct {
	Accepted int // events
	// Rejected are the events of a body that are still invalid: each is kept anew,
	// for itself.
	Rejected int
	// Left is why all is left as it is: nothing of it is an event that is accepted.
	// It is nil where something is.
	Left *Refusal
}

// Replay takes what was rejected once more, with every limit and check of POST
// /v1/events as they are now, and makes it durable; dry only says what would
// become of it. What is returned is of the first of those that were kept, in
// order: all that there was memory for, and at least one. An error says that
// nothing was taken.
//
// An event keeps its id, its time and when it was received. One without an id
// has one that follows from its Ref, and one without a time has that of its
// receipt, so that to replay it twice makes a repeat of it. A body that was
// rejected whole, or from where it broke, is split into its events; those that
// are still invalid are rejected again, in the same write, if others are
// accepted.
func (h *Handler) Replay(ctx context.Context, kept []lake.Kept, dry bool) (done []Retaken, receipt arbalest.Receipt, err error) {
	if h.closing.Load() {
		return nil, "", errClosing
	}
	in := h.intakes.get(h)
	defer h.intakes.put(in)
	for i := range kept {
		r, err := h.retake(in, &kept[i], dry)
		if isBudget(err) && in.accepted > 0 {
			break
		}
		if isBudget(err) {
			r, err = Retaken{Left: &Refusal{BodyTooLarge, "it needs more memory than there is: " + plain(err)}}, nil
		}
		if err != nil {
			return nil, "", err
		}
		done = append(done, r)
	}
	if in.accepted == 0 {
		return done, "", nil
	}
	receipt, err = h.commit(ctx, in)
	return done, receipt, err
}

// retake adds what becomes of one to in, unless it is dry. The error is that of
// a reservation, and then nothing was added.
func (h *Handler) retake(in *intake, k *lake.Kept, dry bool) (Retaken, error) {
	if left := unreplayable(k); left != nil {
		return Retaken{Left: left}, nil
	}
	try := h.intakes.get(h)
	defer h.intakes.put(try)
	try.raw = h.buffers.get(0)
	if err := try.grow(try.raw, len(k.Body)); err != nil {
		return Retaken{}, err
	}
	try.raw.b = append(try.raw.b, k.Body...)
	body, f, err := h.decodeBody(try, packing(k.Body))
	switch {
	case err != nil:
		return Retaken{}, err
	case f != nil:
		return Retaken{Left: &Refusal{f.code, f.reason}}, nil
	}
	a := newAgain(k)
	try.reader.received, try.reader.attributes, try.reader.again = k.Received.UTC(), k.Attributes, a
	if err := (&splitter{in: try, body: body}).resplit(); err != nil {
		return Retaken{}, err
	}
	r := Retaken{Accepted: try.accepted, Rejected: try.rejected}
	switch {
	case r.Accepted > 0 && dry:
		return r, nil
	case r.Accepted > 0:
		return r, in.add(try)
	case r.Rejected == 0:
		r.Left = &Refusal{NotJSON, "there is nothing left in it: what came before it was looked at when it came"}
	default:
		r.Rejected, r.Left = 0, a.first
	}
	return r, nil
}

// Codes returns the codes that something can be rejected with.
func Codes() []Code { return append(codes[:len(codes):len(codes)], lake.CorruptSegment) }

// unreplayable says why something cannot be replayed at all.
func unreplayable(k *lake.Kept) *Refusal {
	switch {
	case k.Code == lake.CorruptSegment:
		return &Refusal{lake.CorruptSegment, "it is a segment that was damaged: what can be read of its bytes is for people to say"}
	case k.Truncated:
		return &Refusal{BodyTooLarge, "it was not kept whole: its sender must send it again"}
	case k.Form != "":
		return &Refusal{BadForm, fmt.Sprintf("it is in the form of %.40q, which cannot be replayed: its sender must send it again", k.Form)}
	}
	return nil
}

// packing tells the encoding of a body that was kept as it came by its first
// bytes, with which no JSON begins.
func packing(body []byte) []string {
	switch {
	case bytes.HasPrefix(body, []byte("\x1f\x8b")):
		return []string{"gzip"}
	case bytes.HasPrefix(body, []byte("\x28\xb5\x2f\xfd")):
		return []string{"zstd"}
	}
	return nil
}

// add takes what another intake has. The error is that of the reservation, and
// then nothing was taken.
func (in *intake) add(other *intake) error {
	more := len(other.lines.b) + other.packed.bytes()
	if err := in.fits(other.bytes()); err != nil {
		return err
	}
	if err := in.cover(in.holds() + 2*more + packBlock); err != nil {
		return err
	}
	if other.packed != nil {
		if in.packed == nil {
			in.packed = in.buffers.get(0)
		}
		in.packed.b = append(in.packed.b, other.packed.b...)
		in.size += other.size
	}
	in.lines.b = append(in.lines.b, other.lines.b...)
	in.accepted += other.accepted
	in.rejected += other.rejected
	if len(in.lines.b) >= packBlock {
		in.pack(in.opts.Appender, in.buffers)
	}
	return nil
}

// An again is one that was rejected, while it is replayed.
type again struct {
	origin    string // the Ref of what was rejected first, where there were several
	base      int    // the byte of it, decoded, where this begins
	at        int    // the byte of this where the event begins that is read
	protected bool
	first     *Refusal // of an event of it
}

func newAgain(k *lake.Kept) *again {
	a := &again{origin: k.Ref.String(), protected: k.Protected}
	if i := strings.LastIndexByte(k.Origin, '@'); i > 0 {
		if base, err := strconv.Atoi(k.Origin[i+1:]); err == nil {
			a.origin, a.base = k.Origin[:i], base
		}
	}
	return a
}

// stand says which byte is looked at; nil is for what is not replayed.
func (a *again) stand(at int) {
	if a != nil {
		a.at = at
	}
}

// guarded says that privacy rules were applied to it before.
func (a *again) guarded() bool { return a != nil && a.protected }

func (a *again) place() string { return a.origin + "@" + strconv.Itoa(a.base+a.at) }

// id makes the event's id, a UUID of version 8 (RFC 9562, section 5.8) that
// follows from where the event was first.
func (a *again) id(dst *[36]byte) {
	h := xxh3.HashString128(a.place())
	putUUID(dst, h.Hi&^0xf000|0x8000, h.Lo&(1<<62-1)|1<<63)
}

// trace says in the record of an event that is still invalid where it is from.
func (a *again) trace(r *lake.Rejected) {
	r.Origin = a.place()
	if a.first == nil {
		a.first = &Refusal{Code(r.Code), r.Reason}
	}
}

// resplit is split for what was rejected, which may be the rest of an array, from
// an element on.
func (s *splitter) resplit() error {
	start := space(s.body, len(s.body)-len(bytes.TrimPrefix(s.body, []byte(byteOrderMark))))
	if start == len(s.body) || s.body[start] == '[' {
		return s.split()
	}
	end, _, bad := s.scan(start)
	if bad != nil {
		end = s.elementEnd(start)
	}
	if end >= 0 && s.inArray(end) {
		return s.array(start)
	}
	return s.sequence(start)
}

// inArray says whether the value that ends at end looks like an array's element
// by what follows it.
func (s *splitter) inArray(end int) bool {
	next := space(s.body, end)
	return next < len(s.body) && (s.body[next] == ',' || s.body[next] == ']')
}
