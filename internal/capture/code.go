package capture

import (
	"fmt"
	"strings"
)

// A Code is a word for programs that says why an event was rejected. Codes are
// part of the contract: they are in answers, in the records of rejected events
// and in metrics.
type Code string

// The codes.
const (
	NotJSON          Code = "not_json"
	InvalidUTF8      Code = "invalid_utf8"
	LoneSurrogate    Code = "lone_surrogate"
	DuplicateKey     Code = "duplicate_key"
	TooDeep          Code = "too_deep"
	NotObject        Code = "not_object"
	UnknownMember    Code = "unknown_member"
	BadName          Code = "bad_name"
	BadID            Code = "bad_id"
	IDTooLong        Code = "id_too_long"
	BadTime          Code = "bad_time"
	Future           Code = "future"
	BadData          Code = "bad_data"
	ReservedProperty Code = "reserved_property"
	EventTooLarge    Code = "event_too_large"
	BodyTooLarge     Code = "body_too_large"
	BadEncoding      Code = "bad_encoding"
	TooManyRejected  Code = "too_many_rejected"
	BadForm          Code = "bad_form" // of another protocol: what that demands is not there
	BadSchema        Code = "bad_schema"
	NotAllowed       Code = "not_allowed" // the key may not send the event
	Discarded        Code = "discarded"   // the event's contract says to: the sender need do nothing
)

// codes are all codes, so that each has its counter from the start.
var codes = [...]Code{
	NotJSON, InvalidUTF8, LoneSurrogate, DuplicateKey, TooDeep, NotObject, UnknownMember, BadName, BadID,
	IDTooLong, BadTime, Future, BadData, ReservedProperty, EventTooLarge, BodyTooLarge, BadEncoding, TooManyRejected,
	BadForm, BadSchema, NotAllowed, Discarded,
}

// A fault is why an event is rejected.
type fault struct {
	code   Code
	reason string // a sentence that says what to do
	// truncated says that only the beginning of what came is kept.
	truncated bool
}

func faultf(code Code, format string, args ...any) *fault {
	return &fault{code: code, reason: fmt.Sprintf(format, args...)}
}

// first returns the first fault of two, either of which may be nil.
func first(a, b *fault) *fault {
	if a != nil {
		return a
	}
	return b
}

// scanCode returns the code of a reason of decode.Scan.
func scanCode(reason string) Code {
	switch {
	case strings.Contains(reason, "too deep"):
		return TooDeep
	case strings.Contains(reason, "key twice"):
		return DuplicateKey
	case strings.Contains(reason, "not valid UTF-8"):
		return InvalidUTF8
	case strings.Contains(reason, "surrogate"):
		return LoneSurrogate
	}
	return NotJSON
}
