package connect

import (
	"context"
	"fmt"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/redshift"
	"arbalest/internal/s3"
	"arbalest/internal/warehouse"
)

// openRedshift opens Redshift, which reads what it loads from S3 itself: rows
// are staged in the store.
func openRedshift(ctx context.Context, url string, store blob.Store) (*Opened, error) {
	on, ok := store.(*s3.Store)
	if !ok {
		return nil, fmt.Errorf("open warehouse: %w: Redshift loads from S3: set store to s3://bucket/prefix", arbalest.ErrInvalid)
	}
	db, err := redshift.Open(ctx, url, redshift.Options{Bucket: bucket{on}})
	if err != nil {
		return nil, err
	}
	w := warehouse.New(db)
	return &Opened{loader: w, Asker: w, Database: db, closer: w}, nil
}

// A bucket is a store on S3 as Redshift sees it.
type bucket struct{ *s3.Store }

// Credentials implements redshift.Bucket.
func (b bucket) Credentials(ctx context.Context) (id, secret, token string, err error) {
	c, err := b.Store.Credentials(ctx)
	return c.AccessKey, c.Secret, c.SessionToken, err
}
