package blob

import "golang.org/x/sys/unix"

// A disk makes the calls that change the filesystem, and those that read a
// directory, one by one, so that a test can record them, fail them, and work
// out what a loss of power between any two would leave.
type disk struct {
	// around, if set, is called in place of call, and calls it.
	around func(op, path string, call func() error) error
}

// do makes one call on the path, which is relative to the root, until no
// signal interrupts it.
func (d *disk) do(op, path string, call func() error) error {
	if d.around != nil {
		return d.around(op, path, call)
	}
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
