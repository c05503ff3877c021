package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"arbalest"
	"arbalest/internal/blob"
)

// maxSize is more than an object can have, in bytes, and far from overflowing.
const maxSize = 1 << 60

// A version is what an object was when it was first asked for.
type version struct {
	full string // its key in the bucket
	etag string // "" to ask for whichever is there
}

// Get implements blob.Store. It asks for the first RangeBytes; if there are more
// to read, some ranges are in flight while the caller reads the ones before. A
// reader whose connection breaks goes on with another one, and fails with
// arbalest.ErrUnavailable if the object is no longer the same.
func (s *Store) Get(ctx context.Context, key arbalest.Key, offset, length int64) (io.ReadCloser, error) {
	full, err := s.ready(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("get object: %w", err)
	}
	r, err := s.get(ctx, full, offset, length)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	return r, nil
}

func (s *Store) get(ctx context.Context, full string, offset, length int64) (io.ReadCloser, error) {
	if offset < 0 || length < blob.Whole {
		return nil, outside(offset, length)
	}
	if length == 0 || offset > maxSize {
		return s.nothing(ctx, full, offset, length)
	}
	if length == blob.Whole || length > maxSize {
		length = maxSize
	}
	end := offset + length
	first := min(end, offset+s.opts.RangeBytes)
	v := version{full: full}
	body, size, err := s.fetch(ctx, &v, offset, first)
	if status(err) == http.StatusRequestedRangeNotSatisfiable {
		return s.nothing(ctx, full, offset, length)
	}
	if err != nil {
		return nil, s.explain(ctx, err)
	}
	end, first = min(end, size), min(first, size)
	r := &reader{ctx: ctx, store: s, version: v, body: body, at: offset, end: first}
	if first == end {
		return r, nil
	}
	return newWindow(r, end), nil
}

// fetch asks for the bytes of a version from one place to before another. It
// returns the object's size too, and fills in the version's ETag. Its errors
// are the SDK's, or gone.
func (s *Store) fetch(ctx context.Context, v *version, from, to int64) (io.ReadCloser, int64, error) {
	in := &sdk.GetObjectInput{Bucket: &s.bucket, Key: &v.full}
	span := "bytes=" + strconv.FormatInt(from, 10) + "-" + strconv.FormatInt(to-1, 10)
	in.Range = &span
	if v.etag != "" {
		in.IfMatch = &v.etag
	}
	out, err := s.client.GetObject(ctx, in)
	if err != nil {
		return nil, 0, err
	}
	size, err := sizeOf(out, from)
	if err != nil {
		out.Body.Close()
		return nil, 0, err
	}
	switch {
	case out.ETag == nil:
	case v.etag == "":
		v.etag = *out.ETag
	case v.etag != *out.ETag: // on a server that does not look at If-Match (gofakes3)
		out.Body.Close()
		return nil, 0, gone{errors.New("the ETag is another")}
	}
	return out.Body, size, nil
}

// sizeOf returns an object's size from the answer to a request for a range of it.
func sizeOf(out *sdk.GetObjectOutput, from int64) (int64, error) {
	if out.ContentRange == nil { // all of it
		if out.ContentLength == nil || from != 0 {
			return 0, fmt.Errorf("%w: the server does not answer requests for a range", arbalest.ErrInvalid)
		}
		return *out.ContentLength, nil
	}
	span, total, _ := strings.Cut(*out.ContentRange, "/")
	size, err := strconv.ParseInt(total, 10, 64)
	if err != nil || !strings.HasPrefix(span, "bytes "+strconv.FormatInt(from, 10)+"-") {
		return 0, fmt.Errorf("%w: asked for a range from %d on, the server answers %q", arbalest.ErrInvalid, from, *out.ContentRange)
	}
	return size, nil
}

// nothing answers a Get of no bytes: of length 0, or from the object's end on.
// S3 has no such ranges.
func (s *Store) nothing(ctx context.Context, full string, offset, length int64) (io.ReadCloser, error) {
	out, err := s.client.HeadObject(ctx, &sdk.HeadObjectInput{Bucket: &s.bucket, Key: &full})
	switch {
	case err != nil:
		return nil, s.explain(ctx, err)
	case out.ContentLength == nil || offset > *out.ContentLength:
		return nil, outside(offset, length)
	case length != 0 && offset < *out.ContentLength: // it was written since
		return s.get(ctx, full, offset, length)
	}
	return io.NopCloser(bytes.NewReader(nil)), nil
}

func outside(offset, length int64) error {
	return fmt.Errorf("%w: range %d+%d is outside the object", arbalest.ErrInvalid, offset, length)
}
