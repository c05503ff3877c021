package pipeline

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/warehouse"
)

// SQL runs statements in one transaction: all of them or none. It is idempotent
// only if its statements are, so begin with DROP TABLE IF EXISTS, or DELETE what
// is inserted. In a resumed run a step that is done is not run again.
//
// In Redshift TRUNCATE and VACUUM commit, and parameters are for SELECT, INSERT,
// UPDATE and DELETE only (Database Developer Guide, "TRUNCATE", "PREPARE").
func SQL(statements ...Statement) Step { return &sqlStep{statements} }

// A Statement is one of SQL's. S makes one.
type Statement struct {
	SQL  string
	Args []any // $1, $2, …: nil, bool, int64, float64, string or time.Time
}

// S returns a statement with its arguments. Whole numbers of other types are
// made int64, if they are not too large.
func S(sql string, args ...any) Statement {
	args = slices.Clone(args)
	for i, a := range args {
		switch v := reflect.ValueOf(a); {
		case v.CanInt():
			args[i] = v.Int()
		case v.CanUint() && v.Uint() <= math.MaxInt64:
			args[i] = int64(v.Uint())
		case v.CanFloat():
			args[i] = v.Float()
		}
	}
	return Statement{sql, args}
}

type sqlStep struct{ statements []Statement }

func (s *sqlStep) Name() string {
	if len(s.statements) == 1 {
		return "sql: " + firstWords(s.statements[0].SQL)
	}
	return fmt.Sprintf("sql: %d statements", len(s.statements))
}

func (s *sqlStep) check(warehouse.Dialect) error {
	if len(s.statements) == 0 {
		return fmt.Errorf("%w: sql without a statement", arbalest.ErrInvalid)
	}
	for i, one := range s.statements {
		if strings.TrimSpace(one.SQL) == "" {
			return fmt.Errorf("%w: statement %d is empty", arbalest.ErrInvalid, i+1)
		}
		for k, a := range one.Args {
			switch a.(type) {
			case nil, bool, int64, float64, string, time.Time:
			default:
				return fmt.Errorf("%w: statement %d, parameter %d is a %T: want a text, a number, a boolean, a time or none", arbalest.ErrInvalid, i+1, k+1, a)
			}
		}
	}
	return nil
}

func (s *sqlStep) lock(pipeline string, index int) string {
	return lockName("step", fmt.Sprintf("%s/%d", pipeline, index))
}

func (s *sqlStep) fingerprint() string { return describe(s.statements) }

func (s *sqlStep) run(ctx context.Context, w *work) (Result, error) {
	return w.commit(ctx, func(tx warehouse.Tx) (Result, error) { return s.do(ctx, tx) })
}

func (s *sqlStep) do(ctx context.Context, tx warehouse.Tx) (r Result, err error) {
	for i, one := range s.statements {
		n, err := tx.Exec(ctx, one.SQL, one.Args...)
		if err != nil {
			return r, fmt.Errorf("statement %d, %s: %w", i+1, firstWords(one.SQL), err)
		}
		r.Rows += n
	}
	return r, nil
}

func (s *sqlStep) validate(ctx context.Context, _ *work, tx warehouse.Tx) (Result, error) {
	return s.do(ctx, tx)
}

func (s *sqlStep) plan(context.Context, *work) (p StepPlan, err error) {
	for _, one := range s.statements {
		text := one.SQL
		if len(one.Args) > 0 {
			text += fmt.Sprintf(" -- with %v", one.Args)
		}
		p.Statements = append(p.Statements, text)
	}
	return p, nil
}

// Sync sorts and loads all that the lake has accepted: it follows the log. It is
// idempotent because loading is exact.
func Sync() Step { return syncStep{} }

type syncStep struct{}

func (syncStep) Name() string { return "sync" }

func (syncStep) check(warehouse.Dialect) error { return nil }

func (syncStep) lock(pipeline string, index int) string {
	return lockName("step", fmt.Sprintf("%s/%d", pipeline, index))
}

func (syncStep) fingerprint() string { return "sync" }

func (syncStep) run(ctx context.Context, w *work) (Result, error) {
	if w.Env.Sync == nil {
		return Result{}, fmt.Errorf("%w: sync: this store has no lake here: run it with --data", arbalest.ErrInvalid)
	}
	rows, err := w.Env.Sync(ctx)
	if err != nil {
		return Result{Rows: rows}, err
	}
	return w.commit(ctx, func(warehouse.Tx) (Result, error) { return Result{Rows: rows}, nil })
}

func (syncStep) validate(context.Context, *work, warehouse.Tx) (Result, error) { return Result{}, nil }

func (syncStep) plan(context.Context, *work) (StepPlan, error) {
	return StepPlan{Note: "sorts and loads what was accepted: see arbalest status"}, nil
}
