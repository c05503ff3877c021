package postgres

import (
	"bytes"
	"fmt"

	"arbalest"
	"arbalest/internal/warehouse"
)

// Dialect says how PostgreSQL spells things. Its VARCHAR(n) counts characters,
// and so admits all that has n bytes; CHAR(n), which would pad with blanks, is
// VARCHAR(n) too; JSON is json, which keeps the text byte for byte.
func (d *Database) Dialect() warehouse.Dialect {
	return warehouse.Dialect{Name: "postgres", MaxName: 63, Type: sqlType, Unfit: unfit, MaxRow: maxRow, Retype: retype, Events: events}
}

// longest is the length from which a text is kept as text, without one: no
// value of a declared column is longer, and VARCHAR(MAX) is this in Redshift.
const longest = 65535

// maxRow is what a row of a page of 8 kB holds, 8,160 bytes, without its head,
// the bits of 1,600 columns, and some for padding that another order of columns
// may need (PostgreSQL, "Limits" and "Database Page Layout").
const maxRow = 7700

func sqlType(t arbalest.Type) string {
	switch t.Kind {
	case arbalest.Char, arbalest.Varchar:
		if t.Length == 0 || t.Length >= longest {
			return "text"
		}
		return fmt.Sprintf("varchar(%d)", t.Length)
	case arbalest.JSON:
		return "json"
	}
	return t.String()
}

// unfit holds that no text has a NUL (PostgreSQL, "Character Types").
func unfit(_ arbalest.Kind, text []byte) string {
	if bytes.IndexByte(text, 0) >= 0 {
		return "has the character U+0000, which PostgreSQL cannot store"
	}
	return ""
}

func retype(table, column string, to arbalest.Type) []string {
	return []string{fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s TYPE %s", table, column, sqlType(to))}
}

// events makes an event's table, with an index so that looking into an hour
// reads that hour. Events come nearly in the order of their times: the index is
// written at its end.
func events(table, columns string) []string {
	return []string{
		fmt.Sprintf("CREATE TABLE %s (%s)", table, columns),
		fmt.Sprintf("CREATE INDEX ON %s (event_time)", table),
	}
}
