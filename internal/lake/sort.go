package lake

import (
	"context"
	"errors"
	"fmt"

	"arbalest"
	"arbalest/internal/blob"
)

// Sorted is what one pass of Sort did. The zero Sorted says that landing was
// empty.
type Sorted struct {
	Commit   arbalest.Seq
	Segments int
	Events   int64
	Rejected int64
	Objects  int
	Bytes    int64 // of lines
	// More says that there was something in landing when the pass began that it
	// did not move: there was too much, or it finished what another had begun.
	More bool
}

// Sort does one pass: it finishes the commit that somebody began, or begins
// and finishes one of what is in landing. Any number of processes may sort at
// once; a pass that loses a race helps the winner. Call it until it returns
// the zero Sorted to empty landing.
//
// The commit point is the creation of the commit. A crash before it leaves at
// most a plan, which the next pass, anyone's, finishes; a crash after it leaves
// consumed segments, which the next pass deletes.
func (l *Lake) Sort(ctx context.Context) (Sorted, error) {
	if err := l.publish(ctx); err != nil {
		return Sorted{}, err
	}
	// A plan's segments stay in landing until its commit is done, so an empty
	// landing means that there is nothing to finish either.
	if empty, err := l.landingEmpty(ctx); err != nil || empty {
		return Sorted{}, err
	}
	done, err := l.takeTurn(ctx)
	if err != nil {
		return Sorted{}, err
	}
	defer done()
	for {
		head, err := l.Head(ctx)
		if err != nil {
			return Sorted{}, err
		}
		plan, more, err := l.plan(ctx, head+1)
		if err == nil && !more {
			plan, more, err = l.makePlan(ctx, head)
		}
		if err != nil || plan.Seq == 0 {
			return Sorted{}, err
		}
		if plan.Kind != arbalest.KindSort {
			if _, err := l.finishAny(ctx, plan); err != nil {
				return Sorted{}, err
			}
			continue
		}
		sorted, err := l.finish(ctx, plan)
		sorted.More = more
		if errors.Is(err, arbalest.ErrUnknown) {
			// A segment is gone: has somebody finished the plan meanwhile?
			if done, probeErr := l.exists(ctx, commitKey(plan.Seq)); probeErr == nil && done {
				continue
			}
		}
		return sorted, err
	}
}

func (l *Lake) landingEmpty(ctx context.Context) (bool, error) {
	for _, err := range l.store.List(ctx, landingPrefix, "") {
		if err != nil {
			return false, fmt.Errorf("list landing: %w", err)
		}
		return false, nil
	}
	return true, nil
}

// makePlan claims commit head+1 for what is in landing, or returns the plan of
// the one who claimed it first; more says that it leaves something there, or
// may. The zero Plan says that there is nothing to do.
//
// That no segment is consumed twice rests on the order here: the segments of
// commit head are deleted before plan head+1 is made, so those of all earlier
// commits are gone, and landing is listed after that.
func (l *Lake) makePlan(ctx context.Context, head arbalest.Seq) (plan arbalest.Plan, more bool, err error) {
	consumed, err := l.consumed(ctx, head)
	if err != nil {
		return arbalest.Plan{}, false, err
	}
	plan = arbalest.Plan{
		Format: logFormat, Kind: arbalest.KindSort, FlushBytes: l.opts.FlushBytes, Suffix: l.opts.suffix(),
	}
	var stale []arbalest.Key
	var bytes int64
	for info, err := range l.store.List(ctx, landingPrefix, "") {
		if err != nil {
			return arbalest.Plan{}, false, fmt.Errorf("list landing: %w", err)
		}
		if consumed[info.Key] {
			stale = append(stale, info.Key)
			continue
		}
		if bytes += info.Size; bytes > l.opts.PlanBytes && len(plan.Segments) > 0 {
			more = true
			break
		}
		plan.Segments = append(plan.Segments, info.Key)
	}
	if err := l.deleteAll(ctx, stale); err != nil || len(plan.Segments) == 0 {
		return arbalest.Plan{}, false, err
	}
	if err := l.ready(ctx, head); err != nil {
		return arbalest.Plan{}, false, err
	}
	if plan, err = l.after(ctx, head, plan); err != nil {
		return arbalest.Plan{}, false, err
	}
	plan, lost, err := l.createPlan(ctx, plan)
	return plan, more || lost, err
}

