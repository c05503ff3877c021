package blobtest

import (
	"context"
	"errors"
	"sync"

	"arbalest/internal/blob"
)

// ErrCrashed is what a store returns to a process that is meant to be dead. It
// wraps none of arbalest's sentinels, so that nothing retries it.
var ErrCrashed = errors.New("crashed")

// A Stop says at which step a process dies.
type Stop struct {
	Steps     int  // that are done before it. Negative is never to die.
	Reads     bool // Get and List are steps too. Defaults to writes and deletes alone.
	LostReply bool // the step after is done too, but its reply is lost. Defaults to not done.
}

// A Stopped store is that of a process that dies when it begins step
// Stop.Steps+1: from then on all operations fail with ErrCrashed, those under
// way too. The store beneath is what the next process finds.
type Stopped struct {
	hooked
	stop Stop

	mu      sync.Mutex
	done    int
	crashed bool
}

// StopAfter returns a store that stops. To crash at every step, count those of
// a run that does not, and stop after k for all k below:
//
//	steps := blobtest.StopAfter(store, blobtest.Stop{Steps: -1})
//	…
//	for k := range steps.Done() {
func StopAfter(store blob.Store, stop Stop) *Stopped {
	s := &Stopped{stop: stop}
	s.hooked = hooked{store, s.hook}
	return s
}

// Done returns the number of steps so far, those that failed of themselves
// (ErrExists, say) included, without the one that stopped the process.
func (s *Stopped) Done() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

// Crashed says whether the process is dead.
func (s *Stopped) Crashed() bool { return s.alive(0) != nil }

func (s *Stopped) alive(int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.crashed {
		return ErrCrashed
	}
	return nil
}

func (s *Stopped) hook(_ context.Context, c *call, do func() error) error {
	if s.alive(0) != nil {
		return ErrCrashed
	}
	if (c.op.mutates() || s.stop.Reads) && s.step() {
		if s.stop.LostReply {
			_ = do()
		}
		return ErrCrashed
	}
	c.each = s.alive
	err := do()
	if s.alive(0) != nil {
		return ErrCrashed
	}
	return err
}

// step counts one more, or says that it is the one that kills.
func (s *Stopped) step() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.crashed = s.crashed || s.done == s.stop.Steps; !s.crashed {
		s.done++
	}
	return s.crashed
}
