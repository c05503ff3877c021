package s3

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"arbalest"
)

// probe proves that the server honours If-None-Match: it creates an object
// twice, which must fail, and deletes it.
func (s *Store) probe(ctx context.Context) error {
	key := s.full(arbalest.Key("_probe/" + rand.Text()))
	create := func() error {
		body, size, err := newBody(strings.NewReader("arbalest asks whether conditional writes work\n"))
		if err != nil {
			return err
		}
		return s.putObject(ctx, key, body, size, rand.Text())
	}
	if err := create(); err != nil && status(err) != http.StatusPreconditionFailed { // after a lost reply: ours
		if code(err) == "NoSuchBucket" {
			return fmt.Errorf("%w: there is no bucket %s at %s: create it, or check the store's URL and its region", arbalest.ErrUnknown, s.bucket, s.server())
		}
		return fmt.Errorf("write a probe: %w", s.explain(ctx, err))
	}
	second := create()
	_, err := s.client.DeleteObject(ctx, s.deletion(key))
	switch {
	case status(second) == http.StatusPreconditionFailed && err != nil:
		return fmt.Errorf("delete the probe: %w", s.explain(ctx, err))
	case status(second) == http.StatusPreconditionFailed:
		return nil
	case second != nil && status(second) != http.StatusNotImplemented:
		return fmt.Errorf("write a probe: %w", s.explain(ctx, second))
	}
	return fmt.Errorf("%w: %w: use one that does: AWS S3, Cloudflare R2, MinIO, versitygw or Ceph do; Google Cloud Storage and Garage do not (doc/assumptions.md)",
		arbalest.ErrInvalid, errors.New(s.server()+" does not honour If-None-Match on writes, without which two processes would overwrite each other's commits"))
}
