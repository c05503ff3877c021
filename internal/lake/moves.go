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

// The version of what compaction writes, of what erasure writes and of every plan
// and commit after one; everything else is of version 1.
const (
	logFormat     = 1
	compactFormat = 2
	eraseFormat   = 3
)

// moves are what one compaction or erasure did. They are true from when they exist,
// which is after their merged objects and before their commit; of two that move an
// object the later ones hold.
type moves struct {
	Format  int               `json:"format"`
	Seq     arbalest.Seq      `json:"seq"`
	Merged  []merged          `json:"merged"`
	Passed  []arbalest.Key    `json:"passed,omitempty"`  // stay where they are, as one of them cannot be read
	Through arbalest.Seq      `json:"through,omitempty"` // as Plan.Through
	Waiting []arbalest.Object `json:"waiting,omitempty"`
}

// A merged object has the lines of others, one after another.
type merged struct {
	Key arbalest.Key `json:"key"` // empty if no line is left
	// From is the object, merged or not, that had the lines before an erasure.
	From   arbalest.Key `json:"from,omitempty"`
	Events int64        `json:"events"`
	Bytes  int64        `json:"bytes"`
	Hash   uint64       `json:"hash,string"`
	Inputs []input      `json:"inputs"`
	Frames []frame      `json:"frames,omitempty"` // of a compressed one
}

// An input is an object that is part of a merged one.
type input struct {
	Key     arbalest.Key   `json:"key"`
	Events  int64          `json:"events"` // lines that are left of it
	Bytes   int64          `json:"bytes"`
	Hash    uint64         `json:"hash,string"`
	Repeats []int64        `json:"repeats,omitempty"` // the lines that are not, from 1: repeats
	Erased  []arbalest.Run `json:"erased,omitempty"`  // and those that were erased
}

// stored returns what is left of an input.
func (in *input) stored() Stored {
	return Stored{arbalest.Object{Key: in.Key, Events: in.Events, Bytes: in.Bytes, Hash: in.Hash}, in.Repeats, in.Erased}
}

// replaces returns the objects that may go once the moves hold.
func (m *merged) replaces() (keys []arbalest.Key) {
	if m.From != "" {
		return []arbalest.Key{m.From}
	}
	for _, in := range m.Inputs {
		keys = append(keys, in.Key)
	}
	return keys
}

func (m *merged) object() arbalest.Object {
	return arbalest.Object{Key: m.Key, Events: m.Events, Bytes: m.Bytes, Hash: m.Hash}
}

// A place is where an object's lines are now.
type place struct {
	seq   arbalest.Seq // of the compaction
	in    *merged
	begin int64 // of the merged object's lines, in bytes
	input *input
}

// stored returns what is left of an object.
func (p place) stored(o arbalest.Object) Stored {
	o.Events, o.Bytes, o.Hash = p.input.Events, p.input.Bytes, p.input.Hash
	return Stored{o, p.input.Repeats, p.input.Erased}
}

// An atlas knows where objects are that were moved. It holds some 300 bytes of
// each, once one was looked for that is not where it was.
type atlas struct {
	mu     sync.Mutex
	known  arbalest.Seq
	places map[arbalest.Key]place
	frames frameCache
}

func (a *atlas) find(key arbalest.Key) (place, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, ok := a.places[key]
	return p, ok
}

// movedTo says where an object is that is not under its key, nor where the moves of
// a commit put it; with what became known since it was looked for last.
func (l *Lake) movedTo(ctx context.Context, key arbalest.Key, since arbalest.Seq) (place, bool, error) {
	a := &l.atlas
	a.mu.Lock()
	defer a.mu.Unlock()
	p, ok := a.places[key]
	if ok && p.seq > since {
		return p, true, nil
	}
	unread, err := l.refresh(ctx)
	if err != nil {
		return place{}, false, err
	}
	if p, ok = a.places[key]; !ok || p.seq <= since {
		return place{}, false, unread
	}
	return p, true, nil
}

