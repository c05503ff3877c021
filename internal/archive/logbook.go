package archive

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"arbalest"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// A logbook is what the log says, and what is known to be wrong with it. Of each
// object of the log it holds what a commit says of it.
type logbook struct {
	head       arbalest.Seq // the newest commit
	lost       map[arbalest.Seq]bool
	byEvent    map[arbalest.EventName]*objects
	rejections []arbalest.Commit // that rejected events, without their objects
	merged     map[arbalest.Key]*lake.Merged
	moved      map[arbalest.Key]move
	replaced   map[arbalest.Key]arbalest.Seq // merged objects, by which erasure
	erasures   []arbalest.Seq
	unmoved    map[arbalest.Seq]bool // compactions and erasures whose moves are missing or damaged
	hidden     map[arbalest.Key]bool // the objects that they may have moved
	// dark are partitions of which not all events are known: rows of them cannot be
	// told to be wrong.
	dark map[arbalest.Partition]bool
}

// objects are those of one event, in log order.
type objects struct {
	loaded []arbalest.Object
	later  []arbalest.Object // that the warehouse has not come to
}

// A move is where a compaction or an erasure put an object.
type move struct {
	seq   arbalest.Seq
	to    *lake.Merged
	input lake.Input
}

// readLog reads commits and moves. Gaps are findings.
func (v *verification) readLog(ctx context.Context) error {
	b := &v.log
	*b = logbook{
		lost: map[arbalest.Seq]bool{}, byEvent: map[arbalest.EventName]*objects{}, merged: map[arbalest.Key]*lake.Merged{}, moved: map[arbalest.Key]move{}, replaced: map[arbalest.Key]arbalest.Seq{},
		unmoved: map[arbalest.Seq]bool{}, hidden: map[arbalest.Key]bool{}, dark: map[arbalest.Partition]bool{},
	}
	seqs, err := v.lake.Logged(ctx)
	if err != nil {
		return err
	}
	if n := len(seqs); n > 0 {
		b.head = seqs[n-1]
	}
	v.report.Head = b.head
	compactions := map[arbalest.Seq]bool{}
	sizes := map[arbalest.Key]int64{} // events of each object, as its commit says
	for next := arbalest.Seq(1); next <= b.head; next++ {
		if seqs[0] != next {
			b.lost[next] = true
			v.find(nil, Finding{Kind: MissingCommit, Commit: next, What: fmt.Sprintf("the log has a gap: commit %d is missing, and there are later ones", next)})
			continue
		}
		seqs = seqs[1:]
		c, err := v.lake.Commit(ctx, next)
		if isDamage(err) {
			b.lost[next] = true
			v.find(nil, Finding{Kind: either(err, MissingCommit, CorruptCommit), Commit: next, What: err.Error()})
			continue
		}
		if err != nil {
			return err
		}
		if c.Kind == arbalest.KindErase {
			b.erasures = append(b.erasures, next)
		}
		if c.Kind != arbalest.KindSort {
			compactions[next] = true
		}
		for _, o := range c.Objects {
			sizes[o.Key] = o.Events
		}
		b.take(c, v.progress)
	}
	if loaded := v.progress.Commit; loaded > b.head {
		for seq := b.head + 1; seq <= loaded; seq++ {
			b.lost[seq] = true
		}
		v.find(nil, Finding{Kind: Behind, Commit: b.head, What: fmt.Sprintf("the log ends at commit %d, and the warehouse has loaded up to commit %d", b.head, loaded)})
	}
	return v.readMoves(ctx, compactions, sizes)
}

// take adds a commit.
func (b *logbook) take(c arbalest.Commit, p load.Progress) {
	stalls := map[arbalest.EventName]load.Cursor{}
	for _, s := range p.Stalled {
		stalls[s.Event] = s.Cursor
	}
	for i, o := range c.Objects {
		e := b.byEvent[o.Event]
		if e == nil {
			e = &objects{}
			b.byEvent[o.Event] = e
		}
		end := p.Cursor
		if s, ok := stalls[o.Event]; ok {
			end = s
		}
		if c.Seq <= end.Commit || c.Seq == end.Commit+1 && i < end.Objects {
			e.loaded = append(e.loaded, o)
		} else {
			e.later = append(e.later, o)
		}
	}
	if len(c.Rejected)+len(c.RejectedKeys) > 0 {
		c.Objects, c.Segments = nil, nil
		b.rejections = append(b.rejections, c)
	}
}

