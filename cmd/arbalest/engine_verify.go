package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
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

// command spells the command that compares the same.
func (r verifyRequest) command() string {
	s := "arbalest verify"
	switch {
	case r.Sample.Share > 0:
		s += fmt.Sprintf(" --sample %.6g%% --seed %d", 100*r.Sample.Share, r.Sample.Seed)
	case r.Sample.Objects > 0:
		s += fmt.Sprintf(" --sample %d --seed %d", r.Sample.Objects, r.Sample.Seed)
	}
	if r.Content {
		s += " --content"
	}
	return s
}

// A verified is DIR/verified.json: what the newest verification of the place found
// that came to an end, whichever process made it. It has what the report lists, and
// so a bound.
type verified struct {
	Request verifyRequest  `json:"request"`
	By      asker          `json:"by"`
	Begun   time.Time      `json:"begun"`
	Seconds float64        `json:"seconds"`
	Report  archive.Report `json:"report"`
}

// An asker says where a verification was asked for.
type asker string

const (
	byCommand asker = "command"
	byPage    asker = "page"
)

// readVerified returns nil if there is none.
func readVerified(file string) (*verified, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what verify found: %w", err)
	}
	var v verified
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, fmt.Errorf("%w: %s: %v: the next verification writes it anew", arbalest.ErrCorrupt, file, err)
	}
	return &v, nil
}

func (v verified) write(file string) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", file, err)
	}
	return replaceFile(file, append(b, '\n'))
}

// A verifying is the verification that goes on in this process.
type verifying struct {
	one sync.Mutex // held by it

	mu     sync.Mutex
	now    *attempt // nil if none goes on
	failed *failure // of the one before, nil if that came to an end
}

// An attempt is a verification that goes on.
type attempt struct {
	verifyRequest
	by      asker
	begun   time.Time
	waits   bool  // for a load to end
	objects int64 // that were read
	stop    context.CancelCauseFunc
}

// A failure is why an attempt did not come to an end, or was not written down.
type failure struct {
	attempt
	err error
}

// errStopped ends an attempt.
var errStopped = fmt.Errorf("it was stopped on the page Verify: %w", context.Canceled)

// begin notes an attempt, for which the caller holds v.one, and returns the context
// in which it goes on until it is stopped.
func (v *verifying) begin(ctx context.Context, r verifyRequest, by asker) context.Context {
	ctx, stop := context.WithCancelCause(ctx)
	v.set(func() { v.now = &attempt{verifyRequest: r, by: by, begun: time.Now(), waits: true, stop: stop} })
	return ctx
}

func (v *verifying) set(change func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change()
}

// end notes what came of the attempt, and lets go of v.one.
func (v *verifying) end(err error) {
	v.set(func() {
		v.now.stop(nil)
		v.failed = nil
		if err != nil {
			v.failed = &failure{*v.now, err}
		}
		v.now = nil
	})
	v.one.Unlock()
}

// stop ends the attempt that goes on, if one does.
func (v *verifying) stop() {
	v.set(func() {
		if v.now != nil {
			v.now.stop(errStopped)
		}
	})
}

// Verify implements operator.
func (e *engine) Verify(ctx context.Context, r verifyRequest, show func(progress)) (archive.Report, error) {
	e.verifying.one.Lock()
	return e.verifyNow(e.verifying.begin(ctx, r, byCommand), show)
}

// verifyNow does the attempt that was begun, and writes down what it found. That
// it cannot be written is told on the page only: the report is there all the same.
func (e *engine) verifyNow(ctx context.Context, show func(progress)) (archive.Report, error) {
	e.work.Lock()
	defer e.work.Unlock()
	v, now := &e.verifying, e.verifying.now
	var noted error
	defer func() { v.end(noted) }()
	v.set(func() { now.waits = false })
	start := time.Now()
	report, err := e.verify(ctx, now.verifyRequest, func(objects int64) {
		v.set(func() { now.objects = objects })
		show(progress{Stage: "verify", Done: objects, Unit: "objects"})
	})
	if err != nil {
		if context.Cause(ctx) == errStopped {
			err = errStopped
		}
		noted = err
		return report, err
	}
	noted = verified{now.verifyRequest, now.by, start, time.Since(start).Seconds(), report}.write(e.place.verified())
	return report, nil
}

// verify compares. Where others may load at the same time, what they loaded after
// it began looks like a difference: such a report counts for nothing.
func (e *engine) verify(ctx context.Context, r verifyRequest, advance func(objects int64)) (archive.Report, error) {
	var objects int64
	opts := archive.Options{
		Table: e.loader.Table, Sample: r.Sample,
		Advance: func(arbalest.Object) {
			objects++
			advance(objects)
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
