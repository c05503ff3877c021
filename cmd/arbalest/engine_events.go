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
)

// An eventLine is the events of one name. Its figures are the books': Received =
// Stored + Rejected, and Stored = Loaded + Repeats + Errors + NotLoaded.
type eventLine struct {
	Event     arbalest.EventName `json:"event"`
	Table     string             `json:"table,omitempty"` // none if nothing was loaded yet
	Received  int64              `json:"received"`
	Rejected  int64              `json:"rejected"`
	Stored    int64              `json:"stored"`
	Loaded    int64              `json:"loaded"`
	Repeats   int64              `json:"repeats"`
	Conflicts int64              `json:"conflicts"` // among the repeats
	Errors    int64              `json:"errors"`
	NotLoaded int64              `json:"not_loaded"`
	LastDay   int64              `json:"last_day"`              // stored, with a time in the last 24 hours
	PerMinute float64            `json:"per_minute"`            // in the last 24 hours
	First     *time.Time         `json:"first,omitempty"`       // the hour of the earliest event
	Last      *time.Time         `json:"last,omitempty"`        // the hour of the latest one
	LoadedAt  *time.Time         `json:"last_loaded,omitempty"` // when the newest load was
}

// eventsSQL sums the journal by event, and nothing but sums leaves the warehouse.
const eventsSQL = `SELECT event, max(table_name), CAST(sum(stored) AS BIGINT), CAST(sum(rejected) AS BIGINT), CAST(sum(loaded) AS BIGINT), CAST(sum(repeats) AS BIGINT),
	CAST(sum(conflicts) AS BIGINT), CAST(sum(errors) AS BIGINT), CAST(sum(CASE WHEN hour > $1 THEN stored ELSE 0 END) AS BIGINT),
	min(CASE WHEN stored > 0 THEN hour END), max(CASE WHEN stored > 0 THEN hour END), max(loaded_at) FROM arbalest.journal GROUP BY event`

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
	day := now.UTC().Add(-24 * time.Hour)
	books, err := e.unloaded(ctx, progress, &statusReport{})
	if err != nil {
		return r, err
	}
	lines := map[arbalest.EventName]*eventLine{}
	err = e.database.Query(ctx, eventsSQL, func(v []any) error {
		name, _ := v[0].(string)
		l := &eventLine{Event: arbalest.EventName(name)}
		l.Table, _ = v[1].(string)
		for i, to := range []*int64{&l.Stored, &l.Rejected, &l.Loaded, &l.Repeats, &l.Conflicts, &l.Errors, &l.LastDay} {
			*to, _ = v[2+i].(int64)
		}
		l.First, l.Last, l.LoadedAt = timeIn(v[9]), timeIn(v[10]), timeIn(v[11])
		lines[l.Event] = l
		return nil
	}, day)
	if err != nil && !errors.Is(err, arbalest.ErrUnknown) { // nothing was ever loaded
		return r, fmt.Errorf("read arbalest.journal: %w", err)
	}
	for p, b := range books {
		l := lines[p.Event]
		if l == nil {
			l = &eventLine{Event: p.Event}
			lines[p.Event] = l
		}
		l.Stored += b.Stored
		l.Rejected += b.Rejected
		if b.Stored > 0 {
			l.see(p.Hour.Time(), b.Stored, day)
		}
	}
	for _, l := range lines {
		l.Received = l.Stored + l.Rejected
		l.NotLoaded = l.Stored - l.Loaded - l.Repeats - l.Errors
		l.PerMinute = float64(l.LastDay) / (24 * 60)
		r.Events = append(r.Events, *l)
	}
	slices.SortFunc(r.Events, func(a, b eventLine) int { return cmp.Compare(a.Event, b.Event) })
	return r, nil
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

// timeIn returns a time of a result, nil for NULL.
func timeIn(v any) *time.Time {
	if t, ok := v.(time.Time); ok {
		return &t
	}
	return nil
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
	from, err := e.newestHours(ctx, report.eventLine, max(r.Sample, int64(r.Examples)))
	if err != nil {
		return eventReport{}, err
	}
	s := &surveyed{objects: sampledObjects, keep: r.Examples}
	if err := s.read(ctx, e.lake, e.store, r.Event, from, r.Sample); err != nil {
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

// sampledObjects is how many objects of a name are read, and hours listed, for
// its properties: on S3 each costs money and time.
const sampledObjects = 100

// newestHours returns from which hour on the journal has so many events, or has
// as many hours as are looked at; the first hour, where it has not so many.
func (e *engine) newestHours(ctx context.Context, l eventLine, events int64) (from time.Time, err error) {
	hours, sum := 0, int64(0)
	query := fmt.Sprintf(`SELECT hour, CAST(sum(stored) AS BIGINT) FROM arbalest.journal WHERE event = $1 AND stored > 0 GROUP BY hour ORDER BY hour DESC LIMIT %d`, sampledObjects)
	err = e.database.Query(ctx, query, func(v []any) error {
		if hour := timeIn(v[0]); sum < events && hour != nil {
			from = *hour
		}
		n, _ := v[1].(int64)
		hours, sum = hours+1, sum+n
		return nil
	}, string(l.Event))
	if err != nil && !errors.Is(err, arbalest.ErrUnknown) {
		return from, fmt.Errorf("read arbalest.journal: %w", err)
	}
	if sum < events && hours < sampledObjects && l.First != nil {
		from = *l.First
	}
	return from, nil
}
