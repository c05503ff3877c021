package pipeline

import (
	"context"
	"fmt"

	"arbalest"
	"arbalest/internal/warehouse"
)

// BulkCopy makes a table of all that is below a source: everything is copied
// into a staging table, TABLE_update, which then takes the table's place, in one
// transaction. It is for data that changes seldom. It is idempotent because the
// table is made anew each time; repeats of earlier runs go with it.
//
// Views on the table keep the warehouse from dropping it: in Redshift make them
// WITH NO SCHEMA BINDING. Grants on the table are to be given again.
func BulkCopy(source string, schema arbalest.Schema, options ...Option) Step {
	return &bulkCopy{newCopying(source, schema, options)}
}

type bulkCopy struct{ copying }

func (b *bulkCopy) Name() string {
	return fmt.Sprintf("bulk copy %s into %s", b.source, b.schema.Table)
}

func (b *bulkCopy) check(d warehouse.Dialect) error { return b.checkStaged(d) }

func (b *bulkCopy) run(ctx context.Context, w *work) (Result, error) {
	objects, err := b.all(ctx, w.Store)
	if err != nil {
		return Result{}, err
	}
	return w.commit(ctx, func(tx warehouse.Tx) (Result, error) {
		columns, table := b.columns(w.Warehouse.Dialect()), tableName(b.schema.Table)
		stage := table.with(updateSuffix)
		if err := execAll(ctx, tx, b.stage(w.Warehouse.Dialect())...); err != nil {
			return Result{}, err
		}
		r, err := b.copyInto(ctx, tx, stage.sql(), columns, w.Store, objects, false)
		if err != nil {
			return r, err
		}
		return r, execAll(ctx, tx, b.promote()...)
	})
}

// stage are the statements that make the staging table.
func (b *bulkCopy) stage(d warehouse.Dialect) []string {
	stage := tableName(b.schema.Table).with(updateSuffix)
	return []string{
		"DROP TABLE IF EXISTS " + stage.sql(),
		fmt.Sprintf("CREATE TABLE %s (%s)", stage.sql(), d.Define(b.columns(d))),
	}
}

// promote are the statements that put the staging table in the table's place.
func (b *bulkCopy) promote() []string {
	table := tableName(b.schema.Table)
	return []string{
		"DROP TABLE IF EXISTS " + table.sql(),
		fmt.Sprintf("ALTER TABLE %s RENAME TO %s", table.with(updateSuffix).sql(), table.base()),
	}
}

func (b *bulkCopy) validate(ctx context.Context, w *work, tx warehouse.Tx) (Result, error) {
	objects, err := b.all(ctx, w.Store)
	if err != nil {
		return Result{}, err
	}
	d := w.Warehouse.Dialect()
	if err := execAll(ctx, tx, b.stage(d)...); err != nil {
		return Result{}, err
	}
	r, err := b.copyInto(ctx, tx, tableName(b.schema.Table).with(updateSuffix).sql(), b.columns(d), w.Store, objects, true)
	if err != nil {
		return r, err
	}
	return r, execAll(ctx, tx, b.promote()...)
}

func (b *bulkCopy) plan(ctx context.Context, w *work) (StepPlan, error) {
	objects, err := b.all(ctx, w.Store)
	if err != nil {
		return StepPlan{}, err
	}
	p := StepPlan{Objects: int64(len(objects)), Bytes: totalBytes(objects), Sample: sample(objects)}
	p.Statements = append(append(b.stage(w.Warehouse.Dialect()), b.copyLine(len(objects), tableName(b.schema.Table).with(updateSuffix))), b.promote()...)
	return p, nil
}

// copyLine says in a plan where a copy comes.
func (c copying) copyLine(objects int, into tableName) string {
	return fmt.Sprintf("-- copy %d objects of %s into %s", objects, c.source, into.sql())
}
