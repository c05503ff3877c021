package redshifttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A step of a path is a member's name, or an element's index.
type step struct {
	name  string
	index int // -1 for a name
}

// paths are what a JSONPaths file has, in the order of the columns.
type paths [][]step

// jsonpathsError is what COPY answers to a file that it cannot read: MAXERROR
// does not apply to it.
func jsonpathsError(why string) error {
	return &refusal{"XX000", "Invalid JSONPath format: " + why, ""}
}

// parsePaths reads a JSONPaths file. auto says that its member is spelled
// otherwise, which COPY takes for 'auto' without a word ("COPY from JSON
// format").
func parsePaths(body []byte) (p paths, auto bool, err error) {
	var object map[string]json.RawMessage
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&object); err != nil {
		return nil, false, jsonpathsError("the file is not one JSON object")
	}
	if d.More() || len(bytes.TrimSpace(body[d.InputOffset():])) > 0 {
		return nil, false, jsonpathsError("there is something after the object")
	}
	raw, ok := object["jsonpaths"]
	if !ok {
		return nil, true, nil
	}
	var list []any
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, false, jsonpathsError("jsonpaths is not an array")
	}
	brackets, dots := false, false
	for _, e := range list {
		text, ok := e.(string)
		if !ok || text == "" {
			return nil, false, jsonpathsError("an element is not a string, or is empty")
		}
		steps, b, err := parsePath(text)
		if err != nil {
			return nil, false, err
		}
		if text != "$" {
			brackets, dots = brackets || b, dots || !b
		}
		p = append(p, steps)
	}
	if brackets && dots {
		return nil, false, jsonpathsError("bracket and dot notation are mixed")
	}
	return p, false, nil
}

// parsePath reads a path in bracket notation or in dot notation.
func parsePath(text string) (steps []step, brackets bool, err error) {
	rest, ok := strings.CutPrefix(text, "$")
	if !ok {
		return nil, false, jsonpathsError(text + " does not begin with $")
	}
	brackets = strings.HasPrefix(rest, "[")
	for rest != "" {
		var s step
		switch {
		case strings.HasPrefix(rest, "['") || strings.HasPrefix(rest, `["`):
			if !brackets {
				return nil, false, jsonpathsError("bracket and dot notation are mixed")
			}
			end := strings.Index(rest[2:], rest[1:2]+"]")
			if end < 0 {
				return nil, false, jsonpathsError(text + " lacks a closing bracket")
			}
			s, rest = step{rest[2 : 2+end], -1}, rest[end+4:]
			if strings.ContainsAny(s.name, `'\`) {
				// No escape is documented.
				return nil, false, jsonpathsError("a name has a quote or a backslash")
			}
		case strings.HasPrefix(rest, "["):
			digits, after, ok := strings.Cut(rest[1:], "]")
			n, err := strconv.Atoi(digits)
			if !ok || err != nil || n < 0 {
				return nil, false, jsonpathsError(text + " has an index that is none")
			}
			s, rest = step{"", n}, after
		case strings.HasPrefix(rest, ".") && !brackets:
			end := strings.IndexAny(rest[1:], ".[")
			if end < 0 {
				end = len(rest) - 1
			}
			s, rest = step{rest[1 : 1+end], -1}, rest[1+end:]
			if s.name == "" || strings.ContainsAny(s.name, "']*") {
				return nil, false, jsonpathsError(text)
			}
		default:
			return nil, false, jsonpathsError(text)
		}
		steps = append(steps, s)
	}
	return steps, brackets, nil
}

// A root is a document whose members of the first level are read once for all
// paths.
type root struct {
	raw     []byte
	members map[string]json.RawMessage // nil if it is no object, or not read yet
}

// follow returns the value at a path; nil if a member on the way is not there.
// An element that is not there fails the COPY.
func (r *root) follow(path []step) (json.RawMessage, error) {
	value := json.RawMessage(r.raw)
	if len(path) > 0 && path[0].index < 0 {
		if r.members == nil && json.Unmarshal(value, &r.members) != nil {
			return nil, nil // as below
		}
		var ok bool
		if value, ok = r.members[path[0].name]; !ok {
			return nil, nil
		}
		path = path[1:]
	}
	for _, s := range path {
		if s.index >= 0 {
			var elements []json.RawMessage
			if err := json.Unmarshal(value, &elements); err != nil || s.index >= len(elements) {
				return nil, jsonpathsError("Not an array or index out of range.")
			}
			value = elements[s.index]
			continue
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(value, &members); err != nil {
			return nil, nil // what a member of a scalar is, is not documented: NULL
		}
		var ok bool
		if value, ok = members[s.name]; !ok {
			return nil, nil
		}
	}
	return value, nil
}

// automatic returns the values of an object's members of the first level, by the
// names of columns, which are lower case.
func automatic(document []byte, columns []column, ignoreCase bool) ([]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(document, &members); err != nil {
		return nil, fmt.Errorf("a root-level array needs a JSONPaths file")
	}
	if ignoreCase {
		folded := map[string]json.RawMessage{}
		for _, name := range sortedKeys(members) {
			folded[fold(name)] = members[name]
		}
		members = folded
	}
	values := make([]json.RawMessage, len(columns))
	for i, c := range columns {
		values[i] = members[c.name]
	}
	return values, nil
}

func sortedKeys(m map[string]json.RawMessage) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
