package load

import (
	"context"
	"errors"

	"arbalest"
)

// columnBytes guesses how many bytes of an event become a column, for tables
// that nobody has seen yet.
const columnBytes = 40

// maxCommits is how many commits one batch spans at most.
const maxCommits = 1000

// A stretch is a run of the log, by table.
type stretch struct {
	tables   []*tableWork
	end      Cursor
	rejected []CommitRejection
	more     bool // it ends because it is large enough: the log goes on
	// erasure is the commit that it is, if that is one: it comes after all rows that
	// it may take out, in a batch of its own.
	erasure arbalest.Seq
}

// A tableWork is what a stretch has for one event's table.
type tableWork struct {
	event   arbalest.EventName
	target  *target
	objects []ObjectRef
	bytes   int64
}

func (w *tableWork) name() string {
	if w.target == nil {
		return w.event.Table()
	}
	return w.target.table.Name
}

// gather reads the log from a cursor on, up to another (the zero Cursor is the
// log's end) or until it has a batch, and keeps the objects that are wanted. Objects of tables that are stalled are not wanted: they are
// passed over, since the table's own cursor remembers them. Batches are split
// times smaller than the options say.
func (l *Loader) gather(ctx context.Context, from, to Cursor, split int64, wanted func(arbalest.Object) bool) (stretch, error) {
	s := stretch{end: from}
	byEvent := map[arbalest.EventName]*tableWork{}
	var bytes, columns int64
	for range maxCommits {
		if to != (Cursor{}) && s.end == to {
			break
		}
		c, err := l.lake.Commit(ctx, s.end.Commit+1)
		if errors.Is(err, arbalest.ErrUnknown) {
			break
		}
		if err != nil {
			return stretch{}, err
		}
		if c.Kind == arbalest.KindErase {
			if s.end == from {
				s.end, s.erasure = Cursor{Commit: c.Seq}, c.Seq
			}
			s.more = true
			return s, nil
		}
		end := len(c.Objects)
		if to.Commit == s.end.Commit && to != (Cursor{}) {
			end = min(end, to.Objects)
		}
		for _, o := range c.Objects[s.end.Objects:end] {
			w := byEvent[o.Event]
			wide := int64(0)
			if w == nil && wanted(o) {
				if wide, err = l.width(ctx, o); err != nil {
					return stretch{}, err
				}
			}
			if bytes > 0 && (bytes+o.Bytes > l.opts.BatchBytes/split || columns+wide > l.opts.BatchColumns/split) {
				s.more = true
				return s, nil
			}
			s.end.Objects++
			if !wanted(o) {
				continue
			}
			bytes += o.Bytes
			columns += wide
			if w == nil {
				w = &tableWork{event: o.Event}
				byEvent[o.Event] = w
				s.tables = append(s.tables, w)
			}
			w.objects = append(w.objects, ObjectRef{Commit: c.Seq, Object: o})
			w.bytes += o.Bytes
		}
		if end < len(c.Objects) {
			break
		}
		for _, r := range c.Rejected {
			s.rejected = append(s.rejected, CommitRejection{c.Seq, r})
		}
		s.end = Cursor{Commit: c.Seq}
	}
	return s, nil
}

// width returns how many columns the table of an object has, or likely will
// have.
func (l *Loader) width(ctx context.Context, o arbalest.Object) (int64, error) {
	t, err := l.target(ctx, o.Event)
	switch {
	case isOneTables(err):
		return 0, nil // decoding stalls the table
	case err != nil:
		return 0, err
	case t.table.Version == 0 && !t.table.Declared:
		return 1 + o.Bytes/max(o.Events, 1)/columnBytes, nil
	}
	return int64(len(t.table.Columns)), nil
}
