package decode

import (
	"bytes"

	"arbalest"
)

// Fits says whether a declared column takes a value, valid JSON. Null fits all.
func Fits(c arbalest.Column, value []byte) bool {
	if value[0] == 'n' {
		return true
	}
	into := column{Column: c}
	into.prepare(1)
	return into.put(0, value, value[0] == '"' && bytes.IndexByte(value, '\\') >= 0)
}

// ValueEnd returns the index after the valid JSON value that begins at src[i].
func ValueEnd(src []byte, i int) int { return skipValue(src, i) }
