// Package model derives tables from other tables: models, each one SELECT in a
// file of its own, which it builds in the order that they need each other.
//
// A model is a view, a table that is made anew when what it is made from has
// changed, or incremental: of a table that has a column of event time only those
// hours (or days) are made again that the journal says were touched since the
// last build, however late the events were.
//
// It stores, in schema arbalest of the warehouse: models (of each the
// fingerprint of its SQL, how far it is built and what became of the last try),
// model_sources (up to where in the journal, or at which build, each of its
// sources was read) and model_hours (which hours a build made again, for the
// models that read that one). The commit point of a build is one transaction of
// the warehouse, which has the model's rows and these.
package model

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"arbalest"
)

// A Kind is what a model becomes in the warehouse.
type Kind string

// The kinds, as they are spelled behind "materialized:". A view is the default.
const (
	View        Kind = "view"
	Table       Kind = "table"
	Incremental Kind = "incremental"
)

// A Model is a file: a header of comment lines, and one SELECT.
type Model struct {
	Name        string // of the file, without .sql
	File        string
	Kind        Kind
	Key         []string // the columns that tell its rows apart
	Partition   string   // the column of its result that has the event time
	ByDay       bool     // whole days are made again, not hours
	Description string
	Tests       []Test
	Lookup      []string // sources that rows of any hour depend on
	SQL         string

	declared  []Ref // by "depends:"
	refs      []Ref // the tables that it reads
	sqlLine   int   // of SQL in the file
	partition int   // line of the header
	err       error // what is wrong with it
}

// A Ref is a table that a model reads.
type Ref struct {
	// Name is lower-case, and has a schema ("raw.users") if that is not where
	// events' tables are.
	Name string
	Line int
}

// suffix is of the table that a build makes beside the one that is there.
const suffix = "__next"

// maxName is how long a model's name may be, in bytes: PostgreSQL's limit with
// the suffix.
const maxName = 63 - len(suffix)

var validName = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// at makes an error one of a line of the file.
func (m *Model) at(line int, err error) error {
	return fmt.Errorf("%s:%d: %w", m.File, line, err)
}

func (m *Model) bad(line int, format string, args ...any) error {
	return m.at(line, fmt.Errorf("%w: "+format, append([]any{arbalest.ErrInvalid}, args...)...))
}

// fingerprint tells apart definitions that make other rows.
func (m *Model) fingerprint() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", []any{m.Kind, m.Partition, m.ByDay, m.Lookup, m.SQL}))
	return hex.EncodeToString(sum[:16])
}

// Sources returns the names of the tables that the model reads. They are known
// once its Set was resolved.
func (m *Model) Sources() []string {
	names := make([]string, len(m.refs))
	for i, r := range m.refs {
		names[i] = r.Name
	}
	return names
}

// Err says what is wrong with the model itself.
func (m *Model) Err() error { return m.err }

// isLookup says that a source is one that rows of any hour depend on.
func (m *Model) isLookup(source string) bool {
	for _, l := range m.Lookup {
		if strings.EqualFold(l, source) {
			return true
		}
	}
	return false
}
