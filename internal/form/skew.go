package form

import (
	"time"

	"arbalest/internal/capture"
	"arbalest/internal/decode"
)

// skewStep is what a clock's error is rounded to. Clocks are right to within
// seconds, or wrong by a zone, which is a number of quarters of an hour: both
// are in the middle of a step, where the seconds that two attempts at sending
// differ by change nothing, so that the same call has the same time again.
const skewStep = 15 * time.Minute

// callTime returns when a call was made: timestamp = receivedAt - (sentAt -
// originalTimestamp), as Segment has it, with the error of the sender's clock,
// receivedAt - sentAt, in whole steps. A call that has been received elsewhere
// has been corrected there. It is zero if the call does not say.
func (f *Handler) callTime(m message, received time.Time) (time.Time, *capture.Refusal) {
	name := "originalTimestamp"
	elsewhere := !isEmpty(m.get("receivedAt")) && !isEmpty(m.get("timestamp"))
	if elsewhere || isEmpty(m.get(name)) {
		name = "timestamp"
	}
	if isEmpty(m.get(name)) {
		return time.Time{}, nil
	}
	made, bad := readTime(name, m.text(name))
	if bad != nil {
		return made, bad
	}
	sent, err := decode.ParseTime([]byte(m.text("sentAt")))
	if err != nil || elsewhere || f.opts.TrustClocks {
		return made, nil
	}
	return made.Add(received.Sub(sent).Round(skewStep)), nil
}
