// Package lake keeps events in an object store: segments in landing, which
// capture writes; partitions, where events live for good; and the log of
// numbered commits, which alone makes a change visible.
//
//	_landing/<writer>/<n>.ndjson.s2                       a segment: accepted and rejected events of many names;
//	                                                      on a directory it grows in a draft of the store's before it is there
//	_log/<seq>.plan.json                                  what commit seq will do
//	_log/<seq>.json                                       commit seq is done: the commit point
//	<event>/<yyyy-MM-dd>/<HH>/<seq>[-<part>].ndjson.zst   events of that hour
//	_rejected/<yyyy-MM-dd>/<HH>/<writer>-<n>.ndjson.zst   invalid events of that segment
//	_replayed/<yyyy-MM-dd>/<HH>/<ulid>.json               marks of what was replayed of those
//	_tables/<table>/<version>.json                        definitions of tables that were not declared
//	_moved/<seq>.json.zst                                 which objects compaction seq merged, and where they are now
//	<event>/<yyyy-MM-dd>/<seq>[-<part>].ndjson.zst        what it made of a day's; of an hour's it is in the hour's folder
//	_erased/<seq>.json                                    what erasure seq erased, and for whom; key.json is what its fingerprints are made with
//
// doc/format.md has the bytes, the commit point and the recovery of each
// operation. Any number of processes may use one lake at once.
package lake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"arbalest"
	"arbalest/internal/blob"
)

// Options are a lake's settings. The zero value works.
type Options struct {
	// PlanBytes is how much landing, compressed, one sort may take on. It is a
	// request's worth of memory for keys, not for events. Defaults to 256 MiB.
	PlanBytes int64
	// FlushBytes is how many bytes of lines a sort holds, and a segment more.
	// Defaults to 32 MiB; more than 256 MiB is 256 MiB.
	FlushBytes int64
	// SegmentBytes is how many bytes of lines make a gathered segment full: a
	// sort holds one whole. Defaults to 8 MiB.
	SegmentBytes int
	// Parallel is how many objects a sort writes at once. Defaults to 32:
	// a directory's fsyncs share the journal's commits.
	Parallel int
	// CompactBytes is how many bytes of lines an object has that compaction makes,
	// about, if there are as many in a day. Defaults to 64 MiB; more than 256 MiB is
	// 256 MiB, as whoever finds a plan must do it.
	CompactBytes int64
	// ScanObjects is how many objects of the log a compaction looks at before it
	// merges what of them can be: they are held. Defaults to 50,000.
	ScanObjects int
	// Plain leaves partitions uncompressed. Defaults to false.
	Plain bool
}

func (o Options) withDefaults() Options {
	if o.PlanBytes == 0 {
		o.PlanBytes = 256 << 20
	}
	if o.FlushBytes == 0 {
		o.FlushBytes = 32 << 20
	}
	o.FlushBytes = min(o.FlushBytes, maxObject-MaxSegment)
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 8 << 20
	}
	if o.CompactBytes == 0 {
		o.CompactBytes = 64 << 20
	}
	o.CompactBytes = min(o.CompactBytes, MaxSegment)
	if o.ScanObjects == 0 {
		o.ScanObjects = 50_000
	}
	if o.Parallel == 0 {
		o.Parallel = 32
	}
	return o
}

// suffix is that of partitions' objects.
func (o Options) suffix() string {
	if o.Plain {
		return suffixPlain
	}
	return suffixZstd
}

// A Lake is one store's events. Its methods may be called at once.
type Lake struct {
	store    blob.Store
	opts     Options
	codec    codec
	packed   sync.Pool // of *bytes.Buffer
	self     string    // names this process in plans
	atlas    atlas
	almanac  almanac
	erasures erasures

	turn       chan struct{} // of who sorts or compacts
	compaction compaction    // of who has the turn

	mu        sync.Mutex
	head      arbalest.Seq             // known to be done; the log may have gone on
	traced    map[arbalest.Seq]journey // what Track has read
	gatherers map[*Gatherer]bool       // of this process
	swept     arbalest.Seq             // compaction, whose objects are deleted
	own       bool                     // it is no copy that is not finished
}

