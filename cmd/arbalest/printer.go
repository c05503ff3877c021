package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

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
		return &tablePrinter{out: out, width: widthOf(final)}, nil
	case "csv":
		return &csvPrinter{out: csv.NewWriter(out)}, nil
	case "json":
		return &jsonPrinter{out: out, open: "[\n", between: ",\n", end: "\n]\n"}, nil
	case "ndjson":
		return &jsonPrinter{out: out, between: "\n", end: "\n"}, nil
	}
	return nil, checkFormat(format)
}

// maxTableRows is how many rows a table shows: it is for people.
const maxTableRows = 2000

// A tablePrinter draws a table. It holds the rows, since it must know how wide
// they are.
type tablePrinter struct {
	out     io.Writer
	width   int  // of the terminal, 0 for none
	enough  bool // more rows than are shown end the query
	columns []warehouse.ResultColumn
	table   table.Writer
	rows    int64
}

// Columns implements rowSink.
func (p *tablePrinter) Columns(columns []warehouse.ResultColumn) error {
	p.columns = columns
	p.table = table.NewWriter()
	header := make(table.Row, len(columns))
	configs := make([]table.ColumnConfig, len(columns))
	for i, c := range columns {
		header[i] = oneLine.Replace(c.Name)
		configs[i] = table.ColumnConfig{Number: i + 1, WidthMax: 60, WidthMaxEnforcer: cutShort}
		if c.Kind == warehouse.NumberValue {
			configs[i].Align, configs[i].AlignHeader = text.AlignRight, text.AlignRight
		}
	}
	p.table.AppendHeader(header)
	p.table.SetColumnConfigs(configs)
	return nil
}

// errEnough ends a query whose rows nobody will see.
var errEnough = errors.New("there are more rows than are shown")

// Row implements rowSink.
func (p *tablePrinter) Row(values []warehouse.Value) error {
	if p.rows++; p.rows > maxTableRows {
		if p.enough {
			return errEnough
		}
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
func (p *tablePrinter) End() error { return p.endAt(p.width) }

// endAt is End with another width. It may be called again.
func (p *tablePrinter) endAt(width int) error {
	if len(p.columns) > 0 {
		style := table.StyleRounded
		style.Format.Header = text.FormatDefault
		style.Size.WidthMax = width
		p.table.SetStyle(style)
		drawn := p.table.Render()
		if err := say(p.out, "%s\n", drawn); err != nil {
			return err
		}
		if p.enough && strings.HasSuffix(drawn, " ≈") {
			if err := say(p.out, "cut at the screen's edge: \\x shows whole rows; "); err != nil {
				return err
			}
		}
	}
	return sayRows(p.out, p.rows, p.enough)
}

// sayRows says how many rows there are, and how to get those that are not shown.
func sayRows(out io.Writer, rows int64, enough bool) error {
	switch {
	case rows > maxTableRows && enough:
		return say(out, "the first %s rows: \\format csv and \\o FILE give them all\n", thousands(maxTableRows))
	case rows > maxTableRows:
		return say(out, "%s, the first %s shown: --format csv, json and ndjson give them all\n", plural(rows, "row"), thousands(maxTableRows))
	}
	return say(out, "%s\n", plural(rows, "row"))
}

// An expandedPrinter prints each column of a row on a line of its own, whole.
type expandedPrinter struct {
	out    io.Writer
	enough bool
	names  []string // padded to one width
	rows   int64
}

// Columns implements rowSink.
func (p *expandedPrinter) Columns(columns []warehouse.ResultColumn) error {
	width := 0
	for _, c := range columns {
		width = max(width, text.StringWidth(c.Name))
	}
	for _, c := range columns {
		p.names = append(p.names, text.Pad(oneLine.Replace(c.Name), width, ' '))
	}
	return nil
}

// Row implements rowSink.
func (p *expandedPrinter) Row(values []warehouse.Value) error {
	if p.rows++; p.rows > maxTableRows {
		if p.enough {
			return errEnough
		}
		return nil
	}
	if err := say(p.out, "── %s\n", thousands(p.rows)); err != nil {
		return err
	}
	for i, v := range values {
		shown := oneLine.Replace(v.Text)
		if v.Null {
			shown = "NULL"
		}
		if err := say(p.out, "%s │ %s\n", p.names[i], shown); err != nil {
			return err
		}
	}
	return nil
}

// End implements printer.
func (p *expandedPrinter) End() error { return sayRows(p.out, p.rows, p.enough) }

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
