package blob_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/blob"
)

func TestMemoryListsAMillion(t *testing.T) {
	objects := 1_000_000
	if testing.Short() {
		objects /= 10
	}
	m := blob.NewMemory()
	for i := range objects {
		if err := m.Put(t.Context(), millionth(i), strings.NewReader("")); err != nil {
			t.Fatal(err)
		}
	}
	listMillion(t, m, objects, 1<<20)
}

// Of a directory they are fewer, unless the environment has ARBALEST_MILLION
// (a minute). The objects are links to a few files, which are made faster.
func TestDirListsAMillion(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 200,000 files")
	}
	folders, flat := 150_000, 50_000
	if os.Getenv("ARBALEST_MILLION") != "" {
		folders, flat = 1_000_000, 1_000_000
	}
	const perFolder = 1000
	for _, c := range []struct {
		name    string
		objects int
		key     func(i int) arbalest.Key
		most    int // bytes
	}{
		{"folders", folders, millionth, 4 << 20},
		{"flat", flat, func(i int) arbalest.Key { return arbalest.Key(fmt.Sprintf("flat/%07d", i)) }, flat * 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := t.TempDir()
			began := time.Now()
			source := ""
			for i := range c.objects {
				path := filepath.Join(at, string(c.key(i)))
				if i%perFolder == 0 {
					if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
						t.Fatal(err)
					}
				}
				if i%50_000 == 0 { // a file has at most 65,000 links on ext4
					source = path
					if err := os.WriteFile(source, []byte("x"), 0o666); err != nil {
						t.Fatal(err)
					}
				} else if err := os.Link(source, path); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("made in %v", time.Since(began))
			listMillion(t, openDir(t, at), c.objects, c.most)
		})
	}
}

func millionth(i int) arbalest.Key {
	return arbalest.Key(fmt.Sprintf("event.%d/%03d/%07d.ndjson.zst", i/100_000, i/1000%100, i))
}

// listMillion checks that a list is in order, complete, soon and small.
func listMillion(t *testing.T, s blob.Store, objects, most int) {
	t.Helper()
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	var first time.Duration
	var last arbalest.Key
	n, held := 0, 0
	for info, err := range s.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			first = time.Since(began)
		}
		if info.Key <= last {
			t.Fatalf("%s is after %s", info.Key, last)
		}
		last = info.Key
		if n++; n%(objects/5) == objects/10 {
			runtime.GC()
			runtime.ReadMemStats(&during)
			held = max(held, int(during.HeapAlloc)-int(before.HeapAlloc))
		}
	}
	t.Logf("%d objects in %v, the first after %v, in %d KiB", n, time.Since(began), first, held>>10)
	if n != objects {
		t.Errorf("%d objects, want %d", n, objects)
	}
	if limit := max(time.Second, time.Since(began)*2/3); first > limit {
		t.Errorf("the first object came after %v, want %v", first, limit)
	}
	if held > most {
		t.Errorf("the list held %d bytes, want at most %d", held, most)
	}
}
