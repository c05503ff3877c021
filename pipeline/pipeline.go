// Package pipeline is pipelines as Go code: ordered steps that bring what is in
// a store into tables of a warehouse, and transform it there in SQL. It is what
// the original library was, for any store and warehouse; files in YAML compile
// to the same steps (Parse).
//
// Every step is idempotent: done twice it is as done once, and each says why. A
// step does what it does in one transaction of the warehouse, with a row of
// arbalest.steps in it that says so, which is its commit point. So a run is a
// state machine (pending, running, done, failed, skipped) that any runner can
// take on from where another stopped, and of two runners that come to one step
// at a time one does it and the other finds it done.
//
// It stores, in schema arbalest of the warehouse: runs and steps (the state of
// each, with durations, rows and errors), copied (the journal of ManifestCopy),
// sources (the cursors of TimeSeries) and copy_errors (rows that were left out,
// with their place).
package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"regexp"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/warehouse"
)

// A Pipeline is steps in their order. New makes one.
type Pipeline struct {
	name     string
	steps    []Step
	requires []*Pipeline
	store    string // URL of its sources' store; empty is the environment's
}

// New returns a pipeline. Its name is what its runs are known by: letters,
// digits, ".", "_" and "-", at most 127 bytes.
func New(name string, steps ...Step) *Pipeline { return &Pipeline{name: name, steps: steps} }

// Requires says which pipelines have to be done before this one is run, and
// returns it. Graph runs them all.
func (p *Pipeline) Requires(others ...*Pipeline) *Pipeline {
	p.requires = append(p.requires, others...)
	return p
}

// Required returns the names of the pipelines that it requires.
func (p *Pipeline) Required() []string {
	var names []string
	for _, r := range p.requires {
		names = append(names, r.name)
	}
	return names
}

// From says at which URL the store of the pipeline's sources is, where that is
// not the environment's, and returns the pipeline.
func (p *Pipeline) From(storeURL string) *Pipeline { p.store = storeURL; return p }

// Name returns the pipeline's name.
func (p *Pipeline) Name() string { return p.name }

// Steps returns the names of the steps.
func (p *Pipeline) Steps() []string {
	names := make([]string, len(p.steps))
	for i, s := range p.steps {
		names[i] = s.Name()
	}
	return names
}

// An Env is where pipelines run. Package connect opens its parts.
type Env struct {
	// Store is the object store that sources are in.
	Store blob.Store
	// Open opens the stores of pipelines that name one of their own. It may
	// return the same one again, and whoever set it closes them. Nil refuses them.
	Open func(ctx context.Context, url string) (blob.Store, error)
	// Warehouse is the database that tables are in.
	Warehouse warehouse.Database
	// Sync does what the step Sync does: it sorts and loads all that was
	// accepted, and returns how many rows. Nil is an environment without a lake.
	Sync func(ctx context.Context) (rows int64, err error)
	// Model does what the step Model does: it brings models up to date, all if none
	// is named, and returns how many rows were written. Nil is an environment
	// without models.
	Model func(ctx context.Context, names []string) (rows int64, err error)
	// Log is told of the beginning and end of each step. Defaults to none.
	Log *slog.Logger
	// Progress is told how many of a pipeline's steps are done, and which is
	// next. It may be called by several goroutines at a time. Defaults to none.
	Progress func(pipeline, step string, done, total int)
}

// of returns the environment as a pipeline sees it.
func (e Env) of(ctx context.Context, p *Pipeline) (Env, error) {
	if p.store == "" {
		return e, nil
	}
	if e.Open == nil {
		return e, fmt.Errorf("%w: pipeline %s has a store of its own, which cannot be opened here", arbalest.ErrInvalid, p.name)
	}
	var err error
	e.Store, err = e.Open(ctx, p.store)
	return e, err
}

func (e Env) progress(p *Pipeline, step string, done int) {
	if e.Progress != nil {
		e.Progress(p.name, step, done, len(p.steps))
	}
}

func (e Env) log() *slog.Logger {
	if e.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return e.Log
}

// A Step is one of a pipeline: BulkCopy, ManifestCopy, TimeSeries, SQL, Sync or
// Model.
type Step interface {
	// Name says what the step does: "bulk copy events/bulk into users".
	Name() string
	// check says what is wrong with the step's definition.
	check(warehouse.Dialect) error
	// lock names what no two transactions may work on at a time.
	lock(pipeline string, index int) string
	// run does the step.
	run(ctx context.Context, w *work) (Result, error)
	// validate does in a transaction that is rolled back what shows whether run
	// would succeed.
	validate(ctx context.Context, w *work, tx warehouse.Tx) (Result, error)
	// plan says what run would do.
	plan(ctx context.Context, w *work) (StepPlan, error)
	// fingerprint tells definitions apart.
	fingerprint() string
}

// A Result is what a step did.
type Result struct {
	Objects int64 `json:"objects,omitempty"` // copied
	Rows    int64 `json:"rows"`              // written
	Errors  int64 `json:"errors,omitempty"`  // rows that were left out: see arbalest.copy_errors

	reports []warehouse.CopyReport
	table   string
}

func (r *Result) add(o Result) {
	r.Objects += o.Objects
	r.Rows += o.Rows
	r.Errors += o.Errors
	r.reports = append(r.reports, o.reports...)
}

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$`)

// check says what is wrong with a pipeline, and those that it requires.
func (p *Pipeline) check(d warehouse.Dialect) error {
	if !validName.MatchString(p.name) {
		return fmt.Errorf("%w: pipeline name %q: use letters, digits, '.', '_' and '-', at most 127", arbalest.ErrInvalid, p.name)
	}
	if len(p.steps) == 0 {
		return fmt.Errorf("%w: pipeline %s has no steps", arbalest.ErrInvalid, p.name)
	}
	for i, s := range p.steps {
		if err := s.check(d); err != nil {
			return fmt.Errorf("pipeline %s, step %d: %w", p.name, i+1, err)
		}
	}
	return nil
}

// fingerprint tells the pipeline's definitions apart.
func (p *Pipeline) fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00", p.store)
	for _, s := range p.steps {
		fmt.Fprintf(h, "%s\x00%s\x00", s.Name(), s.fingerprint())
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// A work is a step being done.
type work struct {
	Env
	pipeline string
	run      string // its id
	index    int    // of the step, from 0
	step     Step
}

// describe spells a definition for its fingerprint.
func describe(parts ...any) string { return fmt.Sprintf("%q", fmt.Sprint(parts...)) }

// loosest is the dialect with the longest names, by which definitions are
// checked before the warehouse is known.
var loosest = warehouse.Dialect{MaxName: 127, Type: arbalest.Type.String}
