package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"arbalest"
	"arbalest/internal/web"
)

// What a table's page shows, at most.
const (
	shownLoads = 50 // and errors
	shownHours = 168
	shownLine  = 64 << 10 // bytes of an offending line
)

// The sizes of tables are good for a hundred times as long as it took to count
// them, for which each column is looked at, within these bounds. A page waits no
// longer for them than sizesWait.
const (
	sizesForLeast = 2 * time.Second
	sizesForMost  = 2 * time.Minute
	sizesWait     = 300 * time.Millisecond
)

// sizes are the sizes of tables in bytes, as they were counted last.
type sizes struct {
	mu       sync.Mutex
	until    time.Time // for as long they are good
	tables   map[string]int64
	counting chan struct{} // closed when they are counted; nil if they are not
}

// Tables implements web.Program.
func (f *facts) Tables(ctx context.Context) ([]web.TableLine, error) {
	lines, err := f.engine.tables(ctx)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(lines, func(_ string, l *tableLine) bool { return l.Kind != "event" })
	sizes := f.sizeOf(ctx, lines)
	var out []web.TableLine
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		out = append(out, tableOnPage(lines[name].sized(sizes)))
	}
	return out, nil
}

func tableOnPage(l tableLine) web.TableLine {
	t := web.TableLine{Name: cmp.Or(l.journal, l.Table), Event: l.Event, Columns: l.Columns, Bytes: -1, Newest: l.Last, Loaded: l.LoadedAt, Errors: l.Errors}
	if l.Rows != nil {
		t.Rows = *l.Rows
	}
	if l.Bytes != nil {
		t.Bytes = *l.Bytes
	}
	if l.Stalled != "" {
		t.Stalled = fmt.Sprintf("since %s, at commit %d: %s", stamp(&l.stall.Since), l.stall.Commit, l.Stalled)
	}
	return t
}

// sizeOf returns the sizes of tables as they were counted last, and has them
// counted if that was long ago.
func (f *facts) sizeOf(ctx context.Context, lines map[string]*tableLine) map[string]int64 {
	s := &f.sizes
	s.mu.Lock()
	if s.counting == nil && time.Now().After(s.until) {
		s.counting = make(chan struct{})
		f.loops.Go(func() { f.countSizes(f.background, lines) })
	}
	counting := s.counting
	s.mu.Unlock()
	if counting != nil {
		select {
		case <-counting:
		case <-time.After(sizesWait):
		case <-ctx.Done():
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tables
}

func (f *facts) countSizes(ctx context.Context, lines map[string]*tableLine) {
	start := time.Now()
	found, err := f.engine.sizes(ctx, lines)
	if err != nil && ctx.Err() == nil {
		f.log.Warn("sizes of tables", "error", err)
	}
	s := &f.sizes
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until, s.tables = time.Now().Add(min(max(sizesForLeast, 100*time.Since(start)), sizesForMost)), found
	close(s.counting)
	s.counting = nil
}

// Table implements web.Program.
func (f *facts) Table(ctx context.Context, name string) (web.TableDetail, error) {
	r, err := f.engine.Table(ctx, tableRequest{Table: name, Limit: shownLoads + 1})
	if err == nil && r.Kind != "event" || errors.Is(err, arbalest.ErrUnknown) {
		err = fmt.Errorf("%w: table %s: the page Tables has those of events", arbalest.ErrUnknown, name)
	}
	if err != nil {
		return web.TableDetail{}, err
	}
	d := web.TableDetail{
		TableLine: tableOnPage(r.tableLine), Fields: r.List, Loads: r.Loads[:min(shownLoads, len(r.Loads))],
		Errors: r.Faults[:min(shownLoads, len(r.Faults))], MoreErrors: len(r.Faults) > shownLoads,
	}
	return d, f.hours(ctx, &d)
}

// hours adds the rows of the newest hours of event time.
func (f *facts) hours(ctx context.Context, d *web.TableDetail) error {
	return journalError(f.engine.database.Query(ctx, fmt.Sprintf(`SELECT hour, n FROM (SELECT hour, CAST(sum(loaded) AS BIGINT) AS n FROM arbalest.journal
		WHERE table_name = $1 AND loaded > 0 GROUP BY hour ORDER BY hour DESC LIMIT %d) h ORDER BY hour`, shownHours), func(v []any) error {
		var h web.HourOfRows
		h.Hour, _ = v[0].(time.Time)
		h.Rows, _ = v[1].(int64)
		d.Hours = append(d.Hours, h)
		return nil
	}, d.Name))
}

// Line implements web.Program.
func (f *facts) Line(ctx context.Context, table string, object arbalest.Key, line int64) (web.OffendingLine, error) {
	l := web.OffendingLine{Table: table, Object: object, Line: line}
	var err error
	if l.Errors, err = f.engine.faults(ctx, `table_name = $1 AND object = $2 AND line = $3`, table, string(object), line); err != nil {
		return l, err
	}
	if len(l.Errors) == 0 {
		return l, fmt.Errorf("%w: no load error of table %s is about line %d of %s", arbalest.ErrUnknown, table, line, object)
	}
	lines, stored, err := f.engine.lake.Lines(ctx, arbalest.Object{Key: object})
	if err != nil {
		return l, err
	}
	defer lines.Close()
	now := stored.Now(line)
	if now == 0 {
		return l, fmt.Errorf("%w: line %d of %s is not there any more: it was erased, or repeated another and was left out by compaction", arbalest.ErrUnknown, line, object)
	}
	r := bufio.NewReaderSize(lines, shownLine)
	for n := int64(1); ; n++ {
		text, err := r.ReadSlice('\n')
		if n == now {
			l.Text, l.Cut = string(text), errors.Is(err, bufio.ErrBufferFull)
			return l, nil
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n')
		}
		if errors.Is(err, io.EOF) {
			return l, fmt.Errorf("%w: %s has no line %d", arbalest.ErrUnknown, object, line)
		}
		if err != nil {
			return l, fmt.Errorf("read %s: %w", object, err)
		}
		if ctx.Err() != nil {
			return l, ctx.Err()
		}
	}
}
