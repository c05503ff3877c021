package main

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"

	"arbalest/internal/model"
)

// A modelRequest says which models are to be built, tested or shown; all if none
// is named.
type modelRequest struct {
	Models   []string `json:"models,omitempty"`
	Full     bool     `json:"full,omitempty"`
	Parallel int      `json:"parallel,omitempty"`
}

// models returns the folder of the place's models.
func (p place) models(c config) string { return p.file(cmp.Or(c.Models, "models")) }

// modelsAtATime is how many models are built at once where there is no saying.
// DuckDB has one writer, and builds one.
const modelsAtATime = 2

// builder reads the models, which may have changed since the last pass.
func (e *engine) builder(ctx context.Context, r modelRequest, show func(progress)) (*model.Set, *model.Builder, error) {
	set, err := model.Read(e.place.models(e.config))
	if err != nil {
		return nil, nil, err
	}
	tables, err := e.config.tables()
	if err != nil {
		return nil, nil, err
	}
	opts := model.Options{Full: r.Full, Parallel: cmp.Or(r.Parallel, modelsAtATime), Progress: func(done, total int) {
		show(progress{Stage: "models", Done: int64(done), Total: int64(total), Unit: "models"})
	}}
	for _, t := range tables {
		opts.Expected = append(opts.Expected, t.Name)
	}
	return set, model.New(ctx, e.database, set, opts), nil
}

// Build implements operator.
func (e *engine) Build(ctx context.Context, r modelRequest, show func(progress)) (buildReport, error) {
	e.building.Lock()
	defer e.building.Unlock()
	start := time.Now()
	_, b, err := e.builder(ctx, r, show)
	if err != nil {
		return buildReport{}, err
	}
	results, err := b.Once(ctx, r.Models...)
	if err != nil && len(results) == 0 {
		return buildReport{}, err
	}
	return buildReport{results, time.Since(start).Seconds(), told(err)}, nil
}

// Test implements operator.
func (e *engine) Test(ctx context.Context, r modelRequest) (testReport, error) {
	_, b, err := e.builder(ctx, r, func(progress) {})
	if err != nil {
		return testReport{}, err
	}
	results, err := b.Test(ctx, r.Models...)
	if err != nil && len(results) == 0 {
		return testReport{}, err
	}
	return testReport{results, told(err)}, nil
}

// Models implements operator.
func (e *engine) Models(ctx context.Context, r modelRequest) (modelsReport, error) {
	set, b, err := e.builder(ctx, r, func(progress) {})
	if err != nil {
		return modelsReport{}, err
	}
	outlooks, err := b.Outlooks(ctx, r.Models...)
	if err != nil {
		return modelsReport{}, err
	}
	report := modelsReport{Folder: e.place.models(e.config), Lineage: set.Lineage(r.Models...)}
	for _, o := range outlooks {
		l := modelLine{Name: o.Name, File: o.File, Kind: o.Kind, Description: o.Description, Sources: o.Sources(), State: o.State, Next: o.How, Why: o.Why, sql: o.SQL}
		for _, t := range o.Tests {
			l.Tests, l.wrong = append(l.Tests, t.String()), append(l.wrong, b.Wrong(o.Model, t))
		}
		if o.Err != nil {
			l.Error, l.Waiting = o.Err.Error(), model.IsWaiting(o.Err)
		}
		report.Models = append(report.Models, l)
	}
	return report, nil
}

// buildOn builds the models after loads, and now and then, as others may have
// loaded something, or a file changed. A pass takes at most a fourth of the time,
// since with DuckDB nothing is loaded while a model is built.
func (e *engine) buildOn(ctx context.Context, loaded <-chan struct{}, log *slog.Logger) {
	failing := map[string]string{}
	for {
		start := time.Now()
		r, err := e.Build(ctx, modelRequest{}, func(progress) {})
		if ctx.Err() != nil {
			return
		}
		tellModels(log, r, err, failing)
		if !sleep(ctx, max(time.Second, 3*time.Since(start)), nil) || !sleep(ctx, lookAgain, loaded) {
			return
		}
	}
}

// lookAgain is how long after a pass over the models the next one comes, though
// nothing was loaded here.
const lookAgain = 30 * time.Second

// tellModels logs what a pass did, and of each model that fails why, once.
func tellModels(log *slog.Logger, r buildReport, err error, failing map[string]string) {
	if err != nil && failing[""] != err.Error() {
		log.Error("models", "error", err)
	}
	failing[""] = ""
	if err != nil {
		failing[""] = err.Error()
	}
	for _, m := range r.Models {
		switch {
		case m.State == model.Built:
			log.Info("model built", "model", m.Model, "how", m.How, "hours", m.Hours, "rows", m.Rows, "took", time.Duration(m.Seconds*float64(time.Second)).Round(time.Millisecond))
			fallthrough
		case m.State == model.Current:
			delete(failing, m.Model)
		case failing[m.Model] != m.Why && slices.Contains([]string{model.Failed, model.Waiting}, m.State):
			log.Warn("model "+m.State, "model", m.Model, "reason", m.Why)
			failing[m.Model] = m.Why
		}
	}
}
