package blob

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"arbalest"
)

// explain wraps an error of the filesystem in the sentinel that it stands for
// and says what to do. The errno stays in the chain. What is not the
// filesystem's (the context's, the body's) passes.
func explain(err error) error {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return err
	}
	switch errno {
	case unix.ENOTDIR, unix.EISDIR:
		return fmt.Errorf("%w: %w: a key cannot be the folder of another", arbalest.ErrInvalid, err)
	case unix.EEXIST:
		return fmt.Errorf("%w: %w", arbalest.ErrExists, err)
	case unix.ENAMETOOLONG, unix.ELOOP, unix.EILSEQ:
		return fmt.Errorf("%w: %w: this filesystem cannot hold the key", arbalest.ErrInvalid, err)
	case unix.EACCES, unix.EPERM:
		return fmt.Errorf("%w: give this user the right to read and write in the directory", err)
	}
	return fmt.Errorf("%w: %w: %s", arbalest.ErrUnavailable, err, remedy(errno))
}

func remedy(errno unix.Errno) string {
	switch errno {
	case unix.ENOSPC, unix.EDQUOT:
		return "free space or inodes on the disk, or raise the quota"
	case unix.EMFILE, unix.ENFILE:
		return "raise the limit of open files (ulimit -n)"
	case unix.EIO:
		return "check the disk and the kernel's log"
	case unix.EROFS:
		return "mount the filesystem writable"
	case unix.EXDEV:
		return "keep the whole directory on one filesystem"
	case unix.ENOENT:
		return "restore the directory, which was removed, and start again"
	default:
		return "retry, and check the filesystem if it persists"
	}
}