// createPlan makes a plan that of its commit, or returns that of the one who was
// first.
func (l *Lake) createPlan(ctx context.Context, plan arbalest.Plan) (_ arbalest.Plan, lost bool, err error) {
	err = l.createJSON(ctx, planKey(plan.Seq), plan)
	if !errors.Is(err, arbalest.ErrExists) {
		return plan, false, err
	}
	winner, ok, err := l.plan(ctx, plan.Seq)
	if err == nil && !ok {
		err = fmt.Errorf("%w: plan %d was there and is not", arbalest.ErrCorrupt, plan.Seq)
	}
	return winner, true, err
}

// maxLate is how many commits back a segment is known that is made again after
// it was consumed.
const maxLate = 8

// consumed returns the segments that commits up to head consumed: those of head,
// which may still be in landing; and where a store has drafts, those of some
// before it that consumed any, since a process that lags or died between publishing
// a draft and clearing its slot has its segment made again.
func (l *Lake) consumed(ctx context.Context, head arbalest.Seq) (map[arbalest.Key]bool, error) {
	back := arbalest.Seq(1)
	if _, ok := l.store.(drafter); ok {
		back = maxLate
	}
	consumed := map[arbalest.Key]bool{}
	for seq := head; seq > 0 && back > 0; seq-- {
		j, err := l.journey(ctx, seq)
		if err != nil {
			return nil, err
		}
		for _, key := range j.segments {
			consumed[key] = true
		}
		if j.moves == "" || back == 1 { // what moves was made when nothing was left
			back--
		}
	}
	return consumed, nil
}

// finish does what a plan says. Doing it twice, or at once with another, writes
// the same objects under the same names. Who comes late may write such as have
// been moved since: they are deleted.
func (l *Lake) finish(ctx context.Context, plan arbalest.Plan) (Sorted, error) {
	commit := arbalest.Commit{Format: plan.Format, Seq: plan.Seq, Kind: plan.Kind, Time: plan.Created, Segments: plan.Segments, Erasure: plan.Erasure}
	forgotten, err := l.Forgotten(ctx, plan.Erasure)
	if err != nil {
		return Sorted{}, fmt.Errorf("sort commit %d: %w", plan.Seq, err)
	}
	s := sorter{lake: l, plan: plan, forgotten: forgotten, rejections: newRejections()}
	for _, key := range plan.Segments {
		err := s.take(ctx, key)
		if errors.Is(err, arbalest.ErrUnknown) { // another has done it, or the store has lost the segment
			err = errors.Join(err, l.catchUp(ctx, plan.Seq, s.written()))
		}
		if err != nil {
			return Sorted{}, fmt.Errorf("sort commit %d: %w", plan.Seq, err)
		}
	}
	if err := s.flush(ctx); err != nil {
		return Sorted{}, fmt.Errorf("sort commit %d: %w", plan.Seq, err)
	}
	commit.Objects, commit.Rejected, commit.RejectedKeys = s.objects, s.rejections.all(), s.rejectedKeys
	commit.Erased = listed(s.rejections.erased)
	first, err := l.createsJSON(ctx, commitKey(plan.Seq), commit)
	if err == nil && !first {
		err = l.catchUp(ctx, plan.Seq, s.written())
	}
	if err != nil {
		return Sorted{}, fmt.Errorf("sort commit %d: %w", plan.Seq, err)
	}
	l.Hint(plan.Seq)
	l.remember(commit)
	sorted := Sorted{Commit: plan.Seq, Segments: len(plan.Segments), Objects: len(commit.Objects)}
	for _, o := range commit.Objects {
		sorted.Events += o.Events
		sorted.Bytes += o.Bytes
	}
	for _, r := range commit.Rejected {
		sorted.Rejected += r.Events
	}
	return sorted, l.deleteAll(ctx, plan.Segments)
}

func (l *Lake) deleteAll(ctx context.Context, keys []arbalest.Key) error {
	for _, key := range keys {
		if err := l.store.Delete(ctx, key); err != nil {
			return fmt.Errorf("delete %s: %w", key, err)
		}
	}
	return nil
}

// Landing says what is in landing now, with the segments that were consumed but
// not deleted yet. It publishes what was gathered, and lists all of it.
func (l *Lake) Landing(ctx context.Context) ([]blob.Info, error) {
	if err := l.publish(ctx); err != nil {
		return nil, err
	}
	var infos []blob.Info
	for info, err := range l.store.List(ctx, landingPrefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list landing: %w", err)
		}
		infos = append(infos, info)
	}
	return infos, nil
}
