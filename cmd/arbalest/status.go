package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"arbalest/internal/model"
	"arbalest/pipeline"
)

func newStatus() *cobra.Command {
	var hours, asJSON bool
	var format string
	cmd := &cobra.Command{
		Use:   "status --data DIR",
		Short: "How everything stands, with the books",
		Long: `Shows, for each event, what was received, and what became of it:
received = stored + rejected, and
stored = loaded + repeats + load errors + not loaded yet + erased.
Before that come the last runs of pipelines, and the models with their last build
and the tests that failed when arbalest test ran last. As json that is all of it,
by event and hour; as csv and ndjson it is the books.`,
		Example: "  arbalest status --data DIR\n  arbalest status --data DIR --hours --format csv",
		Args:    noArgs,
	}
	p := placeFlags(cmd)
	formatFlag(cmd, &format)
	cmd.Flags().BoolVar(&asJSON, "json", false, "as --format json")
	cmd.Flags().BoolVar(&hours, "hours", false, "the books by event and hour")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if asJSON {
			format = "json"
		}
		return p.show(cmd, format, func(ctx context.Context, op operator) (shown, error) {
			r, err := op.Status(ctx)
			return shownStatus{r, hours}, err
		})
	}
	return cmd
}

// A shownStatus is a report as it is printed.
type shownStatus struct {
	statusReport
	hours bool
}

func (r shownStatus) print(out io.Writer, format string) error {
	switch format {
	case "json":
		return json.NewEncoder(out).Encode(r.statusReport)
	case "table":
		return printStatus(out, r.statusReport, r.hours)
	}
	lines := r.Books
	if !r.hours {
		lines = byEvent(lines)
	}
	columns := []string{"event", "hour", "received", "rejected", "stored", "loaded", "repeats", "conflicts", "errors", "not_loaded", "erased"}
	if !r.hours {
		columns = slices.Delete(columns, 1, 2)
	}
	l := newListing(columns...)
	for _, b := range lines {
		if !r.hours {
			l.add(b.Event, b.Received, b.Rejected, b.Stored, b.Loaded, b.Repeats, b.Conflicts, b.Errors, b.NotLoaded, b.Erased)
			continue
		}
		l.add(b.Event, b.Hour, b.Received, b.Rejected, b.Stored, b.Loaded, b.Repeats, b.Conflicts, b.Errors, b.NotLoaded, b.Erased)
	}
	return l.print(out, format)
}

func printStatus(out io.Writer, r statusReport, hours bool) error {
	running := "no serve is running"
	if r.Serve != "" {
		running = "serve is capturing at " + r.Serve
	}
	fmt.Fprintf(out, "%s: %s\n", r.Data, running)
	if r.Where != "" {
		fmt.Fprintln(out, r.Where)
	}
	newest := ""
	if r.Newest != nil {
		newest = fmt.Sprintf(" (%s ago)", time.Since(*r.Newest).Round(time.Second))
	}
	fmt.Fprintf(out, "log: commit %d%s, loaded up to %d; landing: %s\n", r.Commit, newest, r.Loaded, plural(int64(r.Landing), "segment"))
	for name, s := range r.Stalled {
		fmt.Fprintf(out, "stalled: table %s at commit %d since %s: %s\n", name, s.Commit, s.Since.Format(time.RFC3339), s.Reason)
	}
	if len(r.Runs) > 0 {
		fmt.Fprintln(out, runsTable(r.Runs))
	}
	if len(r.Models) > 0 {
		fmt.Fprintln(out, modelsTable(r.Models))
	}
	if len(r.Books) == 0 {
		return say(out, "%s\n", noEvents)
	}
	lines := r.Books
	if !hours {
		lines = byEvent(lines)
	}
	fmt.Fprintln(out, booksTable(lines, hours))
	if !r.Balanced {
		_, err := fmt.Fprintln(out, "The books do not balance: run arbalest verify.")
		return err
	}
	return nil
}

// A lined is a table that is drawn with lines.
type lined struct{ table.Writer }

// newTable returns a table with a header.
func newTable(header ...any) lined {
	t := table.NewWriter()
	style := table.StyleRounded
	style.Format.Header, style.Format.Footer = text.FormatDefault, text.FormatDefault
	t.SetStyle(style)
	t.AppendHeader(header)
	return lined{t}
}

// right aligns the columns from first to last, from 1, as numbers are.
func (t lined) right(first, last int) {
	var configs []table.ColumnConfig
	for i := first; i <= last; i++ {
		configs = append(configs, rightColumn(i))
	}
	t.SetColumnConfigs(configs)
}

// rightColumn is a column, from 1, as numbers are.
func rightColumn(n int) table.ColumnConfig {
	return table.ColumnConfig{Number: n, Align: text.AlignRight, AlignHeader: text.AlignRight, AlignFooter: text.AlignRight}
}

func runsTable(runs []pipeline.RunLine) string {
	t := newTable("pipeline", "run", "state", "started", "took", "rows", "errors", "why")
	t.SetColumnConfigs([]table.ColumnConfig{rightColumn(5), rightColumn(6), rightColumn(7), {Number: 8, WidthMax: 60, WidthMaxEnforcer: cutShort}})
	for _, r := range runs {
		t.AppendRow(table.Row{r.Pipeline, r.Key, r.State, r.Started.Format(time.DateTime), tookShown(&r.Started, r.Finished), thousands(r.Rows), thousands(r.Errors), oneLine.Replace(r.Message)})
	}
	return t.Render()
}

// modelsTable shows the last build of each model, and the tests that failed when
// they ran last.
func modelsTable(models []model.Standing) string {
	t := newTable("model", "materialized", "state", "rows", "built", "failing tests", "why")
	t.SetColumnConfigs([]table.ColumnConfig{rightColumn(4), {Number: 6, WidthMax: 60, WidthMaxEnforcer: cutShort}, {Number: 7, WidthMax: 60, WidthMaxEnforcer: cutShort}})
	for _, m := range models {
		rows := ""
		if m.State.Kind != model.View && !m.Built.IsZero() {
			rows = thousands(m.Rows)
		}
		var failing []string
		for _, f := range m.Failing {
			if f.Error != "" {
				failing = append(failing, f.Test+" cannot be run")
			} else {
				failing = append(failing, fmt.Sprintf("%s: %s", f.Test, plural(f.Failures, "row")))
			}
		}
		t.AppendRow(table.Row{m.Name, m.State.Kind, m.State.State, rows, stamp(&m.Built), strings.Join(failing, ", "), oneLine.Replace(m.Message)})
	}
	return t.Render()
}

func booksTable(lines []bookLine, hours bool) string {
	header := table.Row{"event"}
	if hours {
		header = append(header, "hour")
	}
	t := newTable(append(header, "received", "rejected", "stored", "loaded", "repeats", "conflicts", "errors", "not loaded", "erased")...)
	t.right(len(header)+1, len(header)+9)
	var sum booked
	for _, b := range lines {
		row := table.Row{nameShown(b.Event)}
		if hours {
			row = append(row, b.Hour)
		}
		t.AppendRow(append(row, b.figures()...))
		sum.add(b.booked)
	}
	footer := table.Row{"all"}
	if hours {
		footer = append(footer, "")
	}
	t.AppendFooter(append(footer, sum.figures()...))
	return t.Render()
}

func (b booked) figures() table.Row {
	var row table.Row
	for _, n := range []int64{b.Received, b.Rejected, b.Stored, b.Loaded, b.Repeats, b.Conflicts, b.Errors, b.NotLoaded, b.Erased} {
		row = append(row, thousands(n))
	}
	return row
}
