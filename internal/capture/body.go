package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"arbalest"
)

// errEncoding is an unsupported Content-Encoding: 415.
var errEncoding = errors.New("unsupported Content-Encoding")

// errBody is a body that could not be read to its end: the client's connection
// broke, or it was too slow. Nobody is likely to hear the answer.
var errBody = errors.New("the body could not be read")

// maxEncodings is how many encodings may be applied one after another.
const maxEncodings = 3

// readBody reads a body into in.raw, and decodes it into in.plain where it is
// encoded. It returns the decoded body. A fault is of the body as a whole, and
// the returned bytes are then those to keep.
//
// The error wraps arbalest.ErrBusy, arbalest.ErrTooLarge or errBody.
func (h *Handler) readBody(in *intake, src io.Reader, length int64, encodings []string) ([]byte, *fault, error) {
	in.raw = h.buffers.get(0)
	over, err := in.fill(in.raw, src, length)
	switch {
	case isBudget(err):
		return nil, nil, err
	case err != nil:
		return nil, nil, fmt.Errorf("%w: %w", errBody, err)
	}
	h.metrics.bytes.Add(float64(len(in.raw.b)))
	if over {
		return in.raw.b, &fault{code: BodyTooLarge, truncated: true,
			reason: fmt.Sprintf("the body is larger than %d bytes: send fewer events in a request; its beginning is kept", h.opts.MaxBody)}, nil
	}
	return h.decodeBody(in, encodings)
}

// decodeBody is readBody after the reading.
func (h *Handler) decodeBody(in *intake, encodings []string) ([]byte, *fault, error) {
	body := in.raw.b
	for i := len(encodings) - 1; i >= 0; i-- {
		to, from := &in.plain[i&1], &in.plain[1-i&1]
		*to = h.buffers.get(0)
		over, err := h.decode(in, *to, body, encodings[i])
		h.buffers.put(*from)
		*from = nil
		switch {
		case errors.Is(err, arbalest.ErrBusy):
			return nil, nil, err
		case over, errors.Is(err, arbalest.ErrTooLarge):
			return in.raw.b, faultf(BodyTooLarge, "the body is larger than %d bytes when it is decoded: send fewer events in a request; it is kept as it came, in %s", h.opts.MaxBody, strings.Join(encodings, ", ")), nil
		case err != nil:
			return in.raw.b, faultf(BadEncoding, "the body is not whole %s: %v: send it again, whole; it is kept as it came", encodings[i], err), nil
		}
		body = (*to).b
	}
	in.shrink(in.holds())
	return body, nil, nil
}

// isBudget says whether err is a reservation's.
func isBudget(err error) bool {
	return errors.Is(err, arbalest.ErrBusy) || errors.Is(err, arbalest.ErrTooLarge)
}

// contentEncodings returns the encodings of a body in the order in which they
// were applied. Names are compared without case (RFC 9110, section 8.4.1).
func contentEncodings(header http.Header) (names []string, err error) {
	for _, line := range header["Content-Encoding"] {
		for name := range strings.SplitSeq(line, ",") {
			switch name = strings.ToLower(strings.TrimSpace(name)); name {
			case "", "identity":
			case "gzip", "x-gzip":
				names = append(names, "gzip")
			case "zstd":
				names = append(names, name)
			default:
				return nil, fmt.Errorf("%w %.40q: use gzip, zstd or identity", errEncoding, name)
			}
		}
	}
	if len(names) > maxEncodings {
		return nil, fmt.Errorf("%w: at most %d may be applied one after another", errEncoding, maxEncodings)
	}
	return names, nil
}

// The least room that fill reads into, and the most that it takes before any
// of it has come.
const (
	firstRead = 4 << 10
	trustRead = 64 << 10
)

