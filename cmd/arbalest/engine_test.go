package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	if r, err := e.Verify(ctx, verifyRequest{Content: true}, func(progress) {}); err != nil || r.Err() != nil {
		t.Error(err, r.Err())
	}
	if _, err := e.Rebuild(ctx, rebuildRequest{Tables: []string{"order"}}, func(progress) {}); err != nil {
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

// TestConfigExpands holds that secrets need not be in the file, and that only
// URLs take them.
func TestConfigExpands(t *testing.T) {
	t.Setenv("ARBALEST_TEST_SECRET", "p@ss")
	read := func(text string) (config, error) {
		file := filepath.Join(t.TempDir(), "arbalest.yaml")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return readConfig(file, false)
	}
	c, err := read("store: s3://b/${ARBALEST_TEST_SECRET}/x\nlisten: ${ARBALEST_TEST_NONE}\nwarehouse:\n  url: postgres://u:${ARBALEST_TEST_SECRET}@h/$d\n")
	if err != nil || c.Store != "s3://b/p@ss/x" || c.Warehouse.URL != "postgres://u:p@ss@h/$d" || c.Listen != "${ARBALEST_TEST_NONE}" {
		t.Errorf("%+v, %v", c, err)
	}
	for _, text := range []string{"store: ${ARBALEST_TEST_NONE}\n", "warehouse: {url: \"duckdb:${ARBALEST_TEST_NONE}\"}\n"} {
		if _, err := read(text); !errors.Is(err, arbalest.ErrInvalid) || !strings.Contains(err.Error(), "ARBALEST_TEST_NONE is not set") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestConfigForServe compares the defaults of a directory with those of S3.
func TestConfigForServe(t *testing.T) {
	none := duration(0)
	for _, test := range []struct {
		config config
		remote bool
		want   string
	}{
		{config{}, false, "0s 1s 0 0 "},
		{config{}, true, "250ms 1m0s 67108864 4 s3"},
		{config{Linger: &none, SortEvery: duration(5 * time.Second), SortBytes: 1 << 20}, true, "0s 5s 1048576 4 s3"},
	} {
		c := test.config.forServe(test.remote)
		got := fmt.Sprint(time.Duration(*c.Linger), " ", time.Duration(c.SortEvery), " ", int64(c.SortBytes), " ", c.writers, " ", c.durability)
		if got != test.want {
			t.Errorf("%+v, %v: %q, want %q", test.config, test.remote, got, test.want)
		}
	}
}

func TestPlaceURLs(t *testing.T) {
	p := place{dir: "/data"}
	for _, test := range []struct{ store, warehouse, wantStore, wantWarehouse string }{
		{"", "", "/data/store", "/data/warehouse.duckdb"},
		{"lake", "tables.db", "/data/lake", "/data/tables.db"},
		{"/lake", "duckdb:/tables.db", "/lake", "duckdb:/tables.db"},
		{"file:lake", "duckdb:tables.db", "file:/data/lake", "duckdb:/data/tables.db"},
		{"s3://bucket/lake", "postgres://h/d", "s3://bucket/lake", "postgres://h/d"},
	} {
		c := config{Store: test.store, Warehouse: warehouseConfig{URL: test.warehouse}}
		if s, w := p.store(c), p.warehouse(c); s != test.wantStore || w != test.wantWarehouse {
			t.Errorf("%+v: %s and %s", test, s, w)
		}
	}
}
