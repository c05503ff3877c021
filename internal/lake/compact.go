package lake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"arbalest"
)

const (
	// hourObjects and hourBytes say when the objects of an hour are merged though
	// its day is not over: when there are so many, or they are so large.
	hourObjects = 32
	hourBytes   = 8 << 20
	// planObjects is how many objects one compaction takes on, so that a sort
	// that finds its plan is not held up by it.
	planObjects = 2000
)

// Compacted is what one pass of Compact did. The zero Compacted says that there
// was nothing to do.
type Compacted struct {
	Commit  arbalest.Seq
	Before  int   // objects that were merged
	After   int   // objects that they became
	Events  int64 // in those now
	Repeats int64 // left out: they are in them already
	Bytes   int64 // of lines, before
	// More says that there is more to do, or that the pass finished what another
	// had begun.
	More bool
}

// A compaction is how far this process has looked for what to merge.
type compaction struct {
	known   arbalest.Seq                     // the newest compaction that was taken into account
	scanned arbalest.Seq                     // the newest commit
	open    map[arbalest.Key]arbalest.Object // of those, what may be merged once its hour is closed
	moved   map[arbalest.Key]bool            // of those to come, what is moved already, or not to be
}

// Compact does one pass: it merges objects of partitions into few, in one commit
// of the log, and deletes them. Hours before closed are closed: nothing much is
// expected for them any more. The objects of a day are merged when all its hours
// are closed, those of an hour earlier if there are many. What comes later is
// merged with what else came since, if there is any.
//
// Events that repeat another of their hour, in id, time and properties, are left
// out, as a load would. Nothing else changes: commits and their objects mean
// what they meant, and who reads one that was moved is given it from where it is.
//
// Any number of processes may compact and sort at once; the commit point is the
// creation of the commit. Call it until it returns the zero Compacted. With
// nothing new it asks for one listing and two objects.
func (l *Lake) Compact(ctx context.Context, closed arbalest.Hour) (Compacted, error) {
	done, err := l.takeTurn(ctx)
	if err != nil {
		return Compacted{}, err
	}
	defer done()
	head, err := l.Head(ctx)
	if err != nil {
		return Compacted{}, err
	}
	plan, found, err := l.plan(ctx, head+1)
	if err != nil {
		return Compacted{}, err
	}
	if !found {
		if err := l.sweep(ctx, head); err != nil { // what was erased goes though nothing is to be merged
			return Compacted{}, fmt.Errorf("compact: %w", err)
		}
		var more bool
		for begun := false; len(plan.Merges) == 0; begun = true {
			if begun && l.compaction.scanned == head {
				return Compacted{}, nil
			}
			if err := l.follow(ctx, head); err != nil {
				return Compacted{}, fmt.Errorf("compact: %w", err)
			}
			plan, more = l.compaction.choose(head+1, closed, l.opts)
		}
		plan.Format, plan.Kind = compactFormat, arbalest.KindCompact
		if plan, found, err = l.claim(ctx, head, plan); err != nil {
			return Compacted{}, fmt.Errorf("compact: %w", err)
		}
		found = found || more || l.compaction.scanned < head
	}
	c, err := l.finishAny(ctx, plan)
	c.More = c.More || found
	return c, err
}

// finishAny does what a plan says, of any kind. That another has done it
// meanwhile is no error.
func (l *Lake) finishAny(ctx context.Context, plan arbalest.Plan) (c Compacted, err error) {
	switch plan.Kind {
	case arbalest.KindCompact:
		c, err = l.finishCompact(ctx, plan)
	case arbalest.KindErase:
		err = l.finishErase(ctx, plan)
	default:
		_, err = l.finish(ctx, plan)
	}
	if errors.Is(err, arbalest.ErrUnknown) {
		if done, probeErr := l.exists(ctx, commitKey(plan.Seq)); probeErr == nil && done {
			return Compacted{More: true}, nil
		}
	}
	return c, err
}

