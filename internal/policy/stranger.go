package policy

import (
	"fmt"

	"arbalest"
	"arbalest/internal/capture"
)

// A Stranger is the policy of events without a definition where the contract for
// tables is not to evolve: Freeze or DiscardRow.
type Stranger Mode

// Guards implements capture.Policy.
func (s Stranger) Guards() bool { return false }

// Admit implements capture.Policy.
func (s Stranger) Admit(e *arbalest.Event, _ bool) *capture.Refusal {
	r := &capture.Refusal{Code: capture.BadSchema, Reason: fmt.Sprintf("%s has no definition, and the contract for tables is %s: define the event in events/%s.yaml, then replay what was rejected", e.Name, string(s), e.Name)}
	if Mode(s) == DiscardRow {
		r.Code = capture.Discarded
	}
	return r
}

// Protect implements capture.Policy.
func (s Stranger) Protect(wire, attributes []byte) (body, kept []byte, whole, ok bool) {
	return wire, attributes, true, true
}
