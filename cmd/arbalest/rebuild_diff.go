package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"arbalest/internal/load"
	"arbalest/internal/warehouse"
)

// A rebuildRequest says which tables are made again, and which hours of them.
type rebuildRequest struct {
	hours
	Tables []string `json:"tables,omitempty"`
	Into   string   `json:"into,omitempty"` // the table that is made of the rows of the one table; empty is the live one
	Diff   bool     `json:"diff,omitempty"` // say what differs, and swap nothing
	Swap   bool     `json:"swap,omitempty"` // but swap all the same
}

// part returns the hours that are made again; the zero Part is all.
func (q rebuildRequest) part() load.Part {
	if q.hours == (hours{}) && q.Into == "" {
		return load.Part{}
	}
	from, to := q.span()
	return load.Part{From: from, To: to, Into: q.Into}
}

// A rebuildReport is what a rebuild did.
type rebuildReport struct {
	hours
	syncReport
	Diff    []tableDiff `json:"diff,omitempty"`
	Swapped bool        `json:"swapped"`
}

// A tableDiff is how a table that was made again differs from the live one. Rows are
// the same that have the same id and time.
type tableDiff struct {
	Table   string       `json:"table"`
	Same    int64        `json:"in_both"` // rows
	OnlyOld int64        `json:"only_old"`
	OnlyNew int64        `json:"only_new"`
	Columns []columnDiff `json:"columns"` // that differ
}

// A columnDiff is a column with other values, or of another type, or of one of the
// two tables only.
type columnDiff struct {
	Column string `json:"column"`
	Old    string `json:"old,omitempty"` // the type; empty if it is new
	New    string `json:"new,omitempty"` // empty if it goes
	Values int64  `json:"values"`        // of rows in both that differ
	// Unknown says that values were not compared: Redshift does not compare SUPER.
	Unknown bool `json:"unknown,omitempty"`
}

