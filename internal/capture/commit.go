package capture

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"arbalest"
)

// A committer writes the lines of many requests as one segment. Requests that
// come while all writers are busy share the next segment. The request that
// opens a group leads it: its goroutine waits for a free writer, closes the
// group and appends; the others wait for it. So there is no goroutine of its
// own.
type committer struct {
	appender     Appender
	segmentBytes int
	linger       time.Duration
	patience     time.Duration
	now          func() time.Time
	budget       *budget
	buffers      *buffers
	metrics      *metrics

	ctx    context.Context // of the appends: requests that end do not stop them
	cancel context.CancelFunc
	slots  chan struct{} // one for each writer

	mu      sync.Mutex
	open    *group
	last    int // requests of the group that was closed last
	closing bool
	closed  chan struct{} // closed with closing, to end lingers
	groups  sync.WaitGroup

	rooms sync.Pool // of *buffer

	failure atomic.Pointer[failure]
}

// A failure is the last append, where it failed.
type failure struct {
	at  time.Time
	err error
}

// A group is the requests that share a segment.
type group struct {
	packed   *buffer       // lines of large requests, by Pack
	plain    *buffer       // those of small ones
	size     int           // of all lines
	held     int64         // of the budget, for lines
	requests int           // that share it
	awaited  int           // requests that the leader waits for; 0 if it does not
	full     chan struct{} // closed when it takes no more, or there are those
	done     chan struct{} // closed when receipt and err are there
	// Set before done is closed.
	receipt arbalest.Receipt
	err     error
}

func newCommitter(o Options, b *budget, p *buffers, m *metrics) *committer {
	c := &committer{
		appender: o.Appender, segmentBytes: o.SegmentBytes, linger: o.Linger, patience: o.Patience, now: o.Now,
		budget: b, buffers: p, metrics: m,
		slots: make(chan struct{}, o.Writers), closed: make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// packAlone is how large a request's lines are for them to be packed by the
// request's own goroutine, beside those of others. Small ones are packed
// together, which makes them smaller.
const packAlone = 16 << 10

// commit makes work durable and returns the receipt of its segment. It takes the
// work over, and held bytes of the budget with it. Where ctx ends first it is
// committed all the same, but nobody is told.
//
// The error wraps arbalest.ErrUnavailable, or is the context's.
func (c *committer) commit(ctx context.Context, w work, held int64) (arbalest.Receipt, error) {
	if w.bytes() >= packAlone && len(w.lines.b) > 0 {
		w.pack(c.appender, c.buffers)
	}
	g, leads := c.join(&w, held)
	w.drop(c.buffers)
	switch {
	case g == nil:
		c.budget.release(held)
		return "", errClosing
	case leads:
		c.lead(g)
		return g.receipt, g.err
	}
	ended := ctx.Done()
	if ended == nil { // as that of a Front's request, which costs less
		<-g.done
		return g.receipt, g.err
	}
	select {
	case <-g.done:
		return g.receipt, g.err
	case <-ended:
		return "", ctx.Err()
	}
}

// errClosing is the answer to events that come after Close.
var errClosing = fmt.Errorf("%w: the server is shutting down: send the events again, to another one or later", arbalest.ErrUnavailable)

// join adds work to the open group, or opens one, which the caller then leads.
// It returns nil after close.
func (c *committer) join(w *work, held int64) (g *group, leads bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return nil, false
	}
	size := w.bytes()
	if c.open != nil && c.open.size+size > c.segmentBytes {
		c.shut(c.open)
	}
	if c.open == nil {
		c.open = &group{packed: c.room(), plain: c.room(), full: make(chan struct{}), done: make(chan struct{})}
		c.groups.Add(1)
		leads = true
	}
	g = c.open
	g.size += size
	g.held += held
	g.requests++
	g.plain.b = append(g.plain.b, w.lines.b...)
	if w.packed != nil {
		g.packed.b = append(g.packed.b, w.packed.b...)
	}
	if g.size >= c.segmentBytes || g.requests == g.awaited {
		c.shut(g)
	}
	return g, leads
}

// room returns an empty buffer for a group. Those are kept apart from the
// requests', which are smaller.
func (c *committer) room() *buffer {
	if b, ok := c.rooms.Get().(*buffer); ok {
		b.b = b.b[:0]
		return b
	}
	return &buffer{}
}

// shut lets nobody else into the group. c.mu is held.
func (c *committer) shut(g *group) {
	if c.open == g {
		c.open = nil
		close(g.full)
	}
}

// lead waits for a writer, then writes the group.
func (c *committer) lead(g *group) {
	defer c.groups.Done()
	if c.linger > 0 {
		c.await(g, c.linger)
	}
	c.slots <- struct{}{}
	defer func() { <-c.slots }()
	// Requests that have been read but not run yet get in first: without this a
	// burst of single events would be led by its first one alone.
	runtime.Gosched()
	c.mu.Lock()
	// Clients that were answered just now mostly send again at once.
	g.awaited = c.last
	wait := c.open == g && g.requests < g.awaited && c.patience > 0
	c.mu.Unlock()
	if wait {
		c.await(g, c.patience)
	}
	c.mu.Lock()
	c.shut(g)
	c.last = g.requests
	c.mu.Unlock()
	c.write(g)
}

// await lets requests join the group for some time, or until it is full.
func (c *committer) await(g *group, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-g.full:
	case <-c.closed:
	}
}

