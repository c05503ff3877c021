package warehouse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"arbalest"
	"arbalest/internal/decode"
)

const (
	// maxDocument is how large a document may be, in bytes. It is COPY's limit
	// (Redshift Database Developer Guide, "COPY from JSON format").
	maxDocument = 4 << 20
	// maxDepth is how deep arrays and objects of a document may be within each
	// other.
	maxDepth = 1000
)

// Codec says by a key's suffix how an object is compressed: "gzip", "zstd", or
// "" if it is not.
func Codec(key arbalest.Key) string {
	switch path.Ext(string(key)) {
	case ".gz", ".gzip":
		return "gzip"
	case ".zst", ".zstd":
		return "zstd"
	}
	return ""
}

// uncompressed reads what an object holds. The error wraps arbalest.ErrCorrupt
// if its bytes are not what its codec makes; a half of an object is no object.
// The caller closes it.
func uncompressed(key arbalest.Key, r io.Reader) (io.ReadCloser, error) {
	u := &uncompressor{from: r}
	var err error
	switch Codec(key) {
	case "gzip":
		u.ReadCloser, err = gzip.NewReader((*source)(u))
	case "zstd":
		var d *zstd.Decoder
		if d, err = zstd.NewReader((*source)(u), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20)); err == nil {
			u.ReadCloser = d.IOReadCloser()
		}
	default:
		return io.NopCloser(r), nil
	}
	if err != nil {
		return nil, u.blame(err)
	}
	return u, nil
}

// An uncompressor tells errors of the store from those of the bytes.
type uncompressor struct {
	io.ReadCloser
	from   io.Reader
	failed error // of from
}

// Read reads what was compressed.
func (u *uncompressor) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = u.blame(err)
	}
	return n, err
}

func (u *uncompressor) blame(err error) error {
	if u.failed != nil {
		return u.failed
	}
	return fmt.Errorf("%w: cannot be uncompressed: %s", arbalest.ErrCorrupt, err)
}

// A source is what an uncompressor reads from.
type source uncompressor

// Read reads from the store.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.failed = err
	}
	return n, err
}

// A splitter finds the documents of an object: JSON values with white space, or
// nothing, between them. It holds one document at a time, and what is read ahead
// of it.
type splitter struct {
	src     io.Reader
	scan    decode.Scanner
	buf     []byte
	at      int // in buf, of the next document
	line    int64
	ended   bool
	compact []byte
}

// reset begins an object. The buffer is used again.
func (s *splitter) reset(src io.Reader) {
	*s = splitter{src: src, buf: s.buf[:0], line: 1, compact: s.compact}
}

// A badDocument is text of an object that is not a document.
type badDocument struct {
	text   []byte
	reason string
}

// next returns a document without line breaks, and the line that it begins at,
// from 1. It is good until the next call. The error is io.EOF after the last
// one, or the reader's own. bad is not nil where there is no document: what
// follows begins on another line.
func (s *splitter) next() (doc []byte, line int64, bad *badDocument, err error) {
	if err := s.space(); err != nil {
		return nil, 0, nil, err
	}
	line = s.line
	end, _, scanErr := s.scan.Scan(s.buf, s.at, maxDepth)
	// A document that seems broken may only be cut off.
	for scanErr != nil && !s.ended && len(s.buf)-s.at <= maxDocument {
		if err := s.fill(); err != nil {
			return nil, 0, nil, err
		}
		end, _, scanErr = s.scan.Scan(s.buf, s.at, maxDepth)
	}
	// A number or a word may go on where the buffer ends.
	for scanErr == nil && end == len(s.buf) && !s.ended && s.buf[s.at] != '{' {
		if err := s.fill(); err != nil {
			return nil, 0, nil, err
		}
		end, _, scanErr = s.scan.Scan(s.buf, s.at, maxDepth)
	}
	if scanErr != nil {
		bad, err := s.skip(scanErr)
		return nil, line, bad, err
	}
	doc = s.buf[s.at:end]
	s.at = end
	if n := bytes.Count(doc, []byte{'\n'}); n > 0 {
		s.line += int64(n)
		s.compact = decode.Compact(s.compact[:0], doc)
		doc = s.compact
	}
	if len(doc) > maxDocument {
		return nil, line, &badDocument{doc, fmt.Sprintf("the document has %d bytes: at most %d can be loaded", len(doc), maxDocument)}, nil
	}
	return doc, line, nil, nil
}

// space skips white space.
func (s *splitter) space() error {
	for {
		for ; s.at < len(s.buf); s.at++ {
			switch s.buf[s.at] {
			case '\n':
				s.line++
			case ' ', '\t', '\r':
			default:
				return nil
			}
		}
		if s.ended {
			return io.EOF
		}
		if err := s.fill(); err != nil {
			return err
		}
	}
}

// skip goes to the next line.
func (s *splitter) skip(why error) (*badDocument, error) {
	bad := &badDocument{reason: why.Error()}
	var syntax *decode.SyntaxError
	if errors.As(why, &syntax) {
		bad.reason = "not JSON: " + syntax.Reason
	}
	for {
		end := bytes.IndexByte(s.buf[s.at:], '\n')
		if end < 0 {
			end = len(s.buf) - s.at
		}
		if bad.text == nil {
			bad.text = bytes.Clone(s.buf[s.at : s.at+min(end, 1024)])
		}
		s.at += end
		if s.at < len(s.buf) || s.ended {
			return bad, nil
		}
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads more. Documents that are done make room for it.
func (s *splitter) fill() error {
	const step = 256 << 10
	if s.at > 0 {
		s.buf = s.buf[:copy(s.buf, s.buf[s.at:])]
		s.at = 0
	}
	if cap(s.buf)-len(s.buf) < step {
		s.buf = append(make([]byte, 0, 2*cap(s.buf)+step), s.buf...)
	}
	for end := len(s.buf) + step; len(s.buf) < end; {
		n, err := s.src.Read(s.buf[len(s.buf):end])
		s.buf = s.buf[:len(s.buf)+n]
		if err == io.EOF { // an error that wraps it is not the end
			s.ended = true
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
