package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"arbalest"
	"arbalest/internal/warehouse"
)

// A Task is something to be done once others are: a Pipeline in an Env
// (Pipeline.Task), or anything else that has these methods, which are those of
// Luigi's tasks.
type Task interface {
	// Name tells tasks apart: two of the same name are one.
	Name() string
	// Requires are the tasks that have to be complete before this one runs.
	Requires() []Task
	// Complete says whether there is nothing to do.
	Complete(ctx context.Context) (bool, error)
	// Run does it.
	Run(ctx context.Context) error
}

// A TaskState is how a task of a graph ended: done, failed, or skipped because
// it was complete before, or because one that it requires failed.
type TaskState struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	Why   string `json:"why,omitempty"`
}

// RunTasks runs tasks and all that they require, each once, those that are
// required first, at most parallel at a time. It skips what is complete, without
// a look at what that requires, and what requires a task that failed; others go
// on. The error joins those of the tasks that failed; a task that requires
// itself is arbalest.ErrInvalid, and then none is run.
func RunTasks(ctx context.Context, parallel int, tasks ...Task) ([]TaskState, error) {
	g := &graph{slots: make(chan struct{}, max(1, parallel)), nodes: map[string]*node{}}
	for _, t := range tasks {
		if err := g.visit(ctx, t, nil); err != nil {
			return nil, err
		}
	}
	var all sync.WaitGroup
	for _, n := range g.order {
		all.Go(func() { g.do(ctx, n) })
	}
	all.Wait()
	states := make([]TaskState, len(g.order))
	var failed []error
	for i, n := range g.order {
		states[i] = n.state
		if n.err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", n.state.Name, n.err))
		}
	}
	return states, errors.Join(failed...)
}

// A graph is a RunTasks.
type graph struct {
	slots chan struct{}
	nodes map[string]*node
	order []*node // each after those that it requires
}

// A node is a task of a graph. What it came to is good once it ended.
type node struct {
	task     Task
	requires []string
	complete bool
	ended    chan struct{}
	state    TaskState
	err      error
}

// visit adds a task, after all that it requires. path has the tasks that led to
// it.
func (g *graph) visit(ctx context.Context, t Task, path []string) error {
	name := t.Name()
	if slices.Contains(path, name) {
		return fmt.Errorf("%w: %s: a task cannot require itself", arbalest.ErrInvalid, strings.Join(append(path, name), " requires "))
	}
	if g.nodes[name] != nil {
		return nil
	}
	n := &node{task: t, ended: make(chan struct{}), state: TaskState{Name: name, State: Skipped}}
	var err error
	if n.complete, err = t.Complete(ctx); err != nil {
		return fmt.Errorf("is %s complete: %w", name, err)
	}
	if !n.complete {
		for _, r := range t.Requires() {
			if err := g.visit(ctx, r, append(slices.Clone(path), name)); err != nil {
				return err
			}
			n.requires = append(n.requires, r.Name())
		}
	}
	g.nodes[name] = n
	g.order = append(g.order, n)
	return nil
}

// do waits for what a task requires, and does it.
func (g *graph) do(ctx context.Context, n *node) {
	defer close(n.ended)
	if n.complete {
		n.state.Why = complete
		return
	}
	for _, name := range n.requires {
		other := g.nodes[name]
		<-other.ended
		if other.state.State != Done && !other.complete {
			n.state.Why = "it requires " + name
			return
		}
	}
	g.slots <- struct{}{}
	defer func() { <-g.slots }()
	if n.err = ctx.Err(); n.err == nil {
		n.err = n.task.Run(ctx)
	}
	n.state.State = Done
	if n.err != nil {
		n.state.State, n.state.Why = Failed, n.err.Error()
	}
}

// complete is why a task that had nothing to do was skipped.
const complete = "complete"

// A PipelineTask is a pipeline in an environment, as a Task of a graph: it is
// complete if a run of its key is done.
type PipelineTask struct {
	pipeline *Pipeline
	env      Env
	key      string
	requires []Task

	mu     sync.Mutex
	report *Report
}

