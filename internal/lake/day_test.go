package lake

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/blob/blobtest"
)

// isDay holds that Day gives the objects that the log has of a day, in its order,
// and that their lines are those of the log's.
func isDay(t *testing.T, l *Lake, event arbalest.EventName, day arbalest.Hour) {
	t.Helper()
	got, err := l.Day(context.Background(), event, day)
	if err != nil {
		t.Fatal(err)
	}
	var want []arbalest.Object
	for _, o := range objects(t, l) {
		if o.Event == event && o.Hour.Day() == day.Day() {
			want = append(want, o)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%s of %s has %d objects, want %d", event, day, len(got), len(want))
	}
	left := bodies(t, l, want)
	for i, o := range got {
		w := want[i]
		if o.Key != w.Key || o.Event != w.Event || o.Hour != w.Hour || o.Events != w.Events {
			t.Fatalf("object %d is %+v, want %+v", i, o, w)
		}
		if b := bodies(t, l, []arbalest.Object{o}); b[o.Key] != left[o.Key] || int64(len(left[o.Key])) != o.Bytes && o != w {
			t.Fatalf("%s has other lines: %d bytes of %d", o.Key, len(b[o.Key]), o.Bytes)
		}
	}
}

// someDays makes commits of two events, of three days, with repeats; some commits
// write an hour in parts.
func someDays(t *testing.T, l *Lake, random *rand.Rand, commits int) {
	t.Helper()
	w := l.NewWriter()
	for range commits {
		var lines []byte
		for range 1 + random.IntN(40) {
			at := noon.Add(time.Duration(random.IntN(72)-36) * time.Hour)
			lines = append(lines, lineOf([]arbalest.EventName{"a", "a.b"}[random.IntN(2)], fmt.Sprint(random.IntN(30)), at)...)
		}
		if _, err := w.AppendLines(context.Background(), lines); err != nil {
			t.Fatal(err)
		}
		if random.IntN(3) > 0 {
			drain(t, l)
		}
	}
	drain(t, l)
}

func daysAround(t *testing.T, l *Lake) {
	t.Helper()
	for day := arbalest.HourOf(noon) - 72; day <= arbalest.HourOf(noon)+72; day += 24 {
		isDay(t, l, "a", day)
		isDay(t, l, "a.b", day+5)
	}
}

// TestDay reads days of lakes that are compacted in part, more than once, and of
// copies, those that are not finished too.
func TestDay(t *testing.T) {
	stores(t, func(t *testing.T, store blob.Store) {
		ctx := context.Background()
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 1))
		l := openTest(t, store, Options{CompactBytes: 2000, FlushBytes: 900})
		for range 3 {
			someDays(t, l, random, 6)
			daysAround(t, l)
			if _, err := l.Compact(ctx, later); err != nil {
				t.Fatal(err)
			}
			daysAround(t, l)
			compactAll(t, l)
			daysAround(t, l)
			daysAround(t, openTest(t, store, Options{}))
		}
		steps := blobtest.StopAfter(blob.NewMemory(), blobtest.Stop{Steps: -1})
		if _, err := l.CopyTo(ctx, openTest(t, steps, Options{}), silent); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			below := blob.NewMemory()
			_, err := l.CopyTo(ctx, openTest(t, blobtest.StopAfter(below, blobtest.Stop{Steps: random.IntN(steps.Done())}), Options{}), silent)
			if err == nil {
				t.Fatal("a copy was not stopped")
			}
			daysAround(t, openTest(t, below, Options{}))
		}
	})
}

// TestDayOfNoCommit finds nothing of what no done commit has.
func TestDayOfNoCommit(t *testing.T) {
	ctx := context.Background()
	store := blob.NewMemory()
	l := openTest(t, store, Options{})
	sortOne(t, l, "1", noon)
	for _, name := range []string{"12/00000000000000000002", "12/00000000000000000001-000003", "12/other", "00000000000000000009", "00000000000000000001"} {
		if err := store.Put(ctx, arbalest.Key("a/2015-08-18/"+name+suffixPlain), strings.NewReader("x\n")); err != nil {
			t.Fatal(err)
		}
	}
	isDay(t, l, "a", arbalest.HourOf(noon))
}

// compactsIn is a store that compacts once a listing of a day has come to its n-th
// object.
type compactsIn struct {
	blob.Store
	n       int
	compact func()
}

func (s *compactsIn) List(ctx context.Context, prefix, after arbalest.Key) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		n := 0
		for info, err := range s.Store.List(ctx, prefix, after) {
			if n++; n == s.n && strings.HasPrefix(string(prefix), "a/") && s.compact != nil {
				compact := s.compact
				s.compact = nil
				compact()
			}
			if err != nil || !yield(info, err) {
				return
			}
		}
	}
}

// TestDayWhileItCompacts has all of a day merged at each step of its listing.
func TestDayWhileItCompacts(t *testing.T) {
	for n := 1; n <= 6; n++ {
		ctx := context.Background()
		below, err := blob.OpenDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		l := openTest(t, below, Options{})
		for i := range 6 {
			sortOne(t, l, fmt.Sprint(i), noon.Add(time.Duration(i-3)*time.Hour))
		}
		want := objects(t, l)
		slices.SortFunc(want, inLogOrder)
		compacted := false
		store := &compactsIn{below, n, func() { compactAll(t, l); compacted = true }}
		got, err := openTest(t, store, Options{}).Day(ctx, "a", arbalest.HourOf(noon))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) || !compacted {
			t.Errorf("compacted at %d (%v): %d objects: %+v", n, compacted, len(got), got)
		}
		if err := below.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
