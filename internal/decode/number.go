package decode

import (
	"bytes"
	"math/bits"
	"strconv"
)

// A number is the text of a JSON number, taken apart without rounding. Its
// value is 0.DDD × 10^point, where DDD are the digits of significant.
type number struct {
	negative    bool
	whole       bool   // spelled without point and exponent
	significant []byte // from the first to the last digit that is not 0; the point may be between
	count       int    // of significant's digits; 0 for zero
	point       int64
}

// maxExponent is where exponents are cut off. No text is long enough for its
// digits to make up for more.
const maxExponent = 1 << 40

// isNumber says whether s is a JSON number and nothing else.
func isNumber(s []byte) bool {
	if len(s) == 0 || s[0] != '-' && s[0]-'0' > 9 {
		return false
	}
	scan := scanner{src: s}
	return scan.number(0) == len(s)
}

// parseNumber takes apart text, which must be a JSON number.
func parseNumber(text []byte) number {
	var n number
	if text[0] == '-' {
		n.negative = true
		text = text[1:]
	}
	mantissa := text
	exponent := int64(0)
	for i, c := range text {
		if c|0x20 == 'e' {
			mantissa, exponent = text[:i], parseExponent(text[i+1:])
			break
		}
	}
	dot := bytes.IndexByte(mantissa, '.')
	n.whole = dot < 0 && len(mantissa) == len(text)
	if dot < 0 {
		dot = len(mantissa)
	}
	first := 0
	for first < len(mantissa) && (mantissa[first] == '0' || mantissa[first] == '.') {
		first++
	}
	if first == len(mantissa) {
		return n
	}
	last := len(mantissa) - 1
	for mantissa[last] == '0' || mantissa[last] == '.' {
		last--
	}
	n.significant = mantissa[first : last+1]
	n.count = len(n.significant)
	if first < dot && dot < last {
		n.count--
	}
	n.point = int64(dot-first) + exponent
	if first > dot {
		n.point++
	}
	return n
}

func parseExponent(s []byte) int64 {
	e, _ := strconv.ParseInt(string(s), 10, 64) // out of range it is the nearest
	return max(min(e, maxExponent), -maxExponent)
}

// integers returns how many digits the number has before its point.
func (n number) integers() int64 { return max(n.point, 0) }

// fractions returns how many digits the number has after its point, without
// zeros at the end.
func (n number) fractions() int64 { return max(int64(n.count)-n.point, 0) }

// unscaled returns the number times 10^scale. It must have no more than scale
// fractional digits, nor 38 with those before the point.
func (n number) unscaled(scale int) Int128 {
	var v Int128
	part, size := uint64(0), 0
	add := func(digit uint64) {
		part = part*10 + digit
		if size++; size == 19 {
			v = v.timesPlus(powers[19], part)
			part, size = 0, 0
		}
	}
	for _, c := range n.significant {
		if c != '.' {
			add(uint64(c - '0'))
		}
	}
	if n.count > 0 {
		for range n.point - int64(n.count) + int64(scale) {
			add(0)
		}
	}
	v = v.timesPlus(powers[size], part)
	if n.negative {
		return v.negated()
	}
	return v
}

// powers are those of ten.
var powers = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19}

// timesPlus returns v*m + a, for a v that is not negative.
func (v Int128) timesPlus(m, a uint64) Int128 {
	hi, lo := bits.Mul64(v.Lo, m)
	lo, carry := bits.Add64(lo, a, 0)
	return Int128{Lo: lo, Hi: int64(uint64(v.Hi)*m + hi + carry)}
}

func (v Int128) negated() Int128 {
	lo, borrow := bits.Sub64(0, v.Lo, 0)
	hi, _ := bits.Sub64(0, uint64(v.Hi), borrow)
	return Int128{Lo: lo, Hi: int64(hi)}
}

// int64 returns the number if it is integral and in int64's range.
func (n number) int64() (v int64, ok bool) {
	if n.fractions() != 0 || n.integers() > 19 {
		return 0, false
	}
	w := n.unscaled(0)
	return int64(w.Lo), w.Hi == int64(w.Lo)>>63
}

// parseInt reads a JSON number that is integral, however spelled, and in
// int64's range.
func parseInt(text []byte) (v int64, ok bool) {
	s := text
	if s[0] == '-' {
		s = s[1:]
	}
	if len(s) > 18 {
		return parseNumber(text).int64()
	}
	for _, c := range s {
		if c -= '0'; c > 9 {
			return parseNumber(text).int64()
		}
		v = v*10 + int64(c)
	}
	if len(s) != len(text) {
		v = -v
	}
	return v, true
}

// parseDecimal reads a JSON number as a DECIMAL's unscaled value, if it has no
// more digits before and after its point than given.
func parseDecimal(text []byte, integers, scale int) (v Int128, ok bool) {
	if v, ok := shortDecimal(text, integers, scale); ok {
		return Int128{Lo: uint64(v), Hi: v >> 63}, true
	}
	n := parseNumber(text)
	if n.integers() > int64(integers) || n.fractions() > int64(scale) {
		return v, false
	}
	return n.unscaled(scale), true
}

// maxShort is how many digits any int64 has room for.
const maxShort = 18

// shortDecimal is parseDecimal for a number without exponent whose value is
// small; it is not ok where it cannot tell.
func shortDecimal(text []byte, integers, scale int) (v int64, ok bool) {
	s := text
	if s[0] == '-' {
		s = s[1:]
	}
	if len(s) > maxShort || scale > maxShort {
		return 0, false
	}
	whole, fractions := len(s), 0
	for i, c := range s {
		if c -= '0'; c <= 9 {
			v = v*10 + int64(c)
			continue
		}
		if s[i] != '.' || whole < len(s) {
			return 0, false
		}
		whole, fractions = i, len(s)-i-1
	}
	if whole > integers || fractions > scale || whole+scale > maxShort {
		return 0, false
	}
	v *= int64(powers[scale-fractions])
	if len(s) < len(text) {
		v = -v
	}
	return v, true
}

// surelyExact is how many significant digits every double keeps (DBL_DIG of
// C's float.h), in the range of the normal ones.
const surelyExact = 15

// exact says whether the number is the shortest decimal that reads back as the
// same double, so that a DOUBLE column shows what was sent.
func (n number) exact(text []byte) bool {
	if n.count <= surelyExact && n.point > -300 && n.point < 300 {
		return true
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return false
	}
	var room [32]byte
	m := parseNumber(strconv.AppendFloat(room[:0], f, 'e', -1, 64))
	point := []byte{'.'}
	return m.point == n.point && bytes.Equal(bytes.ReplaceAll(m.significant, point, nil), bytes.ReplaceAll(n.significant, point, nil))
}
