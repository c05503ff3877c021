package load

import (
	"maps"
	"slices"
	"strings"

	"arbalest"
)

// A Journal is what a batch adds to schema arbalest besides the cursor.
type Journal struct {
	At        int64 // when, microseconds
	entries   *Ledger
	errors    *Ledger
	conflicts *Ledger
	erased    *Ledger
}

// NewJournal returns an empty one of a time in microseconds.
func NewJournal(at int64) *Journal {
	const (
		text = arbalest.Varchar
		num  = arbalest.BigInt
		time = arbalest.Timestamp
	)
	return &Journal{
		At: at,
		entries: newLedger("journal", field{"commit", num}, field{"table_name", text}, field{"event", text}, field{"hour", time}, field{"objects", num},
			field{"stored", num}, field{"rejected", num}, field{"loaded", num}, field{"repeats", num}, field{"conflicts", num}, field{"errors", num}, field{"loaded_at", time}),
		errors: newLedger("load_errors", field{"table_name", text}, field{"commit", num}, field{"object", text}, field{"line", num}, field{"event_id", text}, field{"event_time", time},
			field{"column_name", text}, field{"value", text}, field{"reason", text}, field{"loaded", arbalest.Boolean}, field{"loaded_at", time}),
		conflicts: newLedger("conflicts", field{"table_name", text}, field{"event_id", text}, field{"event_time", time}, field{"kept_hash", text}, field{"other_hash", text},
			field{"object", text}, field{"line", num}, field{"commit", num}, field{"loaded_at", time}),
		erased: newLedger("erased", field{"commit", num}, field{"table_name", text}, field{"event", text}, field{"hour", time}, field{"erased", num}, field{"erased_at", time}),
	}
}

// Rejected notes invalid events.
func (j *Journal) Rejected(rejections []CommitRejection) {
	for _, r := range rejections {
		j.entries.add(int64(r.Commit), nil, string(r.Event), HourMicro(r.Hour), int64(0),
			int64(0), r.Events, int64(0), int64(0), int64(0), int64(0), j.At)
	}
}

// Loaded notes what became of a table's objects: one entry for each commit and
// hour, in the order of the log.
func (j *Journal) Loaded(tb *TableBatch, t *Tally) {
	type place struct {
		commit arbalest.Seq
		event  arbalest.EventName
		hour   arbalest.Hour
	}
	type entry struct {
		place
		objects int64
		Counts
	}
	table := LiveName(tb.Table.Name)
	var entries []entry
	at := map[place]int{}
	for i, o := range tb.Objects {
		p := place{o.Commit, o.Event, o.Hour}
		k, ok := at[p]
		if !ok {
			k = len(entries)
			at[p] = k
			entries = append(entries, entry{place: p})
		}
		entries[k].objects++
		entries[k].Add(t.Objects[i])
	}
	for _, e := range entries {
		j.entries.add(int64(e.commit), table, string(e.event), HourMicro(e.hour), e.objects,
			e.Stored, int64(0), e.Loaded, e.Repeats, e.Conflicts, e.Errors, j.At)
		if e.Erased > 0 {
			j.erased.add(int64(e.commit), table, string(e.event), HourMicro(e.hour), e.Erased, j.At)
		}
	}
	for _, c := range tb.Chunks {
		for _, e := range c.Errors {
			j.errors.add(table, int64(tb.Objects[e.Object].Commit), string(tb.Objects[e.Object].Key), e.Line, orNull(e.ID), timeOrNull(e.ID, e.Time),
				orNull(e.Column), strings.ToValidUTF8(e.Value, "\uFFFD"), strings.ToValidUTF8(e.Reason, "\uFFFD"), e.Loaded, j.At)
		}
	}
	for _, c := range t.Conflicts {
		o := tb.Objects[c.Object]
		j.conflicts.add(table, c.ID, c.Time, c.Kept, c.Hash, string(o.Key), c.Line, int64(o.Commit), j.At)
	}
}

// removed notes what an erasure took out of a table, by hour: rows, and events that
// could not be loaded.
func (j *Journal) removed(r Removal, loaded, failed map[arbalest.Hour]int64) {
	hours := maps.Clone(loaded)
	maps.Copy(hours, failed)
	table := LiveName(r.Table)
	for _, h := range slices.Sorted(maps.Keys(hours)) {
		j.entries.add(int64(r.Commit), table, string(r.Event), HourMicro(h), int64(0),
			int64(0), int64(0), -loaded[h], int64(0), int64(0), -failed[h], j.At)
		j.erased.add(int64(r.Commit), table, string(r.Event), HourMicro(h), loaded[h]+failed[h], j.At)
	}
}

// timeOrNull returns an event's time, or nil for NULL if the line had no
// envelope to read it from.
func timeOrNull(id string, at int64) any {
	if id == "" && at == 0 {
		return nil
	}
	return at
}

// Ledgers returns the rows for the tables journal, load_errors, conflicts and erased.
// Their columns are all that those tables have.
func (j *Journal) Ledgers() []*Ledger { return []*Ledger{j.entries, j.errors, j.conflicts, j.erased} }
