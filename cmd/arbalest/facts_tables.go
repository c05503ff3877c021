package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"arbalest"
	"arbalest/connect"
	"arbalest/internal/web"
)

// What a table's page shows, at most.
const (
	shownLoads  = 50
	shownErrors = 50
	shownHours  = 168
	shownLine   = 64 << 10 // bytes of an offending line
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
	infos, err := f.engine.warehouse.Tables(ctx)
	if err != nil {
		return nil, err
	}
	journal, err := f.journal(ctx, "table_name")
	if err != nil {
		return nil, err
	}
	sizes := f.sizeOf(ctx, infos)
	var lines []web.TableLine
	for _, t := range infos {
		lines = append(lines, f.tableLine(t, journal[t.Name], sizes))
	}
	return lines, nil
}

func (f *facts) tableLine(t connect.TableInfo, j journalLine, sizes map[string]int64) web.TableLine {
	l := web.TableLine{
		Name: t.Name, Event: t.Event, Rows: t.Rows, Columns: t.Columns, Bytes: -1, Newest: j.last, Loaded: j.loaded, Errors: j.errors,
		Stalled: stalledReason(f.engine.loader.Progress(), t.Name),
	}
	if n, ok := sizes[t.Name]; ok {
		l.Bytes = n
	}
	return l
}

