package policy

import (
	"fmt"
	"slices"
	"strings"

	"arbalest"
)

// A Mode is what is done with what does not fit a definition. The words are
// dlt's (dlthub.com/docs, "Schema and data contracts").
type Mode string

// The modes.
const (
	// Evolve stores it as it came.
	Evolve Mode = "evolve"
	// Freeze refuses the event, and tells its sender so: code bad_schema.
	Freeze Mode = "freeze"
	// DiscardRow refuses the event too, but not as a fault of its sender: code
	// discarded.
	DiscardRow Mode = "discard_row"
	// DiscardValue takes the property out, and keeps it in the event's
	// attributes.
	DiscardValue Mode = "discard_value"
)

// Modes are all modes.
var Modes = [...]Mode{Evolve, Freeze, DiscardRow, DiscardValue}

// A Contract says what is done with what does not fit. An empty mode leaves it
// to the default.
type Contract struct {
	// Columns is for properties that the schema forbids or, where there is none,
	// that have no column. Defaults to Freeze for the former, and the latter
	// are stored as they came, without a column.
	Columns Mode
	// DataType is for values that the schema does not take or that do not fit
	// their column, and for required properties that are not there. Defaults to
	// Freeze, and values that do not fit their column are load errors.
	DataType Mode
}

// A Definition is what is said of an event.
type Definition struct {
	Event   arbalest.EventName
	Table   string // empty is the event's own
	Columns []Column
	// Declared says that the table has just the columns; else others are inferred
	// beside them, and it has the column properties.
	Declared bool
	// Required are properties that must be there and not null.
	Required [][]string
	// Schema is a JSON Schema of the properties, as JSON; empty for none.
	Schema []byte
	// SchemaFile is the file that relative references in the schema are relative
	// to.
	SchemaFile string
	Contract   Contract
	Privacy    Privacy
	// Inferred says that the event has none: its columns were inferred.
	Inferred bool
}

// A Column is a column with a mode for values that do not fit it; empty is the
// contract's.
type Column struct {
	arbalest.Column
	Mode Mode
}

// Privacy says of which properties not everything is stored.
type Privacy struct {
	// Hash are paths whose values are replaced by their HMAC-SHA-256, in
	// hexadecimal digits: of a string's text, else of the value's JSON.
	Hash [][]string
	// Drop are paths whose values are left out.
	Drop [][]string
	// Truncate are paths whose values are cut short.
	Truncate []Truncation
}

// A Truncation cuts a string. What is no such string is left out.
type Truncation struct {
	Path []string
	// Characters is how many of the first are kept. Zero says that the value is an
	// IP address, of which the network is kept: /24 of IPv4, /48 of IPv6.
	Characters int
}

// minKey is the shortest key, in bytes. NIST SP 800-107, 5.3.4, asks for at least
// 112 bits.
const minKey = 16

// A PartError is what is wrong with a part of a definition: "columns", "required",
// "schema", "contract" or "privacy".
type PartError struct {
	Event arbalest.EventName
	Part  string
	Err   error
}

func (e *PartError) Error() string { return string(e.Event) + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *PartError) Unwrap() error { return e.Err }

// validate says what is wrong with a definition.
func (d Definition) validate(key []byte) error {
	if err := d.Event.Validate(); err != nil {
		return err
	}
	bad := func(part, format string, args ...any) error {
		return &PartError{d.Event, part, fmt.Errorf("%w %s: %s", arbalest.ErrInvalid, part, fmt.Sprintf(format, args...))}
	}
	for _, m := range []Mode{d.Contract.Columns, d.Contract.DataType} {
		if m != "" && !slices.Contains(Modes[:], m) {
			return bad("contract", "%q: want evolve, freeze, discard_row or discard_value", m)
		}
	}
	for _, c := range d.Columns {
		if c.Mode != "" && !slices.Contains(Modes[:], c.Mode) {
			return bad("columns", "%s: contract %q: want evolve, freeze, discard_row or discard_value", c.Name, c.Mode)
		}
	}
	if m := d.Contract.Columns; m != "" && m != Evolve && len(d.Columns) == 0 && len(d.Schema) == 0 {
		return bad("contract", "columns is %s, and there are neither columns nor a schema that say which properties there are: give one of them", m)
	}
	if len(d.Privacy.Hash) > 0 && len(key) < minKey {
		return bad("privacy", "hash needs a key of at least %d bytes: set privacy.key in arbalest.yaml to ${NAME} of an environment variable that has it", minKey)
	}
	for _, t := range d.Privacy.Truncate {
		if t.Characters < 0 {
			return bad("privacy", "truncate %s: want a number of characters, or ip", show(t.Path))
		}
	}
	for _, path := range d.Required {
		if len(path) == 0 || path[0] == "" || path[0] == envelope || slices.Contains(path, "*") {
			return bad("required", "%q: want a property's name, or a path of objects such as a.b", show(path))
		}
	}
	for _, path := range d.Privacy.paths() {
		if len(path) == 0 || path[0] == "" {
			return bad("privacy", "a path is empty")
		}
		if path[0] == envelope && (len(path) < 3 || path[1] != attributes) {
			return bad("privacy", "path %s: of %s only what is below %s.%s can be named", show(path), envelope, envelope, attributes)
		}
	}
	return nil
}

// envelope and attributes lead to what is known of an event besides its
// properties, as stored lines spell it.
const (
	envelope   = "_event"
	attributes = "attributes"
)

// paths are those of all rules.
func (p Privacy) paths() [][]string {
	all := slices.Concat(p.Hash, p.Drop)
	for _, t := range p.Truncate {
		all = append(all, t.Path)
	}
	return all
}

// show spells a path for people.
func show(path []string) string {
	parts := make([]string, len(path))
	for i, key := range path {
		if len(key) > 80 {
			key = strings.ToValidUTF8(key[:80], "") + "…"
		}
		if key == "" || strings.ContainsAny(key, ". \"") {
			key = fmt.Sprintf("%q", key)
		}
		parts[i] = key
	}
	if len(parts) > 16 {
		parts = append(parts[:16], "…")
	}
	return strings.Join(parts, ".")
}
