package duckdb

import (
	"context"
	"fmt"
	"slices"

	"arbalest"
)

// booksFormat is the newest version of schema arbalest that this program knows. One that
// no rows left is of the first: programs that know only that would load repeats of
// what left.
const (
	firstFormat = 1
	booksFormat = 2
)

// besideBooks is what the names of books begin with that are of tables beside the
// live ones.
const besideBooks = "rebuild_"

// bookTables makes the books that loading writes, of names that begin so. Times are
// UTC. In cursor the row without a table_name is the cursor of all tables but those
// that have a row of their own. In journal a row without a table_name counts
// rejections.
func bookTables(books string) []string {
	statements := []string{
		`cursor (table_name VARCHAR, "commit" BIGINT, objects BIGINT, event VARCHAR, since TIMESTAMP, reason VARCHAR)`,
		`tables (table_name VARCHAR, event VARCHAR, version INTEGER, created_at TIMESTAMP)`,
		`journal ("commit" BIGINT, table_name VARCHAR, event VARCHAR, hour TIMESTAMP, objects BIGINT,
			stored BIGINT, rejected BIGINT, loaded BIGINT, repeats BIGINT, conflicts BIGINT, errors BIGINT, loaded_at TIMESTAMP)`,
		`load_errors (table_name VARCHAR, "commit" BIGINT, object VARCHAR, line BIGINT, event_id VARCHAR, event_time TIMESTAMP,
			column_name VARCHAR, value VARCHAR, reason VARCHAR, loaded BOOLEAN, loaded_at TIMESTAMP)`,
		`conflicts (table_name VARCHAR, event_id VARCHAR, event_time TIMESTAMP, kept_hash VARCHAR, other_hash VARCHAR,
			object VARCHAR, line BIGINT, "commit" BIGINT, loaded_at TIMESTAMP)`,
		`erased ("commit" BIGINT, table_name VARCHAR, event VARCHAR, hour TIMESTAMP, erased BIGINT, erased_at TIMESTAMP)`,
	}
	for i := range statements {
		statements[i] = "CREATE TABLE IF NOT EXISTS arbalest." + books + statements[i]
	}
	return statements
}

// schemaBegin and schemaEnd make the rest of schema arbalest, before and after the
// bookTables.
var (
	schemaBegin = []string{
		`CREATE SCHEMA IF NOT EXISTS arbalest`,
		`CREATE TABLE IF NOT EXISTS arbalest.format (version INTEGER)`,
	}
	schemaEnd = `CREATE OR REPLACE VIEW arbalest.books AS SELECT event, hour,
		(sum(stored) + sum(rejected))::BIGINT AS received, sum(stored)::BIGINT AS stored, sum(rejected)::BIGINT AS rejected,
		sum(loaded)::BIGINT AS loaded, sum(repeats)::BIGINT AS repeats, sum(conflicts)::BIGINT AS conflicts, sum(errors)::BIGINT AS errors,
		(sum(stored) - sum(loaded) - sum(repeats) - sum(errors) - sum(erased))::BIGINT AS not_loaded, sum(erased)::BIGINT AS erased
		FROM (SELECT event, hour, stored, rejected, loaded, repeats, conflicts, errors, 0 AS erased FROM arbalest.journal
		UNION ALL SELECT event, hour, 0, 0, 0, 0, 0, 0, erased FROM arbalest.erased) GROUP BY event, hour`
)

// makeBooks makes schema arbalest if it is not there, with a zero cursor. The
// error wraps arbalest.ErrNewer if a newer arbalest made it.
func (w *Warehouse) makeBooks(ctx context.Context) error {
	var made, whole bool
	err := w.writer.QueryRowContext(ctx, `SELECT count(*) FILTER (table_name = 'format') > 0, count(*) FILTER (table_name IN ('held', 'erased')) = 2
		FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = 'arbalest'`).Scan(&made, &whole)
	if err != nil {
		return fmt.Errorf("read warehouse's format: %w", storageError(err))
	}
	if made {
		var version int
		if err := w.writer.QueryRowContext(ctx, `SELECT max(version) FROM arbalest.format`).Scan(&version); err != nil {
			return fmt.Errorf("read warehouse's format: %w", storageError(err))
		}
		if version > booksFormat {
			return fmt.Errorf("%w: warehouse %s has format %d, and this program knows up to %d", arbalest.ErrNewer, w.path, version, booksFormat)
		}
		if whole {
			return nil
		}
	}
	return w.transact(ctx, func(tx *transaction) error {
		for _, statement := range slices.Concat(schemaBegin, bookTables(""), tierBooks(), []string{schemaEnd}) {
			if err := tx.exec(statement); err != nil {
				return err
			}
		}
		if made { // by a program that knew no tiers or erasures
			return nil
		}
		if err := tx.exec(fmt.Sprintf(`INSERT INTO arbalest.format VALUES (%d)`, firstFormat)); err != nil {
			return err
		}
		return tx.exec(`INSERT INTO arbalest.cursor VALUES (NULL, 0, 0, NULL, NULL, NULL)`)
	})
}
