package lake

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"arbalest"
)

// A Ref names a rejected event, from when it is durable on and for ever: the
// hour in which it came, its segment, and its place among the segment's rejected
// events of that hour, from 1. It is spelled
// "2026-11-22/20/01JD3W4X2N8Q7R5T6V9Y0Z1A2B-000017#3".
type Ref struct {
	Hour   arbalest.Hour
	Writer string
	N      uint64 // of the segment
	Line   int
}

// String spells a Ref. Without a line it is the whole segment's.
func (r Ref) String() string {
	s := r.Hour.String() + "/" + r.segment()
	if r.Line > 0 {
		s += "#" + strconv.Itoa(r.Line)
	}
	return s
}

// segment spells the segment, as receipts do.
func (r Ref) segment() string { return string(receiptOf(r.Writer, r.N)) }

// key is where sort puts it.
func (r Ref) key() arbalest.Key {
	return arbalest.Key(fmt.Sprintf("%s%s/%s-%012d%s", rejectedFolder, r.Hour, r.Writer, r.N, suffixZstd))
}

// ParseRef is the inverse of Ref.String. The error wraps arbalest.ErrInvalid.
func ParseRef(s string) (Ref, error) {
	place, line, ok := strings.Cut(s, "#")
	n, err := strconv.Atoi(line)
	if !ok || err != nil || n < 1 {
		return Ref{}, fmt.Errorf("%w: place %.80q has no line: give it as arbalest rejected list shows it", arbalest.ErrInvalid, s)
	}
	r, ok := parseRef(place)
	if !ok {
		return Ref{}, fmt.Errorf("%w: place %.80q is not yyyy-MM-dd/HH/segment#line: give it as arbalest rejected list shows it", arbalest.ErrInvalid, s)
	}
	r.Line = n
	return r, nil
}

// parseRef reads a Ref without its line, in which n may have any number of
// leading zeros.
func parseRef(s string) (Ref, bool) {
	const hourSize = len("2006-01-02/15")
	if len(s) <= hourSize || s[hourSize] != '/' {
		return Ref{}, false
	}
	hour, err := arbalest.ParseHour(s[:hourSize])
	writer, digits, ok := strings.Cut(s[hourSize+1:], "-")
	n, numErr := strconv.ParseUint(digits, 10, 64)
	if err != nil || numErr != nil || !ok || writer == "" || strings.ContainsAny(writer, "/.#") {
		return Ref{}, false
	}
	return Ref{Hour: hour, Writer: writer, N: n}, true
}

// refOf returns the Ref of an object below _rejected/, without a line.
func refOf(key arbalest.Key) (Ref, bool) {
	rest, ok := strings.CutPrefix(string(key), rejectedFolder)
	name, ok2 := strings.CutSuffix(rest, suffixZstd)
	if !ok || !ok2 {
		return Ref{}, false
	}
	return parseRef(name)
}

// compareRefs orders the segments of an hour as they were begun.
func compareRefs(a, b Ref) int {
	return cmp.Or(cmp.Compare(a.Writer, b.Writer), cmp.Compare(a.N, b.N))
}
