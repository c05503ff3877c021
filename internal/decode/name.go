package decode

import (
	"strconv"
	"strings"

	"arbalest"
)

// names are a table's column names, the ones that it cannot have included.
type names struct {
	taken map[string]bool
	last  map[string]int // by name: the last suffix given
}

// maxName is how long a column's name may be, in bytes, in Redshift (Database
// Developer Guide, "Names and identifiers").
const maxName = 127

func newNames(columns []arbalest.Column) *names {
	n := &names{taken: map[string]bool{arbalest.PropertiesColumn.Name: true}, last: map[string]int{}}
	for _, c := range arbalest.SystemColumns {
		n.taken[c.Name] = true
	}
	// PostgreSQL and Redshift have these in every table (PostgreSQL, "System
	// Columns"), DuckDB the last.
	for _, name := range [...]string{"oid", "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid", "rowid"} {
		n.taken[name] = true
	}
	for _, c := range columns {
		n.taken[c.Name] = true
	}
	return n
}

// take returns a name for the path's column, which no other has: the path's
// elements joined by "_", in lower case, with "_" for what is not a letter,
// digit or "_" of ASCII, and for an empty element; and a number at the end
// where there would be two.
func (n *names) take(path []string) string {
	var b strings.Builder
	for i, key := range path {
		if i > 0 {
			b.WriteByte('_')
		}
		if key == "" {
			key = "_"
		}
		b.WriteString(arbalest.EventName(key).Table())
	}
	base := b.String()
	name := base[:min(len(base), maxName)]
	for next := n.last[base]; n.taken[name]; {
		next = max(next+1, 2)
		n.last[base] = next
		suffix := "_" + strconv.Itoa(next)
		name = base[:min(len(base), maxName-len(suffix))] + suffix
	}
	n.taken[name] = true
	return name
}
