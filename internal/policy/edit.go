package policy

import (
	"encoding/hex"
	"hash"
	"strconv"

	"arbalest/internal/decode"
)

// A cut is a place in a JSON text: values at it, or below it, are to be taken
// out.
type cut struct {
	children map[string]*cut // elements of an array by their number
	here     bool
	reason   string
}

// add marks a path.
func (c *cut) add(path []string, reason string) {
	for _, key := range path {
		if c.children == nil {
			c.children = map[string]*cut{}
		}
		next := c.children[key]
		if next == nil {
			next = &cut{}
			c.children[key] = next
		}
		c = next
	}
	if !c.here {
		c.here, c.reason = true, reason
	}
}

// child returns what is cut at or below a member, or nil.
func (c *cut) child(key string) *cut {
	if c == nil {
		return nil
	}
	return c.children[key]
}

// An edit copies a valid JSON text, with the values that rules name changed and
// those that cuts name taken out. Every other byte stays as it is.
type edit struct {
	src, out []byte
	done     int // src is copied up to here
	limit    int // the most that out may have
	full     bool
	mac      hash.Hash
	stack    []*rule  // of the values that are open
	path     []string // of the value, where there are cuts
	// taken is told of each value that is cut, as it may be stored: nil if it may
	// not be.
	taken func(path []string, value []byte, reason string)
}

// maxGrowth is by how many bytes a text may grow.
const maxGrowth = 1 << 20

// run returns the text after the edit: src itself if nothing was to be done. ok
// is false if it would have grown too much.
func (e *edit) run(src []byte, rules []*rule, cuts *cut) (out []byte, ok bool) {
	e.src, e.out, e.done, e.full, e.stack = src, nil, 0, false, e.stack[:0]
	e.limit = len(src) + maxGrowth
	start := space(src, 0)
	_, gone := e.value(start, rules, cuts)
	switch {
	case gone:
		return nil, true
	case e.full:
		return nil, false
	case e.done == 0:
		return src, true
	}
	e.copy(len(src))
	return e.out, !e.full
}

// copy copies src up to an index.
func (e *edit) copy(to int) {
	if len(e.out)+to-e.done > e.limit {
		e.full = true
		return
	}
	e.out = append(e.out, e.src[e.done:to]...)
	e.done = to
}

// put replaces src[i:end].
func (e *edit) put(i, end int, text []byte) {
	e.copy(i)
	if len(e.out)+len(text) > e.limit {
		e.full = true
		return
	}
	e.out = append(e.out, text...)
	e.done = end
}

// value edits the value at src[i] and returns the index after it. gone says that
// it is to be left out.
func (e *edit) value(i int, rules []*rule, cuts *cut) (end int, gone bool) {
	if len(rules) == 0 && cuts == nil || e.full {
		return decode.ValueEnd(e.src, i), false
	}
	if cuts != nil && cuts.here {
		end = decode.ValueEnd(e.src, i)
		if e.taken != nil {
			e.taken(e.path, e.protected(e.src[i:end], rules), cuts.reason)
		}
		return end, true
	}
	if r := strongest(rules); r != nil {
		end = decode.ValueEnd(e.src, i)
		text, kept := e.replace(r, e.src[i:end])
		if kept && len(text) > 0 {
			e.put(i, end, text)
		}
		return end, !kept
	}
	switch e.src[i] {
	case '{':
		return e.object(i+1, rules, cuts), false
	case '[':
		return e.array(i+1, rules, cuts), false
	}
	return decode.ValueEnd(e.src, i), false
}

// protected returns a value that is taken out as it may be stored, or nil.
func (e *edit) protected(value []byte, rules []*rule) []byte {
	inner := edit{mac: e.mac}
	out, ok := inner.run(value, rules, nil)
	if !ok {
		return nil
	}
	return out
}

// object edits an object from after its brace.
func (e *edit) object(i int, rules []*rule, cuts *cut) int {
	var unquoted []byte
	for i = space(e.src, i); e.src[i] != '}'; {
		end := decode.ValueEnd(e.src, i)
		unquoted = decode.Unquote(unquoted[:0], e.src[i:end])
		at := space(e.src, space(e.src, end)+1)
		i = e.element(i, at, string(unquoted), rules, cuts, '}')
	}
	return i + 1
}

// array edits an array from after its bracket.
func (e *edit) array(i int, rules []*rule, cuts *cut) int {
	i = space(e.src, i)
	for n := 0; e.src[i] != ']'; n++ {
		key := ""
		if cuts != nil {
			key = strconv.Itoa(n)
		}
		i = e.element(i, i, key, rules, cuts, ']')
	}
	return i + 1
}

// element edits a member of an object, or an element of an array, that begins
// at src[start] and whose value is at src[at], and returns where the next, or the
// closing bracket, is.
func (e *edit) element(start, at int, key string, rules []*rule, cuts *cut, closing byte) int {
	mark := len(e.stack)
	e.stack = below(e.stack, rules, key, closing == ']')
	below := cuts.child(key)
	if cuts != nil {
		e.path = append(e.path, key)
	}
	i, gone := e.value(at, e.stack[mark:len(e.stack):len(e.stack)], below)
	if cuts != nil {
		e.path = e.path[:len(e.path)-1]
	}
	e.stack = e.stack[:mark]
	i = space(e.src, i)
	more := e.src[i] == ','
	next := i
	if more {
		next = space(e.src, i+1)
	}
	switch {
	case !gone || e.full:
	case more:
		e.copy(start)
		e.done = next
	default: // the comma before it goes
		e.copy(start)
		if n := len(e.out) - 1; !e.full {
			for n >= 0 && isSpace(e.out[n]) {
				n--
			}
			if n >= 0 && e.out[n] == ',' {
				e.out = e.out[:n]
			}
			e.done = i
		}
	}
	return next
}

// sum returns the HMAC of a text as a JSON string.
func (e *edit) sum(text []byte) []byte {
	e.mac.Reset()
	e.mac.Write(text)
	out := make([]byte, 0, 2+2*e.mac.Size())
	out = append(out, '"')
	out = hex.AppendEncode(out, e.mac.Sum(nil))
	return append(out, '"')
}

// space returns the index of the first byte from i that is not white space.
func space(src []byte, i int) int {
	for i < len(src) && isSpace(src[i]) {
		i++
	}
	return i
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// cutOf makes cuts of paths.
func cutOf(found []finding) *cut {
	var c *cut
	for _, f := range found {
		if c == nil {
			c = &cut{}
		}
		c.add(f.path, f.reason)
	}
	return c
}
