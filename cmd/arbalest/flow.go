package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/web"
)

// A lag is how long the oldest event has waited that is not in SQL yet, of those
// that this process captured.
type lag struct {
	landed atomic.Int64 // when the oldest came that no pass has begun on, in ns; 0 if there is none
	passed atomic.Int64 // and the oldest of the pass that goes on, or failed
	worst  atomic.Int64 // the longest that one waited since the last look
}

// register has the lag shown by /metrics.
func (l *lag) register(r *prometheus.Registry) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "arbalest_lag_seconds", Help: "How long the oldest event has waited that is not in SQL yet, of those that this process captured; 0 if none waits."},
		func() float64 { return l.now().Seconds() }))
}

// land notes that events are durable.
func (l *lag) land() {
	if l.landed.Load() == 0 {
		l.landed.CompareAndSwap(0, time.Now().UnixNano())
	}
}

// begin notes that a pass takes what landed.
func (l *lag) begin() {
	if landed := l.landed.Swap(0); landed != 0 {
		l.passed.CompareAndSwap(0, landed)
	}
}

// end notes that the pass has loaded it.
func (l *lag) end() {
	if passed := l.passed.Swap(0); passed != 0 {
		l.worst.Store(max(l.worst.Load(), time.Now().UnixNano()-passed))
	}
}

// now returns how long the oldest has waited; 0 if none waits.
func (l *lag) now() time.Duration {
	since := cmp.Or(l.passed.Load(), l.landed.Load())
	if since == 0 {
		return 0
	}
	return time.Duration(time.Now().UnixNano() - since)
}

// look returns the longest wait since the last look; 0 if none waited.
func (l *lag) look() time.Duration { return max(l.now(), time.Duration(l.worst.Swap(0))) }

// A flow keeps what flowed in the newest seconds. One goroutine watches, and any
// number reads.
type flow struct {
	mu      sync.Mutex
	seconds [web.FlowSeconds]second // by Unix second, modulo their number
	before  capture.Reading
	seen    arbalest.Seq // the newest commit that was counted
	began   bool         // seen is known
	commit  time.Time    // when that was made
	ever    bool
	trouble atomic.Pointer[error] // of the newest pass; nil if there is none
}

// A second is what flowed in one.
type second struct {
	at                 int64 // Unix
	accepted, rejected float64
	answers            []float64 // as in capture.Reading
	lag                float64   // seconds; 0 if none waited, and less if it is not known
	names              map[arbalest.EventName]float64
}

// lookBack is how many commits are read when the watch begins.
const lookBack = 64

// watchFlow notes each second what has flowed.
func (s *server) watchFlow(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	s.flow.mu.Lock()
	s.flow.before = s.capture.Reading()
	s.flow.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.noteSecond(now)
			s.noteCommits(ctx)
		}
	}
}

// noteSecond notes what was counted since the last one.
func (s *server) noteSecond(now time.Time) {
	r := s.capture.Reading()
	wait := s.lag.look()
	f := &s.flow
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.second(now.Unix())
	p.accepted, p.rejected = r.Accepted-f.before.Accepted, r.Rejected-f.before.Rejected
	p.answers = slices.Clone(r.Answers)
	for i := range min(len(p.answers), len(f.before.Answers)) {
		p.answers[i] -= f.before.Answers[i]
	}
	p.lag = wait.Seconds()
	f.before = r
	f.ever = f.ever || r.Accepted > 0
}

// passed notes what a pass of sorting and loading came to.
func (f *flow) passed(err error) {
	if err == nil {
		f.trouble.Store(nil)
		return
	}
	f.trouble.Store(&err)
}

// second returns the place of a second, which is emptied if it was an older one's.
func (f *flow) second(at int64) *second {
	p := &f.seconds[at%web.FlowSeconds]
	if p.at != at {
		*p = second{at: at, lag: -1}
	}
	return p
}

// noteCommits counts the commits that were loaded since the last look, whoever
// made them. What the store does not answer is counted at the next.
func (s *server) noteCommits(ctx context.Context) {
	f := &s.flow
	loaded := s.engine.loader.Progress().Commit
	if !f.began && loaded > 0 {
		f.began, f.seen = true, loaded-min(loaded, lookBack)
	}
	for f.seen < loaded {
		c, err := s.engine.lake.Commit(ctx, f.seen+1)
		if err != nil && arbalest.OutcomeOf(err).Err != arbalest.ErrUnknown {
			return
		}
		f.seen++
		if err == nil {
			f.count(c, max(1, int64(s.every/time.Second)))
		}
	}
}

