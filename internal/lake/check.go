package lake

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/zeebo/xxh3"

	"arbalest"
)

// maxLine is the longest line that Check takes for one.
const maxLine = 64 << 20

// Check reads an object whole, visits its lines, and proves that it is what its
// commit says, or its compaction: lines, bytes and hash. The error wraps
// arbalest.ErrUnknown if it is missing, arbalest.ErrCorrupt if it is anything else,
// and arbalest.ErrCold if it is frozen; other errors are the store's.
func (l *Lake) Check(ctx context.Context, o arbalest.Object, visit func(line []byte) error) error {
	if o.Bytes <= frameBytes { // many may be in one frame
		lines, now, err := l.AppendLines(ctx, make([]byte, 0, o.Bytes), o)
		if err != nil {
			return err
		}
		return checkLines(now.Object, bytes.NewReader(lines), visit)
	}
	r, now, err := l.Lines(ctx, o)
	if err != nil {
		return err
	}
	defer r.Close()
	return checkLines(now.Object, r, visit)
}

// checkLines is Check of an object's lines.
func checkLines(o arbalest.Object, r io.Reader, visit func(line []byte) error) error {
	lines := bufio.NewReaderSize(r, 1<<16)
	got := arbalest.Object{}
	var long []byte
	for {
		part, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) && len(long) < maxLine {
			long = append(long, part...)
			continue
		}
		line := part
		if len(long) > 0 {
			line = append(long, part...)
			long = line[:0]
		}
		if errors.Is(err, io.EOF) && len(line) == 0 {
			break
		}
		if errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrBufferFull) { // no end, or too far away
			err = fmt.Errorf("%w: %v", arbalest.ErrCorrupt, err)
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", o.Key, err)
		}
		got.Events++
		got.Bytes += int64(len(line))
		got.Hash += xxh3.Hash(line)
		if err := visit(line); err != nil {
			return err
		}
	}
	if got.Events != o.Events || got.Bytes != o.Bytes || got.Hash != o.Hash {
		got.Key = o.Key
		return &Mismatch{Got: got, Listed: o}
	}
	return nil
}

// A Mismatch says that an object can be read and is not what its commit says, or
// its compaction. It wraps arbalest.ErrCorrupt.
type Mismatch struct {
	Got    arbalest.Object // without Event and Hour
	Listed arbalest.Object
}

func (m *Mismatch) Error() string {
	return fmt.Sprintf("%v: %s has %d lines, %d bytes and hash %016x, its commit says %d, %d and %016x", arbalest.ErrCorrupt, m.Got.Key, m.Got.Events, m.Got.Bytes, m.Got.Hash, m.Listed.Events, m.Listed.Bytes, m.Listed.Hash)
}

// Unwrap returns arbalest.ErrCorrupt.
func (m *Mismatch) Unwrap() error { return arbalest.ErrCorrupt }

// CheckRejected reads what a commit's segments had rejected, and proves that it is
// what the commit counts. Errors are those of Check.
func (l *Lake) CheckRejected(ctx context.Context, c arbalest.Commit) error {
	counts := map[arbalest.Partition]int64{}
	var lines []byte
	for _, key := range c.RejectedKeys {
		var err error
		if lines, err = l.appendPacked(ctx, lines[:0], key); err != nil {
			return err
		}
		for line := range bytes.Lines(lines) {
			r, err := ParseRejected(line)
			if err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			counts[arbalest.Partition{Event: r.Event, Hour: r.Hour}]++
		}
	}
	for _, r := range c.Erased { // nothing is kept of them
		counts[arbalest.Partition{Event: r.Event, Hour: r.Hour}] += r.Events
	}
	for _, r := range c.Rejected {
		p := arbalest.Partition{Event: r.Event, Hour: r.Hour}
		if counts[p] != r.Events {
			return fmt.Errorf("%w: of %q of %s %d events are kept as rejected, commit %d says %d", arbalest.ErrCorrupt, r.Event, r.Hour, counts[p], c.Seq, r.Events)
		}
		delete(counts, p)
	}
	for p, n := range counts {
		return fmt.Errorf("%w: of %q of %s %d events are kept as rejected, commit %d knows of none", arbalest.ErrCorrupt, p.Event, p.Hour, n, c.Seq)
	}
	return nil
}

// Unsorted counts what is in landing, by name and hour: events that are stored
// but in no commit yet, and invalid ones. It reads all of landing.
func (l *Lake) Unsorted(ctx context.Context) (stored, rejected map[arbalest.Partition]int64, err error) {
	stored, rejected = map[arbalest.Partition]int64{}, map[arbalest.Partition]int64{}
	segments, err := l.unsorted(ctx)
	if err != nil {
		return nil, nil, err
	}
	s := sorter{lake: l}
	if s.forgotten, err = l.forgottenNow(ctx); err != nil {
		return nil, nil, err
	}
	for _, segment := range segments {
		packed, err := l.readAll(ctx, segment)
		if errors.Is(err, arbalest.ErrUnknown) {
			continue // sorted meanwhile
		}
		if err != nil {
			return nil, nil, err
		}
		rejections := newRejections()
		events, err := s.split(packed, segment, rejections, map[arbalest.Hour][]byte{})
		switch {
		case errors.Is(err, arbalest.ErrCorrupt): // sort keeps it as one
			rejections = newRejections()
			rejections.kept[arbalest.Partition{Hour: arbalest.HourOf(time.Now())}] = 1
		case err != nil:
			return nil, nil, err
		}
		for _, e := range events {
			stored[e.where]++
		}
		for _, r := range rejections.all() {
			rejected[arbalest.Partition{Event: r.Event, Hour: r.Hour}] += r.Events
		}
	}
	return stored, rejected, nil
}

// unsorted publishes what was gathered, and lists the segments in landing that no
// commit has consumed.
func (l *Lake) unsorted(ctx context.Context) ([]arbalest.Key, error) {
	head, err := l.Head(ctx)
	if err != nil {
		return nil, err
	}
	consumed, err := l.consumed(ctx, head)
	if err != nil {
		return nil, err
	}
	infos, err := l.Landing(ctx)
	if err != nil {
		return nil, err
	}
	var segments []arbalest.Key
	for _, info := range infos {
		if !consumed[info.Key] {
			segments = append(segments, info.Key)
		}
	}
	return segments, nil
}
