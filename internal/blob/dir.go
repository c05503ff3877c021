package blob

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"arbalest"
)

// Dir is a store in a local directory: an object is a file, and its key the
// path from the root.
//
// A write goes to a temporary file in .tmp, is fsynced, and is then put in its
// place in one step: by rename for Put; for Create in a way that fails if
// there is a file, so that one process wins. That is when others see it. It is
// the commit point only when the directory is fsynced, and those above it that
// may be new; then the write returns. So a reader may see an object that is
// not durable yet, for the time of an fsync.
//
// Delete removes the folders that it empties; a write makes them again.
// There are to be no symbolic links below the root. The filesystem must tell
// upper case from lower.
type Dir struct {
	disk    disk
	folders *folders
	root    *os.File
	id      string // of this Dir, in the names of its temporaries and slots
	count   atomic.Uint64

	slotMu sync.Mutex
	slots  []*slot // that no draft is in
	scrubs int     // calls of Scrub
}

var _ Store = (*Dir)(nil)

// temporaries is the folder of files that are being written. No key begins
// with a dot, so List does not show it.
const temporaries = ".tmp"

// maxTemporary is the age at which a temporary's process must be dead.
const maxTemporary = 24 * time.Hour

// OpenDir opens the store in the directory at the path, which it makes if need
// be, and removes the temporaries that crashed processes left.
func OpenDir(at string) (*Dir, error) {
	d := &Dir{id: rand.Text()}
	if err := d.open(at); err != nil {
		return nil, fmt.Errorf("open directory %s: %w", at, explain(err))
	}
	if err := d.sweep(); err != nil {
		d.Close()
		return nil, fmt.Errorf("remove old temporaries in %s: %w", at, explain(err))
	}
	return d, nil
}

// Around has every call that changes the filesystem or reads a directory made
// by around: it makes the call, or does not. That is for tests of what a crash
// leaves, and must come before any use of the Dir.
func (d *Dir) Around(around func(op, path string, call func() error) error) { d.disk.around = around }

