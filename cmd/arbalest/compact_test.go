package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/connect"
	"arbalest/internal/blob"
	"arbalest/internal/blob/blobtest"
	"arbalest/internal/capture"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// commitsFile opens the shared test data's commits, and skips where it is absent,
// but not in CI.
func commitsFile(t *testing.T) *bufio.Reader {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "..", "shared", "data", "commits.ndjson.gz"))
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("CI must have the test data: %v", err)
		}
		t.Skipf("no test data: %v", err)
	}
	t.Cleanup(func() { f.Close() })
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return bufio.NewReaderSize(z, 1<<20)
}

// A loading is what making all tables from a store came to.
type loading struct {
	requests int // of the store
	took     time.Duration
	rows     []string // of queries
	books    []string
}

func loadAnew(t *testing.T, trace *blobtest.Tracer) loading {
	t.Helper()
	ctx := t.Context()
	l, err := lake.Open(trace, lake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := connect.Warehouse(ctx, filepath.Join(t.TempDir(), "w.duckdb"), trace, connect.Options{Memory: bulkMemory})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	e := &engine{lake: l, loader: load.New(l, w, load.Options{BatchBytes: bulkBatch})}
	trace.Reset()
	start := time.Now()
	var r syncReport
	if err := e.loadAll(ctx, &r, func(progress) {}); err != nil {
		t.Fatal(err)
	}
	out := loading{requests: trace.Count(), took: time.Since(start)}
	ask := func(sql string) []string {
		var rows []string
		err := w.Database.Query(ctx, sql, func(v []any) error {
			rows = append(rows, fmt.Sprint(v...))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	for _, table := range []string{"commit_authored", "commit_merged"} {
		out.rows = append(out.rows, ask(fmt.Sprintf("SELECT count(*), sum(hash(c)), bit_xor(hash(c)) FROM %s c", table))...)
	}
	out.books = ask("SELECT event, sum(stored), sum(loaded), sum(repeats), sum(errors), sum(not_loaded) FROM arbalest.books GROUP BY event ORDER BY event")
	return out
}

// TestCompactCommits compacts the commits' data, 83,167 events in 45,295 hours, of
// which a tenth came twice: what a load then asks the store for, and what comes
// out of it.
func TestCompactCommits(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	ctx := t.Context()
	in := commitsFile(t)
	trace := blobtest.Trace(blob.NewMemory())
	l, err := lake.Open(trace, lake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := capture.New(capture.Options{Appender: l.NewWriter(), MaxBody: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	var block, again bytes.Buffer
	for n := 0; ; n++ {
		line, err := in.ReadBytes('\n')
		block.Write(line)
		if n%10 == 0 {
			again.Write(line)
		}
		if err != nil || block.Len() > 4<<20 {
			if _, err := h.Take(ctx, slices.Clone(block.Bytes())); err != nil {
				t.Fatal(err)
			}
			block.Reset()
		}
		if err != nil {
			break
		}
	}
	sort := func() {
		for {
			s, err := l.Sort(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if s.Commit == 0 {
				return
			}
		}
	}
	sort()
	if _, err := h.Take(ctx, again.Bytes()); err != nil {
		t.Fatal(err)
	}
	sort()
	count := func() (n int, bytes int64) {
		for info, err := range trace.List(ctx, "", "") {
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(string(info.Key), "commit.") {
				n, bytes = n+1, bytes+info.Size
			}
		}
		return n, bytes
	}
	objects, size := count()
	before := loadAnew(t, trace)
	trace.Reset()
	start := time.Now()
	var total lake.Compacted
	for {
		c, err := l.Compact(ctx, arbalest.HourOf(time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		if c == (lake.Compacted{}) {
			break
		}
		total.Before, total.After, total.Repeats = total.Before+c.Before, total.After+c.After, total.Repeats+c.Repeats
	}
	took, requests := time.Since(start), trace.Count()
	merged, mergedSize := count()
	after := loadAnew(t, trace)
	t.Logf("objects %d (%.1f MB) -> %d (%.1f MB), in %.1f s by %d requests; load of all: %d requests in %.1f s -> %d in %.1f s",
		objects, float64(size)/1e6, merged, float64(mergedSize)/1e6, took.Seconds(), requests, before.requests, before.took.Seconds(), after.requests, after.took.Seconds())
	if objects < 45_295 || merged*6 > objects || after.requests*6 > before.requests || total.Repeats < 8_000 {
		t.Errorf("%d objects became %d, %d requests %d, %d repeats are left out", objects, merged, before.requests, after.requests, total.Repeats)
	}
	if !slices.Equal(before.rows, after.rows) || !slices.Equal(before.books, after.books) {
		t.Errorf("before:\n%s\n%s\nafter:\n%s\n%s", strings.Join(before.rows, "\n"), strings.Join(before.books, "\n"), strings.Join(after.rows, "\n"), strings.Join(after.books, "\n"))
	}
}
