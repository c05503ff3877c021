package main

import (
	"context"
	"encoding/json"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
)

func newTables() *cobra.Command {
	var format string
	r := tableRequest{Limit: 10}
	cmd := &cobra.Command{
		Use:   "tables [NAME] --data DIR",
		Short: "Which tables there are, how large and how fresh",
		Long: `Lists the tables and views of the warehouse: of events, of models, and others.
Errors are events that are not in their table, bad values those that are NULL in
it; arbalest.load_errors has each. Of one table, or event, it shows the columns,
the newest loads and the newest errors; as csv and ndjson these are the columns.`,
		Example: "  arbalest tables --data DIR\n  arbalest tables user_created --data DIR --limit 50",
		Args:    atMostOne("one table's name"),
	}
	p := placeFlags(cmd)
	formatFlag(cmd, &format)
	cmd.Flags().IntVar(&r.Limit, "limit", r.Limit, "of one table: so many loads and errors")
	cmd.ValidArgsFunction = p.names("SELECT table_name FROM information_schema.tables WHERE table_catalog = current_database() AND table_schema IN ('main', 'public') ORDER BY 1")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if r.Limit < 0 {
			return usage("--limit %d: want a number of loads", r.Limit)
		}
		return p.show(cmd, format, func(ctx context.Context, op operator) (shown, error) {
			if len(args) == 0 {
				return op.Tables(ctx)
			}
			r.Table = args[0]
			return op.Table(ctx, r)
		})
	}
	return cmd
}

func (r tablesReport) print(out io.Writer, format string) error {
	if format != "table" {
		l := newListing("table", "kind", "event", "rows", "columns", "bytes", "last", "last_loaded", "repeats", "conflicts", "errors", "bad_values", "stalled")
		for _, t := range r.Tables {
			l.add(t.Table, t.Kind, t.Event, t.Rows, t.Columns, t.Bytes, t.Last, t.LoadedAt, t.Repeats, t.Conflicts, t.Errors, t.BadValues, t.Stalled)
		}
		return l.print(out, format)
	}
	if len(r.Tables) == 0 {
		return say(out, "no tables yet: they are made as events are loaded\n")
	}
	t := newTable("table", "kind", "rows", "columns", "size", "latest event", "loaded", "errors", "bad values", "stalled")
	t.right(3, 5)
	t.SetColumnConfigs([]table.ColumnConfig{rightColumn(3), rightColumn(4), rightColumn(5), rightColumn(8), rightColumn(9), {Number: 10, WidthMax: 40, WidthMaxEnforcer: cutShort}})
	for _, l := range r.Tables {
		t.AppendRow(table.Row{l.Table, l.Kind, countShown(l.Rows), l.Columns, bytesShown(l.Bytes), hourShown(l.Last), ago(l.LoadedAt), thousands(l.Errors), thousands(l.BadValues), oneLine.Replace(l.Stalled)})
	}
	return say(out, "%s\n", t.Render())
}

func countShown(n *int64) string {
	if n == nil {
		return ""
	}
	return thousands(*n)
}

func (r tableReport) print(out io.Writer, format string) error {
	switch format {
	case "json":
		return json.NewEncoder(out).Encode(r)
	case "csv", "ndjson":
		l := newListing("column", "type")
		for _, c := range r.List {
			l.add(c.Name, c.Type)
		}
		return l.print(out, format)
	}
	if err := (tablesReport{[]tableLine{r.tableLine}}).print(out, format); err != nil {
		return err
	}
	t := newTable("column", "type")
	for _, c := range r.List {
		t.AppendRow(table.Row{c.Name, c.Type})
	}
	if err := say(out, "%s\n", t.Render()); err != nil || r.Kind != "event" {
		return err
	}
	t = newTable("loaded", "commit", "hour", "stored", "loaded", "repeats", "conflicts", "errors")
	t.right(4, 8)
	for _, l := range r.Loads {
		t.AppendRow(table.Row{stamp(l.LoadedAt), l.Commit, hourShown(l.Hour), thousands(l.Stored), thousands(l.Loaded), thousands(l.Repeats), thousands(l.Conflicts), thousands(l.Errors)})
	}
	if err := say(out, "the newest loads:\n%s\n", t.Render()); err != nil || len(r.Faults) == 0 {
		return err
	}
	t = newTable("loaded", "event", "column", "value", "reason", "object", "line", "in the table")
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 2, WidthMax: 40, WidthMaxEnforcer: cutShort}, {Number: 4, WidthMax: 30, WidthMaxEnforcer: cutShort}, {Number: 5, WidthMax: 50, WidthMaxEnforcer: cutShort}})
	for _, f := range r.Faults {
		t.AppendRow(table.Row{stamp(f.LoadedAt), oneLine.Replace(f.ID), f.Column, oneLine.Replace(f.Value), oneLine.Replace(f.Reason), f.Object, f.Line, map[bool]string{true: "yes, as NULL", false: "no"}[f.Loaded]})
	}
	return say(out, "the newest errors:\n%s\n", t.Render())
}
