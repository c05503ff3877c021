package duckdb

import (
	"fmt"

	"arbalest"
)

// sqlType returns a type as DuckDB spells it.
func sqlType(t arbalest.Type) string {
	switch t.Kind {
	case arbalest.Real:
		return "FLOAT"
	case arbalest.Double:
		return "DOUBLE"
	case arbalest.Char, arbalest.Varchar:
		return "VARCHAR" // DuckDB has no lengths
	case 0:
		return "of a type that no definition has"
	}
	return t.String()
}

// stored returns what remains of a type in DuckDB, so that types that are the
// same there are equal.
func stored(t arbalest.Type) arbalest.Type {
	switch t.Kind {
	case arbalest.Char, arbalest.Varchar:
		return arbalest.Type{Kind: arbalest.Varchar}
	case arbalest.Decimal:
		return arbalest.Type{Kind: arbalest.Decimal, Precision: t.Precision, Scale: t.Scale}
	}
	return arbalest.Type{Kind: t.Kind}
}

// parseType reads a type as DuckDB spells it; the zero Type if no definition
// has such.
func parseType(s string) arbalest.Type {
	if s == "FLOAT" {
		return arbalest.Type{Kind: arbalest.Real}
	}
	t, err := arbalest.ParseType(s)
	if err != nil {
		return arbalest.Type{}
	}
	return stored(t)
}

// integerDigits returns how many digits the integers of a kind have; zero for
// kinds that are not integers.
func integerDigits(k arbalest.Kind) int {
	switch k {
	case arbalest.SmallInt:
		return 5
	case arbalest.Integer:
		return 10
	case arbalest.BigInt:
		return 19
	}
	return 0
}

// widest returns the narrowest type that holds every value of both, where it
// is the same value: integers widen to wider ones, to DECIMAL and to floating
// point (isInexact says what must be looked at), REAL to DOUBLE, DECIMAL to
// more digits before and behind the point, DATE to TIMESTAMP and both to
// TIMESTAMPTZ, in UTC. The error wraps arbalest.ErrInvalid if there is none.
func widest(a, b arbalest.Type) (arbalest.Type, error) {
	// The kinds are numbered so that of two that go together the wider is later.
	if a.Kind > b.Kind {
		a, b = b, a
	}
	da, db := integerDigits(a.Kind), integerDigits(b.Kind)
	switch {
	case a == b:
		return a, nil
	case a.Kind == 0 || b.Kind == 0:
	case da > 0 && db > 0, a.Kind == arbalest.Real && b.Kind == arbalest.Double:
		return b, nil
	case da > 0 && (b.Kind == arbalest.Real || b.Kind == arbalest.Double):
		return b, nil
	case da > 0 && b.Kind == arbalest.Decimal:
		return widestDecimal(arbalest.Type{Kind: arbalest.Decimal, Precision: da}, b)
	case a.Kind == arbalest.Decimal && b.Kind == arbalest.Decimal:
		return widestDecimal(a, b)
	case a.Kind == arbalest.Date && (b.Kind == arbalest.Timestamp || b.Kind == arbalest.TimestampTZ), a.Kind == arbalest.Timestamp && b.Kind == arbalest.TimestampTZ:
		return b, nil
	}
	return arbalest.Type{}, fmt.Errorf("%w: no type holds the values of both", arbalest.ErrInvalid)
}

// widestDecimal makes room before and behind the point, as far as 38 digits go.
// Values that need more fail the ALTER or the INSERT, and lose nothing: inferred
// DECIMALs of 38 digits have far fewer before the point (decode.Evolve).
func widestDecimal(a, b arbalest.Type) (arbalest.Type, error) {
	scale := max(a.Scale, b.Scale)
	precision := min(38, max(a.Precision-a.Scale, b.Precision-b.Scale)+scale)
	return arbalest.Type{Kind: arbalest.Decimal, Precision: precision, Scale: scale}, nil
}

// isInexact says whether type to may not hold every value of type from exactly,
// although widest gave it.
func isInexact(from, to arbalest.Type) bool {
	switch {
	case to.Kind == arbalest.Double:
		return from.Kind == arbalest.BigInt
	case to.Kind == arbalest.Real:
		return from.Kind == arbalest.BigInt || from.Kind == arbalest.Integer
	}
	return false
}
