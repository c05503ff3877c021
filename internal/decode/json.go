package decode

import (
	"bytes"
	"fmt"

	"arbalest"
)

// A SyntaxError says where a text stops being the JSON that is accepted, and
// why. It wraps arbalest.ErrInvalid.
type SyntaxError struct {
	Offset int64 // in bytes, from the start of the text that was scanned
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at byte %d: %s", e.Offset, e.Reason)
}

// Unwrap makes a SyntaxError an arbalest.ErrInvalid.
func (e *SyntaxError) Unwrap() error { return arbalest.ErrInvalid }

// Scan validates the one JSON value (RFC 8259) that begins at src[from], after
// optional white space, and returns the index after it. What follows it is not
// looked at. Beyond the RFC's grammar it refuses what the RFC leaves to chance:
// invalid UTF-8, a surrogate escape without its pair, an object with a key
// twice (compared without escapes), more than maxDepth arrays and objects
// within each other, and a byte order mark.
//
// compact says that src[from:end] has no white space outside its strings,
// leading white space included, so that it can be stored as it is. The error
// is a *SyntaxError.
func Scan(src []byte, from, maxDepth int) (end int, compact bool, err error) {
	var s Scanner
	return s.scanAt(src, from, maxDepth)
}

// A Scanner scans values one after another as Scan does, and tells of their
// members, so that they need not be looked for again. The zero Scanner works.
type Scanner struct{ scan scanner }

// Scan scans a value as the function does.
func (s *Scanner) Scan(src []byte, from, maxDepth int) (end int, compact bool, err error) {
	s.scan.telling, s.scan.outer, s.scan.members = true, maxDepth-2, s.scan.members[:0]
	return s.scanAt(src, from, maxDepth)
}

func (s *Scanner) scanAt(src []byte, from, maxDepth int) (end int, compact bool, err error) {
	s.scan.src, s.scan.compact, s.scan.err, s.scan.keys.size = src, true, nil, 0
	end = s.scan.value(s.scan.space(from), maxDepth)
	if end < 0 {
		return 0, false, s.scan.err
	}
	return end, s.scan.compact, nil
}

// Members returns the members of the object that was scanned last, and of the
// objects that are values of those, in the order of their ends: those of a value
// come right before the member that it is of. They are good until the next
// Scan.
func (s *Scanner) Members() []Member { return s.scan.members }

// A Member is where a member of an object is in the text.
type Member struct {
	Inner      bool // of an object that is a member's value
	escaped    bool
	key        int // after the quote
	size       int32
	value, end int
}

// Key returns the member's name, without quotes and escapes.
func (m Member) Key(src []byte) []byte {
	inside := src[m.key : m.key+int(m.size)]
	if m.escaped {
		return unescape(nil, inside)
	}
	return inside
}

// Value returns the text of the member's value.
func (m Member) Value(src []byte) []byte { return src[m.value:m.end] }

// Compact appends src, which must be valid JSON, without the white space
// between its tokens. Number text, escapes and key order stay as they are.
func Compact(dst, src []byte) []byte {
	start := 0
	for i := 0; i < len(src); {
		switch c := src[i]; {
		case c == '"':
			i = skipString(src, i+1)
		case c > ' ':
			i++
		default:
			dst = append(dst, src[start:i]...)
			i++
			start = i
		}
	}
	return append(dst, src[start:]...)
}

// Members calls visit for each member of obj, a valid JSON object, in order.
// key is the member's name without quotes and escapes and is good only during
// the call; value is the member's text in obj. An error of visit ends the walk
// and is returned. An obj that is not an object has no members.
func Members(obj []byte, visit func(key, value []byte) error) error {
	var unescaped []byte
	i := skipSpace(obj, 0)
	if i == len(obj) || obj[i] != '{' {
		return nil
	}
	for i = skipSpace(obj, i+1); i < len(obj) && obj[i] == '"'; i = skipSpace(obj, i+1) {
		end := skipString(obj, i+1)
		key := obj[i+1 : end-1]
		if bytes.IndexByte(key, '\\') >= 0 {
			unescaped = Unquote(unescaped[:0], obj[i:end])
			key = unescaped
		}
		i = skipSpace(obj, end)
		i = skipSpace(obj, i+1)
		end = skipValue(obj, i)
		if i >= end {
			return nil
		}
		if err := visit(key, obj[i:end]); err != nil {
			return err
		}
		i = skipSpace(obj, end)
	}
	return nil
}

// skipValue returns the index after the valid value that begins at src[i].
func skipValue(src []byte, i int) int {
	for depth := 0; i < len(src); {
		switch src[i] {
		case '"':
			i = skipString(src, i+1)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		default: // a word, or what is between values
			for i++; depth == 0 && i < len(src) && src[i] > ' ' && src[i] != ',' && src[i] != '}' && src[i] != ']'; {
				i++
			}
		}
		if depth <= 0 {
			return i
		}
	}
	return i
}

// skipSpace returns the index of the first byte from i that is not white space.
func skipSpace(src []byte, i int) int {
	for i < len(src) && (src[i] == ' ' || src[i] == '\n' || src[i] == '\t' || src[i] == '\r') {
		i++
	}
	return min(i, len(src))
}
