package model

import (
	"context"
	"errors"
	"fmt"
	"time"

	"arbalest"
	"arbalest/internal/warehouse"
)

// examples is how many rows that fail a test are shown.
const examples = 5

// A TestResult is what a test found.
type TestResult struct {
	Model string `json:"model"`
	Test  string `json:"test"`
	// Failures is how many rows the test's query gives: each is wrong. Of unique,
	// accepted_values and relationships a row is a value, with how often it is there.
	Failures int64      `json:"failures"`
	Columns  []string   `json:"columns,omitempty"`  // of the examples
	Examples [][]string `json:"examples,omitempty"` // some of the rows
	Error    string     `json:"error,omitempty"`    // why it could not be run
	Seconds  float64    `json:"seconds"`

	err error
}

// Test runs the tests of the named models, or of all. The error wraps
// arbalest.ErrInvalid if there are rows that fail one; the results are good in
// any case. A model that was never built fails its tests. What was found is
// noted in arbalest.model_tests.
func (b *Builder) Test(ctx context.Context, names ...string) ([]TestResult, error) {
	models := b.set.Models
	if len(names) > 0 {
		models = nil
		for _, name := range names {
			if _, err := b.set.Select(name); err != nil {
				return nil, err
			}
			models = append(models, b.set.Get(name))
		}
	}
	var results []TestResult
	var failed []error
	rows, tests := int64(0), 0
	for _, m := range models {
		if m.err != nil {
			failed = append(failed, fmt.Errorf("model %s: %w", m.Name, m.err))
			continue
		}
		for _, t := range m.Tests {
			r := b.test(ctx, m, t)
			results = append(results, r)
			if r.err != nil {
				failed = append(failed, fmt.Errorf("model %s, %s: %w", m.Name, r.Test, r.err))
			}
			if r.Failures > 0 {
				rows, tests = rows+r.Failures, tests+1
			}
			if ctx.Err() != nil {
				return results, ctx.Err()
			}
		}
	}
	if len(results) > 0 {
		if err := note(ctx, b.db, models, results); err != nil {
			failed = append(failed, err)
		}
	}
	if tests > 0 {
		failed = append(failed, fmt.Errorf("%w models: %d of %d tests fail (rows: %d)", arbalest.ErrInvalid, tests, len(results), rows))
	}
	return results, errors.Join(failed...)
}

// Wrong returns the query of a test: each row that it gives is wrong.
func (b *Builder) Wrong(m *Model, t Test) string {
	return t.query(sqlName(b.dialect, m.Name), func(name string) string { return sqlName(b.dialect, name) })
}

func (b *Builder) test(ctx context.Context, m *Model, t Test) TestResult {
	start := time.Now()
	r := TestResult{Model: m.Name, Test: t.String()}
	query := b.Wrong(m, t)
	r.Failures, r.err = count(ctx, b.db, "SELECT count(*) FROM ("+query+") q")
	if r.err == nil && r.Failures > 0 {
		r.Columns, r.err = b.columnsOf(ctx, m, t)
		limited := fmt.Sprintf("SELECT * FROM (%s) q LIMIT %d", query, examples)
		if r.err == nil {
			r.err = b.db.Query(ctx, limited, func(values []any) error {
				row := make([]string, len(values))
				for i, v := range values {
					row[i] = show(v)
				}
				r.Examples = append(r.Examples, row)
				return nil
			})
		}
	}
	if r.err != nil {
		r.err = m.at(t.Line, r.err)
		r.Error = r.err.Error()
	}
	r.Seconds = time.Since(start).Seconds()
	return r
}

// columnsOf are those of a test's rows.
func (b *Builder) columnsOf(ctx context.Context, m *Model, t Test) (names []string, err error) {
	if t.Kind != notNull {
		return append(append(names, t.Columns...), "row_count"), nil
	}
	there, err := readCatalog(ctx, b.db, b.dialect, m.Name)
	for _, c := range there[m.Name].columns {
		names = append(names, c.name)
	}
	return names, err
}

// show spells a value of an example.
func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case time.Time:
		return v.Format("2006-01-02 15:04:05.999999")
	}
	return warehouse.Fit(fmt.Sprint(v), 200)
}
