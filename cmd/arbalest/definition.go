package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"arbalest"
	"arbalest/internal/strict"
)

// An eventConfig is an event's definition.
type eventConfig struct {
	Table   string         `yaml:"table"` // Defaults to the event's name, folded
	Columns []columnConfig `yaml:"columns"`
	// Required are properties that must be there and not null.
	Required []propertyPath `yaml:"required"`
	// Schema is a JSON Schema of the properties, or the path of its file.
	Schema   schemaConfig   `yaml:"schema"`
	Contract contractConfig `yaml:"contract"`
	Privacy  rulesConfig    `yaml:"privacy"`
	// Retention is the event's own, instead of that of all. Empty is for ever.
	Retention *retentionConfig `yaml:"retention"`
}

// A columnConfig is one column: a property and its type.
type columnConfig struct {
	Name string       `yaml:"name"` // Defaults to the path joined by _
	Path propertyPath `yaml:"path"` // Defaults to the name
	Type string       `yaml:"type"`
	// Contract is for values that do not fit. Defaults to the event's data_type.
	Contract string `yaml:"contract"`
}

// A contractConfig is a mode for all, or one for each entity. The words are
// dlt's.
type contractConfig struct {
	Columns  string `yaml:"columns"`
	DataType string `yaml:"data_type"`
}

// UnmarshalYAML reads either form.
func (c *contractConfig) UnmarshalYAML(decode func(any) error) error {
	var mode string
	if decode(&mode) == nil {
		*c = contractConfig{mode, mode}
		return nil
	}
	type plain contractConfig // without this method
	return decode((*plain)(c))
}

// A tablesContract is a contractConfig that also has a mode for events without a
// definition: evolve, freeze or discard_row.
type tablesContract struct {
	Tables   string `yaml:"tables"`
	Columns  string `yaml:"columns"`
	DataType string `yaml:"data_type"`
}

// A privacyConfig is what is the same for all privacy rules.
type privacyConfig struct {
	// Key is that of hashes, of at least 16 bytes, in which ${NAME} is replaced from
	// the environment.
	Key string `yaml:"key"`
}

// A rulesConfig says of which properties not everything is stored.
type rulesConfig struct {
	Hash     []propertyPath   `yaml:"hash"`
	Drop     []propertyPath   `yaml:"drop"`
	Truncate []truncateConfig `yaml:"truncate"`
}

// A truncateConfig cuts a property short.
type truncateConfig struct {
	Path propertyPath `yaml:"path"`
	To   truncation   `yaml:"to"` // "ip", or a number of characters
}

// A truncation is a number of characters, 0 for an address's network, -1 if it was
// left out.
type truncation struct {
	characters int
	is         bool
}

// UnmarshalYAML reads either form.
func (t *truncation) UnmarshalYAML(b []byte) error {
	text := strings.Trim(strings.TrimSpace(string(b)), `"'`)
	n, err := strconv.Atoi(text)
	if text != "ip" && (err != nil || n < 1) {
		return fmt.Errorf("to %q: want ip, or a number of characters", text)
	}
	*t = truncation{n, true}
	return nil
}

// A schemaConfig is a JSON Schema: in the file, as JSON, or the path of one.
type schemaConfig struct {
	file string
	text []byte
}

// UnmarshalYAML reads either form.
func (s *schemaConfig) UnmarshalYAML(b []byte) error {
	if err := yaml.Unmarshal(b, &s.file); err == nil && s.file != "" {
		return nil
	}
	s.file = ""
	var value map[string]any
	if err := yaml.Unmarshal(b, &value); err != nil {
		return fmt.Errorf("schema: want a JSON Schema, or the path of one: %w", err)
	}
	text, err := yaml.YAMLToJSON(b)
	s.text = text
	return err
}

// load returns the schema's text and the file that it is in; a relative path is
// beside file.
func (s schemaConfig) load(file string) (text []byte, in string, err error) {
	if s.file == "" {
		return s.text, file, nil
	}
	path := s.file
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(file), path)
	}
	if text, err = os.ReadFile(path); err != nil {
		return nil, path, fmt.Errorf("%w schema: %v", arbalest.ErrInvalid, err)
	}
	if ext := filepath.Ext(path); ext == ".yaml" || ext == ".yml" {
		if text, err = yaml.YAMLToJSON(text); err != nil {
			return nil, path, fmt.Errorf("%w schema %s: %v", arbalest.ErrInvalid, path, err)
		}
	}
	return text, path, nil
}

// An eventsFile is a file of definitions.
type eventsFile struct {
	Events map[string]eventConfig `yaml:"events"`
}

// A definitionSource is where a definition is.
type definitionSource struct {
	file string
	tree *ast.File
}

// place returns file:line:column of a part of an event's definition, or of as
// much of the path to it as there is.
func (s definitionSource) place(event string, part ...any) string {
	if s.tree == nil {
		return s.file
	}
	for n := len(part); n >= 0; n-- {
		b := (&yaml.PathBuilder{}).Root().Child("events").Child(event)
		for _, p := range part[:n] {
			switch p := p.(type) {
			case string:
				b = b.Child(p)
			case int:
				b = b.Index(uint(p))
			}
		}
		node, err := b.Build().FilterFile(s.tree)
		if err != nil || node == nil {
			continue
		}
		at := start(node)
		return fmt.Sprintf("%s:%d:%d", s.file, at.Line, at.Column)
	}
	return s.file
}

// start returns where a node begins: a mapping's token is its first colon.
func start(node ast.Node) (at struct{ Line, Column int }) {
	switch n := node.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 && !n.IsFlowStyle {
			return start(n.Values[0])
		}
	case *ast.MappingValueNode:
		return start(n.Key)
	}
	if t := node.GetToken(); t != nil {
		at.Line, at.Column = t.Position.Line, t.Position.Column
	}
	return at
}

// noteEvents notes where definitions are. An event that is defined elsewhere is
// an error.
func (c *config) noteEvents(file string, text []byte, events map[string]eventConfig) error {
	if len(events) == 0 {
		return nil
	}
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return fmt.Errorf("%w configuration %s: %s", arbalest.ErrInvalid, file, yaml.FormatError(err, false, false))
	}
	here := definitionSource{file, tree}
	if c.sources == nil {
		c.sources, c.Events = map[string]definitionSource{}, map[string]eventConfig{}
	}
	for _, event := range slices.Sorted(maps.Keys(events)) {
		if other, ok := c.sources[event]; ok {
			return fmt.Errorf("%w: event %s is defined twice: %s and %s: leave one of them", arbalest.ErrInvalid, event, other.place(event), here.place(event))
		}
		c.sources[event], c.Events[event] = here, events[event]
	}
	return nil
}

// readEvents adds the definitions in the files of a folder, which need not be
// there.
func (c *config) readEvents(folder string) error {
	var files []string
	for _, pattern := range []string{"*.yaml", "*.yml"} {
		found, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			return fmt.Errorf("find definitions: %w", err)
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	for _, file := range files {
		if err := c.readEventsFile(file); err != nil {
			return err
		}
	}
	return nil
}

// readEventsFile adds the definitions in a file.
func (c *config) readEventsFile(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read definitions: %w", err)
	}
	var f eventsFile
	if err := strict.Unmarshal("definitions", file, b, &f); err != nil {
		return err
	}
	return c.noteEvents(file, b, f.Events)
}
