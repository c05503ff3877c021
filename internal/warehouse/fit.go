package warehouse

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"arbalest"
	"arbalest/internal/decode"
	"arbalest/internal/load"
)

// fit returns a batch that the database can have: without the texts that it
// cannot, though they are valid (Dialect.Unfit). In a table that was not
// declared such a value is NULL, and in the event's properties still; where it
// is one of the system columns, or the table was declared, the row is left out,
// also where it is one of the batch's repeats. Either is a load error. The batch
// itself stays as it is.
func (d Dialect) fit(tb load.TableBatch) load.TableBatch {
	if d.Unfit == nil {
		return tb
	}
	columns := tb.Table.AllColumns()
	wide := d.MaxRow > 0 && len(columns)*(maxWidth+7) > d.MaxRow // of most tables no row can be
	chunks := make([]*decode.Chunk, len(tb.Chunks))
	out := make([][]byte, len(tb.Chunks)) // clear for the rows that are left out here
	for k, c := range tb.Chunks {
		f := &fitting{dialect: d, chunk: c}
		for i, column := range columns {
			if c.Rows > 0 && isText(column.Type) {
				f.column(i, column, tb.Table.Declared || column.Declared || i < len(arbalest.SystemColumns))
			}
		}
		if wide && c.Rows > 0 {
			f.wideRows(columns, tb.Table.Declared)
		}
		for i, e := range f.chunk.Errors {
			e.ID, e.Value, e.Reason = d.shown(e.ID), d.shown(e.Value), d.shown(e.Reason)
			if e != f.chunk.Errors[i] {
				f.own()
				f.chunk.Errors[i] = e
			}
		}
		chunks[k], out[k] = f.chunk, f.keep
	}
	tb.Chunks = chunks
	return tb.Without(out)
}

func isText(t arbalest.Type) bool {
	return t.Kind == arbalest.Varchar || t.Kind == arbalest.Char || t.Kind == arbalest.JSON
}

// fitting is a chunk that is made to fit.
type fitting struct {
	dialect Dialect
	chunk   *decode.Chunk
	keep    []byte         // clear for the rows that are left out; nil for none
	owned   bool           // chunk is a copy
	copied  map[int][]byte // the columns' Valid that are
}

// own makes the chunk a copy: chunks are only to be read.
func (f *fitting) own() {
	if f.owned {
		return
	}
	c := *f.chunk
	c.Columns = append([]decode.Vector(nil), c.Columns...)
	c.Errors = append([]decode.LoadError(nil), c.Errors...)
	f.chunk, f.owned = &c, true
}

// column looks through a column of texts. out says that a row without its value
// is left out.
func (f *fitting) column(i int, column arbalest.Column, out bool) {
	v := &f.chunk.Columns[i]
	for row := range f.chunk.Rows {
		if v.Nulls > 0 && !load.IsSet(v.Valid, row, true) {
			continue
		}
		text := load.Text(v, row)
		reason := f.dialect.Unfit(column.Type.Kind, text)
		if reason == "" || !load.IsSet(f.keep, row, true) {
			continue
		}
		f.own()
		f.chunk.Errors = append(f.chunk.Errors, f.loadError(column, row, text, reason, !out))
		if out {
			f.leaveOut(row)
		} else {
			f.null(i, row)
		}
		v = &f.chunk.Columns[i]
	}
}

// leaveOut leaves a row out.
func (f *fitting) leaveOut(row int) {
	if f.keep == nil {
		f.keep = load.CopyBits(nil, f.chunk.Rows)
	}
	f.keep[row/8] &^= 1 << (row % 8)
}

// null makes a value NULL.
func (f *fitting) null(i, row int) {
	v := &f.chunk.Columns[i]
	if f.copied[i] == nil {
		var valid []byte // nil if all are
		if v.Nulls > 0 {
			valid = v.Valid
		}
		if f.copied == nil {
			f.copied = map[int][]byte{}
		}
		f.copied[i] = load.CopyBits(valid, f.chunk.Rows)
		v.Valid = f.copied[i]
	}
	v.Valid[row/8] &^= 1 << (row % 8)
	v.Nulls++
}

func (f *fitting) loadError(column arbalest.Column, row int, text []byte, reason string, loaded bool) decode.LoadError {
	const most = 4 << 10 // bytes of the value, of which the store has the whole
	value := string(text)
	if len(value) > most {
		value = cutText(value, most) + fmt.Sprintf("… (cut: %d bytes in all)", len(text))
	}
	if column.Type.Kind != arbalest.JSON {
		quoted, _ := json.Marshal(value) // a string always can be
		value = string(quoted)
	}
	c := f.chunk
	return decode.LoadError{
		Object: c.Object[row], Line: c.Line[row], ID: f.dialect.shown(string(load.Text(&c.Columns[load.IDColumn], row))), Time: c.Columns[load.TimeColumn].Int64[row],
		Column: column.Name, Value: value, Reason: "value " + reason, Loaded: loaded,
	}
}

// shown returns text as it is reported: all of it if the database can have it.
func (d Dialect) shown(s string) string {
	if d.Unfit(arbalest.Varchar, []byte(s)) == "" {
		return s
	}
	return cutText(strings.ReplaceAll(s, "\x00", "\ufffd"), 60_000)
}

// cutText returns the whole characters of the first bytes of a text.
func cutText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
