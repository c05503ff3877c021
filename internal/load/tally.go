package load

import (
	"fmt"

	"arbalest"
	"arbalest/internal/decode"
)

// A Tally is what becomes of a batch's events in a warehouse.
type Tally struct {
	Objects   []Counts // of each of the batch's objects
	Conflicts []Conflict
}

// NewTally counts what is known of a batch before the table is looked at: what
// is stored and what failed. The error wraps arbalest.ErrInvalid if the batch is
// not whole.
func NewTally(tb *TableBatch) (*Tally, error) {
	if err := checkBatch(tb); err != nil {
		return nil, err
	}
	t := &Tally{Objects: make([]Counts, len(tb.Objects))}
	for i, o := range tb.Objects {
		t.Objects[i] = Counts{Stored: o.Events, Repeats: o.Repeats, Erased: o.Erased}
	}
	for _, c := range tb.Chunks {
		for _, e := range c.Errors {
			if !e.Loaded {
				t.Objects[e.Object].Errors++
			}
		}
	}
	return t, nil
}

func checkBatch(tb *TableBatch) error {
	objects := int32(len(tb.Objects))
	bad := func(what string, args ...any) error {
		return fmt.Errorf("%w: batch of %s: %s", arbalest.ErrInvalid, tb.Table.Name, fmt.Sprintf(what, args...))
	}
	want, rows := len(tb.Table.AllColumns()), 0
	if len(tb.IDs) != len(tb.Chunks) {
		return bad("%d chunks have hashes of ids, of %d", len(tb.IDs), len(tb.Chunks))
	}
	for k, c := range tb.Chunks {
		if len(tb.IDs[k]) != c.Rows {
			return bad("chunk %d has %d hashes of ids for %d rows", k, len(tb.IDs[k]), c.Rows)
		}
		if len(c.Object) != c.Rows || len(c.Line) != c.Rows || c.Rows > 0 && len(c.Columns) != want {
			return bad("chunk %d has %d columns and %d, %d places for %d rows of %d columns", k, len(c.Columns), len(c.Object), len(c.Line), c.Rows, want)
		}
		rows += c.Rows
		for _, bits := range [][]byte{BitsOf(tb.Keep, k), BitsOf(tb.ByReceipt, k)} {
			if bits != nil && len(bits)*8 < c.Rows {
				return bad("chunk %d has %d bits for %d rows", k, len(bits)*8, c.Rows)
			}
		}
		for _, object := range c.Object {
			if object < 0 || object >= objects {
				return bad("row of object %d of %d", object, objects)
			}
		}
		for _, e := range c.Errors {
			if e.Object < 0 || e.Object >= objects {
				return bad("load error in object %d of %d", e.Object, objects)
			}
		}
	}
	last := int32(-1)
	for _, r := range tb.Repeats {
		if r.Row <= last || int(r.Row) >= rows || r.Of < 0 || r.Of >= r.Row {
			return bad("row %d, after %d, repeats row %d of %d", r.Row, last, r.Of, rows)
		}
		last = r.Row
	}
	return nil
}

// repeat notes a row that repeats one with a hash that is in the table.
func (t *Tally) repeat(c *decode.Chunk, row int, kept string) {
	counts := &t.Objects[c.Object[row]]
	counts.Repeats++
	hash := Text(&c.Columns[HashColumn], row)
	if string(hash) == kept {
		return
	}
	counts.Conflicts++
	t.Conflicts = append(t.Conflicts, Conflict{
		Object: c.Object[row], Line: c.Line[row], ID: string(Text(&c.Columns[IDColumn], row)), Time: c.Columns[TimeColumn].Int64[row], Hash: string(hash), Kept: kept,
	})
}

// Sum returns the counts of all objects.
func (t *Tally) Sum() Counts {
	var sum Counts
	for _, c := range t.Objects {
		sum.Add(c)
	}
	return sum
}
