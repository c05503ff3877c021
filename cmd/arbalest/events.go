package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"arbalest"
)

func newEvents() *cobra.Command {
	var format string
	r := eventRequest{Examples: 5, Sample: 10_000}
	cmd := &cobra.Command{
		Use:   "events [NAME] --data DIR",
		Short: "Which events there are, and what they have",
		Long: `Lists the names of events, each with its figures in the books, how many have a
time in the last 24 hours, and the hours of its earliest and latest event. Of one
name it shows what properties its newest events have, and the newest events, of
those that are sorted, from 100 objects at most. As csv it gives the properties,
as ndjson the events.`,
		Example: "  arbalest events --data DIR\n  arbalest events user.created --data DIR --examples 1\n  arbalest events user.created --data DIR --format ndjson --examples 100",
		Args:    atMostOne("one event's name"),
	}
	p := placeFlags(cmd)
	formatFlag(cmd, &format)
	cmd.Flags().IntVar(&r.Examples, "examples", r.Examples, "of one name: so many events")
	cmd.Flags().Int64Var(&r.Sample, "sample", r.Sample, "of one name: read about so many events for the properties")
	cmd.ValidArgsFunction = p.names("SELECT DISTINCT event FROM arbalest.tables ORDER BY 1")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if r.Examples < 0 || r.Sample < 1 {
			return usage("--examples and --sample want numbers of events")
		}
		return p.show(cmd, format, func(ctx context.Context, op operator) (shown, error) {
			if len(args) == 0 {
				return op.Events(ctx)
			}
			r.Event = arbalest.EventName(args[0])
			return op.Event(ctx, r)
		})
	}
	return cmd
}

// atMostOne lets an argument be left out.
func atMostOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usage("want %s, or none: run %s --help", what, cmd.CommandPath())
		}
		return nil
	}
}

func (r eventsReport) print(out io.Writer, format string) error {
	if format != "table" {
		l := newListing("event", "table", "received", "rejected", "stored", "loaded", "repeats", "conflicts", "errors", "not_loaded", "last_day", "per_minute", "first", "last", "last_loaded")
		for _, e := range r.Events {
			l.add(e.Event, e.Table, e.Received, e.Rejected, e.Stored, e.Loaded, e.Repeats, e.Conflicts, e.Errors, e.NotLoaded, e.LastDay, e.PerMinute, e.First, e.Last, e.LoadedAt)
		}
		return l.print(out, format)
	}
	if len(r.Events) == 0 {
		return say(out, "%s\n", noEvents)
	}
	t := newTable("event", "stored", "rejected", "not loaded", "last 24 h", "a minute", "first", "last", "loaded")
	t.right(2, 6)
	for _, e := range r.Events {
		t.AppendRow(table.Row{nameShown(e.Event), thousands(e.Stored), thousands(e.Rejected), thousands(e.NotLoaded), thousands(e.LastDay), rate(e.PerMinute), hourShown(e.First), hourShown(e.Last), ago(e.LoadedAt)})
	}
	return say(out, "%s\n", t.Render())
}

// noEvents says how to get some.
const noEvents = `no events yet: post one with
  curl -d '{"event":"user.created","data":{"email_address":"jane@doe.com"}}' http://127.0.0.1:8080/v1/events`

func nameShown(event arbalest.EventName) string {
	if event == "" {
		return "(no valid name)"
	}
	return string(event)
}

func rate(perMinute float64) string {
	if perMinute == 0 {
		return ""
	}
	return strconv.FormatFloat(perMinute, 'g', 3, 64)
}

// hourShown shows an hour to people, in UTC.
func hourShown(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format("2006-01-02 15h")
}

func (r eventReport) print(out io.Writer, format string) error {
	switch format {
	case "json":
		return json.NewEncoder(out).Encode(r)
	case "ndjson":
		for _, e := range r.Examples {
			if err := say(out, "%s\n", e); err != nil {
				return err
			}
		}
		return nil
	case "csv":
		l := newListing("column", "path", "type", "share", "events", "nulls", "examples")
		for _, p := range r.Properties {
			l.add(p.Name, strings.Join(p.Path, "."), p.Type, p.Share, p.Events, p.Nulls, examplesShown(p))
		}
		return l.print(out, format)
	}
	err := say(out, "%s: %s stored, %s rejected, %s not loaded, %s in the last 24 h; of %s to %s; table %s\n", r.Event, thousands(r.Stored), thousands(r.Rejected), thousands(r.NotLoaded), thousands(r.LastDay), hourShown(r.First), hourShown(r.Last), cmp.Or(r.Table, "(none yet)"))
	if err != nil {
		return err
	}
	if r.Sampled == 0 {
		return say(out, "None of its events is sorted yet: run arbalest sync, or wait for serve.\n")
	}
	t := newTable("property", "type", "share", "null", "examples")
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 5, WidthMax: 70, WidthMaxEnforcer: cutShort}})
	for _, p := range r.Properties {
		t.AppendRow(table.Row{strings.Join(p.Path, "."), p.Type, fmt.Sprintf("%.3g %%", 100*p.Share), thousands(p.Nulls), oneLine.Replace(examplesShown(p))})
	}
	if err := say(out, "%s\nof the newest %s\n", t.Render(), plural(r.Sampled, "event")); err != nil {
		return err
	}
	var parser arbalest.LineParser
	for _, e := range r.Examples {
		l, err := parser.Parse(append([]byte(e), '\n'))
		if err != nil {
			return err
		}
		if err := say(out, "\n%s  %s\n  {%s\n", time.UnixMicro(l.Time).UTC().Format(time.DateTime), oneLine.Replace(l.UnquoteID()), oneLine.Replace(strings.TrimSpace(string(l.Rest)))); err != nil {
			return err
		}
	}
	return nil
}

func examplesShown(p propertyLine) string {
	var out []string
	for _, e := range p.Examples {
		out = append(out, string(e))
	}
	return strings.Join(out, ", ")
}
