package pipeline_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"arbalest"
	"arbalest/pipeline"
)

// A task of a test notes when it ran.
type task struct {
	name     string
	requires []pipeline.Task
	complete bool
	err      error
	log      *taskLog
}

type taskLog struct {
	mu      sync.Mutex
	ran     []string
	running int
	most    int
}

func (t *task) Name() string              { return t.name }
func (t *task) Requires() []pipeline.Task { return t.requires }

func (t *task) Complete(context.Context) (bool, error) { return t.complete, nil }

func (t *task) Run(context.Context) error {
	t.log.mu.Lock()
	t.log.ran = append(t.log.ran, t.name)
	t.log.running++
	t.log.most = max(t.log.most, t.log.running)
	t.log.mu.Unlock()
	defer func() {
		t.log.mu.Lock()
		t.log.running--
		t.log.mu.Unlock()
	}()
	return t.err
}

func states(all []pipeline.TaskState) string {
	var out []string
	for _, s := range all {
		out = append(out, s.Name+" "+string(s.State))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func TestRunTasksInOrderOnce(t *testing.T) {
	log := &taskLog{}
	source := &task{name: "source", log: log}
	left := &task{name: "left", requires: []pipeline.Task{source}, log: log}
	right := &task{name: "right", requires: []pipeline.Task{source}, log: log}
	old := &task{name: "old", complete: true, requires: []pipeline.Task{&task{name: "never", log: log}}, log: log}
	top := &task{name: "top", requires: []pipeline.Task{left, right, old}, log: log}
	got, err := pipeline.RunTasks(t.Context(), 2, top)
	if err != nil || states(got) != "left done, old skipped, right done, source done, top done" {
		t.Errorf("%s, %v", states(got), err)
	}
	if len(log.ran) != 4 || log.ran[0] != "source" || log.ran[3] != "top" || log.most > 2 {
		t.Errorf("ran %v, %d at a time", log.ran, log.most)
	}
}

func TestRunTasksSkipsWhatRequiresAFailure(t *testing.T) {
	log, boom := &taskLog{}, errors.New("boom")
	bad := &task{name: "bad", err: boom, log: log}
	good := &task{name: "good", log: log}
	onBad := &task{name: "on bad", requires: []pipeline.Task{bad}, log: log}
	top := &task{name: "top", requires: []pipeline.Task{onBad, good}, log: log}
	got, err := pipeline.RunTasks(t.Context(), 1, top)
	if !errors.Is(err, boom) || states(got) != "bad failed, good done, on bad skipped, top skipped" {
		t.Errorf("%s, %v", states(got), err)
	}
	bad.requires = []pipeline.Task{top}
	if _, err := pipeline.RunTasks(t.Context(), 1, top); !errors.Is(err, arbalest.ErrInvalid) || !strings.Contains(err.Error(), "top requires on bad requires bad requires top") {
		t.Errorf("a circle: %v", err)
	}
}

func TestRunAllResumesTheGraph(t *testing.T) {
	onEach(t, func(p *place) {
		p.exec("CREATE TABLE counts (n INTEGER)")
		count := func(name, n string) *pipeline.Pipeline {
			return pipeline.New(name, pipeline.SQL(pipeline.S("INSERT INTO counts VALUES ("+n+")")))
		}
		first, copied := count("first", "1"), pipeline.New("copied", pipeline.ManifestCopy("s", numbers("numbers")))
		copied.Requires(first)
		last := count("last", "3").Requires(first, copied)
		p.put("s/a", `{"n":"bad"}`)
		r, err := last.RunAll(p.Context(), p.env, pipeline.Options{}, 2)
		if err == nil || states(r.Tasks) != "copied failed, first done, last skipped" {
			p.Fatalf("%s, %v", states(r.Tasks), err)
		}
		p.want("SELECT pipeline, state FROM arbalest.runs ORDER BY pipeline", "copied|failed", "first|done", "last|failed")
		p.put("s/a", `{"n":1}`)
		again, err := last.RunAll(p.Context(), p.env, pipeline.Options{}, 2)
		if err != nil || again.Key != r.Key || states(again.Tasks) != "copied done, first skipped, last done" {
			p.Errorf("%s, %v", states(again.Tasks), err)
		}
		p.want("SELECT n FROM counts ORDER BY n", "1", "3")
		if next, err := last.RunAll(p.Context(), p.env, pipeline.Options{}, 2); err != nil || states(next.Tasks) != "copied done, first done, last done" {
			p.Errorf("%s, %v", states(next.Tasks), err)
		}
		p.want("SELECT n FROM counts ORDER BY n", "1", "1", "3", "3")
	})
}
