package lake

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"arbalest"
)

// DayFolder is what the keys of all objects begin with that may have an event's
// events of a UTC day, which is given by any hour of it.
func DayFolder(event arbalest.EventName, day arbalest.Hour) arbalest.Key {
	prefix := arbalest.Partition{Event: event, Hour: firstOfDay(day)}.Prefix()
	return prefix[:len(prefix)-len("00/")]
}

// Day returns the objects that have an event's events of a UTC day, which is given
// by any hour of it, in the log's order, of all commits that were done when it was
// called. An object that a compaction or an erasure moved appears as its commit named
// it, with Events as the commit said, and Bytes and Hash of what is left of its lines;
// one of which no line is left may be missing.
//
// It costs a listing of the day's folder, a request for each commit that its objects
// name, and for their moves, and those of Head.
func (l *Lake) Day(ctx context.Context, event arbalest.EventName, day arbalest.Hour) ([]arbalest.Object, error) {
	d := daily{lake: l, event: event, folder: DayFolder(event, day), later: map[arbalest.Seq]bool{}, objects: map[arbalest.Key]arbalest.Object{}}
	var err error
	if d.head, err = l.Head(ctx); err != nil {
		return nil, err
	}
	keys := map[arbalest.Seq]map[arbalest.Key]bool{}
	for info, err := range l.store.List(ctx, d.folder, "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", d.folder, err)
		}
		if n, ok := NameOf(info.Key); ok && n.Seq > 0 {
			if keys[n.Seq] == nil {
				keys[n.Seq] = map[arbalest.Key]bool{}
			}
			keys[n.Seq][info.Key] = true
		}
	}
	// What was merged while the folder was listed may be missing from the listing;
	// its moves are there by now.
	later, err := l.movesAfter(ctx, d.head)
	if err != nil {
		return nil, err
	}
	for _, key := range later {
		seq, err := movesSeq(key)
		if err != nil {
			return nil, err
		}
		d.later[seq] = true
		if keys[seq] == nil {
			keys[seq] = map[arbalest.Key]bool{}
		}
	}
	for _, seq := range slices.Sorted(maps.Keys(keys)) {
		if err := d.commit(ctx, seq, keys[seq]); err != nil {
			return nil, err
		}
	}
	return slices.SortedFunc(maps.Values(d.objects), inLogOrder), nil
}

// daily is one Day.
type daily struct {
	lake    *Lake
	event   arbalest.EventName
	folder  arbalest.Key
	head    arbalest.Seq
	later   map[arbalest.Seq]bool // commits after head that have moves
	objects map[arbalest.Key]arbalest.Object
}

// commit adds what a commit has of those keys, of what it did or moved.
func (d *daily) commit(ctx context.Context, seq arbalest.Seq, keys map[arbalest.Key]bool) error {
	if d.later[seq] {
		return d.moved(ctx, seq)
	}
	if seq > d.head {
		return nil
	}
	c, err := d.lake.Commit(ctx, seq)
	if err != nil {
		return err
	}
	for _, o := range c.Objects {
		if keys[o.Key] {
			d.objects[o.Key] = o
		}
	}
	if c.Moves == "" {
		return nil
	}
	return d.moved(ctx, seq)
}

// moved adds what a compaction moved within the folder. Moves of commits that are
// not done hold as well; they may be of commits that a copy has not come to.
func (d *daily) moved(ctx context.Context, seq arbalest.Seq) error {
	m, err := d.lake.readMoves(ctx, movesKey(seq))
	if err != nil {
		return err
	}
	for i := range m.Merged {
		if !strings.HasPrefix(string(m.Merged[i].Key), string(d.folder)) {
			continue
		}
		for _, in := range m.Merged[i].Inputs {
			n, ok := NameOf(in.Key)
			if !ok || n.Hours != 1 {
				return fmt.Errorf("%w: %s: %s is of no partition", arbalest.ErrCorrupt, movesKey(seq), in.Key)
			}
			if stored := in.stored(); n.Seq <= d.head {
				d.objects[in.Key] = arbalest.Object{Key: in.Key, Event: d.event, Hour: n.Hour, Events: in.Events + int64(len(in.Repeats)) + stored.Gone(), Bytes: in.Bytes, Hash: in.Hash}
			}
		}
	}
	return nil
}

// inLogOrder compares objects of one event as the log has them: by commit, by part of
// it, and by hour.
func inLogOrder(a, b arbalest.Object) int {
	name := func(o arbalest.Object) string { // part 0 has no number
		return strings.TrimSuffix(strings.TrimSuffix(path.Base(string(o.Key)), suffixZstd), suffixPlain)
	}
	return cmp.Or(cmp.Compare(name(a), name(b)), cmp.Compare(a.Hour, b.Hour))
}
