package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"arbalest/pipeline"
)

func newValidate() *cobra.Command {
	var asJSON bool
	var r pipelineRequest
	cmd := &cobra.Command{
		Use:   "validate PIPELINE.yaml [--data DIR]",
		Short: "Check a pipeline and its data without effect",
		Long: `Does every step in one transaction that is rolled back: reads each object,
checks each value, loads none (NOLOAD in Redshift). Exits 0 if a run would
succeed. Pipelines that it requires are not validated with it.`,
		Args: exactly(1, "one pipeline file"),
	}
	p := pipelineFlags(cmd, &r, &asJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return workPipeline(cmd, p, &r, args[0], asJSON, func(ctx context.Context, op operator, show func(progress)) (result, error) {
			return op.Validate(ctx, r, show)
		})
	}
	return cmd
}

// A validateReport is what validating came to.
type validateReport struct {
	pipeline.Report
	Error *remoteError `json:"error,omitempty"`
}

func (r validateReport) err() error {
	if r.Error == nil {
		return nil
	}
	return r.Error
}

func (r validateReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	well := "would run"
	if r.Error != nil {
		well = "would fail"
	}
	_, err := fmt.Fprintf(out, "%s %s; nothing was changed.\n%s\n", r.Pipeline, well, stepsTable(r.Steps))
	return err
}
