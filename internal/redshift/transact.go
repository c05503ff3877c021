package redshift

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"arbalest"
	"arbalest/internal/warehouse"
)

// schema is where the locks are.
const schema = "arbalest"

const (
	rollbackTimeout = 10 * time.Second
	// commitTimeout is how long the answer to a COMMIT, or to a COPY's
	// successor, is waited for once the caller has given up.
	commitTimeout = 5 * time.Minute
)

// Transact implements warehouse.Database. The lock is a table, locked by the
// transaction's first statement: before the first that takes the snapshot, so
// that do sees all that those before it committed also where the database's
// isolation is SERIALIZABLE or SNAPSHOT (Developer Guide, "Serializable
// isolation" and "LOCK").
//
// An attempt that met a conflict (1023, 1018, a deadlock) or whose connection
// was lost is followed by another, Options.Attempts in all. A COMMIT is not
// cancelled with ctx.
func (d *Database) Transact(ctx context.Context, lock string, do func(warehouse.Tx) error) error {
	if !validLock(lock) {
		return fmt.Errorf("%w: lock %q is not of a-z, 0-9 and _", arbalest.ErrInvalid, lock)
	}
	for attempt := 1; ; attempt++ {
		err, retry := d.attempt(ctx, lock, do)
		if err == nil || !retry || attempt == d.opts.Attempts {
			return err
		}
		if err := d.pause(ctx, attempt); err != nil {
			return err
		}
	}
}

func validLock(name string) bool {
	return name != "" && len(name) <= maxName-len("lock_") &&
		!strings.ContainsFunc(name, func(r rune) bool { return r != '_' && (r < '0' || '9' < r) && (r < 'a' || 'z' < r) })
}

// pause waits before the next attempt.
func (d *Database) pause(ctx context.Context, attempt int) error {
	longest := min(d.opts.Backoff<<min(attempt-1, 16), maxBackoff)
	timer := time.NewTimer(rand.N(longest + 1))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("wait for the next attempt: %w", ctx.Err())
	case <-timer.C:
		return nil
	}
}

// attempt does a transaction once. retry says that it may succeed when done
// again.
func (d *Database) attempt(ctx context.Context, lock string, do func(warehouse.Tx) error) (err error, retry bool) {
	conn, err := d.acquire(ctx)
	if err != nil {
		return err, again(err)
	}
	defer conn.Release() // one within a transaction is closed
	t := &tx{d: d, ctx: ctx, conn: conn.Conn().PgConn()}
	if err := d.begin(t, lock); err != nil {
		t.rollback()
		return err, again(err)
	}
	err = do(t)
	t.over = true
	switch {
	case t.failed != nil && (again(t.failed) || err == nil):
		// What do says of it does not count: the transaction is gone.
		t.rollback()
		if err == nil {
			err = t.failed
		}
		return err, again(t.failed)
	case err != nil:
		t.rollback()
		return err, false
	}
	if err := t.commit(); err != nil {
		t.rollback()
		return err, again(err)
	}
	return nil, false
}

// begin begins a transaction with its lock, and makes the lock's table if there
// is none.
func (d *Database) begin(t *tx, lock string) error {
	table := warehouse.Qualified(schema, "lock_"+lock)
	for made := false; ; made = true {
		if err := t.command("begin transaction", "BEGIN"); err != nil {
			return err
		}
		err := t.command("lock "+lock, "LOCK "+table)
		if err == nil || made || !denied(err) || again(err) {
			return err
		}
		// It is made in transactions of its own: in this one it would be part of
		// the snapshot before it is locked.
		t.rollback()
		for _, sql := range []string{"CREATE SCHEMA IF NOT EXISTS " + schema, "CREATE TABLE IF NOT EXISTS " + table + " (n SMALLINT)"} {
			if err := t.command("make lock "+lock, sql); err != nil && !taken(err) {
				return err
			}
		}
		t.failed = nil
	}
}

// commit commits. It is waited for though ctx is done: else nobody could tell
// what became of it.
func (t *tx) commit() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), commitTimeout)
	defer cancel()
	tag, err := simple(ctx, t.conn, "COMMIT")
	if err != nil {
		return t.d.failed(ctx, "commit", err)
	}
	if tag.String() == "ROLLBACK" {
		return fmt.Errorf("commit: %w: a statement of the transaction failed, and it was rolled back", arbalest.ErrInvalid)
	}
	return nil
}

// rollback ends the transaction, if it is there, as far as that can be done: a
// connection that does not answer is closed, and the server rolls back.
func (t *tx) rollback() {
	if t.conn.IsClosed() || t.conn.TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), rollbackTimeout)
	defer cancel()
	_, _ = simple(ctx, t.conn, "ROLLBACK")
}

// simple runs a statement that has no result and no arguments.
func simple(ctx context.Context, conn *pgconn.PgConn, sql string) (pgconn.CommandTag, error) {
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil || len(results) == 0 {
		return pgconn.CommandTag{}, err
	}
	return results[len(results)-1].CommandTag, nil
}
