package pipeline_test

import (
	"testing"

	"arbalest/internal/blob"
	"arbalest/internal/postgres"
	"arbalest/internal/postgres/postgrestest"
	"arbalest/internal/warehouse"
)

// kinds are the warehouses that the tests run on.
var kinds = []kind{
	{"duckdb", duck},
	{"postgres", elephant},
}

func elephant(t *testing.T) (warehouse.Database, blob.Store) {
	db, err := postgres.Open(t.Context(), postgrestest.Start(t), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db, blob.NewMemory()
}
