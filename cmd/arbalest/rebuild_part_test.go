package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/postgres/postgrestest"
	"arbalest/internal/warehouse"
)

// TestRebuildPart damages a table in all of its hours, and has some of them made
// again, by a serve that is asked over its control port: only those are mended.
func TestRebuildPart(t *testing.T) {
	for _, kind := range []string{"duckdb", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			p := place{dir: t.TempDir()}
			c := config{Warehouse: warehouseConfig{Batch: 300}}
			if kind == "postgres" {
				c.Warehouse.URL = postgrestest.Start(t)
			}
			e, err := openEngine(t.Context(), p, c)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			quiet := func(progress) {}
			h, err := capture.New(capture.Options{Appender: e.lake.NewWriter()})
			if err != nil {
				t.Fatal(err)
			}
			for hour := range 24 {
				lines := fmt.Sprintf(`{"event":"order","id":"%d","timestamp":"2026-01-01T%02[1]d:59:59.999Z","data":{"n":%[1]d}}`+"\n", hour, hour) +
					fmt.Sprintf(`{"event":"other","id":"%d","timestamp":"2026-01-01T%02[1]d:00:00Z","data":{"n":%[1]d}}`, hour, hour)
				if _, err := h.Take(t.Context(), []byte(lines)); err != nil {
					t.Fatal(err)
				}
				if _, err := e.Sync(t.Context(), quiet); err != nil {
					t.Fatal(err)
				}
			}
			file := filepath.Join(t.TempDir(), "serve.json")
			served, err := listenControl(e, file, "")
			if err != nil {
				t.Fatal(err)
			}
			defer served.Close(t.Context())
			op, err := dialServant(t.Context(), file)
			if err != nil || op == nil {
				t.Fatal(op, err)
			}
			err = e.database.Transact(t.Context(), "test", func(tx warehouse.Tx) error {
				for _, table := range []string{`"order"`, "other"} {
					if _, err := tx.Exec(t.Context(), "UPDATE "+table+" SET n = 99"); err != nil {
						return err
					}
				}
				_, err := tx.Exec(t.Context(), `DELETE FROM "order" WHERE event_id = '11'`)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			hoursOf := func(from, to string) hours {
				t.Helper()
				h, err := hourFlags{from, to}.hours(time.Now())
				if err != nil {
					t.Fatal(err)
				}
				return h
			}
			const mended = `SELECT (SELECT count(*) FROM "order"), (SELECT count(*) FROM "order" WHERE n < 99), (SELECT min(n) FROM "order"), (SELECT count(*) FROM other WHERE n < 99)`
			want := func(want string) {
				t.Helper()
				if got := answerOf(t, e, mended); got != want {
					t.Errorf("tables are %s, want %s", got, want)
				}
			}
			told := func(q rebuildRequest, want string) {
				t.Helper()
				r, err := op.Rebuild(t.Context(), q, quiet)
				if err != nil {
					t.Fatal(err)
				}
				var out strings.Builder
				if err := r.print(&out, false); err != nil || !strings.HasPrefix(out.String(), want) {
					t.Errorf("%v, got\n%s\nwant\n%s", err, out.String(), want)
				}
			}
			part := hoursOf("2026-01-01/10", "2026-01-01T12:30:00Z") // to the end of that hour
			// It is said first what would change. Then it is stopped, and goes on.
			told(rebuildRequest{hours: part, Tables: []string{"order"}, Diff: true}, "order: 2 rows in both, 0 only in the live table, 1 only in the new one.\n  n ")
			want("[23 0 99 0]")
			told(rebuildRequest{hours: hoursOf("2026-01-01/10", "2026-01-01/12"), Diff: true}, "order: 1 row in both, 0 only in the live table, 1 only in the new one.\n  n ")
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			steps, first := 0, int64(-1)
			if _, err := e.Rebuild(ctx, rebuildRequest{hours: part, Tables: []string{"order"}}, func(progress) {
				if steps++; steps == 2 {
					stop()
				}
			}); !errors.Is(err, context.Canceled) {
				t.Fatalf("rebuild that is stopped: %v", err)
			}
			r, err := op.Rebuild(t.Context(), rebuildRequest{hours: part, Tables: []string{"order"}}, func(p progress) {
				if first < 0 {
					first = p.Done
				}
			})
			if err != nil || r.Loaded != 3 || r.Stored != 3 || !r.Swapped || first <= 0 {
				t.Errorf("%+v after %d, %v", r, first, err)
			}
			want("[24 3 10 0]")
			told(rebuildRequest{hours: hoursOf("2026-01-01/23", "")}, "0 events sorted in 0 commits, 2 rows loaded into 2 tables")
			want("[24 4 10 1]")
			told(rebuildRequest{hours: hoursOf("", "2025-12-31")}, "The store has no events of the hours before 2025-12-31 00:00: nor have the tables.")
			want("[24 4 10 1]")
			// Rows go into a table of their own.
			into := rebuildRequest{hours: hoursOf("2026-01-01", "2026-01-01/02"), Tables: []string{"order"}, Into: "back"}
			told(into, "0 events sorted in 0 commits, 2 rows loaded into 1 table")
			want("[24 4 10 1]")
			if got := answerOf(t, e, "SELECT count(*), max(n) FROM back"); got != "[2 1]" {
				t.Errorf("the table that was made has %s", got)
			}
			if _, err := op.Rebuild(t.Context(), into, quiet); !errors.Is(err, arbalest.ErrInvalid) || !strings.Contains(err.Error(), "choose another name") {
				t.Errorf("into a table that is there: %v", err)
			}
			into.Tables, into.Into = nil, "all"
			if _, err := op.Rebuild(t.Context(), into, quiet); !errors.Is(err, arbalest.ErrInvalid) {
				t.Errorf("all tables into one: %v", err)
			}
			told(rebuildRequest{hours: hoursOf("2026-01-01", "")}, "0 events sorted in 0 commits, 48 rows loaded into 2 tables")
			want("[24 24 0 24]")
			if report, err := e.Verify(t.Context(), verifyRequest{}, quiet); err != nil || report.Err() != nil {
				t.Error(err, report.Err())
			}
			// A table that is stalled is made again as a whole.
			if err := e.warehouse.Reset(t.Context(), "order"); err != nil {
				t.Fatal(err)
			}
			if _, err := op.Rebuild(t.Context(), rebuildRequest{hours: part, Tables: []string{"order"}}, quiet); !errors.Is(err, arbalest.ErrUnavailable) || !strings.Contains(err.Error(), "rebuild the whole table") {
				t.Errorf("hours of a stalled table: %v", err)
			}
		})
	}
}

// TestHourFlags reads what --from and --to may be.
func TestHourFlags(t *testing.T) {
	now := time.Date(2026, 11, 30, 9, 30, 0, 0, time.UTC)
	for flags, want := range map[hourFlags]string{
		{}: "", {from: "2026-11-01"}: " from 2026-11-01 00:00", {to: "2026-11-01/13"}: " before 2026-11-01 13:00",
		{"2026-11-01T13:00:00Z", "2026-11-01T14:00:00+01:00"}: "error", {"2026-11-01T13:59:00Z", "2026-11-01T13:59:01Z"}: " from 2026-11-01 13:00 before 2026-11-01 14:00",
		{from: "2h"}: " from 2026-11-30 07:00", {from: "yesterday"}: "error", {"2026-11-02", "2026-11-01"}: "error",
	} {
		h, err := flags.hours(now)
		if got := h.String(); err != nil != (want == "error") || err == nil && got != want {
			t.Errorf("%+v: %q, %v, want %q", flags, got, err, want)
		}
	}
}
