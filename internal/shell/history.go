package shell

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// historyEntries is how many statements the history keeps.
const historyEntries = 2000

// maxEntry is how long a statement may be that the history keeps, in bytes.
const maxEntry = 64 << 10

// HistoryFile returns the file of a user's history: in $XDG_STATE_HOME, else in
// ~/.local/state (XDG Base Directory Specification 0.8); "" if there is no home.
func HistoryFile() string {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "arbalest", "query_history")
}

// A history is the statements of earlier sessions, in a file that only its owner
// can read.
type history struct{ path string }

// load returns the newest entries, the oldest first, and makes the file shorter
// when it has twice as many.
func (h history) load() ([]string, error) {
	if h.path == "" {
		return nil, nil
	}
	f, err := os.Open(h.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	defer f.Close()
	var entries []string
	in := bufio.NewScanner(f)
	in.Buffer(nil, maxEntry+2)
	for in.Scan() {
		if in.Text() != "" {
			entries = append(entries, in.Text())
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("read history %s: %w", h.path, err)
	}
	if len(entries) <= historyEntries {
		return entries, nil
	}
	long := len(entries) > 2*historyEntries
	entries = entries[len(entries)-historyEntries:]
	if long {
		tmp := h.path + ".tmp"
		err := os.WriteFile(tmp, []byte(strings.Join(entries, "\n")+"\n"), 0o600)
		if err == nil {
			err = os.Rename(tmp, h.path)
		}
		if err != nil {
			return entries, fmt.Errorf("shorten history %s: %w", h.path, err)
		}
	}
	return entries, nil
}

// add appends an entry of one line.
func (h history) add(entry string) error {
	if h.path == "" || len(entry) > maxEntry {
		return nil
	}
	err := os.MkdirAll(filepath.Dir(h.path), 0o700)
	if err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	f, err := os.OpenFile(h.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	err = f.Chmod(0o600) // others may have made it
	if err == nil {
		_, err = f.WriteString(entry + "\n")
	}
	return errors.Join(err, f.Close())
}
