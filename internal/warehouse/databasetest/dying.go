package databasetest

import (
	"context"
	"errors"
	"sync/atomic"

	"arbalest/internal/warehouse"
)

// ErrKilled is what a Dying database gives once it is dead.
var ErrKilled = errors.New("killed")

// Dying returns a database that stops after so many statements, as a process
// that is killed does: what was not committed is not there. The beginning of a
// transaction counts as one, and so does what follows its commit.
func Dying(db warehouse.Database, statements int64) warehouse.Database {
	left := new(atomic.Int64)
	left.Store(statements)
	return dying{db, left}
}

type dying struct {
	warehouse.Database
	left *atomic.Int64
}

func (d dying) Transact(ctx context.Context, lock string, do func(warehouse.Tx) error) error {
	if d.left.Add(-1) < 0 {
		return ErrKilled
	}
	err := d.Database.Transact(ctx, lock, func(tx warehouse.Tx) error { return do(dyingTx{tx, d.left}) })
	if err == nil && d.left.Add(-1) < 0 {
		return ErrKilled // after the commit
	}
	return err
}

type dyingTx struct {
	warehouse.Tx
	left *atomic.Int64
}

func (t dyingTx) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	if t.left.Add(-1) < 0 {
		return 0, ErrKilled
	}
	return t.Tx.Exec(ctx, sql, args...)
}

func (t dyingTx) Copy(ctx context.Context, table string, c warehouse.Copy) (warehouse.Copied, error) {
	if t.left.Add(-1) < 0 {
		return warehouse.Copied{}, ErrKilled
	}
	return t.Tx.Copy(ctx, table, c)
}
