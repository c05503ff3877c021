package s3

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

// conflicts are the codes of 409 for a request that met another, and can be made
// again. (S3's ConditionalRequestConflict is Create's own business: a completion
// that gets it begins anew.)
var conflicts = map[string]struct{}{
	"OperationAborted": {},
	// versitygw says so too while others delete the last object in a folder.
	isDirectory: {},
}

const isDirectory = "ExistingObjectIsDirectory"

// newRetryer returns what repeats requests: after 5xx, SlowDown and its like, 429,
// broken connections, cut replies and conflicts. The SDK's own limit of retries,
// which all requests share, is off: where hundreds are told to slow down, it
// would fail most of them.
func newRetryer(opts Options) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = opts.Attempts
		o.RateLimiter = ratelimit.None
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
			return pause(attempt, opts.MaxBackoff), nil
		})
		o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			var ours bodyError
			switch {
			case errors.As(err, &ours): // the caller's body will break again
				return aws.FalseTernary
			case errors.Is(err, io.ErrUnexpectedEOF):
				return aws.TrueTernary
			}
			return aws.UnknownTernary
		})}, append(o.Retryables,
			retry.RetryableErrorCode{Codes: conflicts},
			retry.RetryableHTTPStatusCode{Codes: map[int]struct{}{http.StatusTooManyRequests: {}}},
		)...)
	})
}

// firstPause is the longest pause after a first failure.
const firstPause = 100 * time.Millisecond

// pause returns how long to wait after the attempt of that number, from 0:
// random, so that those who failed together do not come back together.
func pause(attempt int, most time.Duration) time.Duration {
	limit := most
	if attempt < 16 {
		limit = min(most, firstPause<<attempt)
	}
	return rand.N(limit + 1)
}

// wait waits that long, or for the context's end, whose error it returns.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A bodyError is that of a caller's body, not of S3.
type bodyError struct{ error }

func (e bodyError) Unwrap() error { return e.error }

// A body marks the errors of a caller's body.
type body struct{ io.ReadSeeker }

// newBody returns a caller's body at its start, and its size in bytes.
func newBody(r io.ReadSeeker) (body, int64, error) {
	size, err := r.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = r.Seek(0, io.SeekStart)
	}
	if err != nil {
		return body{}, 0, bodyError{err}
	}
	return body{r}, size, nil
}

func (b body) Read(p []byte) (int, error) {
	n, err := b.ReadSeeker.Read(p)
	if err != nil && err != io.EOF {
		err = bodyError{err}
	}
	return n, err
}
