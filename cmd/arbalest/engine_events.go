package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"arbalest"
	"arbalest/internal/load"
	"arbalest/internal/warehouse"
)

// An eventLine is the events of one name.
type eventLine struct {
	Event arbalest.EventName `json:"event"`
	Table string             `json:"table,omitempty"` // none if nothing was loaded yet
	booked
	LastDay   int64      `json:"last_day"`              // stored, with a time in the last 24 hours
	PerMinute float64    `json:"per_minute"`            // in the last 24 hours
	First     *time.Time `json:"first,omitempty"`       // the hour of the earliest event
	Last      *time.Time `json:"last,omitempty"`        // the hour of the latest one
	LoadedAt  *time.Time `json:"last_loaded,omitempty"` // when the newest load was
}

// eventsSQL sums the journal by event, and nothing but sums leaves the warehouse.
const eventsSQL = `SELECT event, max(table_name), CAST(sum(stored) AS BIGINT), CAST(sum(rejected) AS BIGINT), CAST(sum(loaded) AS BIGINT), CAST(sum(repeats) AS BIGINT),
	CAST(sum(conflicts) AS BIGINT), CAST(sum(errors) AS BIGINT), CAST(sum(CASE WHEN hour > $1 THEN stored ELSE 0 END) AS BIGINT),
	min(CASE WHEN stored > 0 THEN hour END), max(CASE WHEN stored > 0 THEN hour END), max(CASE WHEN stored > 0 THEN loaded_at END), CAST(sum(erased) AS BIGINT)
	FROM (SELECT event, table_name, hour, stored, rejected, loaded, repeats, conflicts, errors, 0 AS erased, loaded_at FROM arbalest.journal
	UNION ALL SELECT event, table_name, hour, 0, 0, 0, 0, 0, 0, erased, erased_at FROM arbalest.erased) AS counts GROUP BY event`

// An eventsReport is the names that there are.
type eventsReport struct {
	Events []eventLine `json:"events"` // by name
}

// Events implements operator. It reads the journal's sums, the commits that are
// not loaded, and landing. What moves meanwhile may be missed or counted twice.
func (e *engine) Events(ctx context.Context) (r eventsReport, err error) {
	for range verifications {
		before, err := e.warehouse.Progress(ctx)
		if err != nil {
			return r, err
		}
		if r, err = e.events(ctx, before, time.Now()); err != nil {
			return r, err
		}
		after, err := e.warehouse.Progress(ctx)
		if err != nil || reflect.DeepEqual(before, after) {
			return r, err
		}
	}
	return r, nil
}

func (e *engine) events(ctx context.Context, progress load.Progress, now time.Time) (r eventsReport, err error) {
	day := dayBefore(now)
	books, err := e.unloaded(ctx, progress, &statusReport{})
	if err != nil {
		return r, err
	}
	lines, err := e.journaled(ctx, day)
	if err != nil {
		return r, err
	}
	for p, b := range books {
		l := lines[p.Event]
		if l == nil {
			l = &eventLine{Event: p.Event}
			lines[p.Event] = l
		}
		l.add(b.booked)
		if b.Stored > 0 {
			l.see(p.Hour.Time(), b.Stored, day)
		}
	}
	for _, l := range lines {
		l.PerMinute = float64(l.LastDay) / (24 * 60)
		r.Events = append(r.Events, *l)
	}
	slices.SortFunc(r.Events, func(a, b eventLine) int { return cmp.Compare(a.Event, b.Event) })
	return r, nil
}

func dayBefore(now time.Time) time.Time { return now.UTC().Add(-24 * time.Hour) }

// journaled returns what the journal has of each name. LastDay is since day.
func (e *engine) journaled(ctx context.Context, day time.Time) (map[arbalest.EventName]*eventLine, error) {
	lines := map[arbalest.EventName]*eventLine{}
	err := e.database.Query(ctx, eventsSQL, func(v []any) error {
		name, _ := v[0].(string)
		l := &eventLine{Event: arbalest.EventName(name), First: warehouse.TimeOf(v[9]), Last: warehouse.TimeOf(v[10]), LoadedAt: warehouse.TimeOf(v[11])}
		l.Table, _ = v[1].(string)
		for i, to := range []*int64{&l.Stored, &l.Rejected, &l.Loaded, &l.Repeats, &l.Conflicts, &l.Errors, &l.LastDay} {
			*to, _ = v[2+i].(int64)
		}
		l.Erased, _ = v[12].(int64)
		l.settle()
		lines[l.Event] = l
		return nil
	}, day)
	return lines, journalError(err)
}