// refresh takes into account what was moved since it was called last. Moves that
// cannot be read are unread; others may still have what is looked for. The caller
// holds the atlas's mu.
func (l *Lake) refresh(ctx context.Context) (unread, err error) {
	a := &l.atlas
	keys, err := l.movesAfter(ctx, a.known)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		m, err := l.readMoves(ctx, k)
		if errors.Is(err, arbalest.ErrUnknown) || errors.Is(err, arbalest.ErrCorrupt) {
			unread = errors.Join(unread, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		a.add(m)
		if unread == nil {
			a.known = m.Seq
		}
	}
	return unread, nil
}

// add takes moves into account. The caller holds a.mu.
func (a *atlas) add(m moves) {
	if a.places == nil {
		a.places = map[arbalest.Key]place{}
	}
	for i := range m.Merged {
		begin := int64(0)
		for j := range m.Merged[i].Inputs {
			in := &m.Merged[i].Inputs[j]
			if a.places[in.Key].seq < m.Seq {
				a.places[in.Key] = place{m.Seq, &m.Merged[i], begin, in}
			}
			begin += in.Bytes
		}
		if m.Merged[i].From != "" {
			a.frames.forget(m.Merged[i].From)
		}
	}
}

// movesAfter lists the moves of commits after one.
func (l *Lake) movesAfter(ctx context.Context, seq arbalest.Seq) (keys []arbalest.Key, err error) {
	after := arbalest.Key("")
	if seq > 0 {
		after = movesKey(seq)
	}
	for info, err := range l.store.List(ctx, movesFolder, after) {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", movesFolder, err)
		}
		keys = append(keys, info.Key)
	}
	return keys, nil
}

func (l *Lake) readMoves(ctx context.Context, key arbalest.Key) (moves, error) {
	var m moves
	packed, err := l.readAll(ctx, key)
	if err != nil {
		return m, err
	}
	b, err := l.codec.unpack(nil, packed, key)
	if err != nil {
		return m, err
	}
	if err := decodeJSON(key, b, &m, &m.Format); err != nil {
		return m, err
	}
	if movesKey(m.Seq) != key {
		return m, fmt.Errorf("%w: %s says that it is of commit %d", arbalest.ErrCorrupt, key, m.Seq)
	}
	return m, nil
}

// createMoves makes what was moved known, and returns it, or what another made
// known first.
func (l *Lake) createMoves(ctx context.Context, m moves) (moves, error) {
	key := movesKey(m.Seq)
	b, err := json.Marshal(m)
	if err != nil {
		return m, fmt.Errorf("encode %s: %w", key, err)
	}
	err = l.store.Create(ctx, key, bytes.NewReader(l.codec.pack(nil, append(b, '\n'), suffixZstd)))
	switch {
	case errors.Is(err, arbalest.ErrExists):
		return l.readMoves(ctx, key)
	case err != nil:
		return m, fmt.Errorf("create %s: %w", key, err)
	}
	return m, nil
}

// Lines reads an object's lines, decompressed, from wherever it is now. The
// Stored that it returns is what they are. The caller closes the reader. The error
// wraps arbalest.ErrUnknown if the object is nowhere, and arbalest.ErrCold if it, or
// what it is part of, is frozen.
func (l *Lake) Lines(ctx context.Context, o arbalest.Object) (r io.ReadCloser, now Stored, err error) {
	now, err = l.find(ctx, o, func() (err error) {
		r, err = l.Read(ctx, o.Key)
		return err
	}, func(p place) (err error) {
		r, err = l.part(ctx, p)
		return err
	})
	return r, now, err
}

// AppendLines appends an object's lines, decompressed, to dst, as Lines reads
// them. It is faster for an object that dst has room for.
func (l *Lake) AppendLines(ctx context.Context, dst []byte, o arbalest.Object) (out []byte, now Stored, err error) {
	now, err = l.find(ctx, o, func() (err error) {
		out, err = l.appendPacked(ctx, dst, o.Key)
		return err
	}, func(p place) (err error) {
		out, err = l.appendPart(ctx, dst, p)
		return err
	})
	return out, now, err
}

// find reads an object from under its key, as whole does, or from where it was
// moved, as part does; and if it is not there any more, from where it was moved
// since.
func (l *Lake) find(ctx context.Context, o arbalest.Object, whole func() error, part func(place) error) (Stored, error) {
	p, ok := l.atlas.find(o.Key)
	if !ok {
		err := whole()
		if !errors.Is(err, arbalest.ErrUnknown) {
			return Stored{Object: o}, err
		}
		var lookErr error
		if p, ok, lookErr = l.movedTo(ctx, o.Key, 0); lookErr != nil || !ok {
			return Stored{Object: o}, errors.Join(err, lookErr)
		}
	}
	for {
		err := part(p)
		if !errors.Is(err, arbalest.ErrUnknown) {
			return p.stored(o), err
		}
		newer, ok, lookErr := l.movedTo(ctx, o.Key, p.seq)
		if lookErr != nil || !ok {
			return p.stored(o), errors.Join(err, lookErr)
		}
		p = newer
	}
}

