package arbalest

import (
	"fmt"
	"strings"
	"time"
)

// MaxEventName is the longest event name, in bytes. Redshift's identifiers end
// at the same length.
const MaxEventName = 127

// MaxEventID is the longest event id, in bytes.
const MaxEventID = 255

// An EventName says what happened: "user.created". It matches
// [A-Za-z0-9][A-Za-z0-9._-]* and has at most MaxEventName bytes, so it is a
// safe path segment and never looks like one of the system's own, which begin
// with "_".
type EventName string

// Validate returns an error that wraps ErrInvalid and says how to mend the
// name, or nil.
func (n EventName) Validate() error {
	switch {
	case n == "":
		return fmt.Errorf("%w: event name is empty: send it as \"event\"", ErrInvalid)
	case len(n) > MaxEventName:
		return fmt.Errorf("%w: event name has %d bytes: at most %d are allowed", ErrInvalid, len(n), MaxEventName)
	}
	for i := 0; i < len(n); i++ {
		c := n[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return fmt.Errorf("%w: event name %.80q has %q at byte %d: use letters, digits, '.', '_' and '-', beginning with a letter or digit", ErrInvalid, string(n), rune(c), i)
		}
	}
	return nil
}

// Table returns the name of the event's table: the event's name in lower case
// with every character other than letters, digits and "_" replaced by "_".
// Two events may have the same answer; the lake's table definitions settle who
// keeps it.
func (n EventName) Table() string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '_':
			return r
		case 'A' <= r && r <= 'Z':
			return r + ('a' - 'A')
		}
		return '_'
	}, string(n))
}

// An Event is an immutable fact.
type Event struct {
	ID       string    // unique for its name and hour; at most MaxEventID bytes
	Name     EventName // what happened
	Time     time.Time // when it happened, UTC
	Received time.Time // when it was captured, UTC, in milliseconds
	Hash     uint64    // XXH3 of Properties
	// Properties is a JSON object as it came, compacted: number text, key order
	// and unknown properties are kept.
	Properties []byte
	// Attributes is a JSON object, compacted, of what is known of the event
	// besides its properties: the source that it is from, and how it came. Nil
	// if there is none. It has no part in Hash.
	Attributes []byte
}

// Partition returns where the event lives for good.
func (e Event) Partition() Partition { return Partition{e.Name, HourOf(e.Time)} }

// An Hour is a UTC hour of event time, counted from 1970-01-01T00.
type Hour int64

// FirstHour and EndHour are the first hour that an event can be of, and the one
// after the last: times are of the years 1 to 9999.
const (
	FirstHour Hour = -719162 * 24
	EndHour   Hour = 2932897 * 24
)

// HourOf returns the hour that t is in.
func HourOf(t time.Time) Hour { return HourOfUnix(t.Unix()) }

// HourOfUnix returns the hour that a Unix time in seconds is in.
func HourOfUnix(sec int64) Hour {
	h := sec / 3600
	if sec%3600 < 0 {
		h--
	}
	return Hour(h)
}

// HourOfMicro returns the hour that a Unix time in microseconds is in.
func HourOfMicro(us int64) Hour {
	sec := us / 1_000_000
	if us%1_000_000 < 0 {
		sec--
	}
	return HourOfUnix(sec)
}

// Time returns the hour's first instant.
func (h Hour) Time() time.Time { return time.Unix(int64(h)*3600, 0).UTC() }

// Day returns the first hour of the hour's UTC day.
func (h Hour) Day() Hour { return h - (h%24+24)%24 }

// String returns the hour as partitions spell it: "2015-08-18/06".
func (h Hour) String() string { return h.Time().Format("2006-01-02/15") }

// ParseHour is the inverse of Hour.String.
func ParseHour(s string) (Hour, error) {
	t, err := time.Parse("2006-01-02/15", s)
	if err != nil {
		return 0, fmt.Errorf("%w: hour %q is not yyyy-MM-dd/HH", ErrInvalid, s)
	}
	return HourOf(t), nil
}

// MarshalText spells an hour in the log's JSON as String does.
func (h Hour) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (h *Hour) UnmarshalText(b []byte) (err error) {
	*h, err = ParseHour(string(b))
	return err
}

// A Partition is the place of all events of one name and hour.
type Partition struct {
	Event EventName
	Hour  Hour
}

// Prefix returns the partition's key prefix, "user.created/2015-08-18/06/".
func (p Partition) Prefix() Key { return Key(string(p.Event) + "/" + p.Hour.String() + "/") }
