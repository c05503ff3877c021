package warehouse

import (
	"context"
	"errors"
	"fmt"
	"time"

	"arbalest"
	"arbalest/internal/load"
)

// Progress reads the cursor.
func (w *Warehouse) Progress(ctx context.Context) (load.Progress, error) {
	p, _, err := readCursor(ctx, w.db, "")
	if errors.Is(err, arbalest.ErrUnknown) {
		return load.Progress{}, nil // nothing was ever loaded
	}
	return p, err
}

// cursor reads the cursor, and the token of the load that moved it last.
func (l *loading) cursor() (load.Progress, string, error) { return readCursor(l.ctx, l.tx, l.books) }

func readCursor(ctx context.Context, q querier, books string) (p load.Progress, token string, err error) {
	err = q.Query(ctx, `SELECT table_name, "commit", objects, event, since, reason FROM arbalest.`+books+`cursor`, func(v []any) error {
		table, isTable := v[0].(string)
		commit, _ := v[1].(int64)
		objects, _ := v[2].(int64)
		c := load.Cursor{Commit: arbalest.Seq(commit), Objects: int(objects)}
		reason, _ := v[5].(string)
		if !isTable {
			p.Cursor, token = c, reason
			return nil
		}
		if p.Stalled == nil {
			p.Stalled = map[string]load.Stall{}
		}
		event, _ := v[3].(string)
		since, _ := v[4].(time.Time)
		p.Stalled[table] = load.Stall{Cursor: c, Event: arbalest.EventName(event), Since: since, Reason: reason}
		return nil
	})
	if err != nil {
		return p, "", fmt.Errorf("read cursor: %w", err)
	}
	return p, token, nil
}

// advance moves the cursor to next.
func (l *loading) advance(have, next load.Progress, token string) error {
	n, err := l.tx.Exec(l.ctx, `UPDATE `+l.book("cursor")+` SET "commit" = $1, objects = $2, reason = $3 WHERE table_name IS NULL`, int64(next.Commit), int64(next.Objects), token)
	if err != nil {
		return fmt.Errorf("move cursor: %w", err)
	}
	if n > 1 {
		return fmt.Errorf("%w: %s has %d rows without a table_name, not one", arbalest.ErrCorrupt, l.book("cursor"), n)
	}
	for table, s := range have.Stalled {
		if t, ok := next.Stalled[table]; ok && t == s {
			continue
		}
		if err := l.exec(`DELETE FROM `+l.book("cursor")+` WHERE table_name = $1`, table); err != nil {
			return fmt.Errorf("move cursor of %s: %w", table, err)
		}
	}
	for table, s := range next.Stalled {
		if t, ok := have.Stalled[table]; ok && t == s {
			continue
		}
		err := l.exec(`INSERT INTO `+l.book("cursor")+` (table_name, "commit", objects, event, since, reason) VALUES ($1, $2, $3, $4, $5, $6)`,
			table, int64(s.Commit), int64(s.Objects), string(s.Event), timeOf(s.Since.UnixMicro()), l.dialect.reason(s.Reason))
		if err != nil {
			return fmt.Errorf("move cursor of %s: %w", table, err)
		}
	}
	return nil
}

// reason returns a stall's reason as the database can have it.
func (d Dialect) reason(s string) string {
	if d.Unfit == nil {
		return s
	}
	return d.shown(s)
}
