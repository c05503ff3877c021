package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"arbalest/internal/warehouse"
)

// A shown is what a command found, as --format has it.
type shown interface {
	print(out io.Writer, format string) error
}

// show asks for something and prints it.
func (p *place) show(cmd *cobra.Command, format string, ask func(context.Context, operator) (shown, error)) error {
	if err := checkFormat(format); err != nil {
		return err
	}
	op, err := p.operate(cmd.Context())
	if err != nil {
		return err
	}
	defer op.Close()
	r, err := ask(cmd.Context(), op)
	if err != nil {
		return err
	}
	return r.print(cmd.OutOrStdout(), format)
}

// names completes an argument with the first column of a result.
func (p *place) names(sql string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		op, err := p.operate(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer op.Close()
		var to gathered
		var out []cobra.Completion
		if op.Query(ctx, sql, &to) == nil {
			for _, row := range to.rows {
				out = append(out, row[0])
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// A listing is rows as csv, json and ndjson print them.
type listing struct {
	columns []warehouse.ResultColumn
	rows    [][]warehouse.Value
}

// newListing returns one with columns of those names. What the values of the
// first row are says how all are written.
func newListing(names ...string) *listing {
	l := &listing{}
	for _, n := range names {
		l.columns = append(l.columns, warehouse.ResultColumn{Name: n})
	}
	return l
}

// add adds a row: strings, numbers, times (nil or zero for none), bool, and what
// is JSON already.
func (l *listing) add(values ...any) {
	row := make([]warehouse.Value, len(values))
	for i, v := range values {
		kind := warehouse.TextValue
		switch v := v.(type) {
		case int64:
			row[i].Text, kind = strconv.FormatInt(v, 10), warehouse.NumberValue
		case float64:
			row[i].Text, kind = strconv.FormatFloat(v, 'f', -1, 64), warehouse.NumberValue
		case bool:
			row[i].Text, kind = strconv.FormatBool(v), warehouse.BooleanValue
		case json.RawMessage:
			row[i].Text, row[i].Null, kind = string(v), v == nil, warehouse.JSONValue
		case time.Time:
			row[i].Text, row[i].Null = v.UTC().Format(time.RFC3339Nano), v.IsZero()
		case *time.Time:
			if row[i].Null = v == nil; v != nil {
				row[i].Text = v.UTC().Format(time.RFC3339Nano)
			}
		case *int64:
			if row[i].Null, kind = v == nil, warehouse.NumberValue; v != nil {
				row[i].Text = strconv.FormatInt(*v, 10)
			}
		default:
			row[i].Text = fmt.Sprint(v)
		}
		if len(l.rows) == 0 {
			l.columns[i].Kind = kind
		}
	}
	l.rows = append(l.rows, row)
}

// print prints the rows in a format that is not table.
func (l *listing) print(out io.Writer, format string) error {
	w := newWriter(out)
	to, err := newPrinter(format, w, out)
	if err != nil {
		return err
	}
	if err := to.Columns(l.columns); err != nil {
		return err
	}
	for _, row := range l.rows {
		if err := to.Row(row); err != nil {
			return err
		}
	}
	if err := to.End(); err != nil {
		return err
	}
	return w.Flush()
}

// ago shows a time to people as how long ago it was.
func ago(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	d := time.Since(*t)
	switch {
	case d < 0:
		return stamp(t)
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%s days ago", thousands(int64(d.Hours()/24)))
}

// bytesShown shows a size to people.
func bytesShown(n *int64) string {
	if n == nil {
		return ""
	}
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	f, i := float64(*n), 0
	for ; f >= 1024 && i < len(units)-1; i++ {
		f /= 1024
	}
	if i == 0 || f >= 100 {
		return fmt.Sprintf("%.0f %s", f, units[i])
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}
