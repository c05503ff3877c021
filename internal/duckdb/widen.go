package duckdb

import "arbalest"

// sqlType returns a type as DuckDB spells it.
func sqlType(t arbalest.Type) string {
	switch t.Kind {
	case arbalest.Real:
		return "FLOAT"
	case arbalest.Double:
		return "DOUBLE"
	case arbalest.Char, arbalest.Varchar:
		return "VARCHAR" // DuckDB has no lengths
	case 0:
		return "of a type that no definition has"
	}
	return t.String()
}

// stored returns what remains of a type in DuckDB, so that types that are the
// same there are equal.
func stored(t arbalest.Type) arbalest.Type {
	switch t.Kind {
	case arbalest.Char, arbalest.Varchar:
		return arbalest.Type{Kind: arbalest.Varchar}
	case arbalest.Decimal:
		return arbalest.Type{Kind: arbalest.Decimal, Precision: t.Precision, Scale: t.Scale}
	}
	return arbalest.Type{Kind: t.Kind}
}

// parseType reads a type as DuckDB spells it; the zero Type if no definition
// has such.
func parseType(s string) arbalest.Type {
	if s == "FLOAT" {
		return arbalest.Type{Kind: arbalest.Real}
	}
	t, err := arbalest.ParseType(s)
	if err != nil {
		return arbalest.Type{}
	}
	return stored(t)
}
