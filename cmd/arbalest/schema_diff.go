package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/lake"
	"arbalest/internal/policy"
)

func newSchemaDiff() *cobra.Command {
	var asJSON bool
	since, most := "7d", int64(100_000)
	cmd := &cobra.Command{
		Use:   "diff [EVENT…] --data DIR",
		Short: "Say where events and their definitions differ",
		Long: `For each definition: properties that events have and it lacks; columns and required
properties that no event has; values that were refused or taken out at the door, and
values that did not fit their column when they were loaded.`,
		Args: cobra.ArbitraryArgs,
	}
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	cmd.Flags().StringVar(&since, "since", since, "look at events of that time or later: a time, a date, or how long ago: 24h, 7d")
	cmd.Flags().Int64Var(&most, "events", most, "read about so many events of each name, the newest")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		from, err := when(since, time.Now())
		if err != nil {
			return usage("--since %v", err)
		}
		r, err := p.diff(cmd.Context(), args, from, most)
		if err != nil {
			return err
		}
		return r.print(cmd.OutOrStdout(), asJSON)
	}
	return cmd
}

// A diffReport is where events and definitions differ.
type diffReport struct {
	Since  time.Time   `json:"since"`
	Events []eventDiff `json:"events"`
}

// An eventDiff is where an event's events differ from its definition.
type eventDiff struct {
	Event   arbalest.EventName `json:"event"`
	Events  int64              `json:"events"`            // that were looked at
	Unknown []foundProperty    `json:"unknown,omitempty"` // that the definition lacks
	Absent  []string           `json:"absent,omitempty"`  // that no event has
	// Refused are events that were rejected by the definition.
	Refused    []misfits `json:"refused,omitempty"`
	Discarded  []discard `json:"discarded,omitempty"`
	LoadErrors []misfits `json:"load_errors,omitempty"`
}

// A misfits is what did not fit, for one reason or column.
type misfits struct {
	Column  string `json:"column,omitempty"`
	Reason  string `json:"reason"`
	Count   int64  `json:"count"`
	Example string `json:"example,omitempty"`
}

// diff compares events with their definitions: all of them if none is named.
func (p *place) diff(ctx context.Context, events []string, since time.Time, most int64) (diffReport, error) {
	r := diffReport{Since: since.UTC(), Events: []eventDiff{}}
	if err := p.resolve(true); err != nil {
		return r, err
	}
	c, err := p.read()
	if err != nil {
		return r, err
	}
	for _, event := range events {
		if _, ok := c.Events[event]; !ok {
			return r, fmt.Errorf("%w: event %s has no definition: draft one with arbalest schema infer %s", arbalest.ErrUnknown, event, event)
		}
	}
	if len(events) == 0 {
		events = slices.Sorted(maps.Keys(c.Events))
	}
	if len(events) == 0 {
		return r, fmt.Errorf("%w: no event has a definition: draft one with arbalest schema infer EVENT", arbalest.ErrUnknown)
	}
	op, err := p.operate(ctx)
	if err != nil {
		return r, err
	}
	defer op.Close()
	l, store, closeStore, err := openLake(ctx, *p, c)
	if err != nil {
		return r, err
	}
	defer closeStore() //nolint:errcheck // it was read only
	refused, err := refusals(ctx, l, since)
	if err != nil {
		return r, err
	}
	for _, event := range events {
		d, err := c.definition(event)
		if err != nil {
			return r, err
		}
		s, err := readEvents(ctx, l, store, d.Event, since, most)
		if err != nil {
			return r, err
		}
		one := differ(d, s)
		one.Refused = refused[d.Event]
		if one.LoadErrors, err = loadErrors(ctx, op, d, since); err != nil {
			return r, err
		}
		r.Events = append(r.Events, one)
	}
	return r, nil
}

