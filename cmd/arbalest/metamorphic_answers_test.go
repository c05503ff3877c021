package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/lake"
)

// A plainList is what the lake must be: a plain list of events, in the order in which
// they were captured.
type plainList struct {
	events    []*fact
	doubted   map[string]int64 // by event and hour: events that may be stored once more, as their capture failed and was repeated
	rejected  int64
	gone      []*fact         // that were erased
	forgotten map[string]bool // ids that are refused, by event and id
	doubts    int64           // rejected ones that may be counted once more
	ids       int             // that were given out
}

func newPlainList() *plainList {
	return &plainList{doubted: map[string]int64{}, forgotten: map[string]bool{}}
}

// of returns the events of a name.
func (l *plainList) of(event string) (of []*fact) {
	for _, f := range l.events {
		if f.event == event {
			of = append(of, f)
		}
	}
	return of
}

// leans says whether an event of another day is, or may be, left out for one of a day:
// were that erased, it might be in a table or not (decision 28). Such days are not erased
// whole.
func (l *plainList) leans(day arbalest.EventDay) bool {
	for _, f := range l.events {
		if f.event != string(day.Event) || !f.hasReceipt() || f.day() == day {
			continue
		}
		if slices.ContainsFunc(l.events, func(old *fact) bool { return old.day() == day && old.id == f.id && f.repeats(old) }) {
			return true
		}
	}
	return false
}

// erase takes events out of the list.
func (l *plainList) erase(e *lake.Erasure) {
	for event, ids := range e.IDs {
		for _, id := range ids {
			l.forgotten[string(event)+" "+id] = true
		}
	}
	l.events = slices.DeleteFunc(l.events, func(f *fact) bool {
		goes := l.forgotten[f.event+" "+f.id] || slices.Contains(e.Whole, f.day())
		if goes {
			l.gone = append(l.gone, f)
		}
		return goes
	})
}

// tell logs the events of which an error has the ids.
func (l *plainList) tell(says string, log func(string, ...any)) {
	words := strings.Fields(says)
	for _, f := range slices.Concat(l.events, l.gone) {
		if slices.Contains(words, f.id) {
			log("%s %s at %s received %s hash %s, misfit %t: %.100s", f.event, f.id, f.at.Format(time.RFC3339Nano), f.received.Format(time.RFC3339Nano), f.hash(), f.misfit, f.properties)
		}
	}
}

// A judged list is what follows from the list by the rule of repeats.
type judged struct {
	rows      map[string][]*fact // by event: what is in the table, by time and id
	conflicts map[string]bool
	misfits   map[string]bool
	books     map[string]*[3]int64 // by event and hour: stored, loaded, and what may be stored besides
}

func bookOf(event string, h arbalest.Hour) string { return event + " " + h.String() }

// judge plays the list: of events that repeat each other the first is kept.
func (l *plainList) judge() judged {
	j := judged{map[string][]*fact{}, map[string]bool{}, map[string]bool{}, map[string]*[3]int64{}}
	book := func(f *fact) *[3]int64 {
		key := bookOf(f.event, f.hour())
		if j.books[key] == nil {
			j.books[key] = &[3]int64{2: l.doubted[key]}
		}
		return j.books[key]
	}
	for _, f := range l.gone {
		book(f)[0]++
	}
	kept := map[string][]*fact{}
	for _, f := range l.events {
		book := book(f)
		book[0]++
		if f.misfit {
			j.misfits[fmt.Sprint(f.event, " ", f.id, " ", f.micros())] = true
			continue
		}
		key := f.event + "\x00" + f.id
		var twin *fact
		for _, old := range kept[key] {
			if !f.repeats(old) {
				continue
			}
			same := old.hash() == f.hash()
			if twin == nil || same && twin.hash() != f.hash() || same == (twin.hash() == f.hash()) && old.micros() < twin.micros() {
				twin = old
			}
		}
		if twin == nil {
			book[1]++
			kept[key] = append(kept[key], f)
			j.rows[f.event] = append(j.rows[f.event], f)
		} else if twin.hash() != f.hash() {
			j.conflicts[fmt.Sprint(f.event, " ", f.id, " ", f.micros(), " ", twin.hash(), " ", f.hash())] = true
		}
	}
	for _, rows := range j.rows {
		slices.SortFunc(rows, func(a, b *fact) int {
			return cmp.Or(cmp.Compare(a.micros(), b.micros()), cmp.Compare(a.id, b.id))
		})
	}
	return j
}

// answers compares what an engine has, when it is synced, with the list.
func (l *plainList) answers(ctx context.Context, e *engine) error {
	j := l.judge()
	relations := map[string]bool{}
	err := e.database.Query(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main'", func(v []any) error {
		relations[v[0].(string)] = true
		return nil
	})
	if err != nil {
		return err
	}
	for _, event := range slices.Sorted(maps.Keys(j.rows)) {
		table := arbalest.EventName(event).Table()
		if relations[table+"_all"] {
			table += "_all"
		}
		if err := same(ctx, e, table, j.rows[event]); err != nil {
			return fmt.Errorf("table %s: %w", table, err)
		}
	}
	if err := sameSet(ctx, e, "load errors", j.misfits, `SELECT t.event, event_id, event_time FROM arbalest.load_errors JOIN arbalest.tables t USING (table_name) WHERE NOT loaded`); err != nil {
		return err
	}
	if err := sameSet(ctx, e, "conflicts", j.conflicts, `SELECT t.event, event_id, event_time, kept_hash, other_hash FROM arbalest.conflicts JOIN arbalest.tables t USING (table_name)`); err != nil {
		return err
	}
	listed := `SELECT table_name, sum(conflicts), (SELECT count(*) FROM arbalest.conflicts c WHERE c.table_name = j.table_name), sum(errors), (SELECT count(*) FROM arbalest.load_errors e WHERE e.table_name = j.table_name AND NOT loaded)
FROM arbalest.journal j GROUP BY table_name`
	err = e.database.Query(ctx, listed, func(v []any) error {
		// Erased conflicts stay counted.
		if len(l.gone) == 0 && fmt.Sprint(v[1]) != fmt.Sprint(v[2]) || fmt.Sprint(v[3]) != fmt.Sprint(v[4]) {
			return fmt.Errorf("the journal of %v counts %v conflicts and %v errors, and %v and %v are listed", v[0], v[1], v[3], v[2], v[4])
		}
		return nil
	})
	if err != nil {
		return err
	}
	return l.balance(ctx, e, j)
}

