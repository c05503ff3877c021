package lake

import (
	"context"
	"errors"
	"fmt"

	"arbalest"
)

// Head returns the number of the newest commit that is done, 0 if there is
// none. Commits have no gaps, so it is found by probing: two or three requests
// from a place known to be done, twice the logarithm of the log's length from
// nothing.
func (l *Lake) Head(ctx context.Context) (arbalest.Seq, error) {
	l.mu.Lock()
	done := l.head
	l.mu.Unlock()
	step := arbalest.Seq(1)
	for {
		ok, err := l.exists(ctx, commitKey(done+step))
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		done += step
		step *= 2
	}
	// done is done, and done+step is not.
	for missing := done + step; missing-done > 1; {
		mid := done + (missing-done)/2
		ok, err := l.exists(ctx, commitKey(mid))
		if err != nil {
			return 0, err
		}
		if ok {
			done = mid
		} else {
			missing = mid
		}
	}
	l.Hint(done)
	return done, nil
}

// Known returns the newest commit that this process knows to be done, without
// asking the store: Head may know of a newer one.
func (l *Lake) Known() arbalest.Seq {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// Hint tells the lake that a commit is done, as a warehouse's journal knows, so
// that Head need not look before it.
func (l *Lake) Hint(done arbalest.Seq) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.head = max(l.head, done)
}

// Commit reads a commit of the log. The error wraps arbalest.ErrUnknown if it
// is not done.
func (l *Lake) Commit(ctx context.Context, seq arbalest.Seq) (arbalest.Commit, error) {
	var c arbalest.Commit
	if err := l.readJSON(ctx, commitKey(seq), &c, &c.Format); err != nil {
		return arbalest.Commit{}, err
	}
	if c.Seq != seq {
		return arbalest.Commit{}, fmt.Errorf("%w: %s says that it is commit %d", arbalest.ErrCorrupt, commitKey(seq), c.Seq)
	}
	return c, nil
}

// plan reads a plan; ok is false if there is none.
func (l *Lake) plan(ctx context.Context, seq arbalest.Seq) (p arbalest.Plan, ok bool, err error) {
	err = l.readJSON(ctx, planKey(seq), &p, &p.Format)
	switch {
	case errors.Is(err, arbalest.ErrUnknown):
		return arbalest.Plan{}, false, nil
	case err != nil:
		return arbalest.Plan{}, false, err
	case p.Seq != seq || p.Kind != arbalest.KindSort && p.Kind != arbalest.KindCompact && (p.Kind != arbalest.KindErase || p.Erase == nil):
		return arbalest.Plan{}, false, fmt.Errorf("%w: %s has seq %d and kind %q", arbalest.ErrCorrupt, planKey(seq), p.Seq, p.Kind)
	}
	return p, true, nil
}
