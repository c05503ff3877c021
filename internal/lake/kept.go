package lake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"arbalest"
)

// A Kept is a rejected event as the lake has it.
type Kept struct {
	Ref
	Rejected
	Landing bool      // its segment is not sorted yet
	Again   time.Time // when it was replayed last; zero if it was not
	// Err says that what is kept at the Ref cannot be read: all else is then not
	// known. Without a line it is of the whole object.
	Err error
}

// A Span says which rejected events are asked for. The zero Span is all of them.
type Span struct {
	From, To time.Time // of receipt; To is not in it. Zero is without that end
	Newest   bool      // the newest first
}

func (s Span) hours() (from, to arbalest.Hour) {
	from, to = firstHour, endOfTime
	if !s.From.IsZero() {
		from = arbalest.HourOf(s.From)
	}
	if !s.To.IsZero() {
		to = arbalest.HourOf(s.To.Add(-1)) + 1
	}
	return from, to
}

func (s Span) holds(at time.Time) bool {
	return !at.Before(s.From) && (s.To.IsZero() || at.Before(s.To))
}

// Rejections yields what was rejected: first what is in landing, then what was
// sorted, by hour of receipt, in an hour by segment. It holds the names of an
// hour's objects and the lines of one, and lists only the hours that it comes to.
// What cannot be read is yielded with its Err, and stops nothing.
//
// What is rejected after it began may be missing.
func (l *Lake) Rejections(ctx context.Context, span Span) iter.Seq2[Kept, error] {
	return func(yield func(Kept, error) bool) {
		w := walk{lake: l, span: span, seen: map[Ref]bool{}, marks: map[arbalest.Hour]marks{}, yield: yield}
		if err := w.all(ctx); err != nil && !errors.Is(err, errEnough) {
			yield(Kept{}, err)
		}
	}
}

// errEnough ends a walk whose caller wants no more.
var errEnough = errors.New("enough")

// A walk is one pass over what was rejected.
type walk struct {
	lake  *Lake
	span  Span
	seen  map[Ref]bool            // in landing: it may be sorted meanwhile
	marks map[arbalest.Hour]marks // of the hours that landing has, then of one
	yield func(Kept, error) bool
	lines []byte // of one object
}

func (w *walk) all(ctx context.Context) error {
	if err := w.landing(ctx); err != nil {
		return err
	}
	from, to := w.span.hours()
	for hour, err := range w.lake.rejectedHours(ctx, from, to, w.span.Newest) {
		if err != nil {
			return err
		}
		refs, err := w.lake.rejectedIn(ctx, hour)
		if err != nil {
			return err
		}
		slices.SortFunc(refs, compareRefs)
		if w.span.Newest {
			slices.Reverse(refs)
		}
		clear(w.marks)
		for _, ref := range refs {
			if w.seen[ref] {
				continue
			}
			if err := w.object(ctx, ref); err != nil {
				return err
			}
		}
	}
	return nil
}

// object gives what is in an object below _rejected/.
func (w *walk) object(ctx context.Context, ref Ref) (err error) {
	w.lines, err = w.lake.appendPacked(ctx, w.lines[:0], ref.key())
	switch {
	case errors.Is(err, arbalest.ErrUnknown):
		return nil // removed meanwhile
	case errors.Is(err, arbalest.ErrCorrupt):
		return w.give(ctx, Kept{Ref: ref, Err: err})
	case err != nil:
		return err
	}
	return w.each(ctx, ref, w.lines, false)
}

