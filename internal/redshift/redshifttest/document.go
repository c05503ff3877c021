package redshifttest

import (
	"bytes"
	"encoding/json"
)

// maxDocument is the largest JSON document, in bytes with its braces.
const maxDocument = 4 << 20

// A document is a root-level value of a data file, or what stands where one
// should.
type document struct {
	raw  []byte
	line int64 // the last one, from 1
	ok   bool  // it is a JSON object or array
}

// documents yields a data file's documents, which are separated by nothing but
// white space ("COPY from JSON format"). Anything else is one error, up to the
// next line or opening bracket; how far Redshift skips is not documented.
func documents(data []byte, yield func(document) bool) {
	line := int64(1)
	for {
		rest := bytes.TrimLeft(data, " \t\r\n")
		line += int64(bytes.Count(data[:len(data)-len(rest)], []byte("\n")))
		if data = rest; len(data) == 0 {
			return
		}
		n, ok := extent(data)
		if ok && !json.Valid(data[:n]) {
			ok = false
		}
		if !ok {
			if n = bytes.IndexByte(data, '\n'); n < 0 {
				n = len(data)
			}
			if at := bytes.IndexAny(data[:n], "{["); at > 0 && data[0] != '{' && data[0] != '[' {
				n = at
			}
		}
		line += int64(bytes.Count(data[:n], []byte("\n")))
		if !yield(document{data[:n], line, ok}) {
			return
		}
		data = data[n:]
	}
}

// extent returns how long the object or array is that data begins with.
func extent(data []byte) (n int, ok bool) {
	if data[0] != '{' && data[0] != '[' {
		return 0, false
	}
	depth, inside := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case inside:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1, true
			}
		}
	}
	return len(data), false
}