// journalError is an error of reading the journal: none where nothing was ever
// loaded, so that it is not there.
func journalError(err error) error {
	if err == nil || errors.Is(err, arbalest.ErrUnknown) {
		return nil
	}
	return fmt.Errorf("read the journal: %w", err)
}

// see counts events of an hour that are not loaded.
func (l *eventLine) see(hour time.Time, n int64, day time.Time) {
	if l.First == nil || hour.Before(*l.First) {
		l.First = &hour
	}
	if l.Last == nil || hour.After(*l.Last) {
		l.Last = &hour
	}
	if hour.After(day) {
		l.LastDay += n
	}
}

// An eventRequest says what is asked of one name.
type eventRequest struct {
	Event    arbalest.EventName `json:"event,omitempty"`
	Examples int                `json:"examples,omitempty"`
	Sample   int64              `json:"sample,omitempty"` // about so many events are read for the properties
}

// An eventReport is the events of one name, and what the newest of them have.
type eventReport struct {
	eventLine
	Sampled    int64             `json:"sampled"` // events that Properties are of, the newest
	Properties []propertyLine    `json:"properties"`
	Examples   []json.RawMessage `json:"examples"` // the newest, as they are stored
}

// A propertyLine is a property of the sampled events.
type propertyLine struct {
	foundProperty
	Share float64 `json:"share"` // of the events, from 0 to 1, that have it and not null
}

// Event implements operator. It reads so many of the newest events that are
// sorted as it is asked to, of sampledObjects objects at most, and lists their
// hours only.
func (e *engine) Event(ctx context.Context, r eventRequest) (eventReport, error) {
	all, err := e.Events(ctx)
	if err != nil {
		return eventReport{}, err
	}
	i := slices.IndexFunc(all.Events, func(l eventLine) bool { return l.Event == r.Event })
	if i < 0 || r.Event == "" {
		return eventReport{}, fmt.Errorf("%w: event %s: arbalest events lists the names", arbalest.ErrUnknown, r.Event)
	}
	report := eventReport{eventLine: all.Events[i], Properties: []propertyLine{}, Examples: []json.RawMessage{}}
	s, err := e.sample(ctx, report.eventLine, r)
	if err != nil {
		return eventReport{}, err
	}
	report.Sampled = s.Events()
	for _, p := range s.Properties() {
		report.Properties = append(report.Properties, propertyLine{foundOf(p, false), float64(p.Events) / float64(s.Events())})
	}
	for _, line := range s.newest {
		report.Examples = append(report.Examples, line)
	}
	return report, nil
}

// sample reads the newest events of a name, as a request has it.
func (e *engine) sample(ctx context.Context, l eventLine, r eventRequest) (*surveyed, error) {
	from, err := e.newestHours(ctx, l, max(r.Sample, int64(r.Examples)))
	if err != nil {
		return nil, err
	}
	s := &surveyed{objects: sampledObjects, keep: r.Examples}
	return s, s.read(ctx, e.lake, e.store, l.Event, from, r.Sample)
}

// sampledObjects is how many objects of a name are read, and hours listed, for
// its properties: on S3 each costs money and time.
const sampledObjects = 100

// newestHours returns from which hour on the journal has so many events, or has
// as many hours as are looked at; the first hour, where it has not so many.
func (e *engine) newestHours(ctx context.Context, l eventLine, events int64) (from time.Time, err error) {
	hours, sum := 0, int64(0)
	query := fmt.Sprintf(`SELECT hour, CAST(sum(stored) AS BIGINT) FROM arbalest.journal WHERE event = $1 AND stored > 0 GROUP BY hour ORDER BY hour DESC LIMIT %d`, sampledObjects)
	err = e.database.Query(ctx, query, func(v []any) error {
		if hour := warehouse.TimeOf(v[0]); sum < events && hour != nil {
			from = *hour
		}
		n, _ := v[1].(int64)
		hours, sum = hours+1, sum+n
		return nil
	}, string(l.Event))
	if err := journalError(err); err != nil {
		return from, err
	}
	if sum < events && hours < sampledObjects && l.First != nil {
		from = *l.First
	}
	return from, nil
}
