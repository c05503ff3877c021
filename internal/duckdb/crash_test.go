package duckdb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/decode"
	"arbalest/internal/load"
	"arbalest/internal/load/warehousetest"
)

// crashRows is how many rows a batch of the crash test has: enough that most
// of the time is spent in its transaction, and that some of it is written to the
// file before the commit.
const crashRows = 35_000

// TestInvariant2Kill kills a process that loads, at random moments, and holds
// that the warehouse then has all of the batches up to its cursor and nothing
// of the next.
func TestInvariant2Kill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.duckdb")
	random := rand.New(rand.NewPCG(rand.Uint64(), 0))
	last := arbalest.Seq(0)
	for round := range 6 {
		c := child(t, "TestCrashInChild", "CRASH_IN="+path)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for lines.Scan() && !strings.Contains(lines.Text(), "loading") {
		}
		time.Sleep(time.Duration(random.IntN(700)) * time.Millisecond)
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait() // killed
		w := mustOpen(t, path, Options{})
		p, err := w.Progress(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(mustQuery(t, w, "SELECT (SELECT count(*) FROM crashed), (SELECT count(DISTINCT event_id) FROM crashed), (SELECT sum(loaded)::BIGINT FROM arbalest.journal), (SELECT count(*) FROM arbalest.load_errors)"))
		n := int(p.Commit) * crashRows
		if want := fmt.Sprintf("[[%d %d %d %d]]", n, n, n, p.Commit); got != want || p.Commit < last {
			t.Errorf("round %d, at commit %d after %d: warehouse has %s, want %s", round, p.Commit, last, got, want)
		}
		last = p.Commit
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d batches in all", last)
}

// TestCrashInChild is TestInvariant2Kill's process: it loads until it is
// killed.
func TestCrashInChild(t *testing.T) {
	path := os.Getenv("CRASH_IN")
	if path == "" {
		t.Skip("for TestInvariant2Kill")
	}
	w := mustOpen(t, path, Options{})
	p, err := w.Progress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if p.Commit == 0 {
		mustLoad(t, w, 1, crashBatch(1))
		p.Commit = 1
	}
	fmt.Println("loading")
	for commit := p.Commit + 1; ; commit++ {
		mustLoad(t, w, commit, crashBatch(commit))
	}
}

func crashBatch(commit arbalest.Seq) load.TableBatch {
	table := warehousetest.Declared("crashed", warehousetest.Col("v", "VARCHAR(MAX)"))
	rows := make([]warehousetest.Row, crashRows)
	for i := range rows {
		id := fmt.Sprintf("%d-%d", commit, i)
		rows[i] = warehousetest.Row{ID: id, Time: "2015-08-18T06:00:00Z", Values: []any{id + " and more text"}}
	}
	b := warehousetest.Batch(table, 8000, warehousetest.Object{Commit: commit, Rows: rows})
	b.Chunks[0].Errors = append(b.Chunks[0].Errors, loadErrorOf(commit))
	b.Objects[0].Events++
	return b
}

// TestLoadConflicts has another transaction move the cursor while a load is
// under way.
func TestLoadConflicts(t *testing.T) {
	w := mustOpen(t, "", Options{})
	defer w.Close()
	mustLoad(t, w, 1, crashBatch(1))
	rival, err := w.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer rival.Close()
	for _, end := range []string{"ROLLBACK", "COMMIT"} {
		for _, statement := range []string{"BEGIN", `UPDATE arbalest.cursor SET objects = 1`} {
			if _, err := rival.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		_, err := w.Load(t.Context(), load.Progress{Cursor: load.Cursor{Commit: 1}}, load.Batch{Tables: []load.TableBatch{crashBatch(2)}, Next: load.Progress{Cursor: load.Cursor{Commit: 2}}})
		if !errors.Is(err, arbalest.ErrExists) {
			t.Errorf("load beside another: %v", err)
		}
		if _, err := rival.ExecContext(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := w.Progress(t.Context()); err != nil || p.Cursor != (load.Cursor{Commit: 1, Objects: 1}) {
		t.Errorf("progress is %+v, %v", p, err)
	}
	if got := mustQuery(t, w, "SELECT count(*) FROM crashed"); got[0][0] != fmt.Sprint(crashRows) {
		t.Errorf("table has %s rows", got[0][0])
	}
}

// TestLoadCancelled cancels loads at all sorts of moments.
func TestLoadCancelled(t *testing.T) {
	w := mustOpen(t, filepath.Join(t.TempDir(), "w.duckdb"), Options{})
	defer w.Close()
	at, batch := arbalest.Seq(0), crashBatch(1)
	for wait := time.Duration(0); at < 3; wait += 2 * time.Millisecond {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		_, err := w.Load(ctx, load.Progress{Cursor: load.Cursor{Commit: at}}, load.Batch{Tables: []load.TableBatch{batch}, Next: load.Progress{Cursor: load.Cursor{Commit: at + 1}}})
		cancel()
		if err == nil {
			at++
			batch = crashBatch(at + 1)
			wait = 0
		} else if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("load cancelled after %v: %v", wait, err)
		}
		p, err := w.Progress(t.Context())
		if err != nil || p.Commit != at {
			t.Fatalf("progress is %+v, %v, want commit %d", p, err, at)
		}
	}
	if got := mustQuery(t, w, "SELECT count(*), count(DISTINCT event_id) FROM crashed"); got[0][0] != fmt.Sprint(3*crashRows) || got[0][0] != got[0][1] {
		t.Errorf("table has %s rows", got[0])
	}
}

func loadErrorOf(commit arbalest.Seq) decode.LoadError {
	return decode.LoadError{Line: crashRows + 1, ID: fmt.Sprint(commit), Reason: "bad"}
}

// TestInvariant3RebuildKilled kills a process that rebuilds a table again and again,
// at random moments, and holds that the table is whole: all its rows are of one
// rebuild, of the table or of its only hour, and the journal is theirs.
func TestInvariant3RebuildKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.duckdb")
	random := rand.New(rand.NewPCG(rand.Uint64(), 0))
	rebuilds, unfinished := map[string]bool{}, 0
	for round := range 8 {
		c := child(t, "TestRebuildInChild", "REBUILD_IN="+path)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		// Half the time it dies in a swap, or near one.
		for swaps := round % 4; lines.Scan(); {
			if strings.Contains(lines.Text(), "swapping") {
				swaps--
			}
			if swaps <= 1 && strings.Contains(lines.Text(), []string{"swapping", "rebuilding"}[round%2]) {
				break
			}
		}
		time.Sleep(time.Duration(random.IntN([]int{60, 1500}[round%2])) * time.Millisecond)
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait() // killed
		w := mustOpen(t, path, Options{})
		got := mustQuery(t, w, "SELECT count(*), count(DISTINCT event_id), count(DISTINCT v), min(v), (SELECT sum(loaded)::BIGINT FROM arbalest.journal), (SELECT count(*) FROM arbalest.journal WHERE objects > 0), (SELECT count(*) FROM arbalest.load_errors) FROM crashed")[0]
		n := 2 * crashRows
		if want := fmt.Sprintf("[%d %d 1 %s %d 2 2]", n, n, got[3], n); fmt.Sprint(got) != want {
			t.Errorf("round %d: warehouse has %s, want %s", round, got, want)
		}
		rebuilds[got[3]] = true
		if len(mustQuery(t, w, "SELECT 1 FROM duckdb_tables() WHERE table_name = 'rebuild_cursor'")) > 0 {
			unfinished++
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d different tables were seen, and %d unfinished rebuilds", len(rebuilds), unfinished)
	if len(rebuilds) < 2 {
		t.Error("no rebuild was done")
	}
}

// TestRebuildInChild is TestInvariant3RebuildKilled's process: it rebuilds until it is
// killed. All rows of a rebuild have its own text.
func TestRebuildInChild(t *testing.T) {
	path := os.Getenv("REBUILD_IN")
	if path == "" {
		t.Skip("for TestInvariant3RebuildKilled")
	}
	w := mustOpen(t, path, Options{})
	at := func(commit arbalest.Seq) load.Progress {
		return load.Progress{Cursor: load.Cursor{Commit: commit}}
	}
	batch := func(commit arbalest.Seq, text string) load.TableBatch {
		rows := make([]warehousetest.Row, crashRows)
		for i := range rows {
			rows[i] = warehousetest.Row{ID: fmt.Sprintf("%d-%d", commit, i), Time: "2015-08-18T06:00:00Z", Values: []any{text}}
		}
		b := warehousetest.Batch(warehousetest.Declared("crashed", warehousetest.Col("v", "VARCHAR(MAX)")), 8000, warehousetest.Object{Commit: commit, Rows: rows})
		b.Chunks[0].Errors = append(b.Chunks[0].Errors, loadErrorOf(commit))
		b.Objects[0].Events++
		return b
	}
	p, err := w.Progress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for commit := p.Commit + 1; commit <= 2; commit++ {
		mustLoad(t, w, commit, batch(commit, "at first"))
	}
	for i := 0; ; i++ {
		fmt.Println("rebuilding")
		plan := fmt.Sprintf("%d, %d", os.Getpid(), i)
		shadow, err := w.Beside(t.Context(), plan)
		if err != nil {
			t.Fatal(err)
		}
		for commit := arbalest.Seq(1); commit <= 2; commit++ {
			if _, err := shadow.Load(t.Context(), at(commit-1), load.Batch{Tables: []load.TableBatch{batch(commit, plan)}, Next: at(commit)}); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Println("swapping")
		part := load.Part{}
		if i%2 == 1 { // the hour that all rows are of
			part.From = arbalest.HourOfMicro(warehousetest.Micros("2015-08-18T06:00:00Z"))
			part.To = part.From + 1
		}
		if err := w.Swap(t.Context(), part, "crashed"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestInvariant2LeavesKilled kills a process that loads days and makes them leave, at
// random moments, and holds that all rows are there once: in the table, or among the
// identities and in the view.
func TestInvariant2LeavesKilled(t *testing.T) {
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(rand.Uint64(), 0))
	left := 0
	for round := range 6 {
		c := child(t, "TestLeaveInChild", "LEAVE_IN="+dir)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(out); lines.Scan() && !strings.Contains(lines.Text(), "leaving"); {
		}
		time.Sleep(time.Duration(random.IntN([]int{30, 1000}[round%2])) * time.Millisecond)
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait() // killed
		w := mustOpen(t, filepath.Join(dir, "w.duckdb"), Options{Warm: dir})
		p, err := w.Progress(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := mustQuery(t, w, `SELECT (SELECT count(*) FROM crashed_all), (SELECT count(DISTINCT v) FROM crashed_all), (SELECT count(*) FROM (SELECT event_id FROM arbalest.archived UNION SELECT event_id FROM crashed)),
			(SELECT count(*) FROM crashed) + (SELECT count(*) FROM arbalest.archived), (SELECT count(*) FROM arbalest.archived) - (SELECT coalesce(sum(left_rows), 0)::BIGINT FROM arbalest.days), (SELECT count(*) FROM arbalest.days) FROM arbalest.format`)[0]
		n := int(p.Commit) * leaveRows
		if want := fmt.Sprintf("[%d %d %d %d 0 %s]", n, n, n, n, got[5]); fmt.Sprint(got) != want {
			t.Errorf("round %d: warehouse has %s, want %s", round, got, want)
		}
		fmt.Sscan(got[5], &left)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if t.Logf("%d days left", left); left == 0 {
		t.Error("no day left")
	}
}

// leaveRows is how many rows a day has that leaves in the crash test.
const leaveRows = 5000

// TestLeaveInChild is TestInvariant2LeavesKilled's process: it loads days and has them
// leave until it is killed.
func TestLeaveInChild(t *testing.T) {
	dir := os.Getenv("LEAVE_IN")
	if dir == "" {
		t.Skip("for TestInvariant2LeavesKilled")
	}
	w := mustOpen(t, filepath.Join(dir, "w.duckdb"), Options{Warm: dir})
	p, err := w.Progress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	table := warehousetest.Declared("crashed", warehousetest.Col("v", "VARCHAR(MAX)"))
	rowsOf := func(commit arbalest.Seq) []warehousetest.Row {
		rows := make([]warehousetest.Row, leaveRows)
		at := time.Date(2015, 8, 18+int(commit), 6, 0, 0, 0, time.UTC).Format(time.RFC3339)
		for i := range rows {
			id := fmt.Sprintf("%d-%d", commit, i)
			rows[i] = warehousetest.Row{ID: id, Time: at, Values: []any{id + " and more text"}}
		}
		return rows
	}
	for commit := p.Commit + 1; ; commit++ {
		rows := rowsOf(commit)
		mustLoad(t, w, commit, warehousetest.Batch(table, 8000, warehousetest.Object{Commit: commit, Rows: rows}))
		if commit == 1 {
			if err := w.ShowAll(t.Context(), "crashed"); err != nil {
				t.Fatal(err)
			}
		}
		days, err := w.Days(t.Context(), "crashed", warehousetest.Day("2100-01-01"))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range days {
			if d.Hot == 0 {
				continue
			}
			key := arbalest.Key(fmt.Sprintf("_warm/crashed/day=%s/1.parquet", d.Day.Time().Format(time.DateOnly)))
			path := filepath.Join(dir, string(key))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			of := arbalest.Seq(d.Day.Time().Sub(time.Date(2015, 8, 18, 0, 0, 0, 0, time.UTC)) / (24 * time.Hour))
			bytes := exportTo(t, path, table, rowsOf(of)...)
			fmt.Println("leaving")
			if err := w.Leave(t.Context(), load.Departure{Table: "crashed", Day: d.Day, Hot: d.Hot, Warm: load.Warm{Key: key, Bytes: bytes, Columns: "v"}}); err != nil {
				t.Fatal(err)
			}
		}
	}
}
