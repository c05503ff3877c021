package blob

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"arbalest"
)

func TestOpenDir(t *testing.T) {
	root := filepath.Join(t.TempDir(), "new/root")
	first, err := OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	for name, age := range map[string]time.Duration{"dead": 25 * time.Hour, "alive": 23 * time.Hour} {
		at := filepath.Join(root, temporaries, name)
		if err := os.WriteFile(at, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(at, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	second, err := OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if left, err := os.ReadDir(filepath.Join(root, temporaries)); err != nil || len(left) != 1 || left[0].Name() != "alive" {
		t.Errorf("temporaries left: %v, %v", left, err)
	}
	for range second.List(t.Context(), "", "") {
		t.Error("List shows a temporary")
	}
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{file, file + "/below"} {
		if _, err := OpenDir(at); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("open %s: %v", at, err)
		}
	}
}

func TestFolderAndKey(t *testing.T) {
	d, _ := recorded(t)
	body := strings.NewReader("x")
	if err := d.Put(t.Context(), "a/b", body); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"put above":    d.Put(t.Context(), "a", body),
		"create above": d.Create(t.Context(), "a", body),
		"put below":    d.Put(t.Context(), "a/b/c", body),
		"create below": d.Create(t.Context(), "a/b/c", body),
	} {
		if !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClosedDir(t *testing.T) {
	d, _ := recorded(t)
	if err := d.Put(t.Context(), "a/b", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	d.Close()
	if err := d.Put(t.Context(), "a/b", strings.NewReader("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("put: %v", err)
	}
	if _, err := d.Get(t.Context(), "a/b", 0, Whole); err == nil {
		t.Error("get of a closed Dir")
	}
}

// The way of filesystems without renameat2 has one winner too.
func TestLinkExclusive(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for i, want := range []error{nil, unix.EEXIST} {
		temp := fmt.Sprint("temp", i)
		if err := os.WriteFile(filepath.Join(dir.Name(), temp), []byte(temp), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := linkExclusive(int(dir.Fd()), temp, int(dir.Fd()), "object"); err != want {
			t.Errorf("link %s: %v, want %v", temp, err, want)
		}
	}
	names, err := dir.Readdirnames(-1)
	slices.Sort(names)
	body, _ := os.ReadFile(filepath.Join(dir.Name(), "object"))
	if err != nil || !slices.Equal(names, []string{"object", "temp1"}) || string(body) != "temp0" {
		t.Errorf("left %q, object %q, %v", names, body, err)
	}
}

// A root that was removed is not made again: it may be a disk that is gone.
func TestRootRemoved(t *testing.T) {
	d, r := recorded(t)
	if err := os.RemoveAll(r.root); err != nil {
		t.Fatal(err)
	}
	for _, key := range []arbalest.Key{"k", "a/b/k"} {
		err := d.Put(t.Context(), key, strings.NewReader("x"))
		if !errors.Is(err, arbalest.ErrUnavailable) || !strings.Contains(err.Error(), "restore the directory") {
			t.Errorf("put %s: %v", key, err)
		}
	}
	if _, err := os.Stat(r.root); err == nil {
		t.Error("the root was made again")
	}
}

// Two Dirs are as two processes: neither fails because the other removes the
// folders that it remembers.
func TestDirsEmptyFolders(t *testing.T) {
	root := t.TempDir()
	var all sync.WaitGroup
	for i := range 4 {
		d, err := OpenDir(root)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		all.Go(func() {
			for round := range 100 {
				key := arbalest.Key(fmt.Sprintf("a/b/c/%d", i))
				if err := d.Create(t.Context(), key, strings.NewReader("x")); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
				if r, err := d.Get(t.Context(), key, 0, Whole); err != nil {
					t.Errorf("round %d: %v", round, err)
				} else {
					r.Close()
				}
				if err := d.Delete(t.Context(), key); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			}
		})
	}
	all.Wait()
	if left, err := os.ReadDir(root); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v; want %s", left, err, temporaries)
	}
}

func TestFoldersAreBounded(t *testing.T) {
	d, _ := recorded(t)
	d.disk.around = func(op, _ string, call func() error) error {
		if op == "fsync" {
			return nil
		}
		return call()
	}
	var all sync.WaitGroup
	for writer := range 8 {
		all.Go(func() {
			for i := range 100 {
				key := fmt.Sprintf("%d/%d/%d/k", writer, i%10, i)
				if err := d.Put(t.Context(), arbalest.Key(key), strings.NewReader("")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	s := d.folders
	if len(s.open) > maxFolders || s.idle.Len() > len(s.open) {
		t.Errorf("%d folders open, %d idle; want at most %d", len(s.open), s.idle.Len(), maxFolders)
	}
	for at, f := range s.open {
		if at != f.path || f.held > 0 == (f.idle != nil) {
			t.Errorf("folder %s: path %s, held %d", at, f.path, f.held)
		}
	}
	for i := range 8 {
		for j := range 100 {
			if err := d.Delete(t.Context(), arbalest.Key(fmt.Sprintf("%d/%d/%d/k", i, j%10, j))); err != nil {
				t.Error(err)
			}
		}
	}
	if len(s.open) != 2 {
		t.Errorf("%d folders open after all were removed", len(s.open))
	}
}

// Callers that wait share an fsync, and one that had begun does not count.
func TestFsyncIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		count, end := 0, make(chan bool)
		disk := &disk{around: func(string, string, func() error) error {
			count++
			<-end
			return nil
		}}
		f := &folder{disk: disk}
		f.linked.Store(true)
		var all sync.WaitGroup
		var done atomic.Int64
		commit := func() {
			if err := f.commit(); err != nil {
				t.Error(err)
			}
			done.Add(1)
		}
		for range 11 {
			all.Go(commit)
			synctest.Wait()
		}
		if count != 1 || done.Load() != 0 {
			t.Errorf("%d fsyncs began, %d callers were served before the first ended", count, done.Load())
		}
		end <- true
		synctest.Wait()
		if count != 2 || done.Load() != 1 {
			t.Errorf("%d fsyncs began, %d callers were served by the first", count, done.Load())
		}
		end <- true
		all.Wait()
		if count != 2 || done.Load() != 11 {
			t.Errorf("%d fsyncs for %d callers", count, done.Load())
		}
	})
}

// List reads only the folders that can have what is asked for.
func TestListReadsLittle(t *testing.T) {
	d, r := recorded(t)
	for _, key := range []string{"_log/1", "_log/2", "e1/d1/1", "e1/d2/1", "e1/d3/1", "e10/d1/1", "e2/d1/1"} {
		if err := r.put(d, key, ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		prefix, after arbalest.Key
		want          string
	}{
		{"_log/", "", "_log/"},
		{"_log/", "_log/1", "_log/"},
		{"_log/", "_log0", ""},
		{"none/", "", ""},
		{"_log/1/", "", ""},
		{"e1/d2", "", "e1/ e1/d2/"},
		{"e1/", "e1/d1/1", "e1/ e1/d1/ e1/d2/ e1/d3/"},
		{"e1/", "e1/d2", "e1/ e1/d2/ e1/d3/"},
		{"e1/", "e1/d20", "e1/ e1/d3/"},
		{"e1", "e10", " e10/ e10/d1/"},
		{"", "e10/d1/1", " e10/ e10/d1/ e2/ e2/d1/"},
	} {
		r.steps = nil
		for _, err := range d.List(t.Context(), c.prefix, c.after) {
			if err != nil {
				t.Error(err)
			}
		}
		var read []string
		for _, s := range r.steps {
			read = append(read, s.path)
		}
		if got := strings.Join(read, " "); got != c.want {
			t.Errorf("list %q after %q reads %q, want %q", c.prefix, c.after, got, c.want)
		}
	}
}

func FuzzValidKey(f *testing.F) {
	for _, key := range []string{"a", "a/b", "../a", "a/../../b", "/etc/passwd", ".tmp/a", "a//b", "a\x00b", "\xff", "a/", "a.b/..c"} {
		f.Add(key)
	}
	outer := f.TempDir()
	d, err := OpenDir(filepath.Join(outer, "root"))
	if err != nil {
		f.Fatal(err)
	}
	d.disk.around = func(op, _ string, call func() error) error {
		if op == "fsync" {
			return nil
		}
		return call()
	}
	f.Fuzz(func(t *testing.T, text string) {
		key := arbalest.Key(text)
		valid := ValidKey(key)
		if valid != nil {
			if !errors.Is(valid, arbalest.ErrInvalid) {
				t.Errorf("valid key %q: %v", text, valid)
			}
		} else if !filepath.IsLocal(text) || filepath.Clean(text) != text || strings.Contains("/"+text, "/.") {
			t.Errorf("valid key %q leaves its place", text)
		}
		if err := d.Put(t.Context(), key, strings.NewReader(text)); (err == nil) != (valid == nil) {
			t.Errorf("put %q: %v", text, err)
		}
		var got []arbalest.Key
		for info, err := range d.List(t.Context(), "", "") {
			if err != nil {
				t.Error(err)
			}
			got = append(got, info.Key)
		}
		if valid == nil && !slices.Equal(got, []arbalest.Key{key}) || valid != nil && got != nil {
			t.Errorf("list after put %q: %q", text, got)
		}
		if err := d.Delete(t.Context(), key); (err == nil) != (valid == nil) {
			t.Errorf("delete %q: %v", text, err)
		}
		for at, want := range map[string]string{outer: "root", filepath.Join(outer, "root"): temporaries} {
			if left, err := os.ReadDir(at); err != nil || len(left) != 1 || left[0].Name() != want {
				t.Errorf("%q left %v in %s, %v", text, left, at, err)
			}
		}
	})
}
