package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arbalest/internal/warehouse"
	"arbalest/internal/web"
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
		var rows rowList
		var out []cobra.Completion
		if op.Query(ctx, sql, &rows) == nil {
			for _, row := range rows {
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
	if d := time.Since(*t); d >= 0 {
		return plain.Replace(web.Ago(max(d, time.Second))) // so many seconds, not "just now"
	}
	return stamp(t)
}

// bytesShown shows a size to people.
func bytesShown(n *int64) string {
	if n == nil {
		return ""
	}
	return plain.Replace(web.Bytes(*n))
}

// thousands returns 12345 as "12,345".
func thousands(n int64) string { return plain.Replace(web.Count(n)) }

// plain makes of what pages show what a terminal does.
var plain = strings.NewReplacer("\u202f", ",", "\u00a0", " ", "−", "-")

// A rowList keeps a result's texts.
type rowList [][]string

// Columns implements rowSink.
func (r *rowList) Columns([]warehouse.ResultColumn) error { return nil }

// Row implements rowSink.
func (r *rowList) Row(values []warehouse.Value) error {
	row := make([]string, len(values))
	for i, v := range values {
		row[i] = v.Text
	}
	*r = append(*r, row)
	return nil
}