// compare compares the tables that were made with the live ones.
func (b *rebuilding) compare(ctx context.Context) (diffs []tableDiff, err error) {
	tables := slices.Clone(b.tables)
	queries := []string{"SELECT DISTINCT table_name FROM arbalest.rebuild_tables"}
	if b.tables == nil {
		queries = append(queries, "SELECT DISTINCT table_name FROM arbalest.tables")
	}
	for _, sql := range queries {
		err := b.database.Query(ctx, sql, func(v []any) error {
			name, _ := v[0].(string)
			tables = append(tables, name)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("list tables: %w", err)
		}
	}
	slices.Sort(tables)
	for _, table := range slices.Compact(tables) {
		d, err := b.compareTable(ctx, table)
		if err != nil {
			return nil, fmt.Errorf("compare %s: %w", table, err)
		}
		diffs = append(diffs, d)
	}
	return diffs, nil
}

func (b *rebuilding) compareTable(ctx context.Context, table string) (tableDiff, error) {
	d := tableDiff{Table: table, Columns: []columnDiff{}}
	dialect := b.database.Dialect()
	schema := "public"
	if dialect.Name == "duckdb" {
		schema = "main"
	}
	names := [2]string{dialect.Cut(table), dialect.Cut(load.BesidePrefix + table)}
	columns, err := b.columnsOf(ctx, schema, names)
	if err != nil {
		return d, err
	}
	live, err := b.relation(ctx, table) // what is made has what left the live table, too
	if err != nil {
		return d, err
	}
	rows := [2]string{}
	for i, from := range [2]string{live, warehouse.Ident(names[1])} {
		rows[i] = fmt.Sprintf("(SELECT * FROM %s.%s WHERE %s)", warehouse.Ident(schema), from, warehouse.Within("event_time", b.part))
		if !slices.ContainsFunc(columns, func(c columnDiff) bool { return [2]string{c.Old, c.New}[i] != "" }) {
			rows[i] = fmt.Sprintf("(SELECT event_id, event_time FROM %s WHERE 1 = 0)", warehouse.Qualified(schema, names[1-i])) // it is not there
		}
	}
	sums := []string{"CASE WHEN o.event_id IS NOT NULL AND n.event_id IS NOT NULL", "CASE WHEN n.event_id IS NULL", "CASE WHEN o.event_id IS NULL"}
	to := []*int64{&d.Same, &d.OnlyOld, &d.OnlyNew}
	for i := range columns {
		c := &columns[i]
		if c.Unknown = isDocument(c.Old, c.New) && dialect.Name == "redshift"; c.Unknown || c.Old == "" || c.New == "" {
			continue
		}
		o, n := "o."+warehouse.Ident(c.Column), "n."+warehouse.Ident(c.Column)
		isNull := fmt.Sprintf("(CASE WHEN %s IS NULL THEN 1 ELSE 0 END) <> (CASE WHEN %s IS NULL THEN 1 ELSE 0 END)", o, n)
		if c.Old != c.New && !(isNumber(c.Old) && isNumber(c.New)) || isDocument(c.Old, c.New) {
			o, n = "CAST("+o+" AS VARCHAR)", "CAST("+n+" AS VARCHAR)"
		}
		sums = append(sums, fmt.Sprintf("CASE WHEN o.event_id IS NOT NULL AND n.event_id IS NOT NULL AND (%s <> %s OR %s)", o, n, isNull))
		to = append(to, &c.Values)
	}
	for i := range sums {
		sums[i] = "CAST(coalesce(sum(" + sums[i] + " THEN 1 ELSE 0 END), 0) AS BIGINT)"
	}
	err = b.database.Query(ctx, fmt.Sprintf("SELECT %s FROM %s o FULL JOIN %s n ON o.event_id = n.event_id AND o.event_time = n.event_time", strings.Join(sums, ", "), rows[0], rows[1]), func(v []any) error {
		for i := range to {
			*to[i], _ = v[i].(int64)
		}
		return nil
	})
	for _, c := range columns {
		if c.Values > 0 || c.Old != c.New {
			d.Columns = append(d.Columns, c)
		}
	}
	return d, err
}

// columnsOf returns the columns of a live table and of that which was made, in their
// order.
func (b *rebuilding) columnsOf(ctx context.Context, schema string, tables [2]string) (columns []columnDiff, err error) {
	for i, table := range tables {
		err := b.database.Query(ctx, `SELECT column_name, data_type, character_maximum_length, numeric_precision, numeric_scale FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position`, func(v []any) error {
			name, _ := v[0].(string)
			kind, _ := v[1].(string)
			switch {
			case v[2] != nil:
				kind = fmt.Sprintf("%s(%v)", kind, v[2])
			case kind == "numeric" && v[3] != nil:
				kind = fmt.Sprintf("numeric(%v,%v)", v[3], v[4])
			}
			k := slices.IndexFunc(columns, func(c columnDiff) bool { return c.Column == name })
			if k < 0 {
				k = len(columns)
				columns = append(columns, columnDiff{Column: name})
			}
			*[2]*string{&columns[k].Old, &columns[k].New}[i] = kind
			return nil
		}, schema, table)
		if err != nil {
			return nil, fmt.Errorf("list columns: %w", err)
		}
	}
	return columns, nil
}

// isNumber says of a type, as a warehouse spells it, that SQL compares it with others
// by value.
func isNumber(kind string) bool {
	kind, _, _ = strings.Cut(strings.ToLower(kind), "(")
	return slices.Contains([]string{"smallint", "integer", "bigint", "numeric", "decimal", "real", "float", "double", "double precision"}, kind)
}

// isDocument says whether one of two types is that of JSON.
func isDocument(kinds ...string) bool {
	return slices.ContainsFunc(kinds, func(k string) bool { return strings.EqualFold(k, "json") || strings.EqualFold(k, "super") })
}

func (r rebuildReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	for _, d := range r.Diff {
		fmt.Fprintf(out, "%s: %s in both, %s only in the live table, %s only in the new one.\n", d.Table, plural(d.Same, "row"), thousands(d.OnlyOld), thousands(d.OnlyNew))
		for _, c := range d.Columns {
			switch {
			case c.New == "":
				fmt.Fprintf(out, "  %s %s goes\n", c.Column, c.Old)
			case c.Old == "":
				fmt.Fprintf(out, "  %s %s comes\n", c.Column, c.New)
			case c.Unknown:
				fmt.Fprintf(out, "  %s %s to %s: not compared\n", c.Column, c.Old, c.New)
			case c.Old != c.New:
				fmt.Fprintf(out, "  %s %s to %s: %s\n", c.Column, c.Old, c.New, differing(c.Values))
			default:
				fmt.Fprintf(out, "  %s %s: %s\n", c.Column, c.New, differing(c.Values))
			}
		}
	}
	if !r.Swapped {
		_, err := fmt.Fprintln(out, "The live tables are as they were: rebuild without --diff puts the new ones in their place.")
		return err
	}
	if r.Commits == 0 && len(r.Tables) == 0 {
		says := "The tables that were made before are in place."
		if r.hours != (hours{}) {
			says = "The store has no events of the hours" + r.hours.String() + ": nor have the tables."
		}
		_, err := fmt.Fprintln(out, says)
		return err
	}
	return r.syncReport.print(out, false)
}

func differing(values int64) string {
	if values == 1 {
		return "1 value differs"
	}
	return plural(values, "value") + " differ"
}
