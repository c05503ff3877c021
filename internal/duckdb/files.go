package duckdb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"arbalest"
	"arbalest/internal/load"
)

// open finds the directories that SQL may use. DuckDB compares paths without links.
func (w *Warehouse) open(opts Options) (err error) {
	if opts.Warm != "" {
		if err := os.MkdirAll(opts.Warm, 0o755); err != nil {
			return fmt.Errorf("make the directory of warm objects: %w", err)
		}
	}
	if w.warm, err = withoutLinks(opts.Warm); err == nil {
		w.files, err = withoutLinks(opts.Files)
	}
	return err
}

// withoutLinks returns a directory's path without links; none for none. It is made if it
// is not there.
func withoutLinks(dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	full, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(full, 0o755)
	}
	if err == nil {
		full, err = filepath.EvalSymlinks(full)
	}
	if err != nil {
		return "", fmt.Errorf("open directory %s for DuckDB: %w", dir, err)
	}
	return full, nil
}

// allowed spells the directories that SQL may use, as a list of SQL. A _warm that is a
// link to another directory is taken for that.
func (w *Warehouse) allowed() string {
	var dirs []string
	if w.warm != "" {
		warm := filepath.Join(w.warm, "_warm")
		if real, err := filepath.EvalSymlinks(warm); err == nil {
			warm = real
		}
		dirs = append(dirs, literal(warm))
	}
	if w.files != "" {
		dirs = append(dirs, literal(w.files))
	}
	return strings.Join(dirs, ", ")
}

// fileOf returns the path of a warm object in a directory. The error wraps
// arbalest.ErrUnknown if it is not there whole, or there is no directory, and
// arbalest.ErrInvalid if its key is none of such an object.
func fileOf(warm string, of load.Warm) (string, error) {
	key := of.Key
	if !strings.HasPrefix(string(key), "_warm/") || path.Clean(string(key)) != string(key) || strings.ContainsAny(string(key), "*?[") {
		return "", fmt.Errorf("%w: %q is no key of a warm object", arbalest.ErrInvalid, key)
	}
	file := filepath.Join(warm, filepath.FromSlash(string(key)))
	switch info, err := os.Stat(file); {
	case warm == "", errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w: warm object %s is not there", arbalest.ErrUnknown, key)
	case err != nil:
		return "", fmt.Errorf("%w: warm object %s: %w", arbalest.ErrUnavailable, key, err)
	case info.Size() != of.Bytes:
		return "", fmt.Errorf("%w: warm object %s has %d bytes, not %d", arbalest.ErrUnknown, key, info.Size(), of.Bytes)
	}
	return file, nil
}
