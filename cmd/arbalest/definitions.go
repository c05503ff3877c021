package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/load"
	"arbalest/internal/policy"
)

// declares says that the event's table has just the columns that are given.
func (e eventConfig) declares(defaults tablesContract) bool {
	return (e.Columns != nil || e.Table != "") && !e.isOpen(defaults)
}

// isOpen says that columns are inferred beside those that are given, if there
// are any.
func (e eventConfig) isOpen(defaults tablesContract) bool {
	return policy.Mode(cmp.Or(e.Contract.Columns, defaults.Columns)) == policy.Evolve
}

// tables returns the declared tables, and those that have some of their columns
// declared.
func (c config) tables() (declared []arbalest.Table, err error) {
	names := map[string]string{}
	for _, event := range slices.Sorted(maps.Keys(c.Events)) {
		e := c.Events[event]
		bad := func(err error, part ...any) error {
			return fmt.Errorf("%s: events: %s: %w", c.sources[event].place(event, part...), event, err)
		}
		t := arbalest.Table{Name: e.Table, Event: arbalest.EventName(event), Declared: e.declares(c.Contract)}
		if err := t.Event.Validate(); err != nil {
			return nil, bad(err)
		}
		if t.Name == "" {
			t.Name = t.Event.Table()
		}
		if t.Name != arbalest.EventName(t.Name).Table() || load.LiveName(t.Name) != t.Name {
			return nil, bad(fmt.Errorf("%w: table %q: use lower-case letters, digits and _, and another beginning than %s", arbalest.ErrInvalid, t.Name, load.BesidePrefix), "table")
		}
		for i, column := range e.Columns {
			col, err := column.column()
			if err != nil {
				return nil, bad(fmt.Errorf("column %d: %w", i+1, err), "columns", i)
			}
			col.Declared = !t.Declared
			t.Columns = append(t.Columns, col)
		}
		if err := uniqueColumns(t); err != nil {
			return nil, bad(err, "columns")
		}
		if !t.Declared && len(t.Columns) == 0 && e.Table == "" {
			continue // it is inferred as one without a definition is
		}
		if other, ok := names[t.Name]; ok {
			return nil, bad(fmt.Errorf("%w: %s and %s both want table %s: give one of them another name under \"table\"", arbalest.ErrInvalid, other, event, t.Name))
		}
		names[t.Name] = event
		declared = append(declared, t)
	}
	return declared, nil
}

func (c columnConfig) column() (arbalest.Column, error) {
	path := []string(c.Path)
	if len(path) == 0 && c.Name != "" {
		path = []string{c.Name}
	}
	name := c.Name
	if name == "" {
		name = strings.Join(path, "_")
	}
	name = strings.ToLower(name)
	switch {
	case name == "":
		return arbalest.Column{}, fmt.Errorf("%w: no name and no path", arbalest.ErrInvalid)
	case len(name) > arbalest.MaxEventName:
		return arbalest.Column{}, fmt.Errorf("%w: name %.40q… has %d bytes: at most %d are allowed", arbalest.ErrInvalid, name, len(name), arbalest.MaxEventName)
	case c.Type == "":
		return arbalest.Column{}, fmt.Errorf("%w: %s has no type", arbalest.ErrInvalid, name)
	}
	t, err := arbalest.ParseType(c.Type)
	if err != nil {
		return arbalest.Column{}, fmt.Errorf("%s: %w", name, err)
	}
	return arbalest.Column{Name: name, Path: path, Type: t}, nil
}

func uniqueColumns(t arbalest.Table) error {
	seen := map[string]bool{}
	for _, c := range t.AllColumns() {
		if seen[c.Name] {
			return fmt.Errorf("%w: two columns are named %s: give one another name", arbalest.ErrInvalid, c.Name)
		}
		seen[c.Name] = true
	}
	return nil
}

