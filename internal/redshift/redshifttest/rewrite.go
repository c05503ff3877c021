package redshifttest

import (
	"fmt"
	"strconv"
	"strings"
)

// version is what version() answers.
const version = "PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 (Red Hat 3.4.2-6.fc3), Redshift 1.0.0 (redshifttest)"

// rewrite changes a statement that Redshift understands into one that PostgreSQL
// does. inTransaction says that a transaction block is open.
func (s *session) rewrite(tokens []token, inTransaction bool) (sql string, err error) {
	st := statement(significant(tokens))
	if err := st.check(); err != nil {
		return "", err
	}
	suffix := ""
	switch {
	case st.is(0, "create", "table"), st.is(0, "create", "temp", "table"), st.is(0, "create", "temporary", "table"):
		if err := st.rewriteCreateTable(); err != nil {
			return "", err
		}
	case st.is(0, "alter", "table"):
		if err := s.rewriteAlterTable(st, inTransaction); err != nil {
			return "", err
		}
	case st.is(0, "lock"):
		if suffix, err = st.rewriteLock(); err != nil {
			return "", err
		}
	case st.is(0, "create"):
		// A late-binding view (CREATE VIEW) binds early here.
		for i := range st {
			if st.is(i, "with", "no", "schema", "binding") {
				st.drop(i, i+4)
			}
		}
	case st.is(0, "begin"), st.is(0, "start"):
		// Every isolation level is the database's (Developer Guide, "BEGIN").
		for i := range st {
			if st.is(i, "isolation", "level") {
				st.drop(i, len(st))
			}
		}
	}
	for i := range st {
		if st.is(i, "::") || st.is(i, "as") && i > 0 {
			if err := st.rewriteType(i+1, false); err != nil {
				return "", err
			}
		}
		s.rewriteCall(st, i)
	}
	s.rewriteNames(tokens)
	return source(tokens) + suffix, nil
}

// rewriteLock spells out the only mode that LOCK has.
func (s statement) rewriteLock() (suffix string, err error) {
	for i := range s {
		if s.is(i, "in") || s.is(i, "nowait") {
			return "", syntaxError(s[i].raw)
		}
	}
	if !s.is(1, "table") {
		s[0].raw = "LOCK TABLE"
	}
	return " IN ACCESS EXCLUSIVE MODE", nil
}

// rewriteCall puts in what the session knows, and functions of the leader node.
func (s *session) rewriteCall(st statement, i int) {
	replace := ""
	switch w := st.word(i); {
	case w == "sysdate" && !st.is(i-1, "."):
		st[i].raw, st[i].kind = "(now() AT TIME ZONE 'UTC')", symbol
		return
	case !st.is(i+1, "(", ")"):
		return
	case w == "pg_last_copy_id":
		replace = strconv.FormatInt(s.copyID, 10)
	case w == "pg_last_copy_count":
		replace = strconv.FormatInt(s.copyCount, 10)
	case w == "pg_backend_pid":
		replace = strconv.FormatUint(uint64(s.pid), 10)
	case w == "version":
		replace = literal(version) + "::text"
	default:
		return
	}
	if st[i].kind == word {
		st[i].raw, st[i].kind = "("+replace+")", symbol
		st.drop(i+1, i+3)
		if !st.is(i+3, "as") && (i == 0 || st.is(i-1, "select") || st.is(i-1, ",")) {
			st[i].raw += " AS " + quote(st[i].value)
		}
	}
}

// rewriteNames folds quoted names, shortens long ones, and keeps the meaning of
// backslashes in literals.
func (s *session) rewriteNames(tokens []token) {
	for i := range tokens {
		t := &tokens[i]
		if t.raw == "" {
			continue
		}
		switch t.kind {
		case quoted:
			t.raw = quote(s.server.names.short(s.server.names.fold(t.value)))
		case word:
			if len(t.value) > maxPostgres {
				t.raw = quote(s.server.names.short(s.server.names.fold(t.value)))
			}
		case text:
			known := s.server.names.known(t.value)
			if known == t.value && !strings.Contains(t.raw, `\`) {
				continue
			}
			t.raw = literal(known)
			if i > 0 && fold(tokens[i-1].raw) == "e" {
				tokens[i-1].raw = ""
			}
		}
	}
}

// rewriteType spells the type at i for PostgreSQL. In a definition a type without
// a length has Redshift's default.
func (s statement) rewriteType(i int, definition bool) error {
	w := s.word(i)
	for _, t := range types {
		if definition && w == t {
			return &refusal{code: "42704", message: fmt.Sprintf(`type "%s" does not exist`, w)}
		}
	}
	hasLength := s.is(i+1, "(")
	limit, otherwise := 0, ""
	switch w {
	case "super":
		s[i].raw = "json"
	case "varchar", "nvarchar":
		s[i].raw, limit, otherwise = "varchar", 65535, "(256)"
	case "character", "char", "nchar", "bpchar":
		s[i].raw, limit, otherwise = "char", 4096, "(1)"
		switch {
		case w == "bpchar":
			otherwise = "(256)"
		case s.is(i+1, "varying"):
			s[i+1].raw = ""
			s[i].raw, limit, otherwise = "varchar", 65535, "(256)"
			hasLength, i = s.is(i+2, "("), i+1
		}
	case "text":
		if definition {
			s[i].raw = "varchar(256)"
		}
	case "decimal", "numeric":
		otherwise = "(18,0)"
		if hasLength && i+2 < len(s) {
			if p, err := strconv.Atoi(s[i+2].value); err == nil && p > 38 {
				return &refusal{code: "22023", message: "DECIMAL precision must be between 1 and 38"}
			}
		}
	case "varbyte", "geometry", "geography", "hllsketch":
		return &refusal{code: "0A000", message: "emulator: type " + w + " is not emulated"}
	}
	switch {
	case !hasLength && definition && otherwise != "":
		s[i].raw += otherwise
	case hasLength && limit > 0 && s.is(i+2, "max"):
		s[i+2].raw, s[i+2].kind = strconv.Itoa(limit), number
	case hasLength && limit > 0 && i+2 < len(s):
		if n, err := strconv.Atoi(s[i+2].value); err == nil && n > limit {
			return &refusal{code: "22023", message: fmt.Sprintf("length for type %s cannot exceed %d", w, limit)}
		}
	}
	return nil
}
