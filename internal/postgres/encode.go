package postgres

import (
	"encoding/binary"
	"math"
	"math/bits"

	"arbalest"
	"arbalest/internal/decode"
)

// The server counts time from 2000-01-01.
const (
	epochDays   = 10957
	epochMicros = epochDays * 24 * 3600 * 1_000_000
)

// appendValue appends a value, which is not NULL, with its length before it, as
// the type's receive function reads it (PostgreSQL, src/backend/utils/adt).
func appendValue(b []byte, v *decode.Vector, t arbalest.Type, row int) []byte {
	switch t.Kind {
	case arbalest.Boolean:
		return append(b, 0, 0, 0, 1, v.Bits[row/8]>>(row%8)&1)
	case arbalest.SmallInt:
		n := uint16(v.Int16[row])
		return append(b, 0, 0, 0, 2, byte(n>>8), byte(n))
	case arbalest.Integer:
		return append4(b, uint32(v.Int32[row]))
	case arbalest.Date:
		return append4(b, uint32(v.Int32[row]-epochDays))
	case arbalest.BigInt:
		return append8(b, uint64(v.Int64[row]))
	case arbalest.Timestamp, arbalest.TimestampTZ:
		return append8(b, uint64(v.Int64[row]-epochMicros))
	case arbalest.Real:
		return append4(b, math.Float32bits(v.Float32[row]))
	case arbalest.Double:
		return append8(b, math.Float64bits(v.Float64[row]))
	case arbalest.Decimal:
		return appendNumeric(b, v.Int128[row], t.Scale)
	}
	from, to := v.Offsets[row], v.Offsets[row+1]
	b = binary.BigEndian.AppendUint32(b, uint32(to-from))
	return append(b, v.Data[from:to]...)
}

func append4(b []byte, n uint32) []byte {
	return append(b, 0, 0, 0, 4, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

func append8(b []byte, n uint64) []byte {
	b = append(b, 0, 0, 0, 8)
	return binary.BigEndian.AppendUint64(b, n)
}

// appendNumeric appends a numeric: how many digits of base 10,000, the weight of
// the first, sign, how many decimal digits behind the point, and the digits
// (numeric.c, numeric_recv).
func appendNumeric(b []byte, v decode.Int128, scale int) []byte {
	hi, lo, sign := uint64(v.Hi), v.Lo, uint16(0)
	if v.Hi < 0 {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
		sign = 0x4000
	}
	var digits [12]uint16 // last first; 38 decimal digits are at most 11, wherever the point is
	n := 0
	if odd := scale % 4; odd > 0 {
		pow := [4]uint64{1, 10, 100, 1000}
		var rest uint64
		hi, lo, rest = divide(hi, lo, pow[odd])
		digits[0], n = uint16(rest*pow[4-odd]), 1
	}
	for hi|lo != 0 {
		var rest uint64
		hi, lo, rest = divide(hi, lo, 10_000)
		digits[n] = uint16(rest)
		n++
	}
	weight := n - 1 - (scale+3)/4
	last := 0
	for last < n && digits[last] == 0 {
		last++
	}
	if last == n {
		weight, sign = 0, 0
	}
	b = binary.BigEndian.AppendUint32(b, uint32(8+2*(n-last)))
	b = append(b, byte((n-last)>>8), byte(n-last), byte(weight>>8), byte(weight), byte(sign>>8), byte(sign), byte(scale>>8), byte(scale))
	for i := n - 1; i >= last; i-- {
		b = append(b, byte(digits[i]>>8), byte(digits[i]))
	}
	return b
}

// divide divides 128 bits by a small number.
func divide(hi, lo, by uint64) (qhi, qlo, rest uint64) {
	if hi == 0 {
		return 0, lo / by, lo % by
	}
	qlo, rest = bits.Div64(hi%by, lo, by)
	return hi / by, qlo, rest
}
