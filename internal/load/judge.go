package load

import "slices"

// Asked returns the bits of the rows to ask the table for, as Keep's: those that
// are kept and the repeats among them, as what these repeat may be left out, or
// not be all that they repeat.
func (tb *TableBatch) Asked() [][]byte {
	if len(tb.Repeats) == 0 {
		return tb.Keep
	}
	bits := tb.copyKeep()
	for _, r := range tb.Repeats {
		k, row := bits.place(int(r.Row))
		bits.set(k, row, true)
	}
	return bits.keep
}

// Without returns the batch without the rows whose bits in keep are clear, which
// the warehouse cannot have. The batch itself stays as it is.
func (tb TableBatch) Without(keep [][]byte) TableBatch {
	if !slices.ContainsFunc(keep, func(bits []byte) bool { return bits != nil }) {
		return tb
	}
	bits := tb.copyKeep()
	for k, c := range tb.Chunks {
		for row := range c.Rows {
			if !IsSet(keep[k], row, true) {
				bits.set(k, row, false)
			}
		}
	}
	tb.Keep = bits.keep
	tb.Repeats = slices.DeleteFunc(slices.Clone(tb.Repeats), func(r Repeat) bool {
		k, row := bits.place(int(r.Row))
		return !IsSet(keep[k], row, true)
	})
	return tb
}

// Judge decides which rows are loaded, and counts them. twins are what the rows
// of Asked repeat in the table, in the order of the batch's rows; of one row
// there may be several, or that which it is held against. It returns the batch's
// Keep without the rows that repeat one of the table, and how many it keeps.
//
// What comes of a row is what would come of it in a batch of its own. Mostly a
// repeat of a row that repeats one of the table does so too. Where that need not
// be so, since a time of receipt reaches 24 hours and others an hour, or the row
// that it repeats was left out because the warehouse cannot have it, all rows of
// that id are gone through again.
func (t *Tally) Judge(tb *TableBatch, twins []Twin) (keep [][]byte, kept int) {
	j := &judgement{tb: tb, tally: t, bits: tb.copyKeep()}
	again := j.leaveOut(twins)
	j.each(twins, func(v verdict) {
		if len(again) == 0 || !again[j.id(v.chunk, v.row)] {
			t.repeat(tb.Chunks[v.chunk], v.row, v.of.Hash)
		}
	})
	if len(again) > 0 {
		j.again(twins, again)
	}
	for k, c := range tb.Chunks {
		bits := BitsOf(j.bits.keep, k)
		for row, object := range c.Object {
			if IsSet(bits, row, true) {
				t.Objects[object].Loaded++
				kept++
			}
		}
	}
	return j.bits.keep, kept
}

// A judgement is one Judge.
type judgement struct {
	tb    *TableBatch
	tally *Tally
	bits  *keeping // of the rows that are kept so far
}

// A verdict is a row that is left out, and what it is held against.
type verdict struct {
	chunk, row int
	of         Twin
	unsure     bool // the row that it repeats is left out, and nothing says that it repeats another
}

// leaveOut leaves out the rows that repeat one of the table, and returns the ids
// of which rows may have to come in for it.
func (j *judgement) leaveOut(twins []Twin) map[string]bool {
	for i := range twins {
		k, row := j.bits.place(twins[i].Row)
		j.bits.set(k, row, false)
	}
	if len(j.tb.Repeats) == 0 {
		return nil
	}
	var again map[string]bool
	j.each(twins, func(v verdict) {
		if !v.unsure {
			return
		}
		if again == nil {
			again = map[string]bool{}
		}
		again[j.id(v.chunk, v.row)] = true
	})
	return again
}

// each calls visit for every row that repeats one of the table or of the batch,
// in the batch's order.
func (j *judgement) each(twins []Twin, visit func(verdict)) {
	repeats := j.tb.Repeats
	for len(twins) > 0 || len(repeats) > 0 {
		var v verdict
		if len(repeats) == 0 || len(twins) > 0 && twins[0].Row < int(repeats[0].Row) {
			v.chunk, v.row = j.bits.place(twins[0].Row)
			v.of, twins = j.closest(v.chunk, v.row, twins)
			// A row that the warehouse cannot have is not asked for.
			if IsSet(BitsOf(j.tb.Keep, v.chunk), v.row, true) {
				visit(v)
			}
			continue
		}
		r := repeats[0]
		repeats = repeats[1:]
		v.chunk, v.row = j.bits.place(int(r.Row))
		there := len(twins) > 0 && twins[0].Row == int(r.Row)
		if there {
			v.of, twins = j.closest(v.chunk, v.row, twins)
		}
		k, row := j.bits.place(int(r.Of))
		if !IsSet(BitsOf(j.bits.keep, k), row, true) {
			v.unsure = !there || IsSet(BitsOf(j.tb.ByReceipt, v.chunk), v.row, false)
		} else if of := twinOf(j.tb.Chunks[k], row); !there || isCloser(Text(&j.tb.Chunks[v.chunk].Columns[HashColumn], v.row), of, v.of) {
			v.of = of
		}
		visit(v)
	}
}

// closest returns which of the first twins, which are those of a row, it is held
// against, and the other rows' twins.
func (j *judgement) closest(chunk, row int, twins []Twin) (Twin, []Twin) {
	best, n := twins[0], 1
	for ; n < len(twins) && twins[n].Row == best.Row; n++ {
		if isCloser(Text(&j.tb.Chunks[chunk].Columns[HashColumn], row), twins[n], best) {
			best = twins[n]
		}
	}
	return best, twins[n:]
}

// again goes through all rows of some ids, one after the other.
func (j *judgement) again(twins []Twin, ids map[string]bool) {
	kept := map[string][]Twin{} // of the batch
	repeats := j.tb.Repeats
	ordinal := -1
	for k, c := range j.tb.Chunks {
		keep, receipt := BitsOf(j.tb.Keep, k), BitsOf(j.tb.ByReceipt, k)
		for row := range c.Rows {
			ordinal++
			here := IsSet(keep, row, true)
			if len(repeats) > 0 && int(repeats[0].Row) == ordinal {
				repeats, here = repeats[1:], true
			}
			var of Twin
			there := len(twins) > 0 && twins[0].Row == ordinal
			if there {
				of, twins = j.closest(k, row, twins)
			}
			id := Text(&c.Columns[IDColumn], row)
			if !here || !ids[string(id)] {
				continue
			}
			this := Sighting{Time: c.Columns[TimeColumn].Int64[row], ByReceipt: IsSet(receipt, row, false)}
			for _, other := range kept[string(id)] {
				if this.Repeats(other.Time) && (!there || isCloser(Text(&c.Columns[HashColumn], row), other, of)) {
					of, there = other, true
				}
			}
			j.bits.set(k, row, !there)
			if there {
				j.tally.repeat(c, row, of.Hash)
			} else {
				kept[string(id)] = append(kept[string(id)], twinOf(c, row))
			}
		}
	}
}

func (j *judgement) id(chunk, row int) string {
	return string(Text(&j.tb.Chunks[chunk].Columns[IDColumn], row))
}
