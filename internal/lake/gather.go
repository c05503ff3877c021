package lake

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"arbalest"
	"arbalest/internal/blob"
)

// A drafter is a store that takes an object piece by piece, each durable, at
// less cost than an object of its own (blob.Dir).
type drafter interface {
	Draft(ctx context.Context, key arbalest.Key) (*blob.Draft, error)
	// Drafted says whether an object is in a draft, of any process.
	Drafted(ctx context.Context, key arbalest.Key) (bool, error)
	// Recover publishes the drafts of processes that have died.
	Recover(ctx context.Context) error
}

// maxFull is how many full segments may wait to be published before Append
// waits for them.
const maxFull = 2

// A Gatherer appends to a segment that grows, so that the lines of many appends
// become one object. The segment is in landing once it is published: when it is
// full, and whenever this process sorts or looks at landing. One that its
// process left behind is published by whoever does so next. On a store that
// cannot take an object piece by piece every append is a segment.
//
// It may be used at once by many.
type Gatherer struct {
	writer *Writer
	store  drafter // nil if the store is none

	publishing sync.Mutex // one publishes, in order; taken before mu

	mu     sync.Mutex
	room   sync.Cond // that full has got shorter, or why not
	open   *blob.Draft
	number uint64 // of the segment that open becomes
	size   int    // of the lines in open, in bytes
	full   []*blob.Draft
	failed error // of the last publishing
}

// NewGatherer returns a gatherer with a new name. It is to be closed.
func (l *Lake) NewGatherer() *Gatherer {
	g := &Gatherer{writer: l.NewWriter()}
	g.room.L = &g.mu
	g.store, _ = l.store.(drafter)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gatherers[g] = true
	return g
}

// Pack appends lines in the form that Append takes, as Writer.Pack does.
func (g *Gatherer) Pack(dst, lines []byte) []byte { return g.writer.Pack(dst, lines) }

// Append makes packed lines of a size durable and returns the receipt of their
// segment. The commit point is that of blob.Draft.Append. After an error they
// may or may not be in it; should they be, their events are repeats of those that
// the caller sends again.
func (g *Gatherer) Append(ctx context.Context, packed []byte, size int) (arbalest.Receipt, error) {
	if g.store == nil {
		return g.writer.Append(ctx, packed, size)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		if err := g.begin(ctx); err != nil {
			return "", err
		}
		err := fmt.Errorf("%w for this segment", arbalest.ErrTooLarge)
		if g.size+size <= MaxSegment {
			err = g.open.Append(ctx, packed)
		}
		switch {
		case err == nil:
			receipt := receiptOf(g.writer.id, g.number)
			if g.size += size; g.size >= g.writer.lake.opts.SegmentBytes {
				g.seal()
			}
			return receipt, nil
		case errors.Is(err, arbalest.ErrTooLarge) && g.size == 0:
			return g.writer.Append(ctx, packed, size) // for any draft
		}
		g.seal()
		if !errors.Is(err, arbalest.ErrTooLarge) {
			return "", fmt.Errorf("write segment: %w", err)
		}
	}
}

// begin sees to it that there is an open draft. mu is held, but for waiting.
func (g *Gatherer) begin(ctx context.Context) error {
	for g.open == nil && len(g.full) >= maxFull {
		if g.failed != nil {
			return fmt.Errorf("write segment: the ones before it: %w", g.failed)
		}
		g.room.Wait()
	}
	if g.open != nil {
		return nil
	}
	n := g.writer.n.Add(1)
	d, err := g.store.Draft(ctx, segmentKey(g.writer.id, n))
	if err != nil {
		return fmt.Errorf("begin segment: %w", err)
	}
	g.open, g.number, g.size = d, n, 0
	return nil
}

// seal lets the open draft take no more, and has it published. mu is held.
func (g *Gatherer) seal() {
	g.full = append(g.full, g.open)
	g.open = nil
	// Appends go on meanwhile, with the next draft. It ends with the publishing,
	// whose error the appends are told that can no longer wait for it.
	go func() { _ = g.publish(context.Background()) }()
}

// Publish puts what was appended so far in landing.
func (g *Gatherer) Publish(ctx context.Context) error {
	g.mu.Lock()
	if g.open != nil && g.size > 0 {
		g.full = append(g.full, g.open)
		g.open = nil
	}
	g.mu.Unlock()
	return g.publish(ctx)
}

// publish publishes the full drafts.
func (g *Gatherer) publish(ctx context.Context) error {
	g.publishing.Lock()
	defer g.publishing.Unlock()
	for {
		g.mu.Lock()
		if len(g.full) == 0 {
			g.mu.Unlock()
			return nil
		}
		d := g.full[0]
		g.mu.Unlock()
		err := d.Publish(ctx)
		g.mu.Lock()
		if err == nil {
			g.full = g.full[1:]
		}
		g.failed = err
		g.room.Broadcast()
		g.mu.Unlock()
		if err != nil {
			return fmt.Errorf("publish segment: %w", err)
		}
	}
}

// holds says whether the segment is not published yet.
func (g *Gatherer) holds(segment arbalest.Key) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, d := range g.full {
		if d.Key() == segment {
			return true
		}
	}
	return g.open != nil && g.open.Key() == segment
}

// Close publishes what was appended. Nothing may be appended any more.
func (g *Gatherer) Close(ctx context.Context) error {
	if err := g.Publish(ctx); err != nil {
		return err
	}
	l := g.writer.lake
	l.mu.Lock()
	delete(l.gatherers, g)
	l.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == nil {
		return nil
	}
	return g.open.Publish(ctx) // of nothing
}

// publish puts in landing what this process's gatherers have, and what dead
// processes' had.
func (l *Lake) publish(ctx context.Context) error {
	for _, g := range l.gathering() {
		if err := g.Publish(ctx); err != nil {
			return err
		}
	}
	if store, ok := l.store.(drafter); ok {
		return store.Recover(ctx)
	}
	return nil
}

func (l *Lake) gathering() []*Gatherer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.gatherers))
}

// gathers says whether a segment is durable and not published yet.
func (l *Lake) gathers(segment arbalest.Key) bool {
	return slices.ContainsFunc(l.gathering(), func(g *Gatherer) bool { return g.holds(segment) })
}

// AppendLines packs and appends lines.
func (g *Gatherer) AppendLines(ctx context.Context, lines []byte) (arbalest.Receipt, error) {
	return g.Append(ctx, g.Pack(nil, lines), len(lines))
}
