package connect

import (
	"context"
	"fmt"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/s3"
)

// Store opens the object store at a URL, and returns what closes it:
//
//	/var/lib/arbalest/store, store, file:///var/lib/arbalest/store
//	s3://bucket/prefix?endpoint=http://127.0.0.1:7070&region=us-east-1
//
// A directory is made if there is none; a bucket must be there. Credentials are
// not in the URL: see s3.Open. The errors wrap arbalest.ErrInvalid, ErrUnknown
// and ErrUnavailable.
func Store(ctx context.Context, url string) (store blob.Store, closes func() error, err error) {
	switch schemeOf(url) {
	case "", "file":
		path, err := pathOf(url)
		if err != nil {
			return nil, nil, fmt.Errorf("open store: %w", err)
		}
		dir, err := blob.OpenDir(path)
		if err != nil {
			return nil, nil, fmt.Errorf("open store: %w", err)
		}
		return dir, dir.Close, nil
	case "s3":
		bucket, err := s3.Open(ctx, url, s3.Options{})
		if err != nil {
			return nil, nil, err
		}
		return bucket, func() error { return nil }, nil
	}
	return nil, nil, fmt.Errorf("open store: %w: %s: a store is a directory's path, file:///path or s3://bucket/prefix", arbalest.ErrInvalid, Redact(url))
}

// IsRemote says of a store's URL that requests to it cost money, and some tens
// of milliseconds each: that it is not a directory.
func IsRemote(url string) bool { return schemeOf(url) == "s3" }

// A Rule says when S3 moves what is in a folder to another class.
type Rule = s3.Rule

// SetRules makes a bucket's lifecycle rules of its lake those that are given, as
// s3.Store.SetRules does. The error wraps arbalest.ErrInvalid for a store of another kind.
func SetRules(ctx context.Context, store blob.Store, rules []Rule) error {
	bucket, ok := store.(*s3.Store)
	if !ok {
		return fmt.Errorf("%w: lifecycle rules are of S3's buckets, and the store is none", arbalest.ErrInvalid)
	}
	return bucket.SetRules(ctx, rules)
}
