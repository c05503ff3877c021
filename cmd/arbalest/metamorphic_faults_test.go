package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/blob/blobtest"
)

// A shaky store is one that a fault befalls once it is armed, until it is mended.
type shaky struct {
	base blob.Store

	mu     sync.Mutex
	faulty blob.Store   // base with a fault; nil is none
	steps  int          // until strike
	strike func() error // what befalls from then on
	disk   bool         // what the directory does is counted, instead of the store's operations
}

var (
	errFault = fmt.Errorf("%w: a fault of the test's", arbalest.ErrUnavailable)
	errDisk  = errors.New("the test's disk is broken")
)

// isOurs says whether an error tells of what a store was armed with. Those of stalled
// tables have it as text.
func isOurs(err error) bool {
	return slices.ContainsFunc([]error{errFault, errDisk, blobtest.ErrCrashed, context.Canceled}, func(ours error) bool {
		return errors.Is(err, ours) || strings.Contains(err.Error(), ours.Error())
	})
}

// arm chooses a fault that befalls one of the operations to come.
func (s *shaky) arm(r *rand.Rand, cancel func()) (what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	nth := 1 + r.IntN([]int{3, 10, 40}[r.IntN(3)])
	s.steps = nth
	switch kind := r.IntN(6); kind {
	case 0:
		s.strike = func() error { cancel(); return nil }
		return fmt.Sprintf("its context cancelled at operation %d", nth)
	case 1:
		s.disk, s.strike = true, func() error { return errDisk }
		return fmt.Sprintf("no disk from its operation %d on", nth)
	default:
		f := blobtest.Fault{
			Op: []blobtest.Op{"", "", "", blobtest.OpPut, blobtest.OpCreate, blobtest.OpDelete}[r.IntN(6)], Nth: nth, Err: errFault,
			Kind: []blobtest.Kind{blobtest.Error, blobtest.LostReply, blobtest.Torn, blobtest.Crash}[kind-2],
		}
		s.faulty, s.strike = blobtest.Faulty(s.base, f), nil
		return fmt.Sprintf("%s %d %s", cmp.Or(f.Op, "operation"), nth, []string{"failing", "without a reply", "torn", "the last before a crash"}[kind-2])
	}
}

// mend ends the fault.
func (s *shaky) mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faulty, s.strike, s.disk = nil, nil, false
}

// count counts an operation of the store or of its disk.
func (s *shaky) count(disk bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.strike == nil || s.disk != disk {
		return nil
	}
	if s.steps--; s.steps > 0 {
		return nil
	}
	return s.strike()
}

func (s *shaky) around(op, path string, call func() error) error {
	if err := s.count(true); err != nil {
		return err
	}
	return call()
}

func (s *shaky) store() blob.Store {
	_ = s.count(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faulty != nil {
		return s.faulty
	}
	return s.base
}

func (s *shaky) Get(ctx context.Context, key arbalest.Key, offset, length int64) (io.ReadCloser, error) {
	return s.store().Get(ctx, key, offset, length)
}

func (s *shaky) Put(ctx context.Context, key arbalest.Key, body io.ReadSeeker) error {
	return s.store().Put(ctx, key, body)
}

func (s *shaky) Create(ctx context.Context, key arbalest.Key, body io.ReadSeeker) error {
	return s.store().Create(ctx, key, body)
}

func (s *shaky) List(ctx context.Context, prefix, after arbalest.Key) iter.Seq2[blob.Info, error] {
	return s.store().List(ctx, prefix, after)
}

func (s *shaky) Delete(ctx context.Context, key arbalest.Key) error {
	return s.store().Delete(ctx, key)
}

// A shakyDir has drafts too.
type shakyDir struct {
	*shaky
	dir *blob.Dir
}

func (s shakyDir) Draft(ctx context.Context, key arbalest.Key) (*blob.Draft, error) {
	_ = s.count(false)
	return s.dir.Draft(ctx, key)
}

func (s shakyDir) Drafted(ctx context.Context, key arbalest.Key) (bool, error) {
	return s.dir.Drafted(ctx, key)
}

func (s shakyDir) Recover(ctx context.Context) error {
	_ = s.count(false)
	return s.dir.Recover(ctx)
}
