package model

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"arbalest/internal/warehouse"
)

// A Standing is how a model stands by what was noted of it: its files are not
// read, and nothing is run.
type Standing struct {
	Name string `json:"name"`
	State
	Failing []Tested `json:"failing_tests,omitempty"` // when the tests ran last
}

// A Tested is what a test found when it ran last.
type Tested struct {
	Model    string    `json:"-"`
	Test     string    `json:"test"`
	Failures int64     `json:"failures"`        // rows that are wrong
	Error    string    `json:"error,omitempty"` // why it could not be run
	Ran      time.Time `json:"ran"`             // zero if it never did
}

// Standings returns the models that were ever tried, by name.
func Standings(ctx context.Context, db warehouse.Database) ([]Standing, error) {
	if made, err := isMade(ctx, db); err != nil || !made {
		return nil, err
	}
	states, err := readStates(ctx, db, "")
	if err != nil {
		return nil, err
	}
	var out []Standing
	for name, s := range states {
		out = append(out, Standing{Name: name, State: *s})
	}
	slices.SortFunc(out, func(a, b Standing) int { return cmp.Compare(a.Name, b.Name) })
	tests, err := TestsNoted(ctx, db)
	for _, t := range tests {
		i, ok := slices.BinarySearchFunc(out, t.Model, func(s Standing, name string) int { return cmp.Compare(s.Name, name) })
		if ok && (t.Failures > 0 || t.Error != "") {
			out[i].Failing = append(out[i].Failing, t)
		}
	}
	return out, err
}

// TestsNoted returns what arbalest.model_tests has, by model and test. Tests are
// cut to NotedTest bytes.
func TestsNoted(ctx context.Context, db warehouse.Database) (tests []Tested, err error) {
	if noted, err := areTestsNoted(ctx, db); err != nil || !noted {
		return nil, err
	}
	err = db.Query(ctx, `SELECT model, test, failures, message, ran_at FROM arbalest.model_tests ORDER BY model, test`, func(v []any) error {
		var t Tested
		t.Model, _ = v[0].(string)
		t.Test, _ = v[1].(string)
		t.Failures, _ = v[2].(int64)
		t.Error, _ = v[3].(string)
		t.Ran, _ = v[4].(time.Time)
		tests = append(tests, t)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read arbalest.model_tests: %w", err)
	}
	return tests, nil
}

// NotedTest is how many bytes of a test's text are noted.
const NotedTest = 4096

// testLedger makes the table of what tests found when they ran last.
const testLedger = `CREATE TABLE IF NOT EXISTS arbalest.model_tests (model VARCHAR(127), test VARCHAR(4096), failures BIGINT, message VARCHAR(4096), ran_at TIMESTAMP)`

func areTestsNoted(ctx context.Context, q querier) (bool, error) {
	n, err := count(ctx, q, `SELECT count(*) FROM information_schema.tables WHERE table_schema = 'arbalest' AND table_name = 'model_tests'`)
	if err != nil {
		return false, fmt.Errorf("look for arbalest.model_tests: %w", err)
	}
	return n > 0, nil
}

// note notes what the tests of models found, in place of what was noted.
func note(ctx context.Context, db warehouse.Database, models []*Model, results []TestResult) error {
	if err := makeLedger(ctx, db); err != nil {
		return err
	}
	noted, err := areTestsNoted(ctx, db)
	if err != nil {
		return err
	}
	at := warehouse.Now()
	err = db.Transact(ctx, ledgerLock, func(tx warehouse.Tx) error {
		if !noted {
			if _, err := tx.Exec(ctx, testLedger); err != nil {
				return err
			}
		}
		for _, m := range models {
			if _, err := tx.Exec(ctx, `DELETE FROM arbalest.model_tests WHERE model = $1`, m.Name); err != nil {
				return err
			}
		}
		for _, r := range results {
			var message any
			if r.Error != "" {
				message = warehouse.Fit(r.Error, 4096)
			}
			if _, err := tx.Exec(ctx, `INSERT INTO arbalest.model_tests VALUES ($1, $2, $3, $4, $5)`, r.Model, warehouse.Fit(r.Test, NotedTest), r.Failures, message, at); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note the tests: %w", err)
	}
	return nil
}
