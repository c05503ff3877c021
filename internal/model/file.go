package model

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"arbalest/internal/sqltext"
)

// A Set is the models of a folder, by name.
type Set struct {
	Models []*Model
	byName map[string]*Model
}

// Read reads the models of a folder, *.sql. A folder that is not there has none.
// What is wrong with a file is its model's Err, so that the others can be built.
func Read(dir string) (*Set, error) {
	s := &Set{byName: map[string]*Model{}}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read models: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() || filepath.Ext(e.Name()) != ".sql" || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		file := filepath.Join(dir, e.Name())
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read model: %w", err)
		}
		s.add(Parse(file, string(b)))
	}
	return s, nil
}

func (s *Set) add(m *Model) {
	s.Models = append(s.Models, m)
	s.byName[m.Name] = m
}

// Get returns a model by name; nil if there is none.
func (s *Set) Get(name string) *Model { return s.byName[name] }

// header matches a line of a header.
var header = regexp.MustCompile(`^--\s*([a-z_]+):\s*(.*?)\s*$`)

// Parse reads a model's file.
func Parse(file, text string) *Model {
	m := &Model{Name: strings.TrimSuffix(filepath.Base(file), ".sql"), File: file, Kind: View, sqlLine: 1}
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "--") {
			break
		}
		m.sqlLine = i + 2
		if h := header.FindStringSubmatch(line); h != nil {
			m.err = errors.Join(m.err, m.header(h[1], h[2], i+1))
		}
	}
	m.SQL = strings.TrimRight(strings.Join(lines[min(m.sqlLine-1, len(lines)):], "\n"), " \t\n;")
	m.err = errors.Join(m.err, m.check())
	return m
}

// header reads one line of the header.
func (m *Model) header(key, value string, line int) error {
	switch key {
	case "materialized":
		m.Kind = Kind(value)
		if m.Kind != View && m.Kind != Table && m.Kind != Incremental {
			return m.bad(line, "materialized: %q: want view, table or incremental", value)
		}
	case "key":
		m.Key = list(value)
	case "partition":
		column, by, _ := strings.Cut(value, " by ")
		m.Partition, m.partition = strings.ToLower(strings.TrimSpace(column)), line
		switch strings.TrimSpace(by) {
		case "", "hour":
		case "day":
			m.ByDay = true
		default:
			return m.bad(line, "partition: %q: want a column, by hour or by day: event_time, or day by day", value)
		}
	case "description":
		m.Description = strings.TrimSpace(m.Description + " " + value)
	case "tests":
		tests, err := parseTests(value, line)
		if err != nil {
			return m.at(line, err)
		}
		m.Tests = append(m.Tests, tests...)
	case "lookup":
		m.Lookup = append(m.Lookup, list(strings.ToLower(value))...)
	case "depends":
		for _, name := range list(strings.ToLower(value)) {
			m.declared = append(m.declared, Ref{withoutDefault(name), line})
		}
	default:
		return m.bad(line, "unknown header %q: there are materialized, key, partition, description, tests, lookup and depends", key)
	}
	return nil
}

// check says what is wrong with a model that its file alone shows.
func (m *Model) check() error {
	if !validName.MatchString(m.Name) || len(m.Name) > maxName {
		return m.bad(1, "the file's name is the model's: use lower-case letters, digits and _, at most %d", maxName)
	}
	if m.Kind == Incremental && m.Partition == "" {
		return m.bad(1, "an incremental model needs the column of its event time: -- partition: event_time")
	}
	tokens := tokenize(m.SQL)
	if len(tokens) == 0 {
		return m.bad(m.sqlLine, "there is no SELECT")
	}
	if first := tokens[0]; !slices.Contains([]string{"select", "with", "from", "values", "("}, first.fold()) {
		return m.bad(m.sqlLine+first.line, "a model is one SELECT, and this begins with %s", first.text)
	}
	for _, t := range tokens {
		if t.kind == sqltext.Symbol && t.text == ";" {
			return m.bad(m.sqlLine+t.line, "a model is one SELECT, without a semicolon within it")
		}
	}
	if len(m.Key) > 0 {
		m.Tests = append([]Test{{Kind: unique, Columns: m.Key, Line: 1}}, m.Tests...)
		for _, c := range m.Key {
			m.Tests = append(m.Tests, Test{Kind: notNull, Columns: []string{c}, Line: 1})
		}
	}
	return nil
}

// list splits at commas.
func list(text string) (out []string) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// withoutDefault takes off the schema that events' tables are in.
func withoutDefault(name string) string {
	for _, schema := range []string{"main.", "public."} {
		if rest, ok := strings.CutPrefix(name, schema); ok {
			return rest
		}
	}
	return name
}
