package web

import (
	"context"
	"net/http"
	"time"

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
	Steps []RunStep
}

// A RunStep is what became of a step.
type RunStep struct {
	Name     string
	State    string
	Attempts int64
	Started  time.Time
	Finished time.Time
	Objects  int64
	Rows     int64
	Errors   int64
	Message  string
}

// Seconds is how long the step took; 0 if it is not finished.
func (s RunStep) Seconds() float64 {
	if s.Finished.IsZero() || s.Started.IsZero() {
		return 0
	}
	return s.Finished.Sub(s.Started).Seconds()
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
