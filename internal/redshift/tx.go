package redshift

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"arbalest"
	"arbalest/internal/warehouse"
)

// A tx is a transaction on a connection.
type tx struct {
	d    *Database
	ctx  context.Context // of Transact
	conn *pgconn.PgConn
	// failed is the first error of a statement: with it the transaction is
	// lost.
	failed error
	over   bool // do returned, or the transaction was given up
}

var _ warehouse.Tx = (*tx)(nil)

// ready says whether a statement may run.
func (t *tx) ready() error {
	switch {
	case t.failed != nil:
		return fmt.Errorf("the transaction has failed: %w", t.failed)
	case t.over:
		return fmt.Errorf("%w: the transaction is over", arbalest.ErrInvalid)
	}
	return nil
}

// command runs a statement of our own.
func (t *tx) command(doing, sql string) error {
	_, err := simple(t.ctx, t.conn, sql)
	return t.note(t.d.failed(t.ctx, doing, err))
}

// note remembers that a statement failed, and the transaction with it. An error
// of a visit, or of an argument, leaves the transaction as it is.
func (t *tx) note(err error) error {
	if err != nil && t.failed == nil && (t.conn.IsClosed() || t.conn.TxStatus() != 'T') {
		t.failed = err
	}
	return err
}

// Exec implements warehouse.Tx. A CREATE TABLE gets what Options.Tables says of
// its table.
func (t *tx) Exec(ctx context.Context, sql string, args ...any) (rows int64, err error) {
	if err := t.ready(); err != nil {
		return 0, err
	}
	rows, err = t.d.run(ctx, t.conn, t.d.opts.withTableOptions(sql), args, nil)
	return rows, t.note(err)
}

// Query implements warehouse.Tx.
func (t *tx) Query(ctx context.Context, sql string, visit func(values []any) error, args ...any) error {
	if err := t.ready(); err != nil {
		return err
	}
	_, err := t.d.run(ctx, t.conn, sql, args, visit)
	return t.note(err)
}

// number asks for one number.
func (t *tx) number(ctx context.Context, sql string) (n int64, err error) {
	err = t.Query(ctx, sql, func(values []any) error {
		if len(values) == 1 {
			n, _ = values[0].(int64)
		}
		return nil
	})
	return n, err
}

// taken says that what was to be made is there already, made by another at the
// same time: PostgreSQL's CREATE … IF NOT EXISTS may say so too.
func taken(err error) bool {
	var f *failure
	return errors.Is(err, arbalest.ErrExists) || errors.As(err, &f) && f.code == "23505"
}
