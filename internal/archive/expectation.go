package archive

import (
	"github.com/zeebo/xxh3"

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

// An expectation is what a table must have, of one share of the ids.
type expectation struct {
	share, shares uint64
	first         map[identity]int32 // 1 + index into events
	events        []kept
	unsure        map[int32]bool // events that may repeat one that is frozen
}

// newExpectation has room for the events of a share.
func newExpectation(share, shares uint64, events int64) *expectation {
	return &expectation{share: share, shares: shares, first: make(map[identity]int32, events/int64(shares)), unsure: map[int32]bool{}}
}

func (x *expectation) mine(id identity) bool { return id[0]%x.shares == x.share }

// add takes one stored event, in log order, and says whether it is the last of
// events now, and no repeat.
func (x *expectation) add(id identity, e load.Sighting) bool {
	for i := x.first[id]; i != 0; i = x.events[i-1].next {
		if e.Repeats(x.events[i-1].time) {
			return false
		}
	}
	x.events = append(x.events, kept{time: e.Time, hash: e.Hash, next: x.first[id]})
	x.first[id] = int32(len(x.events))
	return true
}
