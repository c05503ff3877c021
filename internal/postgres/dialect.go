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
	return warehouse.Dialect{Name: "postgres", MaxName: 63, Type: sqlType, Unfit: unfit, MaxRow: maxRow, Retype: retype, Events: events, Lookup: lookup}
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

// hourOf is the hour of a time. To the planner it must be the same expression
// in the index and in lookup.
const hourOf = "date_trunc('hour', event_time)"

// events makes an event's table, with an index so that looking into an hour
// reads that hour, and one so that looking for an id in it reads that row.
// Events come nearly in the order of their times: the first is written at its
// end, and the second among an hour's ids, however many hours there are. An
// index of ids alone would be written everywhere. Ids are compared as bytes,
// which is faster than in a language's order.
func events(table, columns string) []string {
	return []string{
		fmt.Sprintf("CREATE TABLE %s (%s)", table, columns),
		fmt.Sprintf("CREATE INDEX ON %s (event_time)", table),
		fmt.Sprintf(`CREATE INDEX ON %s (%s, event_id COLLATE "C")`, table, hourOf),
	}
}

// lookup looks each row up in its hour and, where its time is that of its
// receipt, in the 24 hours before and after. OFFSET 0 keeps the planner from
// making a join of it: its statistics are of before the last hours, so that it
// thinks them empty, and would read all of them.
func lookup(table, stage string, receipts bool) string {
	one := func(hours, hour, and string) string {
		return fmt.Sprintf(`SELECT b.row_place, t.event_hash, t.event_time FROM %s b%s CROSS JOIN LATERAL
(SELECT event_hash, event_time FROM %s e WHERE %s = %s AND event_id = b.event_id COLLATE "C"%s OFFSET 0) t`, stage, hours, table, hourOf, hour, and)
	}
	query := one("", "date_trunc('hour', b.event_time)", "")
	if receipts {
		query += "\nUNION ALL " + one(" CROSS JOIN generate_series(-24, 24) h", "date_trunc('hour', b.event_time) + h * INTERVAL '1 hour'",
			" AND b.by_receipt AND h <> 0 AND event_time >= b.event_time - INTERVAL '24 hours' AND event_time <= b.event_time + INTERVAL '24 hours'")
	}
	return query
}
