package shell

import (
	"slices"
	"strings"

	"arbalest/internal/sqltext"
)

// A Catalog is what there is to complete besides SQL's own words.
type Catalog struct{ Tables []Table }

// A Table is a table or view of the warehouse.
type Table struct {
	Schema  string // empty if statements need not name it
	Name    string
	Columns []string
}

// qualified returns the table as statements name it.
func (t Table) qualified() string {
	if t.Schema == "" {
		return spell(t.Name)
	}
	return spell(t.Schema) + "." + spell(t.Name)
}

// spell quotes a name that needs it.
func spell(name string) string {
	plain := name != "" && (name[0] < '0' || name[0] > '9')
	for i := range len(name) {
		plain = plain && sqltext.IsName(name[i]) && (name[i] < 'A' || name[i] > 'Z')
	}
	if plain {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// complete returns what the text before the cursor may go on with: the piece of
// it that is completed, and the candidates, which all begin with that piece but
// for the case of letters. after is the text behind the cursor.
func (c Catalog) complete(before, after string) (typed string, candidates []string) {
	start := len(before)
	for start > 0 && (sqltext.IsName(before[start-1]) || before[start-1] == '.') {
		start--
	}
	if start > 0 && before[start-1] == '"' && openIn(before) == '"' {
		start--
	}
	if open := openIn(before[:start]); open != 0 {
		return "", nil // a string, a comment
	}
	typed = before[start:]
	if line := before[strings.LastIndexByte(before, '\n')+1:]; strings.HasPrefix(strings.TrimSpace(line), `\`) {
		return c.ofCommand(line, typed)
	}
	words := wordsOf(before[:start])
	last := ""
	if len(words) > 0 {
		last = strings.ToUpper(words[len(words)-1])
	}
	statement := wordsOf(before[:start] + " " + after)
	switch i := strings.LastIndexByte(typed, '.'); {
	case i >= 0:
		candidates = c.within(typed[:i], statement)
		for k := range candidates {
			candidates[k] = typed[:i+1] + candidates[k]
		}
	case slices.Contains([]string{"FROM", "JOIN", "DESCRIBE", "SUMMARIZE", "TABLE"}, last), last == "," && inFrom(words):
		candidates = c.tables()
	default:
		candidates = c.columns(statement)
		if typed != "" {
			candidates = append(candidates, c.tables()...)
		}
		if typed != "" && typed[0] != '"' {
			for _, k := range keywords {
				candidates = append(candidates, inCaseOf(k, typed))
			}
		}
	}
	return typed, matching(candidates, typed)
}

// ofCommand completes a command's name, or the table that it is about.
func (c Catalog) ofCommand(line, typed string) (string, []string) {
	name, _, argument := strings.Cut(strings.TrimLeft(line, " "), " ")
	if !argument {
		return name, matching(Commands[:], name)
	}
	switch name {
	case `\d`, `\dt`:
		return typed, matching(c.tables(), typed)
	case `\format`:
		return typed, matching([]string{"table", "csv", "json", "ndjson"}, typed)
	case `\x`, `\timing`:
		return typed, matching([]string{"on", "off"}, typed)
	}
	return "", nil
}

// Commands are what begins with a backslash.
var Commands = [...]string{`\?`, `\d`, `\dt`, `\format`, `\o`, `\q`, `\r`, `\timing`, `\x`}

// matching returns the candidates that go on from what is typed, each once.
func matching(candidates []string, typed string) []string {
	var out []string
	seen := map[string]bool{}
	for _, c := range candidates {
		if len(c) >= len(typed) && strings.EqualFold(c[:len(typed)], typed) && !seen[c] {
			seen[c] = true
			out = append(out, c)
		}
	}
	return out
}

func (c Catalog) tables() []string {
	var out, others []string
	for _, t := range c.Tables {
		if t.Schema == "" {
			out = append(out, t.qualified())
		} else {
			others = append(others, t.qualified())
		}
	}
	return append(out, others...)
}

// columns returns the columns of the tables that a statement names; of all
// without a schema if it names none.
func (c Catalog) columns(statement []string) []string {
	var named, all []string
	for _, t := range c.Tables {
		for _, col := range t.Columns {
			if t.Schema == "" {
				all = append(all, spell(col))
			}
			if names(statement, t) >= 0 {
				named = append(named, spell(col))
			}
		}
	}
	if named == nil {
		named = all
	}
	slices.Sort(named)
	return slices.Compact(named)
}

// within returns what may follow a name and a dot: columns of a table or of an
// alias, tables of a schema.
func (c Catalog) within(name string, statement []string) []string {
	name = unquoted(name)
	var out []string
	for _, t := range c.Tables {
		if strings.EqualFold(t.Schema, name) {
			out = append(out, spell(t.Name))
		}
		at := names(statement, t)
		alias := ""
		if at >= 0 && at+1 < len(statement) {
			if alias = statement[at+1]; strings.EqualFold(alias, "AS") && at+2 < len(statement) {
				alias = statement[at+2]
			}
		}
		if strings.EqualFold(t.Name, name) || strings.EqualFold(t.qualified(), name) || alias != "" && strings.EqualFold(unquoted(alias), name) {
			for _, col := range t.Columns {
				out = append(out, spell(col))
			}
		}
	}
	return out
}

// names returns where a statement names a table; -1 if it does not.
func names(statement []string, t Table) int {
	for i, w := range statement {
		if strings.EqualFold(w, t.qualified()) || strings.EqualFold(w, t.Name) && (t.Schema == "" || i > 1 && statement[i-1] == "." && strings.EqualFold(statement[i-2], t.Schema)) {
			return i
		}
	}
	return -1
}

// inFrom says whether the last clause that words name is FROM.
func inFrom(words []string) bool {
	for i := len(words) - 1; i >= 0; i-- {
		switch strings.ToUpper(words[i]) {
		case "FROM", "JOIN":
			return true
		case "SELECT", "WHERE", "ON", "GROUP", "ORDER", "USING", "(":
			return false
		}
	}
	return false
}

// wordsOf returns the words and symbols of SQL, without blanks and comments.
func wordsOf(sql string) []string {
	var words []string
	for p := range sqltext.Pieces(sql) {
		if p.Kind.Solid() {
			words = append(words, p.Text)
		}
	}
	return words
}

func unquoted(name string) string {
	if !strings.HasPrefix(name, `"`) {
		return name
	}
	return sqltext.Name(name)
}

// inCaseOf returns a key word in the case of what was typed of it, with the
// space that follows it.
func inCaseOf(keyword, typed string) string {
	if !strings.HasSuffix(keyword, "(") {
		keyword += " "
	}
	if typed == strings.ToLower(typed) {
		return strings.ToLower(keyword)
	}
	return keyword
}

// keywords are the words and functions of SQL that are worth completing.
var keywords = strings.Fields(`ALL AND ANTI ANY AS ASC BETWEEN BY CASE CAST CROSS CURRENT_DATE CURRENT_TIMESTAMP DESC DESCRIBE DISTINCT ELSE END EXCEPT EXCLUDE EXISTS EXPLAIN
	FALSE FILTER FROM FULL GROUP HAVING ILIKE IN INNER INTERSECT INTERVAL IS JOIN LATERAL LEFT LIKE LIMIT NATURAL NOT NULL NULLS OFFSET ON OR ORDER OUTER OVER PARTITION PIVOT
	QUALIFY RECURSIVE REPLACE RIGHT ROWS SEMI SELECT SHOW SIMILAR SUMMARIZE TABLE TABLES THEN TRUE UNION UNPIVOT USING VALUES WHEN WHERE WINDOW WITH
	ABS( APPROX_COUNT_DISTINCT( ARG_MAX( ARG_MIN( AVG( CEIL( COALESCE( CONCAT( COUNT( DATE_DIFF( DATE_PART( DATE_TRUNC( DENSE_RANK( EXTRACT( FIRST( FLOOR( GREATEST( IFNULL(
	JSON_EXTRACT( JSON_EXTRACT_STRING( LAG( LAST( LEAD( LEAST( LENGTH( LIST( LOWER( MAX( MEDIAN( MIN( NULLIF( QUANTILE_CONT( RANK( REGEXP_EXTRACT( REGEXP_MATCHES( REPLACE(
	ROUND( ROW_NUMBER( SPLIT_PART( STDDEV( STRFTIME( STRING_AGG( STRPTIME( SUBSTRING( SUM( TIME_BUCKET( TRIM( UNNEST( UPPER(`)
