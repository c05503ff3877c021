package connect

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/postgres/postgrestest"
	"arbalest/internal/s3/s3test"
	"arbalest/internal/warehouse"
)

func TestStore(t *testing.T) {
	dir := t.TempDir()
	for _, url := range []string{filepath.Join(dir, "a"), "file:" + filepath.Join(dir, "b"), "file://" + filepath.Join(dir, "c"), s3test.Fake(t)} {
		store, closes, err := Store(t.Context(), url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if err := store.Put(t.Context(), "x/y", bytes.NewReader([]byte("z"))); err != nil {
			t.Errorf("%s: %v", url, err)
		}
		if _, isDir := store.(*blob.Dir); isDir == IsRemote(url) {
			t.Errorf("%s is a %T", url, store)
		}
		if err := closes(); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{"", "file:", "file://host/path", "gs://bucket/x", "http://u:secret@h/x?key=secret", "duckdb:x", "s3://", "s3://u:secret@b"} {
		if _, _, err := Store(t.Context(), url); !errors.Is(err, arbalest.ErrInvalid) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestWarehouse(t *testing.T) {
	dir := t.TempDir()
	for _, url := range []string{filepath.Join(dir, "a.duckdb"), "duckdb:" + filepath.Join(dir, "b"), "file://" + filepath.Join(dir, "c")} {
		w, err := Warehouse(t.Context(), url, blob.NewMemory(), Options{})
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if _, err := Warehouse(t.Context(), url, blob.NewMemory(), Options{}); !errors.Is(err, arbalest.ErrInUse) || !w.Alone {
			t.Errorf("%s twice: %v", url, err)
		}
		err = w.Database.Transact(t.Context(), "x", func(tx warehouse.Tx) error {
			_, err := tx.Exec(t.Context(), "CREATE TABLE made (n INTEGER)")
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", url, err)
		}
		if tables, err := w.Tables(t.Context()); err != nil || len(tables) != 0 {
			t.Errorf("%s: %v, %v", url, tables, err)
		}
		if err := w.Close(); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{"", "duckdb:", "redshift://u:secret@h/x", "mysql://u:secret@h/x", "s3://bucket"} {
		if _, err := Warehouse(t.Context(), url, blob.NewMemory(), Options{}); !errors.Is(err, arbalest.ErrInvalid) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// TestWarehousePostgreSQL opens one that any number of processes may have open.
func TestWarehousePostgreSQL(t *testing.T) {
	postgres := postgrestest.Start(t)
	for range 2 {
		w, err := Warehouse(t.Context(), postgres, blob.NewMemory(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if tables, err := w.Tables(t.Context()); err != nil || len(tables) != 0 || w.Alone {
			t.Errorf("%v, %v", tables, err)
		}
	}
	if _, err := Warehouse(t.Context(), "postgres://u:secret@127.0.0.1:1/x?sslmode=disable&connect_timeout=1", blob.NewMemory(), Options{}); !errors.Is(err, arbalest.ErrUnavailable) || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

// TestWarehouseRedshift opens one that is not there, with a store that it can
// read.
func TestWarehouseRedshift(t *testing.T) {
	store, _, err := Store(t.Context(), s3test.Fake(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Warehouse(t.Context(), "redshift://u:secret@127.0.0.1:1/x?sslmode=disable&connect_timeout=1&attempts=1&backoff=1ms", store, Options{})
	if !errors.Is(err, arbalest.ErrUnavailable) || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

func TestRedact(t *testing.T) {
	for url, want := range map[string]string{
		"/a/b":                         "/a/b",
		"duckdb:x":                     "duckdb:x",
		"postgres://u:secret@h:5432/d": "postgres://u@h:5432/d",
		"postgres://h/d?password=s":    "postgres://h/d",
		"s3://bucket/p?endpoint=x":     "s3://bucket/p",
		"postgres://u:s%zz@h/d":        "postgres://…",
		"redshift://u:secret@cluster.region.redshift.amazonaws.com/dev": "redshift://u@cluster.region.redshift.amazonaws.com/dev",
	} {
		if got := Redact(url); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

func TestSpectrum(t *testing.T) {
	tables := []ExternalTable{{Table: arbalest.Table{Name: "a"}, Location: "_warm/a/", Days: []arbalest.Hour{0}}}
	statements, err := Spectrum("s3://bucket/some/prefix?region=eu-west-1", tables)
	if all := strings.Join(statements, "\n"); err != nil || !strings.Contains(all, "LOCATION 's3://bucket/some/prefix/_warm/a/day=1970-01-01/'") {
		t.Errorf("%v: %s", err, all)
	}
	if _, err := Spectrum("/var/lib/store", tables); !errors.Is(err, arbalest.ErrInvalid) {
		t.Errorf("of a directory: %v", err)
	}
}
