package decode

import (
	"maps"
	"slices"

	"arbalest"
)

// A Survey tells of the properties of events: which there are, how many events
// have each, and which column would be inferred for it.
type Survey struct {
	events int64
	index  map[string]*surveyed
	order  []*surveyed
	path   []byte
}

type surveyed struct {
	path     string
	events   int64 // that have a value
	nulls    int64
	classes  map[class]int64
	examples []string
}

// A Property is what a Survey has found of a property that is no object.
type Property struct {
	Column   arbalest.Column // that would be inferred
	Events   int64           // that have it, and not null
	Nulls    int64           // events of which it is null
	Examples []string        // JSON texts of some values
}

// How many examples there are of a property, and how long each may be.
const (
	maxExamples = 3
	maxExample  = 40
)

// Add adds an event's properties, a valid JSON object.
func (s *Survey) Add(properties []byte) {
	if s.index == nil {
		s.index = map[string]*surveyed{}
	}
	s.events++
	s.object(properties, 0)
}

// Events is how many there were.
func (s *Survey) Events() int64 { return s.events }

func (s *Survey) object(object []byte, depth int) {
	_ = Members(object, func(key, value []byte) error { // visit returns no error
		before := len(s.path)
		s.path = appendPath(s.path, key)
		if value[0] == '{' && depth+1 < maxPath {
			s.object(value, depth+1)
		} else {
			s.value(value)
		}
		s.path = s.path[:before]
		return nil
	})
}

func (s *Survey) value(value []byte) {
	p := s.index[string(s.path)]
	if p == nil {
		if len(s.order) == maxColumns {
			return
		}
		p = &surveyed{path: string(s.path), classes: map[class]int64{}}
		s.index[p.path] = p
		s.order = append(s.order, p)
	}
	if value[0] == 'n' {
		p.nulls++
		return
	}
	p.events++
	p.classes[classify(value)]++
	if len(p.examples) < maxExamples && len(value) <= maxExample && !slices.Contains(p.examples, string(value)) {
		p.examples = append(p.examples, string(value))
	}
}

// Properties returns what was found, in the order of first appearance. Of a
// property that was always null the column has no type.
func (s *Survey) Properties() []Property {
	names := newNames(nil)
	out := make([]Property, len(s.order))
	for i, p := range s.order {
		set := slices.SortedFunc(maps.Keys(p.classes), func(a, b class) int { return a.rank() - b.rank() })
		var c arbalest.Column
		if len(set) > 0 {
			c = settle(newColumn(set, p.classes), set)
		}
		c.Path = splitPath(p.path)
		c.Name = names.take(c.Path)
		out[i] = Property{Column: c, Events: p.events, Nulls: p.nulls, Examples: p.examples}
	}
	return out
}
