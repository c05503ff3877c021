package lake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/oklog/ulid/v2"

	"arbalest"
)

// newWriterID returns a name that no other process will ever have.
func newWriterID() string { return ulid.Make().String() }

// A Writer appends segments to landing, under a name of its own, so that no
// two writers ever want the same key. It may be used at once by many.
type Writer struct {
	lake *Lake
	id   string
	n    atomic.Uint64
}

// NewWriter returns a writer with a new name.
func (l *Lake) NewWriter() *Writer { return &Writer{lake: l, id: newWriterID()} }

// Pack appends lines, whole ones by arbalest.AppendLine and AppendRejected, in
// the form that Append takes.
func (w *Writer) Pack(dst, lines []byte) []byte { return packSegment(dst, lines) }

// Append makes packed lines durable as one segment. The commit point is the
// store's Create. After an error the segment may or may not be there; should it
// be, its events are repeats of those that the caller sends again. size is that
// of the lines in bytes; of more than MaxSegment the error wraps
// arbalest.ErrTooLarge, and there is no segment.
func (w *Writer) Append(ctx context.Context, packed []byte, size int) (arbalest.Receipt, error) {
	if size > MaxSegment {
		return "", fmt.Errorf("%w: %d bytes of lines, of which a segment has at most %d: append fewer at a time", arbalest.ErrTooLarge, size, MaxSegment)
	}
	n := w.n.Add(1)
	key := segmentKey(w.id, n)
	err := w.lake.store.Create(ctx, key, bytes.NewReader(packed))
	if errors.Is(err, arbalest.ErrExists) {
		// Nobody else has this key: an earlier try of the store's own got through.
		there, readErr := w.lake.readAll(ctx, key)
		if readErr == nil && bytes.Equal(there, packed) {
			err = nil
		}
	}
	if err != nil {
		return "", fmt.Errorf("write segment %s: %w", key, err)
	}
	return receiptOf(w.id, n), nil
}

// AppendLines packs and appends lines.
func (w *Writer) AppendLines(ctx context.Context, lines []byte) (arbalest.Receipt, error) {
	return w.Append(ctx, w.Pack(nil, lines), len(lines))
}
