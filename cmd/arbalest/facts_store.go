package main

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"arbalest/connect"
	"arbalest/internal/web"
)

// The store is counted by listing it, which takes a second for some 100,000
// objects and on S3 a request for each 1,000: so that is done when somebody looks
// at the page, and then not again for a hundred times as long as it took, within
// these bounds.
const (
	countsForLeast  = 2 * time.Second
	countsForRemote = time.Minute
	countsForMost   = 10 * time.Minute
	countsAtMost    = 2_000_000 // objects
	countsPause     = 5 * time.Millisecond
	countsAtATime   = 1000
	shownKinds      = 50
)

// standardPrice is of a GB and month in S3 Standard, us-east-1, of the first 50
// TB, in dollars (aws.amazon.com/s3/pricing, 2025).
const standardPrice = 0.023

// A counting is what was counted of the store, and what is.
type counting struct {
	mu   sync.Mutex
	done *storeCount // nil if there is none
	now  *storeCount // nil if none goes on
}

// A storeCount counts objects.
type storeCount struct {
	begun, finished time.Time
	cut             bool
	kinds           map[string]*web.StoreKind
	events          map[string]*web.StoreKind
}

// kindsOf are the kinds of objects, by the first part of their keys. What has
// another is an event's.
var kindsOf = []struct{ folder, name, what string }{
	{"", "partitions", "events, by name and hour"},
	{"_landing", "landing", "segments that are not sorted yet"},
	{"_log", "log", "commits and their plans"},
	{"_rejected", "rejected", "invalid events, with reasons"},
	{"_replayed", "replayed", "marks of what was replayed"},
	{"_moved", "moves", "where compaction and erasure put objects"},
	{"_erased", "erasures", "what was erased, for whom, and what is refused"},
	{"_tables", "definitions", "definitions of tables that were not declared"},
}

// Store implements web.Program.
func (f *facts) Store(ctx context.Context) (web.StoreCount, error) {
	e := f.engine
	r := web.StoreCount{Where: e.place.where(e.config), Remote: connect.IsRemote(e.place.store(e.config)), Hot: -1, Price: cmp.Or(e.config.Web.Price, standardPrice)}
	infos, err := e.warehouse.Tables(ctx)
	if err != nil {
		return r, err
	}
	r.Tables = int64(len(infos))
	for _, t := range infos {
		r.Rows += t.Rows
	}
	if e.duck != nil {
		file, wal, err := e.duck.Size(ctx)
		if err != nil {
			return r, err
		}
		r.Hot = file + wal
	}
	begun := f.countStore()
	select { // a small store is counted at once
	case <-begun:
	case <-time.After(500 * time.Millisecond):
	case <-ctx.Done():
		return r, ctx.Err()
	}
	f.counting.show(&r)
	return r, nil
}

// countStore begins to count the store, if that is due, and returns what is
// closed when the count is done that is shown next.
func (f *facts) countStore() <-chan struct{} {
	c, done := &f.counting, make(chan struct{})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now != nil || c.done != nil && time.Since(c.done.finished) < c.done.goodFor(connect.IsRemote(f.engine.place.store(f.engine.config))) {
		close(done)
		return done
	}
	c.now = &storeCount{begun: time.Now(), kinds: map[string]*web.StoreKind{}, events: map[string]*web.StoreKind{}}
	f.loops.Go(func() {
		defer close(done)
		c.run(f.background, f.engine)
	})
	return done
}

// run counts, with pauses, so that nobody is held up by it. A count that ends in
// an error is begun anew by whoever looks next.
func (c *counting) run(ctx context.Context, e *engine) {
	n := 0
	var failed error
	for info, err := range e.store.List(ctx, "", "") {
		if err != nil {
			failed = err
			break
		}
		c.mu.Lock()
		c.now.add(string(info.Key), info.Size)
		c.now.cut = n == countsAtMost
		cut := c.now.cut
		c.mu.Unlock()
		if cut {
			break
		}
		if n++; n%countsAtATime == 0 && !sleep(ctx, countsPause, nil) {
			failed = ctx.Err()
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if failed == nil {
		c.now.finished = time.Now()
		c.done = c.now
	}
	c.now = nil
}

// goodFor is how long a count is shown before another is begun.
func (s *storeCount) goodFor(remote bool) time.Duration {
	least := countsForLeast
	if remote {
		least = countsForRemote
	}
	return min(max(least, 100*s.finished.Sub(s.begun)), countsForMost)
}

func (s *storeCount) add(key string, size int64) {
	folder, _, _ := strings.Cut(key, "/")
	kind := folder
	if !strings.HasPrefix(folder, "_") {
		kind = ""
		count(s.events, folder, size)
	}
	count(s.kinds, kind, size)
}

func count(kinds map[string]*web.StoreKind, name string, size int64) {
	k := kinds[name]
	if k == nil {
		k = &web.StoreKind{Name: name}
		kinds[name] = k
	}
	k.Objects++
	k.Bytes += size
}

// show copies the newest count.
func (c *counting) show(r *web.StoreCount) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := cmp.Or(c.done, c.now)
	if s == nil {
		return
	}
	r.Begun, r.Finished, r.Cut, r.Again = s.begun, s.finished, s.cut, c.done != nil && c.now != nil
	known := map[string]bool{}
	for _, k := range kindsOf {
		known[k.folder] = true
		line := web.StoreKind{Name: k.name, What: k.what}
		if n := s.kinds[k.folder]; n != nil {
			line.Objects, line.Bytes = n.Objects, n.Bytes
		}
		r.Kinds = append(r.Kinds, line)
	}
	for folder, n := range s.kinds {
		if !known[folder] {
			r.Kinds = append(r.Kinds, web.StoreKind{Name: folder, What: "not ours", Objects: n.Objects, Bytes: n.Bytes})
		}
	}
	for _, n := range s.events {
		r.Events = append(r.Events, *n)
	}
	slices.SortFunc(r.Events, func(a, b web.StoreKind) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name))
	})
	if len(r.Events) > shownKinds {
		r.Others, r.Events = len(r.Events)-shownKinds, r.Events[:shownKinds]
	}
}
