package model

import (
	"strings"

	"arbalest/internal/sqltext"
)

// A token of SQL, as far as finding the names of tables needs it.
type token struct {
	kind sqltext.Kind
	text string // of a quoted name without its quotes
	line int    // from 0
}

// fold returns a token as keywords and names without quotes are compared.
func (t token) fold() string {
	if t.kind == sqltext.Quoted {
		return "\"" // no keyword
	}
	return strings.ToLower(t.text)
}

// name returns a name as it is in the catalog, which is compared in lower case.
func (t token) name() string { return strings.ToLower(t.text) }

func (t token) isName() bool { return t.kind == sqltext.Word || t.kind == sqltext.Quoted }

// tokenize splits SQL. What is not closed goes to the end.
func tokenize(sql string) (tokens []token) {
	line := 0
	for p := range sqltext.Pieces(sql) {
		t := token{p.Kind, p.Text, line}
		if t.kind == sqltext.Quoted {
			t.text = sqltext.Name(p.Text)
		}
		if t.kind.Solid() {
			tokens = append(tokens, t)
		}
		line += strings.Count(p.Text, "\n")
	}
	return tokens
}