// part reads a part of a merged object.
func (l *Lake) part(ctx context.Context, p place) (io.ReadCloser, error) {
	key, size := p.in.Key, p.input.Bytes
	if size == 0 { // there may be no object
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	if isPlain(key) {
		r, err := l.store.Get(ctx, key, p.begin, size)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", key, err)
		}
		return r, nil
	}
	_, _, offset, length, skip := p.span()
	r, err := l.store.Get(ctx, key, offset, length)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	lines, err := l.codec.open(key, r)
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, lines, skip); err != nil {
		lines.Close()
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: %s ends early", arbalest.ErrCorrupt, key)
		}
		return nil, err
	}
	return &limited{io.LimitReader(lines, size), lines}, nil
}

// limited reads to a limit, and closes what is below it.
type limited struct {
	io.Reader
	io.Closer
}

// span returns the frames that a part is in, from first up to before end; where
// those are in the stored object; and how many bytes of their lines are before the
// part.
func (p place) span() (first, end int, offset, length, skip int64) {
	frames, at := p.in.Frames, int64(0)
	for first < len(frames) && at+frames[first].Lines <= p.begin {
		at += frames[first].Lines
		offset += frames[first].Packed
		first++
	}
	skip = p.begin - at
	for end = first; end < len(frames) && at < p.begin+p.input.Bytes; end++ {
		at += frames[end].Lines
		length += frames[end].Packed
	}
	return first, end, offset, length, skip
}

// appendPart appends a part of a merged object to dst. Frames are kept for a
// while: the next part is often in the same.
func (l *Lake) appendPart(ctx context.Context, dst []byte, p place) ([]byte, error) {
	key := p.in.Key
	first, end, at, _, skip := p.span()
	if isPlain(key) || end-first > 2 {
		r, err := l.part(ctx, p)
		if err != nil {
			return dst, err
		}
		defer r.Close()
		return readOnto(dst, r, key)
	}
	left := p.input.Bytes
	for i := first; i < end; i++ {
		f := p.in.Frames[i]
		lines, err := l.atlas.frames.get(frameID{key, i}, func() ([]byte, error) { return l.readFrame(ctx, key, at, f) })
		if err != nil {
			return dst, err
		}
		have := lines[skip:]
		skip = 0
		if int64(len(have)) > left {
			have = have[:left]
		}
		dst = append(dst, have...)
		left -= int64(len(have))
		at += f.Packed
	}
	if left != 0 {
		return dst, fmt.Errorf("%w: %s ends %d bytes early", arbalest.ErrCorrupt, key, left)
	}
	return dst, nil
}

func (l *Lake) readFrame(ctx context.Context, key arbalest.Key, offset int64, f frame) ([]byte, error) {
	r, err := l.store.Get(ctx, key, offset, f.Packed)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	defer r.Close()
	packed, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	lines, err := l.codec.unpack(make([]byte, 0, f.Lines), packed, key)
	if err == nil && int64(len(lines)) != f.Lines {
		err = fmt.Errorf("%w: a frame of %s has %d bytes of lines, not %d", arbalest.ErrCorrupt, key, len(lines), f.Lines)
	}
	return lines, err
}

func readOnto(dst []byte, r io.Reader, key arbalest.Key) ([]byte, error) {
	b := bytes.NewBuffer(dst)
	if _, err := b.ReadFrom(r); err != nil {
		return dst, fmt.Errorf("read %s: %w", key, err)
	}
	return b.Bytes(), nil
}

// Read reads the lines, decompressed, of what is stored under a key, as a listing
// of the store found it. The caller closes the reader.
func (l *Lake) Read(ctx context.Context, key arbalest.Key) (io.ReadCloser, error) {
	r, err := l.store.Get(ctx, key, 0, blob.Whole)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return l.codec.open(key, r)
}
