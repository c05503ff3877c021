package archive

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// Events' times are in the years 1 to 9999, in microseconds since 1970.
const (
	firstTime = -62_135_596_800_000_000
	lastTime  = 253_402_300_800_000_000
)

// A comparison is that of one event's objects with its table.
type comparison struct {
	*verification
	table   arbalest.Table // without a name if it is not known
	report  *TableReport
	hours   map[arbalest.Hour]*HourReport
	only    map[arbalest.Hour]bool // of a sample, the hours that are compared; nil for all
	beside  map[arbalest.Hour]bool // and those that are read since repeats may be in them
	counted map[int]bool           // of a sample, the objects that were read
	suspect []suspect
	cold    map[arbalest.Hour]bool // of which an object is frozen: they are not compared
	gone    map[arbalest.Hour]bool // of which an object has no line any more, as all were erased
	pending pending
	content *content // nil if values are not compared
	whole   []byte   // properties of a line
}

// A suspect is an object that is not what its commit says, which may be wrong.
type suspect struct {
	arbalest.Object
	err error
}

// table compares one event's objects with its table.
func (v *verification) table(ctx context.Context, event arbalest.EventName, objects *objects) error {
	c := &comparison{verification: v, report: &TableReport{Event: event, Findings: map[Kind]int64{}}, hours: map[arbalest.Hour]*HourReport{}, cold: map[arbalest.Hour]bool{}, gone: map[arbalest.Hour]bool{}}
	if v.chosen != nil {
		c.only, c.beside, c.counted = map[arbalest.Hour]bool{}, map[arbalest.Hour]bool{}, map[int]bool{}
		for _, o := range objects.loaded {
			if v.chosen[arbalest.Partition{Event: event, Hour: o.Hour}] {
				c.only[o.Hour] = true
			}
		}
		if len(c.only) == 0 {
			return nil
		}
	}
	var err error
	if c.table, err = v.opts.Table(ctx, event); err != nil {
		if !isDamage(err) {
			return err
		}
		v.find(c.report, Finding{Kind: Definition, What: fmt.Sprintf("the table of %s is not known, and its rows were not compared: %v", event, err)})
	}
	c.report.Table = c.table.Name
	for _, o := range objects.loaded {
		now := v.log.moved[o.Key].input
		if now.Erased > 0 && now.Erased+now.Repeats == o.Events {
			c.gone[o.Hour] = true
		}
		if c.compares(o.Hour) {
			c.report.Stored += o.Events
			c.report.Erased += now.Erased
		}
	}
	if v.opts.Values != nil && c.table.Name != "" {
		if c.content, err = newContent(ctx, v.opts.Values, c.table); err != nil {
			return err
		}
	}
	if c.pending, err = v.pendingOf(ctx, event); err != nil {
		return err
	}
	shares := uint64(1 + c.report.Stored/v.opts.MaxEvents)
	for share := range shares {
		if err := c.share(ctx, objects.loaded, share, shares); err != nil {
			return err
		}
	}
	if c.only == nil {
		for _, o := range objects.later {
			if err := c.later(ctx, o); err != nil {
				return err
			}
		}
	}
	c.finish()
	v.report.Tables = append(v.report.Tables, *c.report)
	return nil
}

// compares says whether an hour is compared.
func (c *comparison) compares(h arbalest.Hour) bool { return c.only == nil || c.only[h] }

// hour returns an hour's report.
func (c *comparison) hour(h arbalest.Hour) *HourReport {
	r := c.hours[h]
	if r == nil {
		r = &HourReport{Hour: h.String()}
		c.hours[h] = r
	}
	return r
}

// share compares the events of a share of the ids.
func (c *comparison) share(ctx context.Context, objects []arbalest.Object, share, shares uint64) error {
	var x *expectation
	for more := true; more; {
		x = newExpectation(share, shares, c.report.Stored)
		err := c.unloaded(ctx, x.refuse)
		if err != nil {
			return err
		}
		if share == 0 {
			clear(c.hours)
		}
		if c.content != nil {
			c.content.begin()
		}
		if more, err = c.read(ctx, objects, x); err != nil {
			return err
		}
	}
	if c.table.Name == "" {
		return nil
	}
	if err := c.rows(ctx, x); err != nil {
		return err
	}
	if err := c.missing(ctx, x); err != nil {
		return err
	}
	if c.content == nil {
		return nil
	}
	return c.content.settle(ctx, c, objects)
}

