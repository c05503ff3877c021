package load

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/zeebo/xxh3"

	"arbalest"
)

// reach is how many hours of event time around a part have rows that those of the
// part may repeat (Sighting.Repeats).
const reach = 24

// A Part is the hours of event time that a rebuild is of: From <= hour < To. The
// zero Part is all hours, and tables as a whole.
type Part struct {
	From, To arbalest.Hour
	// Into is the name of a table that is made of those rows, one that Load does not
	// know. All else then stays as it is. Empty, they take the place of those of the
	// live table.
	Into string
}

// IsAll says whether the part is all hours.
func (p Part) IsAll() bool { return p == Part{} }

// Has says whether an hour is of the part.
func (p Part) Has(h arbalest.Hour) bool { return p.IsAll() || p.From <= h && h < p.To }

// Around returns the part with the hours that have what its rows may repeat.
func (p Part) Around() Part {
	if p.IsAll() {
		return p
	}
	return Part{From: max(arbalest.FirstHour, p.From-reach), To: min(arbalest.EndHour, p.To+reach)}
}

// String says which hours the part is.
func (p Part) String() string {
	if p.IsAll() {
		return "all hours"
	}
	return fmt.Sprintf("hours from %s to %s", p.From, p.To-1)
}

func (p Part) check(tables int) error {
	switch {
	case p.IsAll():
		return nil
	case p.From >= p.To || p.From < arbalest.FirstHour || p.To > arbalest.EndHour:
		return fmt.Errorf("%w: rebuild hours %d to %d: they are none, or not of the years 1 to 9999", arbalest.ErrInvalid, p.From, p.To)
	case p.Into != "" && tables != 1:
		return fmt.Errorf("%w: rebuild %d tables into %s: name one", arbalest.ErrInvalid, tables, p.Into)
	}
	return nil
}

// HoldsPart holds that tables, or all, are loaded up to the cursor, so that some
// hours of them can be made again: those of a stalled one are loaded yet, and would
// be a second time. The error wraps arbalest.ErrUnavailable.
func (p Progress) HoldsPart(tables ...string) error {
	for _, table := range slices.Sorted(maps.Keys(p.Stalled)) {
		if len(tables) == 0 || slices.Contains(tables, table) {
			return fmt.Errorf("%w: table %s is stalled at commit %d: no hours of it can be made again before it is loaded: rebuild the whole table, or others by their names", arbalest.ErrUnavailable, table, p.Stalled[table].Commit+1)
		}
	}
	return nil
}

// takes says whether the loader loads an object.
func (l *Loader) takes(o arbalest.Object) bool {
	return (l.only == nil || l.only[o.Event]) && l.part.Around().Has(o.Hour)
}

// An identity is that of a row, short: a hash of its id and hash.
type identity struct {
	of             xxh3.Uint128
	time, received int64
}

// known returns a batch without the rows outside of the part that the live table
// has not. Those that it has are all that rows of the part may be held against: what
// the log's first sighting of them repeats may be further away than the loader looks,
// and is known from its not being there. So what is left is judged as in a rebuild of
// the whole table.
func (l *Loader) known(ctx context.Context, tb TableBatch) (TableBatch, error) {
	if l.part.IsAll() {
		return tb, nil
	}
	seed := rand.Uint64()
	var text []byte
	identityOf := func(id, hash []byte, time, received int64) identity {
		text = append(append(append(text[:0], id...), 0), hash...)
		return identity{xxh3.Hash128Seed(text, seed), time, received}
	}
	there := map[identity]bool{} // in the live table
	outside := func(visit func(chunk, row int, i identity)) {
		for k, c := range tb.Chunks {
			for row, object := range c.Object {
				if !l.part.Has(tb.Objects[object].Hour) {
					visit(k, row, identityOf(Text(&c.Columns[IDColumn], row), Text(&c.Columns[HashColumn], row), c.Columns[TimeColumn].Int64[row], c.Columns[ReceivedColumn].Int64[row]))
				}
			}
		}
	}
	outside(func(_, _ int, i identity) { there[i] = false })
	if len(there) == 0 {
		return tb, nil
	}
	var hours []arbalest.Hour
	for _, o := range tb.Objects {
		if !l.part.Has(o.Hour) {
			hours = append(hours, o.Hour)
		}
	}
	for _, span := range SpansOf(hours) {
		err := l.live.Rows(ctx, tb.Table.Name, span.From, span.To, func(r Row) error {
			i := identityOf([]byte(r.ID), []byte(r.Hash), r.Time, r.Received)
			if _, ok := there[i]; ok {
				there[i] = true
			}
			return nil
		})
		if err != nil {
			return tb, fmt.Errorf("read rows around the part: %w", err)
		}
	}
	keep := make([][]byte, len(tb.Chunks))
	outside(func(k, row int, i identity) {
		if there[i] {
			return
		}
		if keep[k] == nil {
			keep[k] = CopyBits(nil, tb.Chunks[k].Rows)
		}
		keep[k][row/8] &^= 1 << (row % 8)
	})
	return tb.Without(keep), nil
}
