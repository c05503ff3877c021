package shell

import "strings"

// statementLength returns the length of the statement that sql begins with,
// including its semicolon; 0 if it is not ended.
func statementLength(sql string) int {
	for i := 0; i < len(sql); {
		if sql[i] == ';' {
			return i + 1
		}
		n, _ := piece(sql[i:])
		i += n
	}
	return 0
}

// openIn returns what sql ends within: ' or " or $ of a string or a name, * of a
// comment; 0 if it is within none.
func openIn(sql string) byte {
	for i := 0; i < len(sql); {
		n, closed := piece(sql[i:])
		if !closed {
			if sql[i] == '/' {
				return '*'
			}
			if sql[i] == 'e' || sql[i] == 'E' {
				return '\''
			}
			return sql[i]
		}
		i += n
	}
	return 0
}

// blankLength returns how much of sql's beginning is white space and comments
// that are closed.
func blankLength(sql string) int {
	i := 0
	for i < len(sql) {
		n, closed := piece(sql[i:])
		if !isSpace(sql[i]) && !isComment(sql[i:]) || !closed {
			break
		}
		i += n
	}
	return i
}

// piece returns the length of what sql, which is not empty, begins with: a
// string, a quoted name, a comment, a word, or one byte; and whether it is
// closed.
func piece(sql string) (n int, closed bool) {
	switch c := sql[0]; {
	case c == '\'' || c == '"':
		return quotedLength(sql, 0, false)
	case (c == 'e' || c == 'E') && strings.HasPrefix(sql[1:], "'"):
		return quotedLength(sql, 1, true)
	case strings.HasPrefix(sql, "--"):
		if i := strings.IndexByte(sql, '\n'); i >= 0 {
			return i + 1, true
		}
		return len(sql), true
	case strings.HasPrefix(sql, "/*"):
		return commentLength(sql)
	case c == '$':
		return dollarLength(sql)
	case isWord(c):
		for n = 1; n < len(sql) && (isWord(sql[n]) || sql[n] == '$'); n++ {
		}
		return n, true
	}
	return 1, true
}

// quotedLength is piece of what is between quotes, the first of them at open.
// They are doubled inside, or escaped by backslashes.
func quotedLength(sql string, open int, escapes bool) (int, bool) {
	quote := sql[open]
	for i := open + 1; i < len(sql); i++ {
		switch {
		case escapes && sql[i] == '\\':
			i++
		case sql[i] == quote && strings.HasPrefix(sql[i+1:], string(quote)):
			i++
		case sql[i] == quote:
			return i + 1, true
		}
	}
	return len(sql), false
}

// commentLength is piece of a block comment, in which others may be.
func commentLength(sql string) (int, bool) {
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

// dollarLength is piece of $tag$…$tag$, or of a $ that begins none.
func dollarLength(sql string) (int, bool) {
	for n := 1; n < len(sql); n++ {
		if sql[n] == '$' {
			tag := sql[:n+1]
			if i := strings.Index(sql[n+1:], tag); i >= 0 {
				return n + 1 + i + len(tag), true
			}
			return len(sql), false
		}
		if !isWord(sql[n]) || n == 1 && '0' <= sql[n] && sql[n] <= '9' {
			break
		}
	}
	return 1, true
}

func isComment(sql string) bool {
	return strings.HasPrefix(sql, "--") || strings.HasPrefix(sql, "/*")
}

func isSpace(c byte) bool { return strings.IndexByte(" \t\n\r\f\v", c) >= 0 }

func isWord(c byte) bool {
	return c == '_' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// oneLine returns a statement on one line, its comments left out; false if a
// string goes over several.
func oneLine(sql string) (string, bool) {
	var b strings.Builder
	for len(sql) > 0 {
		n, _ := piece(sql)
		switch {
		case isSpace(sql[0]) || isComment(sql):
			if s := b.String(); s != "" && s[len(s)-1] != ' ' {
				b.WriteByte(' ')
			}
		case strings.ContainsAny(sql[:n], "\n\r"):
			return "", false
		default:
			b.WriteString(sql[:n])
		}
		sql = sql[n:]
	}
	return strings.TrimSpace(b.String()), true
}
