package pipeline_test

import (
	"testing"

	"arbalest/internal/blob"
	"arbalest/internal/postgres"
	"arbalest/internal/postgres/postgrestest"
	"arbalest/internal/redshift"
	"arbalest/internal/redshift/redshifttest"
	"arbalest/internal/warehouse"
)

// kinds are the warehouses that the tests run on. Redshift is an emulator, whose
// bucket is in memory.
var kinds = []kind{
	{"duckdb", duck},
	{"postgres", elephant},
	{"redshift", shifted},
}

func elephant(t *testing.T) (warehouse.Database, blob.Store) {
	db, err := postgres.Open(t.Context(), postgrestest.Start(t), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db, blob.NewMemory()
}

func shifted(t *testing.T) (warehouse.Database, blob.Store) {
	server := redshifttest.Start(t)
	bucket := server.NewBucket()
	db, err := redshift.Open(t.Context(), server.URL(), redshift.Options{Bucket: bucket, IAMRole: "arn:aws:iam::123456789012:role/loader"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db, bucket
}
