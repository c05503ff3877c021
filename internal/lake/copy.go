package lake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"

	"golang.org/x/sync/errgroup"

	"arbalest"
)

// Copied is what CopyTo did.
type Copied struct {
	Head     arbalest.Seq // the copy's newest commit: this lake's when CopyTo began, or a compaction since
	Commits  int          // that were copied
	Objects  int          // partitions, what compactions made of them, and rejected lines
	Bytes    int64        // as stored
	Segments int          // of landing, that no commit has yet
	Others   int          // definitions of tables, and marks of what was replayed
}

// CopyTo brings another lake to where this one is: commit by commit, each with
// its objects before it, so that the copy is a whole lake at every moment, as
// this one was at that commit. What landed after the newest commit comes last.
// Every partition is proved to be what its commit says. What is there already
// is not copied again: CopyTo that was stopped, or was done before, goes on.
//
// dst may be empty, or a copy of this lake that nobody has sorted since. That it
// is anything else is an error that wraps arbalest.ErrExists. Nothing of this
// lake is changed, but what was gathered is published. show is told of every
// commit.
func (l *Lake) CopyTo(ctx context.Context, dst *Lake, show func(Copied)) (Copied, error) {
	c := copying{from: l, to: dst, show: show}
	if err := c.begin(ctx); err != nil {
		return c.done, err
	}
	// Whoever loads from the copy finds the definitions of what it loads.
	if err := c.others(ctx, tablesPrefix); err != nil {
		return c.done, err
	}
	if err := c.commits(ctx); err != nil {
		return c.done, err
	}
	for _, key := range c.landing {
		if c.consumed[key] {
			continue
		}
		err := c.create(ctx, key)
		if errors.Is(err, arbalest.ErrUnknown) {
			continue // sorted meanwhile, into a commit after the copy's newest
		}
		if err != nil {
			return c.done, err
		}
		c.done.Segments++
	}
	return c.done, c.others(ctx, replayedFolder)
}

// A copying is one CopyTo.
type copying struct {
	from, to *Lake
	show     func(Copied)
	done     Copied
	head     arbalest.Seq          // of from
	landing  []arbalest.Key        // of from
	consumed map[arbalest.Key]bool // of those, and of what was copied
	landed   map[arbalest.Key]bool // what an earlier copy left in to's landing
	moved    moved
}

// moved is which compactions' and erasures' objects are copied: before the commits
// whose objects they have, so that those are whole.
type moved struct {
	mu   sync.Mutex
	done map[arbalest.Seq]bool
}

// begin looks at both lakes, and holds that the one is a copy of the other.
func (c *copying) begin(ctx context.Context) (err error) {
	// Landing is listed before the log's end is found: what is in neither was
	// not acknowledged when the copy began.
	if c.landing, err = c.from.landed(ctx); err != nil {
		return err
	}
	if c.head, err = c.from.Head(ctx); err != nil {
		return err
	}
	if c.consumed, err = c.from.consumed(ctx, c.head); err != nil {
		return err
	}
	if c.done.Head, err = c.to.Head(ctx); err != nil {
		return err
	}
	landed, err := c.to.landed(ctx)
	if err != nil {
		return err
	}
	c.landed = map[arbalest.Key]bool{}
	for _, key := range landed {
		c.landed[key] = true
	}
	same, err := c.isCopy(ctx)
	if err != nil {
		return err
	}
	if !same {
		return fmt.Errorf("there is a lake that is no copy of the source, or has sorted events since: %w: copy to an empty store", arbalest.ErrExists)
	}
	stale, err := c.to.consumed(ctx, c.done.Head)
	if err != nil {
		return err
	}
	for key := range stale {
		if err := c.drop(ctx, key); err != nil {
			return err
		}
	}
	return c.to.sweep(ctx, c.done.Head)
}

// isCopy says whether the copy's newest commit is the source's; of one without
// commits, whether the source knows what landed in it.
func (c *copying) isCopy(ctx context.Context) (bool, error) {
	if c.done.Head > c.head {
		return false, nil
	}
	if c.done.Head > 0 {
		theirs, err := c.to.readAll(ctx, commitKey(c.done.Head))
		if err != nil {
			return false, err
		}
		ours, err := c.from.readAll(ctx, commitKey(c.done.Head))
		return bytes.Equal(ours, theirs), err
	}
	unknown := maps.Clone(c.landed)
	for _, key := range c.landing {
		delete(unknown, key)
	}
	for seq := arbalest.Seq(1); seq <= c.head && len(unknown) > 0; seq++ {
		commit, err := c.from.Commit(ctx, seq)
		if err != nil {
			return false, err
		}
		for _, key := range commit.Segments {
			delete(unknown, key)
		}
	}
	return len(unknown) == 0, nil
}

