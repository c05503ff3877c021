package lake

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"arbalest"
)

// frameBytes is about how many bytes of lines a frame of a merged object has: what
// is read for one of its parts, at the least.
const frameBytes = 1 << 20

// A frame is a Zstandard frame of a merged object: it can be read alone.
type frame struct {
	Packed int64 `json:"packed"` // bytes
	Lines  int64 `json:"lines"`  // bytes
}

// A frameWriter packs lines into frames.
type frameWriter struct {
	codec  codec
	plain  bool
	lines  []byte
	packed []byte
	frames []frame
}

func (w *frameWriter) add(line []byte) {
	if w.plain {
		w.packed = append(w.packed, line...)
		return
	}
	if len(w.lines) > 0 && len(w.lines)+len(line) > frameBytes {
		w.flush()
	}
	w.lines = append(w.lines, line...)
}

func (w *frameWriter) flush() {
	before := len(w.packed)
	w.packed = w.codec.pack(w.packed, w.lines, suffixZstd)
	w.frames = append(w.frames, frame{int64(len(w.packed) - before), int64(len(w.lines))})
	w.lines = w.lines[:0]
}

func (w *frameWriter) finish() ([]byte, []frame) {
	if len(w.lines) > 0 {
		w.flush()
	}
	return w.packed, w.frames
}

// framesOf finds the frames of an object (RFC 8878, section 3.1.1): each is its
// header, blocks with a header of three bytes, and a checksum.
func (l *Lake) framesOf(key arbalest.Key, b []byte) ([]frame, error) {
	if isPlain(key) {
		return nil, nil
	}
	bad := func(why any) error { return fmt.Errorf("%w: %s has no frames: %v", arbalest.ErrCorrupt, key, why) }
	var frames []frame
	for len(b) > 0 {
		var h zstd.Header
		if err := h.Decode(b); err != nil {
			return nil, bad(err)
		}
		if h.Skippable {
			return nil, bad("one is of a kind that is not written here")
		}
		n := h.HeaderSize
		for last := false; !last; {
			if len(b) < n+3 {
				return nil, bad("it ends early")
			}
			head := uint(b[n]) | uint(b[n+1])<<8 | uint(b[n+2])<<16
			size := int(head >> 3)
			if head>>1&3 == 1 { // a byte that is repeated
				size = 1
			}
			last = head&1 == 1
			n += 3 + size
		}
		if h.HasCheckSum {
			n += 4
		}
		if len(b) < n {
			return nil, bad("it ends early")
		}
		lines, err := l.codec.unpack(nil, b[:n], key)
		if err != nil {
			return nil, err
		}
		frames = append(frames, frame{int64(n), int64(len(lines))})
		b = b[n:]
	}
	return frames, nil
}

// A frameID names a frame of a merged object.
type frameID struct {
	key arbalest.Key
	n   int
}

// A frameCache keeps the frames that were read last, cachedFrames of them: as many
// as are read from at once, and a few.
type frameCache struct {
	mu     sync.Mutex
	frames map[frameID]*cachedFrame
	clock  int64
}

const cachedFrames = 16

type cachedFrame struct {
	once  sync.Once
	lines []byte
	err   error
	used  int64
}

// get returns a frame's lines, which are not to be changed.
func (c *frameCache) get(id frameID, read func() ([]byte, error)) ([]byte, error) {
	c.mu.Lock()
	f := c.frames[id]
	if f == nil {
		f = new(cachedFrame)
		if c.frames == nil {
			c.frames = map[frameID]*cachedFrame{}
		}
		if len(c.frames) >= cachedFrames {
			c.evict()
		}
		c.frames[id] = f
	}
	c.clock++
	f.used = c.clock
	c.mu.Unlock()
	mine := false
	f.once.Do(func() {
		mine = true
		f.lines, f.err = read()
	})
	if f.err == nil {
		return f.lines, nil
	}
	c.mu.Lock()
	if c.frames[id] == f {
		delete(c.frames, id) // whoever asks next tries again
	}
	c.mu.Unlock()
	if !mine { // it may be that the other gave up
		return read()
	}
	return nil, f.err
}

// forget lets go of an object's frames: what was erased is not to be read any more.
func (c *frameCache) forget(key arbalest.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.frames {
		if id.key == key {
			delete(c.frames, id)
		}
	}
}

func (c *frameCache) evict() {
	var oldest frameID
	used := c.clock + 1
	for id, f := range c.frames {
		if f.used < used {
			oldest, used = id, f.used
		}
	}
	delete(c.frames, oldest)
}
