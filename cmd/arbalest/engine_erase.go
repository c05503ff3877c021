package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/connect"
	"arbalest/internal/archive"
	"arbalest/internal/blob"
	"arbalest/internal/duckdb"
	"arbalest/internal/lake"
	"arbalest/internal/load"
	"arbalest/internal/warehouse"
)

// Erase implements operator. What is erased is found in tables, by the condition, and
// then by ids; the lake erases it, and loading what the warehouse has of it.
func (e *engine) Erase(ctx context.Context, q eraseRequest, show func(progress)) (eraseReport, error) {
	start := time.Now()
	if _, err := e.Sync(ctx, show); err != nil {
		return eraseReport{}, err
	}
	f := finding{engine: e, eraseRequest: q, ids: map[arbalest.EventName]map[string]bool{}, days: map[arbalest.EventDay]bool{}}
	f.report.Dry = q.Dry
	if q.Where != "" {
		if err := f.tables(ctx); err != nil {
			return f.report, err
		}
	}
	s := &sieve{finding: &f}
	if q.Where != "" {
		if err := f.unloaded(ctx, s); err != nil {
			return f.report, err
		}
		if err := f.unshown(ctx, s); err != nil {
			return f.report, err
		}
	}
	// Bodies are held against all ids.
	if err := s.flush(ctx); err != nil {
		return f.report, err
	}
	if err := f.rejected(ctx, s); err != nil {
		return f.report, err
	}
	if q.Dry {
		f.report.Rejected, f.report.Seconds = int64(len(f.bodies)), time.Since(start).Seconds()
		return f.report, nil
	}
	if len(f.ids)+len(f.bodies) == 0 {
		return f.report, f.derived(ctx, show)
	}
	erasure := lake.Erasure{By: q.By, Why: q.Why, IDs: map[arbalest.EventName][]string{}, Days: slices.Collect(maps.Keys(f.days)), Bodies: f.bodies}
	for event, ids := range f.ids {
		erasure.IDs[event] = slices.Collect(maps.Keys(ids))
	}
	done, err := e.lake.Erase(ctx, erasure)
	if err != nil {
		return f.report, err
	}
	for _, n := range done.Events {
		f.report.Lines += n
	}
	f.report.Objects, f.report.Commits, f.report.Rejected = done.Objects, done.Commits, done.Bodies
	f.report.Unread = append(f.report.Unread, done.Unread...)
	// Loading comes to the commits, and takes out rows.
	if _, err := e.Sync(ctx, show); err != nil {
		return f.report, err
	}
	if err := f.derived(ctx, show); err != nil {
		return f.report, err
	}
	for _, t := range f.report.Tables {
		found, err := f.matching(ctx, t.Table)
		if err != nil {
			return f.report, err
		}
		f.report.Left += int64(len(found))
	}
	f.report.Seconds = time.Since(start).Seconds()
	return f.report, nil
}

// derived makes again what was made of rows that are erased: warm objects, and models. What
// verify found may name them.
func (f *finding) derived(ctx context.Context, show func(progress)) error {
	f.archiving.Lock()
	defer f.archiving.Unlock()
	t, closes, err := f.tiering()
	if err != nil {
		return err
	}
	defer closes()
	left := map[string]bool{} // tables; an erasure that died may not have come to all
	err = f.database.Query(ctx, "SELECT DISTINCT table_name FROM arbalest.days", func(v []any) error {
		table, _ := v[0].(string)
		left[table] = true
		return nil
	})
	if err := journalError(err); err != nil {
		return err
	}
	keeps, _, err := f.keeps(ctx)
	if err != nil {
		return err
	}
	made, err := t.Refresh(ctx, slices.DeleteFunc(keeps, func(k archive.Keep) bool { return !left[k.Table] }))
	if err == nil {
		err = made.Err()
	}
	for _, d := range made.Days {
		if err == nil && d.Action == archive.Waits {
			err = fmt.Errorf("%w: %s of %s: %s", arbalest.ErrBusy, d.Table, d.Day, d.Why)
		}
	}
	if err != nil {
		return fmt.Errorf("make warm objects again without what is erased: %w; arbalest archive does it", err)
	}
	if err := os.Remove(f.place.verified()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete what verify found: %w", err)
	}
	built, err := f.Build(ctx, modelRequest{}, show)
	if err != nil {
		return err
	}
	return built.err()
}

// A finding is a search for what is to be erased.
type finding struct {
	*engine
	eraseRequest
	ids    map[arbalest.EventName]map[string]bool
	days   map[arbalest.EventDay]bool // that those are on
	bodies []lake.Ref
	report eraseReport
}