// claim makes a plan that of commit head+1, or returns that of the one who was
// first. What commit head left is deleted before, as makePlan explains.
func (l *Lake) claim(ctx context.Context, head arbalest.Seq, plan arbalest.Plan) (_ arbalest.Plan, lost bool, err error) {
	consumed, err := l.consumed(ctx, head)
	if err != nil {
		return plan, false, err
	}
	var stale []arbalest.Key
	if len(consumed) > 0 {
		for info, err := range l.store.List(ctx, landingPrefix, "") {
			if err != nil {
				return plan, false, fmt.Errorf("list landing: %w", err)
			}
			if consumed[info.Key] {
				stale = append(stale, info.Key)
			}
		}
	}
	if err := l.deleteAll(ctx, stale); err != nil {
		return plan, false, err
	}
	if err := l.ready(ctx, head); err != nil {
		return plan, false, err
	}
	if plan, err = l.after(ctx, head, plan); err != nil {
		return plan, false, err
	}
	return l.createPlan(ctx, plan)
}

// after makes a plan one of this process after commit head.
func (l *Lake) after(ctx context.Context, head arbalest.Seq, plan arbalest.Plan) (arbalest.Plan, error) {
	plan.Seq, plan.Writer, plan.Created = head+1, l.self, time.Now().UTC().Truncate(time.Millisecond)
	if head == 0 {
		return plan, nil
	}
	j, err := l.journey(ctx, head)
	if plan.Erasure = j.erasure; plan.Erasure > 0 {
		plan.Format = eraseFormat
	}
	return plan, err
}

// follow brings what may be merged up to a commit, or by ScanObjects nearer. A
// process that begins takes it from the newest compaction that ended a run of them.
func (l *Lake) follow(ctx context.Context, head arbalest.Seq) error {
	c := &l.compaction
	keys, err := l.movesAfter(ctx, c.known)
	if err != nil {
		return err
	}
	// Others may have come further meanwhile: what they moved since is of commits
	// that are not looked at now.
	for len(keys) > 0 && keys[len(keys)-1] > movesKey(head) {
		keys = keys[:len(keys)-1]
	}
	moved := c.moved
	if moved == nil {
		moved = map[arbalest.Key]bool{}
	}
	fresh := c.open == nil
	scanned, open := c.scanned, c.open
	if fresh {
		open = map[arbalest.Key]arbalest.Object{}
	}
	var waiting []arbalest.Object
	for _, key := range slices.Backward(keys) {
		if fresh && key <= movesKey(scanned) {
			break // it moved nothing of what is after
		}
		m, err := l.readMoves(ctx, key)
		if err != nil {
			return err
		}
		for i := range m.Merged {
			for _, in := range m.Merged[i].Inputs {
				moved[in.Key] = true
			}
		}
		for _, key := range m.Passed {
			moved[key] = true
		}
		// Who compacted later need not have looked further.
		if fresh && m.Through > scanned {
			scanned, waiting = m.Through, m.Waiting
		}
	}
	for _, o := range waiting {
		open[o.Key] = o
	}
	for key := range moved {
		delete(open, key)
	}
	for n := 0; scanned < head && n < l.opts.ScanObjects; scanned++ {
		commit, err := l.Commit(ctx, scanned+1)
		if err != nil {
			return err
		}
		for _, o := range commit.Objects {
			if !moved[o.Key] {
				open[o.Key] = o
			}
		}
		n += len(commit.Objects)
	}
	if n := len(keys); n > 0 {
		if c.known, err = movesSeq(keys[n-1]); err != nil {
			return err
		}
	}
	if c.scanned, c.open, c.moved = scanned, open, moved; scanned == head {
		c.moved = nil // no commit to come has any of them
	}
	return nil
}

// eventDay is a day of an event's partitions.
type eventDay struct {
	event arbalest.EventName
	day   arbalest.Hour // its first
}