// landed lists the segments in landing, consumed or not.
func (l *Lake) landed(ctx context.Context) ([]arbalest.Key, error) {
	infos, err := l.Landing(ctx)
	keys := make([]arbalest.Key, len(infos))
	for i, info := range infos {
		keys[i] = info.Key
	}
	return keys, err
}

// drop deletes a segment of the copy's landing, if it is there, which a commit
// consumed.
func (c *copying) drop(ctx context.Context, key arbalest.Key) error {
	c.consumed[key] = true
	if !c.landed[key] {
		return nil
	}
	return c.to.deleteAll(ctx, []arbalest.Key{key})
}

// commits copies the log from where the copy ends.
func (c *copying) commits(ctx context.Context) error {
	for seq := c.done.Head + 1; seq <= c.head; seq++ {
		commit, err := c.from.Commit(ctx, seq)
		if err != nil {
			return err
		}
		if err := c.commit(ctx, commit); err != nil {
			return fmt.Errorf("copy commit %d: %w", seq, err)
		}
		for _, key := range commit.Segments {
			if err := c.drop(ctx, key); err != nil {
				return err
			}
		}
		c.done.Commits++
		c.done.Head = seq
		c.show(c.done)
	}
	return nil
}

// commit copies a plan, its objects, and at last its commit.
func (c *copying) commit(ctx context.Context, commit arbalest.Commit) error {
	if err := c.create(ctx, planKey(commit.Seq)); err != nil {
		return err
	}
	if commit.Kind != arbalest.KindSort {
		return c.moving(ctx, commit)
	}
	sizes := make([]int, len(commit.Objects)+len(commit.RejectedKeys))
	g, ctx2 := errgroup.WithContext(ctx)
	g.SetLimit(c.to.opts.Parallel)
	for i, o := range commit.Objects {
		g.Go(func() (err error) {
			sizes[i], err = c.object(ctx2, o)
			return err
		})
	}
	for i, key := range commit.RejectedKeys {
		g.Go(func() (err error) {
			sizes[len(commit.Objects)+i], err = c.put(ctx2, key, func([]byte) error { return nil })
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, n := range sizes {
		if n > 0 {
			c.done.Objects++
			c.done.Bytes += int64(n)
		}
	}
	return c.finish(ctx, commit.Seq)
}

// finish creates a commit, whose objects are there.
func (c *copying) finish(ctx context.Context, seq arbalest.Seq) error {
	if err := c.create(ctx, commitKey(seq)); err != nil {
		return err
	}
	c.to.Hint(seq)
	return nil
}

// object copies an object, or what it is part of now, which counts there.
func (c *copying) object(ctx context.Context, o arbalest.Object) (size int, err error) {
	size, err = c.put(ctx, o.Key, func(b []byte) error { return c.from.checkPacked(o, b) })
	if !errors.Is(err, arbalest.ErrUnknown) {
		return size, err
	}
	p, ok, lookErr := c.from.movedTo(ctx, o.Key, 0)
	if lookErr != nil || !ok {
		return 0, errors.Join(err, lookErr)
	}
	return 0, c.moves(ctx, p.seq)
}

// moving copies a commit that moved objects, and deletes them in the copy.
func (c *copying) moving(ctx context.Context, commit arbalest.Commit) error {
	if err := c.moves(ctx, commit.Seq); err != nil {
		return err
	}
	if commit.Kind == arbalest.KindErase {
		for _, key := range []arbalest.Key{secretKey, erasureKey(commit.Seq)} {
			if err := c.create(ctx, key); err != nil {
				return err
			}
		}
		if err := c.bodies(ctx, commit.Seq); err != nil {
			return err
		}
	}
	if err := c.finish(ctx, commit.Seq); err != nil {
		return err
	}
	return c.to.sweep(ctx, commit.Seq)
}

// bodies copies objects of rejected events again, which an erasure rewrote.
func (c *copying) bodies(ctx context.Context, seq arbalest.Seq) error {
	r, err := c.from.Erasure(ctx, seq)
	if err != nil {
		return err
	}
	for _, key := range r.Bodies {
		n, err := c.put(ctx, key, func([]byte) error { return nil })
		if errors.Is(err, arbalest.ErrUnknown) {
			continue // removed since
		}
		if err != nil {
			return err
		}
		c.done.Objects++
		c.done.Bytes += int64(n)
	}
	return nil
}

// moves copies what a compaction or an erasure made, and what it moved.
func (c *copying) moves(ctx context.Context, seq arbalest.Seq) error {
	c.moved.mu.Lock()
	defer c.moved.mu.Unlock()
	return c.moved.copy(ctx, c, seq)
}

// copy is copying.moves. What a later erasure has taken the place of is not there
// any more: that is copied first.
func (m *moved) copy(ctx context.Context, c *copying, seq arbalest.Seq) error {
	if m.done[seq] {
		return nil
	}
	there, err := c.to.exists(ctx, movesKey(seq))
	if err != nil {
		return err
	}
	if !there {
		made, err := c.from.readMoves(ctx, movesKey(seq))
		if err != nil {
			return err
		}
		for i := range made.Merged {
			if err := m.merged(ctx, c, seq, &made.Merged[i]); err != nil {
				return err
			}
		}
		if err := c.create(ctx, movesKey(seq)); err != nil {
			return err
		}
	}
	c.head = max(c.head, seq) // it is committed: its inputs are gone
	if m.done == nil {
		m.done = map[arbalest.Seq]bool{}
	}
	m.done[seq] = true
	return nil
}

// merged copies an object that commit seq made, or what took its place.
func (m *moved) merged(ctx context.Context, c *copying, seq arbalest.Seq, one *merged) error {
	o := one.object()
	if o.Key == "" {
		return nil
	}
	n, err := c.put(ctx, o.Key, func(b []byte) error { return c.from.checkPacked(o, b) })
	if errors.Is(err, arbalest.ErrUnknown) && len(one.Inputs) > 0 {
		p, ok, lookErr := c.from.movedTo(ctx, one.Inputs[0].Key, seq)
		if lookErr != nil || !ok {
			return errors.Join(err, lookErr)
		}
		return m.copy(ctx, c, p.seq)
	}
	if err != nil {
		return err
	}
	c.done.Objects++
	c.done.Bytes += int64(n)
	return nil
}

// put copies an object that is right.
func (c *copying) put(ctx context.Context, key arbalest.Key, check func([]byte) error) (size int, err error) {
	b, err := c.from.readAll(ctx, key)
	if err == nil {
		err = check(b)
	}
	if err != nil {
		return 0, err
	}
	if err := c.to.store.Put(ctx, key, bytes.NewReader(b)); err != nil {
		return 0, fmt.Errorf("write %s: %w", key, err)
	}
	return len(b), nil
}

// create copies an object that never changes, unless the copy has it.
func (c *copying) create(ctx context.Context, key arbalest.Key) error {
	b, err := c.from.readAll(ctx, key)
	if err != nil {
		return err
	}
	err = c.to.store.Create(ctx, key, bytes.NewReader(b))
	if !errors.Is(err, arbalest.ErrExists) {
		if err != nil {
			return fmt.Errorf("create %s: %w", key, err)
		}
		return nil
	}
	there, readErr := c.to.readAll(ctx, key)
	if readErr != nil {
		return readErr
	}
	if !bytes.Equal(there, b) {
		return fmt.Errorf("create %s: %w, and is not the source's: the copy has been written to by others: copy to an empty store", key, err)
	}
	return nil
}

// others copies what has no order: the objects below a prefix that the copy has
// not.
func (c *copying) others(ctx context.Context, prefix arbalest.Key) error {
	there := map[arbalest.Key]bool{}
	for info, err := range c.to.store.List(ctx, prefix, "") {
		if err != nil {
			return fmt.Errorf("list %s: %w", prefix, err)
		}
		there[info.Key] = true
	}
	for info, err := range c.from.store.List(ctx, prefix, "") {
		if err != nil {
			return fmt.Errorf("list %s: %w", prefix, err)
		}
		if there[info.Key] {
			continue
		}
		if err := c.create(ctx, info.Key); err != nil {
			return err
		}
		c.done.Others++
	}
	return nil
}

// checkPacked proves that an object's bytes, as stored, are what its commit says.
func (l *Lake) checkPacked(o arbalest.Object, packed []byte) error {
	r, err := l.codec.open(o.Key, io.NopCloser(bytes.NewReader(packed)))
	if err != nil {
		return err
	}
	defer r.Close()
	return checkLines(o, r, func([]byte) error { return nil })
}
