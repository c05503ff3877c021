package pgwire

import (
	_ "embed"
	"fmt"
	"strings"
)

// catalogSQL makes the views and macros, in a database of their own, "pg": those
// of pg_catalog in its main schema, those of information_schema in info.
//
//go:embed catalog.sql
var catalogSQL string

// empties are the relations of pg_catalog that have no rows here, with their
// columns: a name, or a name and its type. Those without are VARCHAR.
//
//go:embed empties.txt
var empties string

// A catalog is what PostgreSQL's clients ask of pg_catalog and
// information_schema.
type catalog struct {
	statements []string
	views      map[string]bool // of pg_catalog
	info       map[string]bool // views of information_schema
	macros     map[string]bool
	casts      map[string]string // of types that DuckDB does not have
}

// newCatalog returns a catalog that says which version it is of.
func newCatalog(version string) *catalog {
	c := &catalog{views: map[string]bool{}, info: map[string]bool{}, macros: map[string]bool{}, casts: castTypes()}
	c.statements = append(c.statements, "CREATE SCHEMA info", oidMacro(), nameMacro(), typesTable())
	for line := range strings.Lines(empties) {
		if line = strings.TrimSpace(line); line != "" {
			c.statements = append(c.statements, emptyView(line))
		}
	}
	for _, statement := range split(strings.ReplaceAll(catalogSQL, "{version}", version)) {
		c.statements = append(c.statements, strings.TrimSpace(join(statement)))
	}
	for _, s := range c.statements {
		words := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '(' || r == '\n' })
		if name, ok := strings.CutPrefix(words[2], "info."); ok {
			c.info[name] = true
		} else if words[1] == "MACRO" {
			c.macros[words[2]] = true
		} else {
			c.views[words[2]] = true
		}
	}
	return c
}

// emptyView returns the view of a line of empties.
func emptyView(line string) string {
	name, rest, _ := strings.Cut(line, ": ")
	columns := strings.Split(rest, ", ")
	for i, c := range columns {
		column, kind, ok := strings.Cut(c, " ")
		if !ok {
			kind = "VARCHAR"
		}
		columns[i] = "NULL::" + kind + " AS " + column
	}
	return "CREATE VIEW " + name + " AS SELECT " + strings.Join(columns, ", ") + " WHERE false"
}

// oidMacro makes pg_oid_of, PostgreSQL's type for one of DuckDB's, as typeSet.of
// has it.
func oidMacro() string {
	var b strings.Builder
	b.WriteString("CREATE MACRO pg_oid_of(t) AS (CASE regexp_replace(t, '\\(.*\\)$', '')")
	arrays := map[uint32]uint32{}
	for _, t := range types() {
		arrays[t.oid] = t.array
	}
	for duck, oid := range ducks() {
		fmt.Fprintf(&b, " WHEN %s THEN %d", quote(duck), oid)
		if oid != 114 && oid != 17 {
			fmt.Fprintf(&b, " WHEN %s THEN %d", quote(duck+"[]"), arrays[oid])
		}
	}
	b.WriteString(" WHEN 'ENUM' THEN 25 WHEN 'DECIMAL[]' THEN 1231 ELSE CASE WHEN regexp_matches(t, '^DECIMAL\\([0-9,]*\\)\\[\\]$') THEN 1231 ELSE 114 END END)::UINTEGER")
	return b.String()
}

// nameMacro makes pg_name_of, the name in SQL of one of PostgreSQL's types.
func nameMacro() string {
	var b strings.Builder
	b.WriteString("CREATE MACRO pg_name_of(o) AS CASE o::BIGINT")
	for _, t := range types() {
		fmt.Fprintf(&b, " WHEN %d THEN %s WHEN %d THEN %s", t.oid, quote(t.sql), t.array, quote(t.sql+"[]"))
	}
	b.WriteString(" WHEN 0 THEN '-' ELSE '???' END")
	return b.String()
}

// typesTable makes pg_types, the rows of pg_type.
func typesTable() string {
	var rows []string
	for _, t := range types() {
		rows = append(rows,
			fmt.Sprintf("(%d, %s, %d, %s, 0, %d)", t.oid, quote(t.name), t.size, quote(t.category), t.array),
			fmt.Sprintf("(%d, %s, -1, 'A', %d, 0)", t.array, quote("_"+t.name), t.oid))
	}
	return "CREATE VIEW pg_types AS SELECT * FROM (VALUES " + strings.Join(rows, ", ") + ") t(oid, typname, typlen, typcategory, typelem, typarray)"
}
