package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"arbalest"
	"arbalest/internal/warehouse"
)

// A State is where a run or a step stands.
type State string

// The states. A step goes from pending to running, and from there to done or
// failed; a failed one is run again by whoever resumes the run. Skipped are the
// steps of a run that another took the place of.
const (
	Pending State = "pending"
	Running State = "running"
	Done    State = "done"
	Failed  State = "failed"
	Skipped State = "skipped"
)

// ledger makes the tables of runs. Times are UTC. Statements are of the SQL that
// all warehouses share.
var ledger = [...]string{
	`CREATE SCHEMA IF NOT EXISTS arbalest`,
	`CREATE TABLE IF NOT EXISTS arbalest.runs (run_id VARCHAR(26), pipeline VARCHAR(127), run_key VARCHAR(255), fingerprint VARCHAR(32), state VARCHAR(8),
		started_at TIMESTAMP, finished_at TIMESTAMP, row_count BIGINT, error_count BIGINT, message VARCHAR(4096))`,
	`CREATE TABLE IF NOT EXISTS arbalest.steps (run_id VARCHAR(26), pipeline VARCHAR(127), step INTEGER, name VARCHAR(1024), state VARCHAR(8), attempts INTEGER,
		started_at TIMESTAMP, finished_at TIMESTAMP, object_count BIGINT, row_count BIGINT, error_count BIGINT, message VARCHAR(4096))`,
	`CREATE TABLE IF NOT EXISTS arbalest.copied (table_name VARCHAR(255), object VARCHAR(1024), bytes BIGINT, run_id VARCHAR(26), copied_at TIMESTAMP)`,
	`CREATE TABLE IF NOT EXISTS arbalest.sources (table_name VARCHAR(255), source VARCHAR(1024), last_source VARCHAR(64), run_id VARCHAR(26), committed_at TIMESTAMP)`,
	`CREATE TABLE IF NOT EXISTS arbalest.copy_errors (run_id VARCHAR(26), pipeline VARCHAR(127), step INTEGER, table_name VARCHAR(255), object VARCHAR(1024), line BIGINT,
		column_name VARCHAR(127), value VARCHAR(4096), reason VARCHAR(4096), reported_at TIMESTAMP)`,
}

// makeLedger makes the tables if they are not there.
func makeLedger(ctx context.Context, db warehouse.Database) error {
	n, err := count(ctx, db, `SELECT count(*) FROM information_schema.tables WHERE table_schema = 'arbalest' AND table_name = 'copy_errors'`)
	if err != nil {
		return fmt.Errorf("look for arbalest.copy_errors: %w", err)
	}
	if n > 0 {
		return nil
	}
	err = db.Transact(ctx, "runs", func(tx warehouse.Tx) error {
		return execAll(ctx, tx, ledger[:]...)
	})
	if err != nil {
		return fmt.Errorf("make schema arbalest: %w", err)
	}
	return nil
}

// commit does a step in one transaction with the row that says so. If another
// runner has done it meanwhile, do is not called.
func (w *work) commit(ctx context.Context, do func(warehouse.Tx) (Result, error)) (r Result, err error) {
	err = w.Warehouse.Transact(ctx, w.step.lock(w.pipeline, w.index), func(tx warehouse.Tx) error {
		done, there, err := w.look(ctx, tx)
		if err != nil || there {
			r = done
			return err
		}
		if r, err = do(tx); err != nil {
			return err
		}
		return w.finish(ctx, tx, r)
	})
	return r, err
}

// look reads the step's row: whether it is done, and what it did.
func (w *work) look(ctx context.Context, q querier) (r Result, done bool, err error) {
	found := false
	err = q.Query(ctx, `SELECT state, object_count, row_count, error_count FROM arbalest.steps WHERE run_id = $1 AND step = $2`, func(values []any) error {
		state, _ := values[0].(string)
		r.Objects, _ = values[1].(int64)
		r.Rows, _ = values[2].(int64)
		r.Errors, _ = values[3].(int64)
		found, done = true, State(state) == Done
		return nil
	}, w.run, int64(w.index+1))
	if err == nil && !found {
		err = fmt.Errorf("%w: run %s has no step %d: it was deleted from arbalest.steps", arbalest.ErrCorrupt, w.run, w.index+1)
	}
	if !done {
		r = Result{}
	}
	return r, done, err
}

// finish notes in the step's own transaction that it is done.
func (w *work) finish(ctx context.Context, tx warehouse.Tx, r Result) error {
	if err := w.report(ctx, tx, r.table, r.reports); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE arbalest.steps SET state = 'done', finished_at = $1, object_count = $2, row_count = $3, error_count = $4, message = NULL WHERE run_id = $5 AND step = $6`,
		warehouse.Now(), r.Objects, r.Rows, r.Errors, w.run, int64(w.index+1))
	if err != nil {
		return fmt.Errorf("note that the step is done: %w", err)
	}
	return nil
}

// report notes the rows that were left out, many with one statement.
func (w *work) report(ctx context.Context, tx warehouse.Tx, table string, reports []warehouse.CopyReport) error {
	at := warehouse.Now()
	for some := range slices.Chunk(reports, 100) {
		var rows []string
		var args []any
		for _, r := range some {
			row := []any{w.run, w.pipeline, int64(w.index + 1), warehouse.Fit(table, 255), warehouse.Fit(string(r.Object), 1024), r.Line, warehouse.Fit(r.Column, 127), warehouse.Fit(r.Value, 4096), warehouse.Fit(r.Reason, 4096), at}
			rows = append(rows, placeholders(len(args)+1, len(row)))
			args = append(args, row...)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO arbalest.copy_errors VALUES `+strings.Join(rows, ", "), args...); err != nil {
			return fmt.Errorf("note rows that were left out: %w", err)
		}
	}
	return nil
}

// placeholders spells a row of n arguments, the first of which is $first.
func placeholders(first, n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("$%d", first+i)
	}
	return "(" + strings.Join(list, ", ") + ")"
}

// begin notes that a step is being done. It says if it is done already.
func (w *work) begin(ctx context.Context) (r Result, done bool, err error) {
	err = w.Warehouse.Transact(ctx, "runs", func(tx warehouse.Tx) error {
		if r, done, err = w.look(ctx, tx); err != nil || done {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE arbalest.steps SET state = 'running', attempts = attempts + 1, started_at = $1, finished_at = NULL, message = NULL WHERE run_id = $2 AND step = $3 AND state <> 'done'`,
			warehouse.Now(), w.run, int64(w.index+1))
		return err
	})
	if err != nil {
		err = fmt.Errorf("begin step: %w", err)
	}
	return r, done, err
}

// fail notes that a step failed, with the rows that were to blame, unless
// another runner has done it.
func (w *work) fail(ctx context.Context, why error) error {
	var too *warehouse.CopyError
	var reports []warehouse.CopyReport
	table := ""
	if errors.As(why, &too) {
		reports = too.Reports
		if c, ok := w.step.(interface{ target() string }); ok {
			table = c.target()
		}
	}
	return w.Warehouse.Transact(ctx, "runs", func(tx warehouse.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE arbalest.steps SET state = 'failed', finished_at = $1, error_count = $2, message = $3 WHERE run_id = $4 AND step = $5 AND state <> 'done'`,
			warehouse.Now(), int64(len(reports)), warehouse.Fit(why.Error(), 4096), w.run, int64(w.index+1))
		if err != nil || n == 0 {
			return err
		}
		return w.report(ctx, tx, table, reports)
	})
}

func (c copying) target() string { return c.schema.Table }
