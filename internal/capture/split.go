package capture

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"arbalest/internal/decode"
)

// A splitter finds the events of a body and gives each to its intake: accepted
// or rejected, none twice, none left out.
type splitter struct {
	in   *intake
	body []byte
}

// byteOrderMark may begin a body (RFC 8259, section 8.1: "MAY ignore").
const byteOrderMark = "\xef\xbb\xbf"

// split takes a whole body: an array where its first byte is '[', else a
// sequence of values. The error is that of the intake's reservation.
func (s *splitter) split() error {
	start := space(s.body, len(s.body)-len(bytes.TrimPrefix(s.body, []byte(byteOrderMark))))
	if start < len(s.body) && s.body[start] == '[' {
		return s.array(start + 1)
	}
	return s.sequence(start)
}

// sequence takes events that are separated by white space. Each line stands
// alone: where a value is not right, the next line is tried.
func (s *splitter) sequence(at int) error {
	for at = space(s.body, at); at < len(s.body); at = space(s.body, at) {
		if s.in.rejected >= s.in.opts.MaxRejected {
			return s.tooMany(at)
		}
		end, compact, bad := s.scan(at)
		if bad == nil {
			bad = s.trailing(at, end)
		}
		if bad != nil {
			end = lineEnd(s.body, at, bad.at)
		}
		if err := s.give(at, end, compact, bad); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// trailing sees to it that an event's line holds nothing else, but another
// object.
func (s *splitter) trailing(at, end int) *misstep {
	next := end
	for next < len(s.body) && (s.body[next] == ' ' || s.body[next] == '\t' || s.body[next] == '\r') {
		next++
	}
	if next == len(s.body) || s.body[next] == '\n' || s.body[next] == '{' {
		return nil
	}
	return &misstep{next, faultf(NotJSON, "after the event's end, at byte %d, there is %q: send one event to a line, or a JSON array", next-at, s.body[next:next+1])}
}

// array takes the elements of an array from after its bracket. Where it breaks,
// the rest is one rejection.
func (s *splitter) array(at int) error {
	for first := true; ; first = false {
		at = space(s.body, at)
		switch {
		case at == len(s.body) && s.in.reader.again != nil:
			return nil // what was kept of an array need not end
		case at == len(s.body):
			return s.breaks(at, NotJSON, "the array does not end")
		case s.body[at] == ']' && first:
			return s.afterArray(at + 1)
		case s.in.rejected >= s.in.opts.MaxRejected:
			return s.tooMany(at)
		}
		end, compact, bad := s.scan(at)
		if bad != nil {
			if end = s.elementEnd(at); end < 0 {
				return s.breaks(at, bad.code, fmt.Sprintf("the array breaks in the event that begins here: %s", bad.reason))
			}
		}
		if err := s.give(at, end, compact, bad); err != nil {
			return err
		}
		switch at = space(s.body, end); {
		case at < len(s.body) && s.body[at] == ',':
			at++
		case at < len(s.body) && s.body[at] == ']':
			return s.afterArray(at + 1)
		case at < len(s.body) && s.body[at] == '{' && s.in.reader.again != nil:
		default:
			return s.breaks(at, NotJSON, "there must be a comma or ']' after an event")
		}
	}
}

// afterArray sees to it that nothing follows the array.
func (s *splitter) afterArray(at int) error {
	if at = space(s.body, at); at < len(s.body) {
		return s.breaks(at, NotJSON, "the array has ended, and there is more: send one array, or one event to a line")
	}
	return nil
}

// breaks rejects all that is left as one.
func (s *splitter) breaks(at int, code Code, why string) error {
	s.in.reader.again.stand(at)
	return s.in.reject(s.body[at:], faultf(code, "byte %d of the body: %s; what came before is looked at, from there on nothing is: mend it and send it again", at, why))
}

// tooMany rejects all that is left as one.
func (s *splitter) tooMany(at int) error {
	s.in.reader.again.stand(at)
	return s.in.reject(s.body[at:], faultf(TooManyRejected, "%d events of this request are invalid: the rest, from byte %d of the body on, was not looked at; send it again in smaller requests", s.in.rejected, at))
}

// A misstep is a fault at a byte of the body.
type misstep struct {
	at int
	*fault
}

// scanMargin is how far beyond the limit for an event a scan may look. It is
// more than a scanner's failure can lie before the end that caused it, so that
// a failure beyond the limit means that the event is too large.
const scanMargin = 16

// scan validates the value at body[at]. It looks at no more than the limit for
// an event and a little, which also bounds the memory that it takes.
func (s *splitter) scan(at int) (end int, compact bool, bad *misstep) {
	limit := at + s.in.opts.MaxEvent
	window := s.body[:min(len(s.body), limit+scanMargin)]
	end, compact, err := s.in.reader.scanner.Scan(window, at, s.in.opts.MaxDepth)
	if err == nil && end <= limit {
		return end, compact, nil
	}
	syntax := &decode.SyntaxError{Offset: int64(limit)}
	errors.As(err, &syntax)
	wrong := int(syntax.Offset)
	if wrong >= limit && limit < len(s.body) {
		return 0, false, &misstep{limit, faultf(EventTooLarge, "the event is larger than %d bytes: send less in it, or raise the limit for events", s.in.opts.MaxEvent)}
	}
	return 0, false, &misstep{wrong, faultf(scanCode(syntax.Reason), "byte %d of the event: %s", wrong-at, syntax.Reason)}
}

func (s *splitter) give(at, end int, compact bool, bad *misstep) error {
	s.in.reader.again.stand(at)
	if bad != nil {
		return s.in.rejectEvent(bytes.TrimRight(s.body[at:end], " \t\r\n"), bad.fault)
	}
	return s.in.take(s.body, at, end, compact)
}

// lineEnd returns where a value that begins at body[at] and is wrong at
// body[wrong] ends: with its line. Where it goes wrong on a later line it is
// either an object that is spelled over several lines, or a line that was cut
// off; it then ends before the next line that begins an object.
func lineEnd(body []byte, at, wrong int) int {
	end := nextLine(body, at)
	if end > wrong || body[at] != '{' {
		return end
	}
	for end < len(body) && body[end] != '{' {
		end = nextLine(body, end)
	}
	return end
}

// nextLine returns the index after the next newline, or the body's length.
func nextLine(body []byte, at int) int {
	if i := bytes.IndexByte(body[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(body)
}

// elementEnd returns where the array's element at body[at] ends, or -1 where
// that cannot be told: it is then not JSON at all, in distinction from JSON
// that is refused for what it says. Of what is replayed it is enough that its
// brackets close, and that the array goes on or ends after it.
func (s *splitter) elementEnd(at int) int {
	end := closing(s.body, at)
	switch {
	case end < 0:
	case json.Valid(s.body[at:end]):
		return end
	case s.in.reader.again != nil && s.body[at] == '{' && s.inArray(end):
		return end
	}
	return -1
}

// closing returns the index after the bracket that closes the value at
// body[at], or after the string, or -1.
func closing(body []byte, at int) int {
	depth := 0
	for i := at; i < len(body); i++ {
		switch body[i] {
		case '"':
			if i = stringEnd(body, i+1); i < 0 {
				return -1
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		default:
			continue
		}
		if depth <= 0 {
			return i + 1
		}
	}
	return -1
}

// stringEnd returns the index of the quote that ends a string, or -1.
func stringEnd(body []byte, at int) int {
	for i := at; i < len(body); i++ {
		switch body[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// space returns the index of the first byte from at that is not white space.
func space(body []byte, at int) int {
	for at < len(body) && (body[at] == ' ' || body[at] == '\n' || body[at] == '\t' || body[at] == '\r') {
		at++
	}
	return at
}
