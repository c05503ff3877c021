package lake

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/klauspost/compress/s2"

	"arbalest"
)

// Segments are in the framing format of S2 (github.com/klauspost/compress/s2,
// an extension of Snappy's), with a CRC-32C of each chunk. They live for a
// second: compressing them is a fifth of the work that zstd makes of it, at twice
// the size. Streams that are joined are one stream.

// MaxSegment is how many bytes of lines a segment may have: it is held whole, and
// a corrupt or hostile one must not take the memory. More is not appended.
const MaxSegment = 256 << 20

// The kinds of chunks, and the first of every stream.
const (
	s2Compressed = 0x00
	s2Plain      = 0x01
	s2Start      = "\xff\x06\x00\x00S2sTwO"
	s2Block      = 1 << 20 // bytes of lines in a chunk
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// packSegment appends lines as a stream of their own.
func packSegment(dst, lines []byte) []byte {
	dst = append(dst, s2Start...)
	for len(lines) > 0 {
		block := lines[:min(len(lines), s2Block)]
		lines = lines[len(block):]
		head := len(dst)
		dst = append(dst, s2Compressed, 0, 0, 0)
		dst = binary.LittleEndian.AppendUint32(dst, s2Sum(block))
		start := len(dst)
		if room := start + s2.MaxEncodedLen(len(block)); cap(dst) < room {
			dst = append(make([]byte, 0, room+room/2), dst...)
		}
		if packed := s2.Encode(dst[start:cap(dst)], block); len(packed) < len(block) {
			dst = dst[:start+len(packed)]
		} else {
			dst = append(dst[:start], block...)
			dst[head] = s2Plain
		}
		size := len(dst) - head - 4
		dst[head+1], dst[head+2], dst[head+3] = byte(size), byte(size>>8), byte(size>>16)
	}
	return dst
}

// s2Sum is a chunk's checksum, masked as the Snappy framing format has it.
func s2Sum(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return c>>15 | c<<17 + 0xa282ead8
}

// segmentLines returns the lines of a segment, packed as its suffix says. The
// error wraps arbalest.ErrCorrupt.
func (l *Lake) segmentLines(packed []byte, key arbalest.Key) ([]byte, error) {
	if strings.HasSuffix(string(key), suffixZstd) {
		return l.codec.unpack(nil, packed, key)
	}
	return unpackSegment(packed, key)
}

// unpackSegment is packSegment's inverse, for streams that were joined. It
// takes no other kinds of chunks than packSegment makes. The error wraps
// arbalest.ErrCorrupt.
func unpackSegment(packed []byte, key arbalest.Key) ([]byte, error) {
	size := 0
	for rest := packed; len(rest) > 0; {
		c, err := s2ChunkOf(rest)
		if err == nil && size+c.size > MaxSegment {
			err = fmt.Errorf("it holds more than %d bytes", MaxSegment)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: decompress %s: at byte %d: %v", arbalest.ErrCorrupt, key, len(packed)-len(rest), err)
		}
		size += c.size
		rest = rest[c.length:]
	}
	lines := make([]byte, 0, size)
	for rest := packed; len(rest) > 0; {
		c, _ := s2ChunkOf(rest) // it was fine
		end := len(lines) + c.size
		switch got, err := c.decode(lines[len(lines):end]); {
		case err != nil:
			return nil, fmt.Errorf("%w: decompress %s: at byte %d: %v", arbalest.ErrCorrupt, key, len(packed)-len(rest), err)
		case c.size > 0 && s2Sum(got) != c.sum:
			return nil, fmt.Errorf("%w: decompress %s: at byte %d: the checksum is wrong", arbalest.ErrCorrupt, key, len(packed)-len(rest))
		}
		lines = lines[:end]
		rest = rest[c.length:]
	}
	return lines, nil
}

// An s2Chunk is a chunk of a stream.
type s2Chunk struct {
	kind   byte
	length int // in the stream, head included
	sum    uint32
	block  []byte
	size   int // decompressed; 0 of a stream's start
}

// s2ChunkOf returns the chunk that b begins with.
func s2ChunkOf(b []byte) (s2Chunk, error) {
	if bytes.HasPrefix(b, []byte(s2Start)) {
		return s2Chunk{kind: b[0], length: len(s2Start)}, nil
	}
	if len(b) < 8 || b[0] != s2Compressed && b[0] != s2Plain {
		return s2Chunk{}, errors.New("there is no chunk of lines")
	}
	c := s2Chunk{kind: b[0], length: 4 + int(b[1]) + int(b[2])<<8 + int(b[3])<<16, sum: binary.LittleEndian.Uint32(b[4:])}
	if c.length < 8 || c.length > len(b) {
		return s2Chunk{}, errors.New("a chunk does not end")
	}
	c.block = b[8:c.length]
	c.size = len(c.block)
	if c.kind == s2Compressed {
		size, err := s2.DecodedLen(c.block)
		if err != nil || size > s2Block {
			return s2Chunk{}, errors.New("a chunk is of no size that we write")
		}
		c.size = size
	}
	return c, nil
}

// decode writes the chunk's lines to dst, which has their size.
func (c s2Chunk) decode(dst []byte) ([]byte, error) {
	if c.kind != s2Compressed {
		copy(dst, c.block)
		return dst, nil
	}
	return s2.Decode(dst, c.block)
}
