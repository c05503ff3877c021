package duckdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"arbalest"
)

// greedy are statements that want more memory than there is, in as many ways:
// texts, lists and maps that functions make, in C++'s library and besides, on one
// thread and on all.
func greedy() []string {
	return []string{
		"SELECT length(repeat('x', 4000000000))",
		"SELECT string_agg(repeat('x', 1000000), '') FROM range(2000)",
		"SELECT sum(length(replace(repeat('x', 100000 + i % 2), 'x', repeat('y', 1000)))) FROM range(10000) r(i)",
		"SELECT sum(length(printf('%1000000s', i::VARCHAR))) FROM range(100000) r(i)",
		"SELECT format('{:>1000000000}', 'x')",
		"SELECT regexp_replace(repeat('x', 1000000), 'x', repeat('y', 10000), 'g')",
		"SELECT array_to_string(list_transform(range(100000), lambda x: repeat('x', 10000)), ',')",
		"SELECT json_group_array(repeat('x', 100000)) FROM range(100000)",
		"SELECT json_array(repeat('x', 60000000), repeat('y', 60000000))",
		"SELECT concat(repeat('x', 10000000), i, repeat('x', 10000000)) FROM range(1000) r(i) ORDER BY 1",
		"SELECT map_from_entries(list((i, repeat('x', 1000)))) FROM range(1000000) r(i)",
		"SELECT mode(i) FROM range(100000000) r(i)",
		"SELECT list(i) FROM range(1000000000) r(i)",
		"SELECT range(100000000)",
		"SELECT list_distinct(range(10000000))",
		"SELECT [[i FOR i IN range(100000)] FOR j IN range(10000)]",
		"SELECT string_split(repeat('a,', 50000000), ',')",
		"SELECT unnest(range(i)) FROM range(1000000) r(i) ORDER BY 1 DESC",
		"SELECT bitstring('1', 2000000000)",
		"SELECT quantile_cont(i, 0.5) FROM range(1000000000) r(i)",
		"SELECT " + strings.Join(slicesOf("repeat('x', 1000000 + i)", 300), " || ") + " FROM range(3000) r(i)",
	}
}

func slicesOf(s string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s
	}
	return all
}

// TestGuardBoundsGuests asks for far too much in a process of its own, which
// must live, and stay below 400 MiB.
func TestGuardBoundsGuests(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	if runtime.GOOS != "linux" {
		t.Skip("the guard is Linux's")
	}
	out, err := child(t, "TestGuardInChild", "GUARD=1").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	_, after, _ := bytes.Cut(out, []byte("peak "))
	field, _, _ := bytes.Cut(after, []byte(" "))
	if peak, err := strconv.Atoi(string(field)); err != nil || peak > 400 {
		t.Errorf("process took %d MiB at its peak, over 400: %v", peak, err)
	}
}

// TestGuardInChild is TestGuardBoundsGuests' process. Each statement runs alone,
// and then several at once.
func TestGuardInChild(t *testing.T) {
	if os.Getenv("GUARD") == "" {
		t.Skip("for TestGuardBoundsGuests")
	}
	w := mustOpen(t, filepath.Join(t.TempDir(), "w.duckdb"), Options{Threads: 4})
	defer w.Close()
	ask := func(sql string) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := w.Ask(ctx, sql, nowhere{})
		if !errors.Is(err, arbalest.ErrBusy) && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%.80s: %v", sql, err)
		}
	}
	for _, sql := range greedy() {
		ask(sql)
		if got := mustQuery(t, w, "SELECT 1"); got[0][0] != "1" {
			t.Errorf("after %.80s: %v", sql, got)
		}
	}
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for _, i := range rand.Perm(len(greedy()))[:4] {
				ask(greedy()[i])
			}
		})
	}
	running.Wait()
	mustQuery(t, w, "SELECT 1")
	fmt.Printf("peak %d MiB\n", statusMiB(t, "VmHWM:"))
	// What was taken in pieces can be had whole again.
	if got := mustQuery(t, w, "SELECT length(repeat('x', 60000000))"); got[0][0] != "60000000" {
		t.Errorf("a large text: %v", got)
	}
}

