package model

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"arbalest/internal/warehouse"
)

// errWaiting is why a model is not built that reads a table which will come.
var errWaiting = errors.New("waiting")

// Options are those of a Builder. The zero value works.
type Options struct {
	// Parallel is how many models are built at a time. Defaults to 1.
	Parallel int
	// Full builds in full what is incremental or up to date. Defaults to no.
	Full bool
	// Expected are tables that are declared, and come with their first event: a
	// model that reads one waits for it. Defaults to none.
	Expected []string
	// Progress is told how many models are done. Defaults to none.
	Progress func(done, total int)
}

func (o Options) withDefaults() Options {
	o.Parallel = max(o.Parallel, 1)
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	return o
}

// A Builder builds the models of a folder. It does one pass at a time.
type Builder struct {
	db      warehouse.Database
	dialect warehouse.Dialect
	set     *Set
	opts    Options
}

// New returns a builder of a set, whose references it resolves.
func New(ctx context.Context, db warehouse.Database, set *Set, opts Options) *Builder {
	set.Resolve(ctx, db)
	return &Builder{db: db, dialect: db.Dialect(), set: set, opts: opts.withDefaults()}
}

// A Result is what became of a model in a pass.
type Result struct {
	Model string `json:"model"`
	// State is built, current (there was nothing to do), failed, skipped (what it
	// needs failed) or waiting (for the first event of a table).
	State string `json:"state"`
	// How is view, full or incremental, of what was built.
	How     string  `json:"how,omitempty"`
	Why     string  `json:"why,omitempty"`
	Hours   int     `json:"hours,omitempty"` // made again
	Rows    int64   `json:"rows"`            // written
	Seconds float64 `json:"seconds"`

	err error
}

// The states of a Result.
const (
	Built   = "built"
	Current = "current"
	Failed  = "failed"
	Skipped = "skipped"
	Waiting = "waiting"
)

// Once makes one pass over the named models and all that they need, or over all
// models: each that is not up to date is built, in one transaction of its own,
// after those that it reads. One that fails holds up only those that read it.
// The error joins those of the models; the results are good in any case.
func (b *Builder) Once(ctx context.Context, names ...string) ([]Result, error) {
	if len(b.set.Models) == 0 && len(names) == 0 {
		return nil, nil
	}
	models, err := b.set.Select(names...)
	if err != nil {
		return nil, err
	}
	if err := makeLedger(ctx, b.db); err != nil {
		return nil, err
	}
	if b.dialect.Name == "postgres" {
		// Making a table anew drops the views on it.
		models = append(models, b.set.dependents(models)...)
	}
	results := b.run(ctx, models)
	var failed []error
	for _, r := range results {
		if r.err != nil {
			failed = append(failed, fmt.Errorf("model %s: %w", r.Model, r.err))
		}
	}
	return results, errors.Join(failed...)
}

// build brings one model up to date.
func (b *Builder) build(ctx context.Context, m *Model) Result {
	start := time.Now()
	r := Result{Model: m.Name, State: Current}
	err := m.err
	if err == nil {
		err = b.db.Transact(ctx, lock(m.Name), func(tx warehouse.Tx) error {
			if done, err := b.within(ctx, tx, m, start); err != nil || done.State == Built {
				// Of an attempt whose commit was not known to succeed, the next
				// finds it up to date: it says what it did.
				r = done
				return err
			}
			return nil
		})
	}
	r.Model, r.Seconds = m.Name, time.Since(start).Seconds()
	switch {
	case err == nil:
	case errors.Is(err, errWaiting):
		r.State, r.Why = Waiting, err.Error()
	default:
		r = Result{Model: m.Name, State: Failed, Why: err.Error(), Seconds: r.Seconds, err: err}
		told, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTimeout)
		defer cancel()
		if told := fail(told, b.db, m, err); told != nil {
			r.err = errors.Join(err, told)
		}
	}
	return r
}

// tellTimeout is how long a build that was interrupted takes to note it.
const tellTimeout = 5 * time.Second

