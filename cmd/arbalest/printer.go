package main

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"

	"arbalest"
	"arbalest/internal/warehouse"
)

// A printer prints a result: End comes after the last row.
type printer interface {
	rowSink
	End() error
}

// newPrinter returns the printer of a format. Where the result goes decides how
// wide a table may be.
func newPrinter(format string, out *bufio.Writer, final io.Writer) (printer, error) {
	switch format {
	case "table":
		width := 0
		if f, ok := final.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			width, _, _ = term.GetSize(int(f.Fd()))
		}
		return &tablePrinter{out: out, width: width}, nil
	case "csv":
		return &csvPrinter{out: csv.NewWriter(out)}, nil
	case "json":
		return &jsonPrinter{out: out, open: "[\n", between: ",\n", end: "\n]\n"}, nil
	case "ndjson":
		return &jsonPrinter{out: out, between: "\n", end: "\n"}, nil
	}
	return nil, usage("--format %s: want table, csv, json or ndjson", format)
}

// maxTableRows is how many rows a table shows: it is for people.
const maxTableRows = 2000

// A tablePrinter draws a table. It holds the rows, since it must know how wide
// they are.
type tablePrinter struct {
	out     io.Writer
	width   int // of the terminal, 0 for none
	columns []warehouse.ResultColumn
	table   table.Writer
	rows    int64
}

// Columns implements rowSink.
func (p *tablePrinter) Columns(columns []warehouse.ResultColumn) error {
	p.columns = columns
	p.table = table.NewWriter()
	style := table.StyleRounded
	style.Format.Header = text.FormatDefault
	p.table.SetStyle(style)
	header := make(table.Row, len(columns))
	configs := make([]table.ColumnConfig, len(columns))
	for i, c := range columns {
		header[i] = c.Name
		configs[i] = table.ColumnConfig{Number: i + 1, WidthMax: 60, WidthMaxEnforcer: cutShort}
		if c.Kind == warehouse.NumberValue {
			configs[i].Align, configs[i].AlignHeader = text.AlignRight, text.AlignRight
		}
	}
	p.table.AppendHeader(header)
	p.table.SetColumnConfigs(configs)
	if p.width > 0 {
		style.Size.WidthMax = p.width
		p.table.SetStyle(style)
	}
	return nil
}

// Row implements rowSink.
func (p *tablePrinter) Row(values []warehouse.Value) error {
	if p.rows++; p.rows > maxTableRows {
		return nil
	}
	row := make(table.Row, len(values))
	for i, v := range values {
		row[i] = oneLine.Replace(v.Text)
		if v.Null {
			row[i] = "NULL"
		}
	}
	p.table.AppendRow(row)
	return nil
}

// oneLine keeps a row on one line and a terminal out of harm's way.
var oneLine = strings.NewReplacer("\n", "⏎", "\r", "", "\t", " ", "\x1b", "␛", "\x00", "␀")

// End implements printer.
func (p *tablePrinter) End() error {
	if p.rows > 0 {
		fmt.Fprintln(p.out, p.table.Render())
	} else if len(p.columns) > 0 {
		fmt.Fprintln(p.out, p.table.Render())
	}
	if p.rows > maxTableRows {
		_, err := fmt.Fprintf(p.out, "%s, the first %s shown: --format csv, json and ndjson give them all\n", plural(p.rows, "row"), thousands(maxTableRows))
		return err
	}
	_, err := fmt.Fprintln(p.out, plural(p.rows, "row"))
	return err
}

// A csvPrinter prints RFC 4180 with a header. NULL is an empty field.
type csvPrinter struct {
	out    *csv.Writer
	fields []string
}

// Columns implements rowSink.
func (p *csvPrinter) Columns(columns []warehouse.ResultColumn) error {
	p.fields = make([]string, len(columns))
	for i, c := range columns {
		p.fields[i] = c.Name
	}
	return p.out.Write(p.fields)
}

// Row implements rowSink.
func (p *csvPrinter) Row(values []warehouse.Value) error {
	for i, v := range values {
		p.fields[i] = v.Text
	}
	return p.out.Write(p.fields)
}

// End implements printer.
func (p *csvPrinter) End() error { p.out.Flush(); return p.out.Error() }

// A jsonPrinter prints an object for each row: numbers, booleans and JSON as
// they are, all else as strings.
type jsonPrinter struct {
	out                *bufio.Writer
	open, between, end string
	names              [][]byte
	bare               []bool
	rows               int
	line               []byte
}

// Columns implements rowSink.
func (p *jsonPrinter) Columns(columns []warehouse.ResultColumn) error {
	for _, c := range columns {
		p.names = append(p.names, arbalest.AppendString(nil, c.Name))
		p.bare = append(p.bare, c.Kind != warehouse.TextValue)
	}
	_, err := p.out.WriteString(p.open)
	return err
}

// Row implements rowSink.
func (p *jsonPrinter) Row(values []warehouse.Value) error {
	p.line = p.line[:0]
	if p.rows++; p.rows > 1 {
		p.line = append(p.line, p.between...)
	}
	p.line = append(p.line, '{')
	for i, v := range values {
		if i > 0 {
			p.line = append(p.line, ',')
		}
		p.line = append(append(p.line, p.names[i]...), ':')
		switch {
		case v.Null:
			p.line = append(p.line, "null"...)
		case p.bare[i] && !isNotFinite(v.Text):
			p.line = append(p.line, v.Text...)
		default:
			p.line = arbalest.AppendString(p.line, v.Text)
		}
	}
	p.line = append(p.line, '}')
	_, err := p.out.Write(p.line)
	return err
}

// End implements printer.
func (p *jsonPrinter) End() error {
	if p.rows == 0 && p.open == "" {
		return nil
	}
	_, err := p.out.WriteString(p.end)
	return err
}

// isNotFinite says of a number's text that JSON has no such number.
func isNotFinite(s string) bool { return s == "inf" || s == "-inf" || s == "nan" || s == "-nan" }

// cutShort cuts a cell's text, and shows that there is more.
func cutShort(s string, most int) string {
	if text.StringWidth(s) <= most {
		return s
	}
	return text.Trim(s, most-1) + "…"
}