// definition returns an event's definition. The error has its place.
func (c config) definition(event string) (policy.Definition, error) {
	e, source := c.Events[event], c.sources[event]
	d := policy.Definition{Event: arbalest.EventName(event), Table: e.Table, Declared: e.declares(c.Contract), Contract: policy.Contract{
		Columns:  policy.Mode(e.Contract.Columns),
		DataType: policy.Mode(cmp.Or(e.Contract.DataType, c.Contract.DataType)),
	}}
	var err error
	if d.Schema, d.SchemaFile, err = e.Schema.load(source.file); err != nil {
		return d, fmt.Errorf("%s: events: %s: %w", source.place(event, "schema"), event, err)
	}
	if d.Contract.Columns == "" && (len(e.Columns) > 0 || len(d.Schema) > 0) {
		d.Contract.Columns = policy.Mode(c.Contract.Columns) // without them nothing says what is unknown
	}
	for i, column := range e.Columns {
		col, err := column.column()
		if err != nil {
			return d, fmt.Errorf("%s: events: %s: column %d: %w", source.place(event, "columns", i), event, i+1, err)
		}
		d.Columns = append(d.Columns, policy.Column{Column: col, Mode: policy.Mode(column.Contract)})
	}
	d.Required = pathsOf(e.Required)
	d.Privacy = policy.Privacy{Hash: pathsOf(e.Privacy.Hash), Drop: pathsOf(e.Privacy.Drop)}
	for i, t := range e.Privacy.Truncate {
		if !t.To.is {
			return d, fmt.Errorf("%s: events: %s: %w privacy: truncate %s to what? Say ip, or a number of characters", source.place(event, "privacy", "truncate", i), event, arbalest.ErrInvalid, strings.Join(t.Path, "."))
		}
		d.Privacy.Truncate = append(d.Privacy.Truncate, policy.Truncation{Path: t.Path, Characters: t.To.characters})
	}
	return d, nil
}

func pathsOf(list []propertyPath) (out [][]string) {
	for _, p := range list {
		out = append(out, p)
	}
	return out
}

// compile compiles the definitions that have something to be done at the door.
func (c config) compile(key []byte) (map[arbalest.EventName]capture.Policy, error) {
	compiled := map[arbalest.EventName]capture.Policy{}
	for _, event := range slices.Sorted(maps.Keys(c.Events)) {
		d, err := c.definition(event)
		if err != nil {
			return nil, err
		}
		p, err := policy.Compile(d, key)
		var part *policy.PartError
		switch {
		case errors.As(err, &part):
			return nil, fmt.Errorf("%s: events: %w", c.sources[event].place(event, part.Part), err)
		case err != nil:
			return nil, fmt.Errorf("%s: events: %w", c.sources[event].place(event), err)
		case !p.IsIdle():
			compiled[d.Event] = p
		}
	}
	return compiled, nil
}

// checkEvents says what is wrong with the definitions. It asks for no key.
func (c config) checkEvents() error {
	if m := policy.Mode(c.Contract.Tables); m != "" && m != policy.Evolve && m != policy.Freeze && m != policy.DiscardRow {
		return fmt.Errorf("%w configuration: contract: tables %q: want evolve, freeze or discard_row", arbalest.ErrInvalid, m)
	}
	for _, m := range []string{c.Contract.Columns, c.Contract.DataType} {
		if m != "" && !slices.Contains(policy.Modes[:], policy.Mode(m)) {
			return fmt.Errorf("%w configuration: contract %q: want evolve, freeze, discard_row or discard_value", arbalest.ErrInvalid, m)
		}
	}
	if _, err := c.tables(); err != nil {
		return err
	}
	key := c.Privacy.Key
	if variable.MatchString(key) {
		key = strings.Repeat("k", 32) // whatever it is: only capture needs it
	}
	_, err := c.compile([]byte(key))
	return err
}

// A door is what capture is to do with events by their definitions.
type door struct {
	policies func(arbalest.EventName) capture.Policy // nil for nothing
	guarded  bool
}

// door compiles the definitions for capture.
func (c config) door() (door, error) {
	key, err := expand(c.Privacy.Key)
	if err != nil {
		return door{}, fmt.Errorf("%w configuration: privacy.key: %w", arbalest.ErrInvalid, err)
	}
	compiled, err := c.compile([]byte(key))
	if err != nil {
		return door{}, err
	}
	var others capture.Policy // of events without a definition
	if m := policy.Mode(c.Contract.Tables); m == policy.Freeze || m == policy.DiscardRow {
		others = policy.Stranger(m)
		for event := range c.Events {
			if _, ok := compiled[arbalest.EventName(event)]; !ok {
				compiled[arbalest.EventName(event)] = nil
			}
		}
	}
	var d door
	for _, p := range compiled {
		d.guarded = d.guarded || p != nil && p.Guards()
	}
	if len(compiled) > 0 || others != nil {
		d.policies = func(name arbalest.EventName) capture.Policy {
			if p, ok := compiled[name]; ok {
				return p
			}
			return others
		}
	}
	return d, nil
}
