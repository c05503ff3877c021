// Package blobtest has what tests of and with stores share: the suite that
// every store passes, faults as data, crashes after every step, and traces. It
// stores nothing.
package blobtest

import (
	"context"
	"io"
	"iter"

	"arbalest"
	"arbalest/internal/blob"
)

// An Op is a method of blob.Store, in lower case.
type Op string

// The operations.
const (
	OpGet    Op = "get"
	OpPut    Op = "put"
	OpCreate Op = "create"
	OpList   Op = "list"
	OpDelete Op = "delete"
)

func (op Op) mutates() bool { return op == OpPut || op == OpCreate || op == OpDelete }

// A call is an operation as a hook sees it.
type call struct {
	op             Op
	key            arbalest.Key // the prefix, of a List
	after          arbalest.Key
	offset, length int64
	body           io.ReadSeeker
	// each, if set by the hook, is asked before each item of a List and each
	// Read of a Get's reader, with the number of those before.
	each func(n int) error
}

// A hooked store passes every operation to hook, which makes it by calling do,
// or does not. A List is one operation that ends when its caller stops.
type hooked struct {
	store blob.Store
	hook  func(ctx context.Context, c *call, do func() error) error
}

var _ blob.Store = hooked{}

func (h hooked) Get(ctx context.Context, key arbalest.Key, offset, length int64) (io.ReadCloser, error) {
	c := &call{op: OpGet, key: key, offset: offset, length: length}
	var r io.ReadCloser
	err := h.hook(ctx, c, func() (err error) {
		r, err = h.store.Get(ctx, key, offset, length)
		return err
	})
	if err != nil {
		if r != nil {
			r.Close()
		}
		return nil, err
	}
	if c.each != nil {
		return &checked{ReadCloser: r, each: c.each}, nil
	}
	return r, nil
}

func (h hooked) Put(ctx context.Context, key arbalest.Key, body io.ReadSeeker) error {
	c := &call{op: OpPut, key: key, body: body}
	return h.hook(ctx, c, func() error { return h.store.Put(ctx, key, body) })
}

func (h hooked) Create(ctx context.Context, key arbalest.Key, body io.ReadSeeker) error {
	c := &call{op: OpCreate, key: key, body: body}
	return h.hook(ctx, c, func() error { return h.store.Create(ctx, key, body) })
}

func (h hooked) List(ctx context.Context, prefix, after arbalest.Key) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		c := &call{op: OpList, key: prefix, after: after}
		stopped := false
		err := h.hook(ctx, c, func() error {
			n := 0
			for info, err := range h.store.List(ctx, prefix, after) {
				if err == nil && c.each != nil {
					err = c.each(n)
				}
				if err != nil {
					return err
				}
				if stopped = !yield(info, nil); stopped {
					return nil
				}
				n++
			}
			return nil
		})
		if err != nil && !stopped {
			yield(blob.Info{}, err)
		}
	}
}

func (h hooked) Delete(ctx context.Context, key arbalest.Key) error {
	c := &call{op: OpDelete, key: key}
	return h.hook(ctx, c, func() error { return h.store.Delete(ctx, key) })
}

// A checked reader may break off.
type checked struct {
	io.ReadCloser
	each func(n int) error
	n    int
}

func (r *checked) Read(p []byte) (int, error) {
	if err := r.each(r.n); err != nil {
		return 0, err
	}
	if r.n++; r.n == 1 {
		p = p[:min(len(p), 16)] // so that it can break off within a small object
	}
	return r.ReadCloser.Read(p)
}
