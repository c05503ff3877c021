package lake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"arbalest"
)

// A journey is what Track needs of a commit, and who makes the next one.
type journey struct {
	time     time.Time
	segments []arbalest.Key
	events   []arbalest.EventName
	moves    arbalest.Key // of a compaction or an erasure
	erasure  arbalest.Seq // the newest one, up to this commit
}

// maxJourneys bounds what Track remembers, and how far back it looks.
const maxJourneys = 4096

// A Place is how far a segment has come.
type Place struct {
	Commit arbalest.Seq         // 0 while it is in landing
	Events []arbalest.EventName // of the whole commit
}

// Track says where the events of a receipt are. A segment that is not published
// yet is in landing to it, whichever process gathers it, or did until it died.
// The error wraps arbalest.ErrUnknown if there is no such segment, or if it was
// sorted more than 4,096 commits ago.
func (l *Lake) Track(ctx context.Context, r arbalest.Receipt) (Place, error) {
	key, err := segmentOf(r)
	if err != nil {
		return Place{}, err
	}
	writer, _, _ := segmentName(key)
	id, err := ulid.ParseStrict(writer)
	if err != nil {
		return Place{}, fmt.Errorf("%w: receipt %s: %v", arbalest.ErrInvalid, r, err)
	}
	if l.gathers(key) {
		return Place{}, nil
	}
	started := ulid.Time(id.Time()).Add(-time.Minute) // clocks differ
	place, err := l.locate(ctx, key, started)
	if !errors.Is(err, arbalest.ErrUnknown) {
		return place, err
	}
	for _, key := range [...]arbalest.Key{key, oldSegmentKey(key)} {
		if drafted, err := l.drafted(ctx, key); err != nil || drafted {
			return Place{}, err
		}
		// Where it was in a draft until now, it is published since.
		if place, err = l.locate(ctx, key, started); !errors.Is(err, arbalest.ErrUnknown) {
			return place, err
		}
	}
	return Place{}, fmt.Errorf("receipt %s: %w", r, err)
}

// drafted says whether a segment is in a draft of any process.
func (l *Lake) drafted(ctx context.Context, segment arbalest.Key) (bool, error) {
	store, ok := l.store.(drafter)
	if !ok {
		return false, nil
	}
	return store.Drafted(ctx, segment)
}

// locate looks for a segment in landing and in the log, back to when its writer
// started.
func (l *Lake) locate(ctx context.Context, key arbalest.Key, started time.Time) (Place, error) {
	landed, err := l.exists(ctx, key)
	if err != nil {
		return Place{}, err
	}
	head, err := l.Head(ctx)
	if err != nil {
		return Place{}, err
	}
	for seq := head; seq > 0 && head-seq < maxJourneys; seq-- {
		j, err := l.journey(ctx, seq)
		if err != nil {
			return Place{}, err
		}
		if slices.Contains(j.segments, key) {
			return Place{seq, j.events}, nil
		}
		if landed || j.time.Before(started) {
			break // only the newest commit's segments may still be in landing
		}
	}
	if !landed {
		return Place{}, fmt.Errorf("%w: no such segment was written, or it was sorted long ago", arbalest.ErrUnknown)
	}
	return Place{}, nil
}

// journey returns a commit's, which it reads once.
func (l *Lake) journey(ctx context.Context, seq arbalest.Seq) (journey, error) {
	l.mu.Lock()
	j, ok := l.traced[seq]
	l.mu.Unlock()
	if ok {
		return j, nil
	}
	c, err := l.Commit(ctx, seq)
	if errors.Is(err, arbalest.ErrUnknown) {
		err = fmt.Errorf("%w: commit %d of the log is missing", arbalest.ErrCorrupt, seq)
	}
	if err != nil {
		return journey{}, err
	}
	return l.remember(c), nil
}

func (l *Lake) remember(c arbalest.Commit) journey {
	j := journey{time: c.Time, segments: c.Segments, moves: c.Moves, erasure: c.Erasure}
	if c.Kind == arbalest.KindErase {
		j.erasure = c.Seq
	}
	for _, o := range c.Objects {
		// Objects of one flush are ordered by event.
		if n := len(j.events); n == 0 || j.events[n-1] != o.Event {
			j.events = append(j.events, o.Event)
		}
	}
	slices.Sort(j.events)
	j.events = slices.Clip(slices.Compact(j.events))
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.traced) >= maxJourneys {
		clear(l.traced)
	}
	l.traced[c.Seq] = j
	return j
}
