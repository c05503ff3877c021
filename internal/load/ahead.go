package load

import (
	"context"
	"maps"

	"arbalest"
)

// A decoded stretch is ready for the warehouse.
type decoded struct {
	from    Progress // that it follows
	stretch stretch
	tables  []TableBatch
	failed  []failedTable
	err     error
}

// A failedTable is one that could not be decoded, for a reason of its own.
type failedTable struct {
	work *tableWork
	err  error
}

// ahead begins to decode what follows a batch while the warehouse loads it: the
// one uses what the other leaves of the cores. It is the only goroutine that
// outlives a call of Once, unless that fails; taken waits for it.
func (l *Loader) ahead(ctx context.Context, next Progress) {
	ctx, stop := context.WithCancel(ctx)
	to := make(chan decoded, 1)
	l.next, l.stopNext = to, stop
	split, until := l.split, l.until
	go func() { to <- l.decodeFrom(ctx, next, until, split) }()
}

// taken returns what follows prev: what was decoded ahead, if it is that, else
// it decodes now. An error ahead may be of that time only.
func (l *Loader) taken(ctx context.Context, prev Progress) decoded {
	if d, ok := l.await(); ok {
		if d.err == nil && d.from.Cursor == prev.Cursor && maps.EqualFunc(d.from.Stalled, prev.Stalled, func(a, b Stall) bool { return a.Event == b.Event }) {
			return d
		}
		d.release()
	}
	return l.decodeFrom(ctx, prev, l.until, l.split)
}

// await returns what was decoded ahead, if anything was, when that is done.
func (l *Loader) await() (d decoded, ok bool) {
	if l.next == nil {
		return decoded{}, false
	}
	d = <-l.next
	l.stopNext()
	l.next = nil
	return d, true
}

// halt ends what is being decoded ahead, and waits for its end.
func (l *Loader) halt() {
	if l.next != nil {
		l.stopNext()
	}
	if d, ok := l.await(); ok {
		d.release()
	}
}

// decodeFrom decodes the batch that follows prev, up to a place in the log (the zero
// Cursor is its end).
func (l *Loader) decodeFrom(ctx context.Context, prev Progress, until Cursor, split int64) decoded {
	asleep := map[arbalest.EventName]bool{}
	for _, stall := range prev.Stalled {
		asleep[stall.Event] = true
	}
	s, err := l.gather(ctx, prev.Cursor, until, split, func(o arbalest.Object) bool { return !asleep[o.Event] && l.takes(o) })
	if err != nil {
		return decoded{err: err}
	}
	if l.only != nil {
		s.rejected = nil // the books have them
	}
	d := l.decodeAll(ctx, s)
	d.from = prev
	return d
}

// decodeAll decodes a stretch, table by table.
func (l *Loader) decodeAll(ctx context.Context, s stretch) decoded {
	d := decoded{stretch: s}
	for _, work := range s.tables {
		tb, err := l.decode(ctx, work)
		switch {
		case err == nil:
			d.tables = append(d.tables, tb)
		case isOneTables(err):
			d.failed = append(d.failed, failedTable{work, err})
		default:
			d.err = err
			return d
		}
	}
	return d
}

// release gives the memory of the chunks back to the decoder.
func (d decoded) release() {
	for _, t := range d.tables {
		for _, c := range t.Chunks {
			c.Release()
		}
	}
}
