package load

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"arbalest"
)

// A Rebuild makes tables again beside the live ones, from the log's first object
// on, by the current definitions, and then puts them in their place. Live tables
// are loaded and asked meanwhile. What it has come to is in the warehouse
// (Warehouse.Beside), so that a Rebuild of the same tables and definitions goes on
// where another stopped. Its methods must not be called at once.
type Rebuild struct {
	live   Warehouse
	shadow Shadow
	loader *Loader // of the shadow
	tables []string
	part   Part
}

// Rebuild begins to make tables again, or a part of their hours, or goes on with it.
// tables are live ones and their events; nil is all there are. What a rebuild of
// others left is dropped.
//
// Of a part those objects are loaded that are of its hours and of the 24 on each
// side, so that its rows are what they would be in the whole table made again, as
// long as the live one has around them what it should have.
func (l *Loader) Rebuild(ctx context.Context, tables map[string]arbalest.EventName, part Part) (*Rebuild, error) {
	r := &Rebuild{live: l.warehouse, tables: slices.Sorted(maps.Keys(tables)), part: part}
	if err := part.check(len(tables)); err != nil {
		return nil, err
	}
	only := map[arbalest.EventName]bool{}
	for _, event := range tables {
		only[event] = true
	}
	if tables == nil {
		only = nil
	}
	plan, err := l.planOf(r.tables, only, part)
	if err != nil {
		return nil, err
	}
	if r.shadow, err = l.warehouse.Beside(ctx, plan); err != nil {
		return nil, fmt.Errorf("begin to rebuild: %w", err)
	}
	r.loader = newLoader(l.lake, r.shadow, l.opts)
	r.loader.bounded, r.loader.only, r.loader.part, r.loader.live = true, only, part, l.warehouse
	return r, nil
}

// planOf tells rebuilds apart: it names the tables and the hours and has a hash of the
// definitions that the configuration gives. Those that are inferred only grow, and
// tables with them.
func (l *Loader) planOf(tables []string, only map[arbalest.EventName]bool, part Part) (string, error) {
	var given []arbalest.Table
	for _, from := range []map[arbalest.EventName]arbalest.Table{l.declared, l.open} {
		for _, event := range slices.Sorted(maps.Keys(from)) {
			if only == nil || only[event] {
				given = append(given, from[event])
			}
		}
	}
	b, err := json.Marshal(given)
	if err != nil {
		return "", fmt.Errorf("encode definitions: %w", err)
	}
	what := "all"
	if only != nil {
		what = "tables " + strings.Join(tables, ",")
	}
	if !part.IsAll() {
		what += ", " + part.String()
	}
	return fmt.Sprintf("%s by %x", what, sha256.Sum256(b)), nil
}

// Once loads one batch beside the live tables, no further than these have come. It
// is idle when it has come there, or can go no further: Swap says so.
func (r *Rebuild) Once(ctx context.Context) (Result, error) {
	live, err := r.live.Progress(ctx)
	if err != nil {
		return Result{}, err
	}
	if err := r.holdsPart(live); err != nil {
		return Result{}, err
	}
	r.loader.until = live.Cursor
	return r.loader.Once(ctx)
}

// Ready holds that the tables could be swapped now. The error wraps
// arbalest.ErrExists if the live tables have come further, or are behind: load, and
// try again. It wraps arbalest.ErrUnavailable if a table could not be made.
func (r *Rebuild) Ready(ctx context.Context) error {
	p, err := r.shadow.Progress(ctx)
	if err != nil {
		return err
	}
	for _, table := range slices.Sorted(maps.Keys(p.Stalled)) {
		s := p.Stalled[table]
		return fmt.Errorf("%w: table %s cannot be made again, at commit %d: %s; the live tables are as they were: mend that, or rebuild others by their names", arbalest.ErrUnavailable, table, s.Commit+1, s.Reason)
	}
	live, err := r.live.Progress(ctx)
	if err != nil {
		return err
	}
	if err := r.holdsPart(live); err != nil {
		return err
	}
	return p.HoldsSwap(live)
}

// holdsPart holds that the live tables can have a part replaced.
func (r *Rebuild) holdsPart(live Progress) error {
	if r.part.IsAll() {
		return nil
	}
	return live.HoldsPart(r.tables...)
}

// Swap puts the tables, or their rows of the part, in the place of the live ones, in
// one transaction, or changes nothing. The errors are those of Ready.
func (r *Rebuild) Swap(ctx context.Context) error {
	if err := r.Ready(ctx); err != nil {
		return err
	}
	return r.live.Swap(ctx, r.part, r.tables...)
}
