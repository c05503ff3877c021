package blobtest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/blob"
)

// RunTiered checks that a store does what blob.Tiered says, beyond what Run checks.
// open returns an empty one, and what moves its clock on.
func RunTiered(t *testing.T, open func(t *testing.T) (store blob.Tiered, advance func(time.Duration))) {
	for _, c := range []struct {
		name string
		test func(*testing.T, blob.Tiered, func(time.Duration))
	}{
		{"Describe", testDescribe},
		{"Freeze", testFreeze},
		{"FreezeRefuses", testFreezeRefuses},
		{"FreezeKeys", testFreezeKeys},
		{"Written", testWritten},
		{"Thaw", testThaw},
		{"ThawLonger", testThawLonger},
		{"ThawRefuses", testThawRefuses},
	} {
		t.Run(c.name, func(t *testing.T) {
			store, advance := open(t)
			c.test(t, store, advance)
		})
	}
}

// large is a body that may be frozen.
var large = strings.Repeat("0123456789abcdef", blob.MinFrozen/16)

func describe(t *testing.T, s blob.Tiered, key arbalest.Key) blob.State {
	t.Helper()
	state, err := s.Describe(t.Context(), key)
	if err != nil {
		t.Error(err)
	}
	return state
}

func wantState(t *testing.T, s blob.Tiered, key arbalest.Key, class blob.Class, frozen, thawing bool) {
	t.Helper()
	if got := describe(t, s, key); got.Class != class || got.Frozen != frozen || got.Thawing != thawing || got.Key != key {
		t.Errorf("describe %s: %+v; want %s, frozen %t, thawing %t", key, got, class, frozen, thawing)
	}
}

func wantCold(t *testing.T, s blob.Store, key arbalest.Key) {
	t.Helper()
	for _, span := range [][2]int64{{0, blob.Whole}, {5, 10}} {
		_, err := read(t.Context(), s, key, span[0], span[1])
		if !errors.Is(err, arbalest.ErrCold) || !strings.Contains(err.Error(), "arbalest restore") || !strings.Contains(err.Error(), string(key)) {
			t.Errorf("get of frozen %s: %v", key, err)
		}
	}
}

func freeze(t *testing.T, s blob.Tiered, key arbalest.Key, to blob.Class) {
	t.Helper()
	if err := s.Freeze(t.Context(), key, to); err != nil {
		t.Error(err)
	}
}

func thaw(t *testing.T, s blob.Tiered, key arbalest.Key, wish blob.Thaw) {
	t.Helper()
	if err := s.Thaw(t.Context(), key, wish); err != nil {
		t.Error(err)
	}
}

func testDescribe(t *testing.T, s blob.Tiered, _ func(time.Duration)) {
	put(t, s, "a/b", "small")
	put(t, s, "a/b2", large)
	wantState(t, s, "a/b", blob.Standard, false, false)
	if got := describe(t, s, "a/b2"); got != (blob.State{Info: blob.Info{Key: "a/b2", Size: int64(len(large))}, Class: blob.Standard}) {
		t.Errorf("describe: %+v", got)
	}
	for key, want := range map[arbalest.Key]error{"a": arbalest.ErrUnknown, "none": arbalest.ErrUnknown, "a//b": arbalest.ErrInvalid} {
		_, err := s.Describe(t.Context(), key)
		wantErr(t, "describe "+string(key), err, want)
		wantErr(t, "freeze "+string(key), s.Freeze(t.Context(), key, blob.Glacier), want)
		wantErr(t, "thaw "+string(key), s.Thaw(t.Context(), key, blob.Thaw{Days: 1}), want)
	}
}

// A frozen object has its bytes and its key, and can be read if its class allows.
func testFreeze(t *testing.T, s blob.Tiered, advance func(time.Duration)) {
	for _, class := range []blob.Class{blob.GlacierInstant, blob.Glacier, blob.DeepArchive} {
		key := arbalest.Key("f/" + class)
		put(t, s, key, large+string(class))
		freeze(t, s, key, class)
		wantState(t, s, key, class, class.Freezes(), false)
		freeze(t, s, key, class) // again
		wantState(t, s, key, class, class.Freezes(), false)
		if class.Freezes() {
			wantCold(t, s, key)
			thaw(t, s, key, blob.Thaw{Days: 1})
			advance(12 * time.Hour)
		}
		wantBody(t, s, key, large+string(class))
	}
	wantList(t, s, "", "", "f/DEEP_ARCHIVE", "f/GLACIER", "f/GLACIER_IR")
	freeze(t, s, "f/GLACIER_IR", blob.Glacier) // from one class to a colder one
	wantState(t, s, "f/GLACIER_IR", blob.Glacier, true, false)
}

func testFreezeRefuses(t *testing.T, s blob.Tiered, _ func(time.Duration)) {
	put(t, s, "small", large[1:])
	put(t, s, "large", large)
	wantErr(t, "freeze a small object", s.Freeze(t.Context(), "small", blob.DeepArchive), arbalest.ErrInvalid)
	for _, class := range []blob.Class{"", "PERMAFROST", blob.Standard + "_IA"} {
		wantErr(t, fmt.Sprintf("freeze to %q", class), s.Freeze(t.Context(), "large", class), arbalest.ErrInvalid)
	}
	for _, key := range []arbalest.Key{"small", "large"} {
		wantState(t, s, key, blob.Standard, false, false)
	}
	freeze(t, s, "large", blob.Glacier)
	wantErr(t, "freeze what is frozen", s.Freeze(t.Context(), "large", blob.DeepArchive), arbalest.ErrCold)
	wantState(t, s, "large", blob.Glacier, true, false)
}

