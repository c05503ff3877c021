package lake

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"arbalest"
)

// DayFolder is what the keys of all objects begin with that may have an event's
// events of a UTC day, which is given by any hour of it.
func DayFolder(event arbalest.EventName, day arbalest.Hour) arbalest.Key {
	prefix := arbalest.Partition{Event: event, Hour: day.Day()}.Prefix()
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
	d := daily{lake: l, event: event, folder: DayFolder(event, day), first: day.Day(), later: map[arbalest.Seq]bool{}, objects: map[arbalest.Key]arbalest.Object{}}
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
	first   arbalest.Hour // of the day
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
	made, err := d.lake.almanac.of(commitKey(seq), func(p *page) error {
		c, err := d.lake.Commit(ctx, seq)
		for _, o := range c.Objects {
			p.add(o.Event, o.Hour, o)
		}
		p.moves = c.Moves != ""
		return err
	})
	if err != nil {
		return err
	}
	for _, o := range made.days[d.day()] {
		if keys[o.Key] {
			d.objects[o.Key] = o
		}
	}
	if !made.moves {
		return nil
	}
	return d.moved(ctx, seq)
}

func (d *daily) day() arbalest.EventDay { return arbalest.EventDay{Event: d.event, Day: d.first} }

// moved adds what a compaction moved within the folder. Moves of commits that are
// not done hold as well; they may be of commits that a copy has not come to.
func (d *daily) moved(ctx context.Context, seq arbalest.Seq) error {
	moved, err := d.lake.almanac.of(movesKey(seq), func(p *page) error {
		m, err := d.lake.readMoves(ctx, movesKey(seq))
		if err != nil {
			return err
		}
		for i := range m.Merged {
			if m.Merged[i].Key == "" {
				continue
			}
			for _, in := range m.Merged[i].Inputs {
				n, ok := NameOf(in.Key)
				if !ok || n.Hours != 1 {
					return fmt.Errorf("%w: %s: %s is of no partition", arbalest.ErrCorrupt, movesKey(seq), in.Key)
				}
				events := in.Events + int64(len(in.Repeats)) + in.stored().Gone()
				p.add(n.Event, n.Hour, arbalest.Object{Key: in.Key, Event: n.Event, Hour: n.Hour, Events: events, Bytes: in.Bytes, Hash: in.Hash})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, o := range moved.days[d.day()] {
		if n, _ := NameOf(o.Key); n.Seq <= d.head {
			d.objects[o.Key] = o
		}
	}
	return nil
}

// An almanac remembers what commits and moves have, by day, so that who goes from day to
// day does not read again those that have many days. They never change.
type almanac struct {
	mu    sync.Mutex
	pages map[arbalest.Key]*page
	order []arbalest.Key // in which they were read
	n     int            // objects in all
}

// almanacObjects is how many objects are remembered, some 200 bytes each, but for the page
// that was read last.
const almanacObjects = 100_000

// A page is one commit's, or its moves'.
type page struct {
	days  map[arbalest.EventDay][]arbalest.Object
	n     int
	moves bool // the commit has some
}

func (p *page) add(event arbalest.EventName, hour arbalest.Hour, o arbalest.Object) {
	day := arbalest.EventDay{Event: event, Day: hour.Day()}
	p.days[day] = append(p.days[day], o)
	p.n++
}

// of returns the page of a key, which read fills in if it is not known.
func (a *almanac) of(key arbalest.Key, read func(*page) error) (*page, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := a.pages[key]; p != nil {
		return p, nil
	}
	p := &page{days: map[arbalest.EventDay][]arbalest.Object{}}
	if err := read(p); err != nil {
		return nil, err
	}
	for len(a.order) > 0 && a.n+p.n > almanacObjects {
		a.n -= a.pages[a.order[0]].n
		delete(a.pages, a.order[0])
		a.order = a.order[1:]
	}
	if a.pages == nil {
		a.pages = map[arbalest.Key]*page{}
	}
	a.pages[key], a.order, a.n = p, append(a.order, key), a.n+p.n
	return p, nil
}

// inLogOrder compares objects of one event as the log has them: by commit, by part of
// it, and by hour.
func inLogOrder(a, b arbalest.Object) int {
	name := func(o arbalest.Object) string { // part 0 has no number
		return strings.TrimSuffix(strings.TrimSuffix(path.Base(string(o.Key)), suffixZstd), suffixPlain)
	}
	return cmp.Or(cmp.Compare(name(a), name(b)), cmp.Compare(a.Hour, b.Hour))
}
