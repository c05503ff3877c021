// Package web is the pages: what flows, what failed, what it costs, whether
// warehouse and store agree, and SQL. They are HTML that the server makes from
// templates; scripts draw charts, and without them the same figures are in tables.
//
// It stores nothing: what pages show they ask of a Program each time, which
// bounds what it reads for that. Whoever may see the pages may see all events.
//
// How a page is added: its template is pages/NAME.html, which defines "title"
// and "main" (and "head", if it has scripts or styles of its own), each with
// what its handler gives to render. The handler is a method
//
//	func (s *Site) name(w http.ResponseWriter, r *http.Request) error
//
// that ends with s.render(w, r, "name.html", data). Its error becomes the error
// page, with the status that arbalest.Outcomes gives it. Routes are in
// Site.routes, and links to them in nav. Scripts and styles are files in assets,
// named with {{asset "name.js"}}: the policy of all pages allows no inline ones.
package web

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/saved"
	"arbalest/pipeline"
)

// Options are those of a Site.
type Options struct {
	// Program answers what pages ask.
	Program Program
	// Password is that of the user arbalest. Defaults to none: then only requests
	// for a name or an address of this machine are answered.
	Password string
	// Capture is the URL that events are posted to, for the lines that pages show
	// where there is nothing yet. Defaults to http://127.0.0.1:8080.
	Capture string
	// Timeout is how long the making of a page may take. Defaults to 10 s.
	Timeout time.Duration
	// Queries are the saved queries of the SQL page. Defaults to none, and none can
	// be saved.
	Queries *saved.Folder
	// Statement is how long a statement of the SQL page may take, its result's way
	// to the browser with it. Defaults to five minutes.
	Statement time.Duration
	// Log is told of pages that could not be made. Defaults to none.
	Log *slog.Logger
}

// pagesAtATime is how many pages are made at once, and worksAtATime of those that
// may take longer; others wait.
const (
	pagesAtATime = 6
	worksAtATime = 3
)

// A Site answers the pages' requests.
type Site struct {
	program Program
	opts    Options
	log     *slog.Logger
	pages   map[string]*template.Template
	assets  *assets
	handler http.Handler
	making  chan struct{} // a place for each page that is made
	working chan struct{} // and for those that may take longer

	flows      memo[Flow]
	eventLines memo[[]EventLine]
	tableLines memo[[]TableLine]
	modelSets  memo[ModelSet]
	runLines   memo[[]pipeline.RunLine]
}

