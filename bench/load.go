package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	_ "github.com/duckdb/duckdb-go/v2" // the peer of loading: DuckDB's own reader

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/capture"
	"arbalest/internal/duckdb"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// orders is the declared table of the benchmark's events: 8 typed columns.
var orders = arbalest.Table{Name: "bench_order", Event: "bench.order", Declared: true, Columns: []arbalest.Column{
	column("user_id", "VARCHAR(16)"), column("email", "VARCHAR(64)"), column("plan", "VARCHAR(16)"), column("country", "CHAR(2)"),
	column("session", "VARCHAR(16)"), column("ordered_at", "TIMESTAMP"), column("amount", "DECIMAL(12,2)"), column("items", "INTEGER"),
}}

func column(name, typ string) arbalest.Column {
	t, err := arbalest.ParseType(typ)
	if err != nil {
		panic(err) // a constant of this file
	}
	return arbalest.Column{Name: name, Path: []string{name}, Type: t}
}

// fill captures the rows into a lake's landing.
func (b bench) fill(ctx context.Context, l *lake.Lake) (bytes int64, err error) {
	h, err := capture.New(capture.Options{Appender: l.NewWriter()})
	if err != nil {
		return 0, err
	}
	var lines []byte
	for n := range b.rows {
		lines = append(wire(lines, n), '\n')
		if len(lines) > 4<<20 || n == b.rows-1 {
			taken, err := h.Take(ctx, lines)
			if err != nil || taken.Rejected > 0 {
				return 0, fmt.Errorf("take: %d rejected, %w", taken.Rejected, err)
			}
			bytes += int64(len(lines))
			lines = lines[:0]
		}
	}
	return bytes, h.Close(ctx)
}

// lakeOf makes a lake with the rows in landing.
func (b bench) lakeOf(ctx context.Context, plain bool) (l *lake.Lake, dir string, bytes int64, err error) {
	if dir, err = os.MkdirTemp(b.dir, "lake-"); err != nil {
		return nil, "", 0, err
	}
	store, err := blob.OpenDir(dir)
	if err != nil {
		return nil, "", 0, err
	}
	if l, err = lake.Open(store, lake.Options{Plain: plain}); err != nil {
		return nil, "", 0, err
	}
	bytes, err = b.fill(ctx, l)
	return l, dir, bytes, err
}

// sort measures how fast landing becomes partitions.
func (b bench) sort(ctx context.Context) error {
	for _, plain := range []bool{false, true} {
		l, dir, _, err := b.lakeOf(ctx, plain)
		if err != nil {
			return err
		}
		start := time.Now()
		events, bytes, objects, err := drain(ctx, l)
		if err != nil {
			return err
		}
		took := time.Since(start).Seconds()
		fmt.Printf("sort, %d events in %d objects%s: %.0f MB/s of lines, %.0f events/s\n", events, objects, map[bool]string{true: ", not compressed"}[plain], float64(bytes)/1e6/took, float64(events)/took)
		os.RemoveAll(dir)
	}
	return nil
}

func drain(ctx context.Context, l *lake.Lake) (events, bytes int64, objects int, err error) {
	for {
		s, err := l.Sort(ctx)
		if err != nil || s.Commit == 0 {
			return events, bytes, objects, err
		}
		events, bytes, objects = events+s.Events, bytes+s.Bytes, objects+s.Objects
	}
}

// bulkBatch is what sync, import and rebuild use.
const bulkBatch = 96 << 20

// A timing is the rounds of one way to load.
type timing struct {
	name       string
	run        func(round int) (rate float64, err error)
	rates, cpu []float64
}

// load measures loading the same files by Arbalest, which checks every value,
// leaves repeats out and keeps books, and by read_json, which does neither: into
// the same table, as DuckDB stores it by itself and as Arbalest has it stored, and,
// with less to do, into one of the declared columns only, without id, time and hash.
func (b bench) load(ctx context.Context) error {
	for _, plain := range []bool{true, false} {
		l, dir, _, err := b.lakeOf(ctx, plain)
		if err != nil {
			return err
		}
		if _, _, _, err := drain(ctx, l); err != nil {
			return err
		}
		file := func(who string, round int) string {
			return filepath.Join(b.dir, fmt.Sprintf("%s-%v-%d.duckdb", who, plain, round))
		}
		ways := []*timing{
			{name: "arbalest", run: func(n int) (float64, error) { return b.loadOurs(ctx, l, file("ours", n)) }},
			{name: "read_json, same table", run: func(n int) (float64, error) { return b.loadTheirs(ctx, dir, file("theirs", n), plain, sameTable) }},
			{name: "read_json, same storage", run: func(n int) (float64, error) {
				return b.loadTheirs(ctx, dir, file("stored", n), plain, sameStorage)
			}},
			{name: "read_json, 8 columns only", run: func(n int) (float64, error) { return b.loadTheirs(ctx, dir, file("less", n), plain, declaredOnly) }},
		}
		for round := range b.rounds {
			for _, w := range ways {
				before := cpuSeconds()
				rate, err := w.run(round)
				if err != nil {
					return fmt.Errorf("%s: %w", w.name, err)
				}
				w.rates, w.cpu = append(w.rates, rate), append(w.cpu, cpuSeconds()-before)
			}
		}
		fmt.Printf("load, %d events with 8 typed columns and 4 of ours, %s files:\n", b.rows, map[bool]string{true: "plain", false: ".zst"}[plain])
		for _, w := range ways {
			fmt.Printf("  %-26s %9.0f rows/s, %4.1f s of CPU   arbalest is %.2f times\n", w.name, median(w.rates), median(w.cpu), median(ways[0].rates)/median(w.rates))
		}
		os.RemoveAll(dir)
	}
	return nil
}