// read reads objects into an expectation. more says that hours beside those of a
// sample have to be read too.
func (c *comparison) read(ctx context.Context, objects []arbalest.Object, x *expectation) (more bool, err error) {
	for i, o := range objects {
		if !c.compares(o.Hour) && !c.beside[o.Hour] {
			continue
		}
		bad, number, nearUnread := "", int32(0), c.nearUnread(o.Hour)
		sound, mismatch, err := c.check(ctx, c.report, o, &bad, func(line []byte) error {
			number++
			l, err := arbalest.ParseLine(line)
			if err != nil {
				bad = fmt.Sprintf("line %d is not a stored event", number)
				return nil // load records such lines as errors without an id
			}
			e := load.SightingOf(l)
			if why := c.foreign(o, l, e); why != "" {
				bad = fmt.Sprintf("line %d %s", number, why)
			}
			if e.ByReceipt && c.only[o.Hour] {
				more = c.widen(o.Hour) || more
			}
			id := l.UnquoteID()
			if of := identityOf(id); !x.mine(of) || !x.add(id, of, e) {
				return nil
			}
			if e.ByReceipt && nearUnread {
				x.unsure[int32(len(x.events)-1)] = true
			}
			if hour := arbalest.HourOfMicro(e.Time); c.compares(hour) {
				h := c.hour(hour)
				h.Events++
				h.IDs += sumOf(id, e.Time, e.Hash)
			}
			if c.content != nil {
				c.content.expect(line, int32(i), number)
			}
			return nil
		})
		if err != nil {
			return false, err
		}
		if c.content != nil {
			c.content.flush()
		}
		switch {
		case c.frozen[o.Key]:
			c.cold[o.Hour] = true
		case !sound:
			c.log.dark[arbalest.Partition{Event: o.Event, Hour: o.Hour}] = true
		}
		if mismatch != nil {
			c.suspect = append(c.suspect, suspect{o, mismatch})
		}
		c.count(i, o, x.share)
	}
	return more, nil
}

// nearUnread says whether an event of an hour, whose time is that of its receipt, may
// repeat one that is frozen, or that was there when it was loaded and was erased.
func (c *comparison) nearUnread(h arbalest.Hour) bool {
	if len(c.cold)+len(c.gone) == 0 {
		return false
	}
	for near := h - 24; near <= h+24; near++ {
		if c.cold[near] || c.gone[near] {
			return true
		}
	}
	return false
}

// count counts an object, once.
func (c *comparison) count(i int, o arbalest.Object, share uint64) {
	if share > 0 || c.counted[i] {
		return
	}
	if c.counted != nil {
		c.counted[i] = true
	}
	if !c.frozen[o.Key] {
		c.verification.report.Objects++
	}
	c.opts.Advance(o)
}

// foreign says why a line cannot be one of an object.
func (c *comparison) foreign(o arbalest.Object, l arbalest.Line, e load.Sighting) string {
	if hour := arbalest.HourOfMicro(l.Time); hour != o.Hour || string(l.Name) != string(o.Event) {
		return fmt.Sprintf("is an event %s of %s", l.Name, hour)
	}
	c.whole = append(append(c.whole[:0], '{'), l.Rest...)
	if xxh3.Hash(c.whole) != e.Hash {
		return "has other properties than its hash says"
	}
	return ""
}

// widen has the hours read that an event of an hour may repeat one of, or be
// repeated in, whose time is that of its receipt. It says whether that is new.
func (c *comparison) widen(h arbalest.Hour) (more bool) {
	for beside := h - 24; beside <= h+24; beside++ {
		more = more || !c.beside[beside]
		c.beside[beside] = true
	}
	return more
}

