package s3

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"arbalest"
)

// Create implements blob.Store. If its reply was lost, and the object was
// deleted before it was sent again, it is written a second time: a lake's
// segment that was sorted meanwhile is then a repeat, which loading leaves out.
func (s *Store) Create(ctx context.Context, key arbalest.Key, r io.ReadSeeker) error {
	full, err := s.ready(ctx, key)
	if err != nil {
		return fmt.Errorf("create object: %w", err)
	}
	token := rand.Text()
	for attempt := 0; ; attempt++ {
		again, err := s.create(ctx, full, r, token)
		if err == nil {
			return nil
		}
		if again && attempt+1 < s.opts.Attempts {
			if err = wait(ctx, pause(attempt, s.opts.MaxBackoff)); err == nil {
				continue
			}
		}
		if !errors.Is(err, arbalest.ErrExists) {
			err = s.explain(ctx, err)
		}
		return fmt.Errorf("create %s: %w", key, err)
	}
}

// create tries once; again says that it met another and may be tried again. Its
// errors are putObject's, or arbalest.ErrExists.
func (s *Store) create(ctx context.Context, full string, r io.ReadSeeker, token string) (again bool, err error) {
	body, size, err := newBody(r)
	if err != nil {
		return false, err
	}
	if size > s.opts.SingleBytes {
		err = s.createParts(ctx, full, body, size, token)
	} else {
		err = s.putObject(ctx, full, body, size, token)
	}
	switch {
	case code(err) == "ConditionalRequestConflict":
		return true, err
	case status(err) != http.StatusPreconditionFailed:
		return false, err
	}
	switch there, ours, lookErr := s.whose(ctx, full, token); {
	case lookErr != nil:
		return false, lookErr
	case !there: // any more
		return true, err
	case !ours:
		return false, arbalest.ErrExists
	}
	return false, nil
}

// whose says whether there is an object, and whether the write with the token
// made it.
func (s *Store) whose(ctx context.Context, full, token string) (there, ours bool, err error) {
	out, err := s.client.HeadObject(ctx, &sdk.HeadObjectInput{Bucket: &s.bucket, Key: &full})
	switch {
	case status(err) == http.StatusNotFound:
		return false, false, nil
	case err != nil:
		return false, false, err
	}
	return true, out.Metadata[mark] == token, nil
}
