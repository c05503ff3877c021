package decode

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"arbalest"
)

// ParseTime reads a time in RFC 3339 or one of its near relatives: a space or
// 't' for the 'T', no seconds, a zone of Z, z, +02:00, +0200 or +02, no zone
// for UTC, and a date alone for its midnight in UTC. A fraction has at most
// nine digits. The result is in UTC, of the years 1 to 9999. Leap seconds,
// 24:00, dates that do not exist and numbers of seconds are refused; the error
// wraps arbalest.ErrInvalid.
func ParseTime(s []byte) (time.Time, error) {
	t, bad := parseTime(s)
	if bad != "" {
		return time.Time{}, fmt.Errorf("%w: time %.60q %s", arbalest.ErrInvalid, s, bad)
	}
	return time.Unix(t.second, int64(t.nano)).UTC(), nil
}

// An instant is a time as it was read.
type instant struct {
	second int64 // since 1970-01-01T00:00Z
	nano   int32
}

const notTime = "is not a time: send RFC 3339, such as 2015-08-18T06:36:40Z"

// parseTime reads a time as ParseTime does; bad says what is wrong with it.
func parseTime(s []byte) (t instant, bad string) {
	if len(s) == len("2006-01-02T15:04:05Z") {
		if us, ok := arbalest.ParseStored(s); ok { // as most are
			return instant{second: us / 1_000_000}, ""
		}
	}
	if len(s) < 10 || s[4] != '-' || s[7] != '-' {
		if isNumber(s) {
			return t, "is a number, whose unit and zone nobody knows: send RFC 3339, such as 2015-08-18T06:36:40Z"
		}
		return t, notTime
	}
	year, month, day := digits(s[0:4]), digits(s[5:7]), digits(s[8:10])
	switch {
	case min(year, month, day) < 0:
		return t, notTime
	case year < 1 || month < 1 || month > 12 || day < 1 || day > arbalest.DaysIn(year, month):
		return t, "is a date that does not exist"
	}
	t.second = arbalest.DaysSince1970(year, month, day) * 86400
	if len(s) == 10 {
		return t, ""
	}
	if s[10]|0x20 != 't' && s[10] != ' ' {
		return t, notTime
	}
	rest, bad := t.clock(s[11:])
	if bad == "" {
		bad = t.zone(rest)
	}
	return t, bad
}

// clock adds HH:MM[:SS[.fraction]], and returns what follows it.
func (t *instant) clock(s []byte) (rest []byte, bad string) {
	if len(s) < 5 || s[2] != ':' {
		return nil, notTime
	}
	hour, minute, second := digits(s[0:2]), digits(s[3:5]), 0
	s = s[5:]
	if len(s) >= 3 && s[0] == ':' {
		second, s = digits(s[1:3]), s[3:]
		if len(s) > 0 && s[0] == '.' {
			s, bad = t.fraction(s[1:])
		}
	}
	switch {
	case bad != "":
		return nil, bad
	case min(hour, minute, second) < 0:
		return nil, notTime
	case second == 60:
		return nil, "is a leap second, which no warehouse can hold"
	case hour > 23 || minute > 59 || second > 59:
		return nil, "is a time of day that does not exist"
	}
	t.second += int64(hour*3600 + minute*60 + second)
	return s, ""
}

// fraction adds the digits after the point.
func (t *instant) fraction(s []byte) (rest []byte, bad string) {
	n := skipDigits(s, 0)
	if n == 0 || n > 9 {
		return nil, "has a fraction of a second that is not of 1 to 9 digits"
	}
	t.nano = int32(digits(s[:n]) * int(powers[9-n]))
	return s[n:], ""
}

// zone applies Z, ±hh, ±hhmm or ±hh:mm; without it the time is UTC.
func (t *instant) zone(s []byte) (bad string) {
	if len(s) == 0 || len(s) == 1 && s[0]|0x20 == 'z' {
		return ""
	}
	if s[0] != '+' && s[0] != '-' {
		return notTime
	}
	hour, minute := -1, 0
	switch {
	case len(s) == 6 && s[3] == ':':
		hour, minute = digits(s[1:3]), digits(s[4:6])
	case len(s) == 5:
		hour, minute = digits(s[1:3]), digits(s[3:5])
	case len(s) == 3:
		hour = digits(s[1:3])
	}
	if hour < 0 || minute < 0 || hour > 23 || minute > 59 {
		return "has a zone that is neither Z nor an offset such as +02:00"
	}
	offset := int64(hour*3600 + minute*60)
	if s[0] == '+' {
		offset = -offset
	}
	t.second += offset
	if t.second < firstSecond || t.second > lastSecond {
		return "is outside of the years 1 to 9999 in UTC"
	}
	return ""
}

// The first and the last second of the years 1 to 9999, since 1970.
const (
	firstSecond = -62135596800
	lastSecond  = 253402300799
)

// digits reads a number of at most nine digits; it is -1 if there is anything
// else.
func digits(s []byte) int {
	n := 0
	for _, c := range s {
		if c -= '0'; c > 9 {
			return -1
		}
		n = n*10 + int(c)
	}
	return n
}

// IDTime returns the time, in UTC and milliseconds, that is inside an id which
// is a UUID of version 7 (RFC 9562, section 5.7; 36 characters) or a ULID
// (github.com/ulid/spec; 26 characters, of either case).
func IDTime(id string) (time.Time, bool) {
	if ms, ok := uuidMillis(id); ok {
		return time.UnixMilli(ms).UTC(), true
	}
	if ms, ok := ulidMillis(id); ok {
		return time.UnixMilli(ms).UTC(), true
	}
	return time.Time{}, false
}

func uuidMillis(id string) (ms int64, ok bool) {
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return 0, false
	}
	b, err := hex.DecodeString(id[:8] + id[9:13] + id[14:18] + id[19:23] + id[24:])
	if err != nil || b[6]>>4 != 7 || b[8]>>6 != 0b10 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(b) >> 16), true
}

// crockford has a digit's value at its place in base 32.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

func ulidMillis(id string) (ms int64, ok bool) {
	if len(id) != 26 || id[0] > '7' {
		return 0, false
	}
	for i := range 26 {
		c := id[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		digit := strings.IndexByte(crockford, c)
		if digit < 0 {
			return 0, false
		}
		if i < 10 {
			ms = ms<<5 | int64(digit)
		}
	}
	return ms, true
}
