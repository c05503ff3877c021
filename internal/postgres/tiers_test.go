package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/load"
	"arbalest/internal/load/warehousetest"
	"arbalest/internal/postgres/postgrestest"
	"arbalest/internal/warehouse"
)

// TestInvariant2CutLeaves cuts the connection before every message of a departure, or
// loses its reply. Those that are tried again by themselves succeed; of those that are
// not, another client finds the day as it was or as it is to be, and does the rest.
func TestInvariant2CutLeaves(t *testing.T) {
	dsn := postgrestest.Start(t)
	direct := mustOpen(t, dsn, Options{})
	w := warehouse.New(direct)
	proxy := postgrestest.NewProxy(t, dsn)
	day := arbalest.HourOfMicro(warehousetest.Micros("2015-08-18T00:00:00Z"))
	commit := arbalest.Seq(0)
	for k, stop := 1, false; !stop; k++ {
		for i, kind := range []postgrestest.FaultKind{postgrestest.CutBefore, postgrestest.LoseReply} {
			commit++
			if c, err := loadCommit(t.Context(), w, commit); err != nil || c != crashCounts(commit) {
				t.Fatalf("%v %d: what left is not known: %+v, %v", kind, k, c, err)
			}
			d := load.Departure{Table: "crashed", Day: day, Hot: 2, Left: 2 * int64(commit-1), Warm: load.Warm{Key: arbalest.Key(fmt.Sprint("_warm/", commit)), Bytes: int64(commit), Columns: "c"}}
			has := func() string {
				return fmt.Sprint(rows(t, direct, `SELECT (SELECT count(*) FROM crashed), (SELECT count(DISTINCT event_id) FROM arbalest.archived), (SELECT count(*) FROM arbalest.archived), left_rows, warm_key
					FROM arbalest.days`))
			}
			was, attempts := has(), 10
			if (k+i)%2 == 0 {
				attempts = 1
			}
			proxy.Set()
			far := mustOpen(t, proxy.DSN(), Options{Attempts: attempts, Connections: 1})
			if _, err := warehouse.New(far).Progress(t.Context()); err != nil {
				t.Fatal(err)
			}
			proxy.Set(postgrestest.Fault{Kind: kind, N: k})
			err := warehouse.New(far).Leave(t.Context(), d)
			if err != nil && (attempts > 1 || !errors.Is(err, arbalest.ErrUnavailable)) {
				t.Fatalf("%v %d: %v", kind, k, err)
			}
			n := 2 * int(commit)
			want := fmt.Sprintf("[0 %d %d %d _warm/%s]", n, n, n, commit)
			if got := has(); got != want && (err == nil || got != was) {
				t.Fatalf("%v %d: there is %s, want %s, or %s and an error: %v", kind, k, got, want, was, err)
			}
			for range 2 {
				if err := w.Leave(t.Context(), d); err != nil {
					t.Fatalf("%v %d: the next client: %v", kind, k, err)
				}
				if got := has(); got != want {
					t.Fatalf("%v %d: after the next client there is %s, want %s", kind, k, got, want)
				}
			}
			stop = stop || proxy.Pending() > 0
		}
	}
	t.Logf("%d departures", commit)
}

// A counted database counts the queries of transactions that name something.
type counted struct {
	warehouse.Database
	of    string
	asked int
}

type countedTx struct {
	warehouse.Tx
	with *counted
}

func (c *counted) Transact(ctx context.Context, lock string, do func(warehouse.Tx) error) error {
	return c.Database.Transact(ctx, lock, func(tx warehouse.Tx) error { return do(countedTx{tx, c}) })
}

func (tx countedTx) Query(ctx context.Context, sql string, visit func([]any) error, args ...any) error {
	if strings.Contains(sql, tx.with.of) {
		tx.with.asked++
	}
	return tx.Tx.Query(ctx, sql, visit, args...)
}

