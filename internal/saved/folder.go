package saved

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"arbalest"
)

const (
	// maxFile is how many bytes a query's file may have.
	maxFile = 256 << 10
	// maxListed is how many queries a folder may have.
	maxListed = 1000
)

// A Folder is a folder of saved queries. Nothing outside it is read or written,
// through symbolic links neither. Its methods may be called at once.
type Folder struct {
	dir string
	mu  sync.Mutex // one change at a time
}

// NewFolder returns the folder at a path, which Save makes if it is not there.
func NewFolder(dir string) *Folder { return &Folder{dir: dir} }

// open opens the folder; the caller closes it.
func (f *Folder) open() (*os.Root, error) {
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return nil, fmt.Errorf("open saved queries: %w", err)
	}
	return root, nil
}

// List returns the queries, by title. Files of other names than Save gives are
// not among them. What cannot be read has an Err. A folder that is not there has
// none.
func (f *Folder) List() ([]Query, error) {
	root, err := f.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("list saved queries: %w", err)
	}
	var queries []Query
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".sql")
		if !ok || e.IsDir() || CheckName(name) != nil {
			continue
		}
		if len(queries) == maxListed {
			return nil, fmt.Errorf("list saved queries: %w: there are more than %d in %s: move some elsewhere", arbalest.ErrTooLarge, maxListed, f.dir)
		}
		q, err := read(root, name)
		if err != nil {
			q = Query{Name: name, Title: name, Err: err}
		}
		queries = append(queries, q)
	}
	slices.SortStableFunc(queries, func(a, b Query) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Title), strings.ToLower(b.Title)), strings.Compare(a.Name, b.Name))
	})
	return queries, nil
}

// Get returns a query. The error wraps arbalest.ErrUnknown if there is none, and
// arbalest.ErrInvalid if that is no name.
func (f *Folder) Get(name string) (Query, error) {
	if err := CheckName(name); err != nil {
		return Query{}, err
	}
	root, err := f.open()
	if errors.Is(err, fs.ErrNotExist) {
		return Query{}, unknown(name)
	}
	if err != nil {
		return Query{}, err
	}
	defer root.Close()
	return read(root, name)
}

func unknown(name string) error {
	return fmt.Errorf("saved query %s: %w: it may have been deleted, see those that there are at /sql", name, arbalest.ErrUnknown)
}

func read(root *os.Root, name string) (Query, error) {
	// A FIFO would never open, a device may do anything.
	if info, err := root.Stat(name + ".sql"); err == nil && !info.Mode().IsRegular() {
		return Query{}, fmt.Errorf("read saved query %s: %w: it is not a file", name, arbalest.ErrInvalid)
	}
	file, err := root.Open(name + ".sql")
	if errors.Is(err, fs.ErrNotExist) {
		return Query{}, unknown(name)
	}
	if err != nil {
		return Query{}, fmt.Errorf("read saved query %s: %w", name, err)
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return Query{}, fmt.Errorf("read saved query %s: %w", name, err)
	}
	if len(b) > maxFile {
		return Query{}, fmt.Errorf("read saved query %s: %w: its file has more than %d bytes", name, arbalest.ErrTooLarge, maxFile)
	}
	return parse(name, b), nil
}

// Save writes a query and returns it as it is now. Its Version must be that of
// the file that it replaces, empty if it is new: else the error wraps
// arbalest.ErrExists, and somebody else's change is kept. The file is there
// whole, or as it was.
func (f *Folder) Save(q Query) (Query, error) {
	b, err := q.format()
	if err != nil {
		return Query{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return Query{}, fmt.Errorf("make folder of saved queries: %w", err)
	}
	root, err := f.open()
	if err != nil {
		return Query{}, err
	}
	defer root.Close()
	switch there, err := read(root, q.Name); {
	case errors.Is(err, arbalest.ErrUnknown) && q.Version == "":
		if entries, err := fs.ReadDir(root.FS(), "."); err == nil && len(entries) >= maxListed {
			return Query{}, fmt.Errorf("save query %s: %w: there are %d files in %s already: delete some first", q.Name, arbalest.ErrTooLarge, len(entries), f.dir)
		}
	case errors.Is(err, arbalest.ErrUnknown):
		return Query{}, fmt.Errorf("save query %s: %w, or was, and has been deleted meanwhile: save it under a new name", q.Name, arbalest.ErrExists)
	case err != nil:
		return Query{}, err
	case q.Version == "":
		return Query{}, fmt.Errorf("query %s %w: choose another name, or open it and save it from there", q.Name, arbalest.ErrExists)
	case q.Version != there.Version:
		return Query{}, fmt.Errorf("query %s %w in another form, for it has been changed meanwhile: save yours under another name, or open it anew", q.Name, arbalest.ErrExists)
	}
	if err := write(root, q.Name, b); err != nil {
		return Query{}, fmt.Errorf("save query %s: %w", q.Name, err)
	}
	return parse(q.Name, b), nil
}

// write renames a file into place that has been synced.
func write(root *os.Root, name string, b []byte) error {
	tmp := "." + name + "." + rand.Text() + ".tmp"
	file, err := root.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = root.Rename(tmp, name+".sql")
	}
	if err != nil {
		return errors.Join(err, root.Remove(tmp))
	}
	return syncFolder(root)
}

// Delete removes a query's file, if it is still of that version. The error wraps
// arbalest.ErrUnknown if there is none, arbalest.ErrExists if it was changed.
func (f *Folder) Delete(name, version string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	there, err := f.Get(name)
	if err != nil {
		return err
	}
	if there.Version != version {
		return fmt.Errorf("query %s %w in another form, for it has been changed meanwhile: open it anew before you delete it", name, arbalest.ErrExists)
	}
	root, err := f.open()
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Remove(name + ".sql"); err != nil {
		return fmt.Errorf("delete query %s: %w", name, err)
	}
	return syncFolder(root)
}

// syncFolder makes a change of the folder last.
func syncFolder(root *os.Root) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
