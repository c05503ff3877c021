package redshift

import (
	"context"

	"arbalest"
	"arbalest/internal/blob"
)

// A Source is a store that COPY can read: one on S3.
type Source interface {
	blob.Store
	// URL returns s3://bucket/prefix/key. The key may be the beginning of one.
	URL(key arbalest.Key) string
	// Region returns the bucket's region, "us-east-1".
	Region() string
}

// A Bucket is a Source that what is copied can be staged in.
type Bucket interface {
	Source
	// Credentials returns the keys that the store itself uses now; token is
	// empty if they are not temporary. They are asked for only where there is
	// no Options.IAMRole.
	Credentials(ctx context.Context) (id, secret, token string, err error)
}
