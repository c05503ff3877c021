package decode

import "fmt"

// A scanner validates JSON. Its methods take the index of a token in src and
// return the index after it, or -1 once something is wrong, which err then
// tells. They recurse, no deeper than the depth that they are given.
type scanner struct {
	src     []byte
	compact bool // no white space was passed
	keys    keyStack
	table   []int32 // of keyTwice
	telling bool    // members are to be told, of objects with outer levels left or more
	outer   int
	members []Member
	err     *SyntaxError
}

// fail notes the failure at src[i].
func (s *scanner) fail(i int, reason string) int {
	s.err = &SyntaxError{Offset: int64(min(i, len(s.src))), Reason: reason}
	return -1
}

// want fails at src[i], where what must be is not.
func (s *scanner) want(i int, what string) int {
	if i >= len(s.src) {
		return s.fail(i, "the text ends where "+what+" must be")
	}
	if i == 0 && len(s.src) > 2 && string(s.src[:3]) == "\xef\xbb\xbf" {
		return s.fail(i, "there is a byte order mark: send UTF-8 without it")
	}
	if c := s.src[i]; c < 0x80 {
		return s.fail(i, fmt.Sprintf("there is %q where %s must be", rune(c), what))
	}
	return s.fail(i, fmt.Sprintf("there is the byte 0x%02x where %s must be", s.src[i], what))
}

// space returns the index of the first byte from i that is not white space.
func (s *scanner) space(i int) int {
	if i < len(s.src) && s.src[i] > ' ' {
		return i
	}
	return s.moreSpace(i)
}

func (s *scanner) moreSpace(i int) int {
	end := skipSpace(s.src, i)
	if end > i {
		s.compact = false
	}
	return end
}

// value scans the value that begins at src[i] and has at most depth levels.
func (s *scanner) value(i, depth int) int {
	if i >= len(s.src) {
		return s.want(i, "a value")
	}
	switch c := s.src[i]; c {
	case '"':
		end, _ := s.text(i + 1)
		return end
	case '{':
		return s.object(i+1, depth-1)
	case '[':
		return s.array(i+1, depth-1)
	case 't':
		return s.word(i, "true")
	case 'f':
		return s.word(i, "false")
	case 'n':
		return s.word(i, "null")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return s.number(i)
	}
	return s.want(i, "a value")
}

// object scans an object from after its opening brace.
func (s *scanner) object(i, depth int) int {
	first := s.keys.size
	i, more := s.open(i, depth, '}')
	for more {
		k, value := s.name(i)
		if value < 0 {
			return -1
		}
		s.addKey(k)
		end := s.value(value, depth)
		if s.telling && depth >= s.outer {
			s.members = append(s.members, Member{depth == s.outer, k.escaped, k.start, k.size, value, end})
		}
		i, more = s.next(end, '}')
	}
	if i < 0 {
		return -1
	}
	keys := s.keys.from(first)
	if k := s.keyTwice(keys); k >= 0 {
		return s.fail(keys[k].start-1, "the object has this key twice")
	}
	s.keys.size = first
	return i
}

// open scans what follows an opening brace or bracket, up to the first element
// or, if there is no more, after the closing one.
func (s *scanner) open(i, depth int, closing byte) (_ int, more bool) {
	if depth < 0 {
		return s.fail(i-1, "arrays and objects are nested too deep"), false
	}
	if i = s.space(i); i < len(s.src) && s.src[i] == closing {
		return i + 1, false
	}
	return i, true
}

// name scans a member's key and colon, up to its value.
func (s *scanner) name(i int) (k key, value int) {
	if i >= len(s.src) || s.src[i] != '"' {
		return k, s.want(i, "a key in double quotes")
	}
	end, escaped := s.text(i + 1)
	if end < 0 {
		return k, -1
	}
	k = key{start: i + 1, size: int32(end - i - 2), escaped: escaped}
	if i = s.space(end); i >= len(s.src) || s.src[i] != ':' {
		return k, s.want(i, "a colon")
	}
	return k, s.space(i + 1)
}

// next scans what follows an element: a comma, after which there is more, up
// to the next element; or the closing brace or bracket.
func (s *scanner) next(i int, closing byte) (_ int, more bool) {
	if i < 0 {
		return -1, false
	}
	if i = s.space(i); i < len(s.src) {
		switch s.src[i] {
		case ',':
			return s.space(i + 1), true
		case closing:
			return i + 1, false
		}
	}
	return s.want(i, fmt.Sprintf("a comma or %q", rune(closing))), false
}

// array scans an array from after its opening bracket.
func (s *scanner) array(i, depth int) int {
	i, more := s.open(i, depth, ']')
	for more {
		i, more = s.next(s.value(i, depth), ']')
	}
	return i
}

// word scans true, false or null.
func (s *scanner) word(i int, word string) int {
	if end := i + len(word); end <= len(s.src) && string(s.src[i:end]) == word {
		return end
	}
	return s.fail(i, "this is not true, false or null, nor a string in double quotes")
}

// number scans a number, which ends where it can go no further.
func (s *scanner) number(i int) int {
	src := s.src
	if src[i] == '-' {
		i++
	}
	start := i
	if i = s.digits(i); i > start+1 && src[start] == '0' {
		return s.fail(start, "a number begins with 0")
	}
	if i > 0 && i < len(src) && src[i] == '.' {
		i = s.digits(i + 1)
	}
	if i > 0 && i < len(src) && src[i]|0x20 == 'e' {
		i++
		if i < len(src) && (src[i] == '+' || src[i] == '-') {
			i++
		}
		i = s.digits(i)
	}
	return i
}

// digits scans one digit or more.
func (s *scanner) digits(i int) int {
	end := skipDigits(s.src, i)
	if end == i {
		return s.want(i, "a digit")
	}
	return end
}

func skipDigits(src []byte, i int) int {
	for i < len(src) && src[i]-'0' <= 9 {
		i++
	}
	return i
}
