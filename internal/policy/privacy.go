package policy

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"

	"arbalest"
	"arbalest/internal/decode"
)

// A rule is a place in the tree that the paths of privacy rules make, and what
// is done there.
type rule struct {
	children map[string]*rule
	every    *rule // below any key, or for any element of an array
	does     deed
	most     int // characters that truncating keeps; 0 is an address
}

// A deed is what a rule does, the stronger the later.
type deed uint8

const (
	nothing deed = iota
	truncates
	hashes
	drops
)

// A guard holds the rules of an event.
type guard struct {
	properties []*rule // one rule, the root
	attributes []*rule // none, or one
	key        []byte
}

// newGuard returns the guard of rules, nil if there are none.
func newGuard(p Privacy, key []byte) (*guard, error) {
	if len(p.paths()) == 0 {
		return nil, nil
	}
	root := &rule{}
	var err error
	plant := func(path []string, does deed, most int) {
		r := root
		for _, key := range path {
			r = r.grow(key)
		}
		if r.does != nothing && err == nil {
			err = fmt.Errorf("%w privacy: %s has two rules: leave one of them", arbalest.ErrInvalid, show(path))
		}
		r.does, r.most = does, most
	}
	for _, path := range p.Hash {
		plant(path, hashes, 0)
	}
	for _, path := range p.Drop {
		plant(path, drops, 0)
	}
	for _, t := range p.Truncate {
		plant(t.Path, truncates, t.Characters)
	}
	g := &guard{properties: []*rule{root}, key: slices.Clone(key)}
	if e := root.children[envelope]; e != nil {
		g.attributes = []*rule{e.children[attributes]}
	}
	// A property of this name is refused, and then it is no envelope of ours.
	root.children = cloned(root.children)
	root.children[envelope] = &rule{does: drops}
	return g, err
}

func cloned(m map[string]*rule) map[string]*rule {
	out := map[string]*rule{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

// grow returns the rule below this one for an element of a path.
func (r *rule) grow(key string) *rule {
	if key == "*" {
		if r.every == nil {
			r.every = &rule{}
		}
		return r.every
	}
	if r.children == nil {
		r.children = map[string]*rule{}
	}
	if r.children[key] == nil {
		r.children[key] = &rule{}
	}
	return r.children[key]
}

// below appends the rules that hold for a member of an object, or for an element
// of an array. A path leads through arrays also where it does not say so: a
// rule must not miss what it names.
func below(dst, rules []*rule, key string, element bool) []*rule {
	mark := len(dst)
	add := func(r *rule) {
		if r != nil && !slices.Contains(dst[mark:], r) {
			dst = append(dst, r)
		}
	}
	for _, r := range rules {
		add(r.every)
		if element {
			add(r)
		} else {
			add(r.children[key])
		}
	}
	return dst
}

// strongest returns the rule that is to be applied to a value, nil for none.
func strongest(rules []*rule) (best *rule) {
	for _, r := range rules {
		if r.does != nothing && (best == nil || r.does > best.does || r.does == best.does && r.most < best.most) {
			best = r
		}
	}
	return best
}

// edit returns an edit with the guard's key.
func (g *guard) edit() *edit {
	if g == nil {
		return &edit{}
	}
	return &edit{mac: hmac.New(sha256.New, g.key)}
}

// rules returns those of the properties.
func (g *guard) rules() []*rule {
	if g == nil {
		return nil
	}
	return g.properties
}

// ofAttributes applies the rules to an event's attributes.
func (g *guard) ofAttributes(text []byte) (out []byte, ok bool) {
	if g == nil || len(g.attributes) == 0 || len(text) == 0 {
		return text, true
	}
	return g.edit().run(text, g.attributes, nil)
}

// clip returns the path up to the first value that a rule replaces, and whether
// there is one: what is below may not be told of. That a key may be an
// element's number is allowed for.
func (g *guard) clip(path []string) (_ []string, clipped bool) {
	rules := g.rules()
	for i, key := range path {
		next := below(nil, rules, key, false)
		if isIndex(key) {
			next = below(next, rules, key, true)
		}
		if rules = next; strongest(rules) != nil {
			return path[:i+1], true
		}
	}
	return path, false
}

func isIndex(key string) bool {
	for _, c := range []byte(key) {
		if c-'0' > 9 {
			return false
		}
	}
	return key != ""
}

// replace returns what is stored in a value's place, nil for the value itself.
// kept is false if it is left out. Null stays: there is nothing to hide.
func (e *edit) replace(r *rule, value []byte) (text []byte, kept bool) {
	switch {
	case r.does == drops:
		return nil, false
	case value[0] == 'n':
		return nil, true
	case r.does == hashes && value[0] == '"':
		return e.sum(decode.Unquote(nil, value)), true
	case r.does == hashes:
		return e.sum(decode.Compact(nil, value)), true
	case value[0] != '"':
		return nil, false
	case r.most == 0:
		return network(decode.Unquote(nil, value))
	}
	return firstCharacters(value, r.most)
}

// network returns an address's network, as a JSON string.
func network(text []byte) ([]byte, bool) {
	addr, err := netip.ParseAddr(string(text))
	if err != nil {
		port, err := netip.ParseAddrPort(string(text))
		if err != nil {
			return nil, false
		}
		addr = port.Addr()
	}
	addr = addr.Unmap().WithZone("")
	bits := 24
	if addr.Is6() {
		bits = 48
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return nil, false
	}
	return arbalest.AppendString(nil, prefix.Addr().String()), true
}

// firstCharacters returns the beginning of a JSON string, nil if it has no more.
func firstCharacters(value []byte, most int) ([]byte, bool) {
	text := string(decode.Unquote(nil, value))
	n := 0
	for i := range text {
		if n == most {
			return arbalest.AppendString(nil, text[:i]), true
		}
		n++
	}
	return nil, true
}
