package capture

import (
	"math/rand/v2"
	"sync"
)

// An idSource makes UUIDs of version 7 (RFC 9562, section 5.7) that only ever
// grow. Each new millisecond begins at 73 random bits; within one, and while
// the clock stands still or goes back, the next id is a random step further
// (section 6.2, method 2).
type idSource struct {
	mu sync.Mutex
	ms int64  // of the last id
	hi uint16 // rand_a, 12 bits
	lo uint64 // rand_b, 62 bits
}

// randB is the bits of rand_b.
const randB = 1<<62 - 1

// next writes an id's 36 characters and returns the time that it carries, in
// Unix milliseconds: nowMS, unless an earlier id was already later.
func (s *idSource) next(dst *[36]byte, nowMS int64) (ms int64) {
	s.mu.Lock()
	if nowMS > s.ms {
		s.renew(nowMS)
	} else {
		s.lo += 1 + uint64(rand.Uint32())
		if s.lo > randB {
			s.lo &= randB
			s.hi++
		}
		if s.hi > 0xfff {
			s.renew(s.ms + 1)
		}
	}
	ms, hi, lo := s.ms, s.hi, s.lo
	s.mu.Unlock()
	putUUID(dst, uint64(ms)<<16|0x7000|uint64(hi), 1<<63|lo)
	return ms
}

// renew begins a millisecond. The highest bit is left free for growth.
func (s *idSource) renew(ms int64) {
	s.ms, s.hi, s.lo = ms, uint16(rand.Uint32())&0x7ff, rand.Uint64()&randB
}

// putUUID writes 128 bits as 8-4-4-4-12 hexadecimal digits.
func putUUID(dst *[36]byte, hi, lo uint64) {
	const hex = "0123456789abcdef"
	at := 0
	for i := range 32 {
		if i == 8 || i == 12 || i == 16 || i == 20 {
			dst[at] = '-'
			at++
		}
		word := hi
		if i >= 16 {
			word = lo
		}
		dst[at] = hex[word>>(60-4*(i&15))&15]
		at++
	}
}