// within does a build in its transaction.
func (b *Builder) within(ctx context.Context, tx warehouse.Tx, m *Model, start time.Time) (Result, error) {
	r := Result{State: Current}
	v, err := b.look(ctx, tx, m)
	if err != nil {
		return r, err
	}
	p, err := b.decide(ctx, tx, m, v, b.opts.Full)
	if err != nil || p.how == "" {
		return r, err
	}
	s := &State{Kind: m.Kind, fingerprint: m.fingerprint(), sources: v.now, Commit: v.commit(), State: Built}
	if v.state != nil {
		s.Build, s.token, s.Rows = v.state.Build, v.state.token, v.state.Rows
	}
	s.Build++
	if p.how == incremental {
		same := true
		if p.check {
			if same, err = b.isSame(ctx, tx, m, v); err != nil {
				return r, err
			}
		}
		days := spansOf(p.hours, m.ByDay)
		switch {
		case !same:
			p = plan{how: inFull, why: "its columns changed"}
		case len(days) > maxSpans:
			p = plan{how: inFull, why: "many hours were touched"}
		}
	}
	r = Result{State: Built, How: p.how, Why: p.why}
	switch p.how {
	case asView:
		err = b.view(ctx, tx, m, v)
		if v.state == nil || v.state.fingerprint != s.fingerprint {
			s.token = rand.Text()
		}
	case inFull:
		r.Rows, err = b.full(ctx, tx, m, v)
		s.token, s.Rows = rand.Text(), r.Rows
	case incremental:
		var gone int64
		r.Hours = len(hoursOf(p.hours, m.ByDay))
		r.Rows, gone, err = b.redo(ctx, tx, m, s.Build, p.hours)
		s.Rows += r.Rows - gone
	}
	if err != nil {
		return r, err
	}
	s.Built, s.Seconds = warehouse.Now(), time.Since(start).Seconds()
	return r, s.write(ctx, tx, m.Name)
}

// An Outlook is what a pass would do to a model.
type Outlook struct {
	*Model
	State *State // nil if it was never tried
	How   string // what the next build would be; empty if it is up to date
	Why   string
	Err   error
}

// Outlooks says of the named models and all that they need, or of all, how they
// stand and what a pass would do. It changes nothing. What a model would need
// because of what the pass does before is not known yet, and not told.
func (b *Builder) Outlooks(ctx context.Context, names ...string) ([]Outlook, error) {
	models, err := b.set.Select(names...)
	if err != nil {
		return nil, err
	}
	made, err := isMade(ctx, b.db)
	if err != nil {
		return nil, err
	}
	var out []Outlook
	for _, m := range models {
		o := Outlook{Model: m, Err: m.err}
		switch {
		case m.err != nil:
		case !made:
			o.How, o.Why = m.how(), "it was never built"
		default:
			v, err := b.look(ctx, b.db, m)
			if err != nil {
				o.Err = err
				break
			}
			o.State = v.state
			p, err := b.decide(ctx, b.db, m, v, b.opts.Full)
			o.How, o.Why, o.Err = p.how, p.why, err
		}
		out = append(out, o)
	}
	return out, nil
}

// IsWaiting says that a model is only waiting for a table's first event.
func IsWaiting(err error) bool { return errors.Is(err, errWaiting) }

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// checkPartition says what is wrong with the column of event times.
func (m *Model) checkPartition(r relationInfo) error {
	kind := r.kindOf(m.Partition)
	if kind == "" {
		var names []string
		for _, c := range r.columns {
			names = append(names, c.name)
		}
		return m.bad(m.partition, "partition: the result has no column %s: it has %v", m.Partition, names)
	}
	if kind = firstWord(kind); !slices.Contains([]string{"timestamp", "date"}, kind) {
		return m.bad(m.partition, "partition: column %s is %s: want a TIMESTAMP, or a DATE with by day", m.Partition, r.kindOf(m.Partition))
	}
	if kind == "date" && !m.ByDay {
		return m.bad(m.partition, "partition: column %s is a DATE, which does not tell hours apart: write %[2]s by day", m.Partition)
	}
	return nil
}
