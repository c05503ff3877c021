// Package blob is the seam to the object store: keys to bytes, with one
// conditional write, which is all that the lake needs to let any number of
// processes work on one store without a lock service.
//
// It has two stores of its own: Memory, for tests, and Dir, a local directory.
// The commit point of a write is the store's: when Put or Create returns nil,
// the object is durable and every later Get and List sees it.
package blob

import (
	"context"
	"io"
	"iter"

	"arbalest"
)

// Info is an object as List tells of it.
type Info struct {
	Key  arbalest.Key
	Size int64 // bytes
}

// Whole is the length that asks Get for everything from the offset on.
const Whole = -1

// A Store holds objects.
//
// All methods may be called at once by any number of goroutines and
// processes. Errors wrap arbalest.ErrUnknown, ErrExists, ErrInvalid (a key
// that ValidKey refuses, or a range outside the object), ErrUnavailable
// (worth a retry) or fs.ErrPermission, or are the context's or the body's own.
// After an error other than those of the first three kinds a write may or may
// not have happened, but it never happened in part.
//
// A body is written from its start to its end, wherever it stood, so that a
// failed call can be repeated with the same body.
//
// No key may be the folder of another, as "a" is of "a/b": a store that cannot
// hold both refuses the later write with ErrInvalid.
type Store interface {
	// Get reads length bytes from offset on, or all the rest if length is
	// Whole. The caller closes the reader. ErrUnknown if there is no object;
	// ErrInvalid if offset is negative or greater than the object's size, or
	// length is negative and not Whole. A range that ends after the object
	// gives what there is. The reader is of one version of the object, also if
	// it is overwritten or deleted meanwhile, or fails.
	Get(ctx context.Context, key arbalest.Key, offset, length int64) (io.ReadCloser, error)
	// Put writes an object, in place of the one that may be there. A reader
	// sees the old bytes or the new ones, never a mixture.
	Put(ctx context.Context, key arbalest.Key, body io.ReadSeeker) error
	// Create writes an object if there is none under the key, else returns
	// ErrExists, and then the object that is there is durable. Of any number
	// of racing calls exactly one wins.
	Create(ctx context.Context, key arbalest.Key, body io.ReadSeeker) error
	// List yields the objects whose keys begin with prefix and are greater
	// than after, in order of their bytes; either may be any string. It
	// streams: it holds a page of a listing, or the names in the folders from
	// the root to where it stands, not all objects; stopping early stops the
	// work. Objects written or deleted meanwhile may or may not be seen. An
	// error is yielded once, last, with an empty Info.
	List(ctx context.Context, prefix, after arbalest.Key) iter.Seq2[Info, error]
	// Delete removes an object; that there is none is no error. It is durable
	// no later than the next successful write below the same parent.
	Delete(ctx context.Context, key arbalest.Key) error
}
