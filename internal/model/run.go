package model

import (
	"context"
	"sync"
)

// run builds models, each after those that it needs, so many at a time.
func (b *Builder) run(ctx context.Context, models []*Model) []Result {
	type node struct {
		ended  chan struct{}
		result Result // good once it ended
	}
	nodes := make(map[string]*node, len(models))
	for _, m := range models {
		nodes[m.Name] = &node{ended: make(chan struct{})}
	}
	slots := make(chan struct{}, b.opts.Parallel)
	var all sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for _, m := range models {
		all.Go(func() {
			n := nodes[m.Name]
			defer close(n.ended)
			if m.err == nil { // else it may need itself
				for _, r := range m.refs {
					other := nodes[r.Name]
					if other == nil {
						continue
					}
					<-other.ended
					switch other.result.State {
					case Failed, Skipped, Waiting:
						n.result = Result{Model: m.Name, State: Skipped, Why: "it needs " + r.Name}
						return
					}
				}
			}
			slots <- struct{}{}
			defer func() { <-slots }()
			n.result = b.build(ctx, m)
			mu.Lock()
			defer mu.Unlock()
			done++
			b.opts.Progress(done, len(models))
		})
	}
	all.Wait()
	results := make([]Result, len(models))
	for i, m := range models {
		results[i] = nodes[m.Name].result
	}
	return results
}
