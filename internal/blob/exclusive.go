//go:build unix

package blob

import "golang.org/x/sys/unix"

// linkExclusive moves a file by link(2) and unlink(2): EEXIST if there is a
// file already, so that of any number of processes one wins. A crash between
// the two leaves the temporary name, which OpenDir removes one day.
func linkExclusive(fromDir int, from string, toDir int, to string) error {
	if err := unix.Linkat(fromDir, from, toDir, to, 0); err != nil {
		return err
	}
	_ = unix.Unlinkat(fromDir, from, 0) // the object is in place: not worth failing for
	return nil
}
