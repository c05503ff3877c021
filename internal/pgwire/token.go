package pgwire

import "strings"

// A tokenKind says what a token is.
type tokenKind uint8

const (
	blank     tokenKind = iota // spaces and comments
	word                       // a name or key word
	quoted                     // a "name"
	text                       // a 'string', E'string' or $$string$$
	number                     // begins with a digit
	parameter                  // $1
	symbol                     // all else: an operator, or one character
)

// A token is a piece of SQL.
type token struct {
	kind   tokenKind
	text   string
	spaced bool // after a blank; solid says so
}

// is says whether a token is a word or symbol, which is in lower case.
func (t token) is(what string) bool {
	return (t.kind == word || t.kind == symbol) && strings.EqualFold(t.text, what)
}

// name returns the name that a word or a quoted name stands for, "" of others.
func (t token) name() string {
	switch t.kind {
	case word:
		return strings.ToLower(t.text)
	case quoted:
		return strings.ReplaceAll(strings.TrimSuffix(t.text[1:], `"`), `""`, `"`)
	}
	return ""
}

// tokenize splits SQL into tokens, which joined are the SQL again. What is not
// closed goes to the end.
func tokenize(sql string) []token {
	tokens := make([]token, 0, len(sql)/4+1)
	for len(sql) > 0 {
		kind, n := next(sql)
		tokens = append(tokens, token{kind: kind, text: sql[:n]})
		sql = sql[n:]
	}
	return tokens
}

// next returns what sql begins with, and its length.
func next(sql string) (tokenKind, int) {
	switch c := sql[0]; {
	case isBlank(c):
		n := 1
		for n < len(sql) && isBlank(sql[n]) {
			n++
		}
		return blank, n
	case strings.HasPrefix(sql, "--"):
		return blank, through(sql, 2, "\n")
	case strings.HasPrefix(sql, "/*"):
		return blank, comment(sql)
	case (c == 'e' || c == 'E') && strings.HasPrefix(sql[1:], "'"):
		return text, escaped(sql)
	case c == '\'':
		return text, literal(sql)
	case c == '"':
		return quoted, literal(sql)
	case c == '$':
		return dollar(sql)
	case isDigit(c):
		return number, numeral(sql)
	case isName(c):
		n := 1
		for n < len(sql) && (isName(sql[n]) || sql[n] == '$') {
			n++
		}
		return word, n
	}
	for _, operator := range []string{"::", "!~~*", "!~~", "!~*", "!~", "~~*", "~~", "~*", "<=", ">=", "<>", "!=", "->>", "->", "||"} {
		if strings.HasPrefix(sql, operator) {
			return symbol, len(operator)
		}
	}
	return symbol, 1
}

// through returns the length up to the end of the first mark from on.
func through(sql string, from int, mark string) int {
	if i := strings.Index(sql[from:], mark); i >= 0 {
		return from + i + len(mark)
	}
	return len(sql)
}

// comment returns the length of a block comment, in which others may be.
func comment(sql string) int {
	depth := 0
	for i := 0; i+1 < len(sql); i++ {
		switch sql[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(sql)
}

// literal returns the length of what is between quotes, which are doubled
// inside.
func literal(sql string) int {
	for i := 1; i < len(sql); i++ {
		if sql[i] != sql[0] {
			continue
		}
		if i+1 == len(sql) || sql[i+1] != sql[0] {
			return i + 1
		}
		i++
	}
	return len(sql)
}

// escaped returns the length of a string E'…' with backslashes.
func escaped(sql string) int {
	for i := 2; i < len(sql); i++ {
		switch sql[i] {
		case '\\':
			i++
		case '\'':
			if i+1 == len(sql) || sql[i+1] != '\'' {
				return i + 1
			}
			i++
		}
	}
	return len(sql)
}

// dollar returns what begins with a $: a parameter, or a string between two
// tags.
func dollar(sql string) (tokenKind, int) {
	n := 1
	for n < len(sql) && isDigit(sql[n]) {
		n++
	}
	if n > 1 {
		return parameter, n
	}
	for ; n < len(sql); n++ {
		if sql[n] == '$' {
			tag := sql[:n+1]
			return text, through(sql, len(tag), tag)
		}
		if !isName(sql[n]) {
			break
		}
	}
	return symbol, 1
}

func numeral(sql string) int {
	n := 1
	for n < len(sql) && (isName(sql[n]) || sql[n] == '.' || (sql[n] == '+' || sql[n] == '-') && (sql[n-1]|0x20) == 'e' && !strings.HasPrefix(sql, "0x")) {
		n++
	}
	return n
}

func isBlank(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isName(c byte) bool {
	return c == '_' || c >= 0x80 || isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// split splits SQL into its statements, without the semicolons. Blank ones are
// left out.
func split(sql string) [][]token {
	var statements [][]token
	var statement []token
	full := false
	for _, t := range append(tokenize(sql), token{kind: symbol, text: ";"}) {
		if !t.is(";") {
			statement = append(statement, t)
			full = full || t.kind != blank
			continue
		}
		if full {
			statements = append(statements, statement)
		}
		statement, full = nil, false
	}
	return statements
}

// join joins tokens.
func join(tokens []token) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(t.text)
	}
	return b.String()
}

// solid returns the tokens that are not blank.
func solid(tokens []token) []token {
	out := make([]token, 0, len(tokens))
	spaced := false
	for _, t := range tokens {
		if t.kind == blank {
			spaced = true
			continue
		}
		t.spaced = spaced
		out, spaced = append(out, t), false
	}
	return out
}

// quote quotes a string for SQL.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// unquote returns the string that a text token stands for.
func unquote(t string) string {
	switch {
	case strings.HasPrefix(t, "'"):
		return strings.ReplaceAll(strings.TrimSuffix(t[1:], "'"), "''", "'")
	case strings.HasPrefix(t, "$"):
		tag := t[:strings.IndexByte(t[1:], '$')+2]
		return strings.TrimSuffix(t[len(tag):], tag)
	}
	// E'…': the escapes of one character are enough for what is read so.
	return strings.NewReplacer(`\\`, `\`, `\'`, `'`, `''`, `'`, `\n`, "\n", `\t`, "\t", `\r`, "\r").Replace(strings.TrimSuffix(t[2:], "'"))
}
