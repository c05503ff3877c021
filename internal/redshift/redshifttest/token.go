package redshifttest

import (
	"errors"
	"strings"
)

// A tokenKind says what a token is.
type tokenKind uint8

const (
	space     tokenKind = iota // white space and comments
	word                       // an unquoted name or keyword
	quoted                     // a quoted name
	text                       // a string literal
	number                     // an unsigned number
	parameter                  // $1
	symbol                     // one character of anything else, or ::
)

// A token is a piece of SQL. The raw texts of a statement's tokens make up the
// statement, so that it is rewritten by changing some.
type token struct {
	kind tokenKind
	raw  string
	// value is a word in lower case, what is within the quotes of a quoted name
	// or a literal, and else the raw text.
	value string
}

var errOpen = errors.New("unterminated quoted string or comment")

// tokenize divides SQL into statements, without their semicolons. A backslash in
// a literal escapes, as in PostgreSQL 8.0, where Redshift comes from.
func tokenize(sql string) (statements [][]token, err error) {
	var tokens []token
	for len(sql) > 0 {
		t, err := nextToken(sql)
		if err != nil {
			return nil, err
		}
		sql = sql[len(t.raw):]
		if t.raw == ";" {
			statements, tokens = append(statements, tokens), nil
			continue
		}
		tokens = append(tokens, t)
	}
	statements = append(statements, tokens)
	kept := statements[:0]
	for _, s := range statements {
		if len(significant(s)) > 0 {
			kept = append(kept, s)
		}
	}
	return kept, nil
}

func nextToken(sql string) (token, error) {
	c := sql[0]
	switch {
	case c == ' ' || c == '\t' || c == '\n' || c == '\r' || strings.HasPrefix(sql, "--") || strings.HasPrefix(sql, "/*"):
		n, err := spaceLength(sql)
		return token{space, sql[:n], ""}, err
	case c == '\'' || c == '"':
		return quotedToken(sql, c)
	case isWordStart(c):
		n := 1
		for n < len(sql) && (isWordStart(sql[n]) || isDigit(sql[n]) || sql[n] == '$') {
			n++
		}
		return token{word, sql[:n], fold(sql[:n])}, nil
	case isDigit(c) || c == '.' && len(sql) > 1 && isDigit(sql[1]):
		n := 1
		for n < len(sql) && (isDigit(sql[n]) || sql[n] == '.' || (sql[n]|0x20 == 'e') && n+1 < len(sql) && (isDigit(sql[n+1]) || sql[n+1] == '-' || sql[n+1] == '+')) {
			if sql[n]|0x20 == 'e' {
				n++
			}
			n++
		}
		return token{number, sql[:n], sql[:n]}, nil
	case c == '$' && len(sql) > 1 && isDigit(sql[1]):
		n := 2
		for n < len(sql) && isDigit(sql[n]) {
			n++
		}
		return token{parameter, sql[:n], sql[:n]}, nil
	case strings.HasPrefix(sql, "::"):
		return token{symbol, "::", "::"}, nil
	}
	return token{symbol, sql[:1], sql[:1]}, nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isWordStart(c byte) bool {
	return c == '_' || c == '#' || 'a' <= c|0x20 && c|0x20 <= 'z' || c >= 0x80
}

// spaceLength is how long the white space or comment is that sql begins with.
func spaceLength(sql string) (int, error) {
	switch {
	case strings.HasPrefix(sql, "--"):
		if n := strings.IndexByte(sql, '\n'); n >= 0 {
			return n + 1, nil
		}
		return len(sql), nil
	case strings.HasPrefix(sql, "/*"):
		n := strings.Index(sql[2:], "*/")
		if n < 0 {
			return 0, errOpen
		}
		return n + 4, nil
	}
	n := len(sql) - len(strings.TrimLeft(sql, " \t\r\n"))
	return n, nil
}

// quotedToken reads a literal or a quoted name.
func quotedToken(sql string, quote byte) (token, error) {
	var value []byte
	for i := 1; i < len(sql); i++ {
		switch {
		case sql[i] == quote && i+1 < len(sql) && sql[i+1] == quote:
			value = append(value, quote)
			i++
		case sql[i] == quote:
			kind := text
			if quote == '"' {
				kind = quoted
			}
			return token{kind, sql[:i+1], string(value)}, nil
		case sql[i] == '\\' && quote == '\'' && i+1 < len(sql):
			i++
			value = append(value, unescape(sql[i]))
		default:
			value = append(value, sql[i])
		}
	}
	return token{}, errOpen
}

func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	}
	return c
}

// fold turns ASCII letters into lower case.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}

// significant returns the tokens that are not space.
func significant(tokens []token) []*token {
	var out []*token
	for i := range tokens {
		if tokens[i].kind != space {
			out = append(out, &tokens[i])
		}
	}
	return out
}

// source puts tokens together again.
func source(tokens []token) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(t.raw)
	}
	return b.String()
}

// quote spells a name for PostgreSQL.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// literal spells a string for PostgreSQL, whatever it has.
func literal(s string) string {
	s = strings.ReplaceAll(s, "'", "''")
	if strings.Contains(s, `\`) {
		return "E'" + strings.ReplaceAll(s, `\`, `\\`) + "'"
	}
	return "'" + s + "'"
}

// A statement is the significant tokens of one.
type statement []*token

// is says whether the words (or symbols) at i are these.
func (s statement) is(i int, words ...string) bool {
	for k, w := range words {
		if i+k >= len(s) || i < 0 || s[i+k].value != w || s[i+k].kind != word && s[i+k].kind != symbol {
			return false
		}
	}
	return true
}

// word returns the word or symbol at i; "" if there is none.
func (s statement) word(i int) string {
	if i < 0 || i >= len(s) || s[i].kind != word && s[i].kind != symbol {
		return ""
	}
	return s[i].value
}

// name says whether at i there is a name.
func (s statement) name(i int) bool {
	return i >= 0 && i < len(s) && (s[i].kind == word || s[i].kind == quoted)
}

// close returns the index of the parenthesis that closes the one at i.
func (s statement) close(i int) int {
	depth := 0
	for ; i < len(s); i++ {
		switch s.word(i) {
		case "(":
			depth++
		case ")":
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(s)
}

// drop takes tokens out of the statement's text.
func (s statement) drop(from, to int) {
	for ; from < to && from < len(s); from++ {
		s[from].raw = ""
	}
}
