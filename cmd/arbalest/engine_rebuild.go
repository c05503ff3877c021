package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/load"
	"arbalest/internal/warehouse"
)

// Rebuild implements operator. The tables are made beside the live ones, a batch at
// a time, between which others work on the place.
func (e *engine) Rebuild(ctx context.Context, q rebuildRequest, show func(progress)) (report rebuildReport, err error) {
	if !e.rebuilding.TryLock() {
		return report, fmt.Errorf("%w: another rebuild is running: wait for it", arbalest.ErrBusy)
	}
	defer e.rebuilding.Unlock()
	start := time.Now()
	events, err := e.eventsOf(ctx, q.Tables)
	if err != nil {
		return report, err
	}
	part := q.part()
	if err := e.isFree(ctx, q.Into); err != nil {
		return report, err
	}
	r, err := e.loader.Rebuild(ctx, events, part)
	if err != nil {
		return report, err
	}
	b := &rebuilding{engine: e, Rebuild: r, part: part, report: rebuildReport{hours: q.hours}, tables: slices.Collect(maps.Keys(events)), diff: q.Diff, keep: q.Diff && !q.Swap, show: show, byTable: map[string]int{}}
	if err := b.measure(ctx); err != nil {
		return report, err
	}
	for !b.done {
		if err := b.once(ctx); err != nil {
			return b.report, err
		}
	}
	if b.keep {
		b.report.Seconds = time.Since(start).Seconds()
		return b.report, nil
	}
	e.work.Lock()
	defer e.work.Unlock()
	made := b.report
	synced, err := e.sync(ctx, show)
	made.Commits, made.Sorted, made.Rejected, made.Stalled = synced.Commits, synced.Sorted, synced.Rejected, synced.Stalled
	for _, t := range synced.Tables {
		made.add(b.byTable, t)
	}
	made.Seconds = time.Since(start).Seconds()
	return made, err
}

// isFree holds that nothing has a table's name yet. The swap holds it too, when all
// the work is done.
func (e *engine) isFree(ctx context.Context, table string) error {
	taken := false
	err := e.database.Query(ctx, "SELECT 1 FROM information_schema.tables WHERE table_name = $1", func([]any) error {
		taken = true
		return nil
	}, e.database.Dialect().Cut(table))
	if err == nil && taken {
		err = fmt.Errorf("%w: make table %s: there is one, or a view: choose another name, or drop it", arbalest.ErrInvalid, table)
	}
	return err
}

// A rebuilding is one Rebuild of an engine.
type rebuilding struct {
	*engine
	*load.Rebuild
	tables         []string // nil is all
	part           load.Part
	diff, keep     bool // say what differs; swap nothing
	show           func(progress)
	decoded, total int64 // events
	report         rebuildReport
	byTable        map[string]int // of the report's
	done           bool
}

// measure finds out how much there is to do, and what a rebuild before this one
// has done of it.
func (b *rebuilding) measure(ctx context.Context) error {
	where := " WHERE " + warehouse.Within("hour", b.part.Around())
	if len(b.tables) > 0 {
		names := make([]string, len(b.tables))
		for i, t := range b.tables {
			names[i] = warehouse.Literal(t)
		}
		where += " AND table_name IN (" + strings.Join(names, ", ") + ")"
	}
	for journal, n := range map[string]*int64{"journal" + where: &b.total, "rebuild_journal": &b.decoded} {
		err := b.database.Query(ctx, "SELECT CAST(sum(stored) AS BIGINT) FROM arbalest."+journal, func(v []any) error {
			*n, _ = v[0].(int64)
			return nil
		})
		if err := journalError(err); err != nil {
			return err
		}
	}
	return nil
}

// once loads a batch, or swaps. What others have to do on the place comes between
// two of it.
func (b *rebuilding) once(ctx context.Context) error {
	b.work.Lock()
	defer b.work.Unlock()
	result, err := b.Once(ctx)
	if err != nil {
		return err
	}
	for _, t := range result.Tables {
		b.report.add(b.byTable, t)
		b.decoded += t.Stored
	}
	b.show(progress{Stage: "rebuild", Done: b.decoded, Total: max(b.decoded, b.total), Unit: "events"})
	if !result.Idle {
		return nil
	}
	if err = b.Ready(ctx); err == nil && !b.part.IsAll() {
		err = b.recount(ctx)
	}
	if err == nil && b.diff {
		b.report.Diff, err = b.compare(ctx)
	}
	if err == nil && !b.keep {
		err = b.Swap(ctx)
	}
	if errors.Is(err, arbalest.ErrExists) {
		// The live tables have come further meanwhile, or have yet to come so far.
		return b.loadAll(ctx, &syncReport{}, func(progress) {})
	}
	b.done = err == nil
	b.report.Swapped = b.done && !b.keep
	return err
}

// recount counts what was made of the part alone: more was loaded.
func (b *rebuilding) recount(ctx context.Context) error {
	b.report.Tables, b.report.Counts = nil, load.Counts{}
	clear(b.byTable)
	query := fmt.Sprintf(`SELECT table_name, CAST(sum(stored) AS BIGINT), CAST(sum(loaded) AS BIGINT), CAST(sum(repeats) AS BIGINT), CAST(sum(conflicts) AS BIGINT), CAST(sum(errors) AS BIGINT)
		FROM arbalest.rebuild_journal WHERE table_name IS NOT NULL AND %s GROUP BY table_name ORDER BY table_name`, warehouse.Within("hour", b.part))
	return b.database.Query(ctx, query, func(v []any) error {
		var t load.TableResult
		t.Table, _ = v[0].(string)
		for i, n := range []*int64{&t.Stored, &t.Loaded, &t.Repeats, &t.Conflicts, &t.Errors} {
			*n, _ = v[1+i].(int64)
		}
		b.report.add(b.byTable, t)
		return nil
	})
}

// add adds what was loaded into a table.
func (r *syncReport) add(byTable map[string]int, t load.TableResult) {
	i, ok := byTable[t.Table]
	if !ok {
		i = len(r.Tables)
		byTable[t.Table] = i
		r.Tables = append(r.Tables, load.TableResult{Table: t.Table})
	}
	r.Tables[i].Counts.Add(t.Counts)
	r.Counts.Add(t.Counts)
}

// eventsOf returns the events of tables; nil for none. It refuses those that are not
// in the warehouse.
func (e *engine) eventsOf(ctx context.Context, tables []string) (map[string]arbalest.EventName, error) {
	if len(tables) == 0 {
		return nil, nil
	}
	known := map[string]arbalest.EventName{}
	p, err := e.warehouse.Progress(ctx)
	if err != nil {
		return nil, err
	}
	for table, s := range p.Stalled {
		known[table] = s.Event
	}
	there, err := e.warehouse.Tables(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range there {
		known[t.Name] = t.Event
	}
	events := map[string]arbalest.EventName{}
	for _, t := range tables {
		event, ok := known[t]
		if !ok {
			return nil, fmt.Errorf("%w: table %s: see the tables with arbalest status", arbalest.ErrUnknown, t)
		}
		events[t] = event
	}
	return events, nil
}
