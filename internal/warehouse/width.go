package warehouse

import (
	"fmt"

	"arbalest"
	"arbalest/internal/decode"
	"arbalest/internal/load"
)

// maxWidth is how many bytes a value takes in its row at most: a text that is
// longer is kept elsewhere, with a pointer in the row.
const maxWidth = 25

// wideRows makes the rows fit that have more bytes than the database has room
// for in a row (Dialect.MaxRow): in a table that was not declared their last
// columns are NULL, with one load error for all of them, else they are left
// out.
func (f *fitting) wideRows(columns []arbalest.Column, declared bool) {
	for row := range f.chunk.Rows {
		if !load.IsSet(f.keep, row, true) {
			continue
		}
		first, bytes := 0, 0 // the first column that there is no room for
		// Properties have their place before all other columns.
		if !declared {
			bytes = maxWidth
		}
		for i, c := range columns {
			v := &f.chunk.Columns[i]
			if v.Nulls > 0 && !load.IsSet(v.Valid, row, true) || !declared && i == len(columns)-1 {
				continue
			}
			bytes = place(bytes, c.Type, v, row)
			if bytes > f.dialect.MaxRow && first == 0 {
				first = i
			}
		}
		if first == 0 {
			continue
		}
		f.own()
		e := f.loadError(columns[first], row, nil, "", !declared)
		e.Value, e.Reason = "", fmt.Sprintf("the row's values take %d bytes, and %s has room for %d: this column and those after it", bytes, f.dialect.Name, f.dialect.MaxRow)
		f.chunk.Errors = append(f.chunk.Errors, e)
		if declared {
			f.leaveOut(row)
			continue
		}
		for i := first; i < len(columns)-1; i++ {
			if v := &f.chunk.Columns[i]; v.Nulls == 0 || load.IsSet(v.Valid, row, true) {
				f.null(i, row)
			}
		}
	}
}

// place returns where a value ends that is put after so many bytes.
func place(bytes int, t arbalest.Type, v *decode.Vector, row int) int {
	size := 8
	switch t.Kind {
	case arbalest.Boolean:
		return bytes + 1
	case arbalest.SmallInt:
		size = 2
	case arbalest.Integer, arbalest.Date, arbalest.Real:
		size = 4
	case arbalest.Decimal:
		return bytes + maxWidth
	case arbalest.Char, arbalest.Varchar, arbalest.JSON:
		return bytes + min(len(load.Text(v, row))+1, maxWidth)
	}
	return (bytes+size-1)/size*size + size
}
