package lake

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/s2"

	"arbalest"
)

// lineBytes returns n bytes, some of which compress.
func lineBytes(n int) []byte {
	b := make([]byte, n)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(rng.Uint32())
		if i%1000 > 300 {
			b[i] = "abc\n"[i%4]
		}
	}
	return b
}

func TestSegmentRoundTrip(t *testing.T) {
	var joined, all []byte
	for _, n := range []int{0, 1, 10, 300, 5000, s2Block - 1, s2Block, s2Block + 1, 3*s2Block + 7} {
		lines := lineBytes(n)
		packed := packSegment(nil, lines)
		if got, err := unpackSegment(packed, "k"); err != nil || !bytes.Equal(got, lines) {
			t.Errorf("%d bytes: %d, %v", n, len(got), err)
		}
		// The library's own reader takes it.
		if got, err := io.ReadAll(s2.NewReader(bytes.NewReader(packed))); err != nil || !bytes.Equal(got, lines) {
			t.Errorf("%d bytes by s2: %d, %v", n, len(got), err)
		}
		joined, all = packSegment(joined, lines), append(all, lines...)
	}
	if got, err := unpackSegment(joined, "k"); err != nil || !bytes.Equal(got, all) {
		t.Errorf("joined: %d, %v", len(got), err)
	}
}

// A bit that is wrong, or bytes that are missing inside a chunk, are noticed,
// unless the lines are the same all the same.
func TestSegmentDamage(t *testing.T) {
	packed := packSegment(packSegment(nil, lineBytes(700)), lineBytes(3000))
	lines, err := unpackSegment(packed, "k")
	if err != nil {
		t.Fatal(err)
	}
	for i := range packed {
		for bit := range 8 {
			bad := bytes.Clone(packed)
			bad[i] ^= 1 << bit
			if got, err := unpackSegment(bad, "k"); !errors.Is(err, arbalest.ErrCorrupt) && !bytes.Equal(got, lines) {
				t.Fatalf("bit %d of byte %d: %v", bit, i, err)
			}
		}
		got, err := unpackSegment(packed[:i], "k")
		if err == nil && len(got) != 0 && len(got) != 700 {
			t.Fatalf("the first %d bytes: %d bytes of lines", i, len(got))
		}
	}
}

func FuzzUnpackSegment(f *testing.F) {
	f.Add(packSegment(nil, []byte("one\ntwo\n")))
	f.Add(packSegment(packSegment(nil, lineBytes(2000)), []byte("x")))
	f.Add([]byte(s2Start))
	f.Fuzz(func(t *testing.T, b []byte) {
		lines, err := unpackSegment(b, "k")
		if err != nil && !errors.Is(err, arbalest.ErrCorrupt) {
			t.Fatal(err)
		}
		if err == nil {
			if again, err := unpackSegment(packSegment(nil, lines), "k"); err != nil || !bytes.Equal(again, lines) {
				t.Fatalf("%d bytes come back as %d, %v", len(lines), len(again), err)
			}
		}
	})
}
