// Package databasetest is the suite that every warehouse.Database passes. Its
// SQL is what DuckDB, PostgreSQL and Redshift share. It stores nothing.
package databasetest

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/warehouse"
)

// Run runs the suite. open returns a database that has none of the suite's
// tables, and closes it with the test; of each test it is called once. What is
// copied is in memory.
func Run(t *testing.T, open func(*testing.T) warehouse.Database) {
	RunOn(t, open, func(*testing.T) blob.Store { return blob.NewMemory() })
}

// RunOn is Run with what is copied in stores of the caller's: for a database
// that reads objects itself. store returns an empty one.
func RunOn(t *testing.T, open func(*testing.T) warehouse.Database, store func(*testing.T) blob.Store) {
	tests := []struct {
		name string
		run  func(*suite)
	}{
		{"Values", testValues},
		{"Arguments", testArguments},
		{"Texts", testTexts},
		{"Counts", testCounts},
		{"Rows", testRows},
		{"Rollback", testRollback},
		{"SwallowedError", testSwallowedError},
		{"Errors", testErrors},
		{"Locks", testLocks},
		{"Cancelled", testCancelled},
		{"Dialect", testDialect},
		{"InsertTypes", testInsertTypes},
		{"InsertWider", testInsertWider},
		{"InsertKeep", testInsertKeep},
		{"InsertErrors", testInsertErrors},
		{"Copy", testCopy},
		{"CopyPaths", testCopyPaths},
		{"CopyErrors", testCopyErrors},
		{"CopyNoLoad", testCopyNoLoad},
		{"CopyMissing", testCopyMissing},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.run(&suite{T: t, db: open(t), store: store})
		})
	}
}

// A suite is one test's database.
type suite struct {
	*testing.T
	db    warehouse.Database
	store func(*testing.T) blob.Store
}

// do runs statements, each in a transaction of its own.
func (s *suite) do(statements ...string) {
	s.Helper()
	for _, sql := range statements {
		if err := s.try(sql); err != nil {
			s.Fatalf("%s: %v", sql, err)
		}
	}
}

func (s *suite) try(sql string, args ...any) error {
	return s.transact(func(tx warehouse.Tx) error {
		_, err := tx.Exec(s.Context(), sql, args...)
		return err
	})
}

func (s *suite) transact(do func(warehouse.Tx) error) error {
	return s.db.Transact(s.Context(), "suite", do)
}

// must is transact of what has to succeed.
func (s *suite) must(do func(warehouse.Tx) error) {
	s.Helper()
	if err := s.transact(do); err != nil {
		s.Fatal(err)
	}
}

// create makes a table of columns.
func (s *suite) create(table string, columns ...arbalest.Column) {
	s.Helper()
	s.do("CREATE TABLE " + warehouse.Ident(table) + " (" + s.db.Dialect().Define(columns) + ")")
}

// A querier is a Database or a Tx.
type querier interface {
	Query(ctx context.Context, sql string, visit func(values []any) error, args ...any) error
}

// rows returns a query's rows.
func (s *suite) rows(q querier, sql string, args ...any) ([][]any, error) {
	var rows [][]any
	err := q.Query(s.Context(), sql, func(values []any) error {
		rows = append(rows, append([]any(nil), values...))
		return nil
	}, args...)
	return rows, err
}

// want compares a query's rows, read both within a transaction and without.
func (s *suite) want(sql string, want ...[]any) {
	s.Helper()
	var within [][]any
	s.must(func(tx warehouse.Tx) (err error) {
		within, err = s.rows(tx, sql)
		return err
	})
	got, err := s.rows(s.db, sql)
	if err != nil {
		s.Fatalf("%s: %v", sql, err)
	}
	for _, rows := range [][][]any{within, got} {
		if len(rows) != len(want) {
			s.Fatalf("%s\n got %v\nwant %v", sql, rows, want)
		}
		for i := range want {
			if !reflect.DeepEqual(rows[i], want[i]) {
				s.Errorf("%s, row %d\n got %s\nwant %s", sql, i, spell(rows[i]), spell(want[i]))
			}
		}
	}
}

// spell shows values with their types.
func spell(values []any) string {
	out := ""
	for _, v := range values {
		out += fmt.Sprintf("%T(%v) ", v, v)
	}
	return out
}

// at returns a time as queries give it.
func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}
