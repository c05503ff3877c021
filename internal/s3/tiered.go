package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"arbalest"
	"arbalest/internal/blob"
)

var _ blob.Tiered = (*Store)(nil)

// Describe implements blob.Tiered. What S3 moved to an archive tier of
// INTELLIGENT_TIERING is frozen too.
func (s *Store) Describe(ctx context.Context, key arbalest.Key) (blob.State, error) {
	full, err := s.ready(ctx, key)
	if err != nil {
		return blob.State{}, fmt.Errorf("describe object: %w", err)
	}
	state, _, err := s.describe(ctx, key, full)
	if err != nil {
		return blob.State{}, fmt.Errorf("describe %s: %w", key, err)
	}
	return state, nil
}

func (s *Store) describe(ctx context.Context, key arbalest.Key, full string) (blob.State, *sdk.HeadObjectOutput, error) {
	head, err := s.client.HeadObject(ctx, &sdk.HeadObjectInput{Bucket: &s.bucket, Key: &full})
	if err != nil {
		return blob.State{}, nil, s.explain(ctx, err)
	}
	state := blob.State{Info: blob.Info{Key: key, Size: aws.ToInt64(head.ContentLength)}, Class: blob.Class(head.StorageClass)}
	if state.Class == "" { // S3 names all but this one
		state.Class = blob.Standard
	}
	ongoing, until, err := parseRestore(aws.ToString(head.Restore))
	if err != nil {
		return state, nil, err
	}
	state.Until = until
	state.Frozen = until.IsZero() && (state.Class.Freezes() || head.ArchiveStatus != "")
	state.Thawing = state.Frozen && ongoing
	return state, head, nil
}

// parseRestore reads x-amz-restore, as
//
//	ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"
//
// Without a date nothing was restored yet, or never.
func parseRestore(header string) (ongoing bool, until time.Time, err error) {
	ongoing = strings.Contains(header, `ongoing-request="true"`)
	if _, date, ok := strings.Cut(header, `expiry-date="`); ok {
		date, _, _ = strings.Cut(date, `"`)
		if until, err = http.ParseTime(date); err != nil {
			return false, until, fmt.Errorf("%w: the server answers x-amz-restore %q", arbalest.ErrInvalid, header)
		}
	}
	return ongoing, until, nil
}

// Freeze implements blob.Tiered. It copies an object onto itself, on the condition
// that it is the one that was described, and then asks what became of it: a copy
// whose reply was lost is found so, and a server that takes the class and does not
// keep it. Metadata, tags and encryption stay; the ETag may be another.
//
// In a bucket with versions the one before stays where it was, and costs what it
// did: give the bucket a rule that removes noncurrent versions.
func (s *Store) Freeze(ctx context.Context, key arbalest.Key, to blob.Class) error {
	full, err := s.ready(ctx, key)
	if err != nil {
		return fmt.Errorf("freeze object: %w", err)
	}
	if err := s.freeze(ctx, key, full, to); err != nil {
		return fmt.Errorf("freeze %s: %w", key, err)
	}
	return nil
}

func (s *Store) freeze(ctx context.Context, key arbalest.Key, full string, to blob.Class) error {
	state, head, err := s.describe(ctx, key, full)
	switch {
	case err != nil:
		return err
	case state.Class == to:
		return nil
	}
	if err := state.ReadyToFreeze(to); err != nil {
		return err
	}
	if state.Frozen {
		return blob.Cold()
	}
	if state.Size > s.opts.CopyBytes {
		err = s.copyParts(ctx, full, head, to)
	} else {
		err = s.copyWhole(ctx, full, head, to)
	}
	after, _, lookErr := s.describe(ctx, key, full)
	switch {
	case lookErr != nil:
		return errors.Join(s.explain(ctx, err), lookErr)
	case after.Class == to && after.Size == state.Size:
		return nil
	case err == nil:
		return fmt.Errorf("%w: it is in %s after it was copied to %s: %s has no such class, or it was written meanwhile", arbalest.ErrInvalid, after.Class, to, s.server())
	case status(err) == http.StatusPreconditionFailed:
		return fmt.Errorf("%w: it was overwritten meanwhile: retry", arbalest.ErrUnavailable)
	}
	return s.explain(ctx, err)
}

// copyWhole moves an object to a class with one request. Its errors are the SDK's.
func (s *Store) copyWhole(ctx context.Context, full string, head *sdk.HeadObjectOutput, to blob.Class) error {
	_, err := s.client.CopyObject(ctx, &sdk.CopyObjectInput{
		Bucket: &s.bucket, Key: &full, CopySource: s.copySource(full), StorageClass: types.StorageClass(to),
		CopySourceIfMatch: head.ETag, IfMatch: head.ETag,
		ServerSideEncryption: head.ServerSideEncryption, SSEKMSKeyId: head.SSEKMSKeyId, BucketKeyEnabled: head.BucketKeyEnabled,
	})
	return err
}

