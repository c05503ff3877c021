package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
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
	_, err := e.Rebuild(ctx, rebuildRequest{Tables: []string{"order"}}, func(progress) {
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
	r, err := e.Rebuild(t.Context(), rebuildRequest{Tables: []string{"order"}}, func(p progress) { shown = append(shown, p) })
	if err != nil || r.err() != nil {
		t.Fatal(err, r.err())
	}
	if r.Loaded < 15 || r.Loaded >= 21 || shown[0].Done <= 0 || shown[0].Total < 20 || shown[0].Stage != "rebuild" {
		t.Errorf("the second rebuild loaded %d rows, and showed %+v", r.Loaded, shown)
	}
	if got := answerOf(t, e, `SELECT count(*), max(amount), (SELECT count(*) FROM arbalest.cursor), (SELECT string_agg(data_type, '') FROM information_schema.columns WHERE column_name = 'amount') FROM "order"`); got != "[21 many 1 VARCHAR]" {
		t.Errorf("the new table has %s", got)
	}
	if report, err := e.Verify(t.Context(), verifyRequest{}, quiet); err != nil || report.Err() != nil {
		t.Error(err, report.Err())
	}
	tables, err := e.Tables(t.Context())
	if err != nil || len(tables.Tables) != 2 {
		t.Errorf("%+v, %v", tables, err)
	}
	if r, err = e.Rebuild(t.Context(), rebuildRequest{}, quiet); err != nil || r.Loaded != 22 {
		t.Errorf("rebuild of all: %+v, %v", r, err)
	}
	if _, err = e.Rebuild(t.Context(), rebuildRequest{Tables: []string{"order", "none"}}, quiet); !errors.Is(err, arbalest.ErrUnknown) {
		t.Errorf("rebuild of an unknown table: %v", err)
	}
}

// TestDryRun tries a changed definition on what a place has, and holds that nothing
// changes by it.
func TestDryRun(t *testing.T) {
	dir := t.TempDir()
	p := place{dir: dir}
	e, err := openEngine(t.Context(), p, config{Events: map[string]eventConfig{"order": {Columns: []columnConfig{{Name: "amount", Type: "DECIMAL(12,3)"}, {Name: "note", Type: "VARCHAR(9)"}, {Name: "gone", Type: "DATE"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	h, err := capture.New(capture.Options{Appender: e.lake.NewWriter()})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`{"event":"order","id":"1","timestamp":"2026-01-01T00:30:00Z","data":{"amount":1.5,"note":"short","by":"7"}}`,
		`{"event":"order","id":"2","timestamp":"2026-01-01T01:30:00Z","data":{"amount":1.005,"note":"too long"}}`,
		`{"event":"order","id":"3","timestamp":"2026-01-01T02:30:00Z","data":{"amount":2.005,"note":"ok","by":"x"}}`,
		`{"event":"order","id":"4","timestamp":"2026-01-01T03:30:00Z","data":{"amount":3}}`,
		`{"event":"other","id":"1","data":{"amount":"x"}}`,
	} {
		if _, err := h.Take(t.Context(), []byte(line)); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Sync(t.Context(), func(progress) {}); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "new.yaml")
	if err := os.WriteFile(file, []byte("events:\n  order:\n    columns: [{name: amount, type: \"DECIMAL(9,2)\"}, {name: note, type: VARCHAR(5)}, {name: by, type: INTEGER}]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	tried := func(flags trial, tables ...string) string {
		t.Helper()
		flags.dry, flags.define = true, file
		r, err := flags.request(&p, tables)
		if err != nil {
			t.Fatal(err)
		}
		report, err := e.Try(t.Context(), r, func(progress) {})
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := report.print(&out, false); err != nil {
			t.Fatal(err)
		}
		return regexp.MustCompile(`\(order/\S*, `).ReplaceAllString(out.String(), "(")
	}
	before := answerOf(t, e, `SELECT * FROM "order" ORDER BY event_id`)
	want := `order: 2 of 4 events would not be loaded.
  amount DECIMAL(12,3) to DECIMAL(9,2): 2 events do not fit
    1.005 has 3 fractional digits, DECIMAL(9,2) keeps 2 (line 1, id 2)
    2.005 has 3 fractional digits, DECIMAL(9,2) keeps 2 (line 1, id 3)
  note VARCHAR(9) to VARCHAR(5): 1 event does not fit
    "too long" has 8 bytes, VARCHAR(5) holds 5 (line 1, id 2)
  by INTEGER comes: 1 event does not fit
    "x" is not an INTEGER (line 1, id 3)
  gone DATE goes
`
	if got := tried(trial{}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := tried(trial{hourFlags: hourFlags{from: "2026-01-01/02", to: "2026-01-01T03:10:00Z"}}, "order"); !strings.HasPrefix(got, "order: 1 of 2 events from 2026-01-01 02:00 before 2026-01-01 04:00 would not be loaded.\n") {
		t.Errorf("of two hours: %s", got)
	}
	for says, flags := range map[string]trial{"go together": {dry: true}, "how long ago": {dry: true, define: file, hourFlags: hourFlags{from: "soon"}}, "no hour": {dry: true, define: file, hourFlags: hourFlags{from: "2026-01-02", to: "2026-01-02"}}} {
		if _, err := flags.request(&p, nil); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v", flags, err)
		}
	}
	if _, err := (&trial{dry: true, define: file}).request(&p, []string{"other"}); !errors.Is(err, arbalest.ErrUnknown) {
		t.Errorf("a table that is not defined: %v", err)
	}
	if got := answerOf(t, e, `SELECT * FROM "order" ORDER BY event_id`); got != before {
		t.Errorf("the table was %s, and is %s", before, got)
	}
}
