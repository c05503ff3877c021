package capture

import (
	"fmt"
	"net/http"
	"strings"

	"arbalest"
)

// IsCloudEvent says whether a request is a CloudEvent by its headers, so that
// POST /v1/events is to be read as one: the Front gives such requests to
// net/http. Content types are compared without case.
func IsCloudEvent(header http.Header) bool {
	if len(header["Ce-Specversion"]) > 0 {
		return true
	}
	types := header["Content-Type"]
	return len(types) > 0 && len(types[0]) >= len(cloudType) && strings.EqualFold(types[0][:len(cloudType)], cloudType)
}

// cloudType begins the content types of CloudEvents in an event format.
const cloudType = "application/cloudevents"

// Reply answers a request whose events TakeForeign took as POST /v1/events is
// answered: 200, or 400 if there were some, none was accepted, and not all were
// discarded as their contracts say.
func (h *Handler) Reply(w http.ResponseWriter, taken Taken, outcomes []Outcome) {
	h.Answer(w, taken.Status(), h.AppendReply(nil, taken, outcomes))
}

// Status is that of the answer.
func (t Taken) Status() int {
	if t.Accepted == 0 && t.Rejected > t.Discarded {
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// AppendReply appends the body of Reply, a JSON object on a line.
func (h *Handler) AppendReply(dst []byte, taken Taken, outcomes []Outcome) []byte {
	in := intake{opts: &h.opts, accepted: taken.Accepted, rejected: taken.Rejected, discarded: taken.Discarded}
	for i, o := range outcomes {
		if o != nil {
			in.rejections = appendRejection(in.rejections, i, &fault{code: o.Code, reason: o.Reason})
		}
	}
	return in.appendAnswer(dst, taken.Receipt)
}

// Answer answers a request in another form, and counts it: with Retry-After
// where the status says that the same request may succeed later.
func (h *Handler) Answer(w http.ResponseWriter, status int, body []byte) {
	h.tell(w, verdict{status: status, retry: status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable, body: body})
}

// Words spell a refusal as a protocol does, whose status may be another.
type Words func(status int, reason string) (_ int, body []byte)

// RefuseAs is Refuse in a protocol's own words.
func (h *Handler) RefuseAs(w http.ResponseWriter, err error, words Words) {
	h.say(w, h.refusalOf(err), words)
}

// say answers with a refusal in a protocol's words; nil is our own.
func (h *Handler) say(w http.ResponseWriter, v verdict, words Words) {
	if words != nil {
		v.status, v.body = words(v.status, v.reason)
	}
	h.tell(w, v)
}

// A Hold is memory that a request in another form takes beside its body, and
// that counts against the memory bound.
type Hold struct {
	reservation
	beside int // what the request may hold besides, in bytes
}

// Hold returns one, for a request whose body Read has read, that holds nothing.
// It is to be released.
func (h *Handler) Hold(body []byte) *Hold {
	return &Hold{reservation{budget: &h.budget}, 2 * len(body)} // it may be there as it came, too
}

// Cover raises it to so many bytes in all. The error wraps arbalest.ErrBusy
// where that may succeed later, and arbalest.ErrTooLarge where it never can:
// with what TakeForeign needs, which is as much again, it is over the bound.
func (h *Hold) Cover(total int) error {
	if int64(2*total+h.beside) > h.budget.limit {
		return fmt.Errorf("%w: the request's events need more than the %d bytes that all requests together may hold: send fewer events in a request", arbalest.ErrTooLarge, h.budget.limit)
	}
	return h.cover(total)
}

// MaxEvent is the largest event that is taken, in bytes. What is larger need not
// be looked at.
func (h *Handler) MaxEvent() int { return h.opts.MaxEvent }

// Release gives it back.
func (h *Hold) Release() { h.shrink(0) }
