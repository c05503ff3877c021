package redshift

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"arbalest"
)

// literal spells a string for SQL, where no argument can be bound: in COPY. A
// quote is doubled. A backslash is refused: Redshift comes from PostgreSQL 8.0,
// where it begins an escape in a literal, and does not report
// standard_conforming_strings, so that nobody can tell what it would mean.
func literal(s string) (string, error) {
	switch {
	case !utf8.ValidString(s):
		return "", fmt.Errorf("%w: %q is not UTF-8, and cannot be written in SQL", arbalest.ErrInvalid, s)
	case strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f }):
		return "", fmt.Errorf("%w: %q has a control character, and cannot be written in SQL", arbalest.ErrInvalid, s)
	case strings.Contains(s, `\`):
		return "", fmt.Errorf("%w: %q has a backslash, which Redshift may take for an escape: use names without", arbalest.ErrInvalid, s)
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'", nil
}

// jsonPath spells a path as an element of a JSONPaths file, in bracket notation,
// which takes names with dots and brackets. The empty path is the document.
//
// How a quote or a backslash in a name is to be escaped is documented nowhere
// (Developer Guide, "COPY from JSON format"), so both are refused.
func jsonPath(path []string) (string, error) {
	b := []byte("$")
	for _, name := range path {
		switch {
		case name == "" || !utf8.ValidString(name):
			return "", fmt.Errorf("%w: the path %q has an empty name or one that is not UTF-8", arbalest.ErrInvalid, path)
		case strings.ContainsAny(name, `'\`):
			return "", fmt.Errorf("%w: the path %q has a quote or a backslash, for which Redshift's JSONPaths have no escape: leave the property out, or load it as a part of the one that it is in", arbalest.ErrInvalid, path)
		}
		b = append(append(append(b, "['"...), name...), "']"...)
	}
	return string(b), nil
}

// single refuses what is not one statement: a simple query may have several, of
// which each but the last would go unnoticed. A backslash escapes in a literal,
// as literal says.
func single(sql string) error {
	statements, within := 0, false
	for i := 0; i < len(sql); i++ {
		switch c := sql[i]; {
		case c == ';':
			within = false
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		case strings.HasPrefix(sql[i:], "--"):
			i += until(sql[i:], "\n")
		case strings.HasPrefix(sql[i:], "/*"):
			i += until(sql[i:], "*/") + 1
		default:
			if !within {
				statements, within = statements+1, true
			}
			if c == '\'' || c == '"' {
				i = closing(sql, i)
			}
		}
	}
	if statements != 1 {
		return fmt.Errorf("%w: %d statements in one: send them one by one", arbalest.ErrInvalid, statements)
	}
	return nil
}

// until returns where in text mark begins, or else its end.
func until(text, mark string) int {
	if n := strings.Index(text, mark); n >= 0 {
		return n
	}
	return len(text)
}

// closing returns where the quote ends that begins at i. A doubled one ends and
// begins again.
func closing(sql string, i int) int {
	quote := sql[i]
	for i++; i < len(sql) && sql[i] != quote; i++ {
		if sql[i] == '\\' && quote == '\'' {
			i++
		}
	}
	return i
}
