package decode

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"arbalest"
)

// How many bytes are shown of a line, of a value, of a value within a reason,
// and of all the reasons for one row.
const (
	maxLineShown   = 64 << 10
	maxValueShown  = 4 << 10
	maxShownInside = 80
	maxReasons     = 2 << 10
)

// display returns text as it can be stored in any warehouse: valid UTF-8
// without NUL, and with a mark at the end where it was cut.
func display(text []byte, limit int) string {
	cut := text
	if len(text) > limit {
		for cut = text[:limit]; len(cut) > limit-utf8.UTFMax && !utf8.RuneStart(text[len(cut)]); {
			cut = cut[:len(cut)-1]
		}
	}
	s := strings.ToValidUTF8(string(cut), "\ufffd")
	s = strings.ReplaceAll(s, "\x00", "\ufffd")
	if len(cut) < len(text) {
		s += fmt.Sprintf("… (cut: %d bytes in all)", len(text))
	}
	return s
}

// article returns a type's name after "a" or "an".
func article(t arbalest.Type) string {
	if strings.ContainsRune("AEIOU", rune(t.String()[0])) {
		return "an " + t.String()
	}
	return "a " + t.String()
}

// explain says in plain words why text, a valid JSON value, does not fit the
// column.
func explain(c arbalest.Column, inferred bool, text []byte) string {
	shown := display(text, maxShownInside)
	if is := describe(text); inferred && is != source(c.Type.Kind) {
		return fmt.Sprintf("%s is %s, and the column is %s by the values that came first", shown, is, article(c.Type))
	}
	inside := text
	if text[0] == '"' {
		inside = unescape(nil, text[1:len(text)-1])
	}
	switch kind := c.Type.Kind; {
	case kind != arbalest.Boolean && kind <= arbalest.Double && isNumber(inside):
		return shown + " " + explainNumber(c, inferred, parseNumber(inside))
	case kind == arbalest.Char && utf8.RuneCount(inside) < len(inside):
		return fmt.Sprintf("%s has characters of more than one byte, which a CHAR does not hold: declare a VARCHAR", shown)
	case kind == arbalest.Char || kind == arbalest.Varchar:
		return fmt.Sprintf("%s has %d bytes, %s holds %d", shown, len(inside), c.Type, c.Type.Length)
	case kind <= arbalest.TimestampTZ && kind >= arbalest.Date && text[0] == '"':
		return shown + " " + explainTime(c, inside)
	}
	return fmt.Sprintf("%s is not %s", shown, article(c.Type))
}

// source names the JSON type that a kind is inferred from.
func source(k arbalest.Kind) string {
	switch {
	case k == arbalest.Boolean:
		return "a boolean"
	case k <= arbalest.Double:
		return "a number"
	}
	return "a string"
}

// describe names a value's JSON type.
func describe(text []byte) string {
	switch text[0] {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	}
	return "a number"
}

func explainNumber(c arbalest.Column, inferred bool, n number) string {
	t := c.Type
	switch t.Kind {
	case arbalest.SmallInt, arbalest.Integer, arbalest.BigInt:
		if n.fractions() > 0 {
			return fmt.Sprintf("is not a whole number, %s keeps no fraction", t)
		}
		return fmt.Sprintf("is beyond the range of %s", article(t))
	case arbalest.Decimal:
		if n.fractions() > int64(t.Scale) {
			return fmt.Sprintf("has %d fractional digits, %s keeps %d", n.fractions(), t, t.Scale)
		}
		return fmt.Sprintf("has %d digits before the point, %s keeps %d", n.integers(), t, integersOf(c, inferred))
	}
	if inferred {
		return fmt.Sprintf("is not a number that %s gives back as it was sent", article(t))
	}
	return fmt.Sprintf("is beyond the range of %s", article(t))
}

func explainTime(c arbalest.Column, inside []byte) string {
	at, bad := parseTime(inside)
	switch {
	case bad != "":
		return bad
	case c.Type.Kind == arbalest.Date:
		return "has a time of day, which a DATE does not keep"
	case at.nano%1000 != 0:
		return fmt.Sprintf("has digits finer than a microsecond, which %s does not keep", article(c.Type))
	}
	return "is not spelled as the times that the column was inferred from: yyyy-MM-ddTHH:MM:SS and a zone"
}
