package s3

import (
	"context"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

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
// so only if there is none, and marks it. Its errors are the SDK's.
func (s *Store) putObject(ctx context.Context, full string, body body, size int64, token string) error {
	in := &sdk.PutObjectInput{Bucket: &s.bucket, Key: &full, Body: body, ContentLength: &size}
	if token != "" {
		in.IfNoneMatch = aws.String("*")
		in.Metadata = map[string]string{mark: token}
	}
	_, err := s.client.PutObject(ctx, in)
	return err
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
