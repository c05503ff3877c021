package decode

import "time"

// A class is what inference needs to know of a value.
type class struct {
	form form
	// ints and fracs are a number's digits before and after the point, 39
	// standing for more than 38. They are counted for huge and fraction, and
	// the most that there can be for small and long.
	ints, fracs uint8
	exact       bool // of a fraction: number.exact
}

// A form is the coarse part of a class.
type form uint8

// The forms, in the order in which a set of classes is sorted.
const (
	boolean  form = iota + 1
	small         // an integer that every double has, up to 2^53
	long          // another integer in int64's range
	huge          // an integer beyond
	fraction      // a number spelled with a point or an exponent
	date          // yyyy-MM-dd
	moment        // what inferTime takes beside that
	text          // any other string
	whole         // an array, or an object too deep to have columns
)

// manyDigits stands for more than the 38 that a DECIMAL has.
const manyDigits = 39

// classify returns the class of a valid JSON value other than null.
func classify(value []byte) class {
	switch value[0] {
	case 't', 'f':
		return class{form: boolean}
	case '{', '[':
		return class{form: whole}
	case '"':
		inside := unescape(nil, value[1:len(value)-1])
		t, bad := parseTime(inside)
		switch {
		case bad != "" || t.nano%1000 != 0 || !inferable(inside):
			return class{form: text}
		case len(inside) == len(time.DateOnly):
			return class{form: date}
		}
		return class{form: moment}
	}
	return classifyNumber(value)
}

func classifyNumber(value []byte) class {
	n := parseNumber(value)
	ints, fracs := uint8(min(n.integers(), manyDigits)), uint8(min(n.fractions(), manyDigits))
	if !n.whole {
		return class{form: fraction, ints: ints, fracs: fracs, exact: n.exact(value)}
	}
	v, ok := n.int64()
	switch {
	case !ok:
		return class{form: huge, ints: ints}
	case -maxExact <= v && v <= maxExact:
		return class{form: small, ints: 16}
	}
	return class{form: long, ints: 19}
}

// isNumber says whether the class is of numbers.
func (c class) isNumber() bool { return small <= c.form && c.form <= fraction }

// fitsDouble says whether an inferred DOUBLE shows the value as it was sent.
func (c class) fitsDouble() bool { return c.form == small || c.form == fraction && c.exact }

// free says whether an inferred DECIMAL can have the value and still widen.
func (c class) free() bool { return c.ints <= inferredIntegers && c.fracs <= maxInferredScale }

// rank orders a set of classes: those first that leave the most room for the
// others.
func (c class) rank() int {
	rank := int(c.form)<<17 | int(c.fracs)<<9 | int(c.ints)<<1
	if !c.free() {
		rank |= 1 << 24
	}
	if !c.exact {
		rank |= 1
	}
	return rank
}
