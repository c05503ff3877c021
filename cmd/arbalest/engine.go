package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"arbalest"
	"arbalest/internal/archive"
	"arbalest/internal/blob"
	"arbalest/internal/duckdb"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// An operator does what commands ask for: an engine, which has the place open,
// or a servant, which asks the serve that has. Its methods may be called at
// once.
type operator interface {
	// Sync sorts and loads what was accepted before the call.
	Sync(ctx context.Context, show func(progress)) (syncReport, error)
	// Query runs one statement and gives its result row by row.
	Query(ctx context.Context, sql string, to rowSink) error
	// Verify compares store and warehouse; that they differ is in the report.
	Verify(ctx context.Context, show func(progress)) (archive.Report, error)
	// Rebuild makes tables again from the store, all if none is named.
	Rebuild(ctx context.Context, tables []string, show func(progress)) (syncReport, error)
	// Status tells how everything stands.
	Status(ctx context.Context) (statusReport, error)
	Close() error
}

// A rowSink takes a result: first its columns, then its rows.
type rowSink interface {
	Columns([]duckdb.Column) error
	Row([]duckdb.Value) error
}

// A syncReport is what a sync did.
type syncReport struct {
	Commits  int                `json:"commits"` // made by this sync
	Sorted   int64              `json:"sorted"`  // events moved to partitions
	Rejected int64              `json:"rejected"`
	Tables   []load.TableResult `json:"tables,omitempty"`
	load.Counts
	Stalled map[string]load.Stall `json:"stalled,omitempty"`
	Seconds float64               `json:"seconds"`
}

// err is nil if all that was accepted is in its table or in the load errors.
func (r syncReport) err() error {
	for table, s := range r.Stalled {
		return fmt.Errorf("%w: table %s is stalled at commit %d: %s; mend that, or make the table again with arbalest rebuild %s", arbalest.ErrUnavailable, table, s.Commit, s.Reason, table)
	}
	return nil
}

// An engine has a place open, alone: DuckDB lets one process in.
type engine struct {
	place     place
	config    config
	store     io.Closer
	lake      *lake.Lake
	warehouse *duckdb.Warehouse
	loader    *load.Loader
	work      sync.Mutex // one sort or load at a time
}

// openLake opens a place's store only, which any number of processes may.
func openLake(p place, c config) (*lake.Lake, io.Closer, error) {
	store, err := blob.OpenDir(p.store())
	if err != nil {
		return nil, nil, fmt.Errorf("open store: %w", err)
	}
	l, err := lake.Open(store, lake.Options{Plain: c.Compression == "none", FlushBytes: int64(c.Warehouse.Batch)})
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return l, store, nil
}

// Commands that do one thing and end take more memory than serve, of which it
// is promised that it is small: DuckDB takes large batches faster.
const (
	bulkBatch  = 96 << 20
	bulkMemory = 512 << 20
)

func openEngine(ctx context.Context, p place, c config) (*engine, error) {
	tables, err := c.tables()
	if err != nil {
		return nil, err
	}
	l, store, err := openLake(p, c)
	if err != nil {
		return nil, err
	}
	w, err := duckdb.Open(ctx, p.warehouse(), duckdb.Options{MemoryLimit: int64(c.Warehouse.Memory)})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open warehouse: %w", err), store.Close())
	}
	return &engine{
		place: p, config: c, store: store, lake: l, warehouse: w,
		loader: load.New(l, w, load.Options{Declared: tables, BatchBytes: int64(c.Warehouse.Batch)}),
	}, nil
}

// Close closes the warehouse and the store.
func (e *engine) Close() error { return errors.Join(e.warehouse.Close(), e.store.Close()) }

// Sync implements operator.
func (e *engine) Sync(ctx context.Context, show func(progress)) (syncReport, error) {
	e.work.Lock()
	defer e.work.Unlock()
	return e.sync(ctx, show)
}

func (e *engine) sync(ctx context.Context, show func(progress)) (syncReport, error) {
	start := time.Now()
	var r syncReport
	// What lands meanwhile is for the next sync: else a flood of it would keep
	// this one from loading.
	for more := true; more; {
		sorted, err := e.lake.Sort(ctx)
		if err != nil {
			return r, err
		}
		more = sorted.More
		if sorted.Commit == 0 {
			break
		}
		r.Commits++
		r.Sorted += sorted.Events
		r.Rejected += sorted.Rejected
		show(progress{Stage: "sort", Done: r.Sorted, Unit: "events"})
	}
	if err := e.loadAll(ctx, &r, show); err != nil {
		return r, err
	}
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

func (e *engine) loadAll(ctx context.Context, r *syncReport, show func(progress)) error {
	byTable := map[string]int{}
	for {
		result, err := e.loader.Once(ctx)
		if err != nil {
			return err
		}
		r.Stalled = result.Progress.Stalled
		if result.Idle {
			return nil
		}
		for _, t := range result.Tables {
			i, ok := byTable[t.Table]
			if !ok {
				i = len(r.Tables)
				byTable[t.Table] = i
				r.Tables = append(r.Tables, load.TableResult{Table: t.Table})
			}
			r.Tables[i].Counts.Add(t.Counts)
			r.Counts.Add(t.Counts)
		}
		show(progress{Stage: "load", Done: r.Stored, Unit: "events"})
	}
}

// Rebuild implements operator.
func (e *engine) Rebuild(ctx context.Context, tables []string, show func(progress)) (syncReport, error) {
	e.work.Lock()
	defer e.work.Unlock()
	if err := e.knows(ctx, tables); err != nil {
		return syncReport{}, err
	}
	if err := e.warehouse.Reset(ctx, tables...); err != nil {
		return syncReport{}, err
	}
	e.loader.Wake()
	return e.sync(ctx, show)
}

// knows refuses tables that are not in the warehouse.
func (e *engine) knows(ctx context.Context, tables []string) error {
	there, err := e.warehouse.Tables(ctx)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, t := range there {
		known[t.Name] = true
	}
	for _, t := range tables {
		if !known[t] {
			return fmt.Errorf("%w: table %s: see the tables with arbalest status", arbalest.ErrUnknown, t)
		}
	}
	return nil
}

// Query implements operator.
func (e *engine) Query(ctx context.Context, sql string, to rowSink) error {
	rows, err := e.warehouse.Query(ctx, sql)
	if err != nil {
		return err
	}
	if err := to.Columns(rows.Columns); err != nil {
		return errors.Join(err, rows.Close())
	}
	for rows.Next() {
		if err := to.Row(rows.Values()); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// Verify implements operator.
func (e *engine) Verify(ctx context.Context, show func(progress)) (archive.Report, error) {
	e.work.Lock()
	defer e.work.Unlock()
	var objects int64
	return archive.Verify(ctx, e.lake, e.warehouse, archive.Options{
		Table: e.loader.TableName,
		Advance: func(arbalest.Object) {
			objects++
			show(progress{Stage: "verify", Done: objects, Unit: "objects"})
		},
	})
}
