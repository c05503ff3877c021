package pipeline

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"arbalest"
	"arbalest/internal/warehouse"
)

// Options are those of a run.
type Options struct {
	// Key names the run: with the key of a run that is done nothing is done, so
	// that a scheduler may call twice for the same day. Defaults to resuming the
	// last run if it is not done, else to a run of its own.
	Key string
	// Fresh begins a new run though the last one is not done. It has no effect
	// with a Key.
	Fresh bool
}

// A Report is what a run did.
type Report struct {
	Pipeline string       `json:"pipeline"`
	Run      string       `json:"run"`
	Key      string       `json:"key"`
	State    State        `json:"state"`
	Steps    []StepReport `json:"steps"`
	Seconds  float64      `json:"seconds"`
}

// A StepReport is what a step of a run did.
type StepReport struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	// Earlier says that it was done before this call, or by another runner.
	Earlier bool `json:"earlier,omitempty"`
	Result
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"`
}

// Rows returns how many rows the run wrote.
func (r Report) Rows() (rows int64) {
	for _, s := range r.Steps {
		rows += s.Rows
	}
	return rows
}

// Run runs the pipeline, without those that it requires: it resumes its last
// run if that is not done, else begins another. The first step that fails ends
// the run, and its error is returned; the Report is good in any case. What a
// step did before a crash stays done.
func (p *Pipeline) Run(ctx context.Context, env Env, opts Options) (Report, error) {
	start := time.Now()
	r := Report{Pipeline: p.name, State: Failed}
	if err := p.check(env.Warehouse.Dialect()); err != nil {
		return r, err
	}
	if len(opts.Key) > 255 {
		return r, fmt.Errorf("%w: run key of %d bytes: at most 255 are allowed", arbalest.ErrInvalid, len(opts.Key))
	}
	env, err := env.of(ctx, p)
	if err != nil {
		return r, err
	}
	if err := makeLedger(ctx, env.Warehouse); err != nil {
		return r, err
	}
	run, err := p.open(ctx, env.Warehouse, opts)
	if err != nil {
		return r, fmt.Errorf("begin run of %s: %w", p.name, err)
	}
	r.Run, r.Key = run.id, run.key
	for i, s := range p.steps {
		w := &work{Env: env, pipeline: p.name, run: run.id, index: i, step: s}
		env.progress(p, s.Name(), i)
		step, err := w.do(ctx)
		r.Steps = append(r.Steps, step)
		if err != nil {
			r.Seconds = time.Since(start).Seconds()
			return r, errors.Join(fmt.Errorf("step %d, %s: %w", i+1, s.Name(), err), closeRun(ctx, env.Warehouse, run.id, Failed, err))
		}
	}
	env.progress(p, "", len(p.steps))
	r.State, r.Seconds = Done, time.Since(start).Seconds()
	return r, closeRun(ctx, env.Warehouse, run.id, Done, nil)
}

// do takes a step from where it is to done or failed.
func (w *work) do(ctx context.Context) (StepReport, error) {
	start, name := time.Now(), w.step.Name()
	r := StepReport{Name: name, State: Done}
	var done bool
	var err error
	if r.Result, done, err = w.begin(ctx); err != nil {
		r.State, r.Error = Failed, err.Error()
		return r, err
	}
	if done {
		r.Earlier = true
		w.log().Info("step was done before", "pipeline", w.pipeline, "step", name)
		return r, nil
	}
	w.log().Info("step begins", "pipeline", w.pipeline, "step", name)
	r.Result, err = w.step.run(ctx, w)
	r.Seconds = time.Since(start).Seconds()
	if err == nil {
		w.log().Info("step is done", "pipeline", w.pipeline, "step", name, "rows", r.Rows, "seconds", r.Seconds)
		return r, nil
	}
	r.State, r.Error = Failed, err.Error()
	w.log().Error("step failed", "pipeline", w.pipeline, "step", name, "error", err)
	// A run that was interrupted says so too, if it can be told in time.
	told, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTimeout)
	defer cancel()
	return r, errors.Join(err, w.fail(told, err))
}

// tellTimeout is how long a run that was interrupted takes to note it.
const tellTimeout = 5 * time.Second

// An opened is a run that is being done.
type opened struct{ id, key string }

// open finds the run that is to be gone on with, or begins one.
func (p *Pipeline) open(ctx context.Context, db warehouse.Database, opts Options) (run opened, err error) {
	id := ulid.MustNew(ulid.Now(), rand.Reader).String()
	err = db.Transact(ctx, "runs", func(tx warehouse.Tx) error {
		last, err := p.last(ctx, tx, opts.Key)
		if err != nil {
			return err
		}
		switch {
		case last == nil:
		case last.id == id: // of this very transaction, whose answer was lost
			run = opened{id, last.key}
			return nil
		case opts.Key != "" && last.state == Done:
			run = opened{last.id, last.key} // with all of its steps done
			return nil
		case last.state != Done && last.fingerprint == p.fingerprint() && !opts.Fresh:
			run = opened{last.id, last.key}
			_, err := tx.Exec(ctx, `UPDATE arbalest.runs SET state = 'running', finished_at = NULL, message = NULL WHERE run_id = $1 AND state <> 'done'`, run.id)
			return err
		case last.state != Done:
			if err := supersede(ctx, tx, last.id); err != nil {
				return err
			}
		}
		run = opened{id, opts.Key}
		if run.key == "" {
			run.key = id
		}
		return p.write(ctx, tx, run)
	})
	return run, err
}

