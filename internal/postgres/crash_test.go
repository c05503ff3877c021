package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/decode"
	"arbalest/internal/load"
	"arbalest/internal/load/warehousetest"
	"arbalest/internal/postgres/postgrestest"
	"arbalest/internal/warehouse"
)

// crashBatch has, for each commit, two new rows, a repeat and a conflict of the
// commit before it, and a load error.
func crashBatch(commit arbalest.Seq) load.TableBatch {
	const at = "2015-08-18T06:00:00Z"
	row := func(c arbalest.Seq, k int, hash string) warehousetest.Row {
		return warehousetest.Row{ID: fmt.Sprintf("%d-%d", c, k), Time: at, Hash: hash, Values: []any{fmt.Sprint("row of ", c)}}
	}
	rows := []warehousetest.Row{row(commit, 0, ""), row(commit, 1, "")}
	if commit > 1 {
		rows = append(rows, row(commit-1, 0, ""), row(commit-1, 1, "ffffffffffffffff"))
	}
	return warehousetest.Batch(warehousetest.Declared("crashed", warehousetest.Col("v", "VARCHAR(MAX)")), 3,
		warehousetest.Object{Commit: commit, Rows: rows, Errors: []decode.LoadError{{Line: 9, ID: "bad", Reason: "bad"}}})
}

func crashCounts(commit arbalest.Seq) load.Counts {
	if commit == 1 {
		return load.Counts{Stored: 3, Loaded: 2, Errors: 1}
	}
	return load.Counts{Stored: 5, Loaded: 2, Repeats: 2, Conflicts: 1, Errors: 1}
}

func at(commit arbalest.Seq) load.Progress {
	return load.Progress{Cursor: load.Cursor{Commit: commit}}
}

func loadCommit(ctx context.Context, w load.Warehouse, commit arbalest.Seq) (load.Counts, error) {
	counts, err := w.Load(ctx, at(commit-1), load.Batch{Tables: []load.TableBatch{crashBatch(commit)}, Next: at(commit)})
	if err != nil {
		return load.Counts{}, err
	}
	return counts[0], nil
}

// wantCommits holds that all of the commits up to one are in, once.
func wantCommits(t *testing.T, d *Database, commit arbalest.Seq) {
	t.Helper()
	p, err := warehouse.New(d).Progress(t.Context())
	if err != nil || p.Cursor.Commit != commit {
		t.Fatalf("progress is %+v, %v, want commit %d", p, err, commit)
	}
	n := int(commit)
	got := rows(t, d, `SELECT (SELECT count(*) FROM crashed), (SELECT count(DISTINCT event_id) FROM crashed), (SELECT count(*) FROM arbalest.load_errors),
		(SELECT count(*) FROM arbalest.conflicts), (SELECT count(*) FROM arbalest.journal), CAST(sum(loaded) AS BIGINT), CAST(sum(not_loaded) AS BIGINT) FROM arbalest.books`)
	if want := fmt.Sprintf("%d %d %d %d %d %d 0", 2*n, 2*n, n, n-1, n, 2*n); got[0] != want {
		t.Fatalf("commit %d: warehouse has %s, want %s", commit, got[0], want)
	}
}

// TestInvariant2CutLoads cuts the connection before every message of a load, and
// loses its reply. Loads that are tried again by themselves succeed, and count
// right; of those that are not, another client finds all or nothing, and does
// the rest.
func TestInvariant2CutLoads(t *testing.T) {
	dsn := postgrestest.Start(t)
	direct := mustOpen(t, dsn, Options{})
	proxy := postgrestest.NewProxy(t, dsn)
	commit := arbalest.Seq(1)
	if c, err := loadCommit(t.Context(), warehouse.New(direct), commit); err != nil || c != crashCounts(1) {
		t.Fatalf("%+v, %v", c, err)
	}
	for k, stop := 1, false; !stop; k++ {
		for i, kind := range []postgrestest.FaultKind{postgrestest.CutBefore, postgrestest.LoseReply} {
			attempts := 10
			if (k+i)%2 == 0 {
				attempts = 1
			}
			proxy.Set()
			d := mustOpen(t, proxy.DSN(), Options{Attempts: attempts, Connections: 1})
			w := warehouse.New(d)
			if _, err := w.Progress(t.Context()); err != nil {
				t.Fatal(err)
			}
			commit++
			proxy.Set(postgrestest.Fault{Kind: kind, N: k})
			c, err := loadCommit(t.Context(), w, commit)
			switch {
			case err == nil && c != crashCounts(commit):
				t.Fatalf("%v %d: counts are %+v, want %+v", kind, k, c, crashCounts(commit))
			case err != nil && attempts > 1:
				t.Fatalf("%v %d: %v", kind, k, err)
			case err != nil && !errors.Is(err, arbalest.ErrUnavailable):
				t.Fatalf("%v %d: error is %v, want ErrUnavailable", kind, k, err)
			case err != nil:
				if _, err := loadCommit(t.Context(), warehouse.New(direct), commit); err != nil && !errors.Is(err, arbalest.ErrExists) {
					t.Fatalf("%v %d: the next client: %v", kind, k, err)
				}
			}
			wantCommits(t, direct, commit)
			stop = stop || proxy.Pending() > 0
		}
	}
	proxy.Set()
	t.Logf("%d loads", commit)
	// The reply of COMMIT itself, and the next connection too.
	d := mustOpen(t, proxy.DSN(), Options{})
	proxy.Set(postgrestest.Fault{Kind: postgrestest.LoseReply, Match: "COMMIT", N: 1}, postgrestest.Fault{Kind: postgrestest.LoseReply, Match: "BEGIN", N: 2})
	commit++
	if c, err := loadCommit(t.Context(), warehouse.New(d), commit); err != nil || c != crashCounts(commit) {
		t.Fatalf("lost reply of COMMIT: %+v, %v", c, err)
	}
	wantCommits(t, direct, commit)
	if proxy.Pending() != 0 {
		t.Errorf("%d faults did not happen", proxy.Pending())
	}
}

