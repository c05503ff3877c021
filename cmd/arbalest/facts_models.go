package main

import (
	"context"
	"slices"

	"arbalest/internal/model"
	"arbalest/internal/warehouse"
	"arbalest/internal/web"
	"arbalest/pipeline"
)

// Models implements web.Program.
func (f *facts) Models(ctx context.Context) (web.ModelSet, error) {
	r, err := f.engine.Models(ctx, modelRequest{})
	if err != nil {
		return web.ModelSet{}, err
	}
	noted, err := model.TestsNoted(ctx, f.engine.database)
	if err != nil {
		return web.ModelSet{}, err
	}
	set := web.ModelSet{Folder: r.Folder}
	for _, m := range r.Models {
		l := web.ModelLine{
			Name: m.Name, File: m.File, Kind: m.Kind, Description: m.Description, SQL: m.sql, Sources: m.Sources, State: m.State,
			Next: m.Next, Why: m.Why, Error: m.Error, Waiting: m.Waiting,
		}
		for i, test := range m.Tests {
			t := web.ModelTest{Tested: model.Tested{Test: test}, SQL: m.wrong[i]}
			cut := warehouse.Fit(test, model.NotedTest)
			if at := slices.IndexFunc(noted, func(n model.Tested) bool { return n.Model == m.Name && n.Test == cut }); at >= 0 {
				t.Tested = noted[at]
			}
			l.Tests = append(l.Tests, t)
		}
		set.Models = append(set.Models, l)
	}
	return set, nil
}

// TestModels implements web.Program.
func (f *facts) TestModels(ctx context.Context, name string) error {
	r, err := f.engine.Test(ctx, modelRequest{Models: []string{name}})
	if err == nil && !slices.ContainsFunc(r.Tests, func(t model.TestResult) bool { return t.Failures > 0 || t.Error != "" }) {
		err = r.err() // they were not noted
	}
	return err
}

// runsOnPage is how many runs of each pipeline a page shows.
const runsOnPage = 20

// Runs implements web.Program.
func (f *facts) Runs(ctx context.Context) ([]pipeline.RunLine, error) {
	r, err := f.engine.Runs(ctx, pipeline.Filter{Each: runsOnPage})
	return r.Runs, err
}

// Run implements web.Program.
func (f *facts) Run(ctx context.Context, run string) (web.RunDetail, error) {
	r, err := f.engine.Runs(ctx, pipeline.Filter{Run: run})
	if err != nil {
		return web.RunDetail{}, err
	}
	return web.RunDetail{RunLine: r.Runs[0], Steps: r.Steps}, nil
}
