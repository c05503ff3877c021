package warehouse

import (
	"context"
	"crypto/rand"
	"fmt"

	"arbalest"
	"arbalest/internal/load"
)

// Reset drops tables with their journal, load errors and conflicts, and sets
// their cursors before the log's first object, so that the next loads make them
// again: reason "rebuild" in Progress.Stalled. With no names it drops all tables
// that Load made, and the books and the cursor with them. The error wraps
// arbalest.ErrUnknown if the warehouse never heard of a table.
func (w *Warehouse) Reset(ctx context.Context, tables ...string) error {
	return w.change(ctx, func(l *loading) error {
		have, _, err := l.cursor()
		if err != nil {
			return err
		}
		token := "reset " + rand.Text() // so that a load that is tried again does not take this cursor for its own
		if len(tables) == 0 {
			if err := l.clear(have); err != nil {
				return err
			}
			return l.advance(have, load.Progress{}, token)
		}
		events, err := l.events(have)
		if err != nil {
			return err
		}
		next, err := have.Reset(tables, events, l.resetTable)
		if err != nil {
			return err
		}
		return l.advance(have, next, token)
	})
}

// change runs do in a transaction in which nobody else loads.
func (w *Warehouse) change(ctx context.Context, do func(*loading) error) error {
	if err := w.makeBooks(ctx); err != nil {
		return err
	}
	err := w.db.Transact(ctx, loadLock, func(tx Tx) error { return do(&loading{ctx: ctx, tx: tx, dialect: w.db.Dialect()}) })
	if err != nil {
		w.forget(err)
	}
	return err
}

// events returns the events of the tables that the warehouse has heard of: it
// made them, or they stalled before it could.
func (l *loading) events(p load.Progress) (map[string]arbalest.EventName, error) {
	events := map[string]arbalest.EventName{}
	for table, s := range p.Stalled {
		events[table] = s.Event
	}
	err := l.tx.Query(l.ctx, `SELECT table_name, event FROM arbalest.tables UNION SELECT table_name, event FROM arbalest.journal WHERE table_name IS NOT NULL`, func(v []any) error {
		table, _ := v[0].(string)
		event, _ := v[1].(string)
		events[table] = arbalest.EventName(event)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read tables: %w", err)
	}
	return events, nil
}

func (l *loading) resetTable(table string) error {
	if err := l.drop(table); err != nil {
		return err
	}
	for _, book := range tableBooks() {
		if err := l.exec("DELETE FROM "+l.book(book)+" WHERE table_name = $1", table); err != nil {
			return err
		}
	}
	return nil
}

// drop drops an event's table, and the views of models on it that would keep it.
func (l *loading) drop(table string) error {
	for _, s := range append(l.dialect.Unbind(eventSchema, l.dialect.Cut(table)), "DROP TABLE IF EXISTS "+l.tableName(table)) {
		if err := l.exec(s); err != nil {
			return err
		}
	}
	return nil
}

// bookedTables are the books that have rows of tables.
var bookedTables = [...]string{"journal", "load_errors", "conflicts", "erased", "tables"}

// tableBooks are the books of live tables: those, and what is known of what left.
func tableBooks() []string {
	books := bookedTables[:]
	for _, l := range load.TierBooks() {
		books = append(books, l.Table)
	}
	return books
}

// clear drops all tables that Load made, and empties the books.
func (l *loading) clear(have load.Progress) error {
	events, err := l.events(have)
	if err != nil {
		return err
	}
	for table := range events {
		if err := l.drop(table); err != nil {
			return fmt.Errorf("reset %s: %w", table, err)
		}
	}
	for _, book := range tableBooks() {
		if err := l.exec("DELETE FROM " + l.book(book)); err != nil {
			return fmt.Errorf("reset %s: %w", l.book(book), err)
		}
	}
	return nil
}
