package main

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"time"

	"arbalest"
	"arbalest/internal/archive"
)

// verifications is how often verify compares anew because others loaded while it
// compared.
const verifications = 5

// A verifyRequest says what is compared.
type verifyRequest struct {
	Content bool           `json:"content,omitempty"`
	Sample  archive.Sample `json:"sample"`
}

// verified is what came of the newest verification of this process, and how far the
// one has come that goes on.
type verified struct {
	mu       sync.Mutex
	report   *archive.Report // nil if there is none
	err      error           // why there is none
	begun    time.Time       // of the report
	took     time.Duration
	running  time.Time // when the one that goes on began; zero if none does
	progress int64     // objects that it has read
}

// Verify implements operator.
func (e *engine) Verify(ctx context.Context, r verifyRequest, show func(progress)) (archive.Report, error) {
	e.work.Lock()
	defer e.work.Unlock()
	n := &e.verified
	start := time.Now()
	n.mu.Lock()
	n.running, n.progress = start, 0
	n.mu.Unlock()
	report, err := e.verify(ctx, r, show)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.running = time.Time{}
	if ctx.Err() == nil {
		n.report, n.err, n.begun, n.took = &report, err, start, time.Since(start)
	}
	return report, err
}

// verify compares. Where others may load at the same time, what they loaded after
// it began looks like a difference: such a report counts for nothing.
func (e *engine) verify(ctx context.Context, r verifyRequest, show func(progress)) (archive.Report, error) {
	var objects int64
	opts := archive.Options{
		Table: e.loader.Table, Sample: r.Sample,
		Advance: func(arbalest.Object) {
			objects++
			e.verified.mu.Lock()
			e.verified.progress = objects
			e.verified.mu.Unlock()
			show(progress{Stage: "verify", Done: objects, Unit: "objects"})
		},
	}
	if r.Content {
		if err := archive.CanCompare(e.database); err != nil {
			return archive.Report{}, err
		}
		opts.Values = e.database
	}
	for range verifications {
		before, err := e.warehouse.Progress(ctx)
		if err != nil {
			return archive.Report{}, err
		}
		report, err := archive.Verify(ctx, e.lake, e.warehouse, opts)
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
