package s3

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"arbalest"
	"arbalest/internal/s3/s3test"
)

// manyKey is that of an object with one event, in the original's layout.
func manyKey(i int) arbalest.Key {
	return arbalest.Key(fmt.Sprintf("user.created/2015-08-18/%02d/%08d.json", i%24, i))
}

// putMany writes n objects of an event each.
func putMany(t testing.TB, s *Store, n int) {
	t.Helper()
	var g errgroup.Group
	g.SetLimit(64)
	for i := range n {
		g.Go(func() error {
			return s.Put(context.Background(), manyKey(i), strings.NewReader(fmt.Sprintf(`{"id":"%08d","email_address":"jane%d@doe.com","timestamp":"2015-08-18T06:36:40Z","workflow":"mobile"}`, i, i)))
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// getMany reads n objects, so many at once, and returns the rate in objects per
// second.
func getMany(t testing.TB, s *Store, n, parallel int) float64 {
	t.Helper()
	var next atomic.Int64
	var g errgroup.Group
	began := time.Now()
	for range parallel {
		// Goroutines that stay: a new one for each object would grow its stack for
		// the SDK each time, a fifth of the work.
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				if b, err := read(context.Background(), s, manyKey(i)); err != nil || len(b) < 80 {
					return fmt.Errorf("%d bytes, %w", len(b), err)
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	return float64(n) / time.Since(began).Seconds()
}

// Small objects are read at a rate that lets a copy of 20,000 be a matter of
// seconds; here of fewer. The bound is far below what is measured, as machines
// differ and the race detector is slow.
func TestManySmallObjects(t *testing.T) {
	const n = 600
	s := open(t, s3test.Start(t), Options{})
	putMany(t, s, n)
	rate := getMany(t, s, n, 32)
	t.Logf("%.0f objects a second", rate)
	if rate < 200 {
		t.Errorf("%.0f objects a second", rate)
	}
}

// BenchmarkGet reads 20,000 small objects from versitygw on this machine:
//
//	go test -run xxx -bench Get -benchtime 1x ./internal/s3
func BenchmarkGet(b *testing.B) {
	const n = 20_000
	s := open(b, s3test.Start(b), Options{})
	putMany(b, s, n)
	for _, parallel := range []int{1, 4, 8, 16, 32, 64, 128, 256} {
		b.Run(fmt.Sprint(parallel), func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(getMany(b, s, n, parallel), "objects/s")
			}
		})
	}
}
