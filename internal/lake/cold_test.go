package lake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/blob/blobtest"
)

// wantCold wants an error that says which object is frozen, and what to do.
func wantCold(t *testing.T, what string, err error, key arbalest.Key) {
	t.Helper()
	if !errors.Is(err, arbalest.ErrCold) || errors.Is(err, arbalest.ErrCorrupt) || !strings.Contains(err.Error(), string(key)) || !strings.Contains(err.Error(), "arbalest restore") {
		t.Errorf("%s: %v; want %s named as cold", what, err, key)
	}
}

// TestFrozenObjects reads a frozen object, and one that is part of a frozen one, in
// every way; thawed they are as they were.
func TestFrozenObjects(t *testing.T) {
	ctx := context.Background()
	for _, merged := range []bool{false, true} {
		store := blobtest.NewCold(blob.NewMemory())
		l := openTest(t, store, Options{})
		for i := range 2 {
			if _, err := l.NewWriter().AppendLines(ctx, lineOf("a", fmt.Sprint(i), noon)); err != nil {
				t.Fatal(err)
			}
			drain(t, l)
		}
		all := objects(t, l)
		frozen := all[0].Key
		if merged {
			compactAll(t, l)
			for info, err := range store.List(ctx, "a/", "") {
				if err != nil {
					t.Fatal(err)
				}
				frozen = info.Key
			}
		}
		store.Chill(frozen, blob.Glacier)
		for _, o := range all[:1] {
			l := openTest(t, store, Options{})
			wantCold(t, "check", l.Check(ctx, o, func([]byte) error { return nil }), frozen)
			_, _, err := l.Lines(ctx, o)
			wantCold(t, "lines", err, frozen)
			_, _, err = l.AppendLines(ctx, nil, o)
			wantCold(t, "append lines", err, frozen)
			_, err = l.Read(ctx, frozen)
			wantCold(t, "read", err, frozen)
			_, err = l.CopyTo(ctx, openTest(t, blob.NewMemory(), Options{}), func(Copied) {})
			wantCold(t, "copy", err, frozen)
		}
		if err := store.Thaw(ctx, frozen, blob.Thaw{Days: 1}); err != nil {
			t.Fatal(err)
		}
		store.Advance(5 * time.Hour)
		if got := contents(t, store); len(got) != 2 {
			t.Errorf("thawed: %v", got)
		}
	}
}

// TestCompactPassesFrozenOver has a plan finished whose object is frozen.
func TestCompactPassesFrozenOver(t *testing.T) {
	ctx := context.Background()
	store := blobtest.NewCold(blob.NewMemory())
	l := openTest(t, store, Options{})
	for i := range 4 {
		if _, err := l.NewWriter().AppendLines(ctx, lineOf(arbalest.EventName([]string{"a", "b"}[i%2]), fmt.Sprint(i), noon)); err != nil {
			t.Fatal(err)
		}
		drain(t, l)
	}
	store.Chill(objects(t, l)[0].Key, blob.DeepArchive)
	if c := compactAll(t, l); c.Before != 2 || c.After != 1 {
		t.Errorf("%+v", c)
	}
	if err := store.Thaw(ctx, objects(t, l)[0].Key, blob.Thaw{Days: 1}); err != nil {
		t.Fatal(err)
	}
	store.Advance(12 * time.Hour)
	if got := contents(t, store); len(got) != 4 {
		t.Errorf("%v", got)
	}
}

// TestStoreErrorsAreNotDamage breaks off the reading of an object that is read as a
// stream: what fails is the store, and the object is not corrupt.
func TestStoreErrorsAreNotDamage(t *testing.T) {
	ctx := context.Background()
	for _, suffix := range []string{suffixZstd, suffixPlain} {
		memory := blob.NewMemory()
		l := openTest(t, memory, Options{})
		o := arbalest.Object{Key: arbalest.Key("a/2015-08-18/12/00000000000000000001" + suffix), Event: "a", Hour: arbalest.HourOf(noon)}
		rng := rand.New(rand.NewPCG(1, 1))
		var lines []byte
		for o.Bytes <= 2*frameBytes {
			line := lineOf("a", fmt.Sprint(rng.Uint64(), rng.Uint64(), rng.Uint64()), noon)
			lines = append(lines, line...)
			o.Events, o.Bytes, o.Hash = o.Events+1, o.Bytes+int64(len(line)), o.Hash+xxh3.Hash(line)
		}
		packed := l.codec.pack(nil, lines, suffix)
		if err := memory.Put(ctx, o.Key, bytes.NewReader(packed)); err != nil {
			t.Fatal(err)
		}
		visit := func([]byte) error { return nil }
		if err := l.Check(ctx, o, visit); err != nil {
			t.Fatal(err)
		}
		faulty := openTest(t, blobtest.Faulty(memory, blobtest.Fault{Op: blobtest.OpGet, Kind: blobtest.Torn, Err: blob.Cold()}), Options{})
		wantCold(t, "check "+suffix, faulty.Check(ctx, o, visit), o.Key)
		r, _, err := faulty.Lines(ctx, o)
		if err == nil {
			_, err = io.Copy(io.Discard, r)
			r.Close()
		}
		wantCold(t, "lines "+suffix, err, o.Key)
		if err := memory.Put(ctx, o.Key, bytes.NewReader(packed[:len(packed)/2])); err != nil {
			t.Fatal(err)
		}
		if err := l.Check(ctx, o, visit); !errors.Is(err, arbalest.ErrCorrupt) {
			t.Errorf("half of %s: %v", suffix, err)
		}
	}
}
