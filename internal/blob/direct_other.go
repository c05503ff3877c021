//go:build unix && !linux

package blob

import (
	"errors"
	"os"
)

func openDirect(int, string) (*os.File, error) { return nil, errors.ErrUnsupported }
