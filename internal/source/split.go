package source

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/decode"
)

// A split finds the events in a message.
type split struct {
	mapping Mapping
	msg     *message
	body    []byte
	scanner decode.Scanner
	events  []capture.Foreign
}

func (s *split) all() {
	at := s.space(len(s.body) - len(bytes.TrimPrefix(s.body, []byte("\xef\xbb\xbf"))))
	switch {
	case at == len(s.body):
		s.bad(s.body, capture.NotJSON, "the message is empty: send an event in it")
	case s.body[at] == '[':
		s.array(at + 1)
	default:
		s.sequence(at)
	}
}

// sequence takes values that are separated by white space. Where one is not
// right, the next line is tried.
func (s *split) sequence(at int) {
	for ; at < len(s.body); at = s.space(at) {
		end, _, err := s.scanner.Scan(s.body, at, maxDepth)
		if err == nil {
			if next := s.space(end); next < len(s.body) && s.body[next] != '{' && bytes.IndexByte(s.body[end:next], '\n') < 0 {
				err = &decode.SyntaxError{Offset: int64(next), Reason: "there is more after the event: send one event to a line, or a JSON array"}
			}
		}
		if err != nil {
			var bad *capture.Refusal
			if end, bad = s.broken(at, err); end > at {
				s.bad(bytes.TrimRight(s.body[at:end], " \t\r\n"), bad.Code, bad.Reason)
			}
		} else {
			s.give(at, end)
		}
		at = end
	}
}

// broken returns where a value that is wrong ends, and why it is: with its
// line, or, where it is wrong on a later one, before the next line that begins
// an object.
func (s *split) broken(at int, err error) (int, *capture.Refusal) {
	wrong := at
	if syntax, ok := err.(*decode.SyntaxError); ok {
		wrong = int(syntax.Offset)
	}
	end := s.line(at)
	if end <= wrong && s.body[at] == '{' {
		for end < len(s.body) && s.body[end] != '{' {
			end = s.line(end)
		}
	}
	return end, refusal(err, at)
}

// line returns the index after the line's newline.
func (s *split) line(at int) int {
	if i := bytes.IndexByte(s.body[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(s.body)
}

// array takes the elements of an array from after its bracket. Where it breaks,
// the rest is one rejection.
func (s *split) array(at int) {
	start := at - 1
	for first := true; ; first = false {
		if at = s.space(at); at < len(s.body) && s.body[at] == ']' && first {
			s.bad(s.body[start:], capture.NotJSON, "the array has no events")
			return
		}
		end, _, err := s.scanner.Scan(s.body, at, maxDepth)
		if err != nil {
			bad := refusal(err, at)
			var element json.RawMessage
			d := json.NewDecoder(bytes.NewReader(s.body[at:]))
			if d.Decode(&element) != nil { // else it is JSON that is refused for what it says
				s.bad(s.body[at:], bad.Code, "the array breaks in the event that begins here: "+bad.Reason)
				return
			}
			end = at + int(d.InputOffset())
			s.bad(s.body[at:end], bad.Code, bad.Reason)
		} else {
			s.give(at, end)
		}
		at = s.space(end)
		switch {
		case at < len(s.body) && s.body[at] == ',':
			at++
		case at < len(s.body) && s.body[at] == ']':
			if at = s.space(at + 1); at < len(s.body) {
				s.bad(s.body[at:], capture.NotJSON, "the array has ended, and there is more: send one array, or one event to a line")
			}
			return
		default:
			s.bad(s.body[at:], capture.NotJSON, "there must be a comma or ']' after an event")
			return
		}
	}
}

func (s *split) space(at int) int {
	for at < len(s.body) && (s.body[at] == ' ' || s.body[at] == '\n' || s.body[at] == '\t' || s.body[at] == '\r') {
		at++
	}
	return at
}

func (s *split) bad(raw []byte, code capture.Code, reason string) {
	e := capture.Foreign{Bad: &capture.Refusal{Code: code, Reason: reason}, Raw: raw, Attributes: s.msg.attributes, Form: s.mapping.form()}
	if name := s.mapping.Event; name != "" && name[0] != '/' {
		e.Name = arbalest.EventName(name)
	}
	s.events = append(s.events, e)
}

// refusal says why a value that begins at body[at] is not JSON, in capture's
// words.
func refusal(err error, at int) *capture.Refusal {
	syntax, ok := err.(*decode.SyntaxError)
	if !ok {
		return &capture.Refusal{Code: capture.NotJSON, Reason: err.Error()}
	}
	code := capture.NotJSON
	for part, c := range map[string]capture.Code{
		"too deep": capture.TooDeep, "key twice": capture.DuplicateKey, "not valid UTF-8": capture.InvalidUTF8, "surrogate": capture.LoneSurrogate,
	} {
		if strings.Contains(syntax.Reason, part) {
			code = c
		}
	}
	return &capture.Refusal{Code: code, Reason: fmt.Sprintf("byte %d of the event: %s", int(syntax.Offset)-at, syntax.Reason)}
}
