package warehouse

import (
	"context"
	"errors"
	"fmt"

	"arbalest"
	"arbalest/internal/load"
)

// booksFormat is the newest version of schema arbalest that this program knows. One that
// no rows left is of the first: programs that know only that would load repeats of
// what left.
const (
	firstFormat = 1
	booksFormat = 2
)

// makeBooks makes schema arbalest if it is not there, with a zero cursor. The
// error wraps arbalest.ErrNewer if a newer arbalest made it.
func (w *Warehouse) makeBooks(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.made {
		return nil
	}
	missing, err := w.missingBooks(ctx, w.db)
	if err == nil && missing != nil {
		err = w.db.Transact(ctx, loadLock, func(tx Tx) error {
			missing, err := w.missingBooks(ctx, tx)
			if err != nil {
				return err
			}
			for _, statement := range missing {
				if _, err := tx.Exec(ctx, statement); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("make schema arbalest: %w", err)
	}
	w.made = true
	return nil
}

// forget makes the next load look for the books again, if they may be gone.
func (w *Warehouse) forget(err error) {
	if errors.Is(err, arbalest.ErrUnknown) {
		w.mu.Lock()
		w.made = false
		w.mu.Unlock()
	}
}

// A querier is a Database or a Tx.
type querier interface {
	Query(ctx context.Context, sql string, visit func(values []any) error, args ...any) error
}

// missingBooks returns the statements that make the books that are not there: programs
// before 30 November 2026 did not know of what left or was erased.
func (w *Warehouse) missingBooks(ctx context.Context, q querier) (statements []string, err error) {
	there := map[string]bool{}
	err = q.Query(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'arbalest' AND table_name IN ('format', 'held', 'erased')", func(v []any) error {
		table, _ := v[0].(string)
		there[table] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	d := w.db.Dialect()
	if !there["format"] || !there["erased"] {
		statements = d.books()
	}
	if !there["held"] {
		statements = append(statements, d.tierBooks()...)
	}
	if !there["format"] {
		return statements, nil
	}
	return statements, q.Query(ctx, "SELECT max(version) FROM arbalest.format", func(v []any) error {
		if version, _ := v[0].(int64); version > booksFormat {
			return fmt.Errorf("%w: the warehouse has format %d, and this program knows up to %d", arbalest.ErrNewer, version, booksFormat)
		}
		return nil
	})
}

// books are the statements that make schema arbalest: the relations and columns
// that DuckDB's has too (doc/format.md). In cursor the row without a table_name
// is the cursor of all tables but those that have a row of their own; its reason
// is the token of the load that moved it last.
func (d Dialect) books() []string {
	statements := append([]string{
		`CREATE SCHEMA IF NOT EXISTS arbalest`,
		`CREATE TABLE IF NOT EXISTS arbalest.format (version INTEGER)`,
	}, d.bookTables("")...)
	if d.Name == "postgres" { // models read its end; it grows with every commit
		statements = append(statements, `CREATE INDEX IF NOT EXISTS journal_commit_idx ON arbalest.journal ("commit")`)
	}
	return append(statements,
		`DROP VIEW IF EXISTS arbalest.books`,
		`CREATE VIEW arbalest.books AS SELECT event, hour,
CAST(sum(stored) + sum(rejected) AS BIGINT) AS received, CAST(sum(stored) AS BIGINT) AS stored, CAST(sum(rejected) AS BIGINT) AS rejected,
CAST(sum(loaded) AS BIGINT) AS loaded, CAST(sum(repeats) AS BIGINT) AS repeats, CAST(sum(conflicts) AS BIGINT) AS conflicts, CAST(sum(errors) AS BIGINT) AS errors,
CAST(sum(stored) - sum(loaded) - sum(repeats) - sum(errors) - sum(erased) AS BIGINT) AS not_loaded, CAST(sum(erased) AS BIGINT) AS erased
FROM (SELECT event, hour, stored, rejected, loaded, repeats, conflicts, errors, 0 AS erased FROM arbalest.journal
UNION ALL SELECT event, hour, 0, 0, 0, 0, 0, 0, erased FROM arbalest.erased) AS counts GROUP BY event, hour`,
		fmt.Sprintf(`INSERT INTO arbalest.format (version) SELECT %d WHERE NOT EXISTS (SELECT 1 FROM arbalest.format)`, firstFormat),
		`INSERT INTO arbalest.cursor (table_name, "commit", objects) SELECT NULL, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM arbalest.cursor)`)
}

// bookTables are the statements that make the books that loading writes, of names
// that begin so.
func (d Dialect) bookTables(books string) []string {
	text := d.Type(arbalest.Type{Kind: arbalest.Varchar})
	statements := []string{
		fmt.Sprintf(`CREATE TABLE IF NOT EXISTS arbalest.%scursor (table_name %s, "commit" BIGINT, objects BIGINT, event %[2]s, since TIMESTAMP, reason %[2]s)`, books, text),
		fmt.Sprintf(`CREATE TABLE IF NOT EXISTS arbalest.%stables (table_name %s, event %[2]s, version INTEGER, created_at TIMESTAMP)`, books, text),
	}
	for _, l := range load.NewJournal(0).Ledgers() {
		statements = append(statements, fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s (%s)", Qualified(booksSchema, books+l.Table), d.Define(l.Columns)))
	}
	return statements
}
