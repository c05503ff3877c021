package load

import (
	"encoding/hex"

	"arbalest"
	"arbalest/internal/decode"
)

// A Book is what became of the events of one name and hour, of those that the
// journal has seen: Received = Stored + Rejected, and Stored = Loaded + Repeats
// + Errors + Erased. Conflicts are among the repeats.
type Book struct {
	Event    arbalest.EventName
	Hour     arbalest.Hour
	Received int64
	Rejected int64
	Counts
}

// A Sighting is what the rule of repeats needs of an event.
type Sighting struct {
	Time      int64 // microseconds
	Hash      uint64
	ByReceipt bool // the time is that of the receipt
}

// SightingOf returns a stored event's.
func SightingOf(l arbalest.Line) Sighting {
	s := Sighting{Time: l.Time}
	var b [8]byte
	hex.Decode(b[:], l.Hash)
	for _, c := range b {
		s.Hash = s.Hash<<8 | uint64(c)
	}
	s.ByReceipt = l.Time == l.Received && !timedByID(l.UnquoteID(), l.Time)
	return s
}

// Repeats says whether an event repeats an earlier one of the same id and
// table, at time earlier: they are in the same hour, or this one's time is that
// of its receipt and they are at most 24 hours apart.
func (s Sighting) Repeats(earlier int64) bool {
	if arbalest.HourOfMicro(earlier) == arbalest.HourOfMicro(s.Time) {
		return true
	}
	return s.ByReceipt && max(earlier, s.Time)-min(earlier, s.Time) <= dayMicros
}

// timedByID says whether a time is that of the id itself.
func timedByID(id string, at int64) bool {
	t, ok := decode.IDTime(id)
	return ok && t.UnixMicro() == at
}
