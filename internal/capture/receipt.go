package capture

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"arbalest"
)

// A State is how far the events of a receipt are.
type State string

// The states, in their order.
const (
	Landed State = "landed" // durable, in a segment
	Sorted State = "sorted" // in their partitions
	Loaded State = "loaded" // in their tables
)

// Progress is how far the events of a receipt are.
type Progress struct {
	State  State
	Commit arbalest.Seq // that sorted them; 0 before
	Tables []string     // that they are for, as far as is known
}

// A Tracker says how far the events of a receipt are. The error wraps
// arbalest.ErrUnknown if there is no such segment, and arbalest.ErrInvalid if
// the receipt is not one of ours.
type Tracker interface {
	Track(ctx context.Context, receipt arbalest.Receipt) (Progress, error)
}

// maxWait is the longest wait for a receipt's events.
const maxWait = 60 * time.Second

// The pauses between two looks of a wait: they double from the one to the other.
const (
	firstLook = 10 * time.Millisecond
	lastLook  = 250 * time.Millisecond
)

// serveReceipt answers GET /v1/receipts/{receipt}[?wait=5s]. With a wait it
// answers when the events are loaded, or when the time is up, with how far they
// are by then.
func (h *Handler) serveReceipt(w http.ResponseWriter, r *http.Request, receipt arbalest.Receipt) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		h.refuse(w, http.StatusMethodNotAllowed, false, fmt.Sprintf("%s is not answered here: ask for a receipt with GET", r.Method))
		return
	}
	if _, err := h.Pass(Token(r.Header)); err != nil {
		h.write(w, h.refusalOf(err))
		return
	}
	wait, err := parseWait(r.URL.Query().Get("wait"))
	if err == nil && receipt == "" {
		err = fmt.Errorf("%w: the receipt is missing: ask for /v1/receipts/ and the receipt of an answer", arbalest.ErrInvalid)
	}
	var p Progress
	if err == nil {
		p, err = h.await(r.Context(), receipt, wait)
	}
	if err != nil {
		o := arbalest.OutcomeOf(err)
		h.refuse(w, o.HTTP, o.Retry, plain(err))
		return
	}
	h.answer(w, http.StatusOK, appendProgress(nil, receipt, p))
}

// parseWait reads a duration such as "5s", or a number of seconds.
func parseWait(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if n, numErr := strconv.ParseUint(s, 10, 16); numErr == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%w: wait %.40q is not a duration: send one such as 5s, of at most %v", arbalest.ErrInvalid, s, maxWait)
	}
	return min(d, maxWait), nil
}

// await tracks the receipt until its events are loaded, for as long as wait.
func (h *Handler) await(ctx context.Context, receipt arbalest.Receipt, wait time.Duration) (Progress, error) {
	if h.opts.Tracker == nil {
		return Progress{}, fmt.Errorf("%w: receipt %.80q: this process does not track receipts", arbalest.ErrUnknown, string(receipt))
	}
	end := time.NewTimer(wait)
	defer end.Stop()
	for pause := firstLook; ; pause = min(2*pause, lastLook) {
		p, err := h.opts.Tracker.Track(ctx, receipt)
		if err != nil || p.State == Loaded || wait == 0 {
			return p, err
		}
		next := time.NewTimer(pause)
		select {
		case <-next.C:
			continue
		case <-end.C:
		case <-h.committer.closed:
		case <-ctx.Done():
		}
		next.Stop()
		return p, nil
	}
}

// appendProgress appends the answer for a receipt.
//
//	{"receipt":"01JD…-000017","state":"loaded","commit":42,"tables":["user_verified"]}
func appendProgress(dst []byte, receipt arbalest.Receipt, p Progress) []byte {
	dst = append(dst, `{"receipt":`...)
	dst = arbalest.AppendString(dst, string(receipt))
	dst = append(dst, `,"state":`...)
	dst = arbalest.AppendString(dst, string(p.State))
	if p.Commit > 0 {
		dst = append(dst, `,"commit":`...)
		dst = strconv.AppendUint(dst, uint64(p.Commit), 10)
	}
	dst = append(dst, `,"tables":[`...)
	for i, table := range p.Tables {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = arbalest.AppendString(dst, table)
	}
	return append(dst, ']', '}', '\n')
}
