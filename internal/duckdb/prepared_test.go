package duckdb

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"arbalest"
)

func TestPrepared(t *testing.T) {
	w := mustOpen(t, "", Options{})
	defer w.Close()
	types, err := w.Parameters(t.Context(), "SELECT $2, $1 FROM range(3) r(i) WHERE i = $1 LIMIT $3")
	if want := []string{"BIGINT", "", "BIGINT"}; err != nil || !slices.Equal(types, want) {
		t.Errorf("parameters are %q, %v, want %q", types, err, want)
	}
	columns, err := w.Columns(t.Context(), "SELECT CAST($1 AS DATE) AS a, CAST($2 AS DECIMAL(10,2)) AS b, i AS a FROM range(3) r(i) WHERE i = CAST($3 AS BIGINT) LIMIT CAST($3 AS BIGINT)")
	if got := fmt.Sprint(columns); err != nil || got != "[{a DATE 0} {b DECIMAL(10,2) 1} {a BIGINT 1}]" {
		t.Errorf("columns are %s, %v", got, err)
	}
	rows, err := w.QueryAs(t.Context(), "SELECT i + CAST($1 AS BIGINT), 'x' AS x FROM range(3) r(i) LIMIT CAST($2 AS BIGINT)", []any{"40", "1"}, func(c Column) string { return "%s || '!' || %s" })
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if !rows.Next() || rows.Values()[0].Text != "40!40" || rows.Values()[1].Text != "x!x" || rows.Next() || rows.Err() != nil {
		t.Errorf("%v, %v", rows.Values(), rows.Err())
	}
	for _, sql := range []string{"CREATE TABLE x (a INTEGER)", "SELECT 1; SELECT 2", "selec"} {
		if _, err := w.Parameters(t.Context(), sql); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("%s: %v", sql, err)
		}
		if _, err := w.Columns(t.Context(), sql); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestAttach(t *testing.T) {
	w := mustOpen(t, "", Options{})
	defer w.Close()
	if err := w.Attach(t.Context(), "beside", []string{"CREATE MACRO twice(x) AS 2 * x", "CREATE VIEW two AS SELECT twice(1) AS n"}); err != nil {
		t.Fatal(err)
	}
	if got := mustQuery(t, w, "SELECT beside.twice(n), current_database() FROM beside.two"); got[0][0] != "4" || got[0][1] != "warehouse" {
		t.Errorf("%q", got)
	}
	if err := w.Attach(t.Context(), "beside", nil); err == nil {
		t.Error("attached twice")
	}
}
