package main

import (
	"context"
	"fmt"
	"reflect"

	"arbalest"
	"arbalest/internal/archive"
)

// verifications is how often verify compares anew because others loaded while it
// compared.
const verifications = 5

// Verify implements operator. Where others may load at the same time, what they
// loaded after it began looks like a difference: such a report counts for
// nothing.
func (e *engine) Verify(ctx context.Context, show func(progress)) (archive.Report, error) {
	e.work.Lock()
	defer e.work.Unlock()
	for range verifications {
		before, err := e.warehouse.Progress(ctx)
		if err != nil {
			return archive.Report{}, err
		}
		report, err := e.verify(ctx, show)
		if err != nil || e.alone || len(report.Findings) == 0 {
			return report, err
		}
		after, err := e.warehouse.Progress(ctx)
		if err != nil || reflect.DeepEqual(before, after) {
			return report, err
		}
	}
	return archive.Report{}, fmt.Errorf("%w: others loaded into the warehouse each of %d times that it was compared: verify again while they pause", arbalest.ErrBusy, verifications)
}

func (e *engine) verify(ctx context.Context, show func(progress)) (archive.Report, error) {
	var objects int64
	return archive.Verify(ctx, e.lake, e.warehouse, archive.Options{
		Table: e.loader.TableName,
		Advance: func(arbalest.Object) {
			objects++
			show(progress{Stage: "verify", Done: objects, Unit: "objects"})
		},
	})
}
