package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"arbalest/pipeline"
)

func newRun() *cobra.Command {
	var asJSON bool
	var r pipelineRequest
	cmd := &cobra.Command{
		Use:   "run PIPELINE.yaml [--data DIR]",
		Short: "Run a pipeline, and those that it requires",
		Long: `Runs the steps of a pipeline in order, after those that it requires. What was
done is skipped: a run that failed is resumed, and with --key a run of that key
that is done is not done again. Two runners never do one step twice.

Exits 0 when all is done; else as the error says (2 invalid data or file,
3 no such source, 10 unavailable: try again), so that schedulers know.`,
		Example: "  arbalest run pipeline.yaml --data my-data\n  arbalest run daily.yaml --key 2014-11-10 --set DAY=2014-11-10",
		Args:    exactly(1, "one pipeline file"),
	}
	p := pipelineFlags(cmd, &r, &asJSON)
	cmd.Flags().StringVar(&r.Key, "key", "", "name the run: of a key that is done nothing is done again")
	cmd.Flags().BoolVar(&r.Fresh, "fresh", false, "begin anew though the last run is not done")
	cmd.Flags().IntVar(&r.Parallel, "parallel", 2, "pipelines to run at a time")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return workPipeline(cmd, p, &r, args[0], asJSON, func(ctx context.Context, op operator, show func(progress)) (result, error) {
			return op.Run(ctx, r, show)
		})
	}
	return cmd
}

// A pipelineRequest says which file's pipeline is to be run, validated or
// planned, and how.
type pipelineRequest struct {
	File     string            `json:"file"` // absolute
	Vars     map[string]string `json:"vars,omitempty"`
	Key      string            `json:"key,omitempty"`
	Fresh    bool              `json:"fresh,omitempty"`
	Parallel int               `json:"parallel,omitempty"`
}

func (r pipelineRequest) lookup(name string) (string, bool) {
	value, ok := r.Vars[name]
	return value, ok
}

// pipelineFlags adds what run, validate and plan have in common.
func pipelineFlags(cmd *cobra.Command, r *pipelineRequest, asJSON *bool) *place {
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(asJSON, "json", false, "progress and result as JSON lines")
	cmd.Flags().StringToStringVar(&r.Vars, "set", nil, "NAME=value for ${NAME} in the file (may be repeated)")
	return p
}

// workPipeline reads the file here, so that its errors are told at once and its
// variables are those of this process, and lets do do it where the place is
// open.
func workPipeline(cmd *cobra.Command, p *place, r *pipelineRequest, file string, asJSON bool, do func(context.Context, operator, func(progress)) (result, error)) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return fmt.Errorf("find pipeline: %w", err)
	}
	set := r.Vars
	r.File, r.Vars = file, map[string]string{}
	_, err = pipeline.ReadFile(file, func(name string) (string, bool) {
		value, ok := set[name]
		if !ok {
			value, ok = os.LookupEnv(name)
		}
		if ok {
			r.Vars[name] = value
		}
		return value, ok
	})
	if err != nil {
		return err
	}
	p.besides(file)
	if err := p.resolve(false); err != nil {
		return err
	}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	return p.work(cmd, asJSON, do)
}

// besides makes the place the folder of a file, if none is named and that has a
// configuration.
func (p *place) besides(file string) {
	if p.dir != "" || os.Getenv("ARBALEST_DATA") != "" {
		return
	}
	if dir := filepath.Dir(file); p.config == "" {
		if _, err := os.Stat(filepath.Join(dir, "arbalest.yaml")); err == nil {
			p.dir = dir
		}
	}
}

// A runReport is what a run came to. Its error is in it, so that what was done
// before is shown too.
type runReport struct {
	pipeline.GraphReport
	Error *remoteError `json:"error,omitempty"`
}

func (r runReport) err() error {
	if r.Error == nil {
		return nil
	}
	return r.Error
}

func (r runReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	for _, t := range r.Tasks {
		if t.State == pipeline.Skipped {
			fmt.Fprintf(out, "%s: skipped: %s\n", t.Name, strings.Replace(t.Why, "complete", "it is complete", 1))
		}
	}
	for _, run := range r.Runs {
		fmt.Fprintf(out, "%s: %s in %.1f s (run %s)\n", run.Pipeline, run.State, run.Seconds, run.Run)
		fmt.Fprintln(out, stepsTable(run.Steps))
	}
	return nil
}

// stepsTable shows what became of steps.
func stepsTable(steps []pipeline.StepReport) string {
	t := newTable("step", "state", "objects", "rows", "errors", "seconds")
	t.right(3, 6)
	for _, s := range steps {
		state := string(s.State)
		if s.Earlier {
			state += " before"
		}
		t.AppendRow([]any{s.Name, state, thousands(s.Objects), thousands(s.Rows), thousands(s.Errors), fmt.Sprintf("%.1f", s.Seconds)})
	}
	return t.Render()
}

// told makes an error one that can be sent on with the report.
func told(err error) *remoteError {
	var remote *remoteError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &remote):
		return remote
	}
	return newRemoteError(err)
}
