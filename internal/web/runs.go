package web

import (
	"context"

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
