package lake

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/zeebo/xxh3"
	"golang.org/x/sync/errgroup"

	"arbalest"
)

// finishCompact does what a plan says. Doing it twice, or at once with another,
// makes the same objects; of two who see something else, as one who cannot read
// an object, the first to create the moves decides.
func (l *Lake) finishCompact(ctx context.Context, plan arbalest.Plan) (Compacted, error) {
	m, err := l.merge(ctx, plan)
	if err != nil {
		return Compacted{}, fmt.Errorf("compact in commit %d: %w", plan.Seq, err)
	}
	if err := l.commitMoves(ctx, plan, m); err != nil {
		return Compacted{}, fmt.Errorf("compact in commit %d: %w", plan.Seq, err)
	}
	c := Compacted{Commit: plan.Seq, After: len(m.Merged)}
	for i := range m.Merged {
		c.Before += len(m.Merged[i].Inputs)
		c.Events += m.Merged[i].Events
		for _, in := range m.Merged[i].Inputs {
			c.Repeats += int64(len(in.Repeats))
		}
	}
	for _, merge := range plan.Merges {
		for _, o := range merge.Objects {
			c.Bytes += o.Bytes
		}
	}
	return c, nil
}

// commitMoves commits a plan whose moves are made, and deletes what was moved. Who
// comes late may have made objects again that are not there any more: they go.
func (l *Lake) commitMoves(ctx context.Context, plan arbalest.Plan, m moves) error {
	commit := arbalest.Commit{Format: plan.Format, Seq: plan.Seq, Kind: plan.Kind, Time: plan.Created, Moves: movesKey(plan.Seq), Erasure: plan.Erasure}
	first, err := l.createsJSON(ctx, commitKey(plan.Seq), commit)
	if err == nil && !first {
		err = l.catchUp(ctx, plan.Seq, makes(plan))
	}
	if err != nil {
		return err
	}
	l.Hint(plan.Seq)
	l.remember(commit)
	if plan.Kind == arbalest.KindErase { // this process reads nothing of it any more
		l.atlas.mu.Lock()
		l.atlas.add(m)
		l.atlas.mu.Unlock()
	}
	return l.deleteMoved(ctx, m)
}

