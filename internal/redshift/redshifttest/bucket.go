package redshifttest

import (
	"context"
	"strings"

	"arbalest"
	"arbalest/internal/blob"
)

// A Bucket is a store that says it is on S3: what redshift.Open takes, and what
// Server.Mount makes COPY see.
type Bucket struct {
	blob.Store
	Name, Prefix string // Prefix without "/" at its ends
	In           string // region
	// ID, Secret and Token are the keys.
	ID, Secret, Token string
}

// NewBucket returns an empty bucket in memory, which the server sees as
// s3://lake/prod, with keys that are not to be shown.
func (s *Server) NewBucket() *Bucket {
	b := &Bucket{Store: blob.NewMemory(), Name: "lake", Prefix: "prod", In: "us-east-1", ID: "AKIANOTTOBESHOWN0001", Secret: "secret/not+to+be/shown", Token: "token//not=to=be=shown"}
	s.Mount(b.Name, b.Prefix, b.Store)
	return b
}

// URL returns s3://bucket/prefix/key.
func (b *Bucket) URL(key arbalest.Key) string {
	return "s3://" + b.Name + "/" + strings.TrimPrefix(b.Prefix+"/"+string(key), "/")
}

// Region returns In.
func (b *Bucket) Region() string { return b.In }

// Credentials returns the keys.
func (b *Bucket) Credentials(context.Context) (id, secret, token string, err error) {
	return b.ID, b.Secret, b.Token, nil
}
