package duckdb

import (
	"context"
	"fmt"

	"arbalest"
	"arbalest/internal/load"
)

// Reset drops tables with their journal, load errors and conflicts, and sets
// their cursors before the log's first object, so that the next loads make them
// again: reason "rebuild" in Progress.Stalled. With no names it drops all tables
// that Load made, and the books and the cursor with them. The error wraps
// arbalest.ErrUnknown if the warehouse never heard of a table, and
// arbalest.ErrExists if a loader wrote at the same time.
func (w *Warehouse) Reset(ctx context.Context, tables ...string) error {
	return w.reset(ctx, func(tx *transaction) error {
		have, err := tx.progress()
		if err != nil {
			return err
		}
		if len(tables) == 0 {
			if err := tx.clear(have); err != nil {
				return err
			}
			return tx.advance(have, load.Progress{})
		}
		events, err := tx.events(have)
		if err != nil {
			return err
		}
		next, err := have.Reset(tables, events, tx.resetTable)
		if err != nil {
			return err
		}
		return tx.advance(have, next)
	})
}

// reset runs do in a transaction that may change tables which Load knows.
func (w *Warehouse) reset(ctx context.Context, do func(*transaction) error) error {
	release, err := w.hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	w.known = nil
	w.recent.forget()
	if err := w.transact(ctx, do); err != nil {
		return err
	}
	w.relieve(ctx)
	return nil
}

// events returns the events of the tables that the warehouse has heard of: it
// made them, or they stalled before it could.
func (tx *transaction) events(p load.Progress) (map[string]arbalest.EventName, error) {
	events := map[string]arbalest.EventName{}
	for table, s := range p.Stalled {
		events[table] = s.Event
	}
	err := tx.each(func(scan func(...any) error) error {
		var table, event string
		if err := scan(&table, &event); err != nil {
			return err
		}
		events[table] = arbalest.EventName(event)
		return nil
	}, `SELECT DISTINCT table_name, event FROM arbalest.tables UNION SELECT DISTINCT table_name, event FROM arbalest.journal WHERE table_name IS NOT NULL`)
	if err != nil {
		return nil, fmt.Errorf("read tables: %w", err)
	}
	return events, nil
}

func (tx *transaction) resetTable(table string) error {
	for _, book := range tableBooks() {
		if err := tx.exec("DELETE FROM "+tx.book(book)+" WHERE table_name = ?", table); err != nil {
			return err
		}
	}
	return tx.dropTable(table)
}

// dropTable drops an event's table with the view that shows it. A view that has the
// table's name itself kept it from being made.
func (tx *transaction) dropTable(table string) error {
	there, err := tx.relations()
	if err != nil || there[table] == nil || there[table].isView {
		return err
	}
	if err := tx.exec("DROP TABLE " + tableName(table)); err != nil {
		return err
	}
	return tx.showAgain(table)
}

// clear drops all tables that Load made, and empties the books.
func (tx *transaction) clear(have load.Progress) error {
	events, err := tx.events(have)
	if err != nil {
		return err
	}
	for table := range events {
		if err := tx.dropTable(table); err != nil {
			return fmt.Errorf("reset %s: %w", table, err)
		}
	}
	for _, book := range tableBooks() {
		if err := tx.exec("DELETE FROM " + tx.book(book)); err != nil {
			return fmt.Errorf("reset %s: %w", tx.book(book), err)
		}
	}
	return nil
}
