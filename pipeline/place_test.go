package pipeline_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/duckdb"
	"arbalest/internal/warehouse"
	"arbalest/pipeline"
)

// A place is a store and a warehouse of a test.
type place struct {
	*testing.T
	env pipeline.Env
}

// A kind is a warehouse that the tests run on.
type kind struct {
	name string
	open func(t *testing.T) (warehouse.Database, blob.Store)
}

func duck(t *testing.T) (warehouse.Database, blob.Store) {
	w, err := duckdb.Open(t.Context(), filepath.Join(t.TempDir(), "w.duckdb"), duckdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w.Database(), blob.NewMemory()
}

// onEach runs a test on every kind of warehouse.
func onEach(t *testing.T, test func(p *place)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			db, store := k.open(t)
			test(&place{t, pipeline.Env{Store: store, Warehouse: db}})
		})
	}
}

func (p *place) put(key, text string) {
	p.Helper()
	if err := p.env.Store.Put(p.Context(), arbalest.Key(key), strings.NewReader(text)); err != nil {
		p.Fatal(err)
	}
}

func (p *place) run(l *pipeline.Pipeline) pipeline.Report {
	p.Helper()
	r, err := l.Run(p.Context(), p.env, pipeline.Options{})
	if err != nil {
		p.Fatal(err)
	}
	return r
}

// exec runs statements by hand.
func (p *place) exec(statements ...string) {
	p.Helper()
	err := p.env.Warehouse.Transact(p.Context(), "test", func(tx warehouse.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(p.Context(), s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		p.Fatal(err)
	}
}

// want compares a query's rows, values joined by "|", in any order if the query
// has none.
func (p *place) want(sql string, want ...string) {
	p.Helper()
	got, err := query(p.Context(), p.env.Warehouse, sql)
	if err != nil {
		p.Fatal(err)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		p.Errorf("%s\n got %q\nwant %q", sql, got, want)
	}
}

func query(ctx context.Context, db warehouse.Database, sql string) (rows []string, err error) {
	err = db.Query(ctx, sql, func(values []any) error {
		var row []string
		for _, v := range values {
			if v == nil {
				v = "NULL"
			}
			row = append(row, fmt.Sprint(v))
		}
		rows = append(rows, strings.Join(row, "|"))
		return nil
	})
	return rows, err
}

// numbers is the schema of the tests: {"n":1,"at":"2014-11-10T00:00:00Z"}.
func numbers(table string) arbalest.Schema {
	return arbalest.JSONObject(table, arbalest.Property("n", "INTEGER"), arbalest.Property("at", "TIMESTAMP", arbalest.As("ts")))
}
