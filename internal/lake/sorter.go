package lake

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/zeebo/xxh3"
	"golang.org/x/sync/errgroup"

	"arbalest"
)

// A sorter does the work of one plan: it takes segments, and whenever it holds
// the plan's FlushBytes, writes an object to every partition that it holds
// lines of.
type sorter struct {
	lake      *Lake
	plan      arbalest.Plan
	forgotten Forgotten // is left out

	held  int64                           // bytes of lines in parts
	parts map[arbalest.Partition]*pending // lines point into their segments' bytes
	last  *pending                        // where the previous line went: runs are long
	round int                             // flushes done

	objects      []arbalest.Object
	rejections   rejections
	rejectedKeys []arbalest.Key
}

// rejections count invalid events, and those that had been erased before they came,
// of which nothing is kept.
type rejections struct{ kept, erased map[arbalest.Partition]int64 }

func newRejections() rejections {
	return rejections{map[arbalest.Partition]int64{}, map[arbalest.Partition]int64{}}
}

func (r rejections) add(o rejections) {
	for p, n := range o.kept {
		r.kept[p] += n
	}
	for p, n := range o.erased {
		r.erased[p] += n
	}
}

// all returns the counts of both, ordered.
func (r rejections) all() []arbalest.Rejection {
	sum := newRejections()
	sum.add(r)
	sum.add(rejections{kept: r.erased})
	return listed(sum.kept)
}

// listed returns counts, ordered.
func listed(counts map[arbalest.Partition]int64) (out []arbalest.Rejection) {
	for p, n := range counts {
		out = append(out, arbalest.Rejection{Event: p.Event, Hour: p.Hour, Events: n})
	}
	slices.SortFunc(out, func(a, b arbalest.Rejection) int {
		return cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(a.Hour, b.Hour))
	})
	return out
}

// pending are lines on their way to one partition.
type pending struct {
	where arbalest.Partition
	lines [][]byte
	bytes int64
}

// A placed line is an event and where it goes.
type placed struct {
	where arbalest.Partition
	line  []byte
}

// take reads a segment and holds its events. A segment that cannot be read
// because its bytes are damaged does not stop the others: it goes to _rejected/
// as it is, and counts as one invalid event.
func (s *sorter) take(ctx context.Context, segment arbalest.Key) error {
	packed, err := s.lake.readAll(ctx, segment)
	if err != nil {
		return err
	}
	rejections := newRejections()
	rejected := map[arbalest.Hour][]byte{}
	events, err := s.split(packed, segment, rejections, rejected)
	if errors.Is(err, arbalest.ErrCorrupt) {
		r := damaged(err, packed, s.plan.Created)
		events = nil
		rejections = newRejections()
		rejections.kept[arbalest.Partition{Hour: r.Hour}] = 1
		rejected = map[arbalest.Hour][]byte{r.Hour: AppendRejected(nil, r)}
	} else if err != nil {
		return err
	}
	for _, e := range events {
		s.hold(e)
	}
	s.rejections.add(rejections)
	if err := s.putRejected(ctx, segment, rejected); err != nil {
		return err
	}
	if s.held >= s.plan.FlushBytes {
		return s.flush(ctx)
	}
	return nil
}

// damaged is the record of a segment that cannot be read.
func damaged(why error, packed []byte, at time.Time) Rejected {
	return Rejected{Code: CorruptSegment, Reason: why.Error() + ": the segment's bytes are kept here as they are", Hour: arbalest.HourOf(at), Received: at, Body: packed}
}

