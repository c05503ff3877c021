package main

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"arbalest/pipeline"
)

// runStates are what --state takes.
var runStates = []string{string(pipeline.Running), string(pipeline.Done), string(pipeline.Failed)}

func newRuns() *cobra.Command {
	var format, state, from string
	f := pipeline.Filter{Limit: 50}
	cmd := &cobra.Command{
		Use:   "runs [RUN] --data DIR",
		Short: "Runs of pipelines, and the steps of one",
		Long: `Lists runs of pipelines, the newest first. Of one run it shows the steps; what a
step's copies left out is in arbalest.copy_errors.`,
		Example: "  arbalest runs --data DIR --state failed --from 7d\n  arbalest runs 01KB3Z0V5R9G0C4YF6T8W2N7QX --data DIR",
		Args:    atMostOne("one run"),
	}
	p := placeFlags(cmd)
	formatFlag(cmd, &format)
	cmd.Flags().StringVar(&f.Pipeline, "pipeline", "", "of this pipeline")
	cmd.Flags().StringVar(&state, "state", "", "running, done or failed")
	cmd.Flags().StringVar(&from, "from", "", "that began then or later: a time, a date, or how long ago: 24h, 7d")
	cmd.Flags().IntVar(&f.Limit, "limit", f.Limit, "so many; 0 for all")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(runStates, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("pipeline", func(cmd *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return p.names("SELECT DISTINCT pipeline FROM arbalest.runs ORDER BY 1")(cmd, nil, typed)
	})
	cmd.ValidArgsFunction = p.names("SELECT run_id FROM arbalest.runs ORDER BY started_at DESC LIMIT 50")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if f.State = pipeline.State(state); state != "" && !slices.Contains(runStates, state) {
			return usage("--state %s: want running, done or failed", state)
		}
		var err error
		if f.From, err = when(from, time.Now()); err != nil {
			return usage("--from %v", err)
		}
		if len(args) > 0 {
			f.Run = args[0]
		}
		return p.show(cmd, format, func(ctx context.Context, op operator) (shown, error) { return op.Runs(ctx, f) })
	}
	return cmd
}

func (r runsReport) print(out io.Writer, format string) error {
	if r.Steps != nil {
		return r.printSteps(out, format)
	}
	if format != "table" {
		l := newListing("pipeline", "run", "key", "state", "started", "finished", "rows", "errors", "message")
		for _, x := range r.Runs {
			l.add(x.Pipeline, x.Run, x.Key, x.State, x.Started, x.Finished, x.Rows, x.Errors, x.Message)
		}
		return l.print(out, format)
	}
	if len(r.Runs) == 0 {
		return say(out, "no runs that this asks for: arbalest run PIPELINE makes some\n")
	}
	t := newTable("pipeline", "run", "key", "state", "started", "took", "rows", "errors", "why")
	t.SetColumnConfigs([]table.ColumnConfig{rightColumn(6), rightColumn(7), rightColumn(8), {Number: 9, WidthMax: 60, WidthMaxEnforcer: cutShort}})
	for _, x := range r.Runs {
		t.AppendRow(table.Row{x.Pipeline, x.Run, x.Key, x.State, stamp(&x.Started), tookShown(&x.Started, x.Finished), thousands(x.Rows), thousands(x.Errors), oneLine.Replace(x.Message)})
	}
	return say(out, "%s\n", t.Render())
}

func (r runsReport) printSteps(out io.Writer, format string) error {
	switch format {
	case "json":
		return json.NewEncoder(out).Encode(r)
	case "csv", "ndjson":
		l := newListing("step", "name", "state", "attempts", "started", "finished", "objects", "rows", "errors", "message")
		for _, s := range r.Steps {
			l.add(s.Step, s.Name, s.State, s.Attempts, s.Started, s.Finished, s.Objects, s.Rows, s.Errors, s.Message)
		}
		return l.print(out, format)
	}
	if err := (runsReport{Runs: r.Runs}).print(out, format); err != nil {
		return err
	}
	t := newTable("step", "name", "state", "attempts", "took", "objects", "rows", "errors", "why")
	t.SetColumnConfigs([]table.ColumnConfig{rightColumn(1), {Number: 2, WidthMax: 60, WidthMaxEnforcer: cutShort}, rightColumn(4), rightColumn(5), rightColumn(6), rightColumn(7), rightColumn(8), {Number: 9, WidthMax: 60, WidthMaxEnforcer: cutShort}})
	why := ""
	for _, s := range r.Steps {
		t.AppendRow(table.Row{s.Step, oneLine.Replace(s.Name), s.State, s.Attempts, tookShown(s.Started, s.Finished), thousands(s.Objects), thousands(s.Rows), thousands(s.Errors), oneLine.Replace(s.Message)})
		why = cmp.Or(why, s.Message)
	}
	if err := say(out, "%s\n", t.Render()); err != nil || why == "" {
		return err
	}
	return say(out, "%s\n", why)
}

func tookShown(from, to *time.Time) string {
	if from == nil || to == nil {
		return ""
	}
	return to.Sub(*from).Round(100 * time.Millisecond).String()
}
