package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"arbalest/internal/model"
)

func newTest() *cobra.Command {
	var asJSON bool
	var r modelRequest
	cmd := &cobra.Command{
		Use:   "test [MODEL…] --data DIR",
		Short: "Run the tests of models",
		Long: `Runs the tests that models have in their headers, as they are built now: each is
a query that must give no rows. Exits 2 if one gives some, and shows examples.`,
		Example: "  arbalest test --data my-data\n  arbalest test daily_orders --data my-data",
	}
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "the result as a JSON line")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.Models = args
		return p.work(cmd, asJSON, func(ctx context.Context, op operator, _ func(progress)) (result, error) {
			return op.Test(ctx, r)
		})
	}
	return cmd
}

// A testReport is what the tests of models found.
type testReport struct {
	Tests []model.TestResult `json:"tests"`
	Error *remoteError       `json:"error,omitempty"`
}

func (r testReport) err() error {
	if r.Error == nil {
		return nil
	}
	return r.Error
}

func (r testReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	if len(r.Tests) == 0 {
		_, err := fmt.Fprintln(out, "The models have no tests: write some behind -- tests: in their headers.")
		return err
	}
	t := newTable("model", "test", "result", "seconds")
	t.right(4, 4)
	for _, r := range r.Tests {
		state := "passes"
		switch {
		case r.Error != "":
			state = "cannot be run"
		case r.Failures > 0:
			state = "fails: " + plural(r.Failures, "row")
		}
		t.AppendRow([]any{r.Model, r.Test, state, fmt.Sprintf("%.1f", r.Seconds)})
	}
	fmt.Fprintln(out, t.Render())
	for _, r := range r.Tests {
		if r.Failures == 0 {
			continue
		}
		fmt.Fprintf(out, "\n%s, %s: %d of %s:\n", r.Model, r.Test, len(r.Examples), plural(r.Failures, "row"))
		columns := make([]any, len(r.Columns))
		for i, c := range r.Columns {
			columns[i] = c
		}
		examples := newTable(columns...)
		for _, row := range r.Examples {
			cells := make([]any, len(row))
			for i, cell := range row {
				cells[i] = cell
			}
			examples.AppendRow(cells)
		}
		fmt.Fprintln(out, examples.Render())
	}
	return nil
}
