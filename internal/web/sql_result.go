package web

import (
	"bufio"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"arbalest"
	"arbalest/internal/warehouse"
)

const (
	// maxRows and maxBytes bound the result that a page's script is given, maxCell
	// is how many bytes of a value are.
	maxRows  = 10_000
	maxBytes = 16 << 20
	maxCell  = 64 << 10
	// maxShown and maxShownBytes bound a result that is in the page itself.
	maxShown      = 500
	maxShownBytes = 2 << 20
)

// run answers with a result as JSON, which is written as it comes:
//
//	{"columns":[{"name":"n","type":"BIGINT","kind":"number"}],
//	 "rows":[["1"],[null],[{"cut":"its beginning","bytes":70000}]],
//	 "more":true,"milliseconds":12}
//
// Values are texts, so that numbers keep their digits. more says that there are
// rows which were left out. A fault is {"error":…}, as fault has it, also after
// some rows.
func (c *console) run(w http.ResponseWriter, r *http.Request, sql string) error {
	start := time.Now()
	w.Header().Set("Cache-Control", "no-store")
	s := &jsonResult{out: bufio.NewWriterSize(w, 64<<10), header: w.Header()}
	err := c.ask(r.Context(), sql, s)
	if err != nil && !s.begun {
		return err
	}
	s.out.WriteByte(']')
	if f := c.faultOf(r, sql, err); f != nil {
		fmt.Fprintf(s.out, `,"error":%s`, f.json())
	}
	fmt.Fprintf(s.out, `,"more":%t,"milliseconds":%d}`+"\n", s.more, time.Since(start).Milliseconds())
	_ = s.out.Flush() // the browser may be gone
	return nil
}

// A jsonResult writes a result for the page's script.
type jsonResult struct {
	out    *bufio.Writer
	header http.Header
	begun  bool
	rows   int
	bytes  int
	more   bool
	line   []byte
}

// kindNames are the kinds of values, as the page's script has them.
func kindName(k warehouse.ValueKind) string {
	switch k {
	case warehouse.NumberValue:
		return "number"
	case warehouse.BooleanValue:
		return "boolean"
	case warehouse.JSONValue:
		return "json"
	}
	return "text"
}

// Columns implements warehouse.Sink.
func (s *jsonResult) Columns(columns []warehouse.ResultColumn) error {
	s.begun = true
	s.header.Set("Content-Type", "application/json")
	b := []byte(`{"columns":[`)
	for i, c := range columns {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(append(b, `{"name":`...), c.Name)
		b = appendText(append(b, `,"type":`...), c.Type)
		b = append(append(append(b, `,"kind":"`...), kindName(c.Kind)...), `"}`...)
	}
	_, err := s.out.Write(append(b, `],"rows":[`...))
	return err
}

// Row implements warehouse.Sink.
func (s *jsonResult) Row(values []warehouse.Value) error {
	if s.rows == maxRows || s.bytes >= maxBytes {
		s.more = true
		return errEnough
	}
	b := s.line[:0]
	if s.rows > 0 {
		b = append(b, ",\n"...)
	}
	b = append(b, '[')
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		switch {
		case v.Null:
			b = append(b, "null"...)
		case len(v.Text) > maxCell:
			b = appendText(append(b, `{"cut":`...), cutText(v.Text, maxCell))
			b = append(strconv.AppendInt(append(b, `,"bytes":`...), int64(len(v.Text)), 10), '}')
		default:
			b = appendText(b, v.Text)
		}
	}
	b = append(b, ']')
	s.line, s.rows, s.bytes = b, s.rows+1, s.bytes+len(b)
	_, err := s.out.Write(b)
	return err
}

// appendText appends a JSON string of any text.
func appendText(b []byte, s string) []byte {
	return arbalest.AppendString(b, strings.ToValidUTF8(s, "\ufffd"))
}

// cutText returns the beginning of a text, of most bytes and whole characters.
func cutText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// A shownResult is the beginning of a result, for the page itself.
type shownResult struct {
	Names  []shownColumn
	Values [][]shownValue
	More   bool // than Values

	bytes int
}

// Count returns how many rows are shown.
func (s *shownResult) Count() int64 { return int64(len(s.Values)) }

// A shownColumn is a column of a shownResult.
type shownColumn struct {
	Name, Type string
	Number     bool
}

// A shownValue is a value of a shownResult.
type shownValue struct {
	Text   string
	Null   bool
	Number bool
	Cut    int64 // how many bytes it has if Text is its beginning only
}

// Columns implements warehouse.Sink.
func (s *shownResult) Columns(columns []warehouse.ResultColumn) error {
	for _, c := range columns {
		s.Names = append(s.Names, shownColumn{c.Name, c.Type, c.Kind == warehouse.NumberValue})
	}
	return nil
}

// Row implements warehouse.Sink.
func (s *shownResult) Row(values []warehouse.Value) error {
	if len(s.Values) == maxShown || s.bytes >= maxShownBytes {
		s.More = true
		return errEnough
	}
	row := make([]shownValue, len(values))
	for i, v := range values {
		row[i] = shownValue{Text: cutText(v.Text, 1000), Null: v.Null, Number: s.Names[i].Number}
		if len(row[i].Text) < len(v.Text) {
			row[i].Cut = int64(len(v.Text))
			row[i].Text = strings.Clone(row[i].Text)
		}
		s.bytes += len(row[i].Text) + 50 // and what it is wrapped in
	}
	s.Values = append(s.Values, slices.Clip(row))
	return nil
}
