package duckdb

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"arbalest"
	"arbalest/internal/load"
)

// Progress reads the cursor.
func (w *Warehouse) Progress(ctx context.Context) (load.Progress, error) {
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return load.Progress{}, fmt.Errorf("read cursor: %w", loadError(ctx, err))
	}
	defer conn.Close()
	return (&transaction{ctx, ctx.Err, conn, "", w.warm}).progress()
}

func (tx *transaction) progress() (p load.Progress, err error) {
	err = tx.each(func(scan func(...any) error) error {
		var table, event, reason sql.NullString
		var since sql.NullTime
		var c load.Cursor
		if err := scan(&table, &c.Commit, &c.Objects, &event, &since, &reason); err != nil {
			return err
		}
		if !table.Valid {
			p.Cursor = c
			return nil
		}
		if p.Stalled == nil {
			p.Stalled = map[string]load.Stall{}
		}
		p.Stalled[table.String] = load.Stall{Cursor: c, Event: arbalest.EventName(event.String), Since: since.Time, Reason: reason.String}
		return nil
	}, `SELECT table_name, "commit", objects, event, since, reason FROM `+tx.book("cursor"))
	if err != nil {
		return p, fmt.Errorf("read cursor: %w", err)
	}
	return p, nil
}

// advance moves the cursor from prev to next, before anything else is written:
// of two transactions that update the same row DuckDB fails the second at
// once. The error wraps arbalest.ErrExists if the cursor is elsewhere.
func (tx *transaction) advance(prev, next load.Progress) error {
	have, err := tx.progress()
	if err != nil {
		return err
	}
	if !have.SamePlace(prev) {
		return fmt.Errorf("%w: cursor is at commit %d and %d objects, not at %d and %d", arbalest.ErrExists,
			have.Commit, have.Objects, prev.Commit, prev.Objects)
	}
	n, err := tx.count(`UPDATE `+tx.book("cursor")+` SET "commit" = ?, objects = ? WHERE table_name IS NULL`, int64(next.Commit), int64(next.Objects))
	if err != nil {
		return fmt.Errorf("move cursor: %w", err)
	}
	if n != 1 {
		return fmt.Errorf("%w: %s has %d rows without a table_name, not one", arbalest.ErrCorrupt, tx.book("cursor"), n)
	}
	return tx.stall(have.Stalled, next.Stalled)
}

// stall writes the cursors of tables that have their own.
func (tx *transaction) stall(have, want map[string]load.Stall) error {
	for table, s := range have {
		if t, ok := want[table]; ok && t == s {
			continue
		}
		if err := tx.exec(`DELETE FROM `+tx.book("cursor")+` WHERE table_name = ?`, table); err != nil {
			return fmt.Errorf("move cursor of %s: %w", table, err)
		}
	}
	for table, s := range want {
		if t, ok := have[table]; ok && t == s {
			continue
		}
		err := tx.exec(`INSERT INTO `+tx.book("cursor")+` VALUES (?, ?, ?, ?, make_timestamp(?), ?)`,
			table, int64(s.Commit), int64(s.Objects), string(s.Event), s.Since.UnixMicro(), s.Reason)
		if err != nil {
			return fmt.Errorf("move cursor of %s: %w", table, err)
		}
	}
	return nil
}

// nowMicro returns the time in the microseconds that the warehouse keeps.
func nowMicro() int64 { return time.Now().UnixMicro() }
