package postgres

import (
	"fmt"
	"math"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"arbalest/internal/warehouse"
)

func resultColumns(fields []pgconn.FieldDescription) []warehouse.ResultColumn {
	types := pgtype.NewMap()
	columns := make([]warehouse.ResultColumn, len(fields))
	for i, f := range fields {
		name := "oid " + strconv.Itoa(int(f.DataTypeOID))
		if t, ok := types.TypeForOID(f.DataTypeOID); ok {
			name = t.Name
		}
		if m := f.TypeModifier - 4; f.DataTypeOID == oidNumeric && m >= 0 {
			name = fmt.Sprintf("numeric(%d,%d)", m>>16, m&0x7ff)
		} else if f.DataTypeOID == oidVarchar && m >= 0 {
			name = fmt.Sprintf("varchar(%d)", m)
		}
		columns[i] = warehouse.ResultColumn{Name: f.Name, Type: name, Kind: kindOf(f.DataTypeOID)}
	}
	return columns
}

func kindOf(oid uint32) warehouse.ValueKind {
	switch oid {
	case oidBool:
		return warehouse.BooleanValue
	case oidInt2, oidInt4, oidInt8, oidOID, oidFloat4, oidFloat8, oidNumeric:
		return warehouse.NumberValue
	case oidJSON, oidJSONB:
		return warehouse.JSONValue
	}
	return warehouse.TextValue
}

// valueOf spells a value as all warehouses do; the server spells most so.
func valueOf(c warehouse.ResultColumn, text []byte) warehouse.Value {
	if text == nil {
		return warehouse.Value{Null: true}
	}
	s := string(text)
	switch {
	case c.Kind == warehouse.BooleanValue && s == "t":
		s = "true"
	case c.Kind == warehouse.BooleanValue:
		s = "false"
	case c.Type == "float4":
		s = floatText(s, 32)
	case c.Type == "float8":
		s = floatText(s, 64)
	case s == "NaN" && c.Kind == warehouse.NumberValue:
		s = "nan"
	}
	return warehouse.Value{Text: s}
}

// floatText spells a number of floating point as DuckDB does: with ".0" where it
// is whole, and with an exponent from 1e+16 on and below 1e-4.
func floatText(s string, size int) string {
	f, err := strconv.ParseFloat(s, size)
	switch a := math.Abs(f); {
	case err != nil:
		return s
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case a != 0 && (a < 1e-4 || a >= 1e16):
		return strconv.FormatFloat(f, 'e', -1, size)
	}
	s = strconv.FormatFloat(f, 'f', -1, size)
	if f == math.Trunc(f) {
		s += ".0"
	}
	return s
}
