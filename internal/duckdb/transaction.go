package duckdb

import (
	"context"
	"database/sql"
	"fmt"
)

// A transaction is one of DuckDB's, on the writer's connection. A context that
// ends stops it between its statements and never within one: interrupted, a
// statement may return while DuckDB's threads still read rows that are in Go's
// memory (a crash under the race detector, in TestLoadCancelled). A batch's
// statements take a second or two.
type transaction struct {
	ctx     context.Context // does not end
	stopped func() error    // why it should go no further
	conn    *sql.Conn
	books   string // what the names of its books begin with: besideBooks, or nothing
	warm    string // where warm objects are: Warehouse.warm
}

// of returns the same transaction with other books.
func (tx *transaction) of(books string) *transaction {
	other := *tx
	other.books = books
	return &other
}

// book names a book in SQL.
func (tx *transaction) book(name string) string { return "arbalest." + tx.books + name }

// transact runs do in a transaction. An error of do rolls it back, and so does
// a cancelled context: DuckDB commits nothing after an error, and its COMMIT
// does not say so. The caller holds the writer.
func (w *Warehouse) transact(ctx context.Context, do func(*transaction) error) (err error) {
	tx := &transaction{context.WithoutCancel(ctx), ctx.Err, w.writer, "", w.warm}
	if err := tx.exec("BEGIN TRANSACTION"); err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	done := false
	defer func() {
		if !done {
			// If there is none any more, DuckDB has rolled back by itself.
			_, _ = w.writer.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		}
	}()
	if err := do(tx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// From here on an ended context must not hide what became of it.
	tx.stopped = func() error { return nil }
	if err := tx.exec("COMMIT"); err != nil {
		return fmt.Errorf("commit transaction: %w", err)
	}
	done = true
	return nil
}

func (tx *transaction) exec(statement string, args ...any) error {
	_, err := tx.count(statement, args...)
	return err
}

// count runs a statement and returns how many rows it wrote.
func (tx *transaction) count(statement string, args ...any) (int64, error) {
	if err := tx.stopped(); err != nil {
		return 0, err
	}
	result, err := tx.conn.ExecContext(tx.ctx, statement, args...)
	if err != nil {
		return 0, loadError(tx.ctx, err)
	}
	return result.RowsAffected()
}

// addRows runs a statement that adds many rows, and returns how many. Unlike
// the driver's, it takes no core while the last threads are at work (guest_work).
func (tx *transaction) addRows(statement string) (n int64, err error) {
	if err := tx.stopped(); err != nil {
		return 0, err
	}
	s, err := openStream(tx.ctx, tx.conn, statement)
	if err != nil {
		return 0, loadError(tx.ctx, err)
	}
	err = s.each(func() error {
		n, _ = s.integer(0)
		return nil
	})
	if err != nil {
		return 0, loadError(tx.ctx, err)
	}
	return n, nil
}

// each runs a query and calls visit for each of its rows.
func (tx *transaction) each(visit func(scan func(...any) error) error, query string, args ...any) error {
	if err := tx.stopped(); err != nil {
		return err
	}
	rows, err := tx.conn.QueryContext(tx.ctx, query, args...)
	if err != nil {
		return loadError(tx.ctx, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := visit(rows.Scan); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return loadError(tx.ctx, err)
	}
	return nil
}
