package redshifttest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// rewriteCreateTable takes out of a CREATE TABLE what only Redshift knows:
// encodings, keys, constraints that are informational.
func (s statement) rewriteCreateTable() error {
	i := 2
	if s.is(1, "temp") || s.is(1, "temporary") {
		i = 3
	}
	if s.is(i, "if", "not", "exists") {
		i += 3
	}
	if !s.name(i) {
		return syntaxError(s.at(i))
	}
	for i++; s.is(i, "."); {
		i += 2
	}
	if s.is(i, "(") {
		end := s.close(i)
		if !s.is(i+1, "like") && !s.is(end+1, "as") {
			if err := s.rewriteColumns(i+1, end); err != nil {
				return err
			}
		}
		i = end + 1
	}
	return s.dropAttributes(i)
}

func (s statement) at(i int) string {
	if i < len(s) {
		return s[i].raw
	}
	return "end of input"
}

// dropAttributes takes out a table's attributes, up to AS.
func (s statement) dropAttributes(i int) error {
	for i < len(s) && !s.is(i, "as") {
		from := i
		switch s.word(i) {
		case "backup", "encode":
			i += 2
		case "diststyle":
			if !slices.Contains([]string{"auto", "even", "key", "all"}, s.word(i+1)) {
				return syntaxError(s.at(i + 1))
			}
			i += 2
		case "compound", "interleaved":
			i++
		case "distkey", "sortkey":
			switch {
			case s.is(i+1, "("):
				i = s.close(i+1) + 1
			case s.is(i, "sortkey", "auto"):
				i += 2
			default:
				return syntaxError(s.at(i + 1))
			}
		default:
			return syntaxError(s.at(i))
		}
		s.drop(from, i)
	}
	return nil
}

// rewriteColumns rewrites the definitions between two parentheses.
func (s statement) rewriteColumns(from, to int) error {
	for from < to {
		end := from
		for end < to && !s.is(end, ",") {
			if s.is(end, "(") {
				end = s.close(end)
			}
			end++
		}
		if err := s.rewriteColumn(from, end); err != nil {
			return err
		}
		from = end + 1
	}
	return nil
}

// rewriteColumn rewrites one definition. A constraint of the table is taken out,
// with the comma before it: it is informational ("CREATE TABLE").
func (s statement) rewriteColumn(from, to int) error {
	if w := s.word(from); w == "primary" || w == "unique" || w == "foreign" || w == "constraint" {
		s.drop(from-1, to)
		return nil
	}
	if !s.name(from) || s[from].kind == word && slices.Contains(reserved, s[from].value) {
		return syntaxError(s.at(from))
	}
	if name := fold(s[from].value); slices.Contains(systemColumns, name) {
		return &refusal{code: "42701", message: fmt.Sprintf(`column name "%s" conflicts with a system column name`, name)}
	}
	if from+1 >= to {
		return syntaxError(s.at(to))
	}
	if err := s.rewriteType(from+1, true); err != nil {
		return err
	}
	for i := from + 2; i < to; i++ {
		switch s.word(i) {
		case "encode":
			s.drop(i, i+2)
			i++
		case "distkey", "sortkey":
			s.drop(i, i+1)
		case "unique":
			s.drop(i, i+1)
		case "primary":
			s.drop(i, i+2)
			i++
		case "check", "collate", "generated", "identity", "references", "[":
			return syntaxError(s[i].raw)
		case "(":
			i = s.close(i)
		}
	}
	return nil
}

// rewriteAlterTable holds ALTER TABLE to what Redshift's does: one column at a
// time, and of types only the length of a VARCHAR, outside of a transaction.
func (s *session) rewriteAlterTable(st statement, inTransaction bool) error {
	i := 3
	for st.is(i, ".") {
		i += 2
	}
	for k, depth := i, 0; k < len(st); k++ {
		switch st.word(k) {
		case "(":
			depth++
		case ")":
			depth--
		case ",":
			if depth == 0 {
				return syntaxError(",")
			}
		}
	}
	switch {
	case st.is(i, "append"):
		return unsupported("emulator: ALTER TABLE APPEND")
	case st.is(i, "add", "column"):
		return st.rewriteColumn(i+2, len(st))
	case st.is(i, "add") && st.name(i+1) && !st.is(i+1, "constraint") && !st.is(i+1, "primary") && !st.is(i+1, "unique") && !st.is(i+1, "foreign"):
		return st.rewriteColumn(i+1, len(st))
	case st.is(i, "alter", "column") && st.is(i+3, "type"):
		return s.rewriteAlterType(st, i, inTransaction)
	case st.is(i, "alter"):
		return unsupported("emulator: this ALTER TABLE ALTER")
	}
	return nil
}

func (s *session) rewriteAlterType(st statement, i int, inTransaction bool) error {
	if inTransaction {
		return &refusal{code: "25001", message: "ALTER TABLE ALTER COLUMN cannot run inside a transaction block"}
	}
	if err := st.rewriteType(i+4, true); err != nil {
		return err
	}
	column := s.server.names.short(s.server.names.fold(st[i+2].value))
	var table []token
	for _, t := range st[2:i] {
		table = append(table, *t)
	}
	s.rewriteNames(table)
	rows, err := s.up.rows("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = " + literal(source(table)) + "::regclass AND attname = " + literal(column))
	if err != nil {
		return err
	}
	if len(rows) != 1 {
		return &refusal{code: "42703", message: fmt.Sprintf(`column "%s" does not exist`, st[i+2].value)}
	}
	var old int
	if _, err := fmt.Sscanf(rows[0][0], "character varying(%d)", &old); err != nil || !strings.HasPrefix(st[i+4].raw, "varchar") {
		return &refusal{code: "0A000", message: "ALTER COLUMN TYPE is only supported for VARCHAR columns"}
	}
	if n, err := strconv.Atoi(st[min(i+6, len(st)-1)].raw); err != nil || n < old {
		return &refusal{code: "0A000", message: "emulator: a VARCHAR is only made longer"}
	}
	return nil
}
