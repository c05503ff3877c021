package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"arbalest"
	"arbalest/connect"
	"arbalest/internal/archive"
	"arbalest/internal/blob"
	"arbalest/internal/duckdb"
)

// Archive implements operator.
func (e *engine) Archive(ctx context.Context, q archiveRequest, show func(progress)) (archiveReport, error) {
	r := archiveReport{Dry: q.Dry}
	if !e.archiving.TryLock() {
		return r, fmt.Errorf("%w: another pass of archive is running: wait for it", arbalest.ErrBusy)
	}
	defer e.archiving.Unlock()
	start := time.Now()
	if q.Spectrum {
		var err error
		r.Statements, err = e.spectrum(ctx)
		return r, err
	}
	if q.Rules {
		var err error
		r.Rules, err = e.rules(ctx)
		return r, err
	}
	t, closes, err := e.tiering()
	if err != nil {
		return r, err
	}
	defer closes()
	days := int64(0)
	t.Show = func(archive.DayReport) {
		days++
		show(progress{Stage: "archive", Done: days, Unit: "days"})
	}
	keeps, bytes, err := e.keeps(ctx)
	if err != nil {
		return r, err
	}
	if q.Dry {
		r.TieringReport, err = t.Plan(ctx, keeps)
	} else {
		r.TieringReport, err = t.Once(ctx, keeps)
	}
	_, sum := r.Sum(archive.Warmed)
	_, cold := r.Sum(archive.Cooled)
	r.Saves = int64(bytes * float64(sum.Rows+cold.Rows))
	r.Seconds = time.Since(start).Seconds()
	return r, err
}

// keeps returns the tables of the warehouse with their retention, and about how many
// bytes a row takes, 0 if that is not known.
func (e *engine) keeps(ctx context.Context) (keeps []archive.Keep, bytes float64, err error) {
	tables, err := e.warehouse.Tables(ctx)
	if err != nil {
		return nil, 0, err
	}
	rows := int64(0)
	for _, t := range tables {
		keeps = append(keeps, archive.Keep{Table: t.Name, Event: t.Event, Retention: e.config.retention(t.Event)})
		rows += t.Rows
	}
	if e.duck != nil && rows > 0 {
		if info, err := os.Stat(e.duck.Path()); err == nil {
			bytes = float64(info.Size()) / float64(rows)
		}
	}
	return keeps, bytes, nil
}

// rules sets the lifecycle rules of the store's bucket, and returns them.
func (e *engine) rules(ctx context.Context) ([]connect.Rule, error) {
	keeps, _, err := e.keeps(ctx)
	if err != nil {
		return nil, err
	}
	rules := []connect.Rule{}
	for _, k := range keeps {
		if k.Cold > 0 {
			rules = append(rules, connect.Rule{Folder: arbalest.Key(k.Event), Days: k.Cold, Class: cmp.Or(k.Class, blob.Glacier)})
		}
	}
	return rules, connect.SetRules(ctx, e.store, rules)
}

// spectrum returns what Redshift is to be told of what is warm.
func (e *engine) spectrum(ctx context.Context) ([]string, error) {
	tables, err := e.warehouse.Tables(ctx)
	if err != nil {
		return nil, err
	}
	var external []connect.ExternalTable
	for _, t := range tables {
		days, err := e.warehouse.Days(ctx, t.Name, arbalest.HourOf(time.Now()))
		if err != nil {
			return nil, err
		}
		x := connect.ExternalTable{Location: string(archive.WarmFolder(t.Name))}
		for _, d := range days {
			if d.Warm.Key != "" {
				x.Days = append(x.Days, d.Day)
			}
		}
		if len(x.Days) == 0 {
			continue
		}
		if x.Table, err = e.loader.Table(ctx, t.Event); err != nil {
			return nil, err
		}
		external = append(external, x)
	}
	return connect.Spectrum(e.place.store(e.config), external)
}

// tiering is what moves days of this place. The caller must call closes.
func (e *engine) tiering() (t archive.Tiering, closes func(), err error) {
	t = archive.Tiering{
		Lake: e.lake, Store: e.store, Warehouse: e.warehouse, Loader: e.loader, Scratch: e.scratch,
		Exclusive: func() func() { e.work.Lock(); return e.work.Unlock },
	}
	closes = func() {}
	if err := e.place.sweepScratch(); err != nil {
		return t, closes, err
	}
	if e.duck != nil && connect.IsRemote(e.place.store(e.config)) {
		mirror, err := blob.OpenDir(e.place.warm(e.config))
		if err != nil {
			return t, closes, fmt.Errorf("open copies of warm objects: %w", err)
		}
		t.Mirror, closes = mirror, func() { mirror.Close() }
	}
	return t, closes, nil
}

// forgetWarm deletes what is warm of days that came back.
func (e *engine) forgetWarm(ctx context.Context, table string, from, to arbalest.Hour) error {
	t, closes, err := e.tiering()
	if err != nil {
		return err
	}
	defer closes()
	return t.Sweep(ctx, table, from, to)
}

// warm returns the directory that has warm objects where DuckDB reads them: the store,
// or one beside it.
func (p place) warm(c config) string {
	if path, ok := connect.IsPath(p.store(c)); ok {
		return path
	}
	return p.file("warm")
}

// scratchMemory is DuckDB's limit while a day is made, beside the warehouse's.
const scratchMemory = 96 << 20

// A scratch is a warehouse for a day, in a folder of its own.
type scratch struct {
	*duckdb.Warehouse
	folder string
}

// Close implements archive.Scratch.
func (s scratch) Close() error { return errors.Join(s.Warehouse.Close(), os.RemoveAll(s.folder)) }

// scratch opens a warehouse for a day.
func (e *engine) scratch(ctx context.Context) (archive.Scratch, string, error) {
	if err := os.MkdirAll(e.place.scratches(), 0o755); err != nil {
		return nil, "", err
	}
	folder, err := os.MkdirTemp(e.place.scratches(), "day-")
	if err != nil {
		return nil, "", err
	}
	if folder, err = filepath.Abs(folder); err != nil {
		return nil, "", err
	}
	w, err := duckdb.Open(ctx, filepath.Join(folder, "day.duckdb"), duckdb.Options{Files: folder, MemoryLimit: scratchMemory})
	if err != nil {
		return nil, "", errors.Join(err, os.RemoveAll(folder))
	}
	return scratch{w, folder}, folder, nil
}

// scratches is where days are made.
func (p place) scratches() string { return filepath.Join(p.dir, ".archive") }

// sweepScratch deletes what passes left that died. Others may be at work on the place.
func (p place) sweepScratch() error {
	entries, err := os.ReadDir(p.scratches())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			err = os.RemoveAll(filepath.Join(p.scratches(), entry.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