// tables asks every table the condition.
func (f *finding) tables(ctx context.Context) error {
	all, err := f.warehouse.Tables(ctx)
	if err != nil {
		return err
	}
	named := map[arbalest.EventName]bool{}
	for _, name := range f.eraseRequest.Events {
		named[arbalest.EventName(name)] = true
		if !slices.ContainsFunc(all, func(t connect.TableInfo) bool { return t.Event == arbalest.EventName(name) }) {
			return fmt.Errorf("%w: no table has events %s: see arbalest events", arbalest.ErrUnknown, name)
		}
	}
	var why error
	for _, t := range all {
		if len(named) > 0 && !named[t.Event] {
			continue
		}
		found, err := f.matching(ctx, t.Name)
		if (errors.Is(err, arbalest.ErrInvalid) || errors.Is(err, arbalest.ErrUnknown)) && len(named) == 0 {
			why = err
			f.report.Skipped = append(f.report.Skipped, skippedTable{t.Name, err.Error()})
			continue
		}
		if err != nil {
			return fmt.Errorf("ask table %s: %w", t.Name, err)
		}
		f.report.Tables = append(f.report.Tables, erasedTable{t.Name, t.Event, int64(len(found))})
		if len(found) == 0 {
			continue
		}
		f.ids[t.Event] = found
		if err := f.spread(ctx, t, found); err != nil {
			return err
		}
	}
	if len(f.report.Tables) == 0 && why != nil {
		return fmt.Errorf("no table can be asked the condition: %w", why)
	}
	return nil
}

// relation names what shows all events of a table: the view <table>_all where it is
// there. A table of that name is another event's.
func (e *engine) relation(ctx context.Context, table string) (string, error) {
	name := e.database.Dialect().Cut(table)
	err := e.database.Query(ctx, `SELECT table_name FROM information_schema.tables WHERE table_schema IN ('main', 'public') AND table_type = 'VIEW' AND table_name = $1`, func(v []any) error {
		name, _ = v[0].(string)
		return nil
	}, table+"_all")
	return warehouse.Ident(name), err
}

// matching returns the ids of a table's events that meet the condition.
func (f *finding) matching(ctx context.Context, table string) (map[string]bool, error) {
	from, err := f.relation(ctx, table)
	if err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	// The line break ends a comment in the condition.
	err = f.warehouse.Ask(ctx, fmt.Sprintf("SELECT event_id FROM %s WHERE (%s\n)", from, f.Where), texts(func(v []string) { ids[v[0]] = true }))
	return ids, err
}

// spread notes the days that events with the ids are on.
func (f *finding) spread(ctx context.Context, t connect.TableInfo, found map[string]bool) error {
	from, err := f.relation(ctx, t.Name)
	if err != nil {
		return err
	}
	var bad error
	note := texts(func(v []string) {
		at, err := time.Parse(time.DateOnly, v[0][:min(len(v[0]), len(time.DateOnly))])
		bad = errors.Join(bad, err)
		f.days[arbalest.EventDay{Event: t.Event, Day: arbalest.HourOf(at)}] = true
	})
	of := "table_name = " + warehouse.Literal(t.Name) + " AND event_time IS NOT NULL AND "
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(found)), 500) {
		list := make([]string, len(ids))
		for i, id := range ids {
			list[i] = warehouse.Literal(id)
		}
		in := "event_id IN (" + strings.Join(list, ", ") + ")"
		for _, source := range []string{from + " WHERE " + in, "arbalest.conflicts WHERE " + of + in, "arbalest.load_errors WHERE " + of + in} {
			if err := f.warehouse.Ask(ctx, "SELECT DISTINCT CAST(event_time AS DATE) FROM "+source, note); err != nil {
				return err
			}
		}
	}
	return bad
}

// texts is a sink of rows of text.
type texts func(row []string)

// Columns implements rowSink.
func (texts) Columns([]warehouse.ResultColumn) error { return nil }

// Row implements rowSink.
func (t texts) Row(values []warehouse.Value) error {
	row := make([]string, len(values))
	for i, v := range values {
		row[i] = v.Text
	}
	t(row)
	return nil
}

