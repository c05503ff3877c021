package redshift

import (
	"testing"
	"time"

	"arbalest/internal/blob"
	"arbalest/internal/load"
	"arbalest/internal/load/warehousetest"
	"arbalest/internal/redshift/redshifttest"
	"arbalest/internal/warehouse"
	"arbalest/internal/warehouse/databasetest"
)

// role is what the tests' COPY statements read as.
const role = "arn:aws:iam::123456789012:role/loader"

// open opens a database on a server, for the test.
func open(t *testing.T, server *redshifttest.Server, opts Options) *Database {
	t.Helper()
	if opts.Backoff == 0 {
		opts.Backoff = time.Millisecond
	}
	d, err := Open(t.Context(), server.URL(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestDatabaseSuite(t *testing.T) {
	servers := map[*testing.T]*redshifttest.Server{}
	buckets := map[*testing.T]*redshifttest.Bucket{}
	databasetest.RunOn(t, func(t *testing.T) warehouse.Database {
		servers[t] = redshifttest.Start(t)
		buckets[t] = servers[t].NewBucket()
		return open(t, servers[t], Options{Bucket: buckets[t], IAMRole: role})
	}, func(t *testing.T) blob.Store { return buckets[t] })
}

func TestWarehouseSuite(t *testing.T) {
	servers := map[*testing.T]*redshifttest.Server{}
	buckets := map[*testing.T]*redshifttest.Bucket{}
	opened := map[*testing.T]*warehouse.Warehouse{}
	warehousetest.Run(t, func(t *testing.T) (load.Warehouse, func(string) [][]string) {
		if servers[t] == nil {
			servers[t] = redshifttest.Start(t)
			buckets[t] = servers[t].NewBucket()
			t.Cleanup(func() {
				if err := opened[t].Close(); err != nil {
					t.Error(err)
				}
			})
		} else if err := opened[t].Close(); err != nil {
			t.Fatal(err)
		}
		d, err := Open(t.Context(), servers[t].URL(), Options{Bucket: buckets[t], IAMRole: role, Backoff: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		opened[t] = warehouse.New(d)
		return opened[t], func(sql string) [][]string {
			t.Helper()
			s := &sink{}
			if err := d.Ask(t.Context(), sql, s); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
			return s.rows
		}
	})
}

// A sink keeps a result, spelled out.
type sink struct{ rows [][]string }

func (s *sink) Columns([]warehouse.ResultColumn) error { return nil }

func (s *sink) Row(values []warehouse.Value) error {
	row := make([]string, len(values))
	for i, v := range values {
		if row[i] = v.Text; v.Null {
			row[i] = warehousetest.Null
		}
	}
	s.rows = append(s.rows, row)
	return nil
}
