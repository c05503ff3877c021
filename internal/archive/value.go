package archive

import (
	"encoding/binary"
	"math/big"
	"strconv"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/decode"
	"arbalest/internal/load"
)

// valueOf returns a decoded value as warehouse.Database.Query gives values.
func valueOf(v *decode.Vector, row int) any {
	if v.Nulls > 0 && !load.IsSet(v.Valid, row, true) {
		return nil
	}
	switch v.Type.Kind {
	case arbalest.Boolean:
		return v.Bits[row/8]>>(row%8)&1 == 1
	case arbalest.SmallInt:
		return int64(v.Int16[row])
	case arbalest.Integer:
		return int64(v.Int32[row])
	case arbalest.BigInt:
		return v.Int64[row]
	case arbalest.Decimal:
		return decimal(v.Int128[row], v.Type.Scale)
	case arbalest.Real:
		return float64(v.Float32[row])
	case arbalest.Double:
		return v.Float64[row]
	case arbalest.Date:
		return time.Unix(int64(v.Int32[row])*86400, 0).UTC()
	case arbalest.Timestamp, arbalest.TimestampTZ:
		return time.UnixMicro(v.Int64[row]).UTC()
	}
	return string(load.Text(v, row))
}

// decimal spells an unscaled value with its point.
func decimal(n decode.Int128, scale int) string {
	b := new(big.Int).Add(new(big.Int).Lsh(big.NewInt(n.Hi), 64), new(big.Int).SetUint64(n.Lo))
	digits, sign := b.String(), ""
	if b.Sign() < 0 {
		digits, sign = digits[1:], "-"
	}
	if scale == 0 {
		return sign + digits
	}
	if short := scale + 1 - len(digits); short > 0 {
		digits = strings.Repeat("0", short) + digits
	}
	return sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}

// appendValue appends a value so that the same value of another type, such as a
// column has that was widened, is the same: a number's digits without zeros at its
// end, a time's microseconds, or a text.
func appendValue(dst []byte, kind arbalest.Kind, value any) []byte {
	if value == nil {
		return append(dst, 0)
	}
	text := ""
	switch v := value.(type) {
	case bool:
		text = strconv.FormatBool(v)
	case int64:
		text = strconv.FormatInt(v, 10)
	case float64:
		text = plain(strconv.FormatFloat(v+0, 'f', -1, 64)) // a BIGINT that was widened has no -0
	case time.Time:
		text = strconv.FormatInt(v.UnixMicro(), 10)
	case string:
		text = v
		switch kind {
		case arbalest.SmallInt, arbalest.Integer, arbalest.BigInt, arbalest.Decimal, arbalest.Real, arbalest.Double:
			text = plain(v)
		}
	}
	dst = append(dst, 1)
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	return append(dst, text...)
}

// plain cuts the zeros at the end of a fraction.
func plain(s string) string {
	if strings.IndexByte(s, '.') < 0 {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