// errUnwritten is what a group is told whose append panicked.
var errUnwritten = fmt.Errorf("%w: the segment was not written: send the events again", arbalest.ErrUnavailable)

// write appends the group and tells its requests. They are told even if the
// append panics.
func (c *committer) write(g *group) {
	start := time.Now()
	g.err = errUnwritten
	defer func() {
		c.budget.release(g.held)
		for _, b := range []*buffer{g.packed, g.plain} {
			if cap(b.b) <= 2*c.segmentBytes {
				c.rooms.Put(b)
			}
		}
		g.packed, g.plain = nil, nil
		close(g.done)
	}()
	if len(g.plain.b) > 0 {
		g.packed.b = c.appender.Pack(g.packed.b, g.plain.b)
	}
	receipt, err := c.appender.Append(c.ctx, g.packed.b, g.size)
	c.metrics.segment(g.size, time.Since(start), err)
	if err != nil {
		c.failure.Store(&failure{c.now(), err})
		g.err = fmt.Errorf("%w: the store did not take the events: %v: none of this request is accepted; send it again", arbalest.ErrUnavailable, err)
		return
	}
	c.failure.Store(nil)
	g.receipt, g.err = receipt, nil
}

// close refuses new lines and waits for the groups. Where ctx ends first it
// cancels the appends and returns the context's error.
func (c *committer) close(ctx context.Context) error {
	c.mu.Lock()
	if !c.closing {
		c.closing = true
		close(c.closed)
	}
	c.mu.Unlock()
	written := make(chan struct{})
	go func() { // ends with the last group
		c.groups.Wait()
		close(written)
	}()
	select {
	case <-written:
		c.cancel()
		return nil
	case <-ctx.Done():
		c.cancel()
		return fmt.Errorf("write the last segments: %w", ctx.Err())
	}
}

// failureWindow is how long a failed append makes the process unready. It ends,
// so that a balancer that heeds /readyz lets a request through to try again.
const failureWindow = 10 * time.Second

// failing says why the store is thought to be failing, or returns nil.
func (c *committer) failing() error {
	f := c.failure.Load()
	if f == nil || errors.Is(f.err, context.Canceled) || c.now().Sub(f.at) > failureWindow {
		return nil
	}
	return fmt.Errorf("%w: the last segment could not be written: %v", arbalest.ErrUnavailable, f.err)
}
