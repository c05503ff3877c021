package main

import (
	"context"
	"fmt"
	"time"

	"arbalest"
	"arbalest/connect"
	"arbalest/internal/blob"
	"arbalest/internal/capture"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// bulkBatch is what sync and import use.
const bulkBatch = 96 << 20

// The tables, with the benchmark's columns and types.
var (
	rankings   = table("rankings", "pageURL", "VARCHAR(300)", "pageRank", "INTEGER", "avgDuration", "INTEGER")
	userVisits = table("uservisits", "sourceIP", "VARCHAR(116)", "destURL", "VARCHAR(100)", "visitDate", "DATE", "adRevenue", "DOUBLE PRECISION", "userAgent", "VARCHAR(256)",
		"countryCode", "CHAR(3)", "languageCode", "CHAR(6)", "searchWord", "VARCHAR(32)", "duration", "INTEGER")
)

func table(name string, columns ...string) arbalest.Table {
	t := arbalest.Table{Name: name, Event: arbalest.EventName(name), Declared: true}
	for i := 0; i < len(columns); i += 2 {
		typ, err := arbalest.ParseType(columns[i+1])
		if err != nil {
			panic(err) // a constant of this file
		}
		t.Columns = append(t.Columns, arbalest.Column{Name: lower(columns[i]), Path: []string{columns[i]}, Type: typ})
	}
	return t
}

// lower is as SQL takes names without quotes.
func lower(name string) string {
	b := []byte(name)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// appendRanking appends row n as an event on the wire.
func (d data) appendRanking(dst []byte, n int) []byte {
	r := d.ranking(n)
	return fmt.Appendf(dst, `{"event":"rankings","id":"r-%d","timestamp":%q,"data":{"pageURL":%q,"pageRank":%d,"avgDuration":%d}}`+"\n", n, at(n), r.url, r.pageRank, r.avgDuration)
}

// appendVisit appends row n as an event on the wire.
func (d data) appendVisit(dst []byte, n int) []byte {
	v := d.visit(n)
	return fmt.Appendf(dst, `{"event":"uservisits","id":"v-%d","timestamp":%q,"data":{"sourceIP":%q,"destURL":%q,"visitDate":%q,"adRevenue":%v,"userAgent":%q,"countryCode":%q,"languageCode":%q,"searchWord":%q,"duration":%d}}`+"\n",
		n, at(n), v.sourceIP, v.destURL, v.visitDate.Format(time.DateOnly), v.adRevenue, v.agent, v.country, v.lang, v.word, v.duration)
}

// at is when event n was: within the day of the benchmark's last figures.
func at(n int) string {
	return time.Date(2014, 2, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n%86_400) * time.Second).Format(time.RFC3339)
}

// capture takes all events into a new lake, and sorts it.
func (d data) capture(ctx context.Context, dir string) (*blob.Dir, time.Duration, error) {
	store, err := blob.OpenDir(dir)
	if err != nil {
		return nil, 0, err
	}
	took, err := timed(func() error { return d.fill(ctx, store) })
	return store, took, err
}

func (d data) fill(ctx context.Context, store blob.Store) error {
	l, err := lake.Open(store, lake.Options{})
	if err != nil {
		return err
	}
	h, err := capture.New(capture.Options{Appender: l.NewWriter()})
	if err != nil {
		return err
	}
	var lines []byte
	take := func(last bool) error {
		if len(lines) == 0 || len(lines) < 4<<20 && !last {
			return nil
		}
		taken, err := h.Take(ctx, lines)
		lines = lines[:0]
		if err == nil && taken.Rejected > 0 {
			err = fmt.Errorf("%d events were rejected", taken.Rejected)
		}
		return err
	}
	for n := range d.rankings {
		lines = d.appendRanking(lines, n)
		if err := take(false); err != nil {
			return err
		}
	}
	for n := range d.visits {
		lines = d.appendVisit(lines, n)
		if err := take(false); err != nil {
			return err
		}
	}
	if err := take(true); err != nil {
		return err
	}
	if err := h.Close(ctx); err != nil {
		return err
	}
	for {
		if s, err := l.Sort(ctx); err != nil || s.Commit == 0 {
			return err
		}
	}
}

// A place is a warehouse with the benchmark's tables.
type place struct {
	name      string
	warehouse *connect.Opened
}

// load loads the lake's events into a new warehouse, and lets it gather its
// statistics.
func (r run) load(ctx context.Context, store blob.Store, name, url string) (place, time.Duration, error) {
	w, err := connect.Warehouse(ctx, url, store, connect.Options{Memory: r.memory})
	if err != nil {
		return place{}, 0, err
	}
	l, err := lake.Open(store, lake.Options{})
	if err != nil {
		return place{}, 0, err
	}
	p := place{name, w}
	took, err := timed(func() error {
		loader := load.New(l, w, load.Options{BatchBytes: bulkBatch, Declared: []arbalest.Table{rankings, userVisits}})
		var loaded int64
		for {
			result, err := loader.Once(ctx)
			if err != nil {
				return err
			}
			if result.Idle {
				break
			}
			for _, t := range result.Tables {
				loaded += t.Loaded
			}
		}
		if want := int64(r.data.rankings + r.data.visits); loaded != want {
			return fmt.Errorf("loaded %d of %d events", loaded, want)
		}
		return p.exec(ctx, "ANALYZE")
	})
	return p, took, err
}
