package duckdb

import (
	"fmt"

	"arbalest"
	"arbalest/internal/decode"
	"arbalest/internal/load"
)

// A tally is what became of a batch's events, for each of its objects.
type tally struct {
	objects   []load.Counts
	conflicts []load.Conflict
}

// newTally counts what is known of a batch before the table is looked at. The
// error wraps arbalest.ErrInvalid if the batch is not whole.
func newTally(tb *load.TableBatch) (*tally, error) {
	if err := checkBatch(tb); err != nil {
		return nil, err
	}
	t := &tally{objects: make([]load.Counts, len(tb.Objects)), conflicts: tb.ConflictRows[:len(tb.ConflictRows):len(tb.ConflictRows)]}
	for i, o := range tb.Objects {
		t.objects[i].Stored = o.Events
		if tb.Repeats != nil {
			t.objects[i].Repeats = tb.Repeats[i]
		}
		if tb.Conflicts != nil {
			t.objects[i].Conflicts = tb.Conflicts[i]
		}
	}
	for k, c := range tb.Chunks {
		keep := bitsOf(tb.Keep, k)
		for row, object := range c.Object {
			if isSet(keep, row, true) {
				t.objects[object].Loaded++
			}
		}
		for _, e := range c.Errors {
			if !e.Loaded {
				t.objects[e.Object].Errors++
			}
		}
	}
	return t, nil
}

func checkBatch(tb *load.TableBatch) error {
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
		for _, bits := range [][]byte{bitsOf(tb.Keep, k), bitsOf(tb.ByReceipt, k)} {
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

// repeat moves a row from the loaded to the repeats. kept is the hash of the
// row in the table.
func (t *tally) repeat(c *decode.Chunk, row int, kept string) {
	object := c.Object[row]
	t.objects[object].Loaded--
	t.objects[object].Repeats++
	hash := text(&c.Columns[hashColumn], row)
	if hash == kept {
		return
	}
	t.objects[object].Conflicts++
	t.conflicts = append(t.conflicts, load.Conflict{
		Object: object, Line: c.Line[row], ID: text(&c.Columns[idColumn], row), Time: c.Columns[timeColumn].Int64[row], Hash: hash, Kept: kept,
	})
}

// sum returns the counts of all objects.
func (t *tally) sum() load.Counts {
	var sum load.Counts
	for _, c := range t.objects {
		sum.Add(c)
	}
	return sum
}

func text(v *decode.Vector, row int) string { return string(textBytes(v, row)) }

func textBytes(v *decode.Vector, row int) []byte { return v.Data[v.Offsets[row]:v.Offsets[row+1]] }

// bitsOf returns the bits of chunk k, nil if there are none.
func bitsOf(bits [][]byte, k int) []byte {
	if bits == nil {
		return nil
	}
	return bits[k]
}

func isSet(bits []byte, row int, absent bool) bool {
	if bits == nil {
		return absent
	}
	return bits[row/8]>>(row%8)&1 != 0
}