func (b bench) loadOurs(ctx context.Context, l *lake.Lake, file string) (rate float64, err error) {
	defer removeAll(file)
	w, err := duckdb.Open(ctx, file, duckdb.Options{})
	if err != nil {
		return 0, err
	}
	loader := load.New(l, w, load.Options{BatchBytes: bulkBatch, Declared: []arbalest.Table{orders}})
	start := time.Now()
	var loaded int64
	for {
		r, err := loader.Once(ctx)
		if err != nil {
			w.Close()
			return 0, err
		}
		if r.Idle {
			break
		}
		for _, t := range r.Tables {
			loaded += t.Loaded
		}
	}
	if err := w.Close(); err != nil { // with its checkpoint
		return 0, err
	}
	if loaded != int64(b.rows) {
		return 0, fmt.Errorf("loaded %d of %d rows", loaded, b.rows)
	}
	return float64(loaded) / time.Since(start).Seconds(), nil
}

// What read_json loads into.
const (
	sameTable    = iota
	sameStorage  // as Arbalest's is: of DuckDB's format 1.4, with its compressions
	declaredOnly // without id, time and hash
)

// compressed is what Arbalest compresses the table's texts by (duckdb's compressions).
var compressed = map[string]string{"event_id": "uncompressed", "event_hash": "uncompressed", "user_id": "zstd", "email": "zstd", "session": "zstd"}

func (b bench) loadTheirs(ctx context.Context, dir, file string, plain bool, into int) (rate float64, err error) {
	defer removeAll(file)
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	attach := "ATTACH '" + file + "' AS w"
	read, names := []string{}, []string{"event_id VARCHAR", "event_time TIMESTAMP", "received_at TIMESTAMP", "event_hash VARCHAR"}
	selected := "_event.id, _event.time, _event.received, _event.hash"
	for _, c := range orders.Columns {
		read = append(read, fmt.Sprintf("%s: '%s'", c.Name, c.Type))
		names = append(names, c.Name+" "+c.Type.String())
		selected += ", " + c.Name
	}
	read = append(read, `_event: 'STRUCT(id VARCHAR, "time" TIMESTAMP, received TIMESTAMP, hash VARCHAR)'`)
	switch into {
	case declaredOnly:
		names, selected = names[4:], "* EXCLUDE (_event)"
	case sameStorage:
		attach += " (STORAGE_VERSION 'v1.4.0')"
		for i, def := range names {
			if name, _, _ := strings.Cut(def, " "); compressed[name] != "" {
				names[i] += " USING COMPRESSION " + compressed[name]
			}
		}
	}
	glob := filepath.Join(dir, "bench.order", "*", "*", "*.ndjson")
	if !plain {
		glob += ".zst"
	}
	start := time.Now()
	for _, statement := range []string{
		attach,
		"CREATE TABLE w.bench_order (" + strings.Join(names, ", ") + ")",
		fmt.Sprintf("INSERT INTO w.bench_order SELECT %s FROM read_json('%s', format = 'newline_delimited', columns = {%s})", selected, glob, strings.Join(read, ", ")),
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return 0, err
		}
	}
	var rows int64
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM w.bench_order").Scan(&rows); err != nil || rows != int64(b.rows) {
		return 0, fmt.Errorf("read_json gave %d of %d rows: %w", rows, b.rows, err)
	}
	if _, err := db.ExecContext(ctx, "DETACH w"); err != nil { // with its checkpoint
		return 0, err
	}
	return float64(rows) / time.Since(start).Seconds(), nil
}

func removeAll(file string) {
	files, _ := filepath.Glob(file + "*")
	for _, f := range files {
		os.RemoveAll(f)
	}
}

// cpuSeconds returns what this process has used of the cores.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
