package model

import (
	"context"
	"fmt"
	"strings"

	"arbalest/internal/warehouse"
)

// A querier is a Database or a Tx.
type querier interface {
	Query(ctx context.Context, sql string, visit func(values []any) error, args ...any) error
}

// A relationInfo is a table or a view that is in the warehouse.
type relationInfo struct {
	isView  bool
	columns []columnInfo
}

// A columnInfo is a column with its type as information_schema spells it.
type columnInfo struct{ name, kind string }

// A catalog is relations by the name that a Ref has.
type catalog map[string]relationInfo

// place is the schema that events' tables and models are in.
func place(d warehouse.Dialect) string {
	if d.Name == "duckdb" {
		return "main"
	}
	return "public"
}

// sqlName spells the name of a Ref.
func sqlName(d warehouse.Dialect, name string) string {
	if schema, table, ok := strings.Cut(name, "."); ok {
		return warehouse.Qualified(schema, table)
	}
	return warehouse.Qualified(place(d), name)
}

// readCatalog reads the relations of some names; all if there are none.
func readCatalog(ctx context.Context, q querier, d warehouse.Dialect, names ...string) (catalog, error) {
	where := ""
	if len(names) > 0 {
		quoted := make([]string, len(names))
		for i, n := range names {
			quoted[i] = warehouse.Literal(n[strings.LastIndexByte(n, '.')+1:])
		}
		where = " AND lower(t.table_name) IN (" + strings.Join(quoted, ", ") + ")"
	}
	c := catalog{}
	err := q.Query(ctx, `SELECT t.table_schema, t.table_name, t.table_type, c.column_name, c.data_type, c.character_maximum_length, c.numeric_precision, c.numeric_scale
FROM information_schema.tables t LEFT JOIN information_schema.columns c ON c.table_catalog = t.table_catalog AND c.table_schema = t.table_schema AND c.table_name = t.table_name
WHERE t.table_catalog = current_database() AND t.table_schema NOT IN ('information_schema', 'pg_catalog')`+where+`
ORDER BY t.table_schema, t.table_name, c.ordinal_position`, func(v []any) error {
		schema, _ := v[0].(string)
		name, _ := v[1].(string)
		kind, _ := v[2].(string)
		column, _ := v[3].(string)
		if name = strings.ToLower(name); schema != place(d) {
			name = strings.ToLower(schema) + "." + name
		}
		r := c[name]
		r.isView = kind == "VIEW"
		if column != "" {
			// DuckDB's data_type has its digits in itself.
			spelled, _ := v[4].(string)
			if d.Name != "duckdb" {
				for _, n := range v[5:] {
					if n != nil {
						spelled += fmt.Sprintf(" %v", n)
					}
				}
			}
			r.columns = append(r.columns, columnInfo{strings.ToLower(column), spelled})
		}
		c[name] = r
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	return c, nil
}

// maxColumns is how many bytes a list of columns may have: a Redshift VARCHAR.
const maxColumns = 65535

// columnList spells columns, one a line.
func (r relationInfo) columnList() string {
	var b strings.Builder
	for _, c := range r.columns {
		fmt.Fprintf(&b, "%s %s\n", c.name, c.kind)
	}
	return b.String()
}

// has says that all of the columns that a list has are there, of the same types.
func (r relationInfo) has(list string) bool {
	all := "\n" + r.columnList()
	for line := range strings.SplitSeq(strings.TrimSuffix(list, "\n"), "\n") {
		if !strings.Contains(all, "\n"+line+"\n") {
			return false
		}
	}
	return true
}

// kindOf returns a column's type; empty if there is none.
func (r relationInfo) kindOf(column string) string {
	for _, c := range r.columns {
		if c.name == column {
			return c.kind
		}
	}
	return ""
}

// count runs a query that gives one number.
func count(ctx context.Context, q querier, query string, args ...any) (n int64, err error) {
	err = q.Query(ctx, query, func(values []any) error {
		n, _ = values[0].(int64)
		return nil
	}, args...)
	return n, err
}