// New returns a Site.
func New(opts Options) (*Site, error) {
	opts.Capture = cmp.Or(opts.Capture, "http://127.0.0.1:8080")
	opts.Timeout = cmp.Or(opts.Timeout, 10*time.Second)
	opts.Statement = cmp.Or(opts.Statement, 5*time.Minute)
	s := &Site{program: opts.Program, opts: opts, log: opts.Log, making: make(chan struct{}, pagesAtATime), working: make(chan struct{}, worksAtATime)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if s.assets, err = readAssets(); err != nil {
		return nil, err
	}
	if s.pages, err = s.readPages(); err != nil {
		return nil, err
	}
	s.handler = s.guard(http.NewCrossOriginProtection().Handler(s.routes()))
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// A link is a page in the navigation.
type link struct{ Path, Text string }

// nav are the pages, in the order in which an event meets what they are about.
var nav = []link{
	{"/", "Flow"}, {"/events", "Events"}, {"/tables", "Tables"}, {"/rejected", "Rejected"},
	{"/models", "Models"}, {"/runs", "Runs"}, {"/store", "Store"}, {"/verify", "Verify"}, {"/sql", "SQL"},
}

// routes says which page is where.
func (s *Site) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /assets/{version}/{path...}", s.assets.serve)
	mux.Handle("GET /{$}", listed(s, &s.flows, s.program.Flow, "flow.html"))
	mux.Handle("GET /flow.json", s.page(s.flowJSON))
	mux.Handle("GET /events", listed(s, &s.eventLines, s.program.Events, "events.html"))
	mux.Handle("GET /events/{name}", one(s, s.program.Event, "event.html"))
	mux.Handle("GET /tables", listed(s, &s.tableLines, s.program.Tables, "tables.html"))
	mux.Handle("GET /tables/{name}", one(s, s.program.Table, "table.html"))
	mux.Handle("GET /tables/{name}/line", s.page(s.line))
	mux.Handle("GET /rejected", s.page(s.rejected))
	mux.Handle("GET /rejected/one", s.page(s.kept))
	mux.Handle("GET /rejected/bytes", s.page(s.keptBytes))
	mux.Handle("POST /rejected/replay", s.work(s.replay))
	mux.Handle("GET /models", s.work(s.models))
	mux.Handle("GET /models/{name}", s.work(s.model))
	mux.Handle("POST /models/{name}/test", s.work(s.testModel))
	mux.Handle("GET /runs", listed(s, &s.runLines, s.program.Runs, "runs.html"))
	mux.Handle("GET /runs/{name}", one(s, s.program.Run, "run.html"))
	mux.Handle("GET /store", s.page(s.store))
	mux.Handle("GET /verify", s.page(s.verification))
	mux.Handle("POST /verify", s.page(s.verify))
	mux.Handle("POST /verify/stop", s.page(s.stopVerify))
	s.sqlRoutes(mux)
	mux.Handle("/", s.page(func(_ http.ResponseWriter, r *http.Request) error { return errNoPage }))
	return mux
}

// listed makes a handler of a page that shows what is good for a while.
func listed[T any](s *Site, m *memo[T], list func(context.Context) (T, error), page string) http.Handler {
	return s.page(func(w http.ResponseWriter, r *http.Request) error {
		v, err := m.get(r.Context(), list)
		if err != nil {
			return err
		}
		return s.render(w, r, page, v)
	})
}

// one makes a handler of a page about what the path names.
func one[N ~string, T any](s *Site, find func(context.Context, N) (T, error), page string) http.Handler {
	return s.page(func(w http.ResponseWriter, r *http.Request) error {
		v, err := find(r.Context(), N(r.PathValue("name")))
		if err != nil {
			return err
		}
		return s.render(w, r, page, v)
	})
}

// errNoPage is the error of an address that has no page.
var errNoPage = errors.New("there is no such page")

// page makes a handler of a page: of which only so many are made at once, each
// within the time that there is for it.
func (s *Site) page(do func(http.ResponseWriter, *http.Request) error) http.Handler {
	return s.within(s.making, s.opts.Timeout, do)
}

// work is page for what may take ten times as long, and has places of its own.
func (s *Site) work(do func(http.ResponseWriter, *http.Request) error) http.Handler {
	return s.within(s.working, 10*s.opts.Timeout, do)
}

func (s *Site) within(places chan struct{}, timeout time.Duration, do func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		r = r.WithContext(ctx)
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		case <-ctx.Done():
			s.fail(w, r, ctx.Err())
			return
		}
		if err := do(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// A view is what layout.html is given.
type view struct {
	Nav     []link
	Section string // the link of nav that the page belongs to
	Data    any
}

// render writes a page: pages/name with what it is given.
func (s *Site) render(w http.ResponseWriter, r *http.Request, name string, data any) error {
	return s.renderAs(w, r, http.StatusOK, name, data)
}

func (s *Site) renderAs(w http.ResponseWriter, r *http.Request, status int, name string, data any) error {
	var b bytes.Buffer
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if err := s.pages[name].ExecuteTemplate(&b, "layout.html", view{nav, "/" + first, data}); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the client may be gone
	return nil
}

// A failure is what error.html is given.
type failure struct {
	Status  int
	Title   string
	Message string
	Retry   bool
}

// fail writes the error page.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := failure{Message: err.Error()}
	if errors.Is(err, errNoPage) {
		f.Status, f.Message = http.StatusNotFound, "There is no such page."
	} else {
		o := arbalest.OutcomeOf(err)
		f.Status, f.Retry = o.HTTP, o.Retry
	}
	switch {
	case errors.Is(err, context.Canceled):
		return // by the client, which is gone
	case errors.Is(err, context.DeadlineExceeded):
		f.Message = "This took longer than a page may take: try again when less is going on, or ask in SQL."
	}
	if f.Status >= http.StatusInternalServerError {
		s.log.Warn("page", "path", r.URL.Path, "error", err)
	}
	f.Title = http.StatusText(f.Status)
	if err := s.renderAs(w, r, f.Status, "error.html", f); err != nil {
		s.log.Error("page", "path", r.URL.Path, "error", err)
		http.Error(w, f.Message, f.Status)
	}
}
