package lake

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"arbalest"
)

// maxObject is how many bytes of lines an object that is held whole may have. A
// sort writes one when it holds Options.FlushBytes, and a segment more.
const maxObject = 2 * MaxSegment

// A codec compresses and decompresses objects of partitions. Its coders keep
// their state between calls and may be used at once by many.
type codec struct {
	dense *zstd.Encoder
	whole *zstd.Decoder // for objects that are held whole
	// streams are decoders that are not in use: making one costs more than
	// reading a small object with it.
	streams *sync.Pool
}

func newCodec() (codec, error) {
	// A window of 1 MiB keeps a coder to a few megabytes and costs our lines
	// next to nothing in size. Of lines that are alike the fastest level makes
	// less than the default one, and of others a tenth more at most (measured on
	// commits and webhooks); it takes half the time, and so does a sort.
	const window = 1 << 20
	dense, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return codec{}, fmt.Errorf("make encoder: %w", err)
	}
	whole, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxObject), zstd.WithDecoderLowmem(true))
	if err != nil {
		return codec{}, fmt.Errorf("make decoder: %w", err)
	}
	return codec{dense, whole, new(sync.Pool)}, nil
}

// isPlain says whether an object is not compressed.
func isPlain(key arbalest.Key) bool { return !strings.HasSuffix(string(key), ".zst") }

// pack compresses a partition's lines as the suffix says.
func (c codec) pack(dst, lines []byte, suffix string) []byte {
	if suffix == suffixPlain {
		return append(dst, lines...)
	}
	return c.dense.EncodeAll(lines, dst)
}

// unpack is pack's inverse, for an object held whole.
func (c codec) unpack(dst, b []byte, key arbalest.Key) ([]byte, error) {
	if isPlain(key) {
		return append(dst, b...), nil
	}
	out, err := c.whole.DecodeAll(b, dst)
	if err != nil {
		return dst, fmt.Errorf("%w: decompress %s: %v", arbalest.ErrCorrupt, key, err)
	}
	return out, nil
}

// A lineReader decompresses a stream, and closes what is below it.
type lineReader struct {
	codec codec
	key   arbalest.Key
	dec   *zstd.Decoder
	below *source
}

// A source remembers what reading it failed with, so that a store's error is not
// taken for that of bytes which are not what was written.
type source struct {
	io.ReadCloser
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// open reads an object's lines as its suffix says.
func (c codec) open(key arbalest.Key, stored io.ReadCloser) (io.ReadCloser, error) {
	if isPlain(key) {
		return stored, nil
	}
	below := &source{ReadCloser: stored}
	dec, ok := c.streams.Get().(*zstd.Decoder)
	var err error
	if ok {
		err = dec.Reset(below)
	} else {
		dec, err = zstd.NewReader(below, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxObject), zstd.WithDecoderLowmem(true))
	}
	r := &lineReader{c, key, dec, below}
	if err != nil {
		below.Close()
		return nil, r.explain(err)
	}
	return r, nil
}

// Read implements io.Reader.
func (r *lineReader) Read(p []byte) (int, error) {
	n, err := r.dec.Read(p)
	if err != nil && err != io.EOF {
		err = r.explain(err)
	}
	return n, err
}

// explain returns the store's error where there was one, else that the bytes are
// damaged.
func (r *lineReader) explain(err error) error {
	if r.below.err != nil {
		return fmt.Errorf("read %s: %w", r.key, r.below.err)
	}
	return fmt.Errorf("%w: decompress %s: %v", arbalest.ErrCorrupt, r.key, err)
}

// Close implements io.Closer.
func (r *lineReader) Close() error {
	if r.dec.Reset(nil) == nil {
		r.codec.streams.Put(r.dec)
	} else {
		r.dec.Close()
	}
	return r.below.Close()
}
