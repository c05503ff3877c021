package policy

import (
	"encoding/json"
	"slices"

	"arbalest"
	"arbalest/internal/decode"
)

// A finding is something of an event that does not fit its definition.
type finding struct {
	path    []string // of the value; elements of arrays by their number
	reason  string   // has no value in it
	unknown bool     // the property is not known, else the value is not right
	missing bool     // there is no value at the path
	mode    Mode
}

// A known is a place in the tree of the properties that a definition knows.
type known struct {
	children map[string]*known
	columns  []*Column // of the value
	required bool
	all      bool // what is below is known too: it is part of a value
}

func (k *known) grow(key string) *known {
	if k.children == nil {
		k.children = map[string]*known{}
	}
	if k.children[key] == nil {
		k.children[key] = &known{}
	}
	return k.children[key]
}

func (k *known) at(path []string) *known {
	for _, key := range path {
		k = k.grow(key)
	}
	return k
}

// newKnown returns the tree of a definition's columns and required properties.
func newKnown(d Definition) *known {
	root := &known{}
	for i := range d.Columns {
		c := &d.Columns[i]
		k := root.at(c.Path)
		k.columns = append(k.columns, c)
		kind := c.Type.Kind
		k.all = k.all || kind == arbalest.JSON || kind == arbalest.Varchar || kind == arbalest.Char
	}
	for _, path := range d.Required {
		k := root.at(path)
		k.required = true
		k.all = k.all || len(k.columns) == 0
	}
	for _, path := range d.Privacy.paths() {
		if path[0] != envelope {
			openPath(root, path)
		}
	}
	root.grow("timestamp").all = true // the event's time may be there
	return root
}

// openPath makes a path known of which the part from a "*" on may be anything.
func openPath(k *known, path []string) {
	for _, key := range path {
		if key == "*" {
			break
		}
		k = k.grow(key)
	}
	k.all = k.all || len(k.columns) == 0 && len(k.children) == 0
}

// required returns the required properties that an object lacks.
func (p *Policy) required(object []byte) (found []finding) {
	for _, path := range p.definition.Required {
		value := lookup(object, path)
		if value == nil || value[0] == 'n' {
			found = append(found, finding{path: path, reason: "it is required, and not there", missing: true})
		}
	}
	return found
}

// lookup returns the value at a path of objects, or nil.
func lookup(object []byte, path []string) []byte {
	for _, key := range path {
		if object == nil || object[0] != '{' {
			return nil
		}
		var next []byte
		_ = decode.Members(object, func(k, value []byte) error { // visit returns no error
			if string(k) == key {
				next = value
			}
			return nil
		})
		object = next
	}
	return object
}

// fit returns the properties that have no column, and the values that do not fit
// theirs, as far as the contract is about them.
func (p *Policy) fit(dst []finding, object []byte, k *known, path []string) []finding {
	_ = decode.Members(object, func(key, value []byte) error { // visit returns no error
		next := k.children[string(key)]
		switch {
		case next == nil && p.closed:
			dst = append(dst, finding{path: append(path[:len(path):len(path)], string(key)), reason: "there is no such column", unknown: true})
			return nil
		case next == nil:
			return nil
		}
		below := append(path[:len(path):len(path)], string(key))
		if value[0] == '{' && len(next.children) > 0 {
			dst = p.fit(dst, value, next, below)
			return nil
		}
		for _, c := range next.columns {
			mode := c.Mode
			if mode == "" {
				mode = p.definition.Contract.DataType
			}
			if mode != "" && mode != Evolve && !decode.Fits(c.Column, value) {
				dst = append(dst, finding{path: below, reason: "it does not fit column " + c.Name + " " + c.Type.String(), mode: mode})
			}
		}
		if p.closed && value[0] == '{' && len(next.columns) == 0 && !next.all && len(next.children) == 0 {
			dst = append(dst, finding{path: below, reason: "there is no such column", unknown: true})
		}
		return nil
	})
	return dst
}

// A member is one of an object: its key, and its value's first byte.
type member struct {
	key   string
	first byte
}

func members(object []byte) (out []member) {
	_ = decode.Members(object, func(key, value []byte) error { // visit returns no error
		out = append(out, member{string(key), value[0]})
		return nil
	})
	return out
}

// Named returns the paths that a definition gives columns to or requires.
func (d Definition) Named() [][]string {
	var out [][]string
	add := func(path []string) {
		if !slices.ContainsFunc(out, func(p []string) bool { return slices.Equal(p, path) }) {
			out = append(out, path)
		}
	}
	for _, c := range d.Columns {
		add(c.Path)
	}
	for _, path := range d.Required {
		add(path)
	}
	for _, path := range schemaPaths(d.Schema) {
		add(path)
	}
	return out
}

// Names says whether a definition says anything of a property.
func (d Definition) Names(path []string) bool {
	k := newKnown(d)
	for _, p := range schemaPaths(d.Schema) {
		k.at(p).all = true
	}
	for _, key := range path {
		next := k.children[key]
		switch {
		case next == nil:
			return k.all
		case next.all:
			return true
		}
		k = next
	}
	return len(k.columns) > 0 || k.required || len(k.children) > 0
}

// schemaPaths returns the properties that a schema names, innermost ones only.
// What it says by reference is not followed.
func schemaPaths(text []byte) [][]string {
	var schema any
	if len(text) == 0 || json.Unmarshal(text, &schema) != nil {
		return nil
	}
	return propertyPaths(nil, nil, schema)
}

func propertyPaths(out [][]string, path []string, schema any) [][]string {
	s, _ := schema.(map[string]any)
	properties, _ := s["properties"].(map[string]any)
	for _, name := range sortedKeys(properties) {
		at := append(slices.Clone(path), name)
		if below := propertyPaths(nil, at, properties[name]); len(below) > 0 {
			out = append(out, below...)
		} else {
			out = append(out, at)
		}
	}
	return out
}
