package duckdb

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"arbalest"
)

// A fileLock holds a warehouse's file for one process, and within the process
// for one Warehouse. DuckDB's own lock is the process's (fcntl), which does not
// keep two databases of one process off the same file.
type fileLock struct{ file *os.File }

// lockFile takes the lock beside a database's file. The error wraps
// arbalest.ErrInUse if another has it.
func lockFile(path string) (*fileLock, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open warehouse: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		holder := make([]byte, 32)
		n, _ := f.Read(holder)
		return nil, errInUse(path, "process "+strings.TrimSpace(string(holder[:n])))
	}
	// The number is for messages only.
	if err := f.Truncate(0); err == nil {
		fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return &fileLock{f}, nil
}

func errInUse(path, holder string) error {
	return fmt.Errorf("%w: warehouse %s is open in %s: DuckDB lets one process in; stop it, or ask it (arbalest query and sync talk to a running serve)", arbalest.ErrInUse, path, holder)
}

// release lets go of the lock. Its file stays: removing it would let two in.
func (l *fileLock) release() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}
