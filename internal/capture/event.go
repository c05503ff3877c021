package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"arbalest"
)

// A verdict is what a request to /v1/events is answered.
type verdict struct {
	status int
	retry  bool   // it has Retry-After
	body   []byte // JSON
	reason string // of a refusal, for the log
	after  int    // what Retry-After says, in seconds; 0 is 1
}

// retryAfter returns what a client is asked to wait before it sends the same
// again.
func (v verdict) retryAfter() string {
	if v.after == 0 {
		return "1"
	}
	return strconv.Itoa(v.after)
}

// serveEvents answers POST /v1/events.
func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		h.tell(w, h.refusal(http.StatusMethodNotAllowed, false, fmt.Sprintf("%s is not answered here: send events with POST", r.Method)))
		return
	}
	pass, err := h.Pass(Token(r.Header))
	if err != nil {
		h.tell(w, h.refusalOf(err))
		return
	}
	encodings, err := contentEncodings(r.Header)
	if err != nil {
		w.Header().Set("Accept-Encoding", "gzip, zstd, identity")
		h.tell(w, h.refusal(http.StatusUnsupportedMediaType, false, err.Error()))
		return
	}
	in := h.intakes.get(h)
	defer h.intakes.put(in)
	in.pass = pass
	in.trace(Traceparent(r.Header))
	v := h.post(r.Context(), in, r.Body, r.ContentLength, encodings)
	if h.closing.Load() {
		w.Header().Set("Connection", "close")
	}
	h.tell(w, v)
}

// errNoEvents is a body with nothing in it.
var errNoEvents = fmt.Errorf("%w: no events: send one object, a JSON array of them, or one to a line", arbalest.ErrInvalid)

// post takes the events of a body of so many bytes, or of unknown length if that
// is negative, and waits until they are durable. The verdict's body is good
// until the intake is put back.
func (h *Handler) post(ctx context.Context, in *intake, body io.Reader, length int64, encodings []string) verdict {
	if h.closing.Load() {
		return h.refusalOf(errClosing)
	}
	start := time.Now()
	over, err := h.takeBody(in, body, length, encodings)
	if err == nil && in.accepted+in.rejected == 0 {
		err = errNoEvents
	}
	if err == nil && in.pass != nil {
		err = in.pass.Take(in.accepted + in.rejected)
	}
	if err != nil {
		return h.refusalOf(err)
	}
	receipt, err := h.commit(ctx, in)
	if err != nil {
		return h.refusalOf(err)
	}
	h.metrics.durable(in, time.Since(start))
	in.answer = in.appendAnswer(in.answer[:0], receipt)
	v := verdict{status: http.StatusOK, body: in.answer}
	switch {
	case over:
		v.status, v.reason = http.StatusRequestEntityTooLarge, "the body is too large, and is kept"
	case in.accepted == 0 && in.rejected > in.discarded:
		v.status, v.reason = http.StatusBadRequest, "no event is valid, and they are kept"
	}
	return v
}

// takeBody reads the request and takes its events: all that came is then in
// in.lines. over says that the body was too large, and is one rejection.
func (h *Handler) takeBody(in *intake, src io.Reader, length int64, encodings []string) (over bool, err error) {
	body, f, err := h.readBody(in, src, length, encodings)
	if err != nil {
		return false, err
	}
	if f == nil {
		err = (&splitter{in: in, body: body}).split()
		if !errors.Is(err, arbalest.ErrTooLarge) {
			return false, err
		}
		body, f = in.raw.b, faultf(BodyTooLarge, "%s; the body is kept as it came", plain(err))
		in.dropPlain()
		in.forget()
	}
	return f.code == BodyTooLarge, in.whole(body, f)
}

// commit hands the lines to a group, with what they hold of the budget, and
// waits for their segment.
func (h *Handler) commit(ctx context.Context, in *intake) (arbalest.Receipt, error) {
	in.drop()
	in.shrink(in.holds())
	w, held := in.work, in.held
	in.work, in.held = work{}, 0
	return h.committer.commit(ctx, w, held)
}

// refusalOf is the verdict on a request of which nothing was taken.
func (h *Handler) refusalOf(err error) verdict {
	if errors.Is(err, errBody) {
		return h.refusal(http.StatusBadRequest, true, err.Error()+": send it again")
	}
	o := arbalest.OutcomeOf(err)
	v := h.refusal(o.HTTP, o.Retry, plain(err))
	var later interface{ RetryAfter() time.Duration }
	if errors.As(err, &later) {
		v.after = int((later.RetryAfter() + time.Second - 1) / time.Second)
	}
	return v
}

// refusal is a verdict without any other answer than an error.
//
//	{"error":"…","retry":true}
func (h *Handler) refusal(status int, retry bool, reason string) verdict {
	body := append([]byte(nil), `{"error":`...)
	body = arbalest.AppendString(body, strings.ToValidUTF8(reason, "\uFFFD"))
	body = append(body, `,"retry":`...)
	body = strconv.AppendBool(body, retry)
	return verdict{status: status, retry: retry, body: append(body, '}', '\n'), reason: reason}
}

// tell answers a request to /v1/events, and counts it.
func (h *Handler) tell(w http.ResponseWriter, v verdict) {
	h.metrics.request(v.status)
	h.write(w, v)
}

// note logs a refusal: what an operator must look into as a warning, else for
// those who look for it.
func (h *Handler) note(v verdict, id string) {
	if v.reason == "" {
		return
	}
	level := slog.LevelDebug
	if v.status == http.StatusUnauthorized || v.status >= http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	h.opts.Log.Log(context.Background(), level, "refused", "status", v.status, "reason", v.reason, "request", id)
}
