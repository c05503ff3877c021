package pgwire

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// A pgType is one of PostgreSQL's types.
type pgType struct {
	oid, array uint32
	name       string // in pg_type
	sql        string // in SQL, as format_type has it
	size       int16  // bytes; -1 if they vary
	category   string // as in pg_type
	duck       string // the type that DuckDB has for it
}

// types returns the types that results and parameters have.
func types() []pgType {
	return []pgType{
		{16, 1000, "bool", "boolean", 1, "B", "BOOLEAN"},
		{17, 1001, "bytea", "bytea", -1, "U", "BLOB"},
		{18, 1002, "char", `"char"`, 1, "Z", "VARCHAR"},
		{19, 1003, "name", "name", 64, "S", "VARCHAR"},
		{20, 1016, "int8", "bigint", 8, "N", "BIGINT"},
		{21, 1005, "int2", "smallint", 2, "N", "SMALLINT"},
		{23, 1007, "int4", "integer", 4, "N", "INTEGER"},
		{25, 1009, "text", "text", -1, "S", "VARCHAR"},
		{26, 1028, "oid", "oid", 4, "N", "BIGINT"},
		{114, 199, "json", "json", -1, "U", "JSON"},
		{700, 1021, "float4", "real", 4, "N", "FLOAT"},
		{701, 1022, "float8", "double precision", 8, "N", "DOUBLE"},
		{1042, 1014, "bpchar", "character", -1, "S", "VARCHAR"},
		{1043, 1015, "varchar", "character varying", -1, "S", "VARCHAR"},
		{1082, 1182, "date", "date", 4, "D", "DATE"},
		{1083, 1183, "time", "time without time zone", 8, "D", "TIME"},
		{1114, 1115, "timestamp", "timestamp without time zone", 8, "D", "TIMESTAMP"},
		{1184, 1185, "timestamptz", "timestamp with time zone", 8, "D", "TIMESTAMP WITH TIME ZONE"},
		{1186, 1187, "interval", "interval", 16, "T", "INTERVAL"},
		{1266, 1270, "timetz", "time with time zone", 12, "D", "TIME WITH TIME ZONE"},
		{1562, 1563, "varbit", "bit varying", -1, "V", "BIT"},
		{1700, 1231, "numeric", "numeric", -1, "N", "DECIMAL(38,9)"},
		{2950, 2951, "uuid", "uuid", 16, "U", "UUID"},
		{3802, 3807, "jsonb", "jsonb", -1, "U", "JSON"},
	}
}

// ducks returns the OIDs of DuckDB's types without parts, but for DECIMAL.
func ducks() map[string]uint32 {
	return map[string]uint32{
		"BOOLEAN": 16, "TINYINT": 21, "UTINYINT": 21, "SMALLINT": 21, "USMALLINT": 23, "INTEGER": 23, "UINTEGER": 20, "BIGINT": 20,
		"UBIGINT": 1700, "HUGEINT": 1700, "UHUGEINT": 1700, "BIGNUM": 1700, "DECIMAL": 1700, "FLOAT": 700, "DOUBLE": 701, "VARCHAR": 25, "BLOB": 17,
		"UUID": 2950, "JSON": 114, "BIT": 1562, "INTERVAL": 1186, "DATE": 1082, "TIME": 1083, "TIME_NS": 1083, "TIME WITH TIME ZONE": 1266,
		"TIMESTAMP": 1114, "TIMESTAMP_S": 1114, "TIMESTAMP_MS": 1114, "TIMESTAMP_NS": 1114, "TIMESTAMP WITH TIME ZONE": 1184,
	}
}

// A typeSet finds types.
type typeSet struct {
	byOID map[uint32]pgType
	ducks map[string]uint32
	codec *pgtype.Map
}

func newTypeSet() *typeSet {
	s := &typeSet{byOID: map[uint32]pgType{}, ducks: ducks(), codec: pgtype.NewMap()}
	for _, t := range types() {
		s.byOID[t.oid] = t
	}
	return s
}

// A columnType is how a column goes over the wire.
type columnType struct {
	oid     uint32
	element uint32 // of an array; else 0
	size    int16
	mod     int32
}

// of returns the type on the wire of DuckDB's. What has parts is JSON, but for
// lists of what has none.
func (s *typeSet) of(duck string) columnType {
	if base, ok := strings.CutSuffix(duck, "[]"); ok {
		element := s.of(base)
		if t, ok := s.byOID[element.oid]; ok && element.element == 0 && element.oid != 114 && element.oid != 17 {
			return columnType{t.array, t.oid, -1, -1}
		}
		return columnType{114, 0, -1, -1}
	}
	mod := int32(-1)
	if parts, ok := strings.CutPrefix(duck, "DECIMAL("); ok {
		var width, scale int32
		if _, err := fmt.Sscanf(parts, "%d,%d)", &width, &scale); err == nil {
			mod = (width<<16 | scale) + 4
		}
		duck = "DECIMAL"
	}
	if strings.HasPrefix(duck, "ENUM(") {
		duck = "VARCHAR"
	}
	oid, ok := s.ducks[duck]
	if !ok {
		oid = 114
		if !strings.HasSuffix(duck, ")") && !strings.HasSuffix(duck, "]") {
			oid = 25 // NULL and what is not known
		}
	}
	return columnType{oid, 0, s.byOID[oid].size, mod}
}

// duckOf returns what a parameter of a type is cast to in DuckDB.
func (s *typeSet) duckOf(oid uint32) string {
	if t, ok := s.byOID[oid]; ok {
		return t.duck
	}
	if element := s.elementOf(oid); element != 0 {
		return s.byOID[element].duck + "[]"
	}
	return "VARCHAR"
}

// elementOf returns the type of an array's elements, 0 if the type is not an
// array's.
func (s *typeSet) elementOf(oid uint32) uint32 {
	for _, t := range s.byOID {
		if t.array == oid {
			return t.oid
		}
	}
	return 0
}

// castOf returns the expression of a column, %s, that gives its text.
func (s *typeSet) castOf(duck string) string {
	t := s.of(duck)
	switch {
	case t.element != 0:
		return "to_json(%s::VARCHAR[])::VARCHAR"
	case t.oid == 17:
		return "hex(%s)"
	case t.oid == 114 && duck != "JSON":
		return "to_json(%s)::VARCHAR"
	case duck == "TIMESTAMP_NS":
		return "%s::TIMESTAMP::VARCHAR"
	}
	return "%s::VARCHAR"
}

// named returns the type that words begin with, and 0 if they do not: "timestamp
// with time zone", int8, bigint[].
func (s *typeSet) named(words []token) uint32 {
	for n := min(4, len(words)); n > 0; n-- {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = words[i].name()
		}
		name := strings.Join(parts, " ")
		if same, ok := map[string]string{"int": "int4", "float": "float8", "decimal": "numeric", "string": "text", "bytes": "bytea"}[name]; ok {
			name = same
		}
		for _, t := range s.byOID {
			base, _, _ := strings.Cut(t.duck, "(")
			if t.name != name && t.sql != name && !(strings.EqualFold(base, name) && t.oid != 18 && t.oid != 19 && t.oid != 26 && t.oid != 1042 && t.oid != 1043 && t.oid != 3802) {
				continue
			}
			if n+1 < len(words) && words[n].is("[") && words[n+1].is("]") {
				return t.array
			}
			return t.oid
		}
	}
	return 0
}
