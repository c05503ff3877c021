package warehousetest

import (
	"errors"
	"fmt"

	"arbalest"
	"arbalest/internal/load"
)

func testAddColumn(s *suite) {
	s.rows(Inferred("grown", Col("a", "BIGINT")), Row{ID: "1", Time: "2015-08-18T06:00:00Z", Values: []any{1, `{"a":1}`}})
	s.rows(Inferred("grown", Col("a", "BIGINT"), Col("order", "VARCHAR(256)"), Col("ts", "TIMESTAMP")),
		Row{ID: "2", Time: "2015-08-18T06:00:00Z", Values: []any{2, "x", "2015-08-18T06:00:00Z", `{"a":2}`}})
	s.wantRows(`SELECT event_id, a, "order", ts, properties FROM grown ORDER BY event_id`,
		`1 | 1 | NULL | NULL | {"a":1}`, `2 | 2 | x | 2015-08-18 06:00:00 | {"a":2}`)
}

func testWiden(s *suite) {
	steps := []struct {
		from, to   string
		old, value any
		want       [2]string
	}{
		{"SMALLINT", "BIGINT", 1, 9007199254740993, [2]string{"1", "9007199254740993"}},
		{"BIGINT", "DOUBLE PRECISION", 9007199254740992, 0.5, [2]string{"9007199254740992.0", "0.5"}},
		{"BIGINT", "DECIMAL(38,3)", 9007199254740993, "0.125", [2]string{"9007199254740993.000", "0.125"}},
		{"BIGINT", "DECIMAL(6,2)", 9223372036854775807, "1000.25", [2]string{"9223372036854775807.00", "1000.25"}},
		{"DECIMAL(10,2)", "DECIMAL(10,4)", "12345678.91", "123456.7891", [2]string{"12345678.9100", "123456.7891"}},
		{"REAL", "DOUBLE PRECISION", 0.5, 0.1, [2]string{"0.5", "0.1"}},
		{"DATE", "TIMESTAMP", "2015-08-18", "2015-08-18T06:36:40.25Z", [2]string{"2015-08-18 00:00:00", "2015-08-18 06:36:40.25"}},
		{"TIMESTAMP", "TIMESTAMPTZ", "2015-08-18T06:36:40Z", "2015-08-18T08:36:40+02:00", [2]string{"2015-08-18 06:36:40+00", "2015-08-18 06:36:40+00"}},
		{"VARCHAR(10)", "VARCHAR(MAX)", "a", "b", [2]string{"a", "b"}},
	}
	for i, step := range steps {
		event := fmt.Sprintf("widened.%d", i)
		s.rows(Declared(event, Col("v", step.from)), Row{ID: "1", Time: "2015-08-18T06:00:00Z", Values: []any{step.old}}, Row{ID: "0", Time: "2015-08-18T06:00:00Z", Values: []any{nil}})
		s.rows(Declared(event, Col("v", step.to)), Row{ID: "2", Time: "2015-08-18T06:00:00Z", Values: []any{step.value}})
		s.wantRows(fmt.Sprintf("SELECT v FROM widened_%d ORDER BY event_id", i), Null, step.want[0], step.want[1])
	}
}

// testWiderInWarehouse loads by an older definition than the one that the
// table was made by.
func testWiderInWarehouse(s *suite) {
	s.rows(Declared("wide", Col("n", "DOUBLE PRECISION"), Col("d", "DECIMAL(20,4)"), Col("t", "TIMESTAMP")),
		Row{ID: "1", Time: "2015-08-18T06:00:00Z", Values: []any{0.5, "0.0001", "2015-08-18T06:36:40Z"}})
	s.rows(Declared("wide", Col("n", "BIGINT"), Col("d", "DECIMAL(6,2)"), Col("t", "DATE")),
		Row{ID: "2", Time: "2015-08-18T06:00:00Z", Values: []any{7, "1.25", "2015-08-18"}})
	s.wantRows("SELECT n, d, t FROM wide ORDER BY event_id", "0.5 | 0.0001 | 2015-08-18 06:36:40", "7.0 | 1.2500 | 2015-08-18 00:00:00")
	err := s.refused(Batch(Declared("wide", Col("n", "BIGINT")), 10, Object{Commit: 3, Rows: []Row{{ID: "3", Time: "2015-08-18T06:00:00Z", Values: []any{9007199254740993}}}}))
	wantTableError(s, err, "wide")
	s.wantRows("SELECT count(*) FROM wide", "2")
}

func testCannotWiden(s *suite) {
	s.rows(Declared("narrow", Col("n", "BIGINT"), Col("v", "VARCHAR(10)")), Row{ID: "1", Time: "2015-08-18T06:00:00Z", Values: []any{9007199254740993, "x"}})
	for _, column := range []arbalest.Column{Col("n", "DOUBLE PRECISION"), Col("n", "VARCHAR(10)"), Col("v", "BIGINT"), Col("n", "BOOLEAN"), Col("n", "TIMESTAMP")} {
		err := s.refused(Batch(Declared("narrow", column), 10, Object{Commit: 2, Rows: []Row{{ID: "2", Time: "2015-08-18T06:00:00Z", Values: []any{nil}}}}))
		wantTableError(s, err, "narrow")
	}
	s.wantRows("SELECT event_id, n, v FROM narrow", "1 | 9007199254740993 | x")
	s.wantProgress()
}

// testFewerColumns loads by a definition that lacks a column of the table.
func testFewerColumns(s *suite) {
	s.rows(Declared("fewer", Col("a", "BIGINT"), Col("b", "BIGINT")), Row{ID: "1", Time: "2015-08-18T06:00:00Z", Values: []any{1, 2}})
	s.rows(Declared("fewer", Col("b", "BIGINT")), Row{ID: "2", Time: "2015-08-18T06:00:00Z", Values: []any{3}})
	s.wantRows("SELECT a, b FROM fewer ORDER BY event_id", "1 | 2", "NULL | 3")
}

// refused loads a batch that must be refused and returns its error.
func (s *suite) refused(tables ...load.TableBatch) error {
	s.Helper()
	_, err := s.w.Load(s.Context(), s.at, load.Batch{Tables: tables, Next: s.next()})
	if err == nil {
		s.Fatal("batch was loaded")
	}
	return err
}

func wantTableError(s *suite, err error, table string) {
	s.Helper()
	var one *load.TableError
	if !errors.As(err, &one) || one.Table != table || !errors.Is(err, arbalest.ErrInvalid) {
		s.Errorf("error is %v, want a TableError of %s that wraps ErrInvalid", err, table)
	}
}
