package capture

import (
	"context"

	"arbalest"
)

// A Taken says what became of events that did not come over HTTP.
type Taken struct {
	Accepted, Rejected int
	Discarded          int // of Rejected, as the events' contracts say
	Receipt            arbalest.Receipt
}

// Take makes events durable that come from elsewhere than HTTP: one to a line,
// each standing alone. Every limit and every check is that of POST /v1/events,
// except that Take waits for no answer's size. An error says that nothing was
// taken.
func (h *Handler) Take(ctx context.Context, lines []byte) (Taken, error) {
	in := h.intakes.get(h)
	defer h.intakes.put(in)
	s := splitter{in: in, body: lines}
	if err := s.sequence(0); err != nil {
		return Taken{}, err
	}
	taken := Taken{Accepted: in.accepted, Rejected: in.rejected, Discarded: in.discarded}
	if taken == (Taken{}) {
		return taken, nil
	}
	var err error
	taken.Receipt, err = h.commit(ctx, in)
	return taken, err
}
