package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/lake"
	"arbalest/internal/web"
)

// How much of what was rejected a page looks at and shows, and how much one click
// replays.
const (
	lookedRejected   = 5000
	lookedFor        = 3 * time.Second
	shownOnPage      = 100
	replayedByAClick = 20_000
)

// selectionOf makes of a page's filter what the commands take.
func selectionOf(f web.RejectFilter) (selection, lake.Span, error) {
	s := selection{event: f.Event, from: f.From, to: f.To, all: f.All}
	if f.Reason != "" {
		s.reasons = []string{f.Reason}
	}
	span, err := s.span(time.Now())
	if err != nil {
		err = fmt.Errorf("%w: %w", arbalest.ErrInvalid, err)
	}
	return s, span, err
}

// Rejected implements web.Program.
func (f *facts) Rejected(ctx context.Context, filter web.RejectFilter) (web.RejectList, error) {
	r := web.RejectList{Filter: filter}
	for _, c := range capture.Codes() {
		r.Codes = append(r.Codes, string(c))
	}
	s, span, err := selectionOf(filter)
	if err != nil {
		return r, err
	}
	span.Newest = true
	if err := f.landed(ctx); err != nil {
		return r, err
	}
	groups := rejectedCounts{}
	end := time.Now().Add(lookedFor)
	for k, err := range f.engine.lake.Rejections(ctx, span) {
		if err != nil {
			return r, err
		}
		if r.More = r.Looked == lookedRejected || time.Now().After(end); r.More {
			break
		}
		r.Looked++
		if !s.wants(k) {
			continue
		}
		r.Matched++
		if len(r.Shown) < shownOnPage {
			r.Shown = append(r.Shown, k)
		}
		if k.Err == nil { // else nobody knows of what it is
			groups.count(k)
		}
	}
	for _, g := range groups {
		r.Groups = append(r.Groups, web.RejectGroup{Code: g.Code, Event: string(g.Event), Events: g.Places, Newest: g.Newest})
	}
	slices.SortFunc(r.Groups, func(a, b web.RejectGroup) int {
		return cmp.Or(cmp.Compare(b.Events, a.Events), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Event, b.Event))
	})
	if len(r.Shown) == 0 {
		err = journalError(f.engine.database.Query(ctx, `SELECT CAST(sum(rejected) AS BIGINT) FROM arbalest.journal`, func(v []any) error {
			r.Total, _ = v[0].(int64)
			return nil
		}))
	}
	return r, err
}

// landed publishes what was gathered, so that it is seen; of what nothing waits
// there is nothing to publish.
func (f *facts) landed(ctx context.Context) error {
	if f.lag.now() == 0 {
		return nil
	}
	return f.engine.Land(ctx)
}

// Kept implements web.Program.
func (f *facts) Kept(ctx context.Context, ref lake.Ref) (lake.Kept, error) {
	k, err := f.engine.lake.Kept(ctx, ref)
	if err == nil && k.Err != nil {
		err = k.Err
	}
	return k, err
}

// Replay implements web.Program.
func (f *facts) Replay(ctx context.Context, filter web.RejectFilter, ref *lake.Ref, dry bool) (web.Outcome, error) {
	s, span, err := selectionOf(filter)
	if err != nil {
		return web.Outcome{}, err
	}
	s.limit = replayedByAClick
	var refs []lake.Ref
	if ref != nil {
		refs = append(refs, *ref)
	}
	if err := f.landed(ctx); err != nil {
		return web.Outcome{}, err
	}
	report, err := replayOnLake(ctx, f.engine.lake, f.engine.config, refs, span, s, dry, func(progress) {})
	if err != nil {
		return web.Outcome{}, err
	}
	r := web.Outcome{Dry: dry, Places: report.Places, Replayed: report.Replayed, Accepted: report.Accepted, Rejected: report.Rejected, Before: report.Before}
	for _, l := range report.Left {
		r.Left = append(r.Left, web.Left{Code: string(l.Code), Reason: l.Reason, Place: l.Place, Places: l.Places})
	}
	if report.Accepted > 0 && !dry {
		done, err := f.engine.Sync(ctx, func(progress) {})
		if err = errors.Join(err, done.err()); err != nil {
			r.Stalled = "What was accepted is stored, but not all of it is in SQL yet: " + err.Error()
		}
		r.Loaded = done.Loaded
	}
	return r, nil
}