func (d *Dir) open(at string) error {
	at, err := filepath.Abs(at)
	if err != nil {
		return err
	}
	if err := makeRoot(at); err != nil {
		return err
	}
	d.root, err = openAt(unix.AT_FDCWD, at, at, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if err == unix.ENOTDIR {
		return fmt.Errorf("%w: it is not a directory", arbalest.ErrInvalid)
	}
	if err != nil {
		return err
	}
	d.folders = openFolders(&d.disk, d.root)
	return nil
}

// makeRoot makes a directory and those above it, durably. That also its parent
// may not be ours to read means that it was there before us.
func makeRoot(at string) error {
	err := os.Mkdir(at, 0o777)
	if errors.Is(err, unix.ENOENT) {
		if err := makeRoot(filepath.Dir(at)); err != nil {
			return err
		}
		err = os.Mkdir(at, 0o777)
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	parent, err := os.Open(filepath.Dir(at))
	if errors.Is(err, os.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	return parent.Sync()
}

func (d *Dir) sweep() error {
	return d.folders.in(context.Background(), temporaries, func(f *folder) error {
		names, err := f.file.Readdirnames(-1)
		if err != nil {
			return err
		}
		for _, name := range names {
			var stat unix.Stat_t
			err := unix.Fstatat(f.fd(), name, &stat, unix.AT_SYMLINK_NOFOLLOW)
			if err == nil && time.Since(time.Unix(stat.Mtim.Unix())) > maxTemporary {
				err = unix.Unlinkat(f.fd(), name, 0)
			}
			if err != nil && err != unix.ENOENT {
				return err
			}
		}
		return nil
	})
}

// Close releases the open directories, and removes the slots of drafts that
// were published. It waits for nothing: writes must have ended. A draft that
// was not published is left for Recover.
func (d *Dir) Close() error {
	d.slotMu.Lock()
	for _, s := range d.slots {
		d.dropSlot(s)
	}
	d.slots = nil
	d.slotMu.Unlock()
	d.folders.close()
	return nil
}

// Get implements Store.
func (d *Dir) Get(ctx context.Context, key arbalest.Key, offset, length int64) (io.ReadCloser, error) {
	if err := ready(ctx, key); err != nil {
		return nil, fmt.Errorf("get object: %w", err)
	}
	file, err := openAt(d.fd(), string(key), string(key), unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err == unix.ENOENT || err == unix.ENOTDIR {
		return nil, fmt.Errorf("get %s: %w", key, arbalest.ErrUnknown)
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, explain(err))
	}
	r, err := section(file, offset, length)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("get %s: %w", key, explain(err))
	}
	return r, nil
}

// section returns a reader of a part of the file, which closes the file.
func section(file *os.File, offset, length int64) (io.ReadCloser, error) {
	stat, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !stat.Mode().IsRegular() {
		return nil, arbalest.ErrUnknown
	}
	from, to, err := slice(stat.Size(), offset, length)
	if err != nil {
		return nil, err
	}
	return struct {
		*io.SectionReader
		io.Closer
	}{io.NewSectionReader(file, from, to-from), file}, nil
}

// Put implements Store.
func (d *Dir) Put(ctx context.Context, key arbalest.Key, body io.ReadSeeker) error {
	return d.write(ctx, "put", key, body, unix.Renameat)
}

// Create implements Store.
func (d *Dir) Create(ctx context.Context, key arbalest.Key, body io.ReadSeeker) error {
	return d.write(ctx, "create", key, body, renameExclusive)
}

// A move puts a file in its place.
type move func(fromDir int, from string, toDir int, to string) error

func (d *Dir) write(ctx context.Context, verb string, key arbalest.Key, body io.ReadSeeker, move move) error {
	if err := ready(ctx, key); err != nil {
		return fmt.Errorf("%s object: %w", verb, err)
	}
	temp := path.Join(temporaries, d.id+"-"+strconv.FormatUint(d.count.Add(1), 10))
	err := d.fill(ctx, temp, body)
	if err == nil {
		err = d.place(ctx, temp, string(key), move)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", verb, key, explain(err))
	}
	return nil
}

// fill writes a temporary file durably, or leaves none.
func (d *Dir) fill(ctx context.Context, temp string, body io.ReadSeeker) error {
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("rewind body: %w", err)
	}
	var file *os.File
	err := d.folders.in(ctx, temporaries, func(f *folder) error {
		return d.disk.do("create", temp, func() (err error) {
			file, err = openAt(f.fd(), path.Base(temp), temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC)
			return err
		})
	})
	if err != nil {
		return err
	}
	err = d.disk.do("write", temp, func() error {
		if _, err := io.Copy(file, body); err != nil {
			return fmt.Errorf("write body: %w", err) // not bare: it cannot be done again from here
		}
		return nil
	})
	if err == nil {
		err = d.disk.do("fsync", temp, file.Sync)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		d.discard(temp)
	}
	return err
}

// discard removes a temporary file. What it leaves, OpenDir removes one day.
func (d *Dir) discard(temp string) {
	_ = d.disk.do("remove", temp, func() error { return unix.Unlinkat(d.fd(), temp, 0) })
}

// place moves a temporary file to the key's place, durably, or removes it.
// That there is an object already is also said only when that object is
// durable: it may be the caller's own, from a write whose reply was lost.
func (d *Dir) place(ctx context.Context, temp, key string, move move) error {
	at, name := split(key)
	moved := false
	err := d.folders.in(ctx, at, func(f *folder) error {
		err := d.disk.do("rename", temp+" "+key, func() error {
			return move(d.fd(), temp, f.fd(), name)
		})
		switch {
		case err == unix.EEXIST && isFolder(f.fd(), name):
			return unix.EISDIR
		case err == nil:
			moved = true
		case err != unix.EEXIST:
			return err
		}
		return cmp.Or(f.commit(), err)
	})
	if !moved {
		d.discard(temp)
	}
	return err
}

func isFolder(dir int, name string) bool {
	var stat unix.Stat_t
	err := unix.Fstatat(dir, name, &stat, unix.AT_SYMLINK_NOFOLLOW)
	return err == nil && stat.Mode&unix.S_IFMT == unix.S_IFDIR
}

func (d *Dir) fd() int { return int(d.root.Fd()) }

// Delete implements Store. It removes the folders above that are empty now,
// also those that a crash left so.
func (d *Dir) Delete(ctx context.Context, key arbalest.Key) error {
	if err := ready(ctx, key); err != nil {
		return fmt.Errorf("delete object: %w", err)
	}
	err := d.disk.do("remove", string(key), func() error { return unix.Unlinkat(d.fd(), string(key), 0) })
	if err == unix.EISDIR || err == unix.EPERM && isFolder(d.fd(), string(key)) || err == unix.ENOTDIR {
		return nil // there is no such object
	}
	if err != nil && err != unix.ENOENT {
		return fmt.Errorf("delete %s: %w", key, explain(err))
	}
	for at, _ := split(string(key)); at != ""; at, _ = split(at) {
		err := d.disk.do("rmdir", at, func() error { return unix.Unlinkat(d.fd(), at, unix.AT_REMOVEDIR) })
		if err != nil && err != unix.ENOENT {
			break // not empty, or not ours to remove
		}
		d.folders.forget(at)
	}
	return nil
}
