package redshift

import (
	"context"
	"testing"

	"arbalest"
	"arbalest/internal/load/warehousetest"
	"arbalest/internal/redshift/redshifttest"
	"arbalest/internal/s3"
	"arbalest/internal/s3/s3test"
	"arbalest/internal/warehouse"
)

// A keyed store is a store on S3 that gives its keys.
type keyed struct{ *s3.Store }

func (k keyed) Credentials(ctx context.Context) (id, secret, token string, err error) {
	c, err := k.Store.Credentials(ctx)
	return c.AccessKey, c.Secret, c.SessionToken, err
}

var (
	_ Source = (*s3.Store)(nil)
	_ Bucket = keyed{}
)

// TestS3 stages in, and copies from, a server that speaks as S3 does.
func TestS3(t *testing.T) {
	server := redshifttest.Start(t)
	store, err := s3.Open(t.Context(), s3test.Fake(t), s3.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server.Mount(store.Bucket(), store.Prefix(), store)
	d := open(t, server, Options{Bucket: keyed{store}})
	columns := []arbalest.Column{warehousetest.Col("n", "INTEGER")}
	info := objects(t, &redshifttest.Bucket{Store: store}, "in/a.json.gz", `{"n":2}{"n":3}`)
	if err := d.Transact(t.Context(), "s3", func(tx warehouse.Tx) error {
		if _, err := tx.Exec(t.Context(), "CREATE TABLE t (n INTEGER)"); err != nil {
			return err
		}
		if _, err := tx.Insert(t.Context(), "t", columns, pagesOf(columns, []any{1})); err != nil {
			return err
		}
		done, err := tx.Copy(t.Context(), "t", warehouse.Copy{Columns: columns, Store: store, Objects: info})
		if done.Rows != 2 {
			t.Errorf("%+v", done)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	s := &sink{}
	if err := d.Ask(t.Context(), "SELECT sum(n) FROM t", s); err != nil || s.rows[0][0] != "6" {
		t.Errorf("%v, %v", s.rows, err)
	}
}