func testFreezeKeys(t *testing.T, s blob.Tiered, advance func(time.Duration)) {
	keys := []arbalest.Key{"a b+c", "a%2Fb/%", "a?b=c&d#e", "ä/日本", `a"b'c<&>`, "user.created/2015-08-18/06/00000000000000000042.ndjson.zst"}
	for _, key := range keys {
		put(t, s, key, large+string(key))
		freeze(t, s, key, blob.Glacier)
		wantCold(t, s, key)
		thaw(t, s, key, blob.Thaw{Days: 1})
		wantState(t, s, key, blob.Glacier, true, true)
	}
	advance(5 * time.Hour)
	for _, key := range keys {
		wantBody(t, s, key, large+string(key))
	}
}

// What is written, or written again, is not cold.
func testWritten(t *testing.T, s blob.Tiered, _ func(time.Duration)) {
	put(t, s, "k", large)
	freeze(t, s, "k", blob.DeepArchive)
	wantErr(t, "create over a frozen object", s.Create(t.Context(), "k", strings.NewReader("x")), arbalest.ErrExists)
	wantState(t, s, "k", blob.DeepArchive, true, false)
	put(t, s, "k", "new")
	wantState(t, s, "k", blob.Standard, false, false)
	wantBody(t, s, "k", "new")
	put(t, s, "k", large)
	freeze(t, s, "k", blob.Glacier)
	for range 2 {
		if err := s.Delete(t.Context(), "k"); err != nil {
			t.Error(err)
		}
	}
	wantErr(t, "get of deleted", get(t, s, "k"), arbalest.ErrUnknown)
	if err := s.Create(t.Context(), "k", strings.NewReader("again")); err != nil {
		t.Error(err)
	}
	wantState(t, s, "k", blob.Standard, false, false)
	wantBody(t, s, "k", "again")
}

// A thaw takes its time, is asked for once, and ends.
func testThaw(t *testing.T, s blob.Tiered, advance func(time.Duration)) {
	for _, c := range []struct {
		class blob.Class
		speed blob.Speed
		takes time.Duration
	}{
		{blob.Glacier, blob.Expedited, 5 * time.Minute},
		{blob.Glacier, "", 5 * time.Hour},
		{blob.Glacier, blob.Bulk, 12 * time.Hour},
		{blob.DeepArchive, blob.ThawStandard, 12 * time.Hour},
		{blob.DeepArchive, blob.Bulk, 48 * time.Hour},
	} {
		key := arbalest.Key(fmt.Sprintf("t/%s/%s", c.class, c.speed+"x"))
		put(t, s, key, large)
		freeze(t, s, key, c.class)
		wish := blob.Thaw{Days: 2, Speed: c.speed}
		thaw(t, s, key, wish)
		thaw(t, s, key, wish) // it is on its way
		wantState(t, s, key, c.class, true, true)
		wantCold(t, s, key)
		advance(c.takes)
		wantState(t, s, key, c.class, false, false)
		wantBody(t, s, key, large)
		until := describe(t, s, key).Until
		if until.IsZero() || until != until.UTC().Truncate(24*time.Hour) {
			t.Errorf("%s is thawed until %v, which is no midnight", key, until)
		}
		thaw(t, s, key, blob.Thaw{Days: 1}) // it can be read for longer
		if now := describe(t, s, key).Until; now.Before(until) {
			t.Errorf("thawing %s again cut its time from %v to %v", key, until, now)
		}
		advance(3 * 24 * time.Hour)
		wantState(t, s, key, c.class, true, false) // two days, up to the midnight after
		wantCold(t, s, key)
		thaw(t, s, key, wish)
		wantState(t, s, key, c.class, true, true)
	}
	put(t, s, "readable", large)
	thaw(t, s, "readable", blob.Thaw{Days: 1})
	wantState(t, s, "readable", blob.Standard, false, false)
	freeze(t, s, "readable", blob.GlacierInstant)
	thaw(t, s, "readable", blob.Thaw{Days: 1})
	wantState(t, s, "readable", blob.GlacierInstant, false, false)
}

func testThawLonger(t *testing.T, s blob.Tiered, advance func(time.Duration)) {
	put(t, s, "k", large)
	freeze(t, s, "k", blob.Glacier)
	thaw(t, s, "k", blob.Thaw{Days: 1, Speed: blob.Expedited})
	advance(5 * time.Minute)
	before := describe(t, s, "k").Until
	thaw(t, s, "k", blob.Thaw{Days: 30})
	if after := describe(t, s, "k"); after.Frozen || after.Until.Sub(before) < 28*24*time.Hour {
		t.Errorf("thawed until %v, then for 30 days until %v", before, after.Until)
	}
	wantBody(t, s, "k", large)
}

func testThawRefuses(t *testing.T, s blob.Tiered, _ func(time.Duration)) {
	put(t, s, "k", large)
	freeze(t, s, "k", blob.DeepArchive)
	for _, wish := range []blob.Thaw{{}, {Days: -1}, {Days: 1, Speed: "Fast"}, {Days: 1, Speed: blob.Expedited}} {
		wantErr(t, fmt.Sprintf("thaw by %+v", wish), s.Thaw(t.Context(), "k", wish), arbalest.ErrInvalid)
	}
	wantState(t, s, "k", blob.DeepArchive, true, false)
}
