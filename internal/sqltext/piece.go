// Package sqltext splits SQL text into pieces, as far as PostgreSQL, Redshift and
// DuckDB agree on where strings, names and comments begin and end. It knows no
// grammar, and stores nothing.
package sqltext

import (
	"iter"
	"strings"
	"unicode/utf8"
)

// A Kind says what a piece is.
type Kind uint8

// The kinds of pieces.
const (
	Blank     Kind = iota // white space
	Comment               // -- to the end of the line, or /* */, in which others may be
	Word                  // a name or key word
	Quoted                // a "name"
	Text                  // a 'string', E'string' or $tag$string$tag$
	Number                // begins with a digit
	Parameter             // $1
	Symbol                // all else: an operator, or one byte
)

// Solid says whether a piece is neither blank nor a comment.
func (k Kind) Solid() bool { return k > Comment }

// A Piece is what SQL consists of.
type Piece struct {
	Kind   Kind
	Text   string // as it is written, with quotes; at least one byte
	Closed bool   // false if it ends where the SQL does, and wants more
}

// Pieces returns the pieces of SQL, which joined are the SQL again.
func Pieces(sql string) iter.Seq[Piece] {
	return func(yield func(Piece) bool) {
		for len(sql) > 0 {
			kind, n, closed := first(sql)
			if !yield(Piece{kind, sql[:n], closed}) {
				return
			}
			sql = sql[n:]
		}
	}
}

// Name returns the name that a quoted name stands for.
func Name(quoted string) string {
	return strings.ReplaceAll(strings.TrimSuffix(quoted[1:], `"`), `""`, `"`)
}

// IsName says whether a name without quotes may have a byte: all of UTF-8 that is
// not ASCII, too.
func IsName(c byte) bool { return c == '_' || c >= utf8.RuneSelf || isDigit(c) || isLetter(c) }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// first returns what sql, which is not empty, begins with.
func first(sql string) (kind Kind, n int, closed bool) {
	switch c := sql[0]; {
	case space(sql) > 0:
		for n < len(sql) && space(sql[n:]) > 0 {
			n += space(sql[n:])
		}
		return Blank, n, true
	case strings.HasPrefix(sql, "--"):
		if i := strings.IndexAny(sql, "\n\r"); i >= 0 {
			return Comment, i + 1, true
		}
		return Comment, len(sql), true
	case strings.HasPrefix(sql, "/*"):
		n, closed = comment(sql)
		return Comment, n, closed
	case (c == 'e' || c == 'E') && strings.HasPrefix(sql[1:], "'"):
		n, closed = quoted(sql, 1, true)
		return Text, n, closed
	case c == '\'':
		n, closed = quoted(sql, 0, false)
		return Text, n, closed
	case c == '"':
		n, closed = quoted(sql, 0, false)
		return Quoted, n, closed
	case c == '$':
		return dollar(sql)
	case isDigit(c):
		return Number, number(sql), true
	case IsName(c):
		for n < len(sql) && (sql[n] == '$' || inName(sql[n:])) {
			n++
		}
		return Word, n, true
	}
	for _, operator := range []string{"::", "!~~*", "!~~", "!~*", "!~", "~~*", "~~", "~*", "<=", ">=", "<>", "!=", "->>", "->", "||"} {
		if strings.HasPrefix(sql, operator) {
			return Symbol, len(operator), true
		}
	}
	return Symbol, 1, true
}

// spaces are what DuckDB takes for white space. In a name of PostgreSQL those that
// are not ASCII could be.
const spaces = " \t\n\r\f\v\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u202f\u205f\u2060\u3000\ufeff"

// space returns the length of the white space that sql begins with: one
// character, or 0.
func space(sql string) int {
	if c, size := utf8.DecodeRuneInString(sql); strings.ContainsRune(spaces, c) {
		return size
	}
	return 0
}

// inName says whether sql begins with a byte of a name.
func inName(sql string) bool {
	return IsName(sql[0]) && (sql[0] < utf8.RuneSelf || space(sql) == 0)
}

// comment returns the length of a block comment, in which others may be.
func comment(sql string) (n int, closed bool) {
	depth := 0
	for i := 0; i+1 < len(sql); i++ {
		switch sql[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
		}
		if depth == 0 {
			return i + 1, true
		}
	}
	return len(sql), false
}

// quoted returns the length of what is between quotes, the first of them at open.
// They are doubled inside, or escaped by backslashes.
func quoted(sql string, open int, escapes bool) (n int, closed bool) {
	for i := open + 1; i < len(sql); i++ {
		switch {
		case escapes && sql[i] == '\\':
			i++
		case sql[i] == sql[open] && strings.HasPrefix(sql[i+1:], sql[open:open+1]):
			i++
		case sql[i] == sql[open]:
			return i + 1, true
		}
	}
	return len(sql), false
}

// dollar returns what begins with a $: a parameter, or a string between two tags,
// which do not begin with a digit.
func dollar(sql string) (kind Kind, n int, closed bool) {
	n = 1
	for n < len(sql) && isDigit(sql[n]) {
		n++
	}
	if n > 1 {
		return Parameter, n, true
	}
	for n < len(sql) && inName(sql[n:]) {
		n++
	}
	if !strings.HasPrefix(sql[n:], "$") {
		return Symbol, 1, true
	}
	n++
	if i := strings.Index(sql[n:], sql[:n]); i >= 0 {
		return Text, n + i + n, true
	}
	return Text, len(sql), false
}

// number returns the length of a number, with the letters after it.
func number(sql string) int {
	hex := strings.HasPrefix(strings.ToLower(sql[:min(2, len(sql))]), "0x")
	for n := 1; n < len(sql); n++ {
		sign := (sql[n] == '+' || sql[n] == '-') && sql[n-1]|0x20 == 'e' && !hex && n+1 < len(sql) && isDigit(sql[n+1])
		if sql[n] != '.' && !sign && !inName(sql[n:]) {
			return n
		}
	}
	return len(sql)
}
