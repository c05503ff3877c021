package load

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"arbalest"
)

// A Removal is what a batch takes out of a table: what an erasure erased.
type Removal struct {
	Commit arbalest.Seq // the erasure
	Event  arbalest.EventName
	Table  string
	// IDs are of events that are in the table, or among its load errors, at times of
	// Spans; what was in conflict with those goes whatever its time. Of times in Whole
	// all events go.
	IDs          []string
	Spans, Whole []Span
}

// removals returns what an erasure takes out of the tables of events that are wanted,
// which are loaded up to its commit.
func (l *Loader) removals(ctx context.Context, seq arbalest.Seq, wanted func(arbalest.EventName) bool) ([]Removal, error) {
	record, err := l.lake.Erasure(ctx, seq)
	if err != nil {
		return nil, fmt.Errorf("read the record of erasure %d: %w", seq, err)
	}
	forgotten, err := l.lake.Forgotten(ctx, seq)
	if err != nil {
		return nil, err
	}
	byEvent := map[arbalest.EventName]*Removal{}
	of := func(d arbalest.EventDay) *Removal {
		r := byEvent[d.Event]
		if r == nil {
			r = &Removal{Commit: seq, Event: d.Event, Table: d.Event.Table()}
			byEvent[d.Event] = r
		}
		return r
	}
	for _, d := range record.Days {
		r := of(d)
		r.Spans = append(r.Spans, daySpan(d.Day))
	}
	for _, d := range record.Whole {
		r := of(d)
		r.Whole = append(r.Whole, daySpan(d.Day))
	}
	var all []Removal
	for _, event := range slices.Sorted(maps.Keys(byEvent)) {
		if !wanted(event) {
			continue
		}
		r := byEvent[event]
		if t, err := l.target(ctx, event); err == nil {
			r.Table = t.table.Name
		} else if !isOneTables(err) {
			return nil, err
		}
		r.Spans, r.Whole = joinSpans(r.Spans), joinSpans(r.Whole)
		ids := map[string]bool{}
		name := []byte(event)
		look := func(id string) {
			if id != "" && !ids[id] && forgotten.HasID(name, id) {
				ids[id] = true
			}
		}
		for _, s := range r.Spans {
			if err := l.into.Rows(ctx, r.Table, s.From, s.To, func(row Row) error { look(row.ID); return nil }); err != nil {
				return nil, err
			}
		}
		if err := l.into.Unloaded(ctx, r.Table, func(id string, _ int64) error { look(id); return nil }); err != nil {
			return nil, err
		}
		r.IDs = slices.Sorted(maps.Keys(ids))
		all = append(all, *r)
	}
	return all, nil
}

// daySpan returns a day's times. One that is not of the years 1 to 9999 has none:
// erasures have listed days beside the first.
func daySpan(day arbalest.Hour) Span {
	return Span{HourMicro(max(day, arbalest.FirstHour)), HourMicro(min(day+24, arbalest.EndHour))}
}

// joinSpans joins spans that follow each other, and leaves empty ones out.
func joinSpans(spans []Span) (joined []Span) {
	spans = slices.DeleteFunc(spans, func(s Span) bool { return s.From >= s.To })
	slices.SortFunc(spans, func(a, b Span) int { return cmp.Compare(a.From, b.From) })
	for _, s := range spans {
		if n := len(joined); n > 0 && joined[n-1].To >= s.From {
			joined[n-1].To = max(joined[n-1].To, s.To)
			continue
		}
		joined = append(joined, s)
	}
	return joined
}

// A Remover is the transaction that a Removal is made in. Its SQL is what DuckDB,
// PostgreSQL and Redshift have in common; arguments are strings.
type Remover interface {
	// Hours runs a SELECT of hours and counts.
	Hours(sql string, args ...any) (map[arbalest.Hour]int64, error)
	// Change runs a DELETE or an UPDATE.
	Change(sql string, args ...any) error
}

// maxIDs is how many ids one statement names.
const maxIDs = 500

