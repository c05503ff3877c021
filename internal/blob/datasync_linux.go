package blob

import (
	"os"

	"golang.org/x/sys/unix"
)

// datasync makes a file's bytes durable, and its size where that has changed.
func datasync(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
