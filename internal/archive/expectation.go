package archive

import (
	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/load"
)

// An identity is a hash of an event's id.
type identity [2]uint64

func identityOf(id string) identity {
	h := xxh3.HashString128(id)
	return identity{h.Hi, h.Lo}
}

// sumOf is what an event adds to the sum of its hour.
func sumOf(id string, time int64, hash uint64) uint64 {
	return xxh3.HashStringSeed(id, hash^uint64(time)*0x9e3779b97f4a7c15)
}

// A kept event is one that the table must have.
type kept struct {
	time int64
	hash uint64
	rows int32 // found in the table
	next int32 // 1 + index of another with the same id, 0 for none
}

// A refusal is an id and time that the warehouse has a load error of. Of several
// events that have both it may be of one only.
type refusal struct {
	id   identity
	time int64
}

// An expectation is what a table must have, of one share of the ids.
type expectation struct {
	share, shares uint64
	first         map[identity]int32 // 1 + index into events
	events        []kept
	unsure        map[int32]bool // events that may repeat one that is frozen or was erased
	refused       map[refusal]bool
	doubts        map[int32]doubt // of events, by index
}

// A doubt is of an event that repeats an earlier one that may not be in the table, since
// it was refused: which of the two the table must have follows from what it has.
type doubt struct {
	load.Sighting
	sum uint64
}

// newExpectation has room for the events of a share.
func newExpectation(share, shares uint64, events int64) *expectation {
	return &expectation{
		share: share, shares: shares, first: make(map[identity]int32, events/int64(shares)),
		refused: map[refusal]bool{}, unsure: map[int32]bool{}, doubts: map[int32]doubt{},
	}
}

func (x *expectation) mine(id identity) bool { return id[0]%x.shares == x.share }

// refuse says that the warehouse has a load error of an event.
func (x *expectation) refuse(id string, time int64) {
	if of := identityOf(id); x.mine(of) {
		x.refused[refusal{of, time}] = true
	}
}

// find returns which event a row is of, or -1.
func (x *expectation) find(r load.Row) int32 {
	for i := x.first[identityOf(r.ID)]; i != 0; i = x.events[i-1].next {
		if e := &x.events[i-1]; e.time == r.Time && string(arbalest.AppendHash(nil, e.hash)) == r.Hash {
			return i - 1
		}
	}
	return -1
}

// add takes one stored event, in log order, and says whether it is the last of
// events now, and no repeat.
func (x *expectation) add(id string, of identity, e load.Sighting) bool {
	repeats := false
	for i := x.first[of]; i != 0; i = x.events[i-1].next {
		k := x.events[i-1]
		if !e.Repeats(k.time) {
			continue
		}
		if _, doubtful := x.doubts[i-1]; k.time == e.Time && k.hash == e.Hash || !doubtful && !x.refused[refusal{of, k.time}] {
			return false
		}
		repeats = true
	}
	if repeats {
		x.doubts[int32(len(x.events))] = doubt{e, sumOf(id, e.Time, e.Hash)}
	}
	x.events = append(x.events, kept{time: e.Time, hash: e.Hash, next: x.first[of]})
	x.first[of] = int32(len(x.events))
	return true
}

// repeats says whether an event in doubt repeats an earlier one that is in the table.
func (x *expectation) repeats(i int32, isThere func(kept) bool) bool {
	e := x.doubts[i]
	for k := x.events[i].next; k != 0; k = x.events[k-1].next {
		if isThere(x.events[k-1]) && e.Repeats(x.events[k-1].time) {
			return true
		}
	}
	return false
}
