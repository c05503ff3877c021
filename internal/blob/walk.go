package blob

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"arbalest"
)

// List implements Store. It reads each directory once, when it comes to it,
// and holds its names: memory is proportional to the largest directory (about
// 60 bytes for each name, so 60 MB for a million files in one), not to the
// store. Directories that cannot have a key that is asked for are not read.
func (d *Dir) List(ctx context.Context, prefix, after arbalest.Key) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		w := walk{ctx, d, string(prefix), string(after), yield}
		start := w.prefix[:strings.LastIndexByte(w.prefix, '/')+1]
		if start != "" && ValidKey(arbalest.Key(start[:len(start)-1])) != nil {
			return // no key begins so
		}
		if _, err := w.folder(start); err != nil {
			yield(Info{}, fmt.Errorf("list %s: %w", prefix, explain(err)))
		}
	}
}

// A walk goes through the directories in order of the keys that are in them.
type walk struct {
	ctx           context.Context
	dir           *Dir
	prefix, after string
	yield         func(Info, error) bool
}

// folder yields the objects below a folder, whose path ends with "/" unless
// it is the root. It returns false when the caller wants no more.
func (w *walk) folder(at string) (bool, error) {
	if !w.wanted(at) {
		return true, nil
	}
	var dir *os.File
	err := w.dir.disk.do("read", at, func() (err error) {
		dir, err = openAt(w.dir.fd(), "./"+at, at, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
		return err
	})
	if err == unix.ENOENT || err == unix.ENOTDIR {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer dir.Close()
	names, err := w.names(dir, at)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		if err := w.ctx.Err(); err != nil {
			return false, err
		}
		visit := w.file
		if strings.HasSuffix(name, "/") {
			visit = func(_ *os.File, key, _ string) (bool, error) { return w.folder(key) }
		}
		if more, err := visit(dir, at+name, name); !more || err != nil {
			return false, err
		}
	}
	return true, nil
}

// file yields one object, unless it is gone.
func (w *walk) file(dir *os.File, key, name string) (bool, error) {
	var stat unix.Stat_t
	err := unix.Fstatat(int(dir.Fd()), name, &stat, unix.AT_SYMLINK_NOFOLLOW)
	if err == unix.ENOENT || err == nil && stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return w.yield(Info{arbalest.Key(key), stat.Size}, nil), nil
}

// names returns what is wanted in a directory, in order. A folder's name ends
// with "/", for that is what follows it in keys: "a-b" is before "a/", though
// "a" is before "a-b".
func (w *walk) names(dir *os.File, at string) ([]string, error) {
	var names []string
	for {
		entries, err := dir.ReadDir(1024)
		if err != nil && err != io.EOF {
			return nil, err
		}
		for _, e := range entries {
			name := e.Name()
			if ValidKey(arbalest.Key(name)) != nil || !e.IsDir() && !e.Type().IsRegular() {
				continue
			}
			if e.IsDir() {
				name += "/"
			}
			if w.wanted(at + name) {
				names = append(names, name)
			}
		}
		if err == io.EOF {
			break
		}
		if err := w.ctx.Err(); err != nil {
			return nil, err
		}
	}
	slices.Sort(names)
	return names, nil
}

// wanted says whether the key, or a key in the folder that ends with "/", is
// to be yielded.
func (w *walk) wanted(key string) bool {
	folder := key == "" || key[len(key)-1] == '/'
	within := strings.HasPrefix(key, w.prefix) || folder && strings.HasPrefix(w.prefix, key)
	beyond := key > w.after || folder && strings.HasPrefix(w.after, key)
	return within && beyond
}
