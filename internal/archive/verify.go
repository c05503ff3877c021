// Package archive keeps the lake provable, and tables small.
//
// Verify compares the store with the warehouse, event by event. It stores nothing.
// What a table must have is computed from the objects that the log lists, by the
// same rule that load follows, and never from the journal; what the journal says is
// then checked too.
//
// Tiering makes the days of events that are past their retention leave their table,
// once it is proved that the store has them (decision 27), and Thaw makes what is
// frozen readable, so that days can come back by a rebuild. It stores the rows that left as Parquet:
//
//	_warm/<table>/day=<yyyy-MM-dd>/<identities>-<columns>.parquet   the rows of that day
//
// The commit point of a day is the warehouse's transaction (load.Tiers.Leave), which
// says where the rows are from then on. The object is there before; what it takes the
// place of is deleted after. A pass that dies leaves at most an object that nothing
// names, which the next pass that makes that day deletes.
package archive

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"arbalest"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// A Warehouse is what verifying needs of one.
type Warehouse interface {
	Progress(ctx context.Context) (load.Progress, error)
	// Rows yields the identity of every row of a table with event_time in
	// [from, to), in microseconds, and of those that left it. A table that does not
	// exist has none.
	Rows(ctx context.Context, table string, from, to int64, visit func(load.Row) error) error
	// Unloaded yields the id and time (microseconds) of every event that is
	// recorded as a load error and is not in the table.
	Unloaded(ctx context.Context, table string, visit func(id string, time int64) error) error
	// Books yields, for each event and hour, what the journal says.
	Books(ctx context.Context, visit func(load.Book) error) error
}

// Options are those of a verification.
type Options struct {
	// MaxEvents is how many events of one name are held in memory at once;
	// names that have more are read several times over. Defaults to 4,000,000,
	// about 400 MiB.
	MaxEvents int64
	// MaxFindings is how many findings of each kind are listed for a table;
	// all are counted. Defaults to 20.
	MaxFindings int
	// MaxHours is how many hours that differ are told of for a table. Defaults to
	// 1,000.
	MaxHours int
	// Table returns the definition of an event's table.
	Table func(context.Context, arbalest.EventName) (arbalest.Table, error)
	// Values is the warehouse, for every column's value to be compared with what the
	// stored event gives now. Defaults to nil: ids, times and hashes are compared.
	Values Values
	// Sample compares some partitions only. The zero Sample is all of them.
	Sample Sample
	// Advance is told of every object that was read. Defaults to nothing.
	Advance func(o arbalest.Object)
}

func (o Options) withDefaults() Options {
	if o.MaxEvents == 0 {
		o.MaxEvents = 4_000_000
	}
	if o.MaxFindings == 0 {
		o.MaxFindings = 20
	}
	if o.MaxHours == 0 {
		o.MaxHours = 1000
	}
	if o.Advance == nil {
		o.Advance = func(arbalest.Object) {}
	}
	return o
}

// Verify compares everything up to the warehouse's cursor, and looks at all else
// that is in the store. That something is wrong is in the report, not in the error.
//
// What is frozen is counted and named, and not looked at: that is no finding.
//
// It asks for every commit and every object that it reads, and unless it samples
// lists the store, which is a request for each 1,000 objects.
func Verify(ctx context.Context, l *lake.Lake, w Warehouse, opts Options) (Report, error) {
	opts = opts.withDefaults()
	progress, err := w.Progress(ctx)
	if err != nil {
		return Report{}, err
	}
	v := &verification{lake: l, warehouse: w, opts: opts, progress: progress, told: map[arbalest.Key]bool{}, frozen: map[arbalest.Key]bool{}}
	v.report = Report{Through: progress.Commit, Content: opts.Values != nil, Found: map[Kind]int64{}}
	if err := v.readLog(ctx); err != nil {
		return Report{}, fmt.Errorf("verify the log: %w", err)
	}
	if err := v.definitions(ctx); err != nil {
		return Report{}, err
	}
	if opts.Sample == (Sample{}) {
		err = v.list(ctx)
	} else {
		v.choose()
	}
	if err != nil {
		return Report{}, err
	}
	if err := v.erasures(ctx); err != nil {
		return Report{}, err
	}
	if err := v.rejected(ctx); err != nil {
		return Report{}, err
	}
	for _, e := range slices.Sorted(maps.Keys(v.log.byEvent)) {
		if err := v.table(ctx, e, v.log.byEvent[e]); err != nil {
			return Report{}, fmt.Errorf("verify %s: %w", e, err)
		}
	}
	if err := v.books(ctx); err != nil {
		return Report{}, fmt.Errorf("verify the books: %w", err)
	}
	return v.report, nil
}

