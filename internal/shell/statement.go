package shell

import (
	"strings"

	"arbalest/internal/sqltext"
)

// statementLength returns the length of the statement that sql begins with,
// including its semicolon; 0 if it is not ended.
func statementLength(sql string) int {
	n := 0
	for p := range sqltext.Pieces(sql) {
		if n += len(p.Text); p.Text == ";" {
			return n
		}
	}
	return 0
}

// openIn returns what sql ends within: ' or " or $ of a string or a name, * of a
// comment; 0 if it is within none.
func openIn(sql string) byte {
	for p := range sqltext.Pieces(sql) {
		switch {
		case p.Closed:
		case p.Kind == sqltext.Comment:
			return '*'
		default:
			return strings.TrimLeft(p.Text, "eE")[0]
		}
	}
	return 0
}

// blankLength returns how much of sql's beginning is white space and comments
// that are closed.
func blankLength(sql string) int {
	n := 0
	for p := range sqltext.Pieces(sql) {
		if p.Kind.Solid() || !p.Closed {
			break
		}
		n += len(p.Text)
	}
	return n
}

// oneLine returns a statement on one line, its comments left out; false if a
// string goes over several.
func oneLine(sql string) (string, bool) {
	var b strings.Builder
	for p := range sqltext.Pieces(sql) {
		switch {
		case !p.Kind.Solid():
			if s := b.String(); s != "" && s[len(s)-1] != ' ' {
				b.WriteByte(' ')
			}
		case strings.ContainsAny(p.Text, "\n\r"):
			return "", false
		default:
			b.WriteString(p.Text)
		}
	}
	return strings.TrimSpace(b.String()), true
}
