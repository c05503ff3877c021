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

// Append makes lines durable as one segment: whole lines by
// arbalest.AppendLine and AppendRejected. The commit point is the store's
// Create. After an error the segment may or may not be there; should it be, its
// events are repeats of those that the caller sends again.
func (w *Writer) Append(ctx context.Context, lines []byte) (arbalest.Receipt, error) {
	return w.create(ctx, w.lake.codec.fast.EncodeAll(lines, make([]byte, 0, len(lines)/4)))
}

// create writes a segment of compressed lines.
func (w *Writer) create(ctx context.Context, body []byte) (arbalest.Receipt, error) {
	n := w.n.Add(1)
	key := segmentKey(w.id, n)
	err := w.lake.store.Create(ctx, key, bytes.NewReader(body))
	if errors.Is(err, arbalest.ErrExists) {
		// Nobody else has this key: an earlier try of the store's own got through.
		there, readErr := w.lake.readAll(ctx, key)
		if readErr == nil && bytes.Equal(there, body) {
			err = nil
		}
	}
	if err != nil {
		return "", fmt.Errorf("write segment %s: %w", key, err)
	}
	return receiptOf(w.id, n), nil
}