// merge makes the objects of a plan, and what says where everything is, unless
// that is there. An object that is missing, damaged or frozen stays as it is, with
// all that it was to be merged with.
func (l *Lake) merge(ctx context.Context, plan arbalest.Plan) (moves, error) {
	key := movesKey(plan.Seq)
	m, err := l.readMoves(ctx, key)
	if !errors.Is(err, arbalest.ErrUnknown) {
		return m, err
	}
	m = moves{Format: plan.Format, Seq: plan.Seq, Through: plan.Through, Waiting: plan.Waiting}
	type piece struct {
		make   func(context.Context) (*merged, error)
		passed func() []arbalest.Key // if it cannot be made
	}
	var pieces []piece
	for _, merge := range plan.Merges {
		pieces = append(pieces, piece{
			func(ctx context.Context) (*merged, error) { return l.mergeOne(ctx, merge, plan.Suffix) },
			func() (keys []arbalest.Key) {
				for _, o := range merge.Objects {
					keys = append(keys, o.Key)
				}
				return keys
			},
		})
	}
	if plan.Erase != nil {
		for _, r := range plan.Erase.Rewrites {
			pieces = append(pieces, piece{
				func(ctx context.Context) (*merged, error) { return l.rewrite(ctx, r, plan.Suffix) },
				func() []arbalest.Key { return []arbalest.Key{r.From} },
			})
		}
	}
	all := make([]*merged, len(pieces))
	g, ctx2 := errgroup.WithContext(ctx)
	g.SetLimit(l.opts.Parallel) // together they have the lines of one plan, at most
	for i, p := range pieces {
		g.Go(func() (err error) {
			all[i], err = p.make(ctx2)
			if errors.Is(err, arbalest.ErrUnknown) || errors.Is(err, arbalest.ErrCorrupt) || errors.Is(err, arbalest.ErrCold) {
				all[i], err = nil, l.stillPlanned(ctx2, plan, err)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		if errors.Is(err, arbalest.ErrUnknown) { // another has done it
			err = errors.Join(err, l.catchUp(ctx, plan.Seq, makes(plan)))
		}
		return moves{}, err
	}
	for i, one := range all {
		if one != nil {
			m.Merged = append(m.Merged, *one)
		} else {
			m.Passed = append(m.Passed, pieces[i].passed()...)
		}
	}
	return l.createMoves(ctx, m)
}

// makes returns the keys of what a compaction or an erasure writes.
func makes(plan arbalest.Plan) (keys []arbalest.Key) {
	for _, m := range plan.Merges {
		keys = append(keys, m.Key)
	}
	if plan.Erase != nil {
		for _, r := range plan.Erase.Rewrites {
			keys = append(keys, r.Key)
		}
		for _, s := range plan.Erase.Bodies {
			keys = append(keys, s.Key)
		}
	}
	return keys
}

// stillPlanned returns nil unless the plan is done, whose objects are gone then:
// why.
func (l *Lake) stillPlanned(ctx context.Context, plan arbalest.Plan, why error) error {
	if !errors.Is(why, arbalest.ErrUnknown) {
		return nil
	}
	done, err := l.exists(ctx, commitKey(plan.Seq))
	if err == nil && done {
		err = why
	}
	return err
}

// A sightings knows events of one merged object by what two of them have in common
// of which the later one may go, as who loads both would leave it out, whatever
// else there is: hour, time, properties and id. Whether the time is that of the
// receipt says which other hours may have a repeat. Of that it keeps a hash, with a
// seed, so that nobody can send events that collide.
type sightings struct {
	seed uint64
	seen map[xxh3.Uint128]struct{}
	key  []byte
}

// again says whether an event of an hour was seen before.
func (s *sightings) again(hour arbalest.Hour, l arbalest.Line) bool {
	s.key = binary.BigEndian.AppendUint64(s.key[:0], uint64(hour))
	s.key = binary.BigEndian.AppendUint64(s.key, uint64(l.Time))
	s.key = append(s.key, l.Hash...)
	if l.Time == l.Received {
		s.key = append(s.key, 'r')
	}
	key := xxh3.Hash128Seed(append(append(s.key, ' '), l.ID...), s.seed)
	_, again := s.seen[key]
	s.seen[key] = struct{}{}
	return again
}

// mergeOne makes one object. Its lines are in frames of about frameBytes, which
// can be read alone.
func (l *Lake) mergeOne(ctx context.Context, merge arbalest.Merge, suffix string) (*merged, error) {
	m := &merged{Key: merge.Key}
	w := frameWriter{codec: l.codec, plain: suffix == suffixPlain}
	seen := sightings{seed: rand.Uint64(), seen: map[xxh3.Uint128]struct{}{}}
	var lines []byte
	var parser arbalest.LineParser
	for _, o := range merge.Objects {
		var err error
		if lines, err = l.appendPacked(ctx, lines[:0], o.Key); err != nil {
			return nil, err
		}
		if err := checkLines(o, bytes.NewReader(lines), func([]byte) error { return nil }); err != nil {
			return nil, err
		}
		in := input{Key: o.Key}
		number := int64(0)
		for line := range bytes.Lines(lines) {
			number++
			if p, err := parser.Parse(line); err == nil && seen.again(o.Hour, p) {
				in.Repeats = append(in.Repeats, number)
				continue
			}
			in.Events++
			in.Bytes += int64(len(line))
			in.Hash += xxh3.Hash(line)
			w.add(line)
		}
		m.Events += in.Events
		m.Bytes += in.Bytes
		m.Hash += in.Hash
		m.Inputs = append(m.Inputs, in)
	}
	return m, l.createMerged(ctx, m, w)
}

// createMerged creates a merged object of what was written of it.
func (l *Lake) createMerged(ctx context.Context, m *merged, w frameWriter) (err error) {
	var packed []byte
	packed, m.Frames = w.finish()
	err = l.store.Create(ctx, m.Key, bytes.NewReader(packed))
	if !errors.Is(err, arbalest.ErrExists) {
		if err != nil {
			return fmt.Errorf("create %s: %w", m.Key, err)
		}
		return nil
	}
	// Another made it before, maybe with another compressor: it is as good if it
	// has the same lines, but its frames are elsewhere.
	there, err := l.readAll(ctx, m.Key)
	if err != nil {
		return err
	}
	if m.Frames, err = l.framesOf(m.Key, there); err != nil {
		return err
	}
	return l.checkPacked(m.object(), there)
}

// deleteMoved deletes what a compaction or an erasure moved.
func (l *Lake) deleteMoved(ctx context.Context, m moves) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(l.opts.Parallel)
	for i := range m.Merged {
		for _, key := range m.Merged[i].replaces() {
			g.Go(func() error { return l.deleteAll(ctx, []arbalest.Key{key}) })
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.swept = max(l.swept, m.Seq)
	return nil
}

// catchUp does to objects of a commit what later ones did before this process had
// written them: it deletes those that were moved, and erases in rejected events.
func (l *Lake) catchUp(ctx context.Context, seq arbalest.Seq, written []arbalest.Key) error {
	keys, err := l.movesAfter(ctx, seq)
	if err != nil || len(keys) == 0 {
		return err
	}
	mine := map[arbalest.Key]bool{}
	for _, key := range written {
		mine[key] = true
	}
	for _, key := range keys {
		m, err := l.readMoves(ctx, key)
		if err != nil {
			return err
		}
		for i := range m.Merged {
			for _, moved := range m.Merged[i].replaces() {
				if mine[moved] {
					if err := l.deleteAll(ctx, []arbalest.Key{moved}); err != nil {
						return err
					}
				}
			}
		}
		plan, ok, err := l.plan(ctx, m.Seq)
		if err != nil {
			return err
		}
		if !ok || plan.Erase == nil {
			continue
		}
		for _, s := range plan.Erase.Bodies {
			if mine[s.Key] {
				if err := l.eraseBodies(ctx, s); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// sweep deletes what commit head moved, if it moved anything and its process may
// have died before it had.
func (l *Lake) sweep(ctx context.Context, head arbalest.Seq) error {
	l.mu.Lock()
	swept := l.swept >= head
	l.mu.Unlock()
	if swept || head == 0 {
		return nil
	}
	j, err := l.journey(ctx, head)
	if err != nil || j.moves == "" {
		return err
	}
	m, err := l.readMoves(ctx, j.moves)
	if err != nil {
		return err
	}
	return l.deleteMoved(ctx, m)
}

// ready makes sure that plan head+1 may be made: what commit head moved is deleted,
// and no moves of a later commit are there without its plan. Those an unfinished
// copy has, of commits of the lake that it is a copy of; commits of its own would
// get the same numbers, and objects of theirs the same keys.
func (l *Lake) ready(ctx context.Context, head arbalest.Seq) error {
	if err := l.sweep(ctx, head); err != nil {
		return err
	}
	l.mu.Lock()
	own := l.own
	l.mu.Unlock()
	if own {
		return nil
	}
	later, err := l.movesAfter(ctx, head)
	if err != nil {
		return err
	}
	if n := len(later); n > 0 {
		seq, err := movesSeq(later[n-1])
		if err != nil {
			return err
		}
		switch planned, err := l.exists(ctx, planKey(seq)); {
		case err != nil:
			return err
		case !planned:
			return fmt.Errorf("%w: a copy that is not finished, of a lake with more than %d commits: finish it with arbalest copy before anything is sorted or compacted in it", arbalest.ErrExists, seq-1)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.own = true
	return nil
}
