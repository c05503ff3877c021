package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/load"
	"arbalest/internal/postgres/postgrestest"
	"arbalest/internal/redshift"
	"arbalest/internal/redshift/redshifttest"
	"arbalest/internal/warehouse"
	"arbalest/pipeline"
)

// onWarehouses runs a test on a place with each warehouse that there is. Redshift
// is an emulator, which the engine is given as it is.
func onWarehouses(t *testing.T, test func(t *testing.T, e *engine, take func(string))) {
	for _, kind := range []string{"duckdb", "postgres", "redshift"} {
		t.Run(kind, func(t *testing.T) {
			p := place{dir: t.TempDir()}
			c := config{Events: map[string]eventConfig{"order": {Columns: []columnConfig{{Name: "amount", Type: "DECIMAL(12,2)"}}}}}
			if kind == "postgres" {
				c.Warehouse.URL = postgrestest.Start(t)
			}
			e, err := openEngine(t.Context(), p, c)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			if kind == "redshift" {
				server := redshifttest.Start(t)
				db, err := redshift.Open(t.Context(), server.URL(), redshift.Options{Bucket: server.NewBucket(), IAMRole: "arn:aws:iam::123456789012:role/loader"})
				if err != nil {
					t.Fatal(err)
				}
				if err := e.warehouse.Close(); err != nil {
					t.Fatal(err)
				}
				w := warehouse.New(db)
				declared, err := c.tables()
				if err != nil {
					t.Fatal(err)
				}
				e.warehouse, e.database, e.duck, e.alone, e.loader = w, db, nil, false, load.New(e.lake, w, load.Options{Declared: declared})
			}
			h, err := capture.New(capture.Options{Appender: e.lake.NewWriter()})
			if err != nil {
				t.Fatal(err)
			}
			test(t, e, func(text string) {
				t.Helper()
				if _, err := h.Take(context.Background(), []byte(text)); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// TestEventsAndTablesFollowTheBooks looks at both in landing, sorted and loaded:
// what is not loaded yet counts, too.
func TestEventsAndTablesFollowTheBooks(t *testing.T) {
	onWarehouses(t, func(t *testing.T, e *engine, take func(string)) {
		ctx := t.Context()
		if r, err := e.Events(ctx); len(r.Events) != 0 || err != nil {
			t.Fatalf("of nothing: %+v, %v", r, err)
		}
		if r, err := e.Tables(ctx); len(r.Tables) != 0 || err != nil {
			t.Fatalf("of nothing: %+v, %v", r, err)
		}
		recent := time.Now().UTC().Add(-2 * time.Hour).Truncate(time.Hour)
		take(`{"event":"order","id":"1","timestamp":"2015-08-18T06:36:40Z","data":{"amount":1.5}}
{"event":"order","id":"1","timestamp":"2015-08-18T06:36:40Z","data":{"amount":1.5}}
{"event":"order","id":"2","timestamp":"2015-08-18T07:00:00Z","data":{"amount":1.001}}
{"event":"note","id":"3","timestamp":"` + recent.Format(time.RFC3339) + `","data":{"text":"it's","deep":{"a":null,"b":1}}}
{"event":"note","id":"4","timestamp":"` + recent.Format(time.RFC3339) + `","data":{"text":"so"}}
{"event":"note","id":"5","timestamp":"no"}`)
		want := func(stage string, want ...eventLine) {
			t.Helper()
			r, err := e.Events(ctx)
			if err != nil || len(r.Events) != len(want) {
				t.Fatalf("%s: %+v, %v", stage, r, err)
			}
			for i, got := range r.Events {
				got.First, got.Last, got.LoadedAt, got.PerMinute = nil, nil, nil, 0
				if !reflect.DeepEqual(got, want[i]) {
					t.Errorf("%s: %+v, want %+v", stage, got, want[i])
				}
			}
		}
		note := eventLine{Event: "note", booked: booked{Received: 3, Rejected: 1, Counts: load.Counts{Stored: 2}, NotLoaded: 2}, LastDay: 2}
		order := eventLine{Event: "order", booked: booked{Received: 3, Counts: load.Counts{Stored: 3}, NotLoaded: 3}}
		want("landed", note, order)
		if _, err := e.lake.Sort(ctx); err != nil {
			t.Fatal(err)
		}
		want("sorted", note, order)
		if r, err := e.Event(ctx, eventRequest{Event: "order", Examples: 1, Sample: 10}); err != nil || r.Sampled != 3 {
			t.Errorf("sorted: %+v, %v", r, err)
		}
		if _, err := e.Sync(ctx, func(progress) {}); err != nil {
			t.Fatal(err)
		}
		note.Table, note.Loaded, note.NotLoaded = "note", 2, 0
		order.Table, order.Loaded, order.Repeats, order.Errors, order.NotLoaded = "order", 1, 1, 1, 0
		want("loaded", note, order)

		r, err := e.Event(ctx, eventRequest{Event: "note", Examples: 1, Sample: 10})
		if err != nil || r.Sampled != 2 || len(r.Examples) != 1 || !r.First.Equal(recent) || !r.Last.Equal(recent) {
			t.Fatalf("%+v, %v", r, err)
		}
		if !json.Valid(r.Examples[0]) || !strings.Contains(string(r.Examples[0]), `"id":"4"`) {
			t.Errorf("the newest: %s", r.Examples[0])
		}
		var properties []string
		for _, p := range r.Properties {
			properties = append(properties, strings.TrimSpace(spell(p.Path)+" "+p.Type+" "+percent(p.Events, r.Sampled)))
		}
		if got := strings.Join(properties, "; "); got != "text VARCHAR(MAX) 100 %; deep.a  0.0 %; deep.b BIGINT 50.0 %" || r.Properties[2].Share != 0.5 {
			t.Errorf("properties: %s", got)
		}
		if _, err := e.Event(ctx, eventRequest{Event: "nope", Sample: 1}); !errors.Is(err, arbalest.ErrUnknown) {
			t.Error(err)
		}

		tables, err := e.Tables(ctx)
		if err != nil || len(tables.Tables) != 2 {
			t.Fatalf("%+v, %v", tables, err)
		}
		if l := tables.Tables[1]; l.Table != "order" || l.Kind != "event" || l.Event != "order" || *l.Rows != 1 || l.Columns != 5 || (l.Bytes == nil) != (e.database.Dialect().Name == "redshift") || l.Repeats != 1 || l.Errors != 1 || l.LoadedAt == nil || l.Last.Hour() != 6 {
			t.Errorf("%+v", l)
		}
		table, err := e.Table(ctx, tableRequest{Table: "order", Limit: 1})
		if err != nil || len(table.List) != 5 || len(table.Loads) != 1 || len(table.Faults) != 1 {
			t.Fatalf("%+v, %v", table, err)
		}
		if f := table.Faults[0]; f.ID != "2" || f.Column != "amount" || f.Value != "1.001" || f.Line != 1 || f.Loaded || f.Object == "" {
			t.Errorf("%+v", f)
		}
		if l := table.Loads[0]; l.Commit != 1 || l.Stored != 1 || l.Errors != 1 || l.Hour.Hour() != 7 {
			t.Errorf("%+v", l)
		}
		if _, err := e.Table(ctx, tableRequest{Table: "nope"}); !errors.Is(err, arbalest.ErrUnknown) {
			t.Error(err)
		}
		long := arbalest.EventName(strings.Repeat("long.", 20) + "end") // longer than names in PostgreSQL
		take(`{"event":"` + string(long) + `","id":"6","data":{}}`)
		if _, err := e.Sync(ctx, func(progress) {}); err != nil {
			t.Fatal(err)
		}
		table, err = e.Table(ctx, tableRequest{Table: long.Table(), Limit: 1})
		emulated := e.database.Dialect().Name == "redshift" // which shortens long literals as it does names
		if err != nil || table.Event != long || len(table.Loads) != 1 && !emulated || tableOnPage(table.tableLine).Name != long.Table() {
			t.Errorf("by the journal's name: %+v, %v", table, err)
		}
	})
}

// TestModelsAndRunsAreShown holds that tables tell models from others, status
// which of their tests failed, and runs the steps of a run.
func TestModelsAndRunsAreShown(t *testing.T) {
	onWarehouses(t, func(t *testing.T, e *engine, take func(string)) {
		ctx := t.Context()
		if r, err := e.Runs(ctx, pipeline.Filter{}); len(r.Runs) != 0 || err != nil {
			t.Fatalf("of nothing: %+v, %v", r, err)
		}
		take(`{"event":"order","id":"1","data":{"amount":1.5}}`)
		file := func(name, text string) string {
			t.Helper()
			path := filepath.Join(e.place.dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			return path
		}
		good := file("good.yaml", "name: good\nsteps:\n  - sync: {}\n  - sql: CREATE TABLE others AS SELECT 1 AS n\n")
		bad := file("bad.yaml", "name: bad\nsteps:\n  - sql: SELECT nope\n")
		for _, f := range []string{good, bad} {
			if _, err := e.Run(ctx, pipelineRequest{File: f}, func(progress) {}); err != nil {
				t.Fatal(err)
			}
		}
		file("models/seen.sql", "SELECT event_id FROM \"order\"")
		file("models/kept.sql", "-- materialized: table\n-- tests: not_null(amount), unique(event_id), accepted_values(amount: 2)\nSELECT event_id, amount FROM \"order\"")
		if r, err := e.Build(ctx, modelRequest{}, func(progress) {}); err != nil || r.err() != nil {
			t.Fatal(err, r.err())
		}
		if _, err := e.Test(ctx, modelRequest{}); err != nil {
			t.Fatal(err)
		}
		tables, err := e.Tables(ctx)
		if err != nil {
			t.Fatal(err)
		}
		kinds := ""
		for _, l := range tables.Tables {
			kinds += l.Table + " " + l.Kind + " " + countShown(l.Rows) + "; "
		}
		if kinds != "kept model 1; order event 1; others table ; seen model ; " {
			t.Error(kinds)
		}
		status, err := e.Status(ctx)
		if err != nil || len(status.Models) != 2 || len(status.Models[0].Failing) != 1 || status.Models[0].Failing[0].Test != "accepted_values(amount: 2)" {
			t.Errorf("%+v, %v", status.Models, err)
		}
		for _, c := range []struct {
			filter pipeline.Filter
			want   string
		}{
			{pipeline.Filter{}, "bad failed, good done"}, {pipeline.Filter{Limit: 1}, "bad failed"}, {pipeline.Filter{Pipeline: "good"}, "good done"},
			{pipeline.Filter{State: pipeline.Failed}, "bad failed"}, {pipeline.Filter{From: time.Now().Add(time.Hour)}, ""}, {pipeline.Filter{From: time.Now().Add(-time.Hour), Each: 1}, "bad failed, good done"},
		} {
			r, err := e.Runs(ctx, c.filter)
			var got []string
			for _, x := range r.Runs {
				got = append(got, x.Pipeline+" "+string(x.State))
			}
			if strings.Join(got, ", ") != c.want || err != nil {
				t.Errorf("%+v: %q, %v", c.filter, got, err)
			}
		}
		all, _ := e.Runs(ctx, pipeline.Filter{Pipeline: "good"})
		r, err := e.Runs(ctx, pipeline.Filter{Run: all.Runs[0].Run})
		if err != nil || len(r.Steps) != 2 || r.Steps[0].Rows != 1 || r.Steps[1].State != pipeline.Done {
			t.Errorf("%+v, %v", r, err)
		}
		if _, err := e.Runs(ctx, pipeline.Filter{Run: "nope"}); !errors.Is(err, arbalest.ErrUnknown) {
			t.Error(err)
		}
		// Every report in every format: JSON is JSON, CSV has as many fields as its
		// header, and a table is one.
		event, err := e.Event(ctx, eventRequest{Event: "order", Examples: 3, Sample: 10})
		if err != nil {
			t.Fatal(err)
		}
		table, err := e.Table(ctx, tableRequest{Table: "order", Limit: 3})
		if err != nil {
			t.Fatal(err)
		}
		events, err := e.Events(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for i, report := range []shown{events, event, tables, table, all, r, shownStatus{status, false}, shownStatus{status, true}} {
			var table, whole, lines, csv bytes.Buffer
			for format, out := range map[string]*bytes.Buffer{"table": &table, "json": &whole, "ndjson": &lines, "csv": &csv} {
				if err := report.print(out, format); err != nil || out.Len() == 0 {
					t.Errorf("report %d as %s: %q, %v", i, format, out, err)
				}
			}
			if !json.Valid(whole.Bytes()) {
				t.Errorf("report %d as json: %s", i, whole.String())
			}
			for line := range strings.Lines(lines.String()) {
				if !json.Valid([]byte(line)) {
					t.Errorf("report %d as ndjson: %s", i, line)
				}
			}
			if !strings.Contains(table.String(), "╭") || !strings.Contains(strings.SplitN(csv.String(), "\n", 2)[0], ",") {
				t.Errorf("report %d:\n%s%s", i, table.String(), csv.String())
			}
		}
	})
}

// TestShellOnOtherWarehouses holds that what the shell asks of the catalog is
// SQL that PostgreSQL and Redshift know, too; e2e has DuckDB.
func TestShellOnOtherWarehouses(t *testing.T) {
	onWarehouses(t, func(t *testing.T, e *engine, take func(string)) {
		if e.alone {
			return // the session would close it
		}
		take(`{"event":"order","id":"1","data":{"amount":1.5}}`)
		if _, err := e.Sync(t.Context(), func(progress) {}); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		s := session{place: &e.place, op: e, out: &out, errs: &errs, format: "csv"}
		for command, want := range map[string]string{`\dt`: "schema,name,kind\npublic,order,table\n", `\d Public.Order`: "column,type\nevent_id,", `\d`: "arbalest,books,view\n"} {
			out.Reset()
			if err := s.command(t.Context(), command, nil); err != nil || !strings.Contains(out.String(), want) {
				t.Errorf("%s: %q, %v", command, &out, err)
			}
		}
		if err := s.command(t.Context(), `\d nope`, nil); !errors.Is(err, arbalest.ErrUnknown) {
			t.Error(err)
		}
		c, err := s.catalog(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range c.Tables {
			if table.Schema == "" && (table.Name != "order" || strings.Join(table.Columns, " ") != "event_id event_time received_at event_hash amount") {
				t.Errorf("%+v", table)
			}
		}
		if len(c.Tables) < 5 {
			t.Errorf("%d tables to complete", len(c.Tables))
		}
	})
}
