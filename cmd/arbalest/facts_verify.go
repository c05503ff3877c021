package main

import (
	"context"
	"math/rand/v2"
	"time"

	"arbalest/internal/web"
)

// verifiesAtOnce is how long the page waits for a verification that it began: a
// small place is compared at once.
const verifiesAtOnce = 500 * time.Millisecond

// Verification implements web.VerifySource.
func (f *facts) Verification(context.Context) (web.Verification, error) {
	var r web.Verification
	last, err := readVerified(f.engine.place.verified())
	if err != nil {
		r.Failed = &web.VerifyFailure{Why: err.Error()}
	}
	if last != nil {
		r.Last = &web.Verified{Asked: askedFor(last.Request, last.By, last.Begun), Seconds: last.Seconds, Report: last.Report}
	}
	v := &f.engine.verifying
	v.set(func() {
		if a := v.now; a != nil {
			r.Now = &web.Verifying{Asked: askedFor(a.verifyRequest, a.by, a.begun), Waits: a.waits, Objects: a.objects}
		}
		if n := v.failed; n != nil {
			r.Failed = &web.VerifyFailure{Asked: askedFor(n.verifyRequest, n.by, n.begun), Why: n.err.Error()}
		}
	})
	return r, nil
}

func askedFor(r verifyRequest, by asker, begun time.Time) web.Asked {
	return web.Asked{Command: r.command(), Page: by == byPage, Begun: begun}
}

// Verify implements web.VerifySource.
func (f *facts) Verify(ctx context.Context, sample string, content bool) error {
	r := verifyRequest{Content: content}
	if sample != "" {
		var err error
		if r.Sample, err = parseSample(sample, rand.Uint64()); err != nil {
			return err
		}
	}
	v, done := &f.engine.verifying, make(chan struct{})
	if !v.one.TryLock() {
		return nil
	}
	running := v.begin(f.background, r, byPage)
	f.loops.Go(func() {
		defer close(done)
		_, _ = f.engine.verifyNow(running, func(progress) {}) // what came of it is on the page
	})
	select {
	case <-done:
	case <-time.After(verifiesAtOnce):
	case <-ctx.Done():
	}
	return nil
}

// StopVerify implements web.VerifySource.
func (f *facts) StopVerify(context.Context) error {
	f.engine.verifying.stop()
	return nil
}
