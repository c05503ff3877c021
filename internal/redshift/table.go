package redshift

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"arbalest"
	"arbalest/internal/warehouse"
)

// TableOptions are how a table's rows are divided among slices, sorted and
// encoded (Developer Guide, "CREATE TABLE"). They take effect when the table is
// made; of a table that is there ALTER TABLE changes them, by hand. What is not
// set is AUTO.
type TableOptions struct {
	DistKey   string            // column
	DistStyle string            // AUTO, EVEN, ALL or KEY. Defaults to KEY if there is a DistKey
	SortKey   []string          // columns, in order: a compound key, of at most 400
	Encode    map[string]string // column to encoding: RAW, AZ64, LZO, ZSTD …
}

// encodings are those of the Developer Guide's "Compression encodings".
var encodings = []string{"RAW", "AZ64", "BYTEDICT", "DELTA", "DELTA32K", "LZO", "MOSTLY8", "MOSTLY16", "MOSTLY32", "RUNLENGTH", "TEXT255", "TEXT32K", "ZSTD"}

// maxSortKey is how many columns a sort key may have.
const maxSortKey = 400

func (t TableOptions) validate() error {
	style := strings.ToUpper(t.DistStyle)
	switch {
	case !slices.Contains([]string{"", "AUTO", "EVEN", "ALL", "KEY"}, style):
		return fmt.Errorf("%w: distribution style %q is not AUTO, EVEN, ALL or KEY", arbalest.ErrInvalid, t.DistStyle)
	case (style == "KEY") != (t.DistKey != "") && style != "" || style != "" && style != "KEY" && t.DistKey != "":
		return fmt.Errorf("%w: the distribution style KEY and a distribution key go together", arbalest.ErrInvalid)
	case len(t.SortKey) > maxSortKey:
		return fmt.Errorf("%w: a sort key has at most %d columns", arbalest.ErrInvalid, maxSortKey)
	}
	for column, encoding := range t.Encode {
		if !slices.Contains(encodings, strings.ToUpper(encoding)) {
			return fmt.Errorf("%w: encoding %q of column %s is not one of %s", arbalest.ErrInvalid, encoding, column, strings.Join(encodings, ", "))
		}
	}
	return nil
}

// clause spells what follows the columns of a CREATE TABLE.
func (t TableOptions) clause() string {
	var b strings.Builder
	switch style := strings.ToUpper(t.DistStyle); {
	case t.DistKey != "":
		fmt.Fprintf(&b, " DISTSTYLE KEY DISTKEY (%s)", warehouse.Ident(t.DistKey))
	case style != "":
		b.WriteString(" DISTSTYLE " + style)
	}
	if len(t.SortKey) > 0 {
		keys := make([]string, len(t.SortKey))
		for i, k := range t.SortKey {
			keys[i] = warehouse.Ident(k)
		}
		fmt.Fprintf(&b, " COMPOUND SORTKEY (%s)", strings.Join(keys, ", "))
	}
	return b.String()
}

// createTable is the beginning of a CREATE TABLE, up to the table's name.
var createTable = regexp.MustCompile(`(?is)^\s*create\s+(?:(?:local\s+)?temp(?:orary)?\s+)?table\s+(?:if\s+not\s+exists\s+)?(?:(?:"(?:[^"]|"")*"|[\w$]+)\s*\.\s*)?("(?:[^"]|"")*"|[\w$]+)\s*`)

// stagingSuffix is what the name of the table ends with that a bulk copy fills and
// then renames.
const stagingSuffix = "_update"

// tableOptions returns the options of the table that a statement makes, and
// where in it the table's name is (nil if it makes none).
func (o Options) tableOptions(sql string) (t TableOptions, head []int) {
	if len(o.Tables) == 0 {
		return t, nil
	}
	if head = createTable.FindStringSubmatchIndex(sql); head == nil {
		return t, nil
	}
	name := unquote(sql[head[2]:head[3]])
	for _, n := range []string{name, strings.TrimSuffix(name, stagingSuffix), strings.TrimPrefix(name, warehouse.BesidePrefix)} {
		if t, ok := o.Tables[n]; ok {
			return t, head
		}
	}
	return t, nil
}

// withTableOptions adds a table's options to the statement that makes it, by
// any means of CREATE TABLE but LIKE, which has those of the other table. Other
// statements are returned as they are.
func (o Options) withTableOptions(sql string) string {
	t, head := o.tableOptions(sql)
	if head == nil {
		return sql
	}
	rest := sql[head[1]:]
	if !strings.HasPrefix(rest, "(") {
		return sql[:head[3]] + t.clause() + " " + rest
	}
	columns := split(rest[1:])
	if strings.HasPrefix(strings.ToLower(strings.TrimSpace(columns[0])), "like ") {
		return sql
	}
	end := len(columns) - 1 // the rest of the statement
	for i, c := range columns[:end] {
		columns[i] = t.encoded(c)
	}
	return sql[:head[1]] + "(" + strings.Join(columns[:end], ",") + ")" + t.clause() + columns[end]
}

// encoded adds its encoding to a column's definition.
func (t TableOptions) encoded(definition string) string {
	fields := strings.TrimSpace(definition)
	for column, encoding := range t.Encode {
		if name, _, ok := strings.Cut(fields, " "); ok && unquote(name) == strings.ToLower(column) {
			return strings.TrimRight(definition, " \n\t") + " ENCODE " + strings.ToUpper(encoding)
		}
	}
	return definition
}

// unquote reads a name as Redshift does, which folds quoted ones too.
func unquote(name string) string {
	if strings.HasPrefix(name, `"`) {
		name = strings.ReplaceAll(strings.Trim(name, `"`), `""`, `"`)
	}
	return strings.ToLower(name)
}

// split divides what follows an opening parenthesis at its commas. The last part
// is what comes after the closing one.
func split(text string) (parts []string) {
	depth, start, quote := 1, 0, byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0 // a doubled one opens again at once
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '(':
			depth++
		case c == ',' && depth == 1:
			parts, start = append(parts, text[start:i]), i+1
		case c == ')':
			if depth--; depth == 0 {
				return append(parts, text[start:i], text[i+1:])
			}
		}
	}
	return append(parts, text[start:], "")
}
