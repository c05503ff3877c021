package source

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"arbalest"
	"arbalest/internal/capture"
)

// The pauses between two attempts, of which each is random between half and
// whole.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 10 * time.Second
)

// pause waits for about d, and returns what to wait for the next time. ok is
// false if ctx ended first.
func pause(ctx context.Context, d time.Duration) (next time.Duration, ok bool) {
	timer := time.NewTimer(d/2 + rand.N(d/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return min(2*d, lastPause), true
	case <-ctx.Done():
		return d, false
	}
}

// A link is what sources of all kinds have in common.
type link struct {
	opts Options
	take Take
}

// deliver makes messages durable, in order, as many at a time as BatchBytes
// holds, and tells done how many of them are. It waits for a store that fails or
// has no room, for as long as it takes. Once ctx has ended it makes one attempt
// only. The error says that what done was not told of is to be left to the
// broker.
func (l *link) deliver(ctx context.Context, msgs []message, done func(n int) error) error {
	for len(msgs) > 0 {
		n, size := 0, 0
		for n < len(msgs) && (n == 0 || size+msgs[n].size() <= l.opts.BatchBytes) {
			size += msgs[n].size()
			n++
		}
		var events []capture.Foreign
		ends := make([]int, n) // of each message's events
		for i := range n {
			events = append(events, l.opts.Mapping.events(&msgs[i])...)
			ends[i] = len(events)
		}
		outcomes := make([]capture.Outcome, 0, len(events))
		if err := l.offer(ctx, events, &outcomes); err != nil {
			return err
		}
		l.count(ends, outcomes)
		if err := done(n); err != nil {
			return err
		}
		msgs = msgs[n:]
	}
	return nil
}

// count counts messages by what became of their events.
func (l *link) count(ends []int, outcomes []capture.Outcome) {
	from := 0
	for _, end := range ends {
		counter := &l.opts.Stats.accepted
		for _, o := range outcomes[from:end] {
			if o != nil {
				counter = &l.opts.Stats.rejected
			}
		}
		counter.Add(1)
		from = end
	}
}

// offer offers events until they are taken.
func (l *link) offer(ctx context.Context, events []capture.Foreign, outcomes *[]capture.Outcome) error {
	wait := firstPause
	for first := true; ; first = false {
		got, err := l.take(context.WithoutCancel(ctx), events)
		switch {
		case err == nil && len(got) == len(events):
			*outcomes = append(*outcomes, got...)
			return nil
		case err == nil:
			err = fmt.Errorf("%d outcomes for %d events", len(got), len(events)) // a defect, of which none must be lost
		case errors.Is(err, arbalest.ErrTooLarge) && len(events) > 1:
			half := len(events) / 2
			if err := l.offer(ctx, events[:half], outcomes); err != nil {
				return err
			}
			return l.offer(ctx, events[half:], outcomes)
		case errors.Is(err, arbalest.ErrTooLarge) && shorten(&events[0]):
			continue
		}
		l.opts.Stats.retries.Add(1)
		if first {
			l.opts.Log.Warn("events of a source are not taken: it waits", "source", l.opts.Name, "reason", err)
		}
		var ok bool
		if wait, ok = pause(ctx, wait); !ok {
			return err
		}
	}
}

// shorten makes an event that does not fit into memory one that is rejected, of
// which the beginning is kept. It returns false if that is short already.
func shorten(e *capture.Foreign) bool {
	if e.Bad == nil || e.Bad.Code != capture.BodyTooLarge {
		raw := e.Raw
		if e.Bad == nil {
			raw = e.Data
		}
		*e = capture.Foreign{Name: e.Name, Attributes: e.Attributes, Raw: raw, Form: "truncated", Bad: &capture.Refusal{
			Code:   capture.BodyTooLarge,
			Reason: fmt.Sprintf("the event has %d bytes, which the memory bound has no room for: only its beginning is kept; raise limits.in_flight, and send it again", len(raw)),
		}}
		if len(e.Attributes) > 64<<10 {
			e.Attributes = nil
		}
	}
	if len(e.Raw) < 1024 {
		return false
	}
	e.Raw = e.Raw[:len(e.Raw)/2]
	return true
}

// gather waits for a message, and takes those that come within linger with it,
// as many as the limits allow. It returns none once in is closed.
func gather[T any](in <-chan T, o Options, size func(T) int) []T {
	first, ok := <-in
	if !ok {
		return nil
	}
	batch, bytes := []T{first}, size(first)
	timer := time.NewTimer(o.Linger)
	defer timer.Stop()
	for len(batch) < o.Prefetch && bytes < o.BatchBytes {
		select {
		case m, ok := <-in:
			if !ok {
				return batch
			}
			batch, bytes = append(batch, m), bytes+size(m)
		case <-timer.C:
			return batch
		}
	}
	return batch
}

// forever runs sessions one after another until ctx ends. A session connects,
// and returns when the connection is of no more use.
func (l *link) forever(ctx context.Context, session func(context.Context) error) error {
	wait := firstPause
	for ctx.Err() == nil {
		err := session(ctx)
		if l.opts.Stats.connected.Swap(false) {
			wait = firstPause
		}
		if ctx.Err() != nil {
			break
		}
		l.opts.Log.Warn("a source is not connected", "source", l.opts.Name, "kind", l.opts.Kind, "reason", l.clean(err), "again_within", wait)
		wait, _ = pause(ctx, wait)
	}
	l.opts.Log.Info("a source is stopped", "source", l.opts.Name)
	return nil
}

// connected notes that the broker is reached.
func (l *link) connected() {
	if !l.opts.Stats.connected.Swap(true) {
		l.opts.Log.Info("a source is connected", "source", l.opts.Name, "kind", l.opts.Kind)
	}
}

// lost notes that it is not.
func (l *link) lost(err error) {
	if l.opts.Stats.connected.Swap(false) {
		l.opts.Log.Warn("a source is not connected", "source", l.opts.Name, "kind", l.opts.Kind, "reason", l.clean(err))
	}
}
