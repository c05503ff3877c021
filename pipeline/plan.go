package pipeline

import (
	"context"
	"fmt"
)

// A StepPlan is what a step would do.
type StepPlan struct {
	Step       string   `json:"step"`
	Objects    int64    `json:"objects,omitempty"` // to copy
	Bytes      int64    `json:"bytes,omitempty"`   // of them, as stored
	Sample     []string `json:"sample,omitempty"`  // of their keys
	Sources    []string `json:"sources,omitempty"` // of a time series
	Statements []string `json:"statements,omitempty"`
	Note       string   `json:"note,omitempty"`
}

// Plan says what a run would do now: which objects it would copy, and which
// statements it would run. It writes nothing.
func (p *Pipeline) Plan(ctx context.Context, env Env) ([]StepPlan, error) {
	if err := p.check(env.Warehouse.Dialect()); err != nil {
		return nil, err
	}
	env, err := env.of(ctx, p)
	if err != nil {
		return nil, err
	}
	plans := make([]StepPlan, 0, len(p.steps))
	for i, s := range p.steps {
		sp, err := s.plan(ctx, &work{Env: env, pipeline: p.name, index: i, step: s})
		if err != nil {
			return plans, fmt.Errorf("plan step %d, %s: %w", i+1, s.Name(), err)
		}
		sp.Step = s.Name()
		plans = append(plans, sp)
	}
	return plans, nil
}