// unloaded asks events that have no row, as they could not be loaded: the store has
// them.
func (f *finding) unloaded(ctx context.Context, s *sieve) error {
	type place struct {
		object arbalest.Key
		line   int64
	}
	var places []place
	err := f.database.Query(ctx, "SELECT DISTINCT object, line FROM arbalest.load_errors WHERE NOT loaded ORDER BY object, line", func(v []any) error {
		object, _ := v[0].(string)
		line, _ := v[1].(int64)
		places = append(places, place{arbalest.Key(object), line})
		return nil
	})
	if err != nil {
		return err
	}
	var of arbalest.Key
	var stored lake.Stored
	var lines [][]byte
	for _, p := range places {
		if p.object != of {
			b, now, err := f.lake.AppendLines(ctx, nil, arbalest.Object{Key: p.object})
			if errors.Is(err, arbalest.ErrUnknown) || errors.Is(err, arbalest.ErrCorrupt) || errors.Is(err, arbalest.ErrCold) {
				f.report.Unread = append(f.report.Unread, p.object)
			} else if err != nil {
				return err
			}
			of, stored, lines = p.object, now, bytes.SplitAfter(b, []byte{'\n'})
		}
		n := stored.Now(p.line)
		if n < 1 || n > int64(len(lines)) {
			continue
		}
		if err := s.line(ctx, lines[n-1]); err != nil {
			return err
		}
	}
	return nil
}

// unshown asks events of days that left their table and that no relation shows: they are
// cold, or the warehouse does not read Parquet.
func (f *finding) unshown(ctx context.Context, s *sieve) error {
	tables, err := f.warehouse.Tables(ctx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if len(f.eraseRequest.Events) > 0 && !slices.Contains(f.eraseRequest.Events, string(t.Event)) {
			continue
		}
		from, err := f.relation(ctx, t.Name)
		if err != nil {
			return err
		}
		all := from != warehouse.Ident(f.database.Dialect().Cut(t.Name))
		days, err := f.warehouse.Days(ctx, t.Name, arbalest.EndHour)
		if err != nil {
			return err
		}
		for _, d := range days {
			if d.Left == 0 || all && d.Warm.Key != "" {
				continue
			}
			if err := f.day(ctx, s, t.Event, d.Day); err != nil {
				return err
			}
		}
	}
	return nil
}

// day asks the events of a day that the store has.
func (f *finding) day(ctx context.Context, s *sieve, event arbalest.EventName, day arbalest.Hour) error {
	objects, err := f.lake.Day(ctx, event, day)
	if err != nil {
		return err
	}
	var lines []byte
	for _, o := range objects {
		lines, _, err = f.lake.AppendLines(ctx, lines[:0], o)
		if errors.Is(err, arbalest.ErrUnknown) || errors.Is(err, arbalest.ErrCorrupt) || errors.Is(err, arbalest.ErrCold) {
			f.report.Unread = append(f.report.Unread, o.Key)
			continue
		}
		if err != nil {
			return err
		}
		for line := range bytes.Lines(lines) {
			if err := s.line(ctx, line); err != nil {
				return err
			}
		}
	}
	return nil
}

// rejected looks for what is to be erased among what was rejected.
func (f *finding) rejected(ctx context.Context, s *sieve) error {
	for k, err := range f.lake.Rejections(ctx, lake.Span{}) {
		if err != nil {
			return err
		}
		if k.Err != nil { // it is damaged
			f.report.Opaque++
		}
		if k.Err != nil || len(k.Body) == 0 {
			continue
		}
		opaque, found := true, f.Text != "" && bytes.Contains(k.Body, []byte(f.Text)) || k.ID != "" && f.ids[k.Event][k.ID]
		for event, err := range bodyEvents(k.Body) {
			if opaque = err != nil; opaque || found {
				break
			}
			if found = f.ids[event.Name][event.ID]; !found && f.Where != "" {
				if err := s.add(ctx, sifted{ref: k.Ref, event: event.Name, at: k.Received}, event.Properties); err != nil {
					return err
				}
			}
		}
		if found && k.Landing {
			f.report.Left++ // it came since the sync
		} else if found {
			f.bodies = append(f.bodies, k.Ref)
		} else if opaque && f.Where != "" {
			f.report.Opaque++
		}
	}
	return s.flush(ctx)
}

// A bodyEvent is what can be read of an event in a body.
type bodyEvent struct {
	Name       arbalest.EventName `json:"event"`
	ID         string             `json:"id"`
	Properties json.RawMessage    `json:"data"`
}

// bodyEvents yields the events of a body in the form of POST /v1/events: objects, or
// arrays of them. The error ends it, where the body is no JSON or not of that form.
func bodyEvents(body []byte) func(yield func(bodyEvent, error) bool) {
	return func(yield func(bodyEvent, error) bool) {
		for dec := json.NewDecoder(bytes.NewReader(body)); ; {
			var raw json.RawMessage
			err := dec.Decode(&raw)
			if errors.Is(err, io.EOF) {
				return
			}
			elements := []json.RawMessage{raw}
			if err == nil && len(raw) > 0 && raw[0] == '[' {
				err = json.Unmarshal(raw, &elements)
			}
			for _, element := range elements {
				var e bodyEvent
				if err == nil {
					err = json.Unmarshal(element, &e)
				}
				if !yield(e, err) || err != nil {
					return
				}
			}
			if err != nil {
				yield(bodyEvent{}, err)
				return
			}
		}
	}
}

