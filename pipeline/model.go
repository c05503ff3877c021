package pipeline

import (
	"context"
	"fmt"
	"strings"

	"arbalest"
	"arbalest/internal/warehouse"
)

// Model brings SQL models up to date, with all that they need: those in the
// folder of models, all if none is named. It is idempotent because a model that
// is up to date is left as it is. Each model is a transaction of its own.
func Model(names ...string) Step { return modelStep{names} }

type modelStep struct{ names []string }

func (m modelStep) Name() string {
	if len(m.names) == 0 {
		return "models"
	}
	return "model " + strings.Join(m.names, ", ")
}

func (m modelStep) check(warehouse.Dialect) error {
	for _, name := range m.names {
		if strings.TrimSpace(name) == "" {
			return fmt.Errorf("%w: model without a name", arbalest.ErrInvalid)
		}
	}
	return nil
}

func (m modelStep) lock(pipeline string, index int) string {
	return lockName("step", fmt.Sprintf("%s/%d", pipeline, index))
}

func (m modelStep) fingerprint() string { return describe("model", m.names) }

func (m modelStep) run(ctx context.Context, w *work) (Result, error) {
	if w.Env.Model == nil {
		return Result{}, fmt.Errorf("%w: model: there is no folder of models here: run it with --data", arbalest.ErrInvalid)
	}
	rows, err := w.Env.Model(ctx, m.names)
	if err != nil {
		return Result{Rows: rows}, err
	}
	return w.commit(ctx, func(warehouse.Tx) (Result, error) { return Result{Rows: rows}, nil })
}

func (modelStep) validate(context.Context, *work, warehouse.Tx) (Result, error) { return Result{}, nil }

func (modelStep) plan(context.Context, *work) (StepPlan, error) {
	return StepPlan{Note: "builds what is not up to date: see arbalest build --plan"}, nil
}
