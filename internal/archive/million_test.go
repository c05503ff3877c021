package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/blob/blobtest"
	"arbalest/internal/duckdb"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// A hall is a warehouse in memory, of which only what a pass asks is there.
type hall struct {
	load.Tiers
	progress load.Progress
	days     map[string][]load.Day
	rows     []load.Row
	left     []load.Departure
}

func (h *hall) Progress(context.Context) (load.Progress, error) { return h.progress, nil }
func (h *hall) ShowAll(context.Context, string) error           { return nil }

func (h *hall) Days(_ context.Context, table string, before arbalest.Hour) (days []load.Day, err error) {
	for _, d := range h.days[table] {
		if d.Day < before {
			days = append(days, d)
		}
	}
	return days, nil
}

func (h *hall) Rows(_ context.Context, _ string, from, to int64, visit func(load.Row) error) error {
	for _, r := range h.rows {
		if r.Time >= from && r.Time < to {
			if err := visit(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *hall) Leave(_ context.Context, d load.Departure) error {
	h.left = append(h.left, d)
	return nil
}

// TestInvariant4ArchiveOfAMillionObjects counts what passes ask of a store with
// 1,000,000 objects in the partitions of 100 events and 417 days: with nothing to do,
// and when one day of one event is due.
func TestInvariant4ArchiveOfAMillionObjects(t *testing.T) {
	const events, days, commits = 100, 417, 1000
	ctx, store := t.Context(), blob.NewMemory()
	start := time.Now()
	put := func(key arbalest.Key, body []byte) {
		t.Helper()
		if err := store.Put(ctx, key, bytes.NewReader(body)); err != nil {
			t.Fatal(err)
		}
	}
	h := &hall{days: map[string][]load.Day{}}
	var keep []Keep
	first := before(noon, days)
	n := 0
	for e := range events {
		k := Keep{Table: fmt.Sprintf("e%02d", e), Event: arbalest.EventName(fmt.Sprintf("e%02d", e)), Retention: Retention{Hot: 2}}
		keep = append(keep, k)
		columns := columnsOf(arbalest.Table{Name: k.Table, Event: k.Event})
		for day := first; day < before(noon, 0); day += 24 {
			for hour := day; hour < day+24; hour++ {
				n++
				name := fmt.Sprintf("%s.ndjson", arbalest.Seq(1+n%commits))
				put(arbalest.Partition{Event: k.Event, Hour: hour}.Prefix()+arbalest.Key(name), []byte("{}\n"))
			}
			h.days[k.Table] = append(h.days[k.Table], load.Day{Day: day, Left: 100, Warm: load.Warm{Key: dayFolder(k.Table, day), Columns: columns}})
		}
	}
	for seq := arbalest.Seq(1); seq <= commits; seq++ {
		b, err := json.Marshal(arbalest.Commit{Format: 1, Seq: seq, Kind: arbalest.KindSort})
		if err != nil {
			t.Fatal(err)
		}
		put(arbalest.Key("_log/"+seq.String()+".json"), b)
	}
	if n < 1_000_000 {
		t.Fatalf("only %d objects", n)
	}

	// The day that is due has events of three commits.
	w := &world{T: t}
	trace := blobtest.Trace(store)
	var err error
	if w.lake, err = lake.Open(trace, lake.Options{}); err != nil {
		t.Fatal(err)
	}
	due := before(noon, 3)
	for i := range 3 {
		at := due.Time().Add(time.Duration(i) * time.Hour)
		w.send(occurrence{id: fmt.Sprint(i), at: at})
		r := rowOf(fmt.Sprint(i), "{}")
		r.Time, r.Received = at.UnixMicro(), noon.AddDate(0, 0, 7).UnixMicro()
		h.rows = append(h.rows, r)
	}
	h.progress.Commit = commits + 3
	t.Logf("%d objects made in %v", n, time.Since(start).Round(time.Millisecond))

	loader := load.New(w.lake, h, load.Options{})
	tiering := Tiering{Lake: w.lake, Store: trace, Warehouse: h, Loader: loader, Now: func() time.Time { return noon }}
	tiering.Scratch = func(ctx context.Context) (Scratch, string, error) {
		folder := t.TempDir()
		s, err := duckdb.Open(ctx, "", duckdb.Options{Files: folder})
		return scratch{s, folder}, folder, err
	}
	pass := func(what string, most int) TieringReport {
		t.Helper()
		trace.Reset()
		start := time.Now()
		r, err := tiering.Once(ctx, keep)
		if err != nil || r.Err() != nil {
			t.Fatalf("%v: %v", err, r.Err())
		}
		fmt.Fprintf(os.Stderr, "archive, %d objects, %d tables, %d days, %s: %d requests (%d get, %d list, %d put, %d delete), %v\n", n, events, events*days, what,
			trace.Count(), trace.Count(blobtest.OpGet), trace.Count(blobtest.OpList), trace.Count(blobtest.OpPut, blobtest.OpCreate), trace.Count(blobtest.OpDelete), time.Since(start).Round(time.Millisecond))
		if trace.Count() > most {
			t.Errorf("%s: %d requests, want %d at most:\n%s", what, trace.Count(), most, trace)
		}
		return r
	}
	pass("nothing to do, first pass of a process", events) // it lists each table's definitions
	pass("nothing to do", 0)
	keep = append(keep, Keep{"a", "a", Retention{Hot: 2}})
	h.days["a"] = []load.Day{{Day: due, Hot: 3}}
	if n, sum := pass("one day due", 40).Sum(Warmed); n != 1 || sum.Rows != 3 || len(h.left) != 1 {
		t.Errorf("%d days left: %+v", n, h.left)
	}
	for _, line := range trace.Lines() {
		if strings.Contains(line, " e") {
			t.Errorf("asked for others' objects: %s", line)
		}
	}
}
