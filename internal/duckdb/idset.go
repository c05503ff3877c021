package duckdb

import "arbalest"

// An idSet is a set of hashes that takes 5 bytes for each: it may say of a hash
// that it has it when it has not (of ten million about one time in 10^8), and
// never that it has not when it has. It is a list of hash tables, each twice as
// large as the one before, in whose slots are 32 bits of the hash, found by
// others of its bits.
type idSet struct {
	tables [][]uint32 // 0 is an empty slot
	room   int        // of the last one
}

const (
	firstSlots = 1 << 10
	mostSlots  = 1 << 20
)

// slot returns where a hash's search begins in a table, and its mark there.
func slot(table []uint32, hash uint64) (at, mark uint32) {
	return uint32(hash>>32) & uint32(len(table)-1), max(uint32(hash), 1)
}

func (s *idSet) has(hash uint64) bool {
	for _, table := range s.tables {
		at, mark := slot(table, hash)
		for ; table[at] != 0; at = (at + 1) & uint32(len(table)-1) {
			if table[at] == mark {
				return true
			}
		}
	}
	return false
}

// add adds a hash, which it may have, and returns how many bytes it grew by.
func (s *idSet) add(hash uint64) (grown int64) {
	if s.room == 0 {
		n := min(firstSlots<<len(s.tables), mostSlots)
		s.tables = append(s.tables, make([]uint32, n))
		s.room = n * 4 / 5
		grown = int64(n) * 4
	}
	table := s.tables[len(s.tables)-1]
	at, mark := slot(table, hash)
	for table[at] != 0 {
		at = (at + 1) & uint32(len(table)-1)
	}
	table[at] = mark
	s.room--
	return grown
}

func (s *idSet) bytes() (n int64) {
	for _, table := range s.tables {
		n += int64(len(table)) * 4
	}
	return n
}

// A tableHour is the rows of a table in an hour.
type tableHour struct {
	table string
	hour  arbalest.Hour
}