// TestInvariant2RivalLoaders has loaders do the same commits at once while
// connections are cut and the server's processes are ended.
func TestInvariant2RivalLoaders(t *testing.T) {
	const last = 30
	dsn := postgrestest.Start(t)
	direct := mustOpen(t, dsn, Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var loaders, chaos sync.WaitGroup
	var proxies []*postgrestest.Proxy
	for range 3 {
		proxy := postgrestest.NewProxy(t, dsn)
		proxies = append(proxies, proxy)
		w := warehouse.New(mustOpen(t, proxy.DSN(), Options{}))
		loaders.Go(func() {
			for ctx.Err() == nil {
				p, err := w.Progress(ctx)
				if err == nil && p.Commit >= last {
					return
				}
				if err == nil {
					_, err = loadCommit(ctx, w, p.Commit+1)
				}
				if err != nil && !errors.Is(err, arbalest.ErrExists) && !errors.Is(err, arbalest.ErrUnavailable) {
					t.Errorf("load: %v", err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	chaos.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(time.Duration(20+rand.IntN(120)) * time.Millisecond):
			}
			if rand.IntN(2) == 0 {
				proxies[rand.IntN(len(proxies))].Cut()
				continue
			}
			_ = direct.Query(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()", func([]any) error { return nil })
		}
	})
	loaders.Wait()
	close(done)
	chaos.Wait()
	wantCommits(t, direct, last)
}

// TestInvariant2CutSwaps cuts the connection before messages of a swap, of a table or of its only hour, some of those
// from the first to the last, or loses its reply. Swaps that are tried again by themselves succeed; of those that
// are not, another client finds the old table or the new one, whole, and does the
// rest.
func TestInvariant2CutSwaps(t *testing.T) {
	dsn := postgrestest.Start(t)
	direct := mustOpen(t, dsn, Options{})
	w := warehouse.New(direct)
	if _, err := loadCommit(t.Context(), w, 1); err != nil {
		t.Fatal(err)
	}
	proxy := postgrestest.NewProxy(t, dsn)
	row := warehousetest.Row{ID: "1-0", Time: "2015-08-18T06:00:00Z"}
	hour := arbalest.HourOfMicro(warehousetest.Micros(row.Time))
	swaps := 0
	for k, stop := 1, false; !stop; k += 1 + rand.IntN(7) {
		for i, kind := range []postgrestest.FaultKind{postgrestest.CutBefore, postgrestest.LoseReply} {
			swaps++
			row.Values = []any{fmt.Sprint("by swap ", swaps)}
			made := warehousetest.Batch(warehousetest.Declared("crashed", warehousetest.Col("v", "VARCHAR(MAX)")), 3, warehousetest.Object{Commit: 1, Rows: []warehousetest.Row{row}})
			shadow, err := w.Beside(t.Context(), "swap")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := shadow.Load(t.Context(), load.Progress{}, load.Batch{Tables: []load.TableBatch{made}, Next: at(1)}); err != nil {
				t.Fatal(err)
			}
			has := func() string {
				return fmt.Sprint(rows(t, direct, `SELECT min(v), count(*), (SELECT count(*) FROM arbalest.journal WHERE objects > 0) FROM crashed`))
			}
			was := has()
			part := []load.Part{{}, {From: hour, To: hour + 1}}[swaps/2%2]
			attempts := 10
			if (k+i)%2 == 0 {
				attempts = 1
			}
			proxy.Set()
			d := mustOpen(t, proxy.DSN(), Options{Attempts: attempts, Connections: 1})
			if _, err := warehouse.New(d).Progress(t.Context()); err != nil {
				t.Fatal(err)
			}
			proxy.Set(postgrestest.Fault{Kind: kind, N: k})
			err = warehouse.New(d).Swap(t.Context(), part, "crashed")
			if err != nil && (attempts > 1 || !errors.Is(err, arbalest.ErrUnavailable)) {
				t.Fatalf("%v %d: %v", kind, k, err)
			}
			want := fmt.Sprintf("[by swap %d 1 1]", swaps)
			if got := has(); got != want && (err == nil || got != was) {
				t.Fatalf("%v %d: table has %s, want %s, or %s and an error: %v", kind, k, got, want, was, err)
			}
			if err := w.Swap(t.Context(), part, "crashed"); err != nil && !errors.Is(err, arbalest.ErrUnknown) {
				t.Fatalf("%v %d: the next client: %v", kind, k, err)
			}
			if got := has(); got != want {
				t.Fatalf("%v %d: after the next client table has %s, want %s", kind, k, got, want)
			}
			stop = stop || proxy.Pending() > 0
		}
	}
	t.Logf("%d swaps", swaps)
}
