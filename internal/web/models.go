package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"arbalest"
	"arbalest/internal/model"
)

// A ModelSource tells of models.
type ModelSource interface {
	// Models returns the models as they stand, each after those that it reads.
	Models(ctx context.Context) (ModelSet, error)
	// TestModels runs the tests of a model. Models then tells what came of them.
	TestModels(ctx context.Context, name string) error
}

// A ModelSet is the models of a folder.
type ModelSet struct {
	Folder string
	Models []ModelLine
}

// A ModelLine is a model.
type ModelLine struct {
	Name        string
	File        string
	Kind        model.Kind
	Description string
	SQL         string
	Sources     []string
	State       *model.State // nil if it was never tried
	Next        string       // what a build would do: view, full or incremental; none if it is up to date
	Why         string
	Error       string // what is wrong with it
	Waiting     bool   // the error is that a table has no event yet
	Tests       []ModelTest
}

// A ModelTest is a test, and what came of it when it was last run.
type ModelTest struct {
	model.Tested
	SQL string // a query whose rows are wrong
}

// Outcome is a word for what came of the test.
func (t ModelTest) Outcome() string {
	switch {
	case t.Ran.IsZero():
		return "not run"
	case t.Error != "":
		return "error"
	case t.Failures > 0:
		return "fails"
	}
	return "holds"
}

// Standing is a word for how the model stands.
func (m ModelLine) Standing() string {
	switch {
	case m.Waiting:
		return "waiting"
	case m.Error != "":
		return "wrong"
	case m.State == nil:
		return "never built"
	case m.State.State == model.Failed:
		return "failed"
	case m.Next != "":
		return "behind"
	}
	return "up to date"
}

// Tested says how the tests stand: of so many, how many hold, fail, and were not
// run.
func (m ModelLine) Tested() string {
	var hold, fail, not int
	for _, t := range m.Tests {
		switch t.Outcome() {
		case "holds":
			hold++
		case "not run":
			not++
		default:
			fail++
		}
	}
	switch {
	case len(m.Tests) == 0:
		return "none"
	case fail > 0:
		return fmt.Sprintf("%d of %d fail", fail, len(m.Tests))
	case not == len(m.Tests):
		return fmt.Sprintf("%d, not run", not)
	}
	return fmt.Sprintf("%d hold", hold)
}

// A modelsPage is what models.html is given.
type modelsPage struct {
	ModelSet
	Graph Graph
}

// models is the page /models.
func (s *Site) models(w http.ResponseWriter, r *http.Request) error {
	set, err := s.modelSets.get(r.Context(), s.program.Models)
	if err != nil {
		return err
	}
	return s.render(w, r, "models.html", modelsPage{set, graphOf(set.Models)})
}

// A modelPage is what model.html is given.
type modelPage struct {
	ModelLine
	Readers []string // models that read it
	Known   map[string]bool
}

// model is the page /models/{name}.
func (s *Site) model(w http.ResponseWriter, r *http.Request) error {
	set, err := s.modelSets.get(r.Context(), s.program.Models)
	if err != nil {
		return err
	}
	p := modelPage{Known: map[string]bool{}}
	found := false
	for _, m := range set.Models {
		p.Known[m.Name] = true
		if m.Name == r.PathValue("name") {
			p.ModelLine, found = m, true
		}
		for _, source := range m.Sources {
			if source == r.PathValue("name") {
				p.Readers = append(p.Readers, m.Name)
			}
		}
	}
	if !found {
		return fmt.Errorf("%w: model %s: the page Models has all", arbalest.ErrUnknown, r.PathValue("name"))
	}
	return s.render(w, r, "model.html", p)
}

// testModel is POST /models/{name}/test.
func (s *Site) testModel(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if err := s.program.TestModels(r.Context(), name); err != nil {
		return err
	}
	s.modelSets.forget()
	http.Redirect(w, r, "/models/"+url.PathEscape(name)+"#tests", http.StatusSeeOther)
	return nil
}
