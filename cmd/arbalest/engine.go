package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"arbalest"
	"arbalest/connect"
	"arbalest/internal/archive"
	"arbalest/internal/blob"
	"arbalest/internal/duckdb"
	"arbalest/internal/lake"
	"arbalest/internal/load"
	"arbalest/internal/warehouse"
	"arbalest/pipeline"
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
	Verify(ctx context.Context, r verifyRequest, show func(progress)) (archive.Report, error)
	// Rebuild makes tables again from the store, all if none is named, beside those
	// that are there.
	Rebuild(ctx context.Context, r rebuildRequest, show func(progress)) (rebuildReport, error)
	// Try says what other definitions would make of the events of the store.
	Try(ctx context.Context, r trialRequest, show func(progress)) (trialReport, error)
	// Compact merges the objects of what is closed.
	Compact(ctx context.Context, show func(progress)) (compactReport, error)
	// Erase erases events for good, or says which.
	Erase(ctx context.Context, r eraseRequest, show func(progress)) (eraseReport, error)
	// Archive lets days leave their tables that are past their retention.
	Archive(ctx context.Context, q archiveRequest, show func(progress)) (archiveReport, error)
	// Restore brings days that left back into their table.
	Restore(ctx context.Context, q restoreRequest, show func(progress)) (restoreReport, error)
	// Run runs a pipeline and all that it requires; that it failed is in the
	// report.
	Run(ctx context.Context, r pipelineRequest, show func(progress)) (runReport, error)
	// Validate checks a pipeline without effect; what is wrong is in the report.
	Validate(ctx context.Context, r pipelineRequest, show func(progress)) (validateReport, error)
	// Plan says what a pipeline would do.
	Plan(ctx context.Context, r pipelineRequest) (planReport, error)
	// Build brings models up to date; that one failed is in the report.
	Build(ctx context.Context, r modelRequest, show func(progress)) (buildReport, error)
	// Test runs the tests of models; that one fails is in the report.
	Test(ctx context.Context, r modelRequest) (testReport, error)
	// Models lists models, and what a build would do.
	Models(ctx context.Context, r modelRequest) (modelsReport, error)
	// Status tells how everything stands.
	Status(ctx context.Context) (statusReport, error)
	// Events lists the names of events with their figures, Event one of them with
	// its properties and examples.
	Events(ctx context.Context) (eventsReport, error)
	Event(ctx context.Context, r eventRequest) (eventReport, error)
	// Tables lists tables with their figures, Table one of them with its columns,
	// loads and errors.
	Tables(ctx context.Context) (tablesReport, error)
	Table(ctx context.Context, r tableRequest) (tableReport, error)
	// Runs lists runs of pipelines; of one that is named also the steps.
	Runs(ctx context.Context, f pipeline.Filter) (runsReport, error)
	// Land lets others see what was accepted and rejected before the call.
	Land(ctx context.Context) error
	Close() error
}

// A rowSink takes a query's result.
type rowSink = warehouse.Sink

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

// A tables is what an engine needs of a warehouse.
type tables interface {
	load.Tiers
	archive.Warehouse
	warehouse.Asker
	// Tables returns the tables that Load made, by name.
	Tables(ctx context.Context) ([]connect.TableInfo, error)
	Close() error
}

// An engine has a place open: alone, if its warehouse is DuckDB, which lets one
// process in.
type engine struct {
	place      place
	config     config
	store      blob.Store
	closeStore func() error
	lake       *lake.Lake
	warehouse  tables
	database   warehouse.Database // the same, as pipelines have it
	duck       *duckdb.Warehouse  // the same, nil if it is not DuckDB
	alone      bool               // nobody else can load
	loader     *load.Loader
	work       sync.Mutex // one sort or load at a time
	building   sync.Mutex // one pass over the models at a time
	rebuilding sync.Mutex // one rebuild at a time
	archiving  sync.Mutex // one pass of archive, or restore, at a time
	verifying  verifying  // the verification that goes on
}

// openLake opens a place's store only, which any number of processes may.
func openLake(ctx context.Context, p place, c config) (*lake.Lake, blob.Store, func() error, error) {
	store, closeStore, err := connect.Store(ctx, p.store(c))
	if err != nil {
		return nil, nil, nil, err
	}
	l, err := lakeOn(store, c)
	if err != nil {
		return nil, nil, nil, errors.Join(err, closeStore())
	}
	return l, store, closeStore, nil
}

func lakeOn(store blob.Store, c config) (*lake.Lake, error) {
	return lake.Open(store, lake.Options{Plain: c.Compression == "none", FlushBytes: int64(c.Warehouse.Batch), CompactBytes: int64(c.Compact.Target)})
}

// Commands that do one thing and end take more memory than serve, of which it
// is promised that it is small: DuckDB takes large batches faster.
const (
	bulkBatch  = 96 << 20
	bulkMemory = 512 << 20
	// remoteReaders is how many objects of a remote store are read at once: most
	// of the time they are waited for.
	remoteReaders = 16
)

func openEngine(ctx context.Context, p place, c config) (*engine, error) {
	store, closeStore, err := connect.Store(ctx, p.store(c))
	if err != nil {
		return nil, err
	}
	e, err := engineOn(ctx, p, c, store, closeStore)
	if err != nil {
		return nil, errors.Join(err, closeStore())
	}
	return e, nil
}

// engineOn opens an engine on a store that is open. Its Close closes that.
func engineOn(ctx context.Context, p place, c config, store blob.Store, closeStore func() error) (*engine, error) {
	tables, err := c.tables()
	if err != nil {
		return nil, err
	}
	l, err := lakeOn(store, c)
	if err != nil {
		return nil, err
	}
	w, err := connect.Warehouse(ctx, p.warehouse(c), store, connect.Options{Memory: int64(c.Warehouse.Memory), Warm: p.warm(c)})
	if err != nil {
		return nil, err
	}
	opts := load.Options{BatchBytes: int64(c.Warehouse.Batch)}
	if w.DuckDB != nil {
		opts.BatchColumns = w.DuckDB.BatchColumns()
	}
	for _, t := range tables {
		if t.Declared {
			opts.Declared = append(opts.Declared, t)
		} else {
			opts.Open = append(opts.Open, t)
		}
	}
	if connect.IsRemote(p.store(c)) {
		opts.Readers = remoteReaders
	}
	return &engine{place: p, config: c, store: store, closeStore: closeStore, lake: l, warehouse: w, database: w.Database, duck: w.DuckDB, alone: w.Alone, loader: load.New(l, w, opts)}, nil
}

// Close closes the warehouse and the store.
func (e *engine) Close() error { return errors.Join(e.warehouse.Close(), e.closeStore()) }

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
			r.add(byTable, t)
		}
		show(progress{Stage: "load", Done: r.Stored, Unit: "events"})
	}
}

// Land implements operator.
func (e *engine) Land(ctx context.Context) error {
	_, err := e.lake.Landing(ctx)
	return err
}

// Query implements operator.
func (e *engine) Query(ctx context.Context, sql string, to rowSink) error {
	return e.warehouse.Ask(ctx, sql, to)
}
