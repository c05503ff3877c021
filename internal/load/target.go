package load

import (
	"context"
	"errors"
	"fmt"

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
		if table, err = l.lake.Table(ctx, event); err != nil {
			return nil, fmt.Errorf("find table of %s: %w", event, err)
		}
	}
	return l.setTarget(table), nil
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