// rows looks for every row of the table, and for those that left it, in what is
// expected. Values are those of rows that are in the table.
func (c *comparison) rows(ctx context.Context, x *expectation) error {
	for _, s := range c.spans() {
		err := c.warehouse.Rows(ctx, c.table.Name, s.From, s.To, func(r load.Row) error {
			c.row(x, r)
			return nil
		})
		if err == nil && c.content != nil {
			err = c.content.rows(ctx, s, func(r load.Row, values []any) {
				if i := x.find(r); i >= 0 {
					c.report.Compared++
					c.content.compare(i, values)
				}
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// spans are the times whose rows are compared.
func (c *comparison) spans() []load.Span {
	if c.only == nil {
		return []load.Span{{From: firstTime, To: lastTime}}
	}
	var spans []load.Span
	for _, h := range slices.Sorted(maps.Keys(c.only)) {
		if n := len(spans); n > 0 && spans[n-1].To == load.HourMicro(h) {
			spans[n-1].To = load.HourMicro(h + 1)
			continue
		}
		spans = append(spans, load.Span{From: load.HourMicro(h), To: load.HourMicro(h + 1)})
	}
	return spans
}

// row looks for a row in what is expected.
func (c *comparison) row(x *expectation, r load.Row) {
	id := identityOf(r.ID)
	if !x.mine(id) {
		return
	}
	hour, where := arbalest.HourOfMicro(r.Time), "in the table"
	if r.Left {
		where = "among what left the table"
	}
	i := x.find(r)
	if i < 0 && c.pending.has(r) {
		return
	}
	h := c.hour(hour)
	h.Rows++
	if i >= 0 {
		e := &x.events[i]
		h.RowIDs += sumOf(r.ID, e.time, e.hash)
		if e.rows++; e.rows > 1 {
			c.differs(Duplicate, hour, r.ID, fmt.Sprintf("event %s is in the table, or left it, more than once", r.ID))
		}
		return
	}
	h.RowIDs += sumOf(r.ID, r.Time, xxh3.HashString(r.Hash))
	first := x.first[id]
	if first == 0 {
		c.differs(Extra, hour, r.ID, fmt.Sprintf("event %s is %s and not in the store", r.ID, where))
		return
	}
	x.events[first-1].rows++
	c.differs(Changed, hour, r.ID, fmt.Sprintf("event %s is %s with hash %s at %s, which no stored event of that id has", r.ID, where, r.Hash, time.UnixMicro(r.Time).UTC().Format(arbalest.TimeLayout)))
}

// A pending is what erasures erased that the warehouse has not come to: their rows
// are there, and in the store they are not.
type pending struct {
	event     arbalest.EventName
	forgotten lake.Forgotten
	whole     map[arbalest.Hour]bool // days, by their first hours
}

// pendingOf returns what is pending of an event.
func (v *verification) pendingOf(ctx context.Context, event arbalest.EventName) (p pending, err error) {
	end := v.progress.Commit
	for _, s := range v.progress.Stalled {
		if s.Event == event {
			end = min(end, s.Commit)
		}
	}
	p = pending{event: event, whole: map[arbalest.Hour]bool{}}
	for _, seq := range v.log.erasures {
		if seq <= end {
			continue
		}
		r, err := v.lake.Erasure(ctx, seq)
		if err == nil {
			p.forgotten, err = v.lake.Forgotten(ctx, seq)
		}
		if err != nil && !isDamage(err) {
			return p, err
		}
		for _, d := range r.Whole {
			p.whole[d.Day] = p.whole[d.Day] || d.Event == event
		}
	}
	return p, nil
}

// has says whether a row is of what was erased.
func (p *pending) has(r load.Row) bool {
	h := arbalest.HourOfMicro(r.Time)
	return p.whole[h.Day()] || p.forgotten.HasID([]byte(p.event), r.ID)
}

// unloaded visits the load errors of events that are not in the table.
func (c *comparison) unloaded(ctx context.Context, visit func(id string, time int64)) error {
	if c.table.Name == "" {
		return nil
	}
	return c.warehouse.Unloaded(ctx, c.table.Name, func(id string, time int64) error {
		visit(id, time)
		return nil
	})
}

// settle decides of events in doubt, now that it is known what the table has.
func (c *comparison) settle(x *expectation) {
	isThere := func(k kept) bool { return k.rows > 0 || !c.compares(arbalest.HourOfMicro(k.time)) }
	for _, i := range slices.Sorted(maps.Keys(x.doubts)) {
		e := &x.events[i]
		hour := arbalest.HourOfMicro(e.time)
		switch {
		case !c.compares(hour) || !x.repeats(i, isThere):
		case e.rows > 0:
			c.differs(Duplicate, hour, "", fmt.Sprintf("an event of %s with hash %016x is in the table, and another that it repeats", time.UnixMicro(e.time).UTC().Format(arbalest.TimeLayout), e.hash))
		default:
			e.rows = -1
			h := c.hour(hour)
			h.Events--
			h.IDs -= x.doubts[i].sum
		}
	}
}

// missing looks for what is expected and was not found among the load errors.
func (c *comparison) missing(ctx context.Context, x *expectation) error {
	c.settle(x)
	err := c.unloaded(ctx, func(id string, time int64) {
		for i := x.first[identityOf(id)]; i != 0; i = x.events[i-1].next {
			if e := &x.events[i-1]; e.time == time && e.rows == 0 {
				e.rows = -1
				if hour := arbalest.HourOfMicro(time); c.compares(hour) {
					h := c.hour(hour)
					h.Errors++
					h.IDs -= sumOf(id, e.time, e.hash)
				}
			}
		}
	})
	if err != nil {
		return err
	}
	for i, e := range x.events {
		if hour := arbalest.HourOfMicro(e.time); e.rows == 0 && c.compares(hour) && !x.unsure[int32(i)] {
			c.differs(Missing, hour, "", fmt.Sprintf("an event of %s with hash %016x is in the store and not in the table", time.UnixMicro(e.time).UTC().Format(arbalest.TimeLayout), e.hash))
		}
	}
	return nil
}

// differs notes that an hour differs, which is a finding unless its objects are one.
// An hour of which an object is frozen is not compared.
func (c *comparison) differs(kind Kind, hour arbalest.Hour, id, what string) {
	if c.cold[hour] {
		return
	}
	c.hour(hour).differs = true
	if !c.log.dark[arbalest.Partition{Event: c.report.Event, Hour: hour}] {
		c.find(c.report, Finding{Kind: kind, Hour: hour.String(), ID: id, What: what})
	}
}

// later looks at an object that the warehouse has not come to.
func (c *comparison) later(ctx context.Context, o arbalest.Object) error {
	bad := ""
	_, mismatch, err := c.check(ctx, c.report, o, &bad, func([]byte) error { return nil })
	if mismatch != nil {
		c.suspect = append(c.suspect, suspect{o, mismatch})
	}
	c.count(-1, o, 0)
	return err
}

// finish says of what is suspected what is wrong, and adds up. Where the table has
// just what the objects have, the commit is.
func (c *comparison) finish() {
	for _, s := range c.suspect {
		n, _ := lake.NameOf(s.Key)
		f := Finding{Kind: CorruptObject, Hour: s.Hour.String(), Commit: n.Seq, Object: s.Key, What: s.err.Error() + "; it was not written so, or its commit was changed"}
		if h := c.hours[s.Hour]; c.table.Name != "" && h != nil && !h.differs && !c.cold[s.Hour] {
			f.Kind, f.What = WrongCommit, fmt.Sprintf("commit %d does not list what it wrote: %v; the table has all of the object's events", n.Seq, s.err)
		}
		c.find(c.report, f)
	}
	for _, hour := range slices.Sorted(maps.Keys(c.hours)) {
		h := c.hours[hour]
		c.report.Distinct += h.Events
		c.report.Errors += h.Errors
		c.report.Rows += h.Rows
		c.report.IDs += h.IDs
		c.report.RowIDs += h.RowIDs
		if h.differs && len(c.report.Hours) < c.opts.MaxHours {
			c.report.Hours = append(c.report.Hours, *h)
		}
	}
}
