package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/capture"
)

// TestInvariant7TheBooksBalance looks at the books at every stage: in landing,
// sorted, loaded; with rejected events, repeats and load errors.
func TestInvariant7TheBooksBalance(t *testing.T) {
	ctx := context.Background()
	p := place{dir: t.TempDir()}
	c := config{Events: map[string]eventConfig{"order": {Columns: []columnConfig{{Name: "amount", Type: "DECIMAL(12,2)"}}}}}
	e, err := openEngine(ctx, p, c)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	h, err := capture.New(capture.Options{Appender: e.lake.NewWriter()})
	if err != nil {
		t.Fatal(err)
	}
	lines := func(from int) string {
		var b strings.Builder
		for i := from; i < from+10; i++ {
			fmt.Fprintf(&b, `{"event":"order","id":"%d","timestamp":"2026-01-01T%02d:00:00Z","data":{"amount":%d.5}}`+"\n", i, i%3, i)
		}
		return b.String() + `{"event":"order","id":"x","timestamp":"2026-01-01T00:00:00Z","data":{"amount":1.001}}` + "\n" + `{"event":"order","id":"y","timestamp":"no"}` + "\nnot json\n"
	}
	want := func(stage string, stored, rejected, loaded, repeats, errs int64) {
		t.Helper()
		r, err := e.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var sum bookLine
		for _, b := range byEvent(r.Books) {
			sum.Received, sum.Stored, sum.Rejected, sum.NotLoaded = sum.Received+b.Received, sum.Stored+b.Stored, sum.Rejected+b.Rejected, sum.NotLoaded+b.NotLoaded
			sum.Loaded, sum.Repeats, sum.Errors = sum.Loaded+b.Loaded, sum.Repeats+b.Repeats, sum.Errors+b.Errors
		}
		if sum.Received != stored+rejected || sum.Stored != stored || sum.Rejected != rejected || sum.Loaded != loaded || sum.Repeats != repeats || sum.Errors != errs || sum.NotLoaded != stored-loaded-repeats-errs || !r.Balanced {
			t.Errorf("%s: %+v", stage, sum)
		}
	}
	take := func(text string) {
		t.Helper()
		if _, err := h.Take(ctx, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	take(lines(0))
	want("landed", 11, 2, 0, 0, 0)
	if _, err := e.lake.Sort(ctx); err != nil {
		t.Fatal(err)
	}
	want("sorted", 11, 2, 0, 0, 0)
	if _, err := e.Sync(ctx, func(progress) {}); err != nil {
		t.Fatal(err)
	}
	want("loaded", 11, 2, 10, 0, 1)
	take(lines(5)) // five of them again, and the one that does not fit
	want("landed again", 22, 4, 10, 0, 1)
	if _, err := e.Sync(ctx, func(progress) {}); err != nil {
		t.Fatal(err)
	}
	want("loaded again", 22, 4, 15, 5, 2)
	if r, err := e.Verify(ctx, func(progress) {}); err != nil || r.Err() != nil {
		t.Error(err, r.Err())
	}
	if _, err := e.Rebuild(ctx, []string{"order"}, func(progress) {}); err != nil {
		t.Fatal(err)
	}
	want("rebuilt", 22, 4, 15, 5, 2)
}

func TestConfigRefuses(t *testing.T) {
	for text, says := range map[string]string{
		"limitz: 1\n":                       "limitz",
		"limits:\n  body: lots\n":           "64MiB",
		"sort_every: soon\n":                "1s",
		"compression: lzma\n":               "zstd",
		"events:\n  _x:\n    columns: []\n": "event name",
		"events:\n  a:\n    columns: [{name: x, type: BLOB}]\n":                        "BOOLEAN",
		"events:\n  a:\n    columns: [{name: x}]\n":                                    "no type",
		"events:\n  a:\n    columns: [{name: event_id, type: DATE}]\n":                 "event_id",
		"events:\n  a.b:\n    columns: []\n  a-b:\n    columns: []\n":                  "both want",
		"events:\n  a:\n    table: Bad Name\n    columns: []\n":                        "lower-case",
		"events:\n  a:\n    columns: [{name: x, type: DATE}, {path: x, type: DATE}]\n": "two columns",
	} {
		file := filepath.Join(t.TempDir(), "arbalest.yaml")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := readConfig(file, false); !errors.Is(err, arbalest.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v; want %q", text, err, says)
		}
	}
	c, err := readConfig("sample.yaml", false)
	if err != nil || c.Listen != "" {
		t.Errorf("the sample: %+v, %v", c, err)
	}
}
