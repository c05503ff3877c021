// Package s3 is the store on Amazon S3, or on anything that speaks as it does
// and honours conditional writes. It is the only door to the AWS SDK.
//
// An object's key in the bucket is the store's prefix, "/", and the key: at
// most 1,024 bytes together. The commit point of a write is the server's 200
// to PutObject, or to CompleteMultipartUpload of a body above
// Options.SingleBytes; of versitygw, which may answer so and have written nothing,
// it is the object's being there after PutObject.
//
// Create sends If-None-Match: *, which has one winner on servers that honour it.
// Some ignore it without a word, so that Open tries it, under _probe/, and
// refuses those. A request whose reply was lost is repeated, and may then meet
// its own write: each Create therefore marks its object with a random token in
// x-amz-meta-arbalest-write, and asks whose it is before it says ErrExists.
//
// Decisions:
//   - A key that is the folder of another is written, as S3 has no folders.
//     Servers on a file system (versitygw) refuse it, which is ErrInvalid. The
//     seam allows both, and the lake makes no such keys.
//   - Keys that blob.ValidKey refuses are not listed: others' objects, such as
//     the "folder/" that consoles make.
//   - A bucket that does not exist is ErrUnknown when the store is opened, and
//     ErrUnavailable afterwards: a lake must not take it for an empty one.
//   - What is read is not checksummed here, since the lake's formats carry their
//     own. What is written is: the signature covers the body's SHA-256.
//   - Storage classes, restoring and lifecycle rules are as documented by AWS, and
//     tested on a server of our own that answers so (s3test.Cold): no other that was
//     to be had has them all, and AWS itself was not reached.
//   - A few servers honour If-None-Match on PutObject and ignore it on
//     CompleteMultipartUpload (gofakes3). There a Create above SingleBytes looks
//     first, and of two that race both may win, the later one's bytes staying.
//     The lake creates segments, plans and commits, all far smaller.
package s3

import (
	"context"
	"fmt"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"arbalest"
	"arbalest/internal/blob"
)

// A Store is a bucket, or what is under a prefix in it.
type Store struct {
	client   *sdk.Client
	opts     Options
	bucket   string
	prefix   string // "" or without "/" at its ends
	region   string
	endpoint string // "" is AWS's own
}

var _ blob.Store = (*Store)(nil)

// Open returns the store at a URL, with all but the first part optional:
//
//	s3://bucket/prefix?endpoint=http://127.0.0.1:7070&region=us-east-1&path_style=true
//
// Credentials, and what the URL does not say, come from where the AWS SDK looks
// for them: the environment (AWS_ACCESS_KEY_ID, AWS_REGION, AWS_PROFILE,
// AWS_ENDPOINT_URL_S3 …), ~/.aws, and the machine's role. path_style defaults to
// true if there is an endpoint, and else to false.
//
// Unless opts.NoProbe is set it writes, and deletes, an object under _probe/.
// Errors wrap arbalest.ErrInvalid (the URL, or a server without conditional
// writes), ErrUnknown (no such bucket), ErrUnavailable or fs.ErrPermission.
func Open(ctx context.Context, url string, opts Options) (*Store, error) {
	loc, err := parseLocation(url)
	if err == nil {
		opts, err = opts.withDefaults()
	}
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{opts: opts, bucket: loc.bucket, prefix: loc.prefix}
	if err := s.connect(ctx, loc); err != nil {
		return nil, fmt.Errorf("open %s: %w", s.URL(""), err)
	}
	if !opts.NoProbe {
		if err := s.probe(ctx); err != nil {
			return nil, fmt.Errorf("open %s: %w", s.URL(""), err)
		}
	}
	return s, nil
}

// Bucket returns the bucket's name.
func (s *Store) Bucket() string { return s.bucket }

// Prefix returns what all keys are under, "" if that is the bucket.
func (s *Store) Prefix() string { return s.prefix }

// Region returns the bucket's region, as it was configured.
func (s *Store) Region() string { return s.region }

// Endpoint returns the server's URL, "" if it is AWS's own.
func (s *Store) Endpoint() string { return s.endpoint }

// URL returns s3://bucket/prefix/key, as Redshift's COPY takes it. The key may
// be a prefix of keys, also "".
func (s *Store) URL(key arbalest.Key) string { return "s3://" + s.bucket + "/" + s.full(key) }

// full returns the key in the bucket.
func (s *Store) full(key arbalest.Key) string {
	if s.prefix == "" {
		return string(key)
	}
	return s.prefix + "/" + string(key)
}

// maxKey is the longest key in a bucket, in bytes.
const maxKey = 1024

// ready says whether an operation on the key may begin, and returns the key in
// the bucket.
func (s *Store) ready(ctx context.Context, key arbalest.Key) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := blob.ValidKey(key); err != nil {
		return "", err
	}
	full := s.full(key)
	if len(full) > maxKey {
		return "", fmt.Errorf("%w: key %.64q… is longer than 1024 bytes with the prefix %q", arbalest.ErrInvalid, string(key), s.prefix)
	}
	return full, nil
}
