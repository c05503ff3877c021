// Package load follows the log into a warehouse: every event of every commit
// goes into its table once.
//
// It stores nothing of its own. What has been loaded is the warehouse's
// journal, and the commit point of a batch is the warehouse's transaction,
// which holds schema changes, rows, load errors, journal and cursor. Definitions
// of tables that were not declared are stored in the lake before the
// transaction that needs them: a crash between the two leaves a definition
// that the next pass uses.
package load

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"arbalest"
	"arbalest/internal/lake"
)

// Options are a loader's settings. The zero value works.
type Options struct {
	// Declared are the tables that the configuration gives columns to.
	Declared []arbalest.Table
	// Open are tables of which the configuration gives some columns, or just the
	// name: others are inferred beside them.
	Open []arbalest.Table
	// BatchBytes is how many bytes of lines one transaction takes on, if the
	// log has that much. It bounds memory: a batch is held as columns, about
	// as large as its lines. Defaults to 32 MiB.
	BatchBytes int64
	// BatchColumns is how many columns the tables of one transaction have
	// together: a warehouse holds a page or more for each column that a
	// transaction touches, however few the rows. Defaults to 2,000.
	BatchColumns int64
	// Workers is how many goroutines decode. Defaults to GOMAXPROCS.
	Workers int
	// Readers is how many objects are read at once. Defaults to 4.
	Readers int
	// RetryStalled is how long to wait before a stalled table is tried again.
	// Defaults to 30 s.
	RetryStalled time.Duration
}

