package archive

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// spread makes a lake of an event in each of some hours, and the shelf that goes with
// it. Events whose time is that of their receipt come twice, a minute after each
// other, into two hours.
func spread(t *testing.T, hours int, byReceipt bool) (*lake.Lake, *shelf) {
	t.Helper()
	l, err := lake.Open(blob.NewMemory(), lake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{progress: load.Progress{Cursor: load.Cursor{Commit: 1}}}
	var lines []byte
	for i := range hours {
		for again := range 2 {
			at := noon.Add(time.Duration(2*i+again)*time.Hour - time.Minute)
			if again == 1 && !byReceipt {
				at = at.Add(-time.Hour)
			}
			received := at
			if !byReceipt {
				received = at.Add(time.Hour)
			}
			e := arbalest.Event{ID: fmt.Sprint(i), Name: "a", Time: at, Received: received, Hash: xxh3.HashString("{}"), Properties: []byte("{}")}
			lines = arbalest.AppendLine(lines, e)
			b := load.Book{Event: "a", Hour: arbalest.HourOf(at), Received: 1, Counts: load.Counts{Stored: 1, Loaded: 1}}
			if again == 0 {
				s.rows = append(s.rows, load.Row{ID: e.ID, Time: at.UnixMicro(), Received: received.UnixMicro(), Hash: string(arbalest.AppendHash(nil, e.Hash))})
				s.books = append(s.books, b)
				continue
			}
			if !byReceipt {
				n := &s.books[len(s.books)-1]
				n.Received, n.Stored, n.Repeats = 2, 2, 1
				continue
			}
			b.Loaded, b.Repeats = 0, 1
			s.books = append(s.books, b)
		}
	}
	if _, err := l.NewWriter().AppendLines(context.Background(), lines); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Sort(context.Background()); err != nil {
		t.Fatal(err)
	}
	return l, s
}

func verifySample(t *testing.T, l *lake.Lake, s *shelf, sample Sample) Report {
	t.Helper()
	r, err := Verify(context.Background(), l, s, Options{Sample: sample, MaxFindings: 1000, Table: func(_ context.Context, e arbalest.EventName) (arbalest.Table, error) {
		return arbalest.Table{Name: e.Table(), Event: e}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A sample has no findings of a whole lake, also where repeats are in hours that it
// does not have, and of what it looked at it finds everything.
func TestSampleComparesExactly(t *testing.T) {
	for _, byReceipt := range []bool{false, true} {
		for seed := range uint64(6) {
			l, s := spread(t, 50, byReceipt)
			sample := Sample{Share: 0.2, Seed: seed}
			r := verifySample(t, l, s, sample)
			if r.Err() != nil || r.Listed != 0 || r.Sample == nil || r.Sample.Partitions*5 != r.Sample.Of {
				t.Fatalf("seed %d: %+v", seed, r)
			}
			looked := map[int64]bool{}
			before := s.rows
			s.rows = nil
			r = verifySample(t, l, s, sample)
			for _, f := range r.Findings {
				if f.Kind != Missing {
					t.Errorf("seed %d: %+v", seed, f)
				}
				h, err := arbalest.ParseHour(f.Hour)
				if err != nil {
					t.Fatal(err)
				}
				looked[int64(h)] = true
			}
			// What is gone elsewhere is not looked at, of what is there nothing is missing.
			for _, row := range before {
				if looked[int64(arbalest.HourOfMicro(row.Time))] {
					s.rows = append(s.rows, row)
				}
			}
			if again := verifySample(t, l, s, sample); again.Err() != nil || len(looked) == 0 {
				t.Fatalf("seed %d: %d hours, %+v", seed, len(looked), again)
			}
			if other := verifySample(t, l, s, Sample{Share: 0.2, Seed: seed + 1000}); other.Err() == nil {
				t.Errorf("seed %d: another seed chooses the same", seed)
			}
		}
	}
}

func TestSampleOfObjects(t *testing.T) {
	l, s := spread(t, 50, false)
	for n, want := range map[int64]int64{1: 1, 7: 7, 50: 50, 1000: 50} {
		r := verifySample(t, l, s, Sample{Objects: n, Seed: 1})
		if r.Err() != nil || r.Sample.Objects != want || r.Objects != want {
			t.Errorf("%d: %+v", n, r)
		}
	}
}
