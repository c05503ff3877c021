package load

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"arbalest"
	"arbalest/internal/decode"
)

// A target is a table's definition, and its decoder.
type target struct {
	table   arbalest.Table
	decoder *decode.Decoder
}

// target returns the table of an event: the declared one, else that of the
// lake's definitions, which it reads once.
func (l *Loader) target(ctx context.Context, event arbalest.EventName) (*target, error) {
	l.mu.Lock()
	t := l.tables[event]
	l.mu.Unlock()
	if t != nil {
		return t, nil
	}
	table, declared := l.declared[event]
	if !declared {
		var err error
		if given, ok := l.open[event]; ok {
			table, err = l.opened(ctx, given)
		} else {
			table, err = l.lake.Table(ctx, event)
		}
		if err != nil {
			return nil, fmt.Errorf("find table of %s: %w", event, err)
		}
	}
	return l.setTarget(table), nil
}

// opened returns a table whose given columns come first, and after them those
// that were inferred beside them. An inferred column gives way to a given one of
// its property or name.
func (l *Loader) opened(ctx context.Context, given arbalest.Table) (arbalest.Table, error) {
	stored, err := l.lake.Definition(ctx, given.Name)
	if err != nil {
		return given, err
	}
	if stored.Version > 0 && stored.Event != given.Event {
		return given, fmt.Errorf("%w: table %s is that of %s: give it another name under \"table\"", arbalest.ErrInvalid, given.Name, stored.Event)
	}
	given.Version = stored.Version
	given.Columns = slices.Clone(given.Columns)
	declared := len(given.Columns)
	for i := range given.Columns {
		given.Columns[i].Declared = true
	}
	for _, c := range stored.Columns {
		if !c.Declared && !slices.ContainsFunc(given.Columns[:declared], func(d arbalest.Column) bool {
			return d.Name == c.Name || slices.Equal(d.Path, c.Path)
		}) {
			given.Columns = append(given.Columns, c)
		}
	}
	return given, nil
}

func (l *Loader) setTarget(table arbalest.Table) *target {
	t := &target{table, decode.NewDecoder(table)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tables[table.Event] = t
	return t
}

// evolve stores a definition that has room for what chunks have and the table
// lacks. It returns nil if the definition need not change.
func (l *Loader) evolve(ctx context.Context, t *target, chunks []*decode.Chunk) (*target, error) {
	if t.table.Declared {
		return nil, nil
	}
	var novelties []*decode.Novelty
	for _, c := range chunks {
		if c.Novelty != nil {
			novelties = append(novelties, c.Novelty)
		}
	}
	table, changed := t.table, t.table.Version == 0
	if len(novelties) > 0 {
		var more bool
		table, more = decode.Evolve(t.table, novelties)
		changed = changed || more
	}
	if !changed {
		return nil, nil
	}
	table.Version = t.table.Version + 1
	err := l.lake.SaveTable(ctx, table)
	if errors.Is(err, arbalest.ErrExists) {
		// Another loader was first: decode by its definition, which may need
		// more still.
		l.mu.Lock()
		delete(l.tables, t.table.Event)
		l.mu.Unlock()
		return l.target(ctx, t.table.Event)
	}
	if err != nil {
		return nil, fmt.Errorf("store definition of %s: %w", table.Name, err)
	}
	return l.setTarget(table), nil
}
