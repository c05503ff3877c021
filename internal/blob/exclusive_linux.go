package blob

import "golang.org/x/sys/unix"

// renameExclusive moves a file in one step, EEXIST if there is a file already.
// Filesystems that cannot (NFS, some FUSE) are served by linkExclusive.
func renameExclusive(fromDir int, from string, toDir int, to string) error {
	err := unix.Renameat2(fromDir, from, toDir, to, unix.RENAME_NOREPLACE)
	if err == unix.EINVAL || err == unix.ENOSYS || err == unix.EOPNOTSUPP {
		return linkExclusive(fromDir, from, toDir, to)
	}
	return err
}
