package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"arbalest/internal/model"
)

func newBuild() *cobra.Command {
	var asJSON, plan bool
	var r modelRequest
	cmd := &cobra.Command{
		Use:   "build [MODEL…] --data DIR",
		Short: "Build models: tables that SQL derives from others",
		Long: `Builds the models in DIR/models (doc/models.md), or those that are named, with all
that they need, in order. What is up to date is left as it is; an incremental
model makes again just the hours that were loaded since its last build.

Exits 0 when all are built; a model that fails holds up only those that need it,
and the exit code is that of its error (2 a wrong file or SQL, 3 no such table or column).`,
		Example: "  arbalest build --data my-data\n  arbalest build daily_orders --full --data my-data\n  arbalest build --plan --data my-data",
	}
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "progress and result as JSON lines")
	cmd.Flags().BoolVar(&r.Full, "full", false, "build in full what is incremental or up to date, too")
	cmd.Flags().IntVar(&r.Parallel, "parallel", modelsAtATime, "models to build at a time (DuckDB builds one)")
	cmd.Flags().BoolVar(&plan, "plan", false, "only say what would be built, and why")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.Models = args
		return p.work(cmd, asJSON, func(ctx context.Context, op operator, show func(progress)) (result, error) {
			if plan {
				return op.Models(ctx, r)
			}
			return op.Build(ctx, r, show)
		})
	}
	return cmd
}

// A buildReport is what became of models. Its error is in it, so that those that
// were built are shown too.
type buildReport struct {
	Models  []model.Result `json:"models"`
	Seconds float64        `json:"seconds"`
	Error   *remoteError   `json:"error,omitempty"`
}

func (r buildReport) err() error {
	if r.Error == nil {
		return nil
	}
	return r.Error
}

func (r buildReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	if len(r.Models) == 0 {
		_, err := fmt.Fprintln(out, "There are no models: write one as models/NAME.sql in the data directory.")
		return err
	}
	t := newTable("model", "state", "how", "hours", "rows", "seconds")
	t.right(4, 6)
	for _, m := range r.Models {
		t.AppendRow([]any{m.Model, m.State, m.How, thousands(int64(m.Hours)), thousands(m.Rows), fmt.Sprintf("%.1f", m.Seconds)})
	}
	fmt.Fprintln(out, t.Render())
	for _, m := range r.Models {
		if m.State == model.Skipped || m.State == model.Waiting {
			fmt.Fprintf(out, "%s: %s: %s\n", m.Model, m.State, m.Why)
		}
	}
	return nil
}

// line says in a few words what became of models; it is empty if nothing did.
func (r buildReport) line() string {
	var parts []string
	for _, state := range []string{model.Built, model.Failed, model.Skipped, model.Waiting} {
		var names []string
		for _, m := range r.Models {
			if m.State == state {
				names = append(names, m.Model)
			}
		}
		if len(names) > 0 {
			parts = append(parts, state+" "+strings.Join(names, ", "))
		}
	}
	return strings.Join(parts, "; ")
}
