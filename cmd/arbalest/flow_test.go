package main

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"arbalest"
)

func TestQuantileLiesInItsBucket(t *testing.T) {
	bounds := []float64{1, 2, 4}
	for _, c := range []struct {
		counts []float64
		q      float64
		want   float64
	}{
		{[]float64{10, 0, 0, 0}, 0.5, 0.5}, {[]float64{5, 5, 0, 0}, 0.99, 1.98}, {[]float64{0, 0, 4, 0}, 0.5, 3}, {[]float64{0, 0, 0, 1}, 0.5, 4}, {[]float64{1, 0, 0, 1}, 0.5, 1},
	} {
		if got := quantile(bounds, c.counts, c.q); got == nil || math.Abs(*got-c.want) > 1e-9 {
			t.Errorf("%v at %v: %v, want %v", c.counts, c.q, got, c.want)
		}
	}
	if quantile(bounds, []float64{0, 0, 0, 0}, 0.5) != nil || quantile(nil, nil, 0.5) != nil {
		t.Error("nothing has a median")
	}
}

func TestLagIsThatOfTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lag
		if l.look() != 0 {
			t.Error("nothing waits")
		}
		l.land()
		time.Sleep(time.Second)
		l.land()
		l.begin()
		time.Sleep(time.Second)
		l.land() // after the pass began
		if l.look() != 2*time.Second {
			t.Error("the oldest waits for 2 s")
		}
		l.begin() // the pass failed, and another tries
		time.Sleep(time.Second)
		l.end()
		time.Sleep(time.Second)
		if got := l.look(); got != 3*time.Second {
			t.Errorf("the longest wait was %v", got)
		}
		l.begin()
		l.end()
		l.look()
		if got := l.look(); got != 0 {
			t.Errorf("now nothing waits, but %v", got)
		}
	})
}

func TestFlowSpreadsACommitOverItsSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flow
		time.Sleep(time.Hour)
		commit := func(n int64, most int64) {
			f.count(arbalest.Commit{Time: time.Now(), Objects: []arbalest.Object{{Event: "a", Events: n}, {Event: "a", Events: n}, {Event: "b", Events: 1}}}, most)
		}
		commit(15, 60) // over the minute before
		time.Sleep(10 * time.Second)
		commit(20, 60) // over 10 s
		time.Sleep(time.Second)
		rates := f.rates()
		if want := (25 + 40) / 60.0; math.Abs(rates["a"]-want) > 0.02 {
			t.Errorf("a has %v a second, want %v", rates["a"], want)
		}
		now := time.Now().Unix()
		if p := f.second(now - 1); p.names["a"] != 4 {
			t.Errorf("the last second has %v", p.names)
		}
		f.count(arbalest.Commit{Time: time.Now().Add(-time.Hour), Objects: []arbalest.Object{{Event: "old", Events: 1}}}, 60)
		if _, ok := f.rates()["old"]; ok {
			t.Error("what is older than the flow is in it")
		}
	})
}