// same compares the rows of a relation, every column of them, with facts.
func same(ctx context.Context, e *engine, table string, want []*fact) error {
	var columns []string
	err := e.database.Query(ctx, "SELECT column_name FROM information_schema.columns WHERE table_schema = 'main' AND table_name = $1 ORDER BY ordinal_position", func(v []any) error {
		columns = append(columns, v[0].(string))
		return nil
	}, table)
	if err != nil {
		return err
	}
	n := 0
	err = e.database.Query(ctx, fmt.Sprintf(`SELECT * FROM "%s" ORDER BY event_time, event_id`, table), func(cells []any) error {
		if n == len(want) {
			return fmt.Errorf("it has more than %d rows: %v", len(want), cells)
		}
		f := want[n]
		n++
		if err := f.is(columns, cells); err != nil {
			return fmt.Errorf("row %d of %d: %w\n  is %.300s\n  of %.40s %s received %s hash %s", n, len(want), err, fmt.Sprint(cells), f.id, f.at.Format(time.RFC3339Nano), f.received.Format(time.RFC3339Nano), f.hash())
		}
		return nil
	})
	if err == nil && n < len(want) {
		f := want[n]
		err = fmt.Errorf("it has %d rows, not %d: %s at %s is not there", n, len(want), f.id, f.at.Format(time.RFC3339Nano))
	}
	return err
}

// is compares a row with the fact that it must show.
func (f *fact) is(columns []string, cells []any) error {
	found := 0
	for i, column := range columns {
		v, there := f.values[column]
		switch column {
		case "event_id":
			v = value{f.id, 's'}
		case "event_time":
			v = value{fmt.Sprint(f.micros()), 't'}
		case "received_at":
			v = value{fmt.Sprint(f.received.UnixMicro()), 't'}
		case "event_hash":
			v = value{f.hash(), 's'}
		case "properties":
			v = value{f.properties, 'j'}
		default:
			if there {
				found++
			} else if cells[i] == nil {
				continue
			}
		}
		if !v.shows(cells[i]) {
			return fmt.Errorf("column %s is %.200v, want %.200q", column, cells[i], v.text)
		}
	}
	if found == len(f.values) {
		return nil
	}
	for column, v := range f.values {
		if v.kind != 'w' && !slices.Contains(columns, column) {
			return fmt.Errorf("there is no column %s for %q", column, v.text)
		}
	}
	return nil
}

// sameSet compares what a query finds, once each, with what must be found.
func sameSet(ctx context.Context, e *engine, what string, want map[string]bool, sql string) error {
	found := map[string]bool{}
	err := e.database.Query(ctx, sql, func(v []any) error {
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = fmt.Sprint(v[i])
			if t, ok := v[i].(time.Time); ok {
				parts[i] = fmt.Sprint(t.UnixMicro())
			}
		}
		found[strings.Join(parts, " ")] = true
		return nil
	})
	if err != nil {
		return err
	}
	for key := range found {
		if !want[key] {
			return fmt.Errorf("%s: one too many: %s", what, key)
		}
	}
	for key := range want {
		if !found[key] {
			return fmt.Errorf("%s: not there: %s", what, key)
		}
	}
	return nil
}

// balance compares the books with the list. How many of what was left out are
// repeats and how many did not fit depends on what compaction left out before.
func (l *plainList) balance(ctx context.Context, e *engine, j judged) error {
	rejected, seen := int64(0), 0
	err := e.database.Query(ctx, "SELECT event, hour, received, stored, rejected, loaded, repeats, errors, not_loaded, erased FROM arbalest.books", func(v []any) error {
		n := func(i int) int64 { return v[i].(int64) }
		rejected += n(4)
		if n(2) != n(3)+n(4) || n(3) != n(5)+n(6)+n(7)+n(9) || n(8) != 0 {
			return fmt.Errorf("the books do not balance: %v", v)
		}
		if n(3) == 0 {
			return nil
		}
		seen++
		key := bookOf(v[0].(string), arbalest.HourOf(v[1].(time.Time)))
		want := j.books[key]
		if want == nil || n(3) < want[0] || n(3) > want[0]+want[2] || n(5) != want[1] {
			return fmt.Errorf("the books of %s have %v, want stored, loaded, in doubt %v", key, v, want)
		}
		return nil
	})
	if err == nil && seen != len(j.books) {
		err = fmt.Errorf("there are books of %d hours, want %d", seen, len(j.books))
	}
	if err == nil && (rejected < l.rejected || rejected > l.rejected+l.doubts) {
		err = fmt.Errorf("%d events are rejected, want %d and at most %d", rejected, l.rejected, l.rejected+l.doubts)
	}
	return err
}
