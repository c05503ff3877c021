package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"arbalest"
	"arbalest/internal/model"
	"arbalest/internal/web"
	"arbalest/pipeline"
)

// outcomes are what tests of models came to when the pages last ran them.
type outcomes struct {
	mu    sync.Mutex
	tests map[[2]string]web.ModelTest // by model and test
}

// Models implements web.Program.
func (f *facts) Models(ctx context.Context) (web.ModelSet, error) {
	r, err := f.engine.Models(ctx, modelRequest{})
	if err != nil {
		return web.ModelSet{}, err
	}
	files, err := model.Read(f.engine.place.models(f.engine.config))
	if err != nil {
		return web.ModelSet{}, err
	}
	set := web.ModelSet{Folder: r.Folder}
	f.outcomes.mu.Lock()
	defer f.outcomes.mu.Unlock()
	for _, m := range r.Models {
		l := web.ModelLine{
			Name: m.Name, File: m.File, Kind: m.Kind, Description: m.Description, Sources: m.Sources, State: m.State,
			Next: m.Next, Why: m.Why, Error: m.Error, Waiting: m.Waiting,
		}
		if file := files.Get(m.Name); file != nil {
			l.SQL = file.SQL
		}
		for _, t := range m.Tests {
			outcome := f.outcomes.tests[[2]string{m.Name, t}]
			outcome.Test = t
			l.Tests = append(l.Tests, outcome)
		}
		set.Models = append(set.Models, l)
	}
	return set, nil
}

// TestModels implements web.Program.
func (f *facts) TestModels(ctx context.Context, name string) error {
	r, err := f.engine.Test(ctx, modelRequest{Models: []string{name}})
	if err != nil {
		return err
	}
	f.outcomes.mu.Lock()
	defer f.outcomes.mu.Unlock()
	if f.outcomes.tests == nil {
		f.outcomes.tests = map[[2]string]web.ModelTest{}
	}
	for _, t := range r.Tests {
		f.outcomes.tests[[2]string{t.Model, t.Test}] = web.ModelTest{Ran: time.Now(), Failures: t.Failures, Error: t.Error, Columns: t.Columns, Examples: t.Examples}
	}
	return nil
}

// runsOnPage is how many runs of each pipeline a page shows.
const runsOnPage = 20

// Runs implements web.Program.
func (f *facts) Runs(ctx context.Context) ([]pipeline.RunLine, error) {
	return pipeline.History(ctx, f.engine.database, runsOnPage)
}

// Run implements web.Program.
func (f *facts) Run(ctx context.Context, run string) (web.RunDetail, error) {
	var d web.RunDetail
	found := false
	err := f.engine.database.Query(ctx, `SELECT pipeline, run_id, run_key, state, started_at, finished_at, row_count, error_count, message FROM arbalest.runs WHERE run_id = $1`, func(v []any) error {
		found = true
		d.Pipeline, _ = v[0].(string)
		d.Run, _ = v[1].(string)
		d.Key, _ = v[2].(string)
		state, _ := v[3].(string)
		d.State = pipeline.State(state)
		d.Started, _ = v[4].(time.Time)
		if at, ok := v[5].(time.Time); ok {
			d.Finished = &at
		}
		d.Rows, _ = v[6].(int64)
		d.Errors, _ = v[7].(int64)
		d.Message, _ = v[8].(string)
		return nil
	}, run)
	if err == nil && !found || errors.Is(err, arbalest.ErrUnknown) {
		return d, fmt.Errorf("%w: run %s: the page Runs has the newest", arbalest.ErrUnknown, run)
	}
	if err != nil {
		return d, fmt.Errorf("read run %s: %w", run, err)
	}
	err = f.engine.database.Query(ctx, `SELECT name, state, attempts, started_at, finished_at, object_count, row_count, error_count, message FROM arbalest.steps WHERE run_id = $1 ORDER BY step LIMIT 1000`, func(v []any) error {
		var s web.RunStep
		s.Name, _ = v[0].(string)
		s.State, _ = v[1].(string)
		s.Attempts, _ = v[2].(int64)
		s.Started, _ = v[3].(time.Time)
		s.Finished, _ = v[4].(time.Time)
		s.Objects, _ = v[5].(int64)
		s.Rows, _ = v[6].(int64)
		s.Errors, _ = v[7].(int64)
		s.Message, _ = v[8].(string)
		d.Steps = append(d.Steps, s)
		return nil
	}, run)
	if err != nil {
		return d, fmt.Errorf("read run %s: %w", run, err)
	}
	return d, nil
}
