package decode

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A byte repeated over a word of eight.
const (
	everyByte  = 0x0101010101010101
	everyHigh  = 0x80 * everyByte
	everySpace = 0x20 * everyByte
	everyQuote = '"' * everyByte
	everySlash = '\\' * everyByte
)

// special marks the bytes of w, little-endian, that need a look inside a
// string: control characters, quotes, backslashes and what is not ASCII. The
// lowest mark is right; marks above it may be false (Lamport 1975, "Multiple
// byte processing with full-word instructions").
func special(w uint64) uint64 {
	q, b := w^everyQuote, w^everySlash
	return ((w-everySpace)&^w | (q-everyByte)&^q | (b-everyByte)&^b | w) & everyHigh
}

// text scans a string from after its opening quote to after its closing one.
func (s *scanner) text(i int) (end int, escaped bool) {
	src := s.src
	for {
		for i+8 <= len(src) {
			m := special(binary.LittleEndian.Uint64(src[i : i+8]))
			if m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		for i < len(src) && src[i] >= 0x20 && src[i] < 0x80 && src[i] != '"' && src[i] != '\\' {
			i++
		}
		switch {
		case i >= len(src):
			return s.fail(i, "the text ends inside a string"), false
		case src[i] == '"':
			return i + 1, escaped
		case src[i] == '\\':
			i, escaped = s.escape(i), true
		case src[i] < 0x20:
			return s.fail(i, "a control character in a string must be escaped"), false
		default:
			i = s.runes(i)
		}
		if i < 0 {
			return -1, false
		}
	}
}

// runes scans what is not ASCII.
func (s *scanner) runes(i int) int {
	for i < len(s.src) && s.src[i] >= 0x80 {
		r, size := utf8.DecodeRune(s.src[i:])
		if r == utf8.RuneError && size == 1 {
			return s.fail(i, "the text is not valid UTF-8")
		}
		i += size
	}
	return i
}

// escape scans an escape from its backslash; a surrogate with its pair.
func (s *scanner) escape(i int) int {
	if i+1 >= len(s.src) {
		return s.fail(i+1, "the text ends inside a string")
	}
	switch s.src[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		r, ok := unhex(s.src, i+2)
		switch {
		case !ok:
			return s.fail(i, `\u must be followed by four hexadecimal digits`)
		case r >= 0xdc00 && r < 0xe000:
			return s.fail(i, "this surrogate follows none that it pairs with")
		case r < 0xd800 || r >= 0xe000:
			return i + 6
		}
		low, ok := unhex(s.src, i+8)
		if !ok || s.src[i+6] != '\\' || s.src[i+7] != 'u' || low < 0xdc00 || low >= 0xe000 {
			return s.fail(i, "this surrogate has no pair")
		}
		return i + 12
	}
	return s.fail(i, "there is no such escape in JSON")
}

// unhex reads the four hexadecimal digits at src[i].
func unhex(src []byte, i int) (r rune, ok bool) {
	if i+4 > len(src) {
		return 0, false
	}
	v, err := strconv.ParseUint(string(src[i:i+4]), 16, 16)
	return rune(v), err == nil
}

// skipString returns the index after a valid string, from after its opening
// quote.
func skipString(src []byte, i int) int {
	for {
		for ; i+8 <= len(src); i += 8 {
			w := binary.LittleEndian.Uint64(src[i : i+8])
			q, b := w^everyQuote, w^everySlash
			if m := ((q-everyByte)&^q | (b-everyByte)&^b) & everyHigh; m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
		}
		for i < len(src) && src[i] != '"' && src[i] != '\\' {
			i++
		}
		if i >= len(src) || src[i] == '"' {
			return min(i+1, len(src))
		}
		i += 2
	}
}

// Unquote appends the text of str, a valid JSON string with its quotes.
func Unquote(dst, str []byte) []byte {
	if len(str) < 2 {
		return dst
	}
	return unescape(dst, str[1:len(str)-1])
}

// unescape appends the text of the inside of a valid JSON string.
func unescape(dst, s []byte) []byte {
	for {
		i := bytes.IndexByte(s, '\\')
		if i < 0 || i+1 >= len(s) {
			return append(dst, s...)
		}
		dst = append(dst, s[:i]...)
		c := s[i+1]
		s = s[i+2:]
		if c == 'u' {
			dst, s = appendRune(dst, s)
			continue
		}
		if control := strings.IndexByte("btnfr", c); control >= 0 {
			c = "\b\t\n\f\r"[control]
		}
		dst = append(dst, c)
	}
}

// appendRune appends the character whose \u escape s is in the middle of, and
// returns what follows.
func appendRune(dst, s []byte) (_, rest []byte) {
	r, ok := unhex(s, 0)
	if !ok {
		return dst, s
	}
	s = s[4:]
	if r >= 0xd800 && r < 0xdc00 && len(s) >= 6 {
		if low, ok := unhex(s, 2); ok {
			r = 0x10000 + (r-0xd800)<<10 + (low - 0xdc00)
			s = s[6:]
		}
	}
	return utf8.AppendRune(dst, r), s
}
