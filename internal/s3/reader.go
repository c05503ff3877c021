package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"arbalest"
)

// A reader reads a range of a version of an object, over as many connections as
// break.
type reader struct {
	ctx      context.Context // of the Get
	store    *Store
	version  version
	body     io.ReadCloser // nil while there is none
	at, end  int64
	failures int // since the last byte
}

func (r *reader) Read(p []byte) (int, error) {
	if r.at >= r.end {
		return 0, io.EOF
	}
	for len(p) > 0 {
		err := r.ctx.Err()
		if err != nil {
			return 0, r.fail(err)
		}
		if r.body == nil {
			err = r.reopen()
		}
		if err == nil {
			var n int
			n, err = r.body.Read(p[:min(int64(len(p)), r.end-r.at)])
			if r.at += int64(n); n > 0 {
				r.failures = 0
				return n, nil // an error is there again at the next Read
			}
		}
		if err == nil {
			continue
		}
		if err := r.cut(err); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// reopen asks for the rest. An error that is worth no other try is the final
// one, in a gone.
func (r *reader) reopen() error {
	body, _, err := r.store.fetch(r.ctx, &r.version, r.at, r.end)
	switch status(err) {
	case http.StatusPreconditionFailed, http.StatusNotFound, http.StatusRequestedRangeNotSatisfiable:
		return gone{err}
	}
	if err != nil {
		return err
	}
	r.body = body
	return nil
}

// A gone error says that the version is not there any more.
type gone struct{ error }

// cut takes leave of a connection that broke, and waits before the next. It
// returns the error if there is to be none.
func (r *reader) cut(err error) error {
	if r.body != nil {
		r.body.Close()
		r.body = nil
	}
	var away gone
	if errors.As(err, &away) {
		return r.fail(fmt.Errorf("%w: it was overwritten or deleted while it was read", arbalest.ErrUnavailable))
	}
	// Without an ETag the rest could be another version's. What was frozen meanwhile
	// stays so for hours.
	if r.failures++; isCold(err) || r.failures >= r.store.opts.Attempts || r.version.etag == "" {
		return r.fail(r.store.explain(r.ctx, err))
	}
	if err := wait(r.ctx, pause(r.failures-1, r.store.opts.MaxBackoff)); err != nil {
		return r.fail(err)
	}
	return nil
}

func (r *reader) fail(err error) error {
	return fmt.Errorf("read %s at %d: %w", r.version.full, r.at, err)
}

// drain is how many bytes Close reads rather than lose a connection.
const drain = 32 << 10

// Close ends the request. A connection that has little left to say is kept.
func (r *reader) Close() error {
	if r.body == nil {
		return nil
	}
	if left := r.end - r.at; left > 0 && left <= drain {
		_, _ = io.CopyN(io.Discard, r.body, left)
	}
	err := r.body.Close()
	r.body = nil
	r.at = r.end
	return err
}
