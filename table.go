package arbalest

import (
	"fmt"
	"strconv"
	"strings"
)

// A Kind is a type without its parameters.
type Kind uint8

// The kinds of columns. They are Redshift's, so that one definition serves
// every warehouse; JSON is Redshift's SUPER.
const (
	Boolean Kind = iota + 1
	SmallInt
	Integer
	BigInt
	Decimal
	Real
	Double
	Char
	Varchar
	Date
	Timestamp   // without zone; offsets are applied, so it is UTC
	TimestampTZ // an instant
	JSON
)

var kindNames = [...]string{
	Boolean: "BOOLEAN", SmallInt: "SMALLINT", Integer: "INTEGER", BigInt: "BIGINT", Decimal: "DECIMAL",
	Real: "REAL", Double: "DOUBLE PRECISION", Char: "CHAR", Varchar: "VARCHAR", Date: "DATE",
	Timestamp: "TIMESTAMP", TimestampTZ: "TIMESTAMPTZ", JSON: "JSON",
}

// String returns the kind's canonical SQL name.
func (k Kind) String() string {
	if int(k) < len(kindNames) && k != 0 {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// A Type is the type of a column.
type Type struct {
	Kind Kind
	// Length is the most bytes of UTF-8 that a CHAR or VARCHAR may have; zero
	// is as long as the warehouse allows, spelled VARCHAR(MAX).
	Length int
	// Precision (1 to 38) and Scale (0 to Precision) are those of a DECIMAL.
	Precision, Scale int
}

// String returns the type as SQL spells it; ParseType reads it back.
func (t Type) String() string {
	switch t.Kind {
	case Decimal:
		return fmt.Sprintf("DECIMAL(%d,%d)", t.Precision, t.Scale)
	case Char, Varchar:
		if t.Length == 0 {
			return t.Kind.String() + "(MAX)"
		}
		return fmt.Sprintf("%s(%d)", t.Kind, t.Length)
	}
	return t.Kind.String()
}

// MarshalText spells a type in definitions as String does.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (t *Type) UnmarshalText(b []byte) (err error) {
	*t, err = ParseType(string(b))
	return err
}

// typeNames maps every accepted spelling to its kind, after Redshift's table
// of data types and synonyms (Database Developer Guide, "Data types").
var typeNames = map[string]Kind{
	"BOOLEAN": Boolean, "BOOL": Boolean,
	"SMALLINT": SmallInt, "INT2": SmallInt,
	"INTEGER": Integer, "INT": Integer, "INT4": Integer,
	"BIGINT": BigInt, "INT8": BigInt,
	"DECIMAL": Decimal, "NUMERIC": Decimal,
	"REAL": Real, "FLOAT4": Real,
	"DOUBLE PRECISION": Double, "DOUBLE": Double, "FLOAT8": Double, "FLOAT": Double,
	"CHAR": Char, "CHARACTER": Char, "NCHAR": Char, "BPCHAR": Char,
	"VARCHAR": Varchar, "CHARACTER VARYING": Varchar, "NVARCHAR": Varchar, "TEXT": Varchar,
	"DATE":      Date,
	"TIMESTAMP": Timestamp, "TIMESTAMP WITHOUT TIME ZONE": Timestamp,
	"TIMESTAMPTZ": TimestampTZ, "TIMESTAMP WITH TIME ZONE": TimestampTZ,
	"JSON": JSON, "SUPER": JSON,
}

// Redshift's limits: CHAR and VARCHAR in bytes, DECIMAL in digits.
const (
	maxChar      = 4096
	maxVarchar   = 65535
	maxPrecision = 38
	maxScale     = 37
)

// ParseType reads a type as Redshift spells it, in any case, with its
// synonyms. As there, VARCHAR without a length is VARCHAR(256), CHAR is
// CHAR(1), BPCHAR is CHAR(256) and DECIMAL is DECIMAL(18,0); TEXT alone is
// kept whole, as VARCHAR(MAX). The error wraps ErrInvalid.
func ParseType(s string) (Type, error) {
	name, args, hasArgs := strings.Cut(strings.ToUpper(strings.TrimSpace(s)), "(")
	name = strings.Join(strings.Fields(name), " ")
	kind, ok := typeNames[name]
	if !ok {
		return Type{}, fmt.Errorf("%w: unknown type %q: use one of BOOLEAN, SMALLINT, INTEGER, BIGINT, DECIMAL(p,s), REAL, DOUBLE PRECISION, CHAR(n), VARCHAR(n), DATE, TIMESTAMP, TIMESTAMPTZ, JSON", ErrInvalid, s)
	}
	t := Type{Kind: kind}
	switch {
	case kind == Decimal:
		t.Precision = 18
	case name == "BPCHAR":
		t.Length = 256
	case kind == Char:
		t.Length = 1
	case kind == Varchar && name != "TEXT":
		t.Length = 256
	}
	if !hasArgs {
		return t, nil
	}
	args, ok = strings.CutSuffix(strings.TrimSpace(args), ")")
	if !ok {
		return Type{}, fmt.Errorf("%w: type %q lacks its closing parenthesis", ErrInvalid, s)
	}
	return t.withArgs(s, strings.Split(args, ","))
}

func (t Type) withArgs(s string, args []string) (Type, error) {
	bad := func(want string) (Type, error) {
		return Type{}, fmt.Errorf("%w: type %q: want %s", ErrInvalid, s, want)
	}
	var n [2]int
	for i, a := range args {
		a = strings.TrimSpace(a)
		v, err := strconv.Atoi(a)
		switch {
		case i > 1:
			return bad("at most two numbers")
		case a == "MAX" && (t.Kind == Varchar || t.Kind == Char) && len(args) == 1:
			t.Length = 0
			return t, nil
		case err != nil || v < 0:
			return bad("whole numbers between the parentheses")
		}
		n[i] = v
	}
	switch t.Kind {
	case Decimal:
		if n[0] < 1 || n[0] > maxPrecision || n[1] > n[0] || n[1] > maxScale {
			return bad("DECIMAL(precision 1 to 38, scale 0 to the precision, at most 37)")
		}
		t.Precision, t.Scale = n[0], n[1]
	case Char:
		if len(args) != 1 || n[0] < 1 || n[0] > maxChar {
			return bad("CHAR(1 to 4096) or CHAR(MAX)")
		}
		t.Length = n[0]
	case Varchar:
		if len(args) != 1 || n[0] < 1 || n[0] > maxVarchar {
			return bad("VARCHAR(1 to 65535) or VARCHAR(MAX)")
		}
		t.Length = n[0]
	default:
		return bad("no parentheses")
	}
	return t, nil
}

// A Column is one typed column of a table.
type Column struct {
	Name string   `json:"name"` // lower case
	Path []string `json:"path"` // of the property, outermost first
	Type Type     `json:"type"`
	// Wide says of an inferred BIGINT that it has held an integer that a double
	// cannot (beyond 2^53 in magnitude), so that fractions widen it to DECIMAL.
	Wide bool `json:"wide,omitempty"`
	// Declared says of a column of a table that was not declared that it was: it is
	// the user's, and others are inferred beside it.
	Declared bool `json:"declared,omitempty"`
}

// A Table maps an event's properties to typed columns. Before Columns every
// table has the columns of SystemColumns; after them, where it was not
// declared, PropertiesColumn.
type Table struct {
	Name     string    `json:"table"`
	Event    EventName `json:"event"`
	Declared bool      `json:"declared,omitempty"` // columns are the user's; none is inferred
	Version  int       `json:"version"`            // of the definition in the store; 0 is not stored
	Columns  []Column  `json:"columns"`
}

// SystemColumns are the first columns of every table. event_time and
// received_at are UTC in microseconds, event_hash is Event.Hash in 16
// hexadecimal digits.
var SystemColumns = [...]Column{
	{Name: "event_id", Type: Type{Kind: Varchar, Length: MaxEventID}},
	{Name: "event_time", Type: Type{Kind: Timestamp}},
	{Name: "received_at", Type: Type{Kind: Timestamp}},
	{Name: "event_hash", Type: Type{Kind: Char, Length: 16}},
}

// PropertiesColumn is the last column of a table that was not declared: the
// event's properties whole, as stored.
var PropertiesColumn = Column{Name: "properties", Type: Type{Kind: JSON}}

// AllColumns returns the table's columns as the warehouse has them.
func (t Table) AllColumns() []Column {
	all := append(append(make([]Column, 0, len(SystemColumns)+len(t.Columns)+1), SystemColumns[:]...), t.Columns...)
	if !t.Declared {
		all = append(all, PropertiesColumn)
	}
	return all
}
