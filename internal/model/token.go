package model

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A token of SQL, as far as finding the names of tables needs it.
type token struct {
	kind tokenKind
	text string // of a quoted name without its quotes
	line int    // from 0
}

type tokenKind int

const (
	word   tokenKind = iota
	quoted           // a name in double quotes
	value            // a string or a number
	symbol
)

// fold returns a token as keywords and names without quotes are compared.
func (t token) fold() string {
	if t.kind == quoted {
		return "\"" // no keyword
	}
	return strings.ToLower(t.text)
}

// name returns a name as it is in the catalog, which is compared in lower case.
func (t token) name() string { return strings.ToLower(t.text) }

func (t token) isName() bool { return t.kind == word || t.kind == quoted }

// tokenize splits SQL. What is not closed goes to the end.
func tokenize(sql string) (tokens []token) {
	line := 0
	for i := 0; i < len(sql); {
		kind, n, keep := scan(sql[i:])
		text := sql[i : i+n]
		if keep {
			t := token{kind, text, line}
			if kind == quoted {
				t.text = strings.ReplaceAll(strings.TrimSuffix(text[1:], `"`), `""`, `"`)
			}
			tokens = append(tokens, t)
		}
		line += strings.Count(text, "\n")
		i += n
	}
	return tokens
}

// scan returns the token that text begins with, how long it is, and whether it
// is one: white space and comments are not.
func scan(text string) (kind tokenKind, n int, keep bool) {
	c, size := utf8.DecodeRuneInString(text)
	switch {
	case unicode.IsSpace(c):
		return symbol, size, false
	case strings.HasPrefix(text, "--"):
		return symbol, upTo(text, "\n", 2), false
	case strings.HasPrefix(text, "/*"):
		return symbol, comment(text), false
	case c == '\'':
		return value, closed(text, 1, '\'', false), true
	case (c == 'e' || c == 'E') && strings.HasPrefix(text[1:], "'"):
		return value, closed(text, 2, '\'', true), true
	case c == '"':
		return quoted, closed(text, 1, '"', false), true
	case c == '$':
		if tag := dollar(text); tag != "" {
			return value, upTo(text, tag, len(tag)), true
		}
	case c == '_' || unicode.IsLetter(c):
		return word, run(text, func(r rune) bool { return r == '_' || r == '$' || unicode.IsLetter(r) || unicode.IsDigit(r) }), true
	case unicode.IsDigit(c):
		return value, run(text, func(r rune) bool { return r == '.' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }), true
	}
	return symbol, size, true
}

func run(text string, is func(rune) bool) int {
	if n := strings.IndexFunc(text, func(r rune) bool { return !is(r) }); n >= 0 {
		return n
	}
	return len(text)
}

// upTo returns where what ends text ends, looked for from a byte on.
func upTo(text, end string, from int) int {
	if n := strings.Index(text[from:], end); n >= 0 {
		return from + n + len(end)
	}
	return len(text)
}

// comment returns how long a comment is, which may have others in it.
func comment(text string) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], "/*"):
			depth++
			i++
		case strings.HasPrefix(text[i:], "*/"):
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}

// closed returns where the quote is closed. Twice it is one of the text.
func closed(text string, from int, quote byte, backslash bool) int {
	for i := from; i < len(text); i++ {
		switch {
		case backslash && text[i] == '\\':
			i++
		case text[i] == quote && i+1 < len(text) && text[i+1] == quote:
			i++
		case text[i] == quote:
			return i + 1
		}
	}
	return len(text)
}

// dollar returns the $tag$ that text begins with.
func dollar(text string) string {
	n := 1 + run(text[1:], func(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) })
	if n < len(text) && text[n] == '$' && (n == 1 || !unicode.IsDigit(rune(text[1]))) {
		return text[:n+1]
	}
	return ""
}
