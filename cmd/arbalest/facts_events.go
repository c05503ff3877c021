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
	"arbalest/internal/web"
)

// The pages read samples, so that what they cost does not grow with the lake.
const (
	sampledEvents = 1000
	shownEvents   = 3
)

// Events implements web.Program. What is not loaded yet is not among them: to see
// it, landing is read.
func (f *facts) Events(ctx context.Context) ([]web.EventLine, error) {
	journal, err := f.engine.journaled(ctx, dayBefore(time.Now()))
	if err != nil {
		return nil, err
	}
	delete(journal, "") // they are on the page Rejected
	rates := f.flow.rates()
	var lines []web.EventLine
	for _, name := range slices.Sorted(maps.Keys(journal)) {
		lines = append(lines, f.eventLine(journal[name], rates))
	}
	return lines, nil
}

func (f *facts) eventLine(l *eventLine, rates map[arbalest.EventName]float64) web.EventLine {
	_, defined := f.engine.config.Events[string(l.Event)]
	return web.EventLine{
		Name: l.Event, Table: l.Table, PerSecond: rates[l.Event], Stored: l.Stored, Rejected: l.Rejected,
		First: l.First, Last: l.Last, Loaded: l.LoadedAt, Defined: defined,
	}
}

// Event implements web.Program.
func (f *facts) Event(ctx context.Context, name arbalest.EventName) (web.EventDetail, error) {
	var d web.EventDetail
	journal, err := f.engine.journaled(ctx, dayBefore(time.Now()))
	if err != nil {
		return d, err
	}
	l := journal[name]
	if l == nil || name == "" {
		return d, fmt.Errorf("%w: event %s: the page Events has all", arbalest.ErrUnknown, name)
	}
	d.EventLine = f.eventLine(l, f.flow.rates())
	if l.Stored == 0 {
		return d, nil
	}
	s, err := f.engine.sample(ctx, *l, eventRequest{Examples: shownEvents, Sample: sampledEvents})
	if err != nil {
		return d, err
	}
	d.Sampled, d.From, d.To = s.Events(), s.first.Time(), s.last.Time()
	for _, p := range s.Properties() {
		found := foundOf(p, true)
		d.Properties = append(d.Properties, web.Property{Path: strings.Join(found.Path, "."), Type: found.Type, Events: p.Events, Nulls: p.Nulls, Examples: p.Examples})
	}
	for _, line := range s.newest {
		d.Examples = append(d.Examples, string(line))
	}
	return d, f.define(ctx, &d, s)
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