// Open returns the lake on a store. It does no I/O: an empty store is an empty
// lake.
func Open(store blob.Store, opts Options) (*Lake, error) {
	c, err := newCodec()
	if err != nil {
		return nil, err
	}
	return &Lake{
		store: store, opts: opts.withDefaults(), codec: c, self: newWriterID(), turn: make(chan struct{}, 1),
		traced: map[arbalest.Seq]journey{}, gatherers: map[*Gatherer]bool{},
	}, nil
}

// appendPacked appends the lines, decompressed, of what is stored under a key to
// dst.
func (l *Lake) appendPacked(ctx context.Context, dst []byte, key arbalest.Key) ([]byte, error) {
	r, err := l.store.Get(ctx, key, 0, blob.Whole)
	if err != nil {
		return dst, fmt.Errorf("read %s: %w", key, err)
	}
	defer r.Close()
	packed, ok := l.packed.Get().(*bytes.Buffer)
	if !ok {
		packed = new(bytes.Buffer)
	}
	defer l.packed.Put(packed)
	packed.Reset()
	if _, err := packed.ReadFrom(r); err != nil {
		return dst, fmt.Errorf("read %s: %w", key, err)
	}
	return l.codec.unpack(dst, packed.Bytes(), key)
}

// readAll reads a small object whole.
func (l *Lake) readAll(ctx context.Context, key arbalest.Key) ([]byte, error) {
	r, err := l.store.Get(ctx, key, 0, blob.Whole)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return b, nil
}

// exists asks for an object's first byte. Objects of the log are never empty.
func (l *Lake) exists(ctx context.Context, key arbalest.Key) (bool, error) {
	r, err := l.store.Get(ctx, key, 0, 1)
	switch {
	case errors.Is(err, arbalest.ErrUnknown):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for %s: %w", key, err)
	}
	return true, r.Close()
}

// createJSON writes v under key unless there is something. Where there is, and
// it is what v says, the earlier write was ours or as good, and all is well.
func (l *Lake) createJSON(ctx context.Context, key arbalest.Key, v any) error {
	_, err := l.createsJSON(ctx, key, v)
	return err
}

// createsJSON is createJSON, and says whether this call was the write, as far as it
// knows.
func (l *Lake) createsJSON(ctx context.Context, key arbalest.Key, v any) (first bool, err error) {
	body, err := json.Marshal(v)
	if err != nil {
		return false, fmt.Errorf("encode %s: %w", key, err)
	}
	err = l.store.Create(ctx, key, bytes.NewReader(append(body, '\n')))
	if !errors.Is(err, arbalest.ErrExists) {
		if err != nil {
			return false, fmt.Errorf("create %s: %w", key, err)
		}
		return true, nil
	}
	there, readErr := l.readAll(ctx, key)
	if readErr != nil {
		return false, readErr
	}
	if !bytes.Equal(bytes.TrimSuffix(there, []byte{'\n'}), body) {
		return false, fmt.Errorf("create %s: %w", key, err)
	}
	return false, nil
}

// readJSON reads an object of a versioned format; format points at v's version
// once it is read.
func (l *Lake) readJSON(ctx context.Context, key arbalest.Key, v any, format *int) error {
	b, err := l.readAll(ctx, key)
	if err != nil {
		return err
	}
	return decodeJSON(key, b, v, format)
}

// decodeJSON is readJSON of what was read.
func decodeJSON(key arbalest.Key, b []byte, v any, format *int) error {
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %s: %v", arbalest.ErrCorrupt, key, err)
	}
	switch {
	case *format > arbalest.LogFormat:
		return fmt.Errorf("%w: %s has format %d, this program knows up to %d: upgrade it", arbalest.ErrNewer, key, *format, arbalest.LogFormat)
	case *format < 1:
		return fmt.Errorf("%w: %s has no format", arbalest.ErrCorrupt, key)
	}
	return nil
}
