package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func newSync() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "sync --data DIR",
		Short: "One pass: sort and load all that was accepted, build the models",
		Long: `Moves what was captured to its partitions and loads it into the warehouse.
Then builds the models that this touched.

Exits 0 when all that was accepted is in its table and no model failed.`,
		Args: noArgs,
	}
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "progress and result as JSON lines")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.work(cmd, asJSON, func(ctx context.Context, op operator, show func(progress)) (result, error) {
			r, err := op.Sync(ctx, show)
			if err != nil {
				return r, err
			}
			built, err := op.Build(ctx, modelRequest{}, show)
			return syncedReport{r, built}, err
		})
	}
	return cmd
}

// A syncedReport is what a sync did, with the models after it.
type syncedReport struct {
	syncReport
	Models buildReport `json:"models,omitzero"`
}

func (r syncedReport) err() error {
	if err := r.syncReport.err(); err != nil {
		return err
	}
	return r.Models.err()
}

func (r syncedReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	if err := printSync(out, r.syncReport, false); err != nil || r.Models.line() == "" {
		return err
	}
	_, err := fmt.Fprintf(out, "Models: %s.\n", r.Models.line())
	return err
}

func (r syncReport) print(out io.Writer, asJSON bool) error { return printSync(out, r, asJSON) }

// printSync says what a sync, an import or a rebuild did.
func printSync(out io.Writer, r syncReport, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	if r.Commits == 0 && len(r.Tables) == 0 {
		_, err := fmt.Fprintln(out, "Nothing new: every accepted event is in its table.")
		return err
	}
	fmt.Fprintf(out, "%s sorted in %s, %s loaded into %s in %.1f s", plural(r.Sorted, "event"), plural(int64(r.Commits), "commit"), plural(r.Loaded, "row"), plural(int64(len(r.Tables)), "table"), r.Seconds)
	for _, extra := range []struct {
		n    int64
		what string
	}{{r.Repeats, "repeats left out"}, {r.Conflicts, "of them conflicts (see arbalest.conflicts)"}, {r.Errors, "load errors (see arbalest.load_errors)"}, {r.Rejected, "rejected (see arbalest rejected list)"}} {
		if extra.n > 0 {
			fmt.Fprintf(out, ", %d %s", extra.n, extra.what)
		}
	}
	_, err := fmt.Fprintln(out, ".")
	return err
}

// plural returns "1 row", "2 rows".
func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return thousands(n) + " " + what + "s"
}