// nowhere takes rows.
type nowhere struct{}

func (nowhere) Columns([]Column) error { return nil }
func (nowhere) Row([]Value) error      { return nil }

// TestGuardLeavesLoadsAlone loads while guests take all that they may: no load may
// be refused, and all rows must be there.
func TestGuardLeavesLoadsAlone(t *testing.T) {
	w := mustOpen(t, filepath.Join(t.TempDir(), "w.duckdb"), Options{QueryLimit: minMemory, Threads: 4})
	defer w.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var running sync.WaitGroup
	for i := range 3 {
		running.Go(func() {
			for ; ctx.Err() == nil; i++ {
				one, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
				if err := w.Ask(one, greedy()[i%len(greedy())], nowhere{}); err == nil {
					t.Errorf("%.80s had enough memory", greedy()[i%len(greedy())])
				}
				cancel()
			}
		})
	}
	random := rand.New(rand.NewPCG(1, 2))
	const step = 20_000
	steps := 15
	if testing.Short() {
		steps = 5
	}
	for i := range steps {
		commit := arbalest.Seq(i + 1)
		mustLoad(t, w, commit, benchBatch(benchTable(), commit, i*step, step, time.Second, random))
	}
	stop()
	running.Wait()
	// What the last of them held may not have been given back yet: busy is worth a retry.
	var got [][]string
	err := error(arbalest.ErrBusy)
	for deadline := time.Now().Add(5 * time.Second); errors.Is(err, arbalest.ErrBusy) && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		got, err = queryAll(t, w, "SELECT count(*) FROM bench")
	}
	if err != nil || got[0][0] != strconv.Itoa(step*steps) {
		t.Errorf("%v rows, %v", got, err)
	}
	// What a query was refused must not be counted any more.
	var counted int64
	if err := w.writer.QueryRowContext(t.Context(), "SELECT coalesce(sum(memory_usage_bytes), 0)::BIGINT FROM duckdb_memory() WHERE tag = 'ALLOCATOR'").Scan(&counted); err != nil || counted > 1<<20 {
		t.Errorf("%d bytes are counted and nobody has them, %v", counted, err)
	}
}

// TestSpillIsBounded sorts more than there is room for on disk.
func TestSpillIsBounded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spill")
	w := mustOpen(t, filepath.Join(t.TempDir(), "w.duckdb"), Options{MemoryLimit: 48 << 20, TempDir: dir, TempLimit: 16 << 20})
	defer w.Close()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	err := w.Ask(ctx, "SELECT * FROM (SELECT i, hash(i) AS h, repeat('x', 100) || i AS s FROM range(2000000) r(i)) ORDER BY h", nowhere{})
	if !errors.Is(err, arbalest.ErrBusy) {
		t.Errorf("sort: %v", err)
	}
	size := int64(0)
	_ = filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil {
			size += info.Size()
		}
		return nil
	})
	if size > 16<<20 {
		t.Errorf("%d bytes are on disk", size)
	}
	mustQuery(t, w, "SELECT 1")
}

// TestRowIsBounded asks for a row that is too long to be had.
func TestRowIsBounded(t *testing.T) {
	w := mustOpen(t, "", Options{MemoryLimit: 512 << 20})
	defer w.Close()
	if err := w.Ask(t.Context(), "SELECT repeat('x', 20000000), repeat('y', 20000000)", nowhere{}); !errors.Is(err, arbalest.ErrTooLarge) {
		t.Errorf("40 MB: %v", err)
	}
	if got := mustQuery(t, w, "SELECT repeat('x', 20000000)"); len(got[0][0]) != 20_000_000 {
		t.Errorf("%d bytes came", len(got[0][0]))
	}
}
