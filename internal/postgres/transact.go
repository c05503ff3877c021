package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"arbalest"
	"arbalest/internal/warehouse"
)

// Transact runs do in a transaction that has the lock's name to itself, and
// commits it. It is tried again after a conflict and after the connection was
// lost, also while it committed, as warehouse.Database says. If what became of a
// COMMIT cannot be learnt, because the server is away for longer or ctx ends,
// the error does not say that nothing was committed.
func (d *Database) Transact(ctx context.Context, lock string, do func(warehouse.Tx) error) error {
	return d.again(ctx, func() error {
		return d.on(ctx, func(conn *pgconn.PgConn) error { return d.transact(ctx, conn, lock, do) })
	})
}

// again calls try until it succeeds, fails for good, or has been called often
// enough.
func (d *Database) again(ctx context.Context, try func() error) error {
	wait := 20 * time.Millisecond
	for attempt := 1; ; attempt++ {
		err := try()
		if err == nil || attempt == d.opts.Attempts || !isWorthRetry(err) || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(wait/2 + rand.N(wait)): // apart from whom it conflicted with
		case <-ctx.Done():
			return ctx.Err()
		}
		wait = min(2*wait, 2*time.Second)
	}
}

func (d *Database) transact(ctx context.Context, conn *pgconn.PgConn, lock string, do func(warehouse.Tx) error) error {
	tx := &transaction{db: d, conn: conn}
	// Each statement sees what was committed when it began: those after the lock
	// see all that was done under it.
	begin := "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock(" + strconv.FormatInt(lockKey(lock), 10) + ")"
	if _, err := conn.Exec(ctx, begin).ReadAll(); err != nil {
		d.rollback(ctx, conn)
		return fmt.Errorf("begin transaction: %w", d.wrap(ctx, err))
	}
	if err := do(tx); err != nil {
		d.rollback(ctx, conn)
		return err
	}
	if err := ctx.Err(); err != nil {
		d.rollback(ctx, conn)
		return err
	}
	// From here on an ended context must not hide what became of it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.opts.CommitTimeout)
	defer cancel()
	results, err := conn.Exec(ctx, "COMMIT").ReadAll()
	if err != nil {
		return fmt.Errorf("commit transaction: %w", d.wrap(ctx, err))
	}
	if len(results) != 1 || results[0].CommandTag.String() != "COMMIT" {
		return fmt.Errorf("%w: the transaction was rolled back: a statement of it had failed", arbalest.ErrInvalid)
	}
	return nil
}

// rollback ends a transaction that failed. A connection on which even that
// fails is closed, which ends it too.
func (d *Database) rollback(ctx context.Context, conn *pgconn.PgConn) {
	if conn.IsClosed() || conn.TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.opts.ConnectTimeout)
	defer cancel()
	if _, err := conn.Exec(ctx, "ROLLBACK").ReadAll(); err != nil {
		_ = conn.Close(ctx) // it is of no more use
	}
}

// lockKey is the number of a lock's name: advisory locks have no names, and are
// of one database.
func lockKey(lock string) int64 {
	sum := sha256.Sum256([]byte("arbalest " + lock))
	return int64(binary.BigEndian.Uint64(sum[:]))
}
