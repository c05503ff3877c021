package warehouse

import "context"

// A ValueKind says how a value is written where text has types, as in JSON.
type ValueKind uint8

// The kinds of values.
const (
	TextValue    ValueKind = iota // a string: all that is none of the others
	NumberValue                   // a number; of floating point also inf, -inf and nan
	BooleanValue                  // true or false
	JSONValue                     // JSON text: JSON itself, and what else has parts
)

// A ResultColumn is one of a query's result.
type ResultColumn struct {
	Name string
	Type string // as the database spells it
	Kind ValueKind
}

// A Value is one value of a row. Numbers have all their digits, floating point
// the fewest that read back, with ".0" where it is whole; JSON is byte for byte
// what is stored; times are "2026-08-21 14:53:52.5", with "+00" where they are
// with time zone (UTC).
type Value struct {
	Text string
	Null bool
}

// A Sink takes a query's result: first its columns, once, then its rows. The
// slices are good during the call only.
type Sink interface {
	Columns([]ResultColumn) error
	Row([]Value) error
}

// An Asker is a Database that users' own queries can be sent to.
type Asker interface {
	// Ask runs one statement that reads and gives its result. Nothing that it
	// does changes anything. The error of a statement that is wrong wraps
	// arbalest.ErrInvalid, or arbalest.ErrUnknown where a table does not exist,
	// and has the database's own message. An error of to is returned as it is.
	Ask(ctx context.Context, sql string, to Sink) error
}
