package decode

import (
	"fmt"
	"math/big"
	"strconv"
	"testing"
	"time"

	"arbalest"
)

// cell spells a value as a test wants to read it.
func cell(v Vector, row int) string {
	if v.Nulls > 0 && v.Valid[row>>3]>>(row&7)&1 == 0 {
		return "NULL"
	}
	switch v.Type.Kind {
	case arbalest.Boolean:
		return strconv.FormatBool(v.Bits[row>>3]>>(row&7)&1 == 1)
	case arbalest.SmallInt:
		return fmt.Sprint(v.Int16[row])
	case arbalest.Integer:
		return fmt.Sprint(v.Int32[row])
	case arbalest.BigInt:
		return fmt.Sprint(v.Int64[row])
	case arbalest.Decimal:
		return decimalText(v.Int128[row], v.Type.Scale)
	case arbalest.Real:
		return strconv.FormatFloat(float64(v.Float32[row]), 'g', -1, 32)
	case arbalest.Double:
		return strconv.FormatFloat(v.Float64[row], 'g', -1, 64)
	case arbalest.Date:
		return time.Unix(int64(v.Int32[row])*86400, 0).UTC().Format(time.DateOnly)
	case arbalest.Timestamp, arbalest.TimestampTZ:
		return time.UnixMicro(v.Int64[row]).UTC().Format(time.RFC3339Nano)
	}
	return string(v.Data[v.Offsets[row]:v.Offsets[row+1]])
}

func decimalText(v Int128, scale int) string {
	n := new(big.Int).Lsh(big.NewInt(v.Hi), 64)
	n.Add(n, new(big.Int).SetUint64(v.Lo))
	r := new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil))
	return r.FloatString(scale)
}

// column returns the chunk's column of that name, and its place.
func columnOf(tb testing.TB, t arbalest.Table, c *Chunk, name string) Vector {
	tb.Helper()
	for i, column := range t.AllColumns() {
		if column.Name == name {
			return c.Columns[i]
		}
	}
	tb.Fatalf("no column %s in %v", name, t.Columns)
	return Vector{}
}

// checkChunk says whether a chunk is well-formed, and accounts for each line.
func checkChunk(tb testing.TB, t arbalest.Table, c *Chunk, lines int) {
	tb.Helper()
	lost := 0
	for _, e := range c.Errors {
		if !e.Loaded {
			lost++
		}
		if e.Reason == "" || e.Line < 1 || t.Declared && e.Loaded {
			tb.Fatalf("error %+v", e)
		}
	}
	if c.Rows+lost != lines || len(c.Object) != c.Rows || len(c.Line) != c.Rows {
		tb.Fatalf("%d rows, %d lost, %d objects, %d line numbers, of %d lines", c.Rows, lost, len(c.Object), len(c.Line), lines)
	}
	all := t.AllColumns()
	if len(c.Columns) != len(all) {
		tb.Fatalf("%d columns; want %d", len(c.Columns), len(all))
	}
	for i, v := range c.Columns {
		if v.Type != all[i].Type {
			tb.Fatalf("%s is %s", all[i].Name, v.Type)
		}
		checkVector(tb, v, c.Rows)
	}
}

func checkVector(tb testing.TB, v Vector, rows int) {
	tb.Helper()
	nulls := 0
	for row := range rows {
		if v.Valid != nil && v.Valid[row>>3]>>(row&7)&1 == 0 {
			nulls++
		}
	}
	if nulls != v.Nulls || (v.Valid == nil) != (v.Nulls == 0) || v.Valid != nil && len(v.Valid) != (rows+7)/8 {
		tb.Fatalf("%s: %d nulls in %d rows; Nulls is %d, Valid has %d bytes", v.Type, nulls, rows, v.Nulls, len(v.Valid))
	}
	size := map[arbalest.Kind]int{
		arbalest.Boolean: len(v.Bits)*8 - (rows+7)/8*8 + rows, arbalest.SmallInt: len(v.Int16), arbalest.Integer: len(v.Int32), arbalest.Date: len(v.Int32),
		arbalest.BigInt: len(v.Int64), arbalest.Timestamp: len(v.Int64), arbalest.TimestampTZ: len(v.Int64),
		arbalest.Decimal: len(v.Int128), arbalest.Real: len(v.Float32), arbalest.Double: len(v.Float64),
		arbalest.Char: len(v.Offsets) - 1, arbalest.Varchar: len(v.Offsets) - 1, arbalest.JSON: len(v.Offsets) - 1,
	}
	if size[v.Type.Kind] != rows {
		tb.Fatalf("%s has %d values; want %d", v.Type, size[v.Type.Kind], rows)
	}
	for i := range len(v.Offsets) - 1 {
		if v.Offsets[0] != 0 || v.Offsets[i] > v.Offsets[i+1] || int(v.Offsets[i+1]) > len(v.Data) {
			tb.Fatalf("offsets %v of %d bytes", v.Offsets, len(v.Data))
		}
	}
}

// The short way of reading a decimal gives what the long one does.
func FuzzShortDecimal(f *testing.F) {
	for _, text := range []string{"0", "-0", "12.50", "-0.05", "1e3", "123456789012345678", "0.000000000000000001", "9.999", "-1.", ".5", "00.1", "1.2.3"} {
		f.Add(text, 12, 2)
		f.Add(text, 18, 0)
		f.Add(text, 0, 18)
	}
	f.Fuzz(func(t *testing.T, text string, integers, scale int) {
		if !isNumber([]byte(text)) || integers < 0 || scale < 0 || integers > 38 || scale > 38 || integers+scale > 38 {
			return
		}
		v, ok := shortDecimal([]byte(text), integers, scale)
		n := parseNumber([]byte(text))
		fits := n.integers() <= int64(integers) && n.fractions() <= int64(scale)
		if ok && (!fits || n.unscaled(scale) != (Int128{Lo: uint64(v), Hi: v >> 63})) {
			t.Errorf("%s as DECIMAL with %d and %d digits: %d, want %v, %v", text, integers, scale, v, n.unscaled(scale), fits)
		}
	})
}