// fill reads src to its end into b, growing the reservation before the buffer.
// length is the expected one, or negative. Room is taken as bytes come, not as
// they are announced, so that a slow client holds no more than twice what it
// sent. over says that src has more bytes than a body may have; b then has as
// many as a body may have.
func (in *intake) fill(b *buffer, src io.Reader, length int64) (over bool, err error) {
	limit := in.opts.MaxBody
	room := firstRead
	if length >= 0 {
		room = int(min(length, trustRead)) + 1
	}
	for {
		room = min(room, limit+1)
		if err := in.grow(b, room); err != nil {
			return false, err
		}
		for len(b.b) < room {
			n, err := src.Read(b.b[len(b.b):room])
			b.b = b.b[:len(b.b)+n]
			if err == io.EOF {
				return len(b.b) > limit, nil
			}
			if err != nil {
				return false, err
			}
		}
		if len(b.b) > limit {
			b.b = b.b[:limit]
			return true, nil
		}
		if room *= 2; length >= 0 && len(b.b) <= int(length) { // no more than was announced, for as long as that is true
			room = min(room, int(length)+1)
		}
	}
}

// grow makes room for n bytes in b, beside all that the intake holds, which
// may be b's bytes in their old place.
func (in *intake) grow(b *buffer, n int) error {
	if err := in.cover(in.holds() + n); err != nil {
		return err
	}
	if cap(b.b) < n {
		b.b = append(make([]byte, 0, n), b.b...)
	}
	return nil
}

// decode decodes one encoding of src into dst. over says that there is more
// than a body may have.
func (h *Handler) decode(in *intake, dst *buffer, src []byte, encoding string) (over bool, err error) {
	if encoding == "zstd" {
		return h.decodeZstd(in, dst, src)
	}
	return h.decodeGzip(in, dst, src)
}

// gzipState is about what a gzip reader holds: its window and its tables.
const gzipState = 64 << 10

func (h *Handler) decodeGzip(in *intake, dst *buffer, src []byte) (over bool, err error) {
	if err := in.cover(in.holds() + gzipState); err != nil {
		return false, err
	}
	z, ok := h.gzips.Get().(*gzip.Reader)
	if !ok {
		z = new(gzip.Reader)
	}
	defer h.gzips.Put(z)
	if err := z.Reset(bytes.NewReader(src)); err != nil {
		return false, notEOF(err)
	}
	over, err = in.fill(dst, z, int64(4*len(src)))
	return over, notEOF(err)
}

// zstdState is about what a zstd decoder holds beside its window.
const zstdState = 256 << 10

// zstdWindow is the largest window that a decoder should support (RFC 8878,
// section 3.1.1.1.2). A frame of one segment has a window of its whole size.
const zstdWindow = 8 << 20

// decodeZstd reserves the window that the first frame asks for. Should a later
// frame ask for more, it begins again with the largest.
func (h *Handler) decodeZstd(in *intake, dst *buffer, src []byte) (over bool, err error) {
	largest := uint64(max(zstdWindow, h.opts.MaxBody))
	window, size := firstFrame(src)
	if size > uint64(h.opts.MaxBody) {
		return true, nil
	}
	for window = min(window, largest); ; {
		if err := in.cover(in.holds() + zstdState + int(window)); err != nil {
			return false, err
		}
		over, err := h.decodeFrames(in, dst, src, window)
		if errors.Is(err, zstd.ErrWindowSizeExceeded) && window < largest {
			window, dst.b = largest, dst.b[:0]
			continue
		}
		return over, notEOF(err)
	}
}

// firstFrame returns the window of the first frame and the size of its content,
// in bytes, or small ones where they cannot be told.
func firstFrame(src []byte) (window, size uint64) {
	var z zstd.Header
	if z.Decode(src) != nil || z.Skippable {
		return zstd.MinWindowSize, 0
	}
	return max(z.WindowSize, z.FrameContentSize, zstd.MinWindowSize), z.FrameContentSize
}

func (h *Handler) decodeFrames(in *intake, dst *buffer, src []byte, window uint64) (over bool, err error) {
	z, ok := h.zstds.Get().(*zstd.Decoder)
	if !ok {
		if z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeBuffersBelow(0)); err != nil {
			return false, err
		}
	}
	if window <= maxPooled { // a larger one would be held for nothing
		defer h.zstds.Put(z)
	}
	if err := z.ResetWithOptions(bytes.NewReader(src), zstd.WithDecoderMaxWindow(window)); err != nil {
		return false, err
	}
	return in.fill(dst, z, int64(4*len(src)))
}

// notEOF names the end of input for what it is here.
func notEOF(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it ends too early")
	}
	return err
}
