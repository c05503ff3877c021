package hook

import (
	"errors"
	"fmt"
	"strings"

	"arbalest"
	"arbalest/internal/decode"
)

// maxDepth is how deep a payload may be nested, as capture has it.
const maxDepth = 64

// A pointer is a JSON pointer (RFC 6901), by its parts.
type pointer []string

// parsePointer reads one. The error wraps arbalest.ErrInvalid.
func parsePointer(text string) (pointer, error) {
	rest, ok := strings.CutPrefix(text, "/")
	if !ok {
		return nil, fmt.Errorf("%w JSON pointer %.80q: it begins with /", arbalest.ErrInvalid, text)
	}
	parts := strings.Split(rest, "/")
	for i, part := range parts {
		if plain := strings.ReplaceAll(strings.ReplaceAll(part, "~0", ""), "~1", ""); strings.Contains(plain, "~") {
			return nil, fmt.Errorf("%w JSON pointer %.80q: ~ is written ~0, and / in a name ~1", arbalest.ErrInvalid, text)
		}
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
	}
	return parts, nil
}

// errFound ends a walk.
var errFound = errors.New("found")

// find returns the text of the value that p points to in doc, which is valid
// JSON, or nil.
func (p pointer) find(doc []byte) []byte {
	for _, part := range p {
		var value []byte
		switch doc = trim(doc); doc[0] {
		case '{':
			_ = decode.Members(doc, func(key, v []byte) error {
				if string(key) != part {
					return nil
				}
				value = v
				return errFound
			})
		case '[':
			value = element(doc, part)
		}
		if value == nil {
			return nil
		}
		doc = value
	}
	return trim(doc)
}

// element returns an array's element by its index in decimal digits, or nil.
func element(array []byte, index string) []byte {
	want := 0
	for _, c := range []byte(index) {
		if c -= '0'; c > 9 || want > len(array) {
			return nil
		}
		want = want*10 + int(c)
	}
	if index == "" || len(index) > 1 && index[0] == '0' {
		return nil
	}
	for at := 1; ; want-- {
		if rest := trim(array[at:]); rest[0] == ']' { // an empty one's only
			return nil
		}
		end, _, err := decode.Scan(array, at, maxDepth)
		if err != nil {
			return nil
		}
		if want == 0 {
			return array[at:end]
		}
		rest := trim(array[end:])
		if rest[0] != ',' {
			return nil
		}
		at = len(array) - len(rest) + 1
	}
}

// trim returns JSON without the white space before it.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\n' || b[0] == '\t' || b[0] == '\r') {
		b = b[1:]
	}
	return b
}

// text returns a value's text, if it is a string that is not empty or a number.
func text(value []byte) string {
	switch {
	case len(value) == 0:
		return ""
	case value[0] == '"':
		return string(decode.Unquote(nil, value))
	case value[0] == '-', '0' <= value[0] && value[0] <= '9':
		return string(value)
	}
	return ""
}