// copyParts moves an object to a class in parts. The commit point is the server's
// answer to the completion; what is not completed is aborted. Tags are lost, of
// which this program makes none. Its errors are the SDK's.
func (s *Store) copyParts(ctx context.Context, full string, head *sdk.HeadObjectOutput, to blob.Class) error {
	begun, err := s.client.CreateMultipartUpload(ctx, &sdk.CreateMultipartUploadInput{
		Bucket: &s.bucket, Key: &full, StorageClass: types.StorageClass(to), Metadata: head.Metadata, ContentType: head.ContentType,
		ServerSideEncryption: head.ServerSideEncryption, SSEKMSKeyId: head.SSEKMSKeyId, BucketKeyEnabled: head.BucketKeyEnabled,
	})
	if err != nil {
		return err
	}
	done := &sdk.CompleteMultipartUploadInput{Bucket: &s.bucket, Key: &full, UploadId: begun.UploadId, IfMatch: head.ETag}
	size := aws.ToInt64(head.ContentLength)
	partBytes := max(s.opts.CopyBytes, (size+maxParts-1)/maxParts)
	parts := make([]types.CompletedPart, (size+partBytes-1)/partBytes)
	g, ctx2 := errgroup.WithContext(ctx)
	g.SetLimit(s.opts.Parallel)
	for i := range parts {
		g.Go(func() error {
			number, from := int32(i+1), int64(i)*partBytes
			span := fmt.Sprintf("bytes=%d-%d", from, min(from+partBytes, size)-1)
			out, err := s.client.UploadPartCopy(ctx2, &sdk.UploadPartCopyInput{
				Bucket: &s.bucket, Key: &full, UploadId: done.UploadId, PartNumber: &number,
				CopySource: s.copySource(full), CopySourceRange: &span, CopySourceIfMatch: head.ETag,
			})
			if err == nil {
				parts[i] = types.CompletedPart{PartNumber: &number, ETag: out.CopyPartResult.ETag}
			}
			return err
		})
	}
	if err = g.Wait(); err == nil {
		done.MultipartUpload = &types.CompletedMultipartUpload{Parts: parts}
		_, err = s.client.CompleteMultipartUpload(ctx, done)
	}
	if err != nil {
		s.abort(ctx, done)
	}
	return err
}

// copySource names an object as copies do: in a header, so that all but the plainest
// characters are escaped, spaces and "+" alike on every server.
func (s *Store) copySource(full string) *string {
	escaped := strings.ReplaceAll(url.QueryEscape(s.bucket+"/"+full), "+", "%20")
	return aws.String(strings.ReplaceAll(escaped, "%2F", "/"))
}

// Thaw implements blob.Tiered.
func (s *Store) Thaw(ctx context.Context, key arbalest.Key, t blob.Thaw) error {
	full, err := s.ready(ctx, key)
	if err != nil {
		return fmt.Errorf("thaw object: %w", err)
	}
	if err := s.thaw(ctx, key, full, t); err != nil {
		return fmt.Errorf("thaw %s: %w", key, err)
	}
	return nil
}

func (s *Store) thaw(ctx context.Context, key arbalest.Key, full string, t blob.Thaw) error {
	state, _, err := s.describe(ctx, key, full)
	if err == nil {
		err = t.Valid(state.Class)
	}
	switch {
	case err != nil:
		return err
	case !state.Frozen && state.Until.IsZero(), state.Thawing:
		return nil
	case !state.Until.IsZero() && state.Until.After(time.Now().AddDate(0, 0, t.Days)):
		return nil // asking would cut its time
	}
	if t.Speed == "" {
		t.Speed = blob.ThawStandard
	}
	wish := &types.RestoreRequest{GlacierJobParameters: &types.GlacierJobParameters{Tier: types.Tier(t.Speed)}}
	if state.Class.Freezes() { // in INTELLIGENT_TIERING it stays thawed
		wish.Days = aws.Int32(int32(t.Days))
	}
	_, err = s.client.RestoreObject(ctx, &sdk.RestoreObjectInput{Bucket: &s.bucket, Key: &full, RestoreRequest: wish})
	if code(err) == "RestoreAlreadyInProgress" { // another was first, or a reply was lost
		return nil
	}
	return s.explain(ctx, err)
}