// Task returns the pipeline as a task, with all that it requires. The key is
// that of its run and of theirs, and must not be empty: of two calls with the
// same key the second finds done what the first did.
func (p *Pipeline) Task(env Env, key string) *PipelineTask {
	return p.task(env, key, map[*Pipeline]*PipelineTask{})
}

// task makes one task of each pipeline, also if it is required twice.
func (p *Pipeline) task(env Env, key string, made map[*Pipeline]*PipelineTask) *PipelineTask {
	if t := made[p]; t != nil {
		return t
	}
	t := &PipelineTask{pipeline: p, env: env, key: key}
	made[p] = t
	for _, r := range p.requires {
		t.requires = append(t.requires, r.task(env, key, made))
	}
	return t
}

// Name returns the pipeline's name.
func (t *PipelineTask) Name() string { return t.pipeline.name }

// Requires returns the tasks of the pipelines that it requires.
func (t *PipelineTask) Requires() []Task { return t.requires }

// Complete says whether the run of the key is done.
func (t *PipelineTask) Complete(ctx context.Context) (bool, error) {
	if there, err := tableName("arbalest.runs").exists(ctx, t.env.Warehouse); err != nil || !there {
		return false, err
	}
	last, err := t.pipeline.last(ctx, t.env.Warehouse, t.key)
	return last != nil && last.state == Done, err
}

// Run runs the pipeline, or resumes its run of that key.
func (t *PipelineTask) Run(ctx context.Context) error {
	r, err := t.pipeline.Run(ctx, t.env, Options{Key: t.key})
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report = &r
	return err
}

// Report returns what Run did; nil if it was not called.
func (t *PipelineTask) Report() *Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.report
}

// A GraphReport is what RunAll did.
type GraphReport struct {
	Key   string      `json:"key"`
	Tasks []TaskState `json:"tasks"`
	// Runs are those of the pipelines that had something to do.
	Runs []Report `json:"runs"`
}

// RunAll runs a pipeline and all that it requires, at most parallel at a time.
// Without a key it resumes the last run of the pipeline if that is not done:
// what was done then is skipped, and what failed is resumed.
func (p *Pipeline) RunAll(ctx context.Context, env Env, opts Options, parallel int) (GraphReport, error) {
	if err := p.checkAll(env.Warehouse.Dialect(), map[*Pipeline]bool{}, map[string]*Pipeline{}); err != nil {
		return GraphReport{}, err
	}
	if err := makeLedger(ctx, env.Warehouse); err != nil {
		return GraphReport{}, err
	}
	run, err := p.open(ctx, env.Warehouse, opts)
	if err != nil {
		return GraphReport{}, fmt.Errorf("begin run of %s: %w", p.name, err)
	}
	made := map[*Pipeline]*PipelineTask{}
	root := p.task(env, run.key, made)
	r := GraphReport{Key: run.key}
	r.Tasks, err = RunTasks(ctx, parallel, root)
	for _, s := range r.Tasks {
		for _, t := range made {
			if report := t.Report(); report != nil && t.Name() == s.Name {
				r.Runs = append(r.Runs, *report)
			}
		}
		if s.Name == p.name && s.State == Skipped && s.Why != complete {
			err = errors.Join(err, closeRun(ctx, env.Warehouse, run.id, Failed, errors.New(s.Why)))
		}
	}
	return r, err
}

// checkAll says what is wrong with a pipeline and those that it requires, and
// that no two have one name.
func (p *Pipeline) checkAll(d warehouse.Dialect, seen map[*Pipeline]bool, names map[string]*Pipeline) error {
	if seen[p] {
		return nil
	}
	seen[p] = true
	if err := p.check(d); err != nil {
		return err
	}
	if names[p.name] != nil {
		return fmt.Errorf("%w: two pipelines are named %s", arbalest.ErrInvalid, p.name)
	}
	names[p.name] = p
	for _, r := range p.requires {
		if err := r.checkAll(d, seen, names); err != nil {
			return err
		}
	}
	return nil
}