// landing gives what is in landing.
func (w *walk) landing(ctx context.Context) error {
	segments, err := w.lake.unsorted(ctx)
	if err != nil {
		return err
	}
	if w.span.Newest {
		slices.Reverse(segments)
	}
	for _, segment := range segments {
		byHour, err := w.lake.rejectedOf(ctx, segment)
		if errors.Is(err, arbalest.ErrUnknown) {
			continue // sorted meanwhile
		}
		if err != nil {
			return err
		}
		writer, n, err := segmentName(segment)
		if err != nil {
			return err
		}
		for hour, lines := range byHour {
			ref := Ref{Hour: hour, Writer: writer, N: n}
			w.seen[ref] = true
			if err := w.each(ctx, ref, lines, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// each gives the lines of one segment and hour.
func (w *walk) each(ctx context.Context, ref Ref, lines []byte, landing bool) error {
	all := bytes.SplitAfter(lines, []byte{'\n'})
	if n := len(all); len(all[n-1]) == 0 {
		all = all[:n-1]
	}
	for i := range all {
		if w.span.Newest {
			i = len(all) - 1 - i
		}
		k := Kept{Ref: ref, Landing: landing}
		k.Line = i + 1
		k.Rejected, k.Err = ParseRejected(all[i])
		if k.Err != nil || w.span.holds(k.Received) {
			if err := w.give(ctx, k); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *walk) give(ctx context.Context, k Kept) error {
	m, ok := w.marks[k.Ref.Hour]
	if !ok {
		var err error
		if m, err = w.lake.readMarks(ctx, k.Ref.Hour); err != nil {
			return err
		}
		w.marks[k.Ref.Hour] = m
	}
	k.Again = m.of(k.Ref)
	if !w.yield(k, nil) {
		return errEnough
	}
	return nil
}

// rejectedOf returns the lines of what a segment in landing has rejected, by hour
// of receipt, as they will be sorted. One that is damaged is one that was
// rejected now.
func (l *Lake) rejectedOf(ctx context.Context, segment arbalest.Key) (map[arbalest.Hour][]byte, error) {
	packed, err := l.readAll(ctx, segment)
	if err != nil {
		return nil, err
	}
	byHour := map[arbalest.Hour][]byte{}
	s := sorter{lake: l}
	_, err = s.split(packed, segment, newRejections(), byHour)
	if errors.Is(err, arbalest.ErrCorrupt) {
		r := damaged(err, packed, time.Now().UTC().Truncate(time.Millisecond))
		return map[arbalest.Hour][]byte{r.Hour: AppendRejected(nil, r)}, nil
	}
	return byHour, err
}

// Kept returns what is at a Ref. The error wraps arbalest.ErrUnknown if there is
// nothing.
func (l *Lake) Kept(ctx context.Context, ref Ref) (Kept, error) {
	lines, landing, err := l.keptLines(ctx, ref)
	if err != nil {
		return Kept{}, err
	}
	at := 0
	for i := 1; i < ref.Line && at < len(lines); i++ {
		at += bytes.IndexByte(lines[at:], '\n') + 1
	}
	if at >= len(lines) || ref.Line < 1 {
		return Kept{}, fmt.Errorf("%w: nothing was rejected at %s: see arbalest rejected list --all", arbalest.ErrUnknown, ref)
	}
	line, _, _ := bytes.Cut(lines[at:], []byte{'\n'})
	k := Kept{Ref: ref, Landing: landing}
	if k.Rejected, err = ParseRejected(line); err != nil {
		return Kept{}, fmt.Errorf("read %s: %w", ref, err)
	}
	m, err := l.readMarks(ctx, ref.Hour)
	k.Again = m.of(ref)
	return k, err
}

// keptLines returns the lines that a Ref's are among. A segment that is sorted
// while it is looked for is where it went.
func (l *Lake) keptLines(ctx context.Context, ref Ref) (lines []byte, landing bool, err error) {
	if lines, err = l.appendPacked(ctx, nil, ref.key()); !errors.Is(err, arbalest.ErrUnknown) {
		return lines, false, err
	}
	if err := l.publish(ctx); err != nil {
		return nil, false, err
	}
	segment := segmentKey(ref.Writer, ref.N)
	for _, key := range []arbalest.Key{segment, oldSegmentKey(segment)} {
		byHour, err := l.rejectedOf(ctx, key)
		if err == nil && len(byHour[ref.Hour]) > 0 {
			return byHour[ref.Hour], true, nil
		}
		if err != nil && !errors.Is(err, arbalest.ErrUnknown) {
			return nil, false, err
		}
	}
	lines, err = l.appendPacked(ctx, nil, ref.key())
	if errors.Is(err, arbalest.ErrUnknown) {
		err = fmt.Errorf("%w: nothing was rejected at %s: see arbalest rejected list --all", arbalest.ErrUnknown, ref)
	}
	return lines, false, err
}
