package pgwire

import (
	"strings"

	"arbalest/internal/sqltext"
)

// A token is a piece of SQL.
type token struct {
	kind   sqltext.Kind
	text   string
	spaced bool // after a blank; solid says so
}

// is says whether a token is a word or symbol, which is in lower case.
func (t token) is(what string) bool {
	return (t.kind == sqltext.Word || t.kind == sqltext.Symbol) && strings.EqualFold(t.text, what)
}

// name returns the name that a word or a quoted name stands for, "" of others.
func (t token) name() string {
	switch t.kind {
	case sqltext.Word:
		return strings.ToLower(t.text)
	case sqltext.Quoted:
		return sqltext.Name(t.text)
	}
	return ""
}

// tokenize splits SQL into tokens, which joined are the SQL again. What is not
// closed goes to the end.
func tokenize(sql string) []token {
	tokens := make([]token, 0, len(sql)/4+1)
	for p := range sqltext.Pieces(sql) {
		tokens = append(tokens, token{kind: p.Kind, text: p.Text})
	}
	return tokens
}

// split splits SQL into its statements, without the semicolons. Blank ones are
// left out.
func split(sql string) [][]token {
	var statements [][]token
	var statement []token
	full := false
	for _, t := range append(tokenize(sql), token{kind: sqltext.Symbol, text: ";"}) {
		if !t.is(";") {
			statement = append(statement, t)
			full = full || t.kind.Solid()
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
		if !t.kind.Solid() {
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
