package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"arbalest/pipeline"
)

func newStatus() *cobra.Command {
	var asJSON, hours bool
	cmd := &cobra.Command{
		Use:   "status --data DIR",
		Short: "How everything stands, with the books",
		Long: `Shows, for each event, what was received, and what became of it:
received = stored + rejected, and
stored = loaded + repeats + load errors + not loaded yet.`,
		Args: noArgs,
	}
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, by event and hour")
	cmd.Flags().BoolVar(&hours, "hours", false, "the books by event and hour")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		op, err := p.operate(cmd.Context())
		if err != nil {
			return err
		}
		defer op.Close()
		r, err := op.Status(cmd.Context())
		if err != nil {
			return err
		}
		if asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
		}
		return printStatus(cmd.OutOrStdout(), r, hours)
	}
	return cmd
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
	if len(r.Books) == 0 {
		_, err := fmt.Fprintln(out, `no events yet: post one with
  curl -d '{"event":"user.created","data":{"email_address":"jane@doe.com"}}' http://127.0.0.1:8080/v1/events`)
		return err
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
		configs = append(configs, table.ColumnConfig{Number: i, Align: text.AlignRight, AlignHeader: text.AlignRight, AlignFooter: text.AlignRight})
	}
	t.SetColumnConfigs(configs)
}

func runsTable(runs []pipeline.RunLine) string {
	t := newTable("pipeline", "run", "state", "started", "took", "rows", "errors", "why")
	t.right(5, 7)
	for _, r := range runs {
		took := ""
		if r.Finished != nil {
			took = r.Finished.Sub(r.Started).Round(100 * time.Millisecond).String()
		}
		why := r.Message
		if len(why) > 60 {
			why = why[:60] + "…"
		}
		t.AppendRow(table.Row{r.Pipeline, r.Key, r.State, r.Started.Format(time.DateTime), took, thousands(r.Rows), thousands(r.Errors), why})
	}
	return t.Render()
}

func booksTable(lines []bookLine, hours bool) string {
	header := table.Row{"event"}
	if hours {
		header = append(header, "hour")
	}
	t := newTable(append(header, "received", "rejected", "stored", "loaded", "repeats", "conflicts", "errors", "not loaded")...)
	t.right(len(header)+1, len(header)+8)
	var sum bookLine
	for _, b := range lines {
		name := string(b.Event)
		if name == "" {
			name = "(no valid name)"
		}
		row := table.Row{name}
		if hours {
			row = append(row, b.Hour)
		}
		t.AppendRow(append(row, b.figures()...))
		sum.add(b)
	}
	footer := table.Row{"all"}
	if hours {
		footer = append(footer, "")
	}
	t.AppendFooter(append(footer, sum.figures()...))
	return t.Render()
}

func (b bookLine) figures() table.Row {
	var row table.Row
	for _, n := range []int64{b.Received, b.Rejected, b.Stored, b.Loaded, b.Repeats, b.Conflicts, b.Errors, b.NotLoaded} {
		row = append(row, thousands(n))
	}
	return row
}
