package blob

import (
	"container/list"
	"context"
	"os"
	"path"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A folder is an open directory of the store.
//
// Having it open is what makes it safe to remember that it is durable. A
// directory can be removed only when it is empty, and never comes back: so a
// call that made an entry through file proves that this directory, and those
// above it, are the ones that were synced, whatever others removed and made
// again under the same name. A call in a removed one returns ENOENT.
type folder struct {
	path   string // from the root; "" is the root
	file   *os.File
	parent *folder // held; nil for the root
	disk   *disk

	linked atomic.Bool // its entry in parent, and theirs up to the root, are durable

	mu   sync.Mutex
	next *fsync // not begun: whoever comes now may share it
	last *fsync // the latest; nil before the first

	held int           // callers and children; under folders.mu
	idle *list.Element // in folders.idle, if not held
}

// An fsync is shared by all that asked for it before it began.
type fsync struct {
	done chan struct{}
	err  error
}

func (f *folder) fd() int { return int(f.file.Fd()) }

// commit returns when the entries that were made in f before the call are
// durable, and so are the directories that lead to it. They are synced also if
// someone else made them: he may not have done so yet.
func (f *folder) commit() error {
	if err := f.sync(); err != nil {
		return err
	}
	if f.linked.Load() {
		return nil
	}
	if err := f.parent.commit(); err != nil {
		return err
	}
	f.linked.Store(true)
	return nil
}

// sync returns after an fsync of f that began after the call did. One that
// runs already does not count; all that wait for it to end share the next.
func (f *folder) sync() error {
	f.mu.Lock()
	if s := f.next; s != nil {
		f.mu.Unlock()
		<-s.done
		return s.err
	}
	s, before := &fsync{done: make(chan struct{})}, f.last
	f.next, f.last = s, s
	f.mu.Unlock()

	if before != nil {
		<-before.done
	}
	f.mu.Lock()
	f.next = nil
	f.mu.Unlock()
	s.err = f.disk.do("fsync", path.Join(".", f.path), f.file.Sync)
	close(s.done)
	return s.err
}

// folders keeps the folders that are in use open, and the latest others.
type folders struct {
	disk *disk
	mu   sync.Mutex
	open map[string]*folder
	idle list.List // of *folder that nobody holds, the latest in front
}

const (
	// maxFolders bounds open, but for those in use: well below the usual
	// limit of 1024 open files.
	maxFolders = 256
	// maxAttempts bounds how often a folder is made again: each time means
	// that a Delete removed it just then, or that one more above it is gone.
	maxAttempts = 1000
)

func openFolders(disk *disk, root *os.File) *folders {
	f := &folder{file: root, disk: disk, held: 1}
	f.linked.Store(true)
	return &folders{disk: disk, open: map[string]*folder{"": f}}
}

// in makes a call in a folder, which it makes first if need be, and again if
// it was removed meanwhile: then the call returns a bare ENOENT.
func (s *folders) in(ctx context.Context, at string, call func(*folder) error) error {
	var err error
	for range maxAttempts {
		if err := ctx.Err(); err != nil {
			return err
		}
		var f *folder
		if f, err = s.hold(at); err == nil {
			err = call(f)
			s.release(f)
		}
		if err != unix.ENOENT {
			return err
		}
		s.forget(at)
	}
	return err
}

// hold returns the folder at a path, opened or made if need be, until release.
// ENOENT means that one above it was removed: try again.
func (s *folders) hold(at string) (*folder, error) {
	s.mu.Lock()
	f := s.take(at)
	s.mu.Unlock()
	if f != nil {
		return f, nil
	}
	if at == "" {
		return nil, os.ErrClosed
	}
	above, name := split(at)
	parent, err := s.hold(above)
	if err != nil {
		return nil, err
	}
	file, err := s.enter(parent, name)
	if err != nil {
		if err == unix.ENOENT {
			s.forget(above)
		}
		s.release(parent)
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.take(at); f != nil { // another was faster
		file.Close()
		s.drop(parent)
		return f, nil
	}
	f = &folder{path: at, file: file, parent: parent, disk: s.disk, held: 1}
	s.open[at] = f
	return f, nil
}

// enter makes a directory in the parent, unless there is one, and opens it.
func (s *folders) enter(parent *folder, name string) (*os.File, error) {
	at := path.Join(parent.path, name)
	err := s.disk.do("mkdir", at, func() error { return unix.Mkdirat(parent.fd(), name, 0o777) })
	if err != nil && err != unix.EEXIST {
		return nil, err
	}
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	return openAt(parent.fd(), name, at, flags)
}

func (s *folders) release(f *folder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(f)
	for len(s.open) > maxFolders && s.idle.Len() > 0 {
		s.evict(s.idle.Back().Value.(*folder))
	}
}

// forget makes the next hold open the folder at the path anew.
func (s *folders) forget(at string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.open[at]; f != nil && f.parent != nil {
		s.evict(f)
	}
}

// take holds the folder at the path if it is open. It and the next two are
// called under mu.
func (s *folders) take(at string) *folder {
	f := s.open[at]
	if f == nil {
		return nil
	}
	if f.held++; f.idle != nil {
		s.idle.Remove(f.idle)
		f.idle = nil
	}
	return f
}

// drop ends one hold, and closes the folder if it is also not to be kept.
func (s *folders) drop(f *folder) {
	if f.held--; f.held > 0 {
		return
	}
	if s.open[f.path] == f {
		f.idle = s.idle.PushFront(f)
		return
	}
	f.file.Close()
	if f.parent != nil {
		s.drop(f.parent)
	}
}

// evict keeps the folder no longer than it is held.
func (s *folders) evict(f *folder) {
	delete(s.open, f.path)
	if f.idle != nil {
		s.idle.Remove(f.idle)
		f.idle = nil
		f.held++
		s.drop(f)
	}
}

// close closes all folders, the root too, as soon as nobody holds them.
func (s *folders) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	root := s.open[""]
	for _, f := range s.open {
		s.evict(f)
	}
	if root != nil {
		s.drop(root)
	}
}

// split returns the folder that a path is in, and its name there.
func split(at string) (above, name string) {
	above, name = path.Split(at)
	return path.Clean("/" + above)[1:], name
}

func openAt(dir int, at, name string, flags int) (*os.File, error) {
	for {
		fd, err := unix.Openat(dir, at, flags, 0o666)
		if err == nil {
			return os.NewFile(uintptr(fd), name), nil
		}
		if err != unix.EINTR {
			return nil, err
		}
	}
}
