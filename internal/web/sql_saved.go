package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"arbalest"
	"arbalest/internal/saved"
)

// save saves the query of a form and opens it.
func (c *console) save(w http.ResponseWriter, r *http.Request) error {
	q, err := c.readQuery(w, r)
	if err != nil {
		return err
	}
	done, err := c.opts.Queries.Save(q)
	if err != nil {
		return c.notSaved(w, r, q, err)
	}
	http.Redirect(w, r, "/sql?saved="+url.QueryEscape(done.Name), http.StatusSeeOther)
	return nil
}

// delete deletes a saved query and opens the page with what was in it.
func (c *console) delete(w http.ResponseWriter, r *http.Request) error {
	q, err := c.readQuery(w, r)
	if err != nil {
		return err
	}
	if err := c.opts.Queries.Delete(q.Name, q.Version); err != nil {
		return c.notSaved(w, r, q, err)
	}
	http.Redirect(w, r, "/sql", http.StatusSeeOther)
	return nil
}

// readQuery reads the query of a form.
func (c *console) readQuery(w http.ResponseWriter, r *http.Request) (saved.Query, error) {
	if c.opts.Queries == nil {
		return saved.Query{}, errNoQueries
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxStatement)
	if err := r.ParseForm(); err != nil {
		return saved.Query{}, formError(err)
	}
	f := r.PostForm
	q := saved.Query{
		Name: strings.TrimSpace(f.Get("name")), Title: f.Get("title"), Description: f.Get("description"), SQL: strings.ReplaceAll(f.Get("sql"), "\r\n", "\n"), Version: f.Get("version"),
		Chart: saved.Chart{Kind: f.Get("chart"), X: f.Get("x"), Series: f.Get("series")},
	}
	for _, y := range f["y"] {
		if y != "" {
			q.Chart.Y = append(q.Chart.Y, y)
		}
	}
	if was := f.Get("was"); was != "" && was != q.Name { // under another name it is a new one
		q.Version = ""
	}
	return q, nil
}

// notSaved shows the page with what was to be saved, and why it is not.
func (c *console) notSaved(w http.ResponseWriter, r *http.Request, q saved.Query, err error) error {
	o := arbalest.OutcomeOf(err)
	if o.HTTP >= http.StatusInternalServerError || errors.Is(err, arbalest.ErrUnknown) {
		return err
	}
	return c.show(w, r, o.HTTP, sqlPage{Query: q, Saving: err.Error()})
}

// A chartsPage is what sql_charts.html is given.
type chartsPage struct {
	Saved   []saved.Query
	CanSave bool
}

// charts is the page /sql/charts: all saved queries, which its script runs one
// after another and draws.
func (c *console) charts(w http.ResponseWriter, r *http.Request) error {
	p := chartsPage{CanSave: c.opts.Queries != nil}
	if p.CanSave {
		var err error
		if p.Saved, err = c.opts.Queries.List(); err != nil {
			return err
		}
	}
	return c.render(w, r, "sql_charts.html", p)
}