// readMoves reads what compactions and erasures moved, which is true from before their
// commits; of two that moved an object the later one holds.
func (v *verification) readMoves(ctx context.Context, compactions map[arbalest.Seq]bool, sizes map[arbalest.Key]int64) error {
	b := &v.log
	listed, err := v.lake.Compactions(ctx)
	if err != nil {
		return err
	}
	for _, seq := range listed {
		if seq <= b.head && !compactions[seq] && !b.lost[seq] {
			v.find(nil, Finding{Kind: Orphan, Commit: seq, What: fmt.Sprintf("there are moves of commit %d, which moved nothing", seq)})
		}
		compactions[seq] = true
	}
	for _, seq := range slices.Sorted(maps.Keys(compactions)) {
		all, err := v.lake.Merged(ctx, seq)
		if isDamage(err) {
			if err := v.unread(ctx, seq, err); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		for i := range all {
			m := &all[i]
			if b.merged[m.From] != nil {
				delete(b.merged, m.From)
				b.replaced[m.From] = seq
			}
			b.merged[m.Key] = m
			for _, in := range m.Inputs {
				b.moved[in.Key] = move{seq, m, in}
				v.checkMove(seq, in, sizes)
			}
		}
	}
	return nil
}

// checkMove holds that a commit and the compaction of one of its objects agree.
func (v *verification) checkMove(seq arbalest.Seq, in lake.Input, sizes map[arbalest.Key]int64) {
	n, ok := lake.NameOf(in.Key)
	events, known := sizes[in.Key]
	switch {
	case !ok || known && events == in.Events+in.Repeats+in.Erased:
	case known:
		v.find(nil, Finding{
			Kind: WrongCommit, Event: n.Event, Hour: n.Hour.String(), Commit: n.Seq, Object: in.Key,
			What: fmt.Sprintf("commit %d says that %s has %d events, and commit %d took %d from it", n.Seq, in.Key, events, seq, in.Events+in.Repeats+in.Erased),
		})
	case v.log.lost[n.Seq]:
		v.log.darken(n)
	}
}

// unread notes that a compaction's moves cannot be read, and what it may have moved.
func (v *verification) unread(ctx context.Context, seq arbalest.Seq, why error) error {
	v.log.unmoved[seq] = true
	planned, err := v.lake.Planned(ctx, seq)
	if err != nil && !isDamage(err) {
		return err
	}
	for _, key := range planned {
		v.log.hidden[key] = true
	}
	v.find(nil, Finding{Kind: either(why, MissingMoves, CorruptMoves), Commit: seq, What: fmt.Sprintf("where commit %d put the lines of %d objects is not known: %v", seq, len(planned), why)})
	return nil
}

// darken notes that not all is known of an object's partitions.
func (b *logbook) darken(n lake.Name) {
	for h := n.Hour; h < n.Hour+n.Hours; h++ {
		b.dark[arbalest.Partition{Event: n.Event, Hour: h}] = true
	}
}

// check reads an object, and finds what is wrong with it, once; one that is frozen is
// noted. bad is set by visit:
// why a line cannot be one of the object, "" if all can. Of an object that is not
// sound, suspect says that only its commit speaks against it.
func (v *verification) check(ctx context.Context, t *TableReport, o arbalest.Object, bad *string, visit func(line []byte) error) (sound bool, suspect *lake.Mismatch, err error) {
	err = v.lake.Check(ctx, o, visit)
	if err == nil {
		return true, nil, nil
	}
	m, moved := v.log.moved[o.Key]
	if errors.Is(err, arbalest.ErrCold) {
		in := o.Key
		if moved {
			in = m.to.Key
		}
		v.freeze(o.Key, in, o.Events)
		return false, nil, nil
	}
	if !isDamage(err) {
		return false, nil, err
	}
	n, _ := lake.NameOf(o.Key)
	f := Finding{Event: o.Event, Hour: o.Hour.String(), Commit: n.Seq, Object: o.Key, What: err.Error()}
	if moved {
		f.Kind, f.Commit, f.Object = either(err, MissingMerged, CorruptMerged), m.seq, m.to.Key
		f.What = fmt.Sprintf("%s, which commit %d made of %d objects: %v", m.to.Key, m.seq, len(m.to.Inputs), err)
	}
	if v.told[f.Object] || v.log.hidden[o.Key] { // of what is hidden its compaction's moves are the finding
		return false, nil, nil
	}
	v.told[f.Object] = true
	if errors.As(err, &suspect) && !moved && *bad == "" {
		return false, suspect, nil
	}
	if !moved {
		f.Kind = either(err, MissingObject, CorruptObject)
	}
	if *bad != "" {
		f.What += "; " + *bad
	}
	v.find(t, f)
	return false, nil, nil
}
