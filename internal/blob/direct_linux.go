package blob

import (
	"os"

	"golang.org/x/sys/unix"
)

// openDirect opens a file for writing past the page cache. The error says that
// the filesystem cannot.
func openDirect(dir int, name string) (*os.File, error) {
	return openAt(dir, name, name, unix.O_WRONLY|unix.O_DIRECT|unix.O_NOFOLLOW|unix.O_CLOEXEC)
}