func (o Options) withDefaults() Options {
	if o.BatchBytes == 0 {
		o.BatchBytes = 32 << 20
	}
	if o.BatchColumns == 0 {
		o.BatchColumns = 2000
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Readers == 0 {
		o.Readers = 4
	}
	if o.RetryStalled == 0 {
		o.RetryStalled = 30 * time.Second
	}
	return o
}

// A Loader loads one lake into one warehouse. Any number of loaders may work
// on one warehouse: of two that load the same batch one is refused.
type Loader struct {
	lake      *lake.Lake
	warehouse Warehouse // nil if it loads beside the live tables
	into      Shadow    // what it loads into: the warehouse, or tables beside
	opts      Options
	declared  map[arbalest.EventName]arbalest.Table
	open      map[arbalest.EventName]arbalest.Table
	tried     map[string]time.Time // stalled tables, when last
	split     int64                // batches are this much smaller: the last was too much
	next      chan decoded         // what is being decoded ahead; nil if nothing is
	stopNext  context.CancelFunc   // of next
	buffers   buffers

	// Of a Rebuild's loader:
	only    map[arbalest.EventName]bool // the events that it loads; nil is all
	part    Part                        // the hours
	live    Warehouse                   // of which it makes a part
	bounded bool                        // it goes no further than until
	until   Cursor
	// Of an Excerpt's: which lines it loads, by object of the batch and line, from 1;
	// nil is all.
	keep func(object int32, line int64, text []byte) bool

	mu     sync.Mutex
	tables map[arbalest.EventName]*target
	last   Progress
}

// New returns a loader. It does no I/O. A Loader's Once must not be called at
// once with itself.
func New(l *lake.Lake, w Warehouse, opts Options) *Loader {
	loader := newLoader(l, w, opts)
	loader.warehouse = w
	return loader
}

func newLoader(l *lake.Lake, into Shadow, opts Options) *Loader {
	declared := map[arbalest.EventName]arbalest.Table{}
	for _, t := range opts.Declared {
		t.Declared = true
		declared[t.Event] = t
	}
	open := map[arbalest.EventName]arbalest.Table{}
	for _, t := range opts.Open {
		open[t.Event] = t
	}
	return &Loader{lake: l, into: into, opts: opts.withDefaults(), declared: declared, open: open, tables: map[arbalest.EventName]*target{}, tried: map[string]time.Time{}, split: 1}
}

// Progress returns how far the warehouse was when Once last looked. Unlike
// Once it may be called at any time.
func (l *Loader) Progress() Progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func (l *Loader) note(p Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = p
}

// Wake makes the next Once try stalled tables without waiting.
func (l *Loader) Wake() { clear(l.tried) }

// TableName returns the name of an event's table. It may be called at any time.
func (l *Loader) TableName(ctx context.Context, event arbalest.EventName) (string, error) {
	t, err := l.Table(ctx, event)
	return t.Name, err
}

// Table returns the definition of an event's table that batches are decoded by
// now. It may be called at any time.
func (l *Loader) Table(ctx context.Context, event arbalest.EventName) (arbalest.Table, error) {
	t, err := l.target(ctx, event)
	if err != nil {
		return arbalest.Table{}, err
	}
	return t.table, nil
}

// TableResult is what a batch did to a table.
type TableResult struct {
	Table string `json:"table"`
	Counts
}

// A Result is what one pass did. Idle says that there was nothing to do.
type Result struct {
	Idle     bool
	Progress Progress
	Tables   []TableResult
}

// maxSplit is how much smaller than its options say a batch becomes at most,
// when the warehouse says that it has not the memory for it.
const maxSplit = 1 << 16

// Once loads one batch: of a stalled table that is due, else of what follows
// the cursor. Call it until its result is Idle to load all there is. With
// nothing new it asks the warehouse for its cursor and the store for one
// object. When it has failed, nothing of it goes on.
func (l *Loader) Once(ctx context.Context) (_ Result, err error) {
	defer func() {
		if err != nil {
			l.halt()
		}
	}()
	for {
		prev, err := l.into.Progress(ctx)
		if err != nil {
			return Result{}, err
		}
		l.lake.Hint(prev.Commit)
		l.note(prev)
		result, err := l.from(ctx, prev)
		switch {
		case errors.Is(err, arbalest.ErrExists):
			continue // another loader was faster: go on from where it came to
		case errors.Is(err, arbalest.ErrBusy) && l.split < maxSplit:
			l.split *= 2
			continue
		case err == nil:
			l.note(result.Progress)
			l.split = max(1, l.split/2)
		}
		return result, err
	}
}

func (l *Loader) from(ctx context.Context, prev Progress) (Result, error) {
	for table, stall := range prev.Stalled {
		if now := time.Now(); now.Sub(l.tried[table]) >= l.opts.RetryStalled {
			l.tried[table] = now
			return l.retry(ctx, prev, table, stall)
		}
	}
	if l.bounded && !prev.IsBefore(l.until) {
		return Result{Idle: true, Progress: prev}, nil
	}
	d := l.taken(ctx, prev)
	if d.err != nil {
		return Result{}, d.err
	}
	if d.stretch.end == prev.Cursor {
		return Result{Idle: true, Progress: prev}, nil
	}
	next := Progress{Cursor: d.stretch.end, Stalled: maps.Clone(prev.Stalled)}
	if d.stretch.more {
		l.ahead(ctx, next)
	}
	return l.load(ctx, prev, next, d, func(e arbalest.EventName) bool { return l.only == nil || l.only[e] })
}

// retry loads what a stalled table lacks, a batch of it, and wakes it when it
// has come to the cursor of the others.
func (l *Loader) retry(ctx context.Context, prev Progress, table string, stall Stall) (Result, error) {
	wanted := func(e arbalest.EventName) bool { return e == stall.Event }
	s, err := l.gather(ctx, stall.Cursor, prev.Cursor, l.split, func(o arbalest.Object) bool { return wanted(o.Event) && l.takes(o) })
	if err != nil {
		return Result{}, err
	}
	s.rejected = nil // the books have them
	before := stall.Cursor
	next := Progress{Cursor: prev.Cursor, Stalled: maps.Clone(prev.Stalled)}
	if s.end == prev.Cursor {
		delete(next.Stalled, table)
	} else {
		stall.Cursor = s.end
		next.Stalled[table] = stall
	}
	result, err := l.load(ctx, prev, next, l.decodeAll(ctx, s), wanted)
	if still, ok := result.Progress.Stalled[table]; err == nil && ok && still.Cursor != before {
		delete(l.tried, table) // it moves: no need to wait
	}
	return result, err
}

// load gives what is decoded to the warehouse. Tables that cannot be loaded are
// stalled where they are, and hold up no other. What was erased of wanted events goes
// also of tables that are stalled.
func (l *Loader) load(ctx context.Context, prev, next Progress, d decoded, wanted func(arbalest.EventName) bool) (Result, error) {
	if d.err != nil {
		return Result{}, d.err
	}
	defer d.release()
	batch := Batch{Next: next, Rejected: d.stretch.rejected, Tables: d.tables}
	if seq := d.stretch.erasure; seq > 0 {
		var err error
		if batch.Removals, err = l.removals(ctx, seq, wanted); err != nil {
			return Result{}, err
		}
	}
	for _, f := range d.failed {
		l.stall(&batch.Next, prev, f.work.event, f.work.name(), f.err)
	}
	for {
		counts, err := l.into.Load(ctx, prev, batch)
		var one *TableError
		if errors.Is(err, arbalest.ErrBusy) && l.split >= maxSplit && len(batch.Tables) == 1 {
			// No batch is smaller: the table is too wide for the warehouse's memory.
			one = &TableError{batch.Tables[0].Table.Name, err}
			err = one
		}
		if !errors.As(err, &one) {
			if err != nil {
				return Result{}, fmt.Errorf("load up to commit %d: %w", batch.Next.Commit, err)
			}
			return resultOf(batch, counts), nil
		}
		i := slices.IndexFunc(batch.Tables, func(t TableBatch) bool { return t.Table.Name == one.Table })
		if i < 0 {
			return Result{}, err
		}
		l.stall(&batch.Next, prev, batch.Tables[i].Table.Event, one.Table, err)
		batch.Tables = slices.Delete(batch.Tables, i, i+1)
	}
}

// stall makes next say that a table stays where it was in prev.
func (l *Loader) stall(next *Progress, prev Progress, event arbalest.EventName, table string, why error) {
	s, ok := prev.Stalled[table]
	if !ok {
		s = Stall{Cursor: prev.Cursor, Event: event, Since: time.Now().UTC().Truncate(time.Millisecond)}
	}
	s.Reason = why.Error()
	if next.Stalled == nil {
		next.Stalled = map[string]Stall{}
	}
	next.Stalled[table] = s
	l.tried[table] = time.Now()
}

// isOneTables says of a decoding error that trying again at once is useless
// and that other tables need not suffer for it.
func isOneTables(err error) bool {
	for _, one := range []error{arbalest.ErrCorrupt, arbalest.ErrUnknown, arbalest.ErrInvalid, arbalest.ErrNewer, arbalest.ErrCold} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

func resultOf(b Batch, counts []Counts) Result {
	r := Result{Progress: b.Next}
	for i, t := range b.Tables {
		r.Tables = append(r.Tables, TableResult{t.Table.Name, counts[i]})
	}
	return r
}