// differ compares a definition with what was read.
func differ(d policy.Definition, s *surveyed) eventDiff {
	diff := eventDiff{Event: d.Event, Events: s.Events(), Discarded: s.discarded}
	found := s.Properties()
	for _, p := range found {
		if !d.Names(p.Column.Path) {
			diff.Unknown = append(diff.Unknown, foundOf(p, false))
		}
	}
	for _, path := range d.Named() {
		there := false
		for _, p := range found {
			n := min(len(path), len(p.Column.Path))
			there = there || p.Events > 0 && slices.Equal(path[:n], p.Column.Path[:n]) && (n == len(path) || p.Column.Type.Kind == arbalest.JSON)
		}
		if !there {
			diff.Absent = append(diff.Absent, strings.Join(path, "."))
		}
	}
	return diff
}

// refusals returns the events that definitions refused, by reason.
func refusals(ctx context.Context, l *lake.Lake, since time.Time) (map[arbalest.EventName][]misfits, error) {
	all := map[arbalest.EventName][]misfits{}
	for k, err := range l.Rejections(ctx, lake.Span{From: since}) {
		if err != nil {
			return nil, err
		}
		if code := capture.Code(k.Code); k.Err != nil || code != capture.BadSchema && code != capture.Discarded {
			continue
		}
		list := all[k.Event]
		i := slices.IndexFunc(list, func(m misfits) bool { return m.Reason == k.Reason })
		if i < 0 && len(list) == 100 {
			continue
		}
		if i < 0 {
			i = len(list)
			list = append(list, misfits{Reason: k.Reason, Example: cell(string(k.Body))})
		}
		list[i].Count++
		all[k.Event] = list
	}
	return all, nil
}

// cell cuts a text short.
func cell(s string) string {
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return s
}

// loadErrors returns the values that did not fit their column, by column.
func loadErrors(ctx context.Context, op operator, d policy.Definition, since time.Time) ([]misfits, error) {
	name := d.Table
	if name == "" {
		name = d.Event.Table()
	}
	var rows rowList
	sql := fmt.Sprintf(`SELECT coalesce(column_name, ''), count(*), min(reason), min(value) FROM arbalest.load_errors
WHERE table_name = '%s' AND loaded_at >= TIMESTAMP '%s' GROUP BY 1 ORDER BY 2 DESC, 1`, name, since.UTC().Format("2006-01-02 15:04:05"))
	if err := op.Query(ctx, sql, &rows); err != nil {
		return nil, fmt.Errorf("read load errors: %w", err)
	}
	var out []misfits
	for _, row := range rows {
		m := misfits{Column: row[0], Reason: cell(row[2]), Example: cell(row[3])}
		_, _ = fmt.Sscan(row[1], &m.Count) // a count is a number
		out = append(out, m)
	}
	return out, nil
}

func (r diffReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	for _, e := range r.Events {
		fmt.Fprintf(out, "%s: %s since %s\n", e.Event, plural(e.Events, "event"), r.Since.Format(time.DateTime))
		t := newTable("", "what", "events", "share", "example")
		t.right(3, 4)
		for _, p := range e.Unknown {
			example := ""
			if len(p.Examples) > 0 {
				example = string(p.Examples[0])
			}
			t.AppendRow(table.Row{"not in the definition", strings.TrimSpace(strings.Join(p.Path, ".") + " " + p.Type), thousands(p.Events + p.Nulls), percent(p.Events+p.Nulls, e.Events), cell(example)})
		}
		for _, path := range e.Absent {
			t.AppendRow(table.Row{"in no event", path, "0", "0 %", ""})
		}
		for _, m := range e.Refused {
			t.AppendRow(table.Row{"refused", m.Reason, thousands(m.Count), "", oneLine.Replace(cell(m.Example))})
		}
		for _, d := range e.Discarded {
			t.AppendRow(table.Row{"taken out", strings.Join(d.Path, ".") + ": " + d.Reason, thousands(d.Events), percent(d.Events, e.Events), oneLine.Replace(cell(string(d.Example)))})
		}
		for _, m := range e.LoadErrors {
			t.AppendRow(table.Row{"load error", strings.TrimPrefix(m.Column+": "+m.Reason, ": "), thousands(m.Count), "", oneLine.Replace(m.Example)})
		}
		text := "  No difference."
		if t.Length() > 0 {
			text = t.Render()
		}
		if _, err := fmt.Fprintln(out, text); err != nil {
			return err
		}
	}
	return nil
}