// sieveBytes is how many bytes of properties are asked the condition at a time.
const sieveBytes = 8 << 20

// A sifted event is one that SQL shows no row of: of a rejected body, one that could not be
// loaded, or of a day that left to where the warehouse does not read.
type sifted struct {
	ref   lake.Ref // of the body
	event arbalest.EventName
	id    string
	at    time.Time
}

// A sieve asks events that no table has the condition: they are loaded into tables in
// memory, by the definitions and by what would be inferred without any.
type sieve struct {
	*finding
	lines []byte
	held  []sifted
}

// add takes an event.
func (s *sieve) add(ctx context.Context, e sifted, raw []byte) error {
	var properties bytes.Buffer
	if e.event.Validate() != nil || json.Compact(&properties, raw) != nil || properties.Len() < 2 || properties.Bytes()[0] != '{' || len(s.eraseRequest.Events) > 0 && !slices.Contains(s.eraseRequest.Events, string(e.event)) {
		return nil
	}
	p := properties.Bytes()
	s.lines = arbalest.AppendLine(s.lines, arbalest.Event{ID: fmt.Sprint(len(s.held)), Name: e.event, Time: e.at, Received: e.at, Hash: xxh3.Hash(p), Properties: p})
	s.held = append(s.held, e)
	if len(s.lines) < sieveBytes {
		return nil
	}
	return s.flush(ctx)
}

// line takes an event as it is stored. A line that is none is left out.
func (s *sieve) line(ctx context.Context, line []byte) error {
	l, err := arbalest.ParseLine(line)
	if err != nil {
		return nil
	}
	return s.add(ctx, sifted{event: arbalest.EventName(l.Name), id: l.UnquoteID(), at: time.UnixMicro(l.Time).UTC()}, append([]byte{'{'}, l.Rest...))
}

// flush asks what was taken.
func (s *sieve) flush(ctx context.Context) error {
	if len(s.held) == 0 {
		return nil
	}
	l, err := lake.Open(blob.NewMemory(), lake.Options{})
	if err != nil {
		return err
	}
	if _, err := l.NewWriter().AppendLines(ctx, s.lines); err != nil {
		return err
	}
	if _, err := l.Sort(ctx); err != nil {
		return err
	}
	given, err := s.config.tables()
	if err != nil {
		return err
	}
	found := map[int]bool{}
	for _, tables := range [][]arbalest.Table{given, nil} {
		if err := s.ask(ctx, l, tables, found); err != nil {
			return err
		}
	}
	refs := map[lake.Ref]bool{}
	for n := range found {
		e := s.held[n]
		switch {
		case e.ref.Line > 0:
			refs[e.ref] = true
		case s.ids[e.event] == nil:
			s.ids[e.event] = map[string]bool{}
			fallthrough
		default:
			s.ids[e.event][e.id] = true
			s.days[arbalest.EventDay{Event: e.event, Day: arbalest.HourOf(e.at)}] = true
			s.report.Unloaded++
		}
	}
	s.bodies = slices.AppendSeq(s.bodies, maps.Keys(refs))
	s.lines, s.held = s.lines[:0], nil
	return nil
}

// ask loads events into tables in memory, and notes the numbers of those that meet the
// condition.
func (s *sieve) ask(ctx context.Context, l *lake.Lake, tables []arbalest.Table, found map[int]bool) (err error) {
	w, err := duckdb.Open(ctx, "", duckdb.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	opts := load.Options{BatchColumns: w.BatchColumns()}
	for _, t := range tables {
		if t.Declared {
			opts.Declared = append(opts.Declared, t)
		} else {
			opts.Open = append(opts.Open, t)
		}
	}
	loader := load.New(l, w, opts)
	for idle := false; !idle; {
		r, err := loader.Once(ctx)
		if err != nil {
			return err
		}
		idle = r.Idle
	}
	scratch := finding{engine: &engine{warehouse: w, database: w.Database()}, eraseRequest: s.eraseRequest}
	there, err := w.Tables(ctx)
	if err != nil {
		return err
	}
	for _, t := range there {
		ids, err := scratch.matching(ctx, t.Name)
		if errors.Is(err, arbalest.ErrInvalid) || errors.Is(err, arbalest.ErrUnknown) {
			continue // it has not the columns
		}
		if err != nil {
			return err
		}
		for id := range ids {
			if n, err := strconv.Atoi(id); err == nil && n < len(s.held) {
				found[n] = true
			}
		}
	}
	return nil
}