// TestLeaveByAnother has others make rows leave between the loads of a warehouse, which
// asks for what left when something else than its own load came before, and never
// else.
func TestLeaveByAnother(t *testing.T) {
	d := mustOpen(t, postgrestest.Start(t), Options{})
	counts := &counted{Database: d, of: "arbalest.days"}
	w := warehouse.New(counts)
	table := warehousetest.Declared("a", warehousetest.Col("n", "INTEGER"))
	commit := arbalest.Seq(0)
	step := func(want load.Counts, asked int, rows ...warehousetest.Row) {
		t.Helper()
		before := counts.asked
		commit++
		b := load.Batch{Tables: []load.TableBatch{warehousetest.Batch(table, 9, warehousetest.Object{Commit: commit, Rows: rows})}, Next: at(commit)}
		if got, err := w.Load(t.Context(), at(commit-1), b); err != nil || got[0] != want {
			t.Errorf("commit %d: %+v, %v, want %+v", commit, got, err, want)
		}
		if n := counts.asked - before; n != asked {
			t.Errorf("commit %d: asked %d times for what left, want %d", commit, n, asked)
		}
	}
	x := warehousetest.Row{ID: "x", Time: "2015-08-18T06:00:00Z", Values: []any{1}}
	y := warehousetest.Row{ID: "y", Time: "2015-08-19T06:00:00Z", Values: []any{1}}
	step(load.Counts{Stored: 1, Loaded: 1}, 1, x)
	step(load.Counts{Stored: 2, Loaded: 1, Repeats: 1}, 0, x, y)
	for day := range arbalest.Hour(2) {
		leave := load.Departure{Table: "a", Day: arbalest.HourOfMicro(warehousetest.Micros("2015-08-18T00:00:00Z")) + 24*day, Hot: 1}
		if err := warehouse.New(d).Leave(t.Context(), leave); err != nil {
			t.Fatal(err)
		}
		step(load.Counts{Stored: 2, Repeats: 2}, 1, x, y)
		step(load.Counts{Stored: 1, Repeats: 1}, 0, x)
	}
	if _, err := warehouse.New(d).Beside(t.Context(), "plan"); err != nil {
		t.Fatal(err)
	}
	shadow, err := w.Beside(t.Context(), "plan")
	if err != nil {
		t.Fatal(err)
	}
	b := load.Batch{Tables: []load.TableBatch{warehousetest.Batch(table, 9, warehousetest.Object{Commit: 1, Rows: []warehousetest.Row{x}})}, Next: at(1)}
	if got, err := shadow.Load(t.Context(), at(0), b); err != nil || got[0].Loaded != 1 {
		t.Errorf("beside: %+v, %v: what left the live table is not of one beside it", got, err)
	}
	step(load.Counts{Stored: 1, Repeats: 1}, 0, y)
}

// TestTiersReadIndexes has the planner say how it finds days that have rows before a
// time that none are before, and repeats of what left.
func TestTiersReadIndexes(t *testing.T) {
	d := mustOpen(t, postgrestest.Start(t), Options{})
	w := warehouse.New(d)
	if _, err := w.Load(t.Context(), at(0), load.Batch{Tables: []load.TableBatch{benchBatch(1, 0, 30_000, time.Second)}, Next: at(1)}); err != nil {
		t.Fatal(err)
	}
	run(t, d, "ANALYZE inserted")
	plan := strings.Join(rows(t, d, "EXPLAIN SELECT date_trunc('day', event_time), count(*) FROM inserted WHERE event_time <= TIMESTAMP '2015-08-18' GROUP BY 1"), "\n")
	if !strings.Contains(plan, "Index") || strings.Contains(plan, "Seq Scan") {
		t.Errorf("days are found by\n%s", plan)
	}
	if err := w.Leave(t.Context(), load.Departure{Table: "inserted", Day: arbalest.HourOfMicro(warehousetest.Micros("2015-08-18T00:00:00Z")), Hot: 30_000}); err != nil {
		t.Fatal(err)
	}
	run(t, d, "CREATE TABLE stage AS SELECT 1::bigint AS row_place, event_id, event_time, true AS by_receipt FROM arbalest.archived LIMIT 1000")
	for _, analyze := range []string{"SELECT 1", "ANALYZE arbalest.archived"} {
		run(t, d, analyze)
		plan = strings.Join(rows(t, d, "EXPLAIN "+lookup("(SELECT event_id, event_time, received_at, event_hash FROM arbalest.archived WHERE table_name = 'inserted')", "stage", true)), "\n")
		if strings.Count(plan, "Index Cond: ((date_trunc(") != 2 || strings.Contains(plan, "Seq Scan on archived") {
			t.Errorf("what left is looked up by\n%s", plan)
		}
	}
}

// TestTiersWithoutBooks opens a warehouse of a program that knew no tiers.
func TestTiersWithoutBooks(t *testing.T) {
	d := mustOpen(t, postgrestest.Start(t), Options{})
	if _, err := loadCommit(t.Context(), warehouse.New(d), 1); err != nil {
		t.Fatal(err)
	}
	run(t, d, "DROP TABLE arbalest.archived, arbalest.days, arbalest.held")
	w := warehouse.New(d)
	read := func() (n int) {
		t.Helper()
		if err := w.Rows(t.Context(), "crashed", 0, 1<<60, func(load.Row) error { n++; return nil }); err != nil {
			t.Error(err)
		}
		return n
	}
	day := arbalest.HourOfMicro(warehousetest.Micros("2015-08-18T00:00:00Z"))
	days, err := w.Days(t.Context(), "crashed", day+24)
	if err != nil || len(days) != 1 || days[0] != (load.Day{Day: day, Hot: 2}) || read() != 2 {
		t.Errorf("%d rows of %+v, %v", read(), days, err)
	}
	if c, err := loadCommit(t.Context(), w, 2); err != nil || c != crashCounts(2) {
		t.Errorf("load: %+v, %v", c, err)
	}
	if err := w.Leave(t.Context(), load.Departure{Table: "crashed", Day: day, Hot: 4}); err != nil || read() != 4 {
		t.Errorf("leave: %v", err)
	}
	wantErr := errors.New("stop")
	if err := w.Rows(t.Context(), "crashed", 0, 1<<60, func(load.Row) error { return wantErr }); err != wantErr {
		t.Error(err)
	}
}
