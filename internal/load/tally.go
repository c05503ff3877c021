package load

import (
	"fmt"

	"arbalest"
	"arbalest/internal/decode"
)

// A Tally is what becomes of a batch's events in a warehouse.
type Tally struct {
	Objects   []Counts   // of each of the batch's objects
	Conflicts []Conflict // all, those in the batch itself first
}

// NewTally counts what is known of a batch before the table is looked at. The
// error wraps arbalest.ErrInvalid if the batch is not whole.
func NewTally(tb *TableBatch) (*Tally, error) {
	if err := checkBatch(tb); err != nil {
		return nil, err
	}
	t := &Tally{Objects: make([]Counts, len(tb.Objects)), Conflicts: tb.ConflictRows[:len(tb.ConflictRows):len(tb.ConflictRows)]}
	for i, o := range tb.Objects {
		t.Objects[i].Stored = o.Events
		if tb.Repeats != nil {
			t.Objects[i].Repeats = tb.Repeats[i]
		}
		if tb.Conflicts != nil {
			t.Objects[i].Conflicts = tb.Conflicts[i]
		}
	}
	for k, c := range tb.Chunks {
		keep := BitsOf(tb.Keep, k)
		for row, object := range c.Object {
			if IsSet(keep, row, true) {
				t.Objects[object].Loaded++
			}
		}
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
	for _, counts := range [][]int64{tb.Repeats, tb.Conflicts} {
		if counts != nil && len(counts) != len(tb.Objects) {
			return bad("%d counts for %d objects", len(counts), objects)
		}
	}
	for _, c := range tb.ConflictRows {
		if c.Object < 0 || c.Object >= objects {
			return bad("conflict in object %d of %d", c.Object, objects)
		}
	}
	want := len(tb.Table.AllColumns())
	for k, c := range tb.Chunks {
		if len(c.Object) != c.Rows || len(c.Line) != c.Rows || c.Rows > 0 && len(c.Columns) != want {
			return bad("chunk %d has %d columns and %d, %d places for %d rows of %d columns", k, len(c.Columns), len(c.Object), len(c.Line), c.Rows, want)
		}
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
	return nil
}

// Repeat moves a row from the loaded to the repeats. kept is the hash of the
// row in the table.
func (t *Tally) Repeat(c *decode.Chunk, row int, kept string) {
	object := c.Object[row]
	t.Objects[object].Loaded--
	t.Objects[object].Repeats++
	hash := string(Text(&c.Columns[HashColumn], row))
	if hash == kept {
		return
	}
	t.Objects[object].Conflicts++
	t.Conflicts = append(t.Conflicts, Conflict{
		Object: object, Line: c.Line[row], ID: string(Text(&c.Columns[IDColumn], row)), Time: c.Columns[TimeColumn].Int64[row], Hash: hash, Kept: kept,
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
