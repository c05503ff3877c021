package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"arbalest"
)

// maxParts is how many parts an upload may have.
const maxParts = 10_000

// putParts writes an object in parts, in place of one that may be there.
func (s *Store) putParts(ctx context.Context, full string, body body, size int64) error {
	return s.upload(ctx, &sdk.CompleteMultipartUploadInput{Bucket: &s.bucket, Key: &full}, body, size, rand.Text())
}

// createParts writes an object in parts if there is none. It looks before it
// sends anything: that is cheaper than to be refused at the end, and all that
// helps on servers that do not honour the condition there.
func (s *Store) createParts(ctx context.Context, full string, body body, size int64, token string) error {
	switch there, ours, err := s.whose(ctx, full, token); {
	case err != nil:
		return err
	case there && ours:
		return nil
	case there:
		return arbalest.ErrExists
	}
	return s.upload(ctx, &sdk.CompleteMultipartUploadInput{Bucket: &s.bucket, Key: &full, IfNoneMatch: aws.String("*")}, body, size, token)
}

// upload writes an object in parts, marked with the token. The commit point is
// the server's answer to the completion; what is not completed is aborted.
func (s *Store) upload(ctx context.Context, done *sdk.CompleteMultipartUploadInput, body body, size int64, token string) error {
	begun, err := s.client.CreateMultipartUpload(ctx, &sdk.CreateMultipartUploadInput{
		Bucket: done.Bucket, Key: done.Key, Metadata: map[string]string{mark: token},
	})
	if err != nil {
		return err
	}
	done.UploadId = begun.UploadId
	parts, err := s.sendParts(ctx, done, body, size)
	if err == nil {
		done.MultipartUpload = &types.CompletedMultipartUpload{Parts: parts}
		if _, err = s.client.CompleteMultipartUpload(ctx, done); err == nil {
			return nil
		}
		if status(err) == http.StatusNotFound { // the upload: a first reply was lost
			if _, ours, lookErr := s.whose(ctx, *done.Key, token); lookErr == nil && ours {
				return nil
			}
		}
	}
	s.abort(ctx, done)
	return err
}

// abort frees the parts of an upload, which cost money until then, also if the
// caller has gone. A part that was in flight may arrive after it: so that it is
// done until the server knows nothing of the upload. What is left of a process
// that died is for a lifecycle rule, AbortIncompleteMultipartUpload.
func (s *Store) abort(ctx context.Context, upload *sdk.CompleteMultipartUploadInput) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	for attempt := range 5 {
		_, err := s.client.AbortMultipartUpload(ctx, &sdk.AbortMultipartUploadInput{Bucket: upload.Bucket, Key: upload.Key, UploadId: upload.UploadId})
		if err != nil && attempt > 0 || wait(ctx, firstPause<<attempt) != nil {
			return
		}
	}
}

// sendParts sends a body's parts, some at once, each from memory.
func (s *Store) sendParts(ctx context.Context, to *sdk.CompleteMultipartUploadInput, body body, size int64) ([]types.CompletedPart, error) {
	partBytes := max(s.opts.PartBytes, (size+maxParts-1)/maxParts)
	n := int((size + partBytes - 1) / partBytes)
	parts := make([]types.CompletedPart, n)
	buffers := make(chan []byte, s.opts.Parallel)
	for range s.opts.Parallel {
		buffers <- nil
	}
	g, ctx := errgroup.WithContext(ctx)
	for i := range n {
		buffer := <-buffers
		if ctx.Err() != nil {
			g.Go(ctx.Err) // the first error stays the first
			break
		}
		if buffer == nil {
			buffer = make([]byte, partBytes)
		}
		part := buffer[:min(partBytes, size-int64(i)*partBytes)]
		if _, err := io.ReadFull(body, part); err != nil {
			g.Go(func() error { return bodyError{err} })
			break
		}
		g.Go(func() error {
			defer func() { buffers <- buffer }()
			number := int32(i + 1)
			out, err := s.client.UploadPart(ctx, &sdk.UploadPartInput{
				Bucket: to.Bucket, Key: to.Key, UploadId: to.UploadId, PartNumber: &number, Body: bytes.NewReader(part),
			})
			if err == nil {
				parts[i] = types.CompletedPart{PartNumber: &number, ETag: out.ETag}
			}
			return err
		})
	}
	return parts, g.Wait()
}