// Remove deletes rows, and what schema arbalest has of their events: load errors,
// conflicts, and of a live table the identities of what left it. The journal notes how
// many, as rows that were loaded once less. from names the table in SQL, and is empty
// if it is not there; book names one of schema arbalest's. left says that warm objects
// have what was erased: they are stale.
func (r Removal) Remove(tx Remover, from string, book func(string) string, j *Journal) (left bool, err error) {
	loaded, failed, archived := map[arbalest.Hour]int64{}, map[arbalest.Hour]int64{}, map[arbalest.Hour]int64{}
	add := func(to map[arbalest.Hour]int64, table, where string, args []any) error {
		hours, err := tx.Hours(fmt.Sprintf("SELECT date_trunc('hour', event_time), count(*) FROM %s WHERE %s GROUP BY date_trunc('hour', event_time)", table, where), args...)
		for h, n := range hours {
			to[h] += n
		}
		return err
	}
	remove := func(where string, args []any) error {
		if from != "" {
			if err := add(loaded, from, where, args); err != nil {
				return err
			}
			if err := tx.Change("DELETE FROM "+from+" WHERE "+where, args...); err != nil {
				return err
			}
		}
		args = append(args, LiveName(r.Table))
		where += fmt.Sprintf(" AND table_name = $%d", len(args))
		if err := add(failed, book("load_errors"), where+" AND NOT loaded", args); err != nil {
			return err
		}
		books := []string{"load_errors", "conflicts"}
		if LiveName(r.Table) == r.Table {
			if err := add(archived, book(ArchivedBook), where, args); err != nil {
				return err
			}
			books = append(books, ArchivedBook)
		}
		for _, b := range books {
			if err := tx.Change("DELETE FROM "+book(b)+" WHERE "+where, args...); err != nil {
				return err
			}
		}
		return nil
	}
	for ids := range slices.Chunk(r.IDs, maxIDs) {
		var args []any
		marks := make([]string, len(ids))
		for i, id := range ids {
			args = append(args, id)
			marks[i] = fmt.Sprintf("$%d", i+1)
		}
		named := fmt.Sprintf("event_id IN (%s)", strings.Join(marks, ", "))
		if err := remove(named+" AND ("+within(r.Spans)+")", args); err != nil {
			return false, err
		}
		// One that was in conflict with a row may be of another day, which has no row of it.
		args = append(args, LiveName(r.Table))
		if err := tx.Change(fmt.Sprintf("DELETE FROM %s WHERE %s AND table_name = $%d", book("conflicts"), named, len(args)), args...); err != nil {
			return false, err
		}
	}
	if len(r.Whole) > 0 {
		if err := remove("("+within(r.Whole)+")", nil); err != nil {
			return false, err
		}
	}
	days := map[arbalest.Hour]int64{}
	for h, n := range archived {
		loaded[h] += n
		days[h.Day()] += n
	}
	for _, d := range slices.Sorted(maps.Keys(days)) {
		err := tx.Change(fmt.Sprintf("UPDATE %s SET left_rows = left_rows - %d, stale = TRUE WHERE table_name = $1 AND day = TIMESTAMP '%s'", book("days"), days[d], d.Time().Format(time.DateTime)), r.Table)
		if err != nil {
			return false, err
		}
	}
	j.removed(r, loaded, failed)
	return len(days) > 0, nil
}

// within is a condition on event times. It names the last of a span, not the one
// after it: that of the year 9999 has none that SQL can spell.
func within(spans []Span) string {
	if len(spans) == 0 {
		return "FALSE"
	}
	parts := make([]string, len(spans))
	spell := func(us int64) string { return time.UnixMicro(us).UTC().Format("2006-01-02 15:04:05.000000") }
	for i, s := range spans {
		parts[i] = fmt.Sprintf("event_time BETWEEN TIMESTAMP '%s' AND TIMESTAMP '%s'", spell(s.From), spell(s.To-1))
	}
	return strings.Join(parts, " OR ")
}
