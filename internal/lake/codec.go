package lake

import (
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"arbalest"
)

// maxSegment bounds what one object may decompress to where it must be held
// whole, so that a corrupt or hostile object cannot take the memory.
const maxSegment = 256 << 20

// A codec compresses and decompresses whole objects. Its coders keep their
// state between calls and may be used at once by many.
type codec struct {
	fast  *zstd.Encoder // for segments, which do not live long
	dense *zstd.Encoder // for partitions, which do
	dec   *zstd.Decoder
}

func newCodec() (codec, error) {
	// A window of 1 MiB keeps a coder to a few megabytes and costs our lines
	// next to nothing in size.
	const window = 1 << 20
	fast, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return codec{}, fmt.Errorf("make encoder: %w", err)
	}
	dense, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return codec{}, fmt.Errorf("make encoder: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxSegment), zstd.WithDecoderLowmem(true))
	if err != nil {
		return codec{}, fmt.Errorf("make decoder: %w", err)
	}
	return codec{fast, dense, dec}, nil
}

// pack compresses a partition's lines as the suffix says.
func (c codec) pack(dst, lines []byte, suffix string) []byte {
	if suffix == suffixPlain {
		return append(dst, lines...)
	}
	return c.dense.EncodeAll(lines, dst)
}

// unpack is pack's inverse, for an object held whole.
func (c codec) unpack(dst, b []byte, key arbalest.Key) ([]byte, error) {
	if !strings.HasSuffix(string(key), ".zst") {
		return append(dst, b...), nil
	}
	out, err := c.dec.DecodeAll(b, dst)
	if err != nil {
		return dst, fmt.Errorf("%w: decompress %s: %v", arbalest.ErrCorrupt, key, err)
	}
	return out, nil
}

// A lineReader decompresses a stream, and closes what is below it.
type lineReader struct {
	key   arbalest.Key
	dec   *zstd.Decoder
	below io.ReadCloser
}

func newLineReader(key arbalest.Key, below io.ReadCloser) (io.ReadCloser, error) {
	if !strings.HasSuffix(string(key), ".zst") {
		return below, nil
	}
	dec, err := zstd.NewReader(below, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxSegment), zstd.WithDecoderLowmem(true))
	if err != nil {
		below.Close()
		return nil, fmt.Errorf("%w: decompress %s: %v", arbalest.ErrCorrupt, key, err)
	}
	return &lineReader{key, dec, below}, nil
}

func (r *lineReader) Read(p []byte) (int, error) {
	n, err := r.dec.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%w: decompress %s: %v", arbalest.ErrCorrupt, r.key, err)
	}
	return n, err
}

func (r *lineReader) Close() error {
	r.dec.Close()
	return r.below.Close()
}