// count spreads a commit's events over the seconds since the commit before, but
// over those at most that a commit waits for.
func (f *flow) count(c arbalest.Commit, most int64) {
	names := map[arbalest.EventName]float64{}
	for _, o := range c.Objects {
		names[o.Event] += float64(o.Events)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ever = true
	to := c.Time.Unix()
	seconds := min(max(to-f.commit.Unix(), 1), most)
	f.commit = c.Time
	oldest := time.Now().Unix() - web.FlowSeconds
	for at := to - seconds + 1; at <= to; at++ {
		if at <= oldest {
			continue
		}
		p := f.second(at)
		if p.names == nil {
			p.names = map[arbalest.EventName]float64{}
		}
		for name, n := range names {
			p.names[name] += n / float64(seconds)
		}
	}
}

// flowNames is how many names a chart shows; the others are one.
const flowNames = 7

// Flow implements web.Program.
func (f *facts) Flow(context.Context) (web.Flow, error) {
	r := web.Flow{Troubles: f.troubles(), Names: []web.FlowName{}}
	head := f.engine.loader.Progress()
	r.Minute.Waiting = int64(f.engine.lake.Known() - min(head.Commit, f.engine.lake.Known()))
	f.flow.mu.Lock()
	defer f.flow.mu.Unlock()
	r.Ever = f.flow.ever
	now := time.Now().Unix() - 1 // the second that is over
	bounds := f.flow.before.Bounds
	var minute []float64
	totals := map[arbalest.EventName]float64{}
	var list []second
	for at := now - web.FlowSeconds + 2; at <= now; at++ {
		p := f.flow.seconds[at%web.FlowSeconds]
		if p.at != at {
			p = second{at: at, lag: -1}
		}
		list = append(list, p)
		r.At = append(r.At, at)
		r.Accepted, r.Rejected = append(r.Accepted, p.accepted), append(r.Rejected, p.rejected)
		r.Median, r.High = append(r.Median, quantile(bounds, p.answers, 0.5)), append(r.High, quantile(bounds, p.answers, 0.99))
		var wait *float64
		if p.lag >= 0 {
			wait = &p.lag
		}
		r.Lag = append(r.Lag, wait)
		for name, n := range p.names {
			totals[name] += n
		}
		if at > now-60 {
			minute = add(minute, p.answers)
			r.Minute.Accepted += p.accepted / 60
			r.Minute.Rejected += p.rejected / 60
			if p.lag > 0 && (r.Minute.Lag == nil || *wait > *r.Minute.Lag) {
				r.Minute.Lag = wait
			}
		}
	}
	for _, n := range minute {
		r.Minute.Requests += n / 60
	}
	r.Minute.Median, r.Minute.High = quantile(bounds, minute, 0.5), quantile(bounds, minute, 0.99)
	r.Names = namesOf(list, totals)
	return r, nil
}

// namesOf returns the events of the most frequent names in each second, and those
// of all others.
func namesOf(list []second, totals map[arbalest.EventName]float64) []web.FlowName {
	order := slices.SortedFunc(maps.Keys(totals), func(a, b arbalest.EventName) int {
		return cmp.Or(cmp.Compare(totals[b], totals[a]), cmp.Compare(a, b))
	})
	names := []web.FlowName{}
	for i, name := range order {
		if i <= flowNames {
			n := web.FlowName{Name: string(name), Events: make([]float64, len(list))}
			if i == flowNames && len(order) > flowNames+1 {
				n.Name = ""
			}
			names = append(names, n)
		}
		n := &names[min(i, flowNames)]
		for j, p := range list {
			n.Events[j] += p.names[name]
			if j >= len(list)-60 {
				n.Minute += p.names[name] / 60
			}
		}
	}
	return names
}

// rates returns the events a second of each name in the last minute.
func (f *flow) rates() map[arbalest.EventName]float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	rates := map[arbalest.EventName]float64{}
	now := time.Now().Unix()
	for _, p := range f.seconds {
		if p.at > now-61 && p.at < now {
			for name, n := range p.names {
				rates[name] += n / 60
			}
		}
	}
	return rates
}

// add adds lists element by element.
func add(a, b []float64) []float64 {
	if a == nil {
		return slices.Clone(b)
	}
	for i := range min(len(a), len(b)) {
		a[i] += b[i]
	}
	return a
}

// quantile returns a quantile of what is counted by bounds, taking it to be
// spread evenly within each; nil of nothing.
func quantile(bounds, counts []float64, q float64) *float64 {
	all := 0.0
	for _, n := range counts {
		all += n
	}
	if all == 0 || len(bounds) == 0 {
		return nil
	}
	want, low := q*all, 0.0
	for i, n := range counts {
		if i == len(bounds) {
			break
		}
		if n > 0 && want <= n {
			v := low + (bounds[i]-low)*want/n
			return &v
		}
		want -= n
		low = bounds[i]
	}
	return &bounds[len(bounds)-1]
}

// troubles are what somebody has to mend.
func (f *facts) troubles() []web.Trouble {
	list := []web.Trouble{}
	if err := f.flow.trouble.Load(); err != nil {
		list = append(list, web.Trouble{Text: "Events are taken, but not sorted or loaded: " + (*err).Error()})
	}
	stalled := f.engine.loader.Progress().Stalled
	for _, name := range slices.Sorted(maps.Keys(stalled)) {
		if stalled[name].Reason != "rebuild" {
			list = append(list, web.Trouble{Text: "Table " + name + " is not loaded at present: " + stalled[name].Reason, Path: "/tables/" + name})
		}
	}
	return list
}
