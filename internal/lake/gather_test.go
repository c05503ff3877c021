package lake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"arbalest"
	"arbalest/internal/blob"
)

func openStore(t testing.TB, at string) *blob.Dir {
	t.Helper()
	d, err := blob.OpenDir(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// once proves that the acknowledged events, and nothing else, are stored once.
func once(t *testing.T, store blob.Store, acknowledged map[string]bool) {
	t.Helper()
	ids := contents(t, store)
	for id := range acknowledged {
		if ids[id] != 1 {
			t.Errorf("%s is there %d times", id, ids[id])
		}
	}
	if len(ids) != len(acknowledged) {
		t.Errorf("%d events are stored of %d", len(ids), len(acknowledged))
	}
}

func TestGatherer(t *testing.T) {
	stores(t, func(t *testing.T, store blob.Store) {
		ctx := t.Context()
		l := openTest(t, store, Options{})
		g := l.NewGatherer()
		all := map[string]bool{}
		var receipts []arbalest.Receipt
		for i := range 5 {
			id := fmt.Sprint("e", i)
			r, err := g.AppendLines(ctx, lineOf("a", id, noon))
			if err != nil {
				t.Fatal(err)
			}
			all[id], receipts = true, append(receipts, r)
		}
		for _, r := range receipts {
			if p, err := l.Track(ctx, r); err != nil || p.Commit != 0 {
				t.Errorf("before it is sorted %s is at %+v, %v", r, p, err)
			}
		}
		if stored, _, err := l.Unsorted(ctx); err != nil || stored[arbalest.Partition{Event: "a", Hour: arbalest.HourOf(noon)}] != 5 {
			t.Errorf("unsorted: %v, %v", stored, err)
		}
		s, err := l.Sort(ctx)
		if err != nil || s.Events != 5 {
			t.Fatal(s, err)
		}
		if _, gathers := store.(drafter); gathers && (s.Segments != 1 || receipts[0] != receipts[4]) {
			t.Errorf("five appends made %d segments, %v", s.Segments, receipts)
		}
		for _, r := range receipts {
			if p, err := l.Track(ctx, r); err != nil || p.Commit != 1 {
				t.Errorf("once it is sorted %s is at %+v, %v", r, p, err)
			}
		}
		if _, err := g.AppendLines(ctx, lineOf("a", "last", noon)); err != nil {
			t.Fatal(err)
		}
		if err := g.Close(ctx); err != nil {
			t.Fatal(err)
		}
		all["last"] = true
		drain(t, openTest(t, store, Options{}))
		once(t, store, all)
	})
}

// Segments become full while others are published and sorted.
func TestGathererFull(t *testing.T) {
	store := openStore(t, t.TempDir())
	l := openTest(t, store, Options{SegmentBytes: 2000})
	g := l.NewGatherer()
	var mu sync.Mutex
	all := map[string]bool{}
	var writing, sorting errgroup.Group
	for w := range 4 {
		writing.Go(func() error {
			for i := range 150 {
				id := fmt.Sprint(w, "-", i)
				if _, err := g.AppendLines(context.Background(), lineOf("a", id, noon)); err != nil {
					return err
				}
				mu.Lock()
				all[id] = true
				mu.Unlock()
			}
			return nil
		})
	}
	done := make(chan struct{})
	sorting.Go(func() error {
		for {
			select {
			case <-done:
				return nil
			default:
				if _, err := l.Sort(context.Background()); err != nil {
					return err
				}
			}
		}
	})
	if err := writing.Wait(); err != nil {
		t.Fatal(err)
	}
	close(done)
	if err := errors.Join(sorting.Wait(), g.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	drain(t, l)
	once(t, store, all)
}

// A line that no draft has room for is a segment of its own.
func TestGathererLarge(t *testing.T) {
	store := openStore(t, t.TempDir())
	l := openTest(t, store, Options{})
	g := l.NewGatherer()
	noise := make([]byte, 12<<20) // of digits that do not compress to 8 MiB
	x := uint64(1)
	for i := range noise {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		noise[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[x&63]
	}
	all := map[string]bool{}
	for i, properties := range []string{`{}`, `{"noise":"` + string(noise) + `"}`, `{}`} {
		e := arbalest.Event{ID: fmt.Sprint(i), Name: "a", Time: noon, Received: noon, Properties: []byte(properties)}
		if _, err := g.AppendLines(t.Context(), arbalest.AppendLine(nil, e)); err != nil {
			t.Fatal(err)
		}
		all[e.ID] = true
	}
	drain(t, l)
	once(t, store, all)
}

// Where the disk is full, appends go on for as long as there is room that was
// taken before, then fail, and go on when there is room again. What was
// acknowledged is there, once; what was refused is there at most once.
func TestGathererDiskFull(t *testing.T) {
	store := openStore(t, t.TempDir())
	var mu sync.Mutex
	full := false
	store.Around(func(op, path string, call func() error) error {
		mu.Lock()
		no := full && op == "create"
		mu.Unlock()
		if no {
			return unix.ENOSPC
		}
		return call()
	})
	l := openTest(t, store, Options{SegmentBytes: 1000})
	g := l.NewGatherer()
	acknowledged, refused := map[string]bool{}, map[string]bool{}
	appendSome := func(n int) {
		for range n {
			id := fmt.Sprint(len(acknowledged) + len(refused))
			if _, err := g.AppendLines(t.Context(), lineOf("a", id, noon)); err == nil {
				acknowledged[id] = true
			} else if refused[id] = true; !errors.Is(err, arbalest.ErrUnavailable) {
				t.Error(err)
			}
		}
	}
	appendSome(50)
	mu.Lock()
	full = true
	mu.Unlock()
	appendSome(50)
	if _, err := l.Sort(t.Context()); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("sort on a full disk: %v", err)
	}
	if len(refused) == 0 {
		t.Error("nothing is refused")
	}
	mu.Lock()
	full = false
	mu.Unlock()
	drain(t, l)
	before := len(refused)
	appendSome(50)
	if len(refused) > before {
		t.Errorf("%d are refused once there is room", len(refused)-before)
	}
	if err := g.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	drain(t, l)
	ids := contents(t, store)
	for id := range acknowledged {
		if ids[id] != 1 {
			t.Errorf("%s is there %d times", id, ids[id])
		}
	}
	for id, n := range ids {
		if n != 1 || !acknowledged[id] && !refused[id] {
			t.Errorf("%s is there %d times", id, n)
		}
	}
}

// dyingDir and dyingAt tell this binary, as a child, where to work and before
// which call on the filesystem to die.
const (
	dyingDir = "ARBALEST_LAKE_DYING_DIR"
	dyingAt  = "ARBALEST_LAKE_DYING_AT"
)

// TestInvariant2KilledAtEveryCall has a process gather and sort, which kills
// itself with SIGKILL before its kth call on the filesystem, for all k. Another
// finishes: the partitions hold every acknowledged event once, and there is no
// orphan. An event whose append was cut may be there or not, as its client was
// not answered.
func TestInvariant2KilledAtEveryCall(t *testing.T) {
	if at := os.Getenv(dyingDir); at != "" {
		die, err := strconv.Atoi(os.Getenv(dyingAt))
		if err != nil {
			t.Fatal(err)
		}
		gatherAndDie(t, at, die)
		return
	}
	whole := gatherIn(t, t.TempDir(), 1<<30)
	if !whole.finished || len(whole.acknowledged) < 8 || whole.calls < 60 {
		t.Fatalf("a session that nothing kills: %+v", whole)
	}
	var g errgroup.Group
	g.SetLimit(4)
	for k := range whole.calls {
		g.Go(func() error {
			at := t.TempDir()
			s := gatherIn(t, at, k)
			if s.finished {
				t.Errorf("killed before call %d: it was not", k)
			}
			store := openStore(t, at)
			drain(t, openTest(t, store, Options{}))
			ids := contents(t, store)
			for id := range s.acknowledged {
				if ids[id] != 1 {
					t.Errorf("killed before call %d: %s is there %d times", k, id, ids[id])
				}
			}
			for id, n := range ids {
				if n != 1 {
					t.Errorf("killed before call %d: %s is there %d times", k, id, n)
				}
			}
			if left, err := os.ReadDir(at + "/.drafts"); err != nil && !os.IsNotExist(err) || len(left) > 0 {
				t.Errorf("killed before call %d: drafts %v are left, %v", k, left, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("killed at each of %d calls", whole.calls)
}

// A killed session is what a child said before it died.
type killed struct {
	acknowledged map[string]bool
	calls        int
	finished     bool
}

func gatherIn(t *testing.T, at string, die int) killed {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestInvariant2KilledAtEveryCall$")
	cmd.Env = append(os.Environ(), dyingDir+"="+at, dyingAt+"="+strconv.Itoa(die))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	s := killed{acknowledged: map[string]bool{}}
	for line := range strings.Lines(out.String()) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "acknowledged":
			s.acknowledged[rest] = true
		case "finished":
			s.finished = true
			s.calls, _ = strconv.Atoi(rest)
		}
	}
	if s.finished != (err == nil) || err != nil && !strings.Contains(err.Error(), "killed") {
		t.Errorf("child: %v: %s", err, out.String())
	}
	return s
}

// gatherAndDie is the child.
func gatherAndDie(t *testing.T, at string, die int) {
	store := openStore(t, at)
	var mu sync.Mutex
	calls := 0
	store.Around(func(op, path string, call func() error) error {
		mu.Lock()
		if calls == die {
			_ = unix.Kill(unix.Getpid(), unix.SIGKILL)
			select {}
		}
		calls++
		mu.Unlock()
		return call()
	})
	ctx := context.Background()
	l := openTest(t, store, Options{Parallel: 1})
	g := l.NewGatherer()
	for round := range 2 {
		for i := range 4 {
			id := fmt.Sprint(round, "-", i)
			if _, err := g.AppendLines(ctx, lineOf("user.created", id, noon.Add(time.Duration(i%2)*time.Hour))); err != nil {
				t.Fatal(err)
			}
			fmt.Println("acknowledged", id)
		}
		if _, err := l.Sort(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Close(ctx); err != nil {
		t.Fatal(err)
	}
	fmt.Println("finished", calls)
}

// No segment is appended that cannot be read again.
func TestSegmentsThatAreTooLarge(t *testing.T) {
	stores(t, func(t *testing.T, store blob.Store) {
		ctx := t.Context()
		l := openTest(t, store, Options{FlushBytes: 1 << 40, SegmentBytes: 1 << 40})
		if l.opts.FlushBytes+MaxSegment > maxObject {
			t.Errorf("a sort writes objects of %d bytes, and a segment more", l.opts.FlushBytes)
		}
		g := l.NewGatherer()
		for _, w := range []interface {
			Append(context.Context, []byte, int) (arbalest.Receipt, error)
		}{g, l.NewWriter()} {
			if _, err := w.Append(ctx, packSegment(nil, lineOf("a", "x", noon)), MaxSegment+1); !errors.Is(err, arbalest.ErrTooLarge) {
				t.Error(err)
			}
		}
		receipts := map[arbalest.Receipt]bool{}
		all := map[string]bool{}
		for i := range 3 { // each said to be more than half of what a segment may have
			id := fmt.Sprint("e", i)
			r, err := g.Append(ctx, packSegment(nil, lineOf("a", id, noon)), MaxSegment/2+1)
			if err != nil {
				t.Fatal(err)
			}
			receipts[r], all[id] = true, true
		}
		if err := g.Close(ctx); err != nil || len(receipts) != 3 {
			t.Errorf("%v, %d segments", err, len(receipts))
		}
		drain(t, l)
		once(t, store, all)
	})
}