// choose says what to merge next, in a commit, and whether there is more than one
// is to do. What need not be looked at again it forgets.
func (c *compaction) choose(seq arbalest.Seq, closed arbalest.Hour, opts Options) (plan arbalest.Plan, more bool) {
	days := map[eventDay][]arbalest.Object{}
	for _, o := range c.open {
		d := eventDay{o.Event, o.Hour.Day()}
		days[d] = append(days[d], o)
	}
	order := make([]eventDay, 0, len(days))
	for d := range days {
		order = append(order, d)
	}
	slices.SortFunc(order, func(a, b eventDay) int { return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.event, b.event)) })
	n, bytes := 0, int64(0)
	parts := map[arbalest.Key]int{} // of folders
	for _, d := range order {
		objects := days[d]
		slices.SortFunc(objects, inOrder)
		for _, group := range groups(d.day, objects, closed, opts.CompactBytes) {
			if len(group) == 1 {
				delete(c.open, group[0].Key)
				continue
			}
			size := int64(0)
			for _, o := range group {
				size += o.Bytes
			}
			if n > 0 && (n+len(group) > planObjects || bytes+size > opts.CompactBytes) {
				more = true
				continue
			}
			n, bytes = n+len(group), bytes+size
			folder := mergedFolder(group)
			plan.Merges = append(plan.Merges, arbalest.Merge{Key: mergedKey(folder, seq, parts[folder], opts.suffix()), Objects: group})
			parts[folder]++
		}
	}
	plan.Suffix = opts.suffix()
	if !more {
		plan.Through = c.scanned
		planned := map[arbalest.Key]bool{}
		for _, m := range plan.Merges {
			for _, o := range m.Objects {
				planned[o.Key] = true
			}
		}
		for key, o := range c.open {
			if !planned[key] {
				plan.Waiting = append(plan.Waiting, o)
			}
		}
		slices.SortFunc(plan.Waiting, inOrder)
	}
	return plan, more
}

// inOrder compares objects by event and hour, and those of one partition as they
// are in the log: what a load sees first stays first.
func inOrder(a, b arbalest.Object) int {
	name := func(o arbalest.Object) string { // part 0 has no number: "-" is before "."
		return strings.TrimSuffix(strings.TrimSuffix(string(o.Key), suffixZstd), suffixPlain)
	}
	return cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(a.Hour, b.Hour), cmp.Compare(name(a), name(b)))
}

// groups says which objects of a day, in the order of their keys, are to become
// one each. A group of one stays as it is for good; what is in no group waits.
func groups(day arbalest.Hour, objects []arbalest.Object, closed arbalest.Hour, target int64) [][]arbalest.Object {
	if day+24 <= closed {
		return cut(objects, target)
	}
	var out [][]arbalest.Object
	for len(objects) > 0 {
		n, bytes := 0, int64(0)
		for n < len(objects) && objects[n].Hour == objects[0].Hour {
			bytes += objects[n].Bytes
			n++
		}
		if objects[0].Hour < closed && n > 1 && (n >= hourObjects || bytes >= hourBytes) {
			out = append(out, cut(objects[:n], target)...)
		}
		objects = objects[n:]
	}
	return out
}

// cut cuts objects into runs of about target bytes of lines, and planObjects at
// most.
func cut(objects []arbalest.Object, target int64) (runs [][]arbalest.Object) {
	begin, bytes := 0, int64(0)
	for i, o := range objects {
		if i > begin && (bytes+o.Bytes > target || i-begin == planObjects) {
			runs = append(runs, objects[begin:i])
			begin, bytes = i, 0
		}
		bytes += o.Bytes
	}
	if begin < len(objects) {
		runs = append(runs, objects[begin:])
	}
	return runs
}

// takeTurn waits until no other sorts or compacts in this process, who would do
// the same work twice.
func (l *Lake) takeTurn(ctx context.Context) (done func(), err error) {
	select {
	case l.turn <- struct{}{}:
		return func() { <-l.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
