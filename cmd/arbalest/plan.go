package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"arbalest/pipeline"
)

func newPlan() *cobra.Command {
	var asJSON, schema bool
	var r pipelineRequest
	cmd := &cobra.Command{
		Use:   "plan PIPELINE.yaml [--data DIR]",
		Short: "Say what a pipeline would do",
		Long: `Says for each step which objects it would copy, how many bytes they have, and
which statements it would run. Changes nothing.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if schema {
				return noArgs(cmd, args)
			}
			return exactly(1, "one pipeline file")(cmd, args)
		},
	}
	p := pipelineFlags(cmd, &r, &asJSON)
	cmd.Flags().BoolVar(&schema, "schema", false, "print the JSON Schema of pipeline files, for editors")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if schema {
			_, err := cmd.OutOrStdout().Write(pipeline.JSONSchema)
			return err
		}
		return workPipeline(cmd, p, &r, args[0], asJSON, func(ctx context.Context, op operator, _ func(progress)) (result, error) {
			return op.Plan(ctx, r)
		})
	}
	return cmd
}

// A planReport is what a pipeline would do.
type planReport struct {
	Pipeline string              `json:"pipeline"`
	Requires []string            `json:"requires,omitempty"`
	Steps    []pipeline.StepPlan `json:"steps"`
}

func (r planReport) err() error { return nil }

func (r planReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	fmt.Fprintf(out, "%s", r.Pipeline)
	if len(r.Requires) > 0 {
		fmt.Fprintf(out, ", after %s", strings.Join(r.Requires, ", "))
	}
	fmt.Fprintln(out)
	for i, s := range r.Steps {
		fmt.Fprintf(out, "\n%d. %s", i+1, s.Step)
		if s.Objects > 0 {
			fmt.Fprintf(out, ": %s, %s", plural(s.Objects, "object"), inBytes(s.Bytes))
		}
		if s.Note != "" {
			fmt.Fprintf(out, " (%s)", s.Note)
		}
		fmt.Fprintln(out)
		if len(s.Sources) > 0 {
			fmt.Fprintf(out, "   sources %s to %s, %d in all\n", s.Sources[0], s.Sources[len(s.Sources)-1], len(s.Sources))
		}
		for _, key := range s.Sample {
			fmt.Fprintf(out, "   %s\n", key)
		}
		if more := s.Objects - int64(len(s.Sample)); len(s.Sample) > 0 && more > 0 {
			fmt.Fprintf(out, "   … and %s more\n", thousands(more))
		}
		for _, statement := range s.Statements {
			fmt.Fprintf(out, "   %s\n", strings.Join(strings.Fields(statement), " "))
		}
	}
	return nil
}

// inBytes returns 1536 as "1.5 KiB".
func inBytes(n int64) string {
	f, units := float64(n), []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; f >= 1024 && i < len(units)-1; i++ {
		f /= 1024
	}
	if i == 0 {
		return plural(n, "byte")
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}
