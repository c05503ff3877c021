package lake

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"arbalest"
)

// A Rejected is an invalid event, or what was sent in place of events, with
// the reason. It travels in the segment of its request, so that one durable
// write covers all of it, and sort moves it below _rejected/.
type Rejected struct {
	Code     string             // a word for programs: "bad_time"
	Reason   string             // a sentence for people, which says what to do
	Event    arbalest.EventName // empty if no valid name was sent
	ID       string             // empty if no valid id was sent
	Hour     arbalest.Hour      // of the event's time, or of receipt where that is not known
	Received time.Time          // UTC, in milliseconds
	Index    int                // in its request, from 0
	Body     []byte             // as it came
	// Truncated says that Body is only the beginning, because the whole was
	// over the limit for a request.
	Truncated bool
	// Form is in which form Body is, where that is not that of POST /v1/events:
	// a protocol's name, "cloudevents".
	Form string
	// Attributes are arbalest.Event's.
	Attributes []byte
	// Protected says that the event's privacy rules have been applied to Body and
	// Attributes, so that they must not be applied again.
	Protected bool
	// Origin is set of what was rejected when a body was replayed event by event:
	// the Ref of that body, and after "@" the byte of it, decoded, where this
	// begins. What is made of the event, such as its id, follows from it.
	Origin string
}

// CorruptSegment is the code of what is no event, but a segment that was damaged.
const CorruptSegment = "corrupt_segment"

// rejectedPrefix begins the line of a rejected event, as `{"_event":` begins
// that of an accepted one.
const rejectedPrefix = `{"_rejected":`

type rejectedJSON struct {
	Rejected struct {
		Code       string             `json:"code"`
		Reason     string             `json:"reason"`
		Event      arbalest.EventName `json:"event"`
		ID         string             `json:"id"`
		Hour       arbalest.Hour      `json:"hour"`
		Received   time.Time          `json:"received"`
		Index      int                `json:"index"`
		Truncated  bool               `json:"truncated"`
		Form       string             `json:"form"`
		Protected  bool               `json:"protected"`
		Attributes json.RawMessage    `json:"attributes"`
		Origin     string             `json:"origin"`
	} `json:"_rejected"`
	Body   *string `json:"body"`
	Base64 []byte  `json:"body_base64"`
}

// AppendRejected appends a rejected event's line, with a newline. Its body is
// a JSON string where it is valid UTF-8, else base64 in body_base64; either
// gives back the bytes as they came.
func AppendRejected(dst []byte, r Rejected) []byte {
	dst = append(dst, rejectedPrefix+`{"code":`...)
	dst = arbalest.AppendString(dst, r.Code)
	dst = append(dst, `,"reason":`...)
	dst = appendText(dst, r.Reason)
	if r.Event != "" {
		dst = append(dst, `,"event":`...)
		dst = appendText(dst, string(r.Event))
	}
	if r.ID != "" {
		dst = append(dst, `,"id":`...)
		dst = appendText(dst, r.ID)
	}
	dst = append(dst, `,"hour":"`...)
	dst = append(dst, r.Hour.String()...)
	dst = append(dst, `","received":"`...)
	dst = r.Received.UTC().AppendFormat(dst, arbalest.TimeLayout)
	dst = append(dst, `","index":`...)
	dst = strconv.AppendInt(dst, int64(r.Index), 10)
	if r.Truncated {
		dst = append(dst, `,"truncated":true`...)
	}
	if r.Form != "" {
		dst = append(dst, `,"form":`...)
		dst = appendText(dst, r.Form)
	}
	if r.Protected {
		dst = append(dst, `,"protected":true`...)
	}
	if len(r.Attributes) > 0 {
		dst = append(append(dst, `,"attributes":`...), r.Attributes...)
	}
	if r.Origin != "" {
		dst = append(dst, `,"origin":`...)
		dst = appendText(dst, r.Origin)
	}
	if utf8.Valid(r.Body) {
		dst = append(dst, `},"body":`...)
		dst = arbalest.AppendString(dst, string(r.Body))
	} else {
		dst = append(dst, `},"body_base64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, r.Body)
		dst = append(dst, '"')
	}
	return append(dst, '}', '\n')
}

// appendText appends s as a JSON string; reasons quote what clients sent,
// which need not be UTF-8.
func appendText(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = string([]rune(s))
	}
	return arbalest.AppendString(dst, s)
}

// ParseRejected is the inverse of AppendRejected. The error wraps
// arbalest.ErrCorrupt.
func ParseRejected(line []byte) (Rejected, error) {
	var j rejectedJSON
	if err := json.Unmarshal(line, &j); err != nil {
		return Rejected{}, fmt.Errorf("%w: rejected event %.60q: %v", arbalest.ErrCorrupt, line, err)
	}
	m := j.Rejected
	r := Rejected{Code: m.Code, Reason: m.Reason, Event: m.Event, ID: m.ID, Hour: m.Hour, Received: m.Received, Index: m.Index, Body: j.Base64, Truncated: m.Truncated, Form: m.Form, Attributes: m.Attributes, Protected: m.Protected, Origin: m.Origin}
	switch {
	case m.Code == "":
		return Rejected{}, fmt.Errorf("%w: rejected event %.60q has no code", arbalest.ErrCorrupt, line)
	case j.Body != nil:
		r.Body = []byte(*j.Body)
	}
	return r, nil
}
