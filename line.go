package arbalest

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// AppendLine appends the event as it is stored, with a newline: its properties
// with the member _event spliced in front. Where the event has attributes they
// are the last member of that.
func AppendLine(dst []byte, e Event) []byte {
	dst = append(dst, `{"_event":{"id":`...)
	dst = AppendString(dst, e.ID)
	dst = append(dst, `,"name":"`...)
	dst = append(dst, e.Name...)
	dst = append(dst, `","time":"`...)
	dst = AppendTime(dst, e.Time)
	dst = append(dst, `","received":"`...)
	dst = AppendTime(dst, e.Received)
	dst = append(dst, `","hash":"`...)
	dst = AppendHash(dst, e.Hash)
	dst = append(dst, '"')
	if len(e.Attributes) > 0 {
		dst = append(append(dst, attributesLiteral...), e.Attributes...)
	}
	dst = append(dst, '}')
	if rest := e.Properties[1:]; rest[0] != '}' {
		dst = append(dst, ',')
	}
	dst = append(dst, e.Properties[1:]...)
	return append(dst, '\n')
}

// AppendHash appends a hash in 16 hexadecimal digits.
func AppendHash(dst []byte, h uint64) []byte {
	const hex = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, hex[h>>shift&15])
	}
	return dst
}

// AppendString appends s, which must be valid UTF-8, as a JSON string.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, '\\', 'u', '0', '0', "01"[c>>4], "0123456789abcdef"[c&15])
		}
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// A Line is a stored event, its parts pointing into the line's bytes.
type Line struct {
	// ID is the inside of the id's JSON string; UnquoteID gives the id.
	ID       []byte
	Name     []byte
	Time     int64  // microseconds since 1970; finer digits are in the bytes only
	Received int64  // microseconds since 1970
	Hash     []byte // 16 hexadecimal digits
	// Attributes is Event.Attributes; nil if there are none.
	Attributes []byte
	// Rest is what follows the envelope: the properties without their opening
	// brace, so that `{` and Rest are the properties as they came.
	Rest []byte
}

// ParseLine reads a stored line, as LineParser.Parse does.
func ParseLine(b []byte) (Line, error) {
	var p LineParser
	return p.Parse(b)
}

// A LineParser reads stored lines, of which one mostly has the name and the time
// of receipt of the line before. The zero LineParser works.
type LineParser struct {
	rest []byte
	bad  string
	// What the last line had between its id and the event's time, and between
	// that and the hash, and what it means.
	middle, receipt []byte
	nameSize        int
	received        int64
}

// Parse reads a line, with or without its newline, by the exact spelling of
// AppendLine. Rest is not looked at beyond its first and last byte. The error
// wraps ErrCorrupt.
func (p *LineParser) Parse(b []byte) (Line, error) {
	var l Line
	p.rest, p.bad = bytes.TrimSuffix(b, []byte{'\n'}), ""
	l.ID = p.quoted(`{"_event":{"id":"`)
	if len(p.middle) > 0 && bytes.HasPrefix(p.rest, p.middle) {
		l.Name, p.rest = p.rest[len(nameLiteral):][:p.nameSize], p.rest[len(p.middle):]
	} else {
		from := p.rest
		l.Name = p.quoted(nameLiteral)
		p.expect(`,"time":"`)
		p.middle, p.nameSize = append(p.middle[:0], from[:len(from)-len(p.rest)]...), len(l.Name)
	}
	l.Time = p.time()
	if len(p.receipt) > 0 && bytes.HasPrefix(p.rest, p.receipt) {
		l.Received, p.rest = p.received, p.rest[len(p.receipt):]
	} else {
		from := p.rest
		p.expect(`,"received":"`)
		l.Received = p.time()
		p.expect(`,"hash":"`)
		p.receipt, p.received = append(p.receipt[:0], from[:len(from)-len(p.rest)]...), l.Received
	}
	if p.bad == "" && len(p.rest) > hashDigits && p.rest[hashDigits] == '"' {
		l.Hash, p.rest = p.rest[:hashDigits], p.rest[hashDigits+1:]
	} else if p.bad == "" {
		p.bad = "a hash of other than 16 digits"
	}
	if p.bad == "" && bytes.HasPrefix(p.rest, []byte(attributesLiteral)) {
		p.rest = p.rest[len(attributesLiteral):]
		if end := objectEnd(p.rest); end > 0 {
			l.Attributes, p.rest = p.rest[:end], p.rest[end:]
		} else {
			p.bad = "attributes that do not end"
		}
	}
	p.expect(`}`)
	if p.bad == "" && (len(p.rest) == 0 || p.rest[len(p.rest)-1] != '}' || p.rest[0] != ',' && len(p.rest) != 1) {
		p.bad = "no properties after its envelope"
	}
	if p.bad != "" {
		p.rest, p.middle, p.receipt = nil, p.middle[:0], p.receipt[:0] // they may be cut short
		return Line{}, fmt.Errorf("%w: stored line %.60q has %s", ErrCorrupt, b, p.bad)
	}
	l.Rest = p.rest
	if l.Rest[0] == ',' {
		l.Rest = l.Rest[1:]
	}
	p.rest = nil // b is the caller's again
	return l, nil
}

