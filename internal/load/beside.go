package load

import (
	"slices"
	"strings"
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
	return b
}

// IsBefore says whether a place in the log comes before another.
func (c Cursor) IsBefore(d Cursor) bool {
	return c.Commit < d.Commit || c.Commit == d.Commit && c.Objects < d.Objects
}