// A verification is one Verify.
type verification struct {
	lake      *lake.Lake
	warehouse Warehouse
	opts      Options
	progress  load.Progress
	report    Report
	log       logbook
	chosen    map[arbalest.Partition]bool // by a sample; nil for all
	told      map[arbalest.Key]bool       // objects that there is a finding of, or that are listed as frozen
	frozen    map[arbalest.Key]bool       // objects of the log that are not to be read
}

// isDamage says of an error that it is what is looked for.
func isDamage(err error) bool {
	return errors.Is(err, arbalest.ErrUnknown) || errors.Is(err, arbalest.ErrCorrupt)
}

// freeze notes that an object of the log is not looked at, since what it is stored
// in is frozen.
func (v *verification) freeze(key, storedIn arbalest.Key, events int64) {
	if v.frozen[key] {
		return
	}
	v.frozen[key] = true
	if v.report.Frozen == nil {
		v.report.Frozen = &Frozen{}
	}
	f := v.report.Frozen
	f.Objects++
	f.Events += events
	if !v.told[storedIn] && len(f.Listed) < v.opts.MaxFindings {
		f.Listed = append(f.Listed, storedIn)
	}
	v.told[storedIn] = true
}

// either returns the kind for what is missing, or that for what is corrupt.
func either(err error, missing, corrupt Kind) Kind {
	if errors.Is(err, arbalest.ErrUnknown) {
		return missing
	}
	return corrupt
}

// definitions looks at the definitions of tables that were not declared.
func (v *verification) definitions(ctx context.Context) error {
	return v.lake.CheckDefinitions(ctx, func(table string, key arbalest.Key, err error) {
		v.find(nil, Finding{Kind: Definition, Table: table, Object: key, What: fmt.Sprintf("the definition of table %s: %v", table, err)})
	})
}

// erasures reads the records of erasures: without them nothing can be sorted.
func (v *verification) erasures(ctx context.Context) error {
	for _, seq := range v.log.erasures {
		_, err := v.lake.Erasure(ctx, seq)
		if err == nil {
			_, err = v.lake.Forgotten(ctx, seq)
		}
		switch {
		case isDamage(err):
			v.find(nil, Finding{Kind: Record, Commit: seq, What: fmt.Sprintf("what erasure %d erased: %v", seq, err)})
		case err != nil:
			return err
		}
	}
	return nil
}

// rejected looks at what commits rejected, of a sample at some.
func (v *verification) rejected(ctx context.Context) error {
	for _, c := range v.log.rejections {
		if !v.samples(c) {
			continue
		}
		err := v.lake.CheckRejected(ctx, c)
		switch {
		case errors.Is(err, arbalest.ErrCold):
			for _, key := range c.RejectedKeys {
				v.freeze(key, key, 0)
			}
		case isDamage(err):
			f := Finding{Kind: either(err, MissingRejected, CorruptRejected), Commit: c.Seq, What: fmt.Sprintf("what commit %d rejected: %v", c.Seq, err)}
			if len(c.RejectedKeys) == 1 {
				f.Object = c.RejectedKeys[0]
			}
			v.find(nil, f)
		case err != nil:
			return err
		}
	}
	return nil
}
