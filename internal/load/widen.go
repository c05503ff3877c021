package load

import (
	"fmt"

	"arbalest"
	"arbalest/internal/decode"
)

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

// Widest returns the narrowest type that holds every value of both, where it
// is the same value: integers widen to wider ones, to DECIMAL and to floating
// point (IsInexact says what must be looked at), REAL to DOUBLE, DECIMAL to
// more digits before and behind the point, DATE to TIMESTAMP and both to
// TIMESTAMPTZ, in UTC, CHAR and VARCHAR to longer ones. The error wraps arbalest.ErrInvalid if there is none.
func Widest(a, b arbalest.Type) (arbalest.Type, error) {
	// The kinds are numbered so that of two that go together the wider is later.
	if a.Kind > b.Kind {
		a, b = b, a
	}
	da, db := integerDigits(a.Kind), integerDigits(b.Kind)
	switch {
	case a == b:
		return a, nil
	case a.Kind == 0 || b.Kind == 0:
	case isText(a) && isText(b):
		return widestText(a, b), nil
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

func isText(t arbalest.Type) bool { return t.Kind == arbalest.Char || t.Kind == arbalest.Varchar }

// widestText returns the longer of two types, of which b's kind is not before
// a's.
func widestText(a, b arbalest.Type) arbalest.Type {
	if a.Length == 0 || b.Length == 0 {
		return arbalest.Type{Kind: b.Kind}
	}
	return arbalest.Type{Kind: b.Kind, Length: max(a.Length, b.Length)}
}

// widestDecimal makes room before and behind the point, as far as 38 digits go.
// Values that need more fail the ALTER or the INSERT, and lose nothing: inferred
// DECIMALs of 38 digits have far fewer before the point (decode.Evolve).
func widestDecimal(a, b arbalest.Type) (arbalest.Type, error) {
	scale := max(a.Scale, b.Scale)
	precision := min(38, max(a.Precision-a.Scale, b.Precision-b.Scale)+scale)
	return arbalest.Type{Kind: arbalest.Decimal, Precision: precision, Scale: scale}, nil
}

// IsInexact says whether type to may not hold every value of type from exactly,
// although Widest gave it.
func IsInexact(from, to arbalest.Type) bool {
	switch {
	case to.Kind == arbalest.Double:
		return from.Kind == arbalest.BigInt
	case to.Kind == arbalest.Real:
		return from.Kind == arbalest.BigInt || from.Kind == arbalest.Integer
	}
	return false
}

// IsExact says whether a floating-point type holds all of a vector's integers.
func IsExact(v *decode.Vector, in arbalest.Type) bool {
	for row, n := range v.Int64 {
		if !HoldsInteger(in, n) && (v.Nulls == 0 || IsSet(v.Valid, row, true)) {
			return false
		}
	}
	for row, n := range v.Int32 {
		if !HoldsInteger(in, int64(n)) && (v.Nulls == 0 || IsSet(v.Valid, row, true)) {
			return false
		}
	}
	return true
}

// HoldsInteger says whether a floating-point type holds an integer. What is near
// the ends of 64 bits is taken not to be held.
func HoldsInteger(in arbalest.Type, n int64) bool {
	if n>>62 != n>>63 {
		return false
	}
	if in.Kind == arbalest.Real {
		return int64(float32(n)) == n
	}
	return int64(float64(n)) == n
}