// split parses a segment: its events, and by hour of receipt the lines of what
// was rejected, which it counts, with the events that had been erased.
func (s *sorter) split(packed []byte, segment arbalest.Key, rejections rejections, rejected map[arbalest.Hour][]byte) ([]placed, error) {
	lines, err := s.lake.segmentLines(packed, segment)
	if err != nil {
		return nil, err
	}
	events := make([]placed, 0, bytes.Count(lines, []byte{'\n'}))
	var at arbalest.Partition
	var parser arbalest.LineParser
	for len(lines) > 0 {
		end := bytes.IndexByte(lines, '\n') + 1
		if end == 0 {
			return nil, fmt.Errorf("%w: the last line of segment %s does not end", arbalest.ErrCorrupt, segment)
		}
		line := lines[:end:end]
		lines = lines[end:]
		if bytes.HasPrefix(line, []byte(rejectedPrefix)) {
			r, err := ParseRejected(line)
			if err != nil {
				return nil, fmt.Errorf("segment %s: %w", segment, err)
			}
			rejections.kept[arbalest.Partition{Event: r.Event, Hour: r.Hour}]++
			if r.ID != "" && s.forgotten.HasID([]byte(r.Event), r.ID) {
				line = AppendRejected(nil, withoutBody(r))
			}
			hour := arbalest.HourOf(r.Received)
			rejected[hour] = append(rejected[hour], line...)
			continue
		}
		l, err := parser.Parse(line)
		if err != nil {
			return nil, fmt.Errorf("segment %s: %w", segment, err)
		}
		hour := arbalest.HourOfMicro(l.Time)
		if at.Hour != hour || string(at.Event) != string(l.Name) {
			at = arbalest.Partition{Event: arbalest.EventName(l.Name), Hour: hour}
		}
		if s.forgotten.Has(l) {
			rejections.erased[at]++
			continue
		}
		events = append(events, placed{at, line})
	}
	return events, nil
}

func (s *sorter) hold(e placed) {
	if s.last == nil || s.last.where != e.where {
		if s.parts == nil {
			s.parts = map[arbalest.Partition]*pending{}
		}
		if s.last = s.parts[e.where]; s.last == nil {
			s.last = &pending{where: e.where}
			s.parts[e.where] = s.last
		}
	}
	s.last.lines = append(s.last.lines, e.line)
	s.last.bytes += int64(len(e.line))
	s.held += int64(len(e.line))
}

func (s *sorter) putRejected(ctx context.Context, segment arbalest.Key, byHour map[arbalest.Hour][]byte) error {
	for hour, lines := range byHour {
		key, err := rejectedKey(segment, hour)
		if err != nil {
			return err
		}
		if err := s.lake.store.Put(ctx, key, bytes.NewReader(s.lake.codec.pack(nil, lines, suffixZstd))); err != nil {
			return fmt.Errorf("write %s: %w", key, err)
		}
		s.rejectedKeys = append(s.rejectedKeys, key)
	}
	slices.Sort(s.rejectedKeys)
	return nil
}

// flush writes what is held, an object for each partition, and holds nothing
// any more. Objects are listed by partition, so that the commit is the same
// whoever writes it.
func (s *sorter) flush(ctx context.Context) error {
	parts := make([]*pending, 0, len(s.parts))
	for _, p := range s.parts {
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b *pending) int {
		return cmp.Or(cmp.Compare(a.where.Event, b.where.Event), cmp.Compare(a.where.Hour, b.where.Hour))
	})
	objects := make([]arbalest.Object, len(parts))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(s.lake.opts.Parallel)
	for i, p := range parts {
		g.Go(func() (err error) {
			objects[i], err = s.write(ctx, p)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	s.objects = append(s.objects, objects...)
	s.round++
	s.held, s.parts, s.last = 0, nil, nil
	return nil
}

func (s *sorter) write(ctx context.Context, p *pending) (arbalest.Object, error) {
	o := arbalest.Object{
		Key:   objectKey(p.where, s.plan.Seq, s.round, s.plan.Suffix),
		Event: p.where.Event, Hour: p.where.Hour, Events: int64(len(p.lines)), Bytes: p.bytes,
	}
	lines := make([]byte, 0, p.bytes)
	for _, line := range p.lines {
		lines = append(lines, line...)
		o.Hash += xxh3.Hash(line)
	}
	if err := s.lake.store.Put(ctx, o.Key, bytes.NewReader(s.lake.codec.pack(nil, lines, s.plan.Suffix))); err != nil {
		return o, fmt.Errorf("write %s: %w", o.Key, err)
	}
	return o, nil
}

// written returns the keys of what was written.
func (s *sorter) written() (keys []arbalest.Key) {
	for _, o := range s.objects {
		keys = append(keys, o.Key)
	}
	return append(keys, s.rejectedKeys...)
}
