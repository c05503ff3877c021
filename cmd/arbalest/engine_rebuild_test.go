package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/capture"
)

// answerOf returns a query's rows.
func answerOf(t *testing.T, e *engine, sql string) string {
	t.Helper()
	var rows []string
	err := e.database.Query(t.Context(), sql, func(v []any) error {
		rows = append(rows, fmt.Sprint(v))
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return strings.Join(rows, " ")
}

// TestRebuildByTheCurrentDefinition changes definitions between two runs on one place:
// a table that is stalled for it, and one that is not, are made again beside the
// old ones, and a rebuild that is stopped goes on.
func TestRebuildByTheCurrentDefinition(t *testing.T) {
	p := place{dir: t.TempDir()}
	open := func(kind string) *engine {
		e, err := openEngine(t.Context(), p, config{Warehouse: warehouseConfig{Batch: 500}, Events: map[string]eventConfig{"order": {Columns: []columnConfig{{Name: "amount", Type: kind}}}}})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	quiet := func(progress) {}
	take := func(e *engine, text string) {
		t.Helper()
		h, err := capture.New(capture.Options{Appender: e.lake.NewWriter()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Take(t.Context(), []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Sync(t.Context(), quiet); err != nil {
			t.Fatal(err)
		}
	}
	e := open("INTEGER")
	for i := range 20 {
		take(e, fmt.Sprintf(`{"event":"order","id":"%d","timestamp":"2026-01-01T00:00:00Z","data":{"amount":%d}}`, i, i))
	}
	take(e, `{"event":"other","id":"1","data":{}}`)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open("VARCHAR(9)")
	defer func() { e.Close() }()
	take(e, `{"event":"order","id":"x","timestamp":"2026-01-01T00:00:00Z","data":{"amount":"many"}}`)
	if r, err := e.Sync(t.Context(), quiet); err != nil || !strings.Contains(fmt.Sprint(r.err()), "arbalest rebuild order") {
		t.Fatalf("sync: %v, %v", err, r.err())
	}
	// It is stopped after two batches, and goes on.
	ctx, stop := context.WithCancel(t.Context())
	steps := 0
	_, err := e.Rebuild(ctx, []string{"order"}, func(progress) {
		if steps++; steps == 2 {
			stop()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("rebuild that is stopped: %v", err)
	}
	if got := answerOf(t, e, "SELECT count(*), sum(amount)::BIGINT FROM \"order\""); got != "[20 190]" {
		t.Errorf("the live table has %s", got)
	}
	var shown []progress
	r, err := e.Rebuild(t.Context(), []string{"order"}, func(p progress) { shown = append(shown, p) })
	if err != nil || r.err() != nil {
		t.Fatal(err, r.err())
	}
	if r.Loaded < 15 || r.Loaded >= 21 || shown[0].Done <= 0 || shown[0].Total < 20 || shown[0].Stage != "rebuild" {
		t.Errorf("the second rebuild loaded %d rows, and showed %+v", r.Loaded, shown)
	}
	if got := answerOf(t, e, `SELECT count(*), max(amount), (SELECT count(*) FROM arbalest.cursor), (SELECT string_agg(data_type, '') FROM information_schema.columns WHERE column_name = 'amount') FROM "order"`); got != "[21 many 1 VARCHAR]" {
		t.Errorf("the new table has %s", got)
	}
	if report, err := e.Verify(t.Context(), quiet); err != nil || report.Err() != nil {
		t.Error(err, report.Err())
	}
	tables, err := e.Tables(t.Context())
	if err != nil || len(tables.Tables) != 2 {
		t.Errorf("%+v, %v", tables, err)
	}
	if r, err = e.Rebuild(t.Context(), nil, quiet); err != nil || r.Loaded != 22 {
		t.Errorf("rebuild of all: %+v, %v", r, err)
	}
	if _, err = e.Rebuild(t.Context(), []string{"order", "none"}, quiet); !errors.Is(err, arbalest.ErrUnknown) {
		t.Errorf("rebuild of an unknown table: %v", err)
	}
}
