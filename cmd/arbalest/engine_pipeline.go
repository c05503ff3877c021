package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"arbalest"
	"arbalest/connect"
	"arbalest/internal/blob"
	"arbalest/pipeline"
)

// A stores opens the stores that pipelines name, each once, until it is closed.
type stores struct {
	mu     sync.Mutex
	opened map[string]blob.Store
	closes []func() error
}

func (s *stores) open(ctx context.Context, url string) (blob.Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if store := s.opened[url]; store != nil {
		return store, nil
	}
	store, closeStore, err := connect.Store(ctx, url)
	if err != nil {
		return nil, err
	}
	if s.opened == nil {
		s.opened = map[string]blob.Store{}
	}
	s.opened[url] = store
	s.closes = append(s.closes, closeStore)
	return store, nil
}

func (s *stores) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, c := range s.closes {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// env is where the engine's pipelines run.
func (e *engine) env(s *stores, log *slog.Logger, show func(progress)) pipeline.Env {
	var mu sync.Mutex // show is one goroutine's
	return pipeline.Env{
		Store: e.store, Open: s.open, Warehouse: e.database, Log: log,
		Sync: func(ctx context.Context) (int64, error) {
			r, err := e.Sync(ctx, func(progress) {})
			if err == nil {
				err = r.err()
			}
			return r.Loaded, err
		},
		Model: func(ctx context.Context, names []string) (rows int64, err error) {
			r, err := e.Build(ctx, modelRequest{Models: names}, func(progress) {})
			if err == nil {
				err = r.err()
			}
			for _, m := range r.Models {
				rows += m.Rows
			}
			return rows, err
		},
		Progress: func(name, step string, done, total int) {
			mu.Lock()
			defer mu.Unlock()
			show(progress{Stage: name, Done: int64(done), Total: int64(total), Unit: "steps"})
		},
	}
}

// Run implements operator.
func (e *engine) Run(ctx context.Context, r pipelineRequest, show func(progress)) (runReport, error) {
	f, err := pipeline.ReadFile(r.File, r.lookup)
	if err != nil {
		return runReport{}, err
	}
	var s stores
	done, err := f.RunAll(ctx, e.env(&s, nil, show), pipeline.Options{Key: r.Key, Fresh: r.Fresh}, r.Parallel)
	return runReport{done, told(err)}, s.close()
}

// Validate implements operator.
func (e *engine) Validate(ctx context.Context, r pipelineRequest, show func(progress)) (validateReport, error) {
	f, err := pipeline.ReadFile(r.File, r.lookup)
	if err != nil {
		return validateReport{}, err
	}
	var s stores
	done, err := f.Validate(ctx, e.env(&s, nil, show))
	return validateReport{done, told(err)}, s.close()
}

// Plan implements operator.
func (e *engine) Plan(ctx context.Context, r pipelineRequest) (planReport, error) {
	f, err := pipeline.ReadFile(r.File, r.lookup)
	if err != nil {
		return planReport{}, err
	}
	var s stores
	steps, err := f.Plan(ctx, e.env(&s, nil, func(progress) {}))
	if err != nil {
		return planReport{}, fmt.Errorf("plan %s: %w", f.Name(), errors.Join(err, s.close()))
	}
	return planReport{f.Name(), f.Required(), steps}, s.close()
}

// A runsReport is runs of pipelines.
type runsReport struct {
	Runs  []pipeline.RunLine  `json:"runs"`            // the newest first
	Steps []pipeline.StepLine `json:"steps,omitempty"` // of the run that was named
}

// Runs implements operator.
func (e *engine) Runs(ctx context.Context, f pipeline.Filter) (r runsReport, err error) {
	if r.Runs, err = pipeline.Runs(ctx, e.database, f); err != nil || f.Run == "" {
		return r, err
	}
	if len(r.Runs) == 0 {
		return r, fmt.Errorf("%w: run %s: arbalest runs --limit 0 lists them all", arbalest.ErrUnknown, f.Run)
	}
	r.Steps, err = pipeline.Steps(ctx, e.database, f.Run)
	return r, err
}
