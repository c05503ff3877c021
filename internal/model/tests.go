package model

import (
	"fmt"
	"regexp"
	"strings"

	"arbalest"
	"arbalest/internal/warehouse"
)

// A Test is what must hold of a model: a query that must give no rows.
type Test struct {
	Kind    testKind
	Columns []string
	Values  []string // that are accepted
	Other   string   // the table that Columns[0] refers to
	Column  string   // its column
	Line    int
}

type testKind string

const (
	notNull  testKind = "not_null"
	unique   testKind = "unique"
	accepted testKind = "accepted_values"
	relation testKind = "relationships"
)

// call matches one test of a line.
var call = regexp.MustCompile(`^\s*([a-z_]+)\(([^()]*)\)\s*(?:,|$)`)

// parseTests reads "not_null(a), unique(a, b), accepted_values(b: x, y),
// relationships(c: other.d)".
func parseTests(text string, line int) (tests []Test, err error) {
	for strings.TrimSpace(text) != "" {
		m := call.FindStringSubmatch(text)
		if m == nil {
			return nil, fmt.Errorf("%w: tests: %q: write not_null(a), unique(a), accepted_values(b: x, y) or relationships(c: other.d), with commas between", arbalest.ErrInvalid, text)
		}
		text = text[len(m[0]):]
		t := Test{Kind: testKind(m[1]), Line: line}
		columns, rest, _ := strings.Cut(m[2], ":")
		t.Columns = list(columns)
		wrong := len(t.Columns) == 0
		switch t.Kind {
		case notNull, unique:
			wrong = wrong || rest != ""
		case accepted:
			for _, v := range list(rest) {
				if n := len(v); n >= 2 && v[0] == '\'' && v[n-1] == '\'' {
					v = strings.ReplaceAll(v[1:n-1], "''", "'")
				}
				t.Values = append(t.Values, v)
			}
			wrong = len(t.Columns) != 1 || len(t.Values) == 0
		case relation:
			rest = strings.TrimSpace(rest)
			dot := strings.LastIndexByte(rest, '.')
			if wrong = len(t.Columns) != 1 || dot < 1 || dot == len(rest)-1; !wrong {
				t.Other, t.Column = withoutDefault(strings.ToLower(rest[:dot])), rest[dot+1:]
			}
		default:
			return nil, fmt.Errorf("%w: tests: there is no %s: there are not_null, unique, accepted_values and relationships", arbalest.ErrInvalid, t.Kind)
		}
		if wrong {
			return nil, fmt.Errorf("%w: tests: %s: write not_null(a), unique(a), accepted_values(b: x, y) or relationships(c: other.d)", arbalest.ErrInvalid, strings.TrimSpace(m[0]))
		}
		tests = append(tests, t)
	}
	return tests, nil
}

// String spells a test as its line does.
func (t Test) String() string {
	columns := strings.Join(t.Columns, ", ")
	switch t.Kind {
	case accepted:
		return fmt.Sprintf("%s(%s: %s)", t.Kind, columns, strings.Join(t.Values, ", "))
	case relation:
		return fmt.Sprintf("%s(%s: %s.%s)", t.Kind, columns, t.Other, t.Column)
	}
	return fmt.Sprintf("%s(%s)", t.Kind, columns)
}

// query is what must give no rows for a model's table.
func (t Test) query(table string, qualify func(string) string) string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = warehouse.Ident(strings.ToLower(c))
	}
	all := strings.Join(names, ", ")
	switch t.Kind {
	case notNull:
		return fmt.Sprintf("SELECT * FROM %s WHERE %s IS NULL", table, strings.Join(names, " IS NULL OR "))
	case unique:
		return fmt.Sprintf("SELECT %s, count(*) AS row_count FROM %s WHERE %s IS NOT NULL GROUP BY %[1]s HAVING count(*) > 1", all, table, strings.Join(names, " IS NOT NULL AND "))
	case accepted:
		values := make([]string, len(t.Values))
		for i, v := range t.Values {
			values[i] = warehouse.Literal(v)
		}
		return fmt.Sprintf("SELECT %s, count(*) AS row_count FROM %s WHERE CAST(%[1]s AS VARCHAR(65535)) NOT IN (%[3]s) GROUP BY %[1]s", all, table, strings.Join(values, ", "))
	}
	return fmt.Sprintf("SELECT m.%[1]s, count(*) AS row_count FROM %[2]s m WHERE m.%[1]s IS NOT NULL AND NOT EXISTS (SELECT 1 FROM %[3]s o WHERE o.%[4]s = m.%[1]s) GROUP BY m.%[1]s",
		all, table, qualify(t.Other), warehouse.Ident(strings.ToLower(t.Column)))
}
