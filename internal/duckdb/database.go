package duckdb

import (
	"context"
	"errors"
	"fmt"
	"strings"

	duck "github.com/duckdb/duckdb-go/v2"

	"arbalest"
	"arbalest/internal/warehouse"
)

// A database is a Warehouse as pipelines see it.
type database struct{ w *Warehouse }

// Database returns the warehouse as a database that pipelines work on. They
// share the writer with Load: while one has a transaction, the other waits.
// Closing the database does nothing: it is the warehouse's, and closes with it.
func (w *Warehouse) Database() warehouse.Database { return database{w} }

// Close implements warehouse.Database.
func (d database) Close() error { return nil }

// Dialect implements warehouse.Database. DuckDB has no limit for names; that of
// Redshift is kept, so that a pipeline's names can move there.
func (d database) Dialect() warehouse.Dialect {
	return warehouse.Dialect{Name: "duckdb", MaxName: 127, Type: sqlType}
}

// Transact implements warehouse.Database. There is one process and one writer,
// so all transactions run one after another, whatever their locks are named,
// and none can conflict with another: do is called once.
func (d database) Transact(ctx context.Context, _ string, do func(warehouse.Tx) error) error {
	release, err := d.w.hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := d.w.fitWidest(ctx); err != nil {
		return err
	}
	tx := &databaseTx{ctx: ctx, scanner: d.w.scanner}
	err = d.w.transact(ctx, func(t *transaction) error {
		tx.transaction = t
		if err := do(tx); err != nil {
			return err
		}
		if tx.failed != nil {
			return fmt.Errorf("commit after an error: %w", tx.failed)
		}
		return nil
	})
	if tx.wrote {
		// It may have changed tables that Load knows.
		d.w.known = nil
		d.w.recent.forget()
		if err == nil {
			d.w.relieve(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("transaction in DuckDB: %w", err)
	}
	return nil
}

// Query implements warehouse.Database.
func (d database) Query(ctx context.Context, sql string, visit func(values []any) error, args ...any) error {
	conn, done, err := d.w.reader(ctx)
	if err != nil {
		return err
	}
	defer done()
	return selectValues(ctx, conn, sql, args, visit)
}

// Ask implements warehouse.Asker.
func (d database) Ask(ctx context.Context, sql string, to warehouse.Sink) error {
	return d.w.Ask(ctx, sql, to)
}

// databaseError wraps an error of a pipeline's statement.
func databaseError(ctx context.Context, err error) error {
	if cause := interrupted(ctx, err); cause != nil {
		return cause
	}
	for _, known := range []error{arbalest.ErrInvalid, arbalest.ErrUnknown, arbalest.ErrExists} {
		if errors.Is(err, known) {
			return err
		}
	}
	message := err.Error()
	switch typeOf(err) {
	case duck.ErrorTypeIO, duck.ErrorTypeFatal, duck.ErrorTypeInternal, duck.ErrorTypeOutOfMemory, duck.ErrorTypeSerialization:
		return storageError(err)
	case duck.ErrorTypeTransaction:
		if !strings.Contains(message, "aborted") {
			return fmt.Errorf("%w: %w", arbalest.ErrBusy, err)
		}
	}
	if strings.Contains(message, "already exists") {
		return fmt.Errorf("%w: %w", arbalest.ErrExists, err)
	}
	for _, says := range unknownNames {
		if _, rest, ok := strings.Cut(message, says[0]); ok && strings.Contains(rest, says[1]) {
			return fmt.Errorf("%w: %w", arbalest.ErrUnknown, err)
		}
	}
	return fmt.Errorf("%w: %w", arbalest.ErrInvalid, err)
}

// unknownNames are what DuckDB's messages have, one after the other, where a
// relation or column is not there.
var unknownNames = [...][2]string{
	{"Table with name ", " does not exist"},
	{"View with name ", " does not exist"},
	{"Schema with name ", " does not exist"},
	{"Referenced column ", " not found"},
	{"Referenced table ", " not found"},
	{"Referenced update column ", " not found"},
	{"does not have a column named", ""},
	{"does not contain column", ""},
	{"does not have a column with name", ""},
}
