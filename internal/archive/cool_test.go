package archive

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/blob/blobtest"
	"arbalest/internal/lake"
)

// incompressible is a text that takes its length when it is stored.
func incompressible(n int) string {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, "%x", random.Uint64())
	}
	return b.String()
}

// TestDaysGoCold has days go to an archive's class, with a late event afterwards, and
// thaws and brings them back.
func TestDaysGoCold(t *testing.T) {
	ctx := t.Context()
	var cold *blobtest.Cold
	w := newWorld(t, func(dir string) blob.Store {
		below, err := blob.OpenDir(filepath.Join(dir, "store"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { below.Close() })
		cold = blobtest.NewCold(below)
		return cold
	})
	w.keep[0].Retention = Retention{Hot: 2, Cold: 4}
	old, recent := noon.AddDate(0, 0, -5), noon.AddDate(0, 0, -3)
	text := incompressible(300_000)
	w.send(occurrence{id: "large", at: old, properties: `{"t":"` + text + `"}`}, occurrence{id: "small", at: old.Add(time.Hour)}, occurrence{id: "warm", at: recent}, occurrence{id: "hot", at: noon})
	w.load()
	r := w.pass()
	if n, sum := r.Sum(Cooled); n != 1 || sum.Rows != 2 || sum.Frozen < 100_000 {
		t.Fatalf("%+v", r)
	}
	if n, _ := r.Sum(Warmed); n != 1 {
		t.Fatalf("%+v", r)
	}
	rows := func(want string) {
		t.Helper()
		if got := w.ask("SELECT string_agg(event_id, ',' ORDER BY event_id) FROM a_all"); got != want {
			t.Fatalf("all tiers have %s, want %s", got, want)
		}
	}
	rows("hot,warm")
	classes := map[blob.Class]int{}
	for info, err := range cold.List(ctx, "a/", "") {
		if err != nil {
			t.Fatal(err)
		}
		s, err := cold.Describe(ctx, info.Key)
		if err != nil || s.Class != blob.Standard && s.Size < blob.MinFrozen {
			t.Fatalf("%v: %+v", err, s)
		}
		classes[s.Class]++
	}
	if classes[blob.Glacier] != 1 || classes[blob.Standard] != 3 {
		t.Errorf("%v", classes)
	}
	if r := w.pass(); len(r.Days) != 0 {
		t.Errorf("again: %+v", r)
	}

	// A late event, and a repeat of one that cannot be read.
	w.send(occurrence{id: "late", at: old.Add(2 * time.Hour)}, occurrence{id: "large", at: old, properties: `{"t":"` + text + `"}`})
	w.load()
	rows("hot,late,warm")
	if n, sum := w.pass().Sum(Cooled); n != 1 || sum.Rows != 1 {
		t.Fatalf("%+v", sum)
	}
	rows("hot,warm")

	// It is thawed, in two passes.
	day := before(noon, 5)
	thaw := blob.Thaw{Days: 3}
	thawing, err := Thaw(ctx, w.store, "a", day, day+24, thaw)
	if err != nil || thawing.Objects < 1 || thawing.Frozen != thawing.Objects {
		t.Fatalf("%v: %+v", err, thawing)
	}
	cold.Advance(6 * time.Hour)
	if thawing, err = Thaw(ctx, w.store, "a", day, day+24, thaw); err != nil || thawing.Frozen != 0 || thawing.Until.Before(cold.Now().AddDate(0, 0, 2)) {
		t.Fatalf("%v: %+v", err, thawing)
	}
	objects, err := w.lake.Day(ctx, "a", day)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if err := w.lake.Check(ctx, o, func([]byte) error { return nil }); err != nil {
			t.Error(err)
		}
	}
}

// TestCompactionPassesFrozenOver leaves what cannot be read as it is.
func TestCompactionPassesFrozenOver(t *testing.T) {
	ctx := context.Background()
	cold := blobtest.NewCold(blob.NewMemory())
	w := &world{T: t}
	var err error
	if w.lake, err = lake.Open(cold, lake.Options{}); err != nil {
		t.Fatal(err)
	}
	w.send(occurrence{id: "1", at: noon})
	w.send(occurrence{id: "2", at: noon})
	w.send(occurrence{id: "3", at: noon.AddDate(0, 0, 1)})
	w.send(occurrence{id: "4", at: noon.AddDate(0, 0, 1)})
	commit, err := w.lake.Commit(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	cold.Chill(commit.Objects[0].Key, blob.Glacier)
	c, err := w.lake.Compact(ctx, arbalest.HourOf(noon)+99)
	if err != nil || c.Before != 2 || c.After != 1 {
		t.Errorf("%v: %+v", err, c)
	}
}

// TestWhatIsNotLoadedIsNotFrozen has a commit of a day that goes cold wait to be loaded.
func TestWhatIsNotLoadedIsNotFrozen(t *testing.T) {
	w := newWorld(t, func(dir string) blob.Store {
		below, err := blob.OpenDir(filepath.Join(dir, "store"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { below.Close() })
		return blobtest.NewCold(below)
	})
	w.keep[0].Retention = Retention{Hot: 2, Cold: 4}
	old := noon.AddDate(0, 0, -5)
	w.send(occurrence{id: "first", at: old, properties: `{"t":"` + incompressible(300_000) + `"}`})
	w.load()
	w.send(occurrence{id: "second", at: old, properties: `{"u":"` + incompressible(300_000) + `"}`})
	if r := w.pass(); len(r.Days) != 1 || r.Days[0].Action != Waits {
		t.Fatalf("%+v", r)
	}
	w.load()
	if p, err := w.w.Progress(t.Context()); err != nil || len(p.Stalled) > 0 {
		t.Fatalf("%v: %+v", err, p)
	}
	if n, sum := w.pass().Sum(Cooled); n != 1 || sum.All != 2 {
		t.Errorf("%d days with %d rows went cold", n, sum.All)
	}
	w.verified()
}
