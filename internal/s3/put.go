package s3

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"arbalest"
)

// mark is the name of the user metadata in which a write has its token.
const mark = "arbalest-write"

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, key arbalest.Key, r io.ReadSeeker) error {
	full, err := s.ready(ctx, key)
	if err != nil {
		return fmt.Errorf("put object: %w", err)
	}
	body, size, err := newBody(r)
	if err == nil {
		if size > s.opts.SingleBytes {
			err = s.putParts(ctx, full, body, size)
		} else {
			err = s.putObject(ctx, full, body, size, "")
		}
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", key, s.explain(ctx, err))
	}
	return nil
}

// putObject writes an object with one request. Unless the token is "", it does
// so only if there is none, and marks it. Its errors are the SDK's, or errNotKept.
func (s *Store) putObject(ctx context.Context, full string, body body, size int64, token string) error {
	in := &sdk.PutObjectInput{Bucket: &s.bucket, Key: &full, Body: body, ContentLength: &size}
	if token != "" {
		in.IfNoneMatch = aws.String("*")
		in.Metadata = map[string]string{mark: token}
	}
	for attempt := 0; ; attempt++ {
		out, err := s.client.PutObject(ctx, in)
		if err != nil || !fromVersitygw(out.ResultMetadata) {
			return err
		}
		switch there, ours, err := s.whose(ctx, full, token); {
		case err != nil || there && (ours || token == ""):
			return err
		case attempt+1 >= s.opts.Attempts:
			return errNotKept
		}
		if err := wait(ctx, pause(attempt, s.opts.MaxBackoff)); err != nil {
			return err
		}
		if _, err := body.Seek(0, io.SeekStart); err != nil {
			return bodyError{err}
		}
	}
}

// errNotKept is that of a server which takes an object and does not have it.
var errNotKept = errors.New("the server answered 200, and has not the object")

// fromVersitygw says whether that server answered. While others empty and fill a
// folder, the one for file systems may answer 200 to PutObject and have written
// nothing (1.8.0: a parent that appears and is gone again is taken for the object),
// so that there a write is looked at. What Put finds there may be another's, which
// came after it: while an object stays, so does its folder.
func fromVersitygw(answer middleware.Metadata) bool {
	raw, ok := awsmiddleware.GetRawResponse(answer).(*smithyhttp.Response)
	return ok && raw.Header.Get("Server") == "VERSITYGW"
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, key arbalest.Key) error {
	full, err := s.ready(ctx, key)
	if err != nil {
		return fmt.Errorf("delete object: %w", err)
	}
	if _, err := s.client.DeleteObject(ctx, s.deletion(full)); err != nil {
		if err = s.explain(ctx, err); err != arbalest.ErrUnknown {
			return fmt.Errorf("delete %s: %w", key, err)
		}
	}
	return nil
}

func (s *Store) deletion(full string) *sdk.DeleteObjectInput {
	return &sdk.DeleteObjectInput{Bucket: &s.bucket, Key: &full}
}