const (
	nameLiteral       = `,"name":"`
	attributesLiteral = `,"attributes":`
	hashDigits        = 16
)

// objectEnd returns the index after the JSON object that b begins with, or -1.
// Of what is in it only the strings and braces are looked at.
func objectEnd(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			end := unescapedQuote(b[i+1:])
			if end < 0 {
				return -1
			}
			i += end + 1
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth == 0 {
			if i == 0 {
				return -1
			}
			return i + 1
		}
	}
	return -1
}

// UnquoteID returns the id's text.
func (l Line) UnquoteID() string {
	if bytes.IndexByte(l.ID, '\\') < 0 {
		return string(l.ID)
	}
	var out []byte
	for i := 0; i < len(l.ID); i++ {
		if l.ID[i] != '\\' || i+1 == len(l.ID) {
			out = append(out, l.ID[i])
			continue
		}
		i++
		if l.ID[i] == 'u' && i+4 < len(l.ID) {
			r, _ := strconv.ParseUint(string(l.ID[i+1:i+5]), 16, 32)
			out = utf8.AppendRune(out, rune(r))
			i += 4
			continue
		}
		out = append(out, l.ID[i])
	}
	return string(out)
}

func (p *LineParser) expect(lit string) {
	if p.bad != "" {
		return
	}
	if len(p.rest) < len(lit) || string(p.rest[:len(lit)]) != lit {
		p.bad = "not " + lit + " where it must be"
		return
	}
	p.rest = p.rest[len(lit):]
}

// quoted reads lit, which ends with a quote, and returns what is before the
// string's closing quote, escapes as they are.
func (p *LineParser) quoted(lit string) []byte {
	p.expect(lit)
	if p.bad != "" {
		return nil
	}
	end := bytes.IndexByte(p.rest, '"')
	if end >= 0 && bytes.IndexByte(p.rest[:end], '\\') >= 0 {
		end = unescapedQuote(p.rest)
	}
	if end < 0 {
		p.bad = "a string that does not end"
		return nil
	}
	s := p.rest[:end]
	p.rest = p.rest[end+1:]
	return s
}

// unescapedQuote returns the index of the first quote without a backslash, or
// -1.
func unescapedQuote(b []byte) int {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// time reads a time up to after its closing quote.
func (p *LineParser) time() int64 {
	if p.bad != "" {
		return 0
	}
	end := len("2006-01-02T15:04:05Z")
	if len(p.rest) <= end || p.rest[end] != '"' { // it has a fraction
		end = bytes.IndexByte(p.rest, '"')
	}
	if end >= 0 {
		if us, ok := ParseStored(p.rest[:end]); ok {
			p.rest = p.rest[end+1:]
			return us
		}
	}
	p.bad = "a time that is not " + TimeLayout
	return 0
}
