package capture

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"arbalest"
)

// retryAfter is what a client is asked to wait, in seconds, before it sends the
// same again.
const retryAfter = "1"

// serveEvents answers POST /v1/events.
func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		h.refuseEvents(w, http.StatusMethodNotAllowed, false, fmt.Sprintf("%s is not answered here: send events with POST", r.Method))
		return
	}
	if h.closing.Load() {
		w.Header().Set("Connection", "close")
		h.refuseError(w, errClosing)
		return
	}
	start := time.Now()
	in := h.intakes.get(h)
	defer h.intakes.put(in, &h.buffers)
	over, err := h.takeBody(in, r)
	if err == nil && in.accepted+in.rejected == 0 {
		err = errNoEvents
	}
	if err != nil {
		h.refuseError(w, err)
		return
	}
	receipt, err := h.commit(r, in)
	if err != nil {
		h.refuseError(w, err)
		return
	}
	h.metrics.durable(in, time.Since(start))
	in.answer = in.appendAnswer(in.answer[:0], receipt)
	status := http.StatusOK
	switch {
	case over:
		status = http.StatusRequestEntityTooLarge
	case in.accepted == 0:
		status = http.StatusBadRequest
	}
	h.metrics.request(status)
	h.answer(w, status, in.answer)
}

// errNoEvents is a body with nothing in it.
var errNoEvents = fmt.Errorf("%w: no events: send one object, a JSON array of them, or one to a line", arbalest.ErrInvalid)

// takeBody reads the request and takes its events: all that came is then in
// in.lines. over says that the body was too large, and is one rejection.
func (h *Handler) takeBody(in *intake, r *http.Request) (over bool, err error) {
	body, f, err := h.readBody(in, r)
	if err != nil {
		return false, err
	}
	if f == nil {
		err = (&splitter{in: in, body: body}).split()
		if !errors.Is(err, arbalest.ErrTooLarge) {
			return false, err
		}
		body, f = in.raw.b, faultf(BodyTooLarge, "the events of the body need more than the %d bytes that all requests together may hold: send fewer in a request; the body is kept as it came", h.opts.MaxBytesInFlight)
		in.dropPlain(&h.buffers)
		h.buffers.put(in.lines)
		in.lines = h.buffers.get(0)
	}
	return f.code == BodyTooLarge, in.whole(body, f)
}

// commit hands the lines to a group, with what they hold of the budget, and
// waits for their segment.
func (h *Handler) commit(r *http.Request, in *intake) (arbalest.Receipt, error) {
	in.drop(&h.buffers)
	lines := in.lines
	in.lines = nil
	in.shrink(len(lines.b))
	held := in.held
	in.held = 0
	return h.committer.commit(r.Context(), lines, held)
}

// refuseError answers a request to /v1/events of which nothing was taken.
func (h *Handler) refuseError(w http.ResponseWriter, err error) {
	if errors.Is(err, errEncoding) {
		w.Header().Set("Accept-Encoding", "gzip, zstd, identity")
		h.refuseEvents(w, http.StatusUnsupportedMediaType, false, err.Error())
		return
	}
	if errors.Is(err, errBody) {
		h.refuseEvents(w, http.StatusBadRequest, true, err.Error()+": send it again")
		return
	}
	o := arbalest.OutcomeOf(err)
	h.refuseEvents(w, o.HTTP, o.Retry, plain(err))
}

func (h *Handler) refuseEvents(w http.ResponseWriter, status int, retry bool, reason string) {
	h.metrics.request(status)
	h.refuse(w, status, retry, reason)
}
