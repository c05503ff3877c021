package duckdb

import "strings"

// trimStatement returns one statement without the semicolons, blanks and
// comments after it, so that it can stand in parentheses.
func trimStatement(sql string) string {
	end := 0 // after the last byte that counts
	for i := 0; i < len(sql); {
		n, counts := token(sql[i:])
		i += n
		if counts {
			end = i
		}
	}
	return sql[:end]
}

// token returns the length of what sql begins with: a comment, a quoted string
// or name, or one byte; and whether it is part of the statement. What is not
// closed goes to the end; DuckDB has refused it before it comes here.
func token(sql string) (n int, counts bool) {
	switch c := sql[0]; {
	case c == ' ', c == '\t', c == '\n', c == '\r', c == '\f', c == '\v', c == ';':
		return 1, false
	case strings.HasPrefix(sql, "--"):
		return through(sql, 2, "\n"), false
	case strings.HasPrefix(sql, "/*"):
		return comment(sql), false
	case (c == 'e' || c == 'E') && strings.HasPrefix(sql[1:], "'"):
		return escaped(sql), true
	case c == '\'', c == '"':
		return through(sql, 1, sql[:1]), true // a doubled quote is two strings
	case c == '$':
		if tag := dollarTag(sql); tag != "" {
			return through(sql, len(tag), tag), true
		}
	case isName(c):
		for n = 1; n < len(sql) && (isName(sql[n]) || sql[n] == '$'); n++ {
		}
		return n, true
	}
	return 1, true
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

// escaped returns the length of a string E'…' with backslashes.
func escaped(sql string) int {
	for i := 2; i < len(sql); i++ {
		switch sql[i] {
		case '\\':
			i++
		case '\'':
			return i + 1
		}
	}
	return len(sql)
}

// dollarTag returns the mark $tag$ that sql begins with, if it does.
func dollarTag(sql string) string {
	for i := 1; i < len(sql); i++ {
		if sql[i] == '$' {
			return sql[:i+1]
		}
		if !isName(sql[i]) {
			return ""
		}
	}
	return ""
}

func isName(c byte) bool {
	return c == '_' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
