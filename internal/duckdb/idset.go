package duckdb

import (
	"encoding/binary"
	"math/bits"

	"arbalest"
)

// An idSet is a set of hashes that takes 8 to 15 bytes for each: it may say of a
// hash that it has it when it has not (of ten million about one time in 10^7),
// and never that it has not when it has. It is a table with open addressing that
// keeps 48 bits of the hash, of which the first say where its search begins. They are
// together, so that a look is one wait for memory.
type idSet struct {
	slots []byte // slotBytes for each, of which 0 is an empty one, and slotMore
	first int    // bits of the table's first size
	bits  int    // of its size
	free  int    // hashes until it grows
}

const (
	firstBits = 10
	slotBytes = 6
	slotMore  = 2 // that a word may be read of the last slot
)

// mark returns what is kept of a hash: its first 48 bits, or 1 for none.
func mark(hash uint64) uint64 { return max(hash>>16, 1) }

// find returns where a mark is in the table, or else the empty slot for it.
func (s *idSet) find(mark uint64) (slot []byte, has bool) {
	for at := mark >> (48 - s.bits); ; at = (at + 1) & (1<<s.bits - 1) {
		slot = s.slots[at*slotBytes:][:slotBytes+slotMore]
		switch binary.LittleEndian.Uint64(slot) & (1<<48 - 1) {
		case mark:
			return slot, true
		case 0:
			return slot, false
		}
	}
}

func (s *idSet) has(hash uint64) bool {
	if s.bits == 0 {
		return false
	}
	_, has := s.find(mark(hash))
	return has
}

// add adds a hash. It says whether it had it, and how many bytes it grew by.
func (s *idSet) add(hash uint64) (had bool, grown int64) {
	if s.free == 0 {
		before := s.bytes()
		s.resize(max(s.first, s.bits+1))
		grown = s.bytes() - before
	}
	if had = s.put(mark(hash)); !had {
		s.free--
	}
	return had, grown
}

func (s *idSet) put(mark uint64) (had bool) {
	slot, had := s.find(mark)
	binary.LittleEndian.PutUint32(slot, uint32(mark))
	binary.LittleEndian.PutUint16(slot[4:], uint16(mark>>32))
	return had
}

// newIDSet returns a set that expects n hashes. It takes no memory before the
// first.
func newIDSet(n int) *idSet { return &idSet{first: max(firstBits, bits.Len(uint(n*5/4)))} }

// resize makes the table one of 1<<size slots.
func (s *idSet) resize(size int) {
	old := *s
	s.bits = size
	s.slots = make([]byte, slotBytes<<s.bits+slotMore)
	s.free = 1 << s.bits * 4 / 5
	for i := 0; i+slotMore < len(old.slots); i += slotBytes {
		if mark := binary.LittleEndian.Uint64(old.slots[i:]) & (1<<48 - 1); mark != 0 {
			s.put(mark)
			s.free--
		}
	}
}

func (s *idSet) bytes() int64 { return int64(len(s.slots)) }

// A tableHour is the rows of a table in an hour.
type tableHour struct {
	table string
	hour  arbalest.Hour
}
