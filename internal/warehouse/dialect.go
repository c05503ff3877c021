package warehouse

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"arbalest"
)

// A Dialect is how a database spells things.
type Dialect struct {
	// Name is duckdb, postgres or redshift.
	Name string
	// MaxName is how many bytes a name of a table or column may have.
	MaxName int
	// Type spells a column's type. No two of DECIMAL's parameters are lost.
	Type func(arbalest.Type) string
	// Unfit says why a text (the value of a CHAR, VARCHAR or JSON column) cannot
	// be had in this database, though it is valid for its type; empty if it can.
	// Nil is never.
	Unfit func(kind arbalest.Kind, text []byte) string
	// MaxRow is how many bytes the values of a row may take, where a text takes
	// its length, at most 25, as long ones are kept elsewhere. Zero is any number.
	MaxRow int
	// Events returns the statements that make an event's table of columns as
	// Define spells them, so that finding the rows of an hour of event_time reads
	// little else. Nil is CREATE TABLE.
	Events func(table, columns string) []string
	// Lookup returns the query of the rows of a table (anything for FROM that has
	// event_id, event_time and event_hash) that rows of a stage repeat,
	// for stages of few rows: one that looks each up, where the other (a join
	// with all rows of their hours) would read what is there. Columns are those
	// of a Twin: row_place, event_hash, event_time. receipts says that rows have
	// by_receipt. Nil is the other.
	Lookup func(table, stage string, receipts bool) string
	// Retype returns the statements that make a column, in place, one of a type
	// that holds all its values. Nil is by way of a new column, which is then the
	// table's last. table and column are spelled as in SQL.
	Retype func(table, column string, to arbalest.Type) []string
}

// Ident quotes a name for SQL.
func Ident(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// Qualified quotes a schema's and a table's name.
func Qualified(schema, table string) string { return Ident(schema) + "." + Ident(table) }

// Cut returns the name that is used for name: itself if it is short enough, else
// its beginning with a hash of the whole at its end, so that names which differ
// still do.
func (d Dialect) Cut(name string) string {
	if len(name) <= d.MaxName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	suffix := "_" + hex.EncodeToString(sum[:4])
	head := name[:d.MaxName-len(suffix)]
	for !utf8.ValidString(head) {
		head = head[:len(head)-1]
	}
	return head + suffix
}

// Define spells the columns of a CREATE TABLE.
func (d Dialect) Define(columns []arbalest.Column) string {
	defs := make([]string, len(columns))
	for i, c := range columns {
		defs[i] = Ident(d.Cut(c.Name)) + " " + d.Type(c.Type)
	}
	return strings.Join(defs, ", ")
}

// Names spells a list of columns.
func (d Dialect) Names(columns []arbalest.Column) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = Ident(d.Cut(c.Name))
	}
	return strings.Join(names, ", ")
}

func (e *CopyError) Error() string {
	s := fmt.Sprintf("%d rows are wrong, and fewer than %d may be", e.Errors, max(e.MaxErrors, 1))
	for i, r := range e.Reports {
		if i == 3 {
			s += "; …"
			break
		}
		s += fmt.Sprintf("; %s line %d", r.Object, r.Line)
		if r.Column != "" {
			s += ", column " + r.Column
		}
		s += ": " + r.Reason
	}
	return s
}

// Unwrap makes a CopyError an arbalest.ErrInvalid.
func (e *CopyError) Unwrap() error { return arbalest.ErrInvalid }
