package blob

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"arbalest"
)

// The longest key and part: S3's limit, and that of a file's name.
const (
	maxKey  = 1024
	maxPart = 255
)

// ValidKey returns ErrInvalid, with the reason, unless every store can hold
// the key: at most 1024 bytes of UTF-8 without control characters, in parts of
// 1 to 255 bytes that do not begin with ".". So no key leaves the directory
// that it is under, and names that begin with "." are the store's own.
func ValidKey(key arbalest.Key) error {
	reason := ""
	switch {
	case len(key) > maxKey:
		key, reason = key[:64]+"…", "is longer than 1024 bytes"
	case !utf8.ValidString(string(key)):
		reason = "is not UTF-8"
	case strings.ContainsFunc(string(key), isControl):
		reason = "has a control character"
	default:
		for part := range strings.SplitSeq(string(key), "/") {
			switch {
			case part == "":
				reason = "has an empty part"
			case part[0] == '.':
				reason = `has a part that begins with "."`
			case len(part) > maxPart:
				reason = "has a part longer than 255 bytes"
			}
		}
	}
	if reason == "" {
		return nil
	}
	return fmt.Errorf("%w: key %q %s", arbalest.ErrInvalid, key, reason)
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// ready says whether an operation on the key may begin.
func ready(ctx context.Context, key arbalest.Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return ValidKey(key)
}

// slice returns the part of an object of size bytes that Get's offset and
// length ask for.
func slice(size, offset, length int64) (from, to int64, err error) {
	if offset < 0 || offset > size || length < Whole {
		return 0, 0, fmt.Errorf("%w: range %d+%d is outside the object of %d bytes",
			arbalest.ErrInvalid, offset, length, size)
	}
	if length == Whole || length > size-offset {
		return offset, size, nil
	}
	return offset, offset + length, nil
}
