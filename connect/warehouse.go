package connect

import (
	"context"
	"fmt"
	"io"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/duckdb"
	"arbalest/internal/load"
	"arbalest/internal/postgres"
	"arbalest/internal/warehouse"
)

// Options are a warehouse's settings. The zero value works.
type Options struct {
	// Memory is DuckDB's limit, in bytes. Defaults to 96 MiB.
	Memory int64
	// Warm is the directory that DuckDB reads warm objects of, which has them by the
	// keys that they have in the store. Defaults to none.
	Warm string
}

// An Opened is a warehouse that is open, of whatever kind. Its methods may be
// called at once.
type Opened struct {
	loader
	warehouse.Asker
	// Database is for pipelines.
	Database warehouse.Database
	// DuckDB is the warehouse if it is one, for SQL beside; else nil.
	DuckDB *duckdb.Warehouse
	// Alone says that no other process can have the warehouse open.
	Alone bool

	closer io.Closer
}

// A loader is what loading, verifying and showing ask of a warehouse.
type loader interface {
	load.Tiers
	// Unloaded yields the id and time (microseconds) of every event that is
	// recorded as a load error and is not in the table.
	Unloaded(ctx context.Context, table string, visit func(id string, time int64) error) error
	// Books yields, for each event and hour, what the journal says.
	Books(ctx context.Context, visit func(load.Book) error) error
	// Tables returns the tables that Load made, by name.
	Tables(ctx context.Context) ([]TableInfo, error)
}

// A TableInfo says what the warehouse has of an event's table.
type TableInfo = warehouse.TableInfo

// Warehouse opens the warehouse at a URL:
//
//	/var/lib/arbalest/warehouse.duckdb, duckdb:warehouse.duckdb
//	postgres://user:password@host/database
//	redshift://user:password@cluster.region.redshift.amazonaws.com/database
//
// store is where the lake is, which Redshift reads itself. DuckDB's file is made
// if there is none. The errors wrap arbalest.ErrInvalid, ErrInUse, ErrNewer,
// ErrCorrupt or ErrUnavailable, and never show a password.
func Warehouse(ctx context.Context, url string, store blob.Store, opts Options) (*Opened, error) {
	switch schemeOf(url) {
	case "", "file", "duckdb":
		path, err := pathOf(url)
		if err != nil {
			return nil, fmt.Errorf("open warehouse: %w", err)
		}
		w, err := duckdb.Open(ctx, path, duckdb.Options{MemoryLimit: opts.Memory, Warm: opts.Warm})
		if err != nil {
			return nil, fmt.Errorf("open warehouse: %w", err)
		}
		return &Opened{loader: w, Asker: w, Database: w.Database(), DuckDB: w, Alone: true, closer: w}, nil
	case "postgres", "postgresql":
		db, err := postgres.Open(ctx, url, postgres.Options{})
		if err != nil {
			return nil, fmt.Errorf("open warehouse: %w", err)
		}
		w := warehouse.New(db)
		return &Opened{loader: w, Asker: w, Database: db, closer: w}, nil
	case "redshift":
		return openRedshift(ctx, url, store)
	}
	return nil, fmt.Errorf("open warehouse: %w: %s: a warehouse is a file's path, postgres://… or redshift://…", arbalest.ErrInvalid, Redact(url))
}

// Close waits for what is being loaded, and closes the warehouse.
func (o *Opened) Close() error { return o.closer.Close() }
