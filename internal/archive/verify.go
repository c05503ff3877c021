// Package archive keeps the lake provable: it compares the store with the
// warehouse, event by event.
//
// It stores nothing. What a table must have is computed from the objects that
// the log lists, by the same rule that load follows, and never from the
// journal; what the journal says is then checked too.
package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"arbalest"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// A Warehouse is what verifying needs of one.
type Warehouse interface {
	Progress(ctx context.Context) (load.Progress, error)
	// Rows yields the identity of every row of a table with event_time in
	// [from, to), in microseconds. A table that does not exist has none.
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
	// Table returns the name of an event's table.
	Table func(context.Context, arbalest.EventName) (string, error)
	// Advance is told of every object that was read. Defaults to nothing.
	Advance func(o arbalest.Object)
}

// A Kind says how store and warehouse differ.
type Kind string

// The kinds of findings.
const (
	Missing   Kind = "missing"   // stored, but not in the table nor in the load errors
	Extra     Kind = "extra"     // in the table, but not stored
	Changed   Kind = "changed"   // in the table with another hash or time than stored
	Duplicate Kind = "duplicate" // in the table twice
	Object    Kind = "object"    // an object is missing or is not what its commit says
	Journal   Kind = "journal"   // the books do not say what is there
)

// A Finding is one difference.
type Finding struct {
	Kind  Kind               `json:"kind"`
	Event arbalest.EventName `json:"event,omitempty"`
	Table string             `json:"table,omitempty"`
	Hour  string             `json:"hour,omitempty"`
	What  string             `json:"what"`
}

// A TableReport is what was found of one event's table.
type TableReport struct {
	Event    arbalest.EventName `json:"event"`
	Table    string             `json:"table"`
	Stored   int64              `json:"stored"`   // lines in the store
	Distinct int64              `json:"distinct"` // events, less repeats
	Errors   int64              `json:"errors"`   // of those, recorded as load errors
	Rows     int64              `json:"rows"`     // in the warehouse
	Findings map[Kind]int64     `json:"findings"` // how many of each
}

// A Report is what a verification found.
type Report struct {
	Through  arbalest.Seq  `json:"through"` // the last commit that was looked at
	Objects  int64         `json:"objects"`
	Tables   []TableReport `json:"tables"`
	Findings []Finding     `json:"findings"` // at most MaxFindings of each kind and table
}

// Err returns nil, or an error that wraps arbalest.ErrDiffers.
func (r Report) Err() error {
	if len(r.Findings) == 0 {
		return nil
	}
	f := r.Findings[0]
	if f.Kind == Object && f.Table == "" {
		return fmt.Errorf("%w: %s: %s; a copy of the store may have what is missing", arbalest.ErrDiffers, f.Kind, f.What)
	}
	return fmt.Errorf("%w: %s: %s; run arbalest rebuild %s to make the table again from the store", arbalest.ErrDiffers, f.Kind, f.What, f.Table)
}

// Verify compares everything up to the warehouse's cursor. That they differ is
// in the report, not in the error.
func Verify(ctx context.Context, l *lake.Lake, w Warehouse, opts Options) (Report, error) {
	if opts.MaxEvents == 0 {
		opts.MaxEvents = 4_000_000
	}
	if opts.MaxFindings == 0 {
		opts.MaxFindings = 20
	}
	if opts.Advance == nil {
		opts.Advance = func(arbalest.Object) {}
	}
	progress, err := w.Progress(ctx)
	if err != nil {
		return Report{}, err
	}
	v := verification{lake: l, warehouse: w, opts: opts, report: Report{Through: progress.Commit}}
	byEvent, err := v.objects(ctx, progress)
	if err != nil {
		return Report{}, err
	}
	events := make([]arbalest.EventName, 0, len(byEvent))
	for e := range byEvent {
		events = append(events, e)
	}
	slices.Sort(events)
	for _, e := range events {
		if err := v.table(ctx, e, byEvent[e]); err != nil {
			return Report{}, fmt.Errorf("verify %s: %w", e, err)
		}
	}
	if err := v.books(ctx, byEvent); err != nil {
		return Report{}, fmt.Errorf("verify the books: %w", err)
	}
	return v.report, nil
}

type verification struct {
	lake      *lake.Lake
	warehouse Warehouse
	opts      Options
	report    Report
}

// objects returns the objects that are loaded, by event, in log order. A gap in
// the log is a finding.
func (v *verification) objects(ctx context.Context, p load.Progress) (map[arbalest.EventName][]arbalest.Object, error) {
	byEvent := map[arbalest.EventName][]arbalest.Object{}
	stalls := map[arbalest.EventName]load.Cursor{}
	for _, s := range p.Stalled {
		stalls[s.Event] = s.Cursor
	}
	for seq := arbalest.Seq(1); seq <= p.Commit+1; seq++ {
		if seq == p.Commit+1 && p.Objects == 0 {
			break
		}
		c, err := v.lake.Commit(ctx, seq)
		if errors.Is(err, arbalest.ErrUnknown) || errors.Is(err, arbalest.ErrCorrupt) {
			v.find(nil, Finding{Kind: Object, What: err.Error()})
			continue
		}
		if err != nil {
			return nil, err
		}
		switch err := v.lake.CheckRejected(ctx, c); {
		case errors.Is(err, arbalest.ErrUnknown) || errors.Is(err, arbalest.ErrCorrupt):
			v.find(nil, Finding{Kind: Object, What: "what was rejected: " + err.Error()})
		case err != nil:
			return nil, err
		}
		for i, o := range c.Objects {
			end := p.Cursor
			if s, ok := stalls[o.Event]; ok {
				end = s
			}
			if seq <= end.Commit || seq == end.Commit+1 && i < end.Objects {
				byEvent[o.Event] = append(byEvent[o.Event], o)
			}
		}
	}
	return byEvent, nil
}

// find counts a finding and lists it, unless there are enough of its kind.
func (v *verification) find(t *TableReport, f Finding) {
	n := int64(0)
	if t != nil {
		f.Event, f.Table = t.Event, t.Table
		t.Findings[f.Kind]++
		n = t.Findings[f.Kind]
	}
	if n <= int64(v.opts.MaxFindings) {
		v.report.Findings = append(v.report.Findings, f)
	}
}
