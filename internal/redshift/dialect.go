package redshift

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"arbalest"
	"arbalest/internal/warehouse"
)

// Redshift's limits, in bytes.
const (
	maxName    = 127     // Developer Guide, "Names and identifiers"
	maxVarchar = 65535   // "Character types"; and of a string in a SUPER ("SUPER limitations")
	maxRow     = 4 << 20 // "Quotas and limits": 4 MB of one row, and of one JSON document
	// maxJSON is how long a document in a SUPER may be, so that there is room in
	// a row for the columns beside it.
	maxJSON = maxRow - 128<<10
	// maxErrors is the greatest MAXERROR ("Data load operations").
	maxErrors = 100000
)

// dialect returns how Redshift spells things. An event's table is sorted by time,
// which is what is looked up in it (Developer Guide, "Choose the best sort key");
// Options.Tables may say otherwise.
func dialect(opts Options) warehouse.Dialect {
	return warehouse.Dialect{Name: "redshift", MaxName: maxName, Type: spell, Unfit: unfit,
		Events: func(table, columns string) []string {
			sql := fmt.Sprintf("CREATE TABLE %s (%s)", table, columns)
			if t, _ := opts.tableOptions(sql); len(t.SortKey) == 0 {
				sql += " COMPOUND SORTKEY (event_time)"
			}
			return []string{sql}
		}}
}

// spell spells a type: JSON is SUPER, and what has no length has the greatest. A
// CHAR is a VARCHAR, in which all that it may have stays as it is: Redshift's
// CHAR has no characters of several bytes, and loses blanks at the end.
func spell(t arbalest.Type) string {
	switch {
	case t.Kind == arbalest.JSON:
		return "SUPER"
	case t.Kind != arbalest.Char && t.Kind != arbalest.Varchar:
		return t.String()
	case t.Length == 0:
		return fmt.Sprintf("VARCHAR(%d)", maxVarchar)
	}
	return fmt.Sprintf("VARCHAR(%d)", t.Length)
}

// unfit says why a text cannot be had in Redshift.
func unfit(kind arbalest.Kind, text []byte) string {
	switch {
	case !utf8.Valid(text):
		return "is not UTF-8"
	case bytes.IndexByte(text, 0) >= 0:
		return "has a NUL character, which Redshift cannot hold"
	case kind == arbalest.JSON:
		return unfitJSON(text)
	case len(text) > maxVarchar:
		return fmt.Sprintf("has %d bytes, and Redshift's VARCHAR holds %d", len(text), maxVarchar)
	}
	return ""
}

// unfitJSON says why a document cannot be had in a SUPER.
func unfitJSON(text []byte) string {
	if len(text) > maxJSON {
		return fmt.Sprintf("has %d bytes, and Redshift loads JSON of %d at most", len(text), maxJSON)
	}
	if len(text) <= maxVarchar && bytes.IndexByte(text, '\\') < 0 {
		return "" // the common case: no string can be wrong
	}
	for {
		start := bytes.IndexByte(text, '"')
		if start < 0 {
			return ""
		}
		length, rest, reason := stringLength(text[start+1:])
		if reason != "" {
			return reason
		}
		if length > maxVarchar {
			return fmt.Sprintf("has a string of %d bytes, and Redshift's SUPER holds strings of %d", length, maxVarchar)
		}
		text = rest
	}
}

// stringLength returns how many bytes of UTF-8 the JSON string has whose inside
// text begins with, what follows it, and why it cannot be had in a SUPER.
func stringLength(text []byte) (length int, rest []byte, reason string) {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			return length, text[i+1:], ""
		case text[i] != '\\':
			length++
			continue
		case i+1 < len(text) && text[i+1] != 'u':
			length, i = length+1, i+1
			continue
		}
		r := hexRune(text[i:])
		i += 5
		switch {
		case r == 0:
			return 0, nil, "has a NUL character, which Redshift cannot hold"
		case 0xd800 <= r && r < 0xdc00:
			low := rune(-1)
			if i+1 < len(text) {
				low = hexRune(text[i+1:])
			}
			if low < 0xdc00 || low > 0xdfff {
				return 0, nil, "has half of a surrogate pair, which is no character"
			}
			length, i = length+4, i+6
		case 0xdc00 <= r && r <= 0xdfff:
			return 0, nil, "has half of a surrogate pair, which is no character"
		default:
			length += max(utf8.RuneLen(r), 1)
		}
	}
	return length, nil, ""
}

// hexRune reads \uXXXX; -1 if text does not begin with that.
func hexRune(text []byte) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return -1
	}
	r := rune(0)
	for _, c := range text[2:6] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return r
}
