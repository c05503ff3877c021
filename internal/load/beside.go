package load

import (
	"fmt"
	"slices"
	"strings"

	"arbalest"
)

// BesidePrefix is what the names of tables begin with, in the warehouse, while they
// are made beside the live ones. No event's table has such a name.
const BesidePrefix = "_rebuild_"

// LiveName returns the name of the table that one made beside will replace, and
// any other name as it is.
func LiveName(table string) string { return strings.TrimPrefix(table, BesidePrefix) }

// Beside returns the batch with its tables named as they are beside the live ones.
func (b Batch) Beside() Batch {
	b.Tables = slices.Clone(b.Tables)
	for i := range b.Tables {
		b.Tables[i].Table.Name = BesidePrefix + b.Tables[i].Table.Name
	}
	b.Removals = slices.Clone(b.Removals)
	for i := range b.Removals {
		b.Removals[i].Table = BesidePrefix + b.Removals[i].Table
	}
	return b
}

// HoldsSwap holds that tables beside have come to where the live ones are, all of
// them. The error wraps arbalest.ErrExists.
func (p Progress) HoldsSwap(live Progress) error {
	if p.Cursor == live.Cursor && len(p.Stalled) == 0 {
		return nil
	}
	return fmt.Errorf("%w: the tables beside are at commit %d and %d objects, %d of them stalled, and the live ones at %d and %d", arbalest.ErrExists,
		p.Commit, p.Objects, len(p.Stalled), live.Commit, live.Objects)
}

// IsBefore says whether a place in the log comes before another.
func (c Cursor) IsBefore(d Cursor) bool {
	return c.Commit < d.Commit || c.Commit == d.Commit && c.Objects < d.Objects
}
