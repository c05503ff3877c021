package model

import (
	"context"
	"fmt"
	"time"

	"arbalest/internal/warehouse"
)

// ledger makes the tables of models. Times are UTC. Statements are of the SQL
// that all warehouses share.
var ledger = [...]string{
	`CREATE SCHEMA IF NOT EXISTS arbalest`,
	`CREATE TABLE IF NOT EXISTS arbalest.models (name VARCHAR(127), materialized VARCHAR(16), fingerprint VARCHAR(32), token VARCHAR(32), build BIGINT, "commit" BIGINT,
		row_count BIGINT, built_at TIMESTAMP, seconds DOUBLE PRECISION, state VARCHAR(8), message VARCHAR(4096), tried_at TIMESTAMP)`,
	`CREATE TABLE IF NOT EXISTS arbalest.model_sources (model VARCHAR(127), source VARCHAR(255), token VARCHAR(64), reached BIGINT, entries BIGINT, column_list VARCHAR(65535))`,
	`CREATE TABLE IF NOT EXISTS arbalest.model_hours (model VARCHAR(127), build BIGINT, hour TIMESTAMP)`,
}

// ledgerLock is the lock of what no build holds.
const ledgerLock = "models"

// lock names a model's transactions.
func lock(model string) string { return "model_" + model }

// makeLedger makes the tables if they are not there.
func makeLedger(ctx context.Context, db warehouse.Database) error {
	if made, err := isMade(ctx, db); made || err != nil {
		return err
	}
	err := db.Transact(ctx, ledgerLock, func(tx warehouse.Tx) error {
		for _, s := range ledger {
			if _, err := tx.Exec(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("make the tables of models: %w", err)
	}
	return nil
}

// isMade says whether the ledger is there.
func isMade(ctx context.Context, q querier) (bool, error) {
	n, err := count(ctx, q, `SELECT count(*) FROM information_schema.tables WHERE table_schema = 'arbalest' AND table_name = 'model_hours'`)
	if err != nil {
		return false, fmt.Errorf("look for arbalest.model_hours: %w", err)
	}
	return n > 0, nil
}

// A State is a row of arbalest.models.
type State struct {
	Kind        Kind      `json:"materialized"`
	Build       int64     `json:"build"`  // how often it was built
	Commit      int64     `json:"commit"` // of the log, up to which
	Rows        int64     `json:"rows"`
	Built       time.Time `json:"built"` // zero if it never was
	Seconds     float64   `json:"seconds"`
	State       string    `json:"state"` // of the last try: built or failed
	Message     string    `json:"message,omitempty"`
	fingerprint string
	token       string // of the last build in full
	sources     map[string]reading
}

// A reading is up to where a source was read.
type reading struct {
	token   string // another one is another table
	reached int64  // commit of the log, or build of a model
	entries int64  // of the journal, of that commit: a commit may be loaded in parts
	columns string
}

// readState reads a model's state; nil if it was never tried.
func readState(ctx context.Context, q querier, name string) (*State, error) {
	states, err := readStates(ctx, q, " WHERE name = $1", name)
	if err != nil || states[name] == nil {
		return nil, err
	}
	s := states[name]
	err = q.Query(ctx, `SELECT source, token, reached, entries, column_list FROM arbalest.model_sources WHERE model = $1`, func(v []any) error {
		source, _ := v[0].(string)
		var r reading
		r.token, _ = v[1].(string)
		r.reached, _ = v[2].(int64)
		r.entries, _ = v[3].(int64)
		r.columns, _ = v[4].(string)
		s.sources[source] = r
		return nil
	}, name)
	if err != nil {
		return nil, fmt.Errorf("read arbalest.model_sources: %w", err)
	}
	return s, nil
}

func readStates(ctx context.Context, q querier, where string, args ...any) (map[string]*State, error) {
	states := map[string]*State{}
	err := q.Query(ctx, `SELECT name, materialized, fingerprint, token, build, "commit", row_count, built_at, seconds, state, message FROM arbalest.models`+where, func(v []any) error {
		s := &State{sources: map[string]reading{}}
		name, _ := v[0].(string)
		kind, _ := v[1].(string)
		s.Kind = Kind(kind)
		s.fingerprint, _ = v[2].(string)
		s.token, _ = v[3].(string)
		s.Build, _ = v[4].(int64)
		s.Commit, _ = v[5].(int64)
		s.Rows, _ = v[6].(int64)
		s.Built, _ = v[7].(time.Time)
		s.Seconds, _ = v[8].(float64)
		s.State, _ = v[9].(string)
		s.Message, _ = v[10].(string)
		states[name] = s
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read arbalest.models: %w", err)
	}
	return states, nil
}

// write writes a model's state in the transaction of its build.
func (s *State) write(ctx context.Context, tx warehouse.Tx, name string) error {
	for _, table := range []string{"models WHERE name", "model_sources WHERE model"} {
		if _, err := tx.Exec(ctx, "DELETE FROM arbalest."+table+" = $1", name); err != nil {
			return fmt.Errorf("note the build: %w", err)
		}
	}
	_, err := tx.Exec(ctx, `INSERT INTO arbalest.models VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL, $8)`,
		name, string(s.Kind), s.fingerprint, s.token, s.Build, s.Commit, s.Rows, s.Built, s.Seconds, s.State)
	for source, r := range s.sources {
		if err == nil {
			_, err = tx.Exec(ctx, `INSERT INTO arbalest.model_sources VALUES ($1, $2, $3, $4, $5, $6)`, name, source, r.token, r.reached, r.entries, r.columns)
		}
	}
	if err != nil {
		return fmt.Errorf("note the build: %w", err)
	}
	return nil
}

// fail notes that a try failed. What was built before stays, and is said.
func fail(ctx context.Context, db warehouse.Database, m *Model, why error) error {
	message := warehouse.Fit(why.Error(), 4096)
	return db.Transact(ctx, lock(m.Name), func(tx warehouse.Tx) error {
		n, err := count(ctx, tx, `SELECT count(*) FROM arbalest.models WHERE name = $1`, m.Name)
		if err != nil {
			return err
		}
		if n == 0 {
			_, err = tx.Exec(ctx, `INSERT INTO arbalest.models (name, materialized, build, state, message, tried_at) VALUES ($1, $2, 0, 'failed', $3, $4)`, m.Name, string(m.Kind), message, warehouse.Now())
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE arbalest.models SET state = 'failed', message = $1, tried_at = $2 WHERE name = $3`, message, warehouse.Now(), m.Name)
		return err
	})
}
