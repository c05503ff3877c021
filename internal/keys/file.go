package keys

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/goccy/go-yaml"

	"arbalest"
	"arbalest/internal/strict"
)

// A File is where the keys of a place are.
type File string

// header begins the file.
const header = `# Who may send events: made by "arbalest keys new", and noticed by serve at once.
# Keys are not in here, only their hashes. Without any key everyone who reaches
# serve may send events, and it listens on loopback only.
`

// document is the file's form.
type document struct {
	Keys []Key `yaml:"keys"`
}

// Read returns all keys, also those that are revoked; none if there is no file.
func (f File) Read() ([]Key, error) {
	b, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	all, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("%w (in %s)", err, f)
	}
	return all, nil
}

// parse reads the file's text. The error wraps arbalest.ErrInvalid.
func parse(b []byte) ([]Key, error) {
	var d document
	if err := strict.Unmarshal("keys", "file", b, &d); err != nil {
		return nil, err
	}
	ids, hashes := map[string]bool{}, map[string]bool{}
	for _, k := range d.Keys {
		if _, err := k.hash(); err != nil {
			return nil, err
		}
		if ids[k.ID] || hashes[k.Hash] {
			return nil, fmt.Errorf("%w key %.40q: it is there twice", arbalest.ErrInvalid, k.ID)
		}
		ids[k.ID], hashes[k.Hash] = true, true
	}
	return d.Keys, nil
}

// New adds a key of the name, events and rate of k, and returns it with its
// token, which cannot be had again.
func (f File) New(k Key, now time.Time) (made Key, token string, err error) {
	err = f.change(func(all []Key) ([]Key, error) {
		if made, token, err = k.make(now); err != nil {
			return nil, err
		}
		return append(all, made), nil
	})
	if err != nil {
		return Key{}, "", err
	}
	return made, token, nil
}

// Revoke ends a key for good. A key that is revoked already stays as it is.
func (f File) Revoke(id string, now time.Time) (revoked Key, err error) {
	return revoked, f.change(func(all []Key) ([]Key, error) {
		for i := range all {
			if all[i].ID != id {
				continue
			}
			if all[i].Revoked == nil {
				at := now.UTC().Truncate(time.Second)
				all[i].Revoked = &at
			}
			revoked = all[i]
			return all, nil
		}
		return nil, fmt.Errorf("key %.40q: %w: arbalest keys list shows all", id, arbalest.ErrUnknown)
	})
}

// patience is how long a change waits for another.
const patience = 5 * time.Second

// change replaces the file by what do makes of its keys. The new file is made
// under a name that only one can make at a time, so that no change is lost.
func (f File) change(do func([]Key) ([]Key, error)) error {
	next := filepath.Join(filepath.Dir(string(f)), "."+filepath.Base(string(f))+".new")
	var out *os.File
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		var err error
		if out, err = os.OpenFile(next, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("write keys: %w", err)
		}
		if time.Now().After(end) {
			return fmt.Errorf("write keys: %w: another command is changing them; if none is, remove %s", arbalest.ErrInUse, next)
		}
	}
	if err := f.fill(out, do); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	if err := os.Rename(next, string(f)); err != nil {
		return errors.Join(fmt.Errorf("write keys: %w", err), os.Remove(next))
	}
	return syncFolder(filepath.Dir(string(f)))
}

// fill writes the keys as they are to be, durably.
func (f File) fill(out *os.File, do func([]Key) ([]Key, error)) error {
	all, err := f.Read()
	if err == nil {
		all, err = do(all)
	}
	if err != nil {
		return errors.Join(err, out.Close())
	}
	b := bytes.NewBufferString(header)
	err = yaml.NewEncoder(b, yaml.Indent(2), yaml.IndentSequence(true)).Encode(document{all})
	if err == nil {
		_, err = parse(b.Bytes()) // for what cannot be read again must not replace what can
	}
	if err == nil {
		_, err = out.Write(b.Bytes())
	}
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	return nil
}

// syncFolder makes a rename in a folder durable.
func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	return nil
}