// A lastRun is a row of arbalest.runs.
type lastRun struct {
	id, key, fingerprint string
	state                State
}

// last returns the pipeline's newest run, of the key if there is one; nil if it
// has none.
func (p *Pipeline) last(ctx context.Context, q querier, key string) (*lastRun, error) {
	query, args := `SELECT run_id, run_key, fingerprint, state FROM arbalest.runs WHERE pipeline = $1`, []any{p.name}
	if key != "" {
		query, args = query+` AND run_key = $2`, append(args, key)
	}
	var last *lastRun
	err := q.Query(ctx, query+` ORDER BY started_at DESC, run_id DESC LIMIT 1`, func(values []any) error {
		last = &lastRun{}
		last.id, _ = values[0].(string)
		last.key, _ = values[1].(string)
		last.fingerprint, _ = values[2].(string)
		state, _ := values[3].(string)
		last.state = State(state)
		return nil
	}, args...)
	return last, err
}

// supersede ends a run that another takes the place of.
func supersede(ctx context.Context, tx warehouse.Tx, run string) error {
	for _, statement := range []string{
		`UPDATE arbalest.runs SET state = 'failed', finished_at = $1, message = 'superseded by a new run' WHERE run_id = $2 AND state <> 'failed'`,
		`UPDATE arbalest.steps SET state = 'skipped', finished_at = $1 WHERE run_id = $2 AND state IN ('pending', 'running')`,
	} {
		if _, err := tx.Exec(ctx, statement, warehouse.Now(), run); err != nil {
			return err
		}
	}
	return nil
}

// write writes a new run with its steps.
func (p *Pipeline) write(ctx context.Context, tx warehouse.Tx, run opened) error {
	_, err := tx.Exec(ctx, `INSERT INTO arbalest.runs VALUES ($1, $2, $3, $4, 'running', $5, NULL, NULL, NULL, NULL)`, run.id, p.name, run.key, p.fingerprint(), warehouse.Now())
	if err != nil {
		return err
	}
	for i, s := range p.steps {
		_, err := tx.Exec(ctx, `INSERT INTO arbalest.steps VALUES ($1, $2, $3, $4, 'pending', 0, NULL, NULL, NULL, NULL, NULL, NULL)`, run.id, p.name, int64(i+1), warehouse.Fit(s.Name(), 1024))
		if err != nil {
			return err
		}
	}
	return nil
}

// closeRun notes how a run ended. A runner that fails in a run that another
// has done changes nothing.
func closeRun(ctx context.Context, db warehouse.Database, run string, state State, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTimeout)
	defer cancel()
	var message any
	if why != nil {
		message = warehouse.Fit(why.Error(), 4096)
	}
	err := db.Transact(ctx, "runs", func(tx warehouse.Tx) error {
		rows, err := count(ctx, tx, `SELECT CAST(coalesce(sum(row_count), 0) AS BIGINT) FROM arbalest.steps WHERE run_id = $1`, run)
		if err != nil {
			return err
		}
		wrong, err := count(ctx, tx, `SELECT CAST(coalesce(sum(error_count), 0) AS BIGINT) FROM arbalest.steps WHERE run_id = $1`, run)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE arbalest.runs SET state = $1, finished_at = $2, row_count = $3, error_count = $4, message = $5 WHERE run_id = $6 AND state <> 'done'`,
			string(state), warehouse.Now(), rows, wrong, message, run)
		return err
	})
	if err != nil {
		return fmt.Errorf("note how run %s ended: %w", run, err)
	}
	return nil
}

// Validate does what shows whether a run would succeed, and leaves no trace:
// every step in one transaction that is rolled back, with each object read and
// each value checked, but none loaded (NOLOAD in Redshift) save for a time
// series, whose dates are looked at. The first step that fails ends it, since
// those after it may need it.
func (p *Pipeline) Validate(ctx context.Context, env Env) (Report, error) {
	start := time.Now()
	r := Report{Pipeline: p.name, State: Failed}
	if err := p.check(env.Warehouse.Dialect()); err != nil {
		return r, err
	}
	env, err := env.of(ctx, p)
	if err != nil {
		return r, err
	}
	err = env.Warehouse.Transact(ctx, lockName("validate", p.name), func(tx warehouse.Tx) error {
		r.Steps = nil
		// Steps look into the ledger, which may not be there yet.
		if err := execAll(ctx, tx, ledger[:]...); err != nil {
			return err
		}
		for i, s := range p.steps {
			w := &work{Env: env, pipeline: p.name, index: i, step: s}
			from := time.Now()
			env.progress(p, s.Name(), i)
			result, err := s.validate(ctx, w, tx)
			step := StepReport{Name: s.Name(), State: Done, Result: result, Seconds: time.Since(from).Seconds()}
			if err != nil {
				step.State, step.Error = Failed, err.Error()
				r.Steps = append(r.Steps, step)
				return fmt.Errorf("step %d, %s: %w", i+1, s.Name(), err)
			}
			r.Steps = append(r.Steps, step)
		}
		return errPlanned
	})
	r.Seconds = time.Since(start).Seconds()
	if !errors.Is(err, errPlanned) {
		for _, s := range p.steps[min(len(r.Steps), len(p.steps)):] {
			r.Steps = append(r.Steps, StepReport{Name: s.Name(), State: Skipped})
		}
		return r, err
	}
	r.State = Done
	return r, nil
}
