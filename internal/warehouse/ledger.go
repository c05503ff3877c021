package warehouse

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Now returns the time as tables keep it: in UTC, to the microsecond.
func Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// Fit cuts a text to the bytes of a column, and makes it one that every
// warehouse can have.
func Fit(s string, most int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	for len(s) > most {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// Literal quotes a string for SQL.
func Literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// TimeOf returns a time of a row of Query, nil for NULL.
func TimeOf(value any) *time.Time {
	if t, ok := value.(time.Time); ok {
		return &t
	}
	return nil
}
