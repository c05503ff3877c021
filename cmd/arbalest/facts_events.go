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
	"arbalest/internal/web"
)

// The pages read samples, so that what they cost does not grow with the lake.
const (
	sampledEvents = 1000
	sampledHours  = 500 // that have events, to look for as many in
	shownEvents   = 3
)

// rows asks the warehouse. Where nothing was ever loaded there is nothing.
func (f *facts) rows(ctx context.Context, sql string, visit func(values []any) error, args ...any) error {
	err := f.engine.database.Query(ctx, sql, visit, args...)
	if errors.Is(err, arbalest.ErrUnknown) {
		return nil
	}
	return err
}

// A journalLine is what the journal has of a table or an event.
type journalLine struct {
	stored, rejected, errors int64
	first, last              time.Time // hours that have events
	loaded                   time.Time
}

// journal sums the journal up by one of its columns.
func (f *facts) journal(ctx context.Context, by string) (map[string]journalLine, error) {
	lines := map[string]journalLine{}
	err := f.rows(ctx, fmt.Sprintf(`SELECT %s, CAST(sum(stored) AS BIGINT), CAST(sum(rejected) AS BIGINT), CAST(sum(errors) AS BIGINT),
		min(CASE WHEN stored > 0 THEN hour END), max(CASE WHEN stored > 0 THEN hour END), max(CASE WHEN stored > 0 THEN loaded_at END)
		FROM arbalest.journal WHERE %s IS NOT NULL GROUP BY 1`, by, by), func(v []any) error {
		var l journalLine
		name, _ := v[0].(string)
		l.stored, _ = v[1].(int64)
		l.rejected, _ = v[2].(int64)
		l.errors, _ = v[3].(int64)
		l.first, _ = v[4].(time.Time)
		l.last, _ = v[5].(time.Time)
		l.loaded, _ = v[6].(time.Time)
		lines[name] = l
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	return lines, nil
}

// Events implements web.Program.
func (f *facts) Events(ctx context.Context) ([]web.EventLine, error) {
	journal, err := f.journal(ctx, "event")
	if err != nil {
		return nil, err
	}
	rates := f.flow.rates()
	var lines []web.EventLine
	for _, name := range slices.Sorted(maps.Keys(journal)) {
		if name == "" {
			continue // they are on the page Rejected
		}
		lines = append(lines, f.eventLine(arbalest.EventName(name), journal[name], rates))
	}
	return lines, nil
}

func (f *facts) eventLine(name arbalest.EventName, j journalLine, rates map[arbalest.EventName]float64) web.EventLine {
	_, defined := f.engine.config.Events[string(name)]
	return web.EventLine{
		Name: name, PerSecond: rates[name], Stored: j.stored, Rejected: j.rejected,
		First: j.first, Last: j.last, Loaded: j.loaded, Defined: defined,
	}
}

// Event implements web.Program.
func (f *facts) Event(ctx context.Context, name arbalest.EventName) (web.EventDetail, error) {
	var d web.EventDetail
	if err := name.Validate(); err != nil {
		return d, fmt.Errorf("%w: event %q: the page Events has all", arbalest.ErrUnknown, name)
	}
	var j journalLine
	found := false
	err := f.rows(ctx, `SELECT CAST(sum(stored) AS BIGINT), CAST(sum(rejected) AS BIGINT), min(CASE WHEN stored > 0 THEN hour END), max(CASE WHEN stored > 0 THEN hour END),
		max(CASE WHEN stored > 0 THEN loaded_at END) FROM arbalest.journal WHERE event = $1`, func(v []any) error {
		j.stored, found = v[0].(int64)
		j.rejected, _ = v[1].(int64)
		j.first, _ = v[2].(time.Time)
		j.last, _ = v[3].(time.Time)
		j.loaded, _ = v[4].(time.Time)
		return nil
	}, string(name))
	if err != nil {
		return d, fmt.Errorf("read the journal: %w", err)
	}
	if !found {
		return d, fmt.Errorf("%w: event %s: the page Events has all", arbalest.ErrUnknown, name)
	}
	d.EventLine = f.eventLine(name, j, f.flow.rates())
	if d.Table, err = f.engine.loader.TableName(ctx, name); err != nil {
		return d, err
	}
	since, err := f.newest(ctx, name)
	if err != nil || j.stored == 0 {
		return d, err
	}
	s := &surveyed{objects: sampledObjects, keep: shownEvents}
	if err := s.read(ctx, f.engine.lake, f.engine.store, name, since, sampledEvents); err != nil {
		return d, err
	}
	d.Sampled, d.From, d.To = s.Events(), s.first.Time(), s.last.Time()
	for _, p := range s.Properties() {
		found := web.Property{Path: strings.Join(p.Column.Path, "."), Events: p.Events, Nulls: p.Nulls, Examples: p.Examples}
		if p.Column.Type.Kind != 0 {
			found.Type = p.Column.Type.String()
		}
		d.Properties = append(d.Properties, found)
	}
	for _, line := range s.newest {
		d.Examples = append(d.Examples, string(line))
	}
	return d, f.define(ctx, &d, s)
}

// newest returns the hour from which on a sample of events of a name is, so that
// no more of the store is listed.
func (f *facts) newest(ctx context.Context, name arbalest.EventName) (since time.Time, err error) {
	events := int64(0)
	err = f.rows(ctx, fmt.Sprintf(`SELECT hour, CAST(sum(stored) AS BIGINT) FROM arbalest.journal WHERE event = $1 AND stored > 0 GROUP BY hour ORDER BY hour DESC LIMIT %d`, sampledHours), func(v []any) error {
		n, _ := v[1].(int64)
		if hour, ok := v[0].(time.Time); ok && events < sampledEvents {
			since = hour
		}
		events += n
		return nil
	}, string(name))
	if err != nil {
		return since, fmt.Errorf("find the newest hours: %w", err)
	}
	return since, nil
}

// define adds what the event's definition says, and where the sample differs
// from it.
func (f *facts) define(ctx context.Context, d *web.EventDetail, s *surveyed) error {
	if !d.Defined {
		return nil
	}
	c := f.engine.config
	def, err := c.definition(string(d.Name))
	if err != nil {
		return err
	}
	diff := differ(def, s)
	w := &web.Definition{Place: c.sources[string(d.Name)].place(string(d.Name)), Absent: diff.Absent}
	var contract []string
	if def.Contract.Columns != "" {
		contract = append(contract, "columns: "+string(def.Contract.Columns))
	}
	if def.Contract.DataType != "" {
		contract = append(contract, "data_type: "+string(def.Contract.DataType))
	}
	w.Contract = strings.Join(contract, ", ")
	for _, x := range diff.Discarded {
		w.Taken = append(w.Taken, web.Misfit{Path: strings.Join(x.Path, "."), Reason: x.Reason, Events: x.Events, Example: string(x.Example)})
	}
	misfits, err := loadErrors(ctx, f.engine, def, time.Now().AddDate(0, 0, -7))
	if err != nil && !errors.Is(err, arbalest.ErrUnknown) {
		return err
	}
	for _, m := range misfits {
		w.LoadErrors = append(w.LoadErrors, web.Misfit{Path: m.Column, Reason: m.Reason, Events: m.Count, Example: m.Example})
	}
	columns, required := map[string]string{}, map[string]bool{}
	for _, col := range def.Columns {
		columns[strings.Join(col.Path, ".")] = col.Type.String()
	}
	for _, path := range def.Required {
		required[strings.Join(path, ".")] = true
	}
	unknown := map[string]bool{}
	for _, p := range diff.Unknown {
		unknown[strings.Join(p.Path, ".")] = true
	}
	for i := range d.Properties {
		p := &d.Properties[i]
		p.Defined, p.Required, p.Unknown = columns[p.Path], required[p.Path], unknown[p.Path]
	}
	d.Definition = w
	return nil
}

// stalledReason is why a table is not loaded at present; empty if it is.
func stalledReason(p load.Progress, table string) string {
	if s, ok := p.Stalled[table]; ok {
		return fmt.Sprintf("since %s, at commit %d: %s", s.Since.UTC().Format(time.DateTime), s.Commit, s.Reason)
	}
	return ""
}
