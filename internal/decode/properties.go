package decode

import (
	"bytes"

	"arbalest"
)

// properties writes the columns of the event's properties. The reason is why
// the line is not valid.
func (b *builder) properties() (reason string) {
	start := len(b.scan.src) - len(b.event.Rest)
	if !b.ends(b.members(start, b.decoder.root, 0)) {
		return b.scan.err.Error()
	}
	for _, i := range b.decoder.whole {
		b.buffer = append(append(b.buffer[:0], '{'), b.event.Rest...)
		if !b.put(i, b.buffer, false) {
			b.misfit(i, nil, b.buffer)
		}
	}
	return ""
}

// members reads an object from after its opening brace. n is nil where no
// column is at or below the object; b.path is then where it is, and depth how
// many elements that has.
func (b *builder) members(i int, n *node, depth int) int {
	s := &b.scan
	next := 0
	i, more := s.open(i, 1, '}')
	for more {
		if n != nil && next < len(n.children) {
			// Events of one name mostly spell their properties in the same way.
			if child := n.children[next]; child.literal != "" && bytes.HasPrefix(s.src[i:], []byte(child.literal)) {
				next++
				i, more = s.next(b.value(s.space(i+len(child.literal)), child), '}')
				continue
			}
		}
		k, value := s.name(i)
		if value < 0 {
			return -1
		}
		name := s.src[k.start : k.start+int(k.size)]
		if k.escaped {
			b.buffer = unescape(b.buffer[:0], name)
			name = b.buffer
		}
		var child *node
		if n != nil {
			child, next = n.child(name, next)
		}
		if child != nil {
			i = b.value(value, child)
		} else {
			i = b.unknown(value, n, depth, name)
		}
		i, more = s.next(i, '}')
	}
	return i
}

// value reads a value at or below which there are columns.
func (b *builder) value(i int, n *node) int {
	s := &b.scan
	if b.seen[n.id] == b.serial {
		return s.fail(i, "the key before it is in this object twice")
	}
	b.seen[n.id] = b.serial
	end, escaped := 0, false
	switch {
	case i >= len(s.src):
		return s.want(i, "a value")
	case s.src[i] == '"':
		end, escaped = s.text(i + 1)
	case s.src[i] == '{':
		return b.object(i, n)
	case s.src[i] == 'n':
		return s.word(i, "null")
	default:
		end = s.value(i, maxLevels)
	}
	if end < 0 {
		return -1
	}
	return b.store(i, end, n, escaped)
}

// store puts src[i:end] in the node's columns, and returns end.
func (b *builder) store(i, end int, n *node, escaped bool) int {
	text := b.scan.src[i:end]
	for _, c := range n.columns {
		if !b.put(c, text, escaped) && !b.misfit(c, n, text) {
			return -1
		}
	}
	return end
}

// object reads an object at or below which there are columns: its text goes to
// columns that take it, its members to the columns below. Where there is
// neither, it is a value like others in a table that was declared, and has
// columns yet to be made in one that was not.
func (b *builder) object(i int, n *node) int {
	d := b.decoder
	if !n.text && (len(n.children) > 0 || d.inferred && !n.declared && n.depth < maxPath) {
		return b.members(i+1, n, n.depth)
	}
	end := b.scan.object(i+1, maxLevels)
	if end < 0 {
		return -1
	}
	if n.text || !d.inferred || n.declared || b.scan.src[b.scan.space(i+1)] != '}' {
		end = b.store(i, end, n, false)
	}
	if end < 0 || len(n.children) == 0 {
		return end
	}
	return b.members(i+1, n, n.depth)
}

// unknown reads a value that has no column, nor any below it. It is the member
// of that name in n's object, or, if n is nil, in the object that b.path leads
// to, which has so many elements.
func (b *builder) unknown(i int, n *node, depth int, name []byte) int {
	if b.decoder.open == 0 || n != nil && n.text {
		return b.scan.value(i, maxLevels)
	}
	if n != nil {
		b.path = append(b.path[:0], n.path...)
	}
	before := len(b.path)
	b.path = appendPath(b.path, name)
	i = b.news(i, depth+1)
	b.path = b.path[:before]
	return i
}

// news reads a value that has no column, at b.path of so many elements.
func (b *builder) news(i, depth int) int {
	s := &b.scan
	if !b.check() {
		return -1
	}
	switch c := s.src[i]; {
	case c == 'n':
		return s.word(i, "null")
	case c == '{' && depth < maxPath:
		return b.members(i+1, nil, depth)
	case c == '{' && s.src[s.space(i+1)] == '}':
		return s.space(i+1) + 1
	}
	end := s.value(i, maxLevels)
	b.report(b.path, classify(s.src[i:end]), true)
	return end
}

// check validates the whole line before anything is inferred from it.
func (b *builder) check() bool {
	if b.checked {
		return true
	}
	start := len(b.scan.src) - len(b.event.Rest)
	b.checked = b.ends(b.scan.object(start, maxLevels))
	return b.checked
}

// ends says whether the properties were valid, and end where the line does.
func (b *builder) ends(end int) bool {
	if end >= 0 && end < len(b.scan.src) {
		end = b.scan.want(end, "the line's end")
	}
	return end >= 0
}

// report adds a value to the block's novelty.
func (b *builder) report(path []byte, c class, unknown bool) {
	if b.novelty == nil {
		b.novelty = &Novelty{index: map[string]int{}, room: b.decoder.open}
	}
	b.novelty.add(path, c, 1, unknown)
}

// misfit deals with a value that does not fit its column, at n: it widens the
// column, or is an error. It says whether the line is still valid.
func (b *builder) misfit(i int, n *node, text []byte) bool {
	column := b.decoder.columns[i]
	inferred := b.decoder.infers(i)
	if inferred && n != nil {
		if !b.check() {
			return false
		}
		of := classify(text)
		if !sameColumn(grow(column, []class{of}), column) {
			b.report([]byte(n.path), of, false)
			return true
		}
	}
	e := b.located()
	e.Column, e.Value, e.Loaded = column.Name, display(text, maxValueShown), inferred
	e.Reason = explain(column, inferred, text)
	switch {
	case e.Loaded:
		b.errors = append(b.errors, e)
	case b.decoder.every:
		b.errors, b.refusal = append(b.errors, e), &e
	case b.refusal == nil:
		b.refusal = &e
	case len(b.refusal.Reason) < maxReasons:
		b.refusal.Reason += "; also " + column.Name + ": " + e.Reason
	}
	return true
}

// sameColumn says whether two definitions of a column are of the same type.
func sameColumn(a, b arbalest.Column) bool { return a.Type == b.Type && a.Wide == b.Wide }
