package arbalest

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// TimeLayout is how times are spelled in stored lines: RFC 3339 in UTC, with
// no more fractional digits than there are.
const TimeLayout = "2006-01-02T15:04:05.999999999Z"

// AppendLine appends the event as it is stored, with a newline: its properties
// with the member _event spliced in front.
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
	dst = append(dst, `"}`...)
	if rest := e.Properties[1:]; rest[0] != '}' {
		dst = append(dst, ',')
	}
	dst = append(dst, e.Properties[1:]...)
	return append(dst, '\n')
}

// AppendTime appends a time of the years 0 to 9999 in TimeLayout.
func AppendTime(dst []byte, t time.Time) []byte {
	const daySeconds = 86400
	sec := t.Unix()
	days := sec / daySeconds
	if sec -= days * daySeconds; sec < 0 {
		sec += daySeconds
		days--
	}
	year, month, day := civil(days)
	dst = append(dst, byte('0'+year/1000), byte('0'+year/100%10), byte('0'+year/10%10), byte('0'+year%10),
		'-', byte('0'+month/10), byte('0'+month%10), '-', byte('0'+day/10), byte('0'+day%10),
		'T', byte('0'+sec/36000), byte('0'+sec/3600%10), ':', byte('0'+sec/600%6), byte('0'+sec/60%10), ':', byte('0'+sec/10%6), byte('0'+sec%10))
	if nano := t.Nanosecond(); nano > 0 {
		dst = append(dst, '.')
		for ; nano > 0; nano = nano % 100_000_000 * 10 {
			dst = append(dst, byte('0'+nano/100_000_000))
		}
	}
	return append(dst, 'Z')
}

// civil returns the date, in the Gregorian calendar, of days since 1970-01-01,
// by Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
// civil_from_days, for years from 0.
func civil(days int64) (year, month, day int64) {
	days += 719468
	era := days / 146097
	ofEra := days % 146097
	yearOfEra := (ofEra - ofEra/1460 + ofEra/36524 - ofEra/146096) / 365
	ofYear := ofEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	shifted := (5*ofYear + 2) / 153 // months from March
	day = ofYear - (153*shifted+2)/5 + 1
	if month = shifted + 3; month > 12 {
		month -= 12
	}
	year = yearOfEra + era*400
	if month <= 2 {
		year++
	}
	return year, month, day
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
	// Rest is what follows the envelope: the properties without their opening
	// brace, so that `{` and Rest are the properties as they came.
	Rest []byte
}

// ParseLine reads a stored line, with or without its newline, by the exact
// spelling of AppendLine. Rest is not looked at beyond its first and last
// byte. The error wraps ErrCorrupt.
func ParseLine(b []byte) (Line, error) {
	var l Line
	p := lineParser{rest: bytes.TrimSuffix(b, []byte{'\n'})}
	l.ID = p.quoted(`{"_event":{"id":"`)
	l.Name = p.quoted(`,"name":"`)
	l.Time = p.time(`,"time":"`)
	l.Received = p.time(`,"received":"`)
	l.Hash = p.quoted(`,"hash":"`)
	p.expect(`}`)
	if p.bad == "" && len(l.Hash) != 16 {
		p.bad = "a hash of other than 16 digits"
	}
	if p.bad == "" && (len(p.rest) == 0 || p.rest[len(p.rest)-1] != '}' || p.rest[0] != ',' && len(p.rest) != 1) {
		p.bad = "no properties after its envelope"
	}
	if p.bad != "" {
		return Line{}, fmt.Errorf("%w: stored line %.60q has %s", ErrCorrupt, b, p.bad)
	}
	l.Rest = p.rest
	if l.Rest[0] == ',' {
		l.Rest = l.Rest[1:]
	}
	return l, nil
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

type lineParser struct {
	rest []byte
	bad  string
}

func (p *lineParser) expect(lit string) {
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
func (p *lineParser) quoted(lit string) []byte {
	p.expect(lit)
	if p.bad != "" {
		return nil
	}
	for i := 0; i < len(p.rest); i++ {
		switch p.rest[i] {
		case '\\':
			i++
		case '"':
			s := p.rest[:i]
			p.rest = p.rest[i+1:]
			return s
		}
	}
	p.bad = "a string that does not end"
	return nil
}

func (p *lineParser) time(lit string) int64 {
	s := p.quoted(lit)
	if p.bad != "" {
		return 0
	}
	us, ok := parseStoredTime(s)
	if !ok {
		p.bad = "a time that is not " + TimeLayout
	}
	return us
}

// parseStoredTime reads a time in TimeLayout, in microseconds.
func parseStoredTime(s []byte) (us int64, ok bool) {
	if len(s) < 20 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' || s[len(s)-1] != 'Z' {
		return 0, false
	}
	num := func(from, to int) int {
		n := 0
		for _, c := range s[from:to] {
			if c < '0' || c > '9' {
				ok = false
			}
			n = n*10 + int(c-'0')
		}
		return n
	}
	ok = true
	year, month, day := num(0, 4), num(5, 7), num(8, 10)
	hour, minute, sec := num(11, 13), num(14, 16), num(17, 19)
	frac, digits := 0, 0
	if len(s) > 20 {
		if s[19] != '.' || len(s) > 30 || len(s) == 21 {
			return 0, false
		}
		digits = min(len(s)-21, 6)
		num(20, len(s)-1)
		frac = num(20, 20+digits)
	}
	if !ok || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || sec > 59 {
		return 0, false
	}
	for ; digits < 6; digits++ {
		frac *= 10
	}
	t := time.Date(year, time.Month(month), day, hour, minute, sec, 0, time.UTC)
	return t.Unix()*1_000_000 + int64(frac), t.Day() == day
}
