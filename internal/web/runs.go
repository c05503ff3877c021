package web

import (
	"context"
	"net/http"

	"arbalest/pipeline"
)

// A RunSource tells of pipelines' runs.
type RunSource interface {
	// Runs returns the newest runs of each pipeline, the newest first.
	Runs(ctx context.Context) ([]pipeline.RunLine, error)
	// Run returns a run's steps. The error wraps arbalest.ErrUnknown if there is no
	// such run.
	Run(ctx context.Context, run string) (RunDetail, error)
}

// A RunDetail is a run with its steps.
type RunDetail struct {
	pipeline.RunLine
	Steps []pipeline.StepLine
}

// runs is the page /runs.
func (s *Site) runs(w http.ResponseWriter, r *http.Request) error {
	lines, err := s.runLines.get(r.Context(), s.program.Runs)
	if err != nil {
		return err
	}
	return s.render(w, r, "runs.html", lines)
}

// run is the page /runs/{run}.
func (s *Site) run(w http.ResponseWriter, r *http.Request) error {
	d, err := s.program.Run(r.Context(), r.PathValue("run"))
	if err != nil {
		return err
	}
	return s.render(w, r, "run.html", d)
}
