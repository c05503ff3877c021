package duckdb

import "arbalest/internal/sqltext"

// trimStatement returns one statement without the semicolons, blanks and
// comments after it, so that it can stand in parentheses.
func trimStatement(sql string) string {
	at, end := 0, 0 // end is after the last piece that counts
	for p := range sqltext.Pieces(sql) {
		at += len(p.Text)
		if p.Kind.Solid() && p.Text != ";" {
			end = at
		}
	}
	return sql[:end]
}
