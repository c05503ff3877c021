package arbalest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Schema maps the JSON objects of a source to a table's columns: what the
// original library called a JsonObject. JSONObject makes one; what is wrong with
// it is told by Columns.
type Schema struct {
	Table      string // may be schema.table
	Properties []SchemaProperty
}

// A SchemaProperty is a property of a Schema: a value with a type, or an object
// with properties of its own. Property and Nested make them.
type SchemaProperty struct {
	Name     string // the key as it is in the JSON; dots are part of it
	Type     string // as ParseType reads it; empty if it is an object
	Column   string // defaults to the names from the outermost on, joined by "_"
	Children []SchemaProperty
}

// JSONObject returns the schema of a table.
func JSONObject(table string, properties ...SchemaProperty) Schema {
	return Schema{table, properties}
}

// Property returns a property with a value of a type: Property("id",
// "VARCHAR(36)"). A dot in its name is part of the key; objects within objects
// are Nested.
func Property(name, kind string, options ...PropertyOption) SchemaProperty {
	p := SchemaProperty{Name: name, Type: kind}
	for _, o := range options {
		o(&p)
	}
	return p
}

// Nested returns a property whose value is an object with properties of its own.
func Nested(name string, properties ...SchemaProperty) SchemaProperty {
	return SchemaProperty{Name: name, Children: properties}
}

// A PropertyOption changes a Property.
type PropertyOption func(*SchemaProperty)

// As names a property's column.
func As(column string) PropertyOption { return func(p *SchemaProperty) { p.Column = column } }

// Columns returns the schema's columns in the order of its properties. Names
// are in lower case, since warehouses do not tell cases apart, and end after
// maxName bytes, which is the warehouse's limit. The error wraps ErrInvalid: a
// type that is none, a name that two columns have (also if only once they are
// folded and cut), a property without type and properties, no property at all,
// or a table without a name.
func (s Schema) Columns(maxName int) ([]Column, error) {
	if err := s.checkTable(maxName); err != nil {
		return nil, err
	}
	var columns []Column
	if err := s.add(&columns, nil, s.Properties); err != nil {
		return nil, err
	}
	if len(columns) == 0 {
		return nil, fmt.Errorf("%w: table %s has no properties: name at least one", ErrInvalid, s.Table)
	}
	from := map[string]string{}
	for i := range columns {
		c := &columns[i]
		whole := c.Name
		c.Name = cutName(strings.ToLower(c.Name), maxName)
		if other, ok := from[c.Name]; ok {
			return nil, fmt.Errorf("%w: table %s: columns %q and %q are both named %q (names are in lower case and of at most %d bytes): give one another name with As", ErrInvalid, s.Table, other, whole, c.Name, maxName)
		}
		from[c.Name] = whole
		if slices.Contains(systemNames, c.Name) {
			return nil, fmt.Errorf("%w: table %s: a column cannot be named %s, which is the warehouse's own: give it another name with As", ErrInvalid, s.Table, c.Name)
		}
	}
	return columns, nil
}

// systemNames are columns that PostgreSQL and Redshift have in every table
// (Redshift Database Developer Guide, "Unsupported PostgreSQL features";
// PostgreSQL, "System Columns").
var systemNames = []string{"oid", "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}

func (s Schema) checkTable(maxName int) error {
	parts := strings.Split(s.Table, ".")
	for _, part := range parts {
		switch {
		case part == "" || len(parts) > 2:
			return fmt.Errorf("%w: table %q: want a name, or schema.name", ErrInvalid, s.Table)
		case strings.ContainsAny(part, "\"\x00") || !utf8.ValidString(part):
			return fmt.Errorf("%w: table %q: a name cannot have quotes, and must be UTF-8", ErrInvalid, s.Table)
		case len(part) > maxName:
			return fmt.Errorf("%w: table %q has %d bytes: at most %d are allowed", ErrInvalid, part, len(part), maxName)
		}
	}
	return nil
}

// add adds the columns of properties at path.
func (s Schema) add(columns *[]Column, path []string, properties []SchemaProperty) error {
	for _, p := range properties {
		at := append(slices.Clone(path), p.Name)
		bad := func(format string, args ...any) error {
			return fmt.Errorf("%w: table %s: property %s: %s", ErrInvalid, s.Table, JSONPath(at), fmt.Sprintf(format, args...))
		}
		switch {
		case p.Name == "":
			return bad("it has no name")
		case !utf8.ValidString(p.Name):
			return bad("its name is not UTF-8")
		case p.Type == "" && len(p.Children) == 0:
			return bad("it has neither a type nor properties")
		case p.Type != "" && len(p.Children) > 0:
			return bad("it has a type and properties: it can only have one of them")
		case p.Type == "" && p.Column != "":
			return bad("an object has no column of its own: name those of its properties")
		case strings.ContainsAny(p.Column, "\"\x00") || !utf8.ValidString(p.Column):
			return bad("column %q: a name cannot have quotes, and must be UTF-8", p.Column)
		}
		if p.Type == "" {
			if err := s.add(columns, at, p.Children); err != nil {
				return err
			}
			continue
		}
		t, err := ParseType(p.Type)
		if err != nil {
			return fmt.Errorf("table %s: property %s: %w", s.Table, JSONPath(at), err)
		}
		name := p.Column
		if name == "" {
			name = strings.ReplaceAll(strings.Join(at, "_"), `"`, "_")
		}
		*columns = append(*columns, Column{Name: name, Path: at, Type: t})
	}
	return nil
}

// cutName returns the first characters of a name that have at most so many
// bytes.
func cutName(name string, most int) string {
	for len(name) > most {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name
}

// JSONPath returns the path in bracket form, $['a']['b.c'], the only form in
// which a key may have dots (Redshift Database Developer Guide, "COPY from JSON
// format"). Quotes and backslashes in a key are escaped as JavaScript does,
// which Redshift does not document: JSONPaths refuses them.
func JSONPath(path []string) string {
	var b strings.Builder
	b.WriteByte('$')
	for _, key := range path {
		b.WriteString("['")
		b.WriteString(strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(key))
		b.WriteString("']")
	}
	return b.String()
}

// JSONPaths returns the JSONPaths file of columns, in their order:
// {"jsonpaths":["$['a']['b']"]}. The error wraps ErrInvalid if a key has a
// quote or a backslash, for which Redshift documents no escape.
func JSONPaths(columns []Column) ([]byte, error) {
	paths := struct {
		Paths []string `json:"jsonpaths"`
	}{make([]string, len(columns))}
	for i, c := range columns {
		for _, key := range c.Path {
			if strings.ContainsAny(key, `'\`) {
				return nil, fmt.Errorf("%w: column %s: key %q has a quote or a backslash, which a JSONPath of Redshift cannot name: rename the property, or load it by Sync, which reads it here", ErrInvalid, c.Name, key)
			}
		}
		paths.Paths[i] = JSONPath(c.Path)
	}
	b, err := json.Marshal(paths)
	if err != nil {
		return nil, fmt.Errorf("write JSONPaths: %w", err)
	}
	return b, nil
}
