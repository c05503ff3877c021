package blobtest

import (
	"context"
	"fmt"
	"io"
	"path"
	"sync"
	"time"

	"arbalest"
	"arbalest/internal/blob"
)

// A Kind says how a Fault shows.
type Kind int

// The kinds of faults.
const (
	Error     Kind = iota // fails without effect
	LostReply             // is done, then fails
	Delay                 // takes longer, then is done
	// Torn breaks off in the middle: a write has read half its body and has no
	// effect; a Get's reader fails after its first 16 bytes; a List fails after
	// its first object.
	Torn
	Crash // fails without effect, and so does everything after it, with ErrCrashed
)

// A Fault befalls an operation.
type Fault struct {
	Op    Op            // Defaults to any.
	Key   string        // path.Match pattern of the key, or of a List's prefix. Defaults to any.
	Nth   int           // of the operations that match, from 1. Defaults to each of them.
	Kind  Kind          // Defaults to Error.
	Err   error         // what Error, LostReply and Torn return. Defaults to arbalest.ErrUnavailable.
	Delay time.Duration // of Delay. Defaults to none.
}

// Faulty returns the store with faults. Of several that befall one operation
// the first counts. A bad pattern panics.
func Faulty(store blob.Store, faults ...Fault) blob.Store {
	for _, f := range faults {
		if _, err := path.Match(f.Key, ""); err != nil {
			panic(fmt.Sprintf("match %q: %v", f.Key, err))
		}
	}
	f := &faulty{faults: faults, seen: make([]int, len(faults))}
	return hooked{store, f.hook}
}

type faulty struct {
	faults []Fault

	mu      sync.Mutex
	seen    []int // matches of each fault
	crashed bool
}

func (f *faulty) hook(ctx context.Context, c *call, do func() error) error {
	fault, crashed := f.next(c)
	switch {
	case crashed:
		return ErrCrashed
	case fault == nil:
		return do()
	}
	failure := fault.Err
	if failure == nil {
		failure = arbalest.ErrUnavailable
	}
	failure = fmt.Errorf("%s %s: injected: %w", c.op, c.key, failure)
	switch fault.Kind {
	case LostReply:
		if err := do(); err != nil {
			return err
		}
		return failure
	case Delay:
		select {
		case <-time.After(fault.Delay):
			return do()
		case <-ctx.Done():
			return ctx.Err()
		}
	case Torn:
		if c.op == OpGet || c.op == OpList {
			c.each = func(n int) error {
				if n > 0 {
					return failure
				}
				return nil
			}
			return do()
		}
		if c.body != nil {
			readHalf(c.body)
		}
	}
	return failure
}

// next returns the fault that befalls a call, if any.
func (f *faulty) next(c *call) (fault *Fault, crashed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.faults {
		candidate := &f.faults[i]
		matches := candidate.Key == ""
		if !matches {
			matches, _ = path.Match(candidate.Key, string(c.key))
		}
		if !matches || candidate.Op != "" && candidate.Op != c.op {
			continue
		}
		f.seen[i]++
		if fault == nil && (candidate.Nth == 0 || candidate.Nth == f.seen[i]) {
			fault = candidate
		}
	}
	f.crashed = f.crashed || fault != nil && fault.Kind == Crash
	return fault, f.crashed
}

func readHalf(body io.ReadSeeker) {
	size, err := body.Seek(0, io.SeekEnd)
	if err != nil {
		return
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, body, size/2)
}
