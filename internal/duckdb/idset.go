package duckdb

import (
	"math/bits"

	"arbalest"
)

// An idSet is a set of hashes that takes 8 to 15 bytes for each: it may say of a
// hash that it has it when it has not (of ten million about one time in 10^7),
// and never that it has not when it has. It is a table with open addressing that
// keeps 48 bits of the hash, of which the first say where its search begins.
type idSet struct {
	low   []uint32 // 0 is an empty slot
	high  []uint16
	first int // bits of the table's first size
	bits  int // of its size
	free  int // hashes until it grows
}

const (
	firstBits = 10
	slotBytes = 6
)

// mark returns what is kept of a hash, and its slot in a table of 1<<bits.
func mark(hash uint64, bits int) (low uint32, high uint16, at uint32) {
	return max(uint32(hash>>16), 1), uint16(hash >> 48), uint32(hash >> (64 - bits))
}

func (s *idSet) has(hash uint64) bool {
	if s.bits == 0 {
		return false
	}
	low, high, at := mark(hash, s.bits)
	for ; s.low[at] != 0; at = (at + 1) & (1<<s.bits - 1) {
		if s.low[at] == low && s.high[at] == high {
			return true
		}
	}
	return false
}

// add adds a hash, which it may have, and returns how many bytes it grew by.
func (s *idSet) add(hash uint64) (grown int64) {
	if s.free == 0 {
		before := s.bytes()
		s.resize(max(s.first, s.bits+1))
		grown = s.bytes() - before
	}
	s.put(mark(hash, s.bits))
	s.free--
	return grown
}

func (s *idSet) put(low uint32, high uint16, at uint32) {
	for s.low[at] != 0 {
		at = (at + 1) & (1<<s.bits - 1)
	}
	s.low[at], s.high[at] = low, high
}

// newIDSet returns a set that expects n hashes. It takes no memory before the
// first.
func newIDSet(n int) *idSet { return &idSet{first: max(firstBits, bits.Len(uint(n*5/4)))} }

// resize makes the table one of 1<<size slots.
func (s *idSet) resize(size int) {
	old := *s
	s.bits = size
	s.low, s.high = make([]uint32, 1<<s.bits), make([]uint16, 1<<s.bits)
	for i, low := range old.low {
		if low != 0 {
			s.put(mark(uint64(old.high[i])<<48|uint64(low)<<16, s.bits))
		}
	}
	s.free = 1<<s.bits*4/5 - len(old.low)*4/5
}

func (s *idSet) bytes() int64 { return int64(len(s.low)) * slotBytes }

// A tableHour is the rows of a table in an hour.
type tableHour struct {
	table string
	hour  arbalest.Hour
}
