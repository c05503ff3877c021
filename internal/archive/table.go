package archive

import (
	"context"
	"errors"
	"fmt"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/load"
)

// Events' times are in the years 1 to 9999, in microseconds since 1970.
const (
	firstTime = -62_135_596_800_000_000
	lastTime  = 253_402_300_800_000_000
)

// An identity is a hash of an event's id.
type identity [2]uint64

// A kept event is one that the table must have.
type kept struct {
	time int64
	hash uint64
	rows int32 // found in the table
	next int32 // 1 + index of another with the same id, 0 for none
}

// An expectation is what a table must have, of one share of the ids.
type expectation struct {
	share, shares uint64
	first         map[identity]int32 // 1 + index into events
	events        []kept
}

func identityOf(id string) identity {
	h := xxh3.HashString128(id)
	return identity{h.Hi, h.Lo}
}

func (x *expectation) mine(id identity) bool { return id[0]%x.shares == x.share }

// add takes one stored event, in log order, and says whether it is a repeat.
func (x *expectation) add(id identity, e load.Sighting) {
	for i := x.first[id]; i != 0; i = x.events[i-1].next {
		if e.Repeats(x.events[i-1].time) {
			return
		}
	}
	x.events = append(x.events, kept{time: e.Time, hash: e.Hash, next: x.first[id]})
	x.first[id] = int32(len(x.events))
}

// table compares one event's objects with its table.
func (v *verification) table(ctx context.Context, event arbalest.EventName, objects []arbalest.Object) error {
	name, err := v.opts.Table(ctx, event)
	if err != nil {
		return err
	}
	t := TableReport{Event: event, Table: name, Findings: map[Kind]int64{}}
	for _, o := range objects {
		t.Stored += o.Events
	}
	shares := uint64(1 + t.Stored/v.opts.MaxEvents)
	for share := range shares {
		if err := v.share(ctx, &t, objects, share, shares); err != nil {
			return err
		}
	}
	v.report.Tables = append(v.report.Tables, t)
	return nil
}

func (v *verification) share(ctx context.Context, t *TableReport, objects []arbalest.Object, share, shares uint64) error {
	x := &expectation{share: share, shares: shares, first: make(map[identity]int32, t.Stored/int64(shares))}
	for _, o := range objects {
		err := v.lake.Check(ctx, o, func(line []byte) error {
			l, err := arbalest.ParseLine(line)
			if err != nil {
				return nil // load records such lines as errors without an id
			}
			if id := identityOf(l.UnquoteID()); x.mine(id) {
				x.add(id, load.SightingOf(l))
			}
			return nil
		})
		if share == 0 {
			v.report.Objects++
			v.opts.Advance(o)
		}
		switch {
		case errors.Is(err, arbalest.ErrUnknown) || errors.Is(err, arbalest.ErrCorrupt):
			if share == 0 {
				v.find(t, Finding{Kind: Object, Hour: o.Hour.String(), What: err.Error()})
			}
		case err != nil:
			return err
		}
	}
	t.Distinct += int64(len(x.events))
	if err := v.rows(ctx, t, x); err != nil {
		return err
	}
	return v.missing(ctx, t, x)
}

// rows looks for every row of the table in what is expected.
func (v *verification) rows(ctx context.Context, t *TableReport, x *expectation) error {
	return v.warehouse.Rows(ctx, t.Table, firstTime, lastTime, func(r load.Row) error {
		id := identityOf(r.ID)
		if !x.mine(id) {
			return nil
		}
		t.Rows++
		f := Finding{Hour: arbalest.HourOfMicro(r.Time).String()}
		first := x.first[id]
		for i := first; i != 0; i = x.events[i-1].next {
			e := &x.events[i-1]
			if e.time != r.Time || string(arbalest.AppendHash(nil, e.hash)) != r.Hash {
				continue
			}
			if e.rows++; e.rows > 1 {
				f.Kind, f.What = Duplicate, fmt.Sprintf("event %s is in the table more than once", r.ID)
				v.find(t, f)
			}
			return nil
		}
		f.Kind, f.What = Extra, fmt.Sprintf("event %s is in the table and not in the store", r.ID)
		if first != 0 {
			f.Kind, f.What = Changed, fmt.Sprintf("event %s is in the table with hash %s, which no stored event of that id and time has", r.ID, r.Hash)
			x.events[first-1].rows++
		}
		v.find(t, f)
		return nil
	})
}

// missing looks for what is expected and was not found among the load errors.
func (v *verification) missing(ctx context.Context, t *TableReport, x *expectation) error {
	err := v.warehouse.Unloaded(ctx, t.Table, func(id string, time int64) error {
		for i := x.first[identityOf(id)]; i != 0; i = x.events[i-1].next {
			if e := &x.events[i-1]; e.time == time && e.rows == 0 {
				e.rows = -1
				t.Errors++
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, e := range x.events {
		if e.rows == 0 {
			v.find(t, Finding{Kind: Missing, Hour: arbalest.HourOfMicro(e.time).String(), What: fmt.Sprintf("an event with hash %016x is in the store and not in the table", e.hash)})
		}
	}
	return nil
}

// books compares the journal with the objects.
func (v *verification) books(ctx context.Context, byEvent map[arbalest.EventName][]arbalest.Object) error {
	stored := map[arbalest.Partition]int64{}
	for _, objects := range byEvent {
		for _, o := range objects {
			stored[arbalest.Partition{Event: o.Event, Hour: o.Hour}] += o.Events
		}
	}
	err := v.warehouse.Books(ctx, func(b load.Book) error {
		p := arbalest.Partition{Event: b.Event, Hour: b.Hour}
		f := Finding{Kind: Journal, Event: b.Event, Hour: b.Hour.String()}
		if b.Stored != stored[p] {
			f.What = fmt.Sprintf("the journal says that %s of %s has %d stored events, the store has %d", b.Event, b.Hour, b.Stored, stored[p])
			v.find(nil, f)
		}
		if b.Stored != b.Loaded+b.Repeats+b.Errors {
			f.What = fmt.Sprintf("the books of %s of %s do not balance: stored %d, loaded %d, repeats %d, errors %d", b.Event, b.Hour, b.Stored, b.Loaded, b.Repeats, b.Errors)
			v.find(nil, f)
		}
		delete(stored, p)
		return nil
	})
	if err != nil {
		return err
	}
	for p, n := range stored {
		v.find(nil, Finding{Kind: Journal, Event: p.Event, Hour: p.Hour.String(), What: fmt.Sprintf("the journal knows nothing of the %d events of %s of %s", n, p.Event, p.Hour)})
	}
	return nil
}
