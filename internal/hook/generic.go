package hook

import (
	"fmt"
	"strconv"
	"time"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/decode"
)

// check says what is wrong with a payload, or nil: it is an object of JSON as
// capture takes it.
func check(payload []byte) *capture.Refusal {
	end, _, err := decode.Scan(payload, 0, maxDepth)
	switch {
	case err != nil:
		return &capture.Refusal{Code: capture.NotJSON, Reason: fmt.Sprintf("the webhook's payload is not JSON as it is taken: %v", err)}
	case len(trim(payload[end:])) > 0:
		return &capture.Refusal{Code: capture.NotJSON, Reason: "the webhook's payload is more than one JSON value"}
	case trim(payload)[0] != '{':
		return &capture.Refusal{Code: capture.NotObject, Reason: "the webhook's payload is not a JSON object"}
	}
	return nil
}

// genericEvent finds the event in a payload where the configuration says.
func (s source) genericEvent(payload []byte, bad *capture.Refusal) capture.Foreign {
	e := capture.Foreign{Name: s.fixed, Bad: bad}
	if bad != nil {
		return e
	}
	e.Data = payload
	missing := func(what string) {
		if e.Bad == nil {
			e.Bad = &capture.Refusal{Code: capture.BadForm, Reason: fmt.Sprintf("the webhook's payload has no %s where hooks: %s: %s in arbalest.yaml points to", what, s.name, what)}
		}
	}
	if at, ok := s.at["event"]; ok {
		name := at.find(payload)
		if len(name) == 0 || name[0] != '"' || text(name) == "" {
			missing("event")
		} else {
			e.Name = arbalest.EventName(s.prefix + text(name))
		}
	}
	if at, ok := s.at["id"]; ok {
		if e.ID = text(at.find(payload)); e.ID == "" {
			missing("id")
		}
	}
	var ok bool
	if e.Time, e.ByReceipt, ok = s.timeOf(payload); !ok && e.Bad == nil {
		e.Bad = &capture.Refusal{Code: capture.BadTime, Reason: fmt.Sprintf("what hooks: %s: time in arbalest.yaml points to is not a time: it must be RFC 3339, or seconds or milliseconds since 1970", s.name)}
	}
	return e
}

// timeOf returns an event's time; zero is that of its id or of receipt, and
// byReceipt says that it is the latter. Where the configuration does not say what
// it is, a property timestamp that is no time means nothing.
func (s source) timeOf(payload []byte) (t time.Time, byReceipt, ok bool) {
	property := pointer{"timestamp"}
	at, told := s.at["time"]
	if !told {
		at = property
	}
	value := at.find(payload)
	if value == nil || string(value) == "null" {
		return time.Time{}, property.find(payload) != nil, true
	}
	if t, ok = readTime(value); ok {
		return t, false, true
	}
	return time.Time{}, true, !told
}

// readTime reads RFC 3339, or a number of seconds since 1970, or of milliseconds
// if as seconds it were after the year 5138.
func readTime(value []byte) (time.Time, bool) {
	if value[0] == '"' {
		t, err := decode.ParseTime(decode.Unquote(nil, value))
		return t, err == nil
	}
	n, err := strconv.ParseFloat(string(value), 64)
	const ms = 1e11
	switch {
	case err != nil || n < 0 || n > 253402300799e3: // the year 9999 ends
		return time.Time{}, false
	case n >= ms:
		return time.UnixMicro(int64(n * 1e3)).UTC(), true
	}
	return time.UnixMicro(int64(n * 1e6)).UTC(), true
}
