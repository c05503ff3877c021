package capture

import (
	"fmt"
	"sync"
	"sync/atomic"

	"arbalest"
)

// A budget bounds the bytes that all requests together hold. It never blocks.
type budget struct {
	limit int64
	used  atomic.Int64
}

// acquire takes n bytes, or says that they are not to be had now.
func (b *budget) acquire(n int64) bool {
	if b.used.Add(n) <= b.limit {
		return true
	}
	b.used.Add(-n)
	return false
}

func (b *budget) release(n int64) { b.used.Add(-n) }

// reservationStep is what a reservation grows by at least, so that a small
// request takes one step only.
const reservationStep = 4 << 10

// A reservation is one request's part of the budget.
type reservation struct {
	budget *budget
	held   int64
}

// cover raises the reservation to total bytes. The error wraps
// arbalest.ErrBusy where that may succeed later, and arbalest.ErrTooLarge where
// it never can.
func (r *reservation) cover(total int) error {
	need := int64(total) - r.held
	if need <= 0 {
		return nil
	}
	need = min(steps(need), max(need, r.budget.limit-r.held))
	switch {
	case r.held+need > r.budget.limit:
		return fmt.Errorf("%w: the request needs more than the %d bytes that all requests together may hold: send fewer events in a request", arbalest.ErrTooLarge, r.budget.limit)
	case !r.budget.acquire(need):
		return fmt.Errorf("%w: the memory for requests is all in use: send this one again later", arbalest.ErrBusy)
	}
	r.held += need
	return nil
}

// shrink gives back what is not needed for n bytes.
func (r *reservation) shrink(n int) {
	if over := r.held - steps(int64(n)); over > 0 {
		r.budget.release(over)
		r.held -= over
	}
}

// steps rounds n up.
func steps(n int64) int64 { return (n + reservationStep - 1) / reservationStep * reservationStep }

// A buffer is bytes that are used again.
type buffer struct{ b []byte }

// bytes is what a reservation counts a buffer for: what is in it; a large one
// whole, for it was made for this request alone. A nil buffer is fine.
func (b *buffer) bytes() int {
	switch {
	case b == nil:
		return 0
	case cap(b.b) > maxPooled:
		return cap(b.b)
	}
	return len(b.b)
}

// maxPooled is the largest buffer that is kept for later. Larger ones are rare,
// and would hold memory that no reservation knows of.
const maxPooled = 64 << 10

type buffers struct{ pool sync.Pool }

// get returns an empty buffer with room for at least n bytes.
func (p *buffers) get(n int) *buffer {
	b, ok := p.pool.Get().(*buffer)
	if !ok {
		b = &buffer{}
	}
	b.b = b.b[:0]
	if cap(b.b) < n {
		b.b = make([]byte, 0, n)
	}
	return b
}

// put takes a buffer back; nil is fine.
func (p *buffers) put(b *buffer) {
	if b != nil && cap(b.b) <= maxPooled {
		p.pool.Put(b)
	}
}
