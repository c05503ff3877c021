package decode

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"arbalest"
)

// maxExact is the greatest magnitude up to which a double has every integer.
const maxExact = 1 << 53

// inferredIntegers is how many digits an inferred DECIMAL keeps before its
// point, so that its scale can grow to maxInferredScale, unless it is Wide.
const (
	inferredIntegers = 20
	maxInferredScale = 18
)

// A column is a Vector that is being filled.
type column struct {
	arbalest.Column
	inferred bool // values must be of the column's own kind, and exact
	vector   Vector
	room     int  // rows that the vector has room for; 0 until there is a value
	used     int  // rows with a value
	next     int  // after the last row that was made to have one, or NULL
	gaps     bool // not the first rows alone have one: vector.Valid says which
	filled   int  // rows whose end is in Offsets
}

// put writes a valid JSON value other than null, and says whether it fits.
// escaped says of a string that it has escapes. Nothing is written if it does
// not fit.
func (c *column) put(row int, text []byte, escaped bool) bool {
	switch c.Type.Kind {
	case arbalest.Boolean:
		return c.putBoolean(row, text)
	case arbalest.SmallInt, arbalest.Integer, arbalest.BigInt:
		return c.putInteger(row, text, escaped)
	case arbalest.Decimal:
		return c.putDecimal(row, text, escaped)
	case arbalest.Real, arbalest.Double:
		return c.putFloat(row, text, escaped)
	case arbalest.Date, arbalest.Timestamp, arbalest.TimestampTZ:
		return c.putTime(row, text, escaped)
	}
	return c.putText(row, text, escaped)
}

func (c *column) putBoolean(row int, text []byte) bool {
	if text[0] != 't' && text[0] != 'f' {
		return false
	}
	c.mark(row)
	if text[0] == 't' {
		c.vector.Bits[row>>3] |= 1 << (row & 7)
	} else {
		c.vector.Bits[row>>3] &^= 1 << (row & 7)
	}
	return true
}

// numeric returns the number that text is, or, unless the column is inferred,
// that it is a string of; nil if it is neither.
func (c *column) numeric(text []byte, escaped bool) []byte {
	if text[0] == '-' || text[0]-'0' <= 9 {
		return text
	}
	if text[0] == '"' && !c.inferred && !escaped && isNumber(text[1:len(text)-1]) {
		return text[1 : len(text)-1]
	}
	return nil
}

func (c *column) putInteger(row int, text []byte, escaped bool) bool {
	if text = c.numeric(text, escaped); text == nil {
		return false
	}
	v, ok := parseInt(text)
	if !ok || c.inferred && (skipDigits(text, 1) < len(text) || !c.Wide && (v < -maxExact || v > maxExact)) {
		return false
	}
	switch c.Type.Kind {
	case arbalest.SmallInt:
		if ok = v == int64(int16(v)); ok {
			c.vector.Int16[row] = int16(v)
		}
	case arbalest.Integer:
		if ok = v == int64(int32(v)); ok {
			c.vector.Int32[row] = int32(v)
		}
	default:
		c.vector.Int64[row] = v
	}
	if ok {
		c.mark(row)
	}
	return ok
}

func (c *column) putDecimal(row int, text []byte, escaped bool) bool {
	if text = c.numeric(text, escaped); text == nil {
		return false
	}
	v, ok := parseDecimal(text, integersOf(c.Column, c.inferred), c.Type.Scale)
	if ok {
		c.mark(row)
		c.vector.Int128[row] = v
	}
	return ok
}

// integersOf returns how many digits a DECIMAL column keeps before its point.
func integersOf(c arbalest.Column, inferred bool) int {
	if inferred && !c.Wide {
		return inferredIntegers
	}
	return c.Type.Precision - c.Type.Scale
}

func (c *column) putFloat(row int, text []byte, escaped bool) bool {
	if text = c.numeric(text, escaped); text == nil {
		return false
	}
	size := 64
	if c.Type.Kind == arbalest.Real {
		size = 32
	}
	f, err := strconv.ParseFloat(string(text), size)
	switch {
	case err != nil || c.inferred && !keepsFloat(f, text):
		return false
	case size == 32:
		c.vector.Float32[row] = float32(f)
	default:
		c.vector.Float64[row] = f
	}
	c.mark(row)
	return true
}

// keepsFloat says whether an inferred column of doubles shows text as sent.
func keepsFloat(f float64, text []byte) bool {
	if m := math.Abs(f); len(text) <= surelyExact && 1e-300 < m && m <= maxExact {
		return true
	}
	n := parseNumber(text)
	return n.exact(text) && (!n.whole || math.Abs(f) <= maxExact)
}

// putText holds that lengths are in bytes, and that a CHAR has only characters
// of one byte (Redshift Database Developer Guide, "Character types").
func (c *column) putText(row int, text []byte, escaped bool) bool {
	kind := c.Type.Kind
	if c.inferred && text[0] != '"' && kind != arbalest.JSON {
		return false
	}
	c.startText(row)
	start := len(c.vector.Data)
	switch {
	case kind == arbalest.JSON:
		c.vector.Data = append(c.vector.Data, text...)
	case text[0] == '"' && escaped:
		c.vector.Data = Unquote(c.vector.Data, text)
	case text[0] == '"':
		c.vector.Data = append(c.vector.Data, text[1:len(text)-1]...)
	case text[0] == '{' || text[0] == '[':
		c.vector.Data = Compact(c.vector.Data, text)
	default:
		c.vector.Data = append(c.vector.Data, text...)
	}
	added := c.vector.Data[start:]
	if c.Type.Length > 0 && len(added) > c.Type.Length || kind == arbalest.Char && utf8.RuneCount(added) < len(added) {
		c.vector.Data = c.vector.Data[:start]
		return false
	}
	c.endText(row)
	return true
}

func (c *column) putTime(row int, text []byte, escaped bool) bool {
	if text[0] != '"' {
		return false
	}
	text = text[1 : len(text)-1]
	if escaped {
		text = unescape(nil, text)
	}
	t, bad := parseTime(text)
	if bad != "" || t.nano%1000 != 0 || c.inferred && !inferable(text) {
		return false
	}
	if c.Type.Kind == arbalest.Date {
		if t.nano != 0 || t.second%86400 != 0 || c.inferred && len(text) > len(time.DateOnly) {
			return false
		}
		c.vector.Int32[row] = int32(t.second / 86400)
		c.mark(row)
	} else {
		c.putMicros(row, t.second*1_000_000+int64(t.nano)/1000)
	}
	return true
}

func (c *column) putMicros(row int, us int64) {
	c.vector.Int64[row] = us
	c.mark(row)
}

// inferable says of a text which is a time whether columns are inferred from
// such: it is yyyy-MM-dd, alone or before 'T' or a space.
func inferable(s []byte) bool { return len(s) == len(time.DateOnly) || s[10] == 'T' || s[10] == ' ' }
