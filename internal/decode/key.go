package decode

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
)

// A key is a name in an object that is being scanned.
type key struct {
	signature uint64 // equal for equal keys
	start     int    // in src, after the quote
	size      int32
	escaped   bool
}

// A keyStack holds the keys of all objects that are open, outermost first. It
// allocates nothing while they are few.
type keyStack struct {
	size int
	room [32]key
	many []key // once room was too small
}

func (s *keyStack) push(k key) {
	switch {
	case s.many != nil:
		s.many = append(s.many[:s.size], k)
	case s.size < len(s.room):
		s.room[s.size] = k
	default:
		s.many = append(append(make([]key, 0, 4*len(s.room)), s.room[:]...), k)
	}
	s.size++
}

// from returns the keys from the given one to the last.
func (s *keyStack) from(first int) []key {
	if s.many != nil {
		return s.many[first:s.size]
	}
	return s.room[first:s.size]
}

// fewKeys is how many keys are compared each with each: fewer than a table
// would cost.
const fewKeys = 16

// addKey remembers a key.
func (s *scanner) addKey(k key) {
	k.signature = signature(s.keyText(k))
	s.keys.push(k)
}

// keyText returns the key without escapes.
func (s *scanner) keyText(k key) []byte {
	text := s.src[k.start : k.start+int(k.size)]
	if k.escaped {
		return unescape(nil, text)
	}
	return text
}

// signature mixes a key's first and last eight bytes and its length.
func signature(text []byte) uint64 {
	n := len(text)
	if n >= 8 {
		first := binary.LittleEndian.Uint64(text)
		last := binary.LittleEndian.Uint64(text[n-8:])
		return (first*0x9e3779b97f4a7c15 ^ last) + uint64(n)<<56
	}
	if n >= 4 {
		first := binary.LittleEndian.Uint32(text)
		last := binary.LittleEndian.Uint32(text[n-4:])
		return uint64(first)<<32 | uint64(last) ^ uint64(n)<<56
	}
	w := uint64(n) << 56
	for i, c := range text {
		w |= uint64(c) << (8 * i)
	}
	return w
}

// keyTwice returns the index of the first of an object's keys that equals one
// before it, or -1. It takes time in proportion to the keys, whatever they are.
func (s *scanner) keyTwice(keys []key) int {
	if len(keys) > fewKeys {
		return s.keyTwiceOfMany(keys)
	}
	for i := 1; i < len(keys); i++ {
		sig := keys[i].signature
		for j := range keys[:i] {
			if keys[j].signature == sig && s.sameKey(keys[i], keys[j]) {
				return i
			}
		}
	}
	return -1
}

func (s *scanner) sameKey(a, b key) bool { return bytes.Equal(s.keyText(a), s.keyText(b)) }

// keyTwiceOfMany is keyTwice by a table with open addressing. Its hash is
// seeded, so that nobody can send keys which collide.
func (s *scanner) keyTwiceOfMany(keys []key) int {
	size := 64
	for size < 2*len(keys) {
		size *= 2
	}
	if cap(s.table) < size {
		s.table = make([]int32, size)
	}
	table := s.table[:size]
	clear(table)
	seed := maphash.MakeSeed()
	for i, k := range keys {
		slot := maphash.Bytes(seed, s.keyText(k)) & uint64(size-1)
		for ; table[slot] != 0; slot = (slot + 1) & uint64(size-1) {
			if other := keys[table[slot]-1]; other.signature == k.signature && s.sameKey(k, other) {
				return i
			}
		}
		table[slot] = int32(i + 1)
	}
	return -1
}
