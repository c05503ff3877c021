package redshift

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"time"

	"arbalest"
	"arbalest/internal/decode"
)

const (
	// exactIntegers is up to what magnitude every integer is a double: COPY may
	// take JSON's numbers through one (Developer Guide, "COPY from JSON format",
	// "Loss of numeric precision").
	exactIntegers = 1 << 53
	// The years that a date is written in four digits of.
	minYear, maxYear = 1, 9999
)

// member is the name in a staged row of column i. Names of our own need no
// escapes in JSONPaths.
func member(i int) string { return "c" + strconv.Itoa(i) }

// appendRow appends a row of a page as a JSON object. NULL is a member that is
// not there ("COPY from JSON format": it loads as NULL).
func appendRow(dst []byte, columns []decode.Vector, row int) ([]byte, error) {
	dst = append(dst, '{')
	first := true
	for i := range columns {
		v := &columns[i]
		if v.Nulls > 0 && v.Valid[row>>3]>>(row&7)&1 == 0 {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, `"c`...)
		dst = strconv.AppendInt(dst, int64(i), 10)
		dst = append(dst, `":`...)
		var err error
		if dst, err = appendValue(dst, v, row); err != nil {
			return dst, fmt.Errorf("column %d: %w", i+1, err)
		}
	}
	return append(dst, "}\n"...), nil
}

// appendValue appends a value that is not NULL. Decimals, and integers that a
// double may not hold, are strings, as the documentation advises. A REAL is
// spelled as the double that it is.
func appendValue(dst []byte, v *decode.Vector, row int) ([]byte, error) {
	switch v.Type.Kind {
	case arbalest.Boolean:
		return strconv.AppendBool(dst, v.Bits[row>>3]>>(row&7)&1 == 1), nil
	case arbalest.SmallInt:
		return strconv.AppendInt(dst, int64(v.Int16[row]), 10), nil
	case arbalest.Integer:
		return strconv.AppendInt(dst, int64(v.Int32[row]), 10), nil
	case arbalest.BigInt:
		n := v.Int64[row]
		if -exactIntegers <= n && n <= exactIntegers {
			return strconv.AppendInt(dst, n, 10), nil
		}
		return append(strconv.AppendInt(append(dst, '"'), n, 10), '"'), nil
	case arbalest.Decimal:
		return append(appendDecimal(append(dst, '"'), v.Int128[row], v.Type.Scale), '"'), nil
	case arbalest.Real:
		return appendFloat(dst, float64(v.Float32[row]))
	case arbalest.Double:
		return appendFloat(dst, v.Float64[row])
	case arbalest.Date:
		return appendTime(dst, time.Unix(int64(v.Int32[row])*86400, 0), time.DateOnly)
	case arbalest.Timestamp:
		return appendTime(dst, time.UnixMicro(v.Int64[row]), "2006-01-02 15:04:05.000000")
	case arbalest.TimestampTZ:
		return appendTime(dst, time.UnixMicro(v.Int64[row]), "2006-01-02 15:04:05.000000-07")
	}
	text := v.Data[v.Offsets[row]:v.Offsets[row+1]]
	if reason := unfit(v.Type.Kind, text); reason != "" {
		return dst, fmt.Errorf("%w: a value %s", arbalest.ErrInvalid, reason)
	}
	if v.Type.Kind == arbalest.JSON {
		return append(dst, text...), nil
	}
	return arbalest.AppendString(dst, string(text)), nil
}

func appendFloat(dst []byte, f float64) ([]byte, error) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return dst, fmt.Errorf("%w: %v is no number in JSON", arbalest.ErrInvalid, f)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64), nil
}

func appendTime(dst []byte, t time.Time, layout string) ([]byte, error) {
	t = t.UTC()
	if y := t.Year(); y < minYear || y > maxYear {
		return dst, fmt.Errorf("%w: the year %d is not of four digits", arbalest.ErrInvalid, y)
	}
	return append(t.AppendFormat(append(dst, '"'), layout), '"'), nil
}

// appendDecimal appends an unscaled value with its point.
func appendDecimal(dst []byte, n decode.Int128, scale int) []byte {
	lo, hi := n.Lo, uint64(n.Hi)
	if n.Hi < 0 {
		dst = append(dst, '-')
		lo, hi = -lo, ^hi
		if lo == 0 {
			hi++
		}
	}
	var digits [40]byte
	at := len(digits)
	for hi != 0 || lo != 0 || len(digits)-at <= scale {
		var digit uint64
		hi, lo, digit = divide10(hi, lo)
		at--
		digits[at] = byte('0' + digit)
	}
	whole := len(digits) - scale
	dst = append(dst, digits[at:whole]...)
	if scale > 0 {
		dst = append(append(dst, '.'), digits[whole:]...)
	}
	return dst
}

// divide10 divides a number of 128 bits by ten.
func divide10(hi, lo uint64) (quotientHi, quotientLo, rest uint64) {
	quotientHi, rest = hi/10, hi%10
	quotientLo, rest = bits.Div64(rest, lo, 10)
	return quotientHi, quotientLo, rest
}
