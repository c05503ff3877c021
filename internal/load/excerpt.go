package load

import (
	"context"
	"errors"
	"fmt"

	"arbalest"
	"arbalest/internal/lake"
)

// Excerpt loads objects of one event, in this order, into an empty warehouse, by the
// definition that the event's table has now, as if the log had nothing else. It
// returns what became of their events.
//
// Of the objects' lines it loads those that keep wants, which is asked with the index
// of the object, the number of the line, from 1, and the line; by several goroutines
// at once, in no order, and maybe more than once. Lines that keep wants are not held to
// repeat each other, unless they are of one id and hour. A nil keep wants all, and they
// are held to.
//
// The error wraps what Lake.Lines and Warehouse.Load say, and may be a *TableError.
func (l *Loader) Excerpt(ctx context.Context, into Shadow, event arbalest.EventName, objects []arbalest.Object, keep func(object int, line int64, text []byte) bool) (Counts, error) {
	e := newLoader(l.lake, into, l.opts)
	var sum Counts
	prev, err := into.Progress(ctx)
	if err != nil {
		return sum, err
	}
	for split := int64(1); len(objects) > 0; {
		n, bytes := 0, int64(0)
		for n < len(objects) && (n == 0 || bytes+objects[n].Bytes <= e.opts.BatchBytes/split) {
			bytes += objects[n].Bytes
			n++
		}
		counts, err := e.excerpt(ctx, prev, event, objects[:n], keep)
		if errors.Is(err, arbalest.ErrBusy) && n > 1 { // too much at once
			split *= 2
			continue
		}
		if err != nil {
			return sum, fmt.Errorf("load an excerpt of %s: %w", event, err)
		}
		sum.Add(counts)
		prev.Commit++
		if objects = objects[n:]; keep != nil {
			before, rest := n, keep
			keep = func(object int, line int64, text []byte) bool { return rest(before+object, line, text) }
		}
	}
	return sum, nil
}

// excerpt loads a batch of an Excerpt.
func (l *Loader) excerpt(ctx context.Context, prev Progress, event arbalest.EventName, objects []arbalest.Object, keep func(int, int64, []byte) bool) (Counts, error) {
	work := &tableWork{event: event}
	for _, o := range objects {
		n, _ := lake.NameOf(o.Key)
		work.objects = append(work.objects, ObjectRef{Commit: n.Seq, Object: o})
	}
	if keep != nil {
		l.keep = func(object int32, line int64, text []byte) bool { return keep(int(object), line, text) }
	}
	tb, err := l.decode(ctx, work)
	if err != nil {
		return Counts{}, err
	}
	defer decoded{tables: []TableBatch{tb}}.release()
	if keep != nil {
		tb = TableBatch{Table: tb.Table, Objects: tb.Objects, Chunks: tb.Chunks}
	}
	counts, err := l.into.Load(ctx, prev, Batch{Tables: []TableBatch{tb}, Next: Progress{Cursor: Cursor{Commit: prev.Commit + 1}}})
	if err != nil {
		return Counts{}, err
	}
	return counts[0], nil
}
