package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/saved"
	"arbalest/internal/warehouse"
)

const (
	// statementsAtATime is how many statements the pages run at once; others wait
	// for a few seconds and are refused then.
	statementsAtATime = 4
	// maxStatement is how many bytes a request of the SQL page may have.
	maxStatement = 1 << 20
)

// A console runs the statements of the SQL page. What they may is
// warehouse.Asker's: they read, and nothing else.
type console struct {
	*Site
	running chan struct{} // a place for each statement
}

// sqlRoutes adds the pages of SQL. Nothing runs a statement by being opened: a
// link could be anybody's. Only a saved query is run when its link is opened, by
// the page's script.
func (s *Site) sqlRoutes(mux *http.ServeMux) {
	c := &console{s, make(chan struct{}, statementsAtATime)}
	mux.Handle("GET /sql", s.page(c.open))
	mux.Handle("POST /sql", c.statement(c.runHere))
	mux.Handle("POST /sql/run", c.statement(c.run))
	mux.Handle("POST /sql/csv", c.statement(c.download))
	mux.Handle("GET /sql/schema", s.page(c.schema))
	mux.Handle("GET /sql/charts", s.page(c.charts))
	mux.Handle("POST /sql/saved", s.page(c.save))
	mux.Handle("POST /sql/saved/delete", s.page(c.delete))
}

// A sqlPage is what sql.html is given.
type sqlPage struct {
	Nonce   string      // of the editor's styles
	Query   saved.Query // in the editor
	Run     bool        // it is a saved one, which its page runs
	Saved   []saved.Query
	CanSave bool
	Limit   int64        // of rows that are shown
	Result  *shownResult // for those without scripts
	Fault   *fault
	Saving  string // why a query was not saved or deleted
}

// open is the page /sql: with ?q=SQL or ?saved=NAME in the editor.
func (c *console) open(w http.ResponseWriter, r *http.Request) error {
	p := sqlPage{Query: saved.Query{SQL: r.FormValue("q")}}
	if name := r.FormValue("saved"); name != "" {
		if c.opts.Queries == nil {
			return errNoQueries
		}
		var err error
		if p.Query, err = c.opts.Queries.Get(name); err != nil {
			return err
		}
		p.Run = true
	}
	return c.show(w, r, http.StatusOK, p)
}

// errNoQueries is the error of saving where there is no folder for it.
var errNoQueries = fmt.Errorf("%w: there is no folder for saved queries here", arbalest.ErrUnknown)

// show writes the page. The editor makes styles of its own, which the policy
// lets it by a nonce.
func (c *console) show(w http.ResponseWriter, r *http.Request, status int, p sqlPage) error {
	p.Nonce, p.Limit = rand.Text(), maxRows
	if p.CanSave = c.opts.Queries != nil; p.CanSave {
		var err error
		if p.Saved, err = c.opts.Queries.List(); err != nil && p.Saving == "" {
			p.Saving = err.Error()
		}
	}
	w.Header().Set("Content-Security-Policy", strings.Replace(policy, "style-src 'self'", "style-src 'self' 'nonce-"+p.Nonce+"'", 1))
	return c.renderAs(w, r, status, "sql.html", p)
}

// statement makes a handler of one that runs the statement of a form, its field
// sql. The request's end, the browser's too, ends the statement.
func (c *console) statement(run func(w http.ResponseWriter, r *http.Request, sql string) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxStatement)
		if err := r.ParseForm(); err != nil {
			c.refuse(w, r, "", formError(err))
			return
		}
		sql := strings.ReplaceAll(r.PostForm.Get("sql"), "\r\n", "\n")
		ctx, cancel := context.WithTimeout(r.Context(), c.opts.Statement)
		defer cancel()
		r = r.WithContext(ctx)
		// The server's deadline for requests is shorter, and one for answers must end
		// those that nobody reads.
		control := http.NewResponseController(w)
		_ = control.SetReadDeadline(time.Time{})
		_ = control.SetWriteDeadline(time.Now().Add(c.opts.Statement + 5*time.Second))
		leave, err := c.enter(ctx)
		if err == nil {
			defer leave()
			err = run(w, r, sql)
		}
		if err != nil {
			c.refuse(w, r, sql, err)
		}
	})
}

// formError wraps an error of reading a form.
func formError(err error) error {
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return fmt.Errorf("the statement is %w: at most %d bytes can be sent", arbalest.ErrTooLarge, long.Limit)
	}
	return fmt.Errorf("%w form: %w", arbalest.ErrInvalid, err)
}

// patience is how long a statement waits for others.
const patience = 5 * time.Second

func (c *console) enter(ctx context.Context) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case c.running <- struct{}{}:
		return func() { <-c.running }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %d statements of pages are running already: cancel one, or try again", arbalest.ErrBusy, statementsAtATime)
	}
}

// refuse answers a statement that gave no result: as JSON to the page's script,
// else by the page.
func (c *console) refuse(w http.ResponseWriter, r *http.Request, sql string, err error) {
	f := c.faultOf(r, sql, err)
	if f.status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "5")
	}
	if r.URL.Path == "/sql/run" {
		f.write(w)
		return
	}
	if err := c.show(w, r, f.status, sqlPage{Query: saved.Query{SQL: sql}, Fault: f}); err != nil {
		c.fail(w, r, err)
	}
}

// runHere answers with the page and the result's first rows in it.
func (c *console) runHere(w http.ResponseWriter, r *http.Request, sql string) error {
	result := &shownResult{}
	if err := c.ask(r.Context(), sql, result); err != nil {
		return err
	}
	return c.show(w, r, http.StatusOK, sqlPage{Query: saved.Query{SQL: sql}, Result: result})
}

// errEnough ends a result of which no more is wanted.
var errEnough = errors.New("that is enough rows")

// ask runs a statement.
func (c *console) ask(ctx context.Context, sql string, to warehouse.Sink) error {
	if strings.TrimSpace(sql) == "" {
		return fmt.Errorf("%w: there is no statement: write one", arbalest.ErrInvalid)
	}
	if err := c.program.Ask(ctx, sql, to); !errors.Is(err, errEnough) {
		return err
	}
	return nil
}