// sizeOf returns the sizes of tables as they were counted last, and has them
// counted if that was long ago.
func (f *facts) sizeOf(ctx context.Context, infos []connect.TableInfo) map[string]int64 {
	s := &f.sizes
	s.mu.Lock()
	if s.counting == nil && time.Now().After(s.until) {
		s.counting = make(chan struct{})
		f.loops.Go(func() { f.countSizes(f.background, infos) })
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

func (f *facts) countSizes(ctx context.Context, infos []connect.TableInfo) {
	start, found := time.Now(), map[string]int64{}
	for _, t := range infos {
		if n, ok := f.bytesOf(ctx, t.Name); ok {
			found[t.Name] = n
		}
	}
	s := &f.sizes
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until, s.tables = time.Now().Add(min(max(sizesForLeast, 100*time.Since(start)), sizesForMost)), found
	close(s.counting)
	s.counting = nil
}

// bytesOf returns how many bytes a table has in the warehouse, and whether that
// tells.
func (f *facts) bytesOf(ctx context.Context, table string) (bytes int64, ok bool) {
	sql := map[string]string{
		"duckdb":   `SELECT CAST(count(DISTINCT block_id) * (SELECT block_size FROM pragma_database_size() LIMIT 1) AS BIGINT) FROM pragma_storage_info(%s) WHERE persistent AND block_id >= 0`,
		"postgres": `SELECT pg_total_relation_size(to_regclass(%s))`,
	}[f.engine.database.Dialect().Name]
	if sql == "" {
		return 0, false
	}
	err := f.engine.database.Query(ctx, fmt.Sprintf(sql, quoted(table)), func(v []any) error {
		bytes, ok = v[0].(int64)
		return nil
	})
	return bytes, ok && err == nil
}

// quoted spells a text in SQL. Names of tables are quoted within it.
func quoted(table string) string { return `'"` + table + `"'` }

// Table implements web.Program.
func (f *facts) Table(ctx context.Context, name string) (web.TableDetail, error) {
	var d web.TableDetail
	infos, err := f.engine.warehouse.Tables(ctx)
	if err != nil {
		return d, err
	}
	var info *connect.TableInfo
	for i := range infos {
		if infos[i].Name == name {
			info = &infos[i]
		}
	}
	if info == nil {
		return d, fmt.Errorf("%w: table %s: the page Tables has those of events", arbalest.ErrUnknown, name)
	}
	var j journalLine
	err = f.rows(ctx, `SELECT max(CASE WHEN stored > 0 THEN hour END), max(loaded_at), CAST(sum(errors) AS BIGINT) FROM arbalest.journal WHERE table_name = $1`, func(v []any) error {
		j.last, _ = v[0].(time.Time)
		j.loaded, _ = v[1].(time.Time)
		j.errors, _ = v[2].(int64)
		return nil
	}, name)
	if err != nil {
		return d, fmt.Errorf("read the journal: %w", err)
	}
	size := map[string]int64{}
	if n, ok := f.bytesOf(ctx, name); ok {
		size[name] = n
	}
	d.TableLine = f.tableLine(*info, j, size)
	return d, errors.Join(f.loads(ctx, &d), f.hours(ctx, &d), f.fields(ctx, &d), f.failed(ctx, &d))
}

// loads adds what the newest commits added to a table.
func (f *facts) loads(ctx context.Context, d *web.TableDetail) error {
	return f.rows(ctx, fmt.Sprintf(`SELECT "commit", max(loaded_at), count(DISTINCT hour), CAST(sum(objects) AS BIGINT), CAST(sum(stored) AS BIGINT), CAST(sum(loaded) AS BIGINT), CAST(sum(repeats) AS BIGINT), CAST(sum(errors) AS BIGINT)
		FROM arbalest.journal WHERE table_name = $1 GROUP BY 1 ORDER BY 1 DESC LIMIT %d`, shownLoads), func(v []any) error {
		var l web.TableLoad
		for i, p := range []*int64{&l.Commit, nil, &l.Hours, &l.Objects, &l.Stored, &l.Loaded, &l.Repeats, &l.Errors} {
			if p != nil {
				*p, _ = v[i].(int64)
			}
		}
		l.At, _ = v[1].(time.Time)
		d.Loads = append(d.Loads, l)
		return nil
	}, d.Name)
}

// hours adds the rows of the newest hours of event time.
func (f *facts) hours(ctx context.Context, d *web.TableDetail) error {
	return f.rows(ctx, fmt.Sprintf(`SELECT hour, n FROM (SELECT hour, CAST(sum(loaded) AS BIGINT) AS n FROM arbalest.journal
		WHERE table_name = $1 AND loaded > 0 GROUP BY hour ORDER BY hour DESC LIMIT %d) h ORDER BY hour`, shownHours), func(v []any) error {
		var h web.HourOfRows
		h.Hour, _ = v[0].(time.Time)
		h.Rows, _ = v[1].(int64)
		d.Hours = append(d.Hours, h)
		return nil
	}, d.Name)
}

// fields adds a table's columns.
func (f *facts) fields(ctx context.Context, d *web.TableDetail) error {
	return f.rows(ctx, `SELECT column_name, data_type FROM information_schema.columns WHERE table_name = $1 AND table_schema IN ('main', 'public') ORDER BY ordinal_position`, func(v []any) error {
		var c web.TableField
		c.Name, _ = v[0].(string)
		c.Type, _ = v[1].(string)
		d.Fields = append(d.Fields, c)
		return nil
	}, d.Name)
}

// failed adds a table's newest load errors.
func (f *facts) failed(ctx context.Context, d *web.TableDetail) (err error) {
	d.Errors, err = f.loadErrors(ctx, fmt.Sprintf(`WHERE table_name = $1 ORDER BY loaded_at DESC, object, line LIMIT %d`, shownErrors+1), d.Name)
	if len(d.Errors) > shownErrors {
		d.MoreErrors, d.Errors = true, d.Errors[:shownErrors]
	}
	return err
}

func (f *facts) loadErrors(ctx context.Context, where string, args ...any) (list []web.LoadError, err error) {
	err = f.rows(ctx, `SELECT loaded_at, object, line, event_id, column_name, value, reason, loaded FROM arbalest.load_errors `+where, func(v []any) error {
		var e web.LoadError
		e.At, _ = v[0].(time.Time)
		e.Object, _ = v[1].(string)
		e.Line, _ = v[2].(int64)
		e.ID, _ = v[3].(string)
		e.Column, _ = v[4].(string)
		e.Value, _ = v[5].(string)
		e.Reason, _ = v[6].(string)
		e.Loaded, _ = v[7].(bool)
		list = append(list, e)
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read load errors: %w", err)
	}
	return list, nil
}

// Line implements web.Program.
func (f *facts) Line(ctx context.Context, table string, object arbalest.Key, line int64) (web.OffendingLine, error) {
	l := web.OffendingLine{Table: table, Object: string(object), Line: line}
	var err error
	if l.Errors, err = f.loadErrors(ctx, `WHERE table_name = $1 AND object = $2 AND line = $3`, table, string(object), line); err != nil {
		return l, err
	}
	if len(l.Errors) == 0 {
		return l, fmt.Errorf("%w: no load error of table %s is about line %d of %s", arbalest.ErrUnknown, table, line, object)
	}
	lines, err := f.engine.lake.Lines(ctx, object)
	if err != nil {
		return l, err
	}
	defer lines.Close()
	r := bufio.NewReaderSize(lines, shownLine)
	for n := int64(1); ; n++ {
		text, err := r.ReadSlice('\n')
		if n == line {
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
