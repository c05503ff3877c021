package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/lake"
	"arbalest/internal/load"
)

// A Retention says how old the days of an event become, in days of event time, until
// something is done with them. 0 is never.
type Retention struct {
	Hot  int // until rows leave the table, and are warm
	Cold int // until partitions go to an archive's class, and what is warm goes
	Gone int // until lines and identities go
	// Class is where partitions go that are cold, on a store that has classes; on
	// others days stay warm. Defaults to blob.Glacier.
	Class blob.Class
}

// before returns the first hour of the first day that is younger than some days.
func before(now time.Time, days int) arbalest.Hour {
	h := arbalest.HourOf(now) - arbalest.Hour(days)*24
	return h.Day()
}

// A Keep is a table and its retention.
type Keep struct {
	Table string
	Event arbalest.EventName
	Retention
}

// A Scratch is an empty warehouse for one day of one table.
type Scratch interface {
	load.Shadow
	// Export writes a table as Parquet to a file of this machine, sorted by
	// event_time and event_id.
	Export(ctx context.Context, table, path string) (rows, bytes int64, err error)
	// Close deletes it, and the files in its folder.
	Close() error
}

// A Tiering moves days of tables out of the warehouse. Any number may work on one
// store and warehouse; the methods of one must not be called at once.
type Tiering struct {
	Lake      *lake.Lake
	Store     blob.Store // the lake's
	Warehouse load.Tiers
	Loader    *load.Loader // of the lake into the warehouse
	// Scratch opens an empty warehouse, and says in which folder it may export to.
	Scratch func(ctx context.Context) (s Scratch, folder string, err error)
	// Mirror has the warm objects where the warehouse reads them, by the same keys.
	// Defaults to nil: it reads the store's, or none.
	Mirror blob.Store
	// Now is the time that ages are counted to. Defaults to the clock's.
	Now func() time.Time
	// MaxEvents is how many identities are held at once, at 24 bytes. Defaults to
	// 1,000,000.
	MaxEvents int
	// Exclusive keeps others of this process from loading until done is called.
	// Defaults to nothing.
	Exclusive func() (done func())
	// Show is told of each day that something was done with. Defaults to nothing.
	Show func(DayReport)
}

func (t Tiering) withDefaults() Tiering {
	if t.Now == nil {
		t.Now = time.Now
	}
	if t.MaxEvents == 0 {
		t.MaxEvents = 1_000_000
	}
	if t.Exclusive == nil {
		t.Exclusive = func() func() { return func() {} }
	}
	if t.Show == nil {
		t.Show = func(DayReport) {}
	}
	return t
}

// An Action is what becomes of a day.
type Action string

// The actions.
const (
	Warmed Action = "warm"  // its rows left the table for a warm object
	Remade Action = "again" // its warm object was made again
	Cooled Action = "cold"  // its partitions went to an archive's class, and its warm object went
	Gone   Action = "gone"  // it left the store and the warehouse
	Waits  Action = "waits" // nothing, for now
)

// A DayReport is what became of a day of a table.
type DayReport struct {
	Table  string             `json:"table"`
	Event  arbalest.EventName `json:"event"`
	Day    string             `json:"day"` // yyyy-MM-dd; empty for all
	Action Action             `json:"action"`
	Why    string             `json:"why,omitempty"`    // it waits
	Rows   int64              `json:"rows"`             // that left the table
	All    int64              `json:"all"`              // rows of the day
	Lines  int64              `json:"lines,omitempty"`  // bytes of the day's partitions, uncompressed
	Warm   int64              `json:"warm,omitempty"`   // bytes of its warm object
	Frozen int64              `json:"frozen,omitempty"` // bytes that went to the archive's class
}

// A TieringReport is what a pass did, or would do. Days that need nothing are not in
// it.
type TieringReport struct {
	Tables int         `json:"tables"` // with a retention
	Days   []DayReport `json:"days"`
	Held   int         `json:"held"` // days that are restored, and would have left
	// Stopped are the tables that could not be gone on with, and why.
	Stopped map[string]string `json:"stopped,omitempty"`
}

// Err is nil unless a table was stopped.
func (r TieringReport) Err() error {
	for _, table := range slices.Sorted(maps.Keys(r.Stopped)) {
		return stopped(r.Stopped[table])
	}
	return nil
}

// stopped says why a table was, of a report that may have come from elsewhere.
type stopped string

func (s stopped) Error() string { return string(s) }

// Unwrap returns arbalest.ErrDiffers.
func (s stopped) Unwrap() error { return arbalest.ErrDiffers }

// Sum adds up the days of an action.
func (r TieringReport) Sum(a Action) (days int, sum DayReport) {
	for _, d := range r.Days {
		if d.Action == a {
			days++
			sum.Rows += d.Rows
			sum.All += d.All
			sum.Lines += d.Lines
			sum.Warm += d.Warm
			sum.Frozen += d.Frozen
		}
	}
	return days, sum
}

// Once does one pass: of each table, what is due of each day. What is wrong with one
// table is in the report and stops no other; errors of the store and the warehouse
// that may pass end the pass.
//
// It asks the warehouse for the days of each table that are past their retention, and
// the store for nothing but what it takes to do what is due.
func (t Tiering) Once(ctx context.Context, tables []Keep) (TieringReport, error) {
	return t.over(ctx, retained(tables), pass{})
}

// Refresh makes again what is warm of days that had events which were erased since, and
// deletes all else that is among the warm objects of tables: also what a pass left that
// died. Retention is not looked at, but for what is cold. No other pass may be at work.
func (t Tiering) Refresh(ctx context.Context, tables []Keep) (TieringReport, error) {
	stale := slices.Clone(tables)
	for i := range stale {
		stale[i].Hot, stale[i].Gone = 0, 0
	}
	r, err := t.over(ctx, stale, pass{whole: true})
	if err != nil {
		return r, err
	}
	for _, k := range stale {
		days, err := t.Warehouse.Days(ctx, k.Table, arbalest.EndHour)
		if err != nil {
			return r, err
		}
		named := map[arbalest.Key]bool{}
		for _, d := range days {
			named[d.Warm.Key] = true
		}
		if err := t.sweep(ctx, WarmFolder(k.Table), named); err != nil {
			return r, err
		}
	}
	return r, nil
}

// Plan says what Once would do, and changes nothing. Of days that would leave it asks
// how large they are.
func (t Tiering) Plan(ctx context.Context, tables []Keep) (TieringReport, error) {
	return t.over(ctx, retained(tables), pass{dry: true})
}

// retained returns the tables whose days leave.
func retained(tables []Keep) []Keep {
	return slices.DeleteFunc(slices.Clone(tables), func(k Keep) bool { return k.Hot == 0 && k.Gone == 0 })
}

// over is one pass over tables.
func (t Tiering) over(ctx context.Context, tables []Keep, p pass) (TieringReport, error) {
	p.Tiering = t.withDefaults()
	p.now = p.Now()
	p.report = TieringReport{Days: []DayReport{}, Stopped: map[string]string{}}
	progress, err := p.Warehouse.Progress(ctx)
	if err != nil {
		return p.report, err
	}
	for _, k := range tables {
		k.Class = cmp.Or(k.Class, blob.Glacier)
		p.report.Tables++
		if s, ok := progress.Stalled[k.Table]; ok {
			p.add(DayReport{Table: k.Table, Event: k.Event, Action: Waits, Why: "the table is stalled: " + s.Reason})
			continue
		}
		if err := p.table(ctx, k); isPassing(err) {
			return p.report, fmt.Errorf("archive %s: %w", k.Table, err)
		} else if err != nil {
			p.report.Stopped[k.Table] = err.Error()
		}
	}
	return p.report, nil
}

// isPassing says that an error is not one of a table.
func isPassing(err error) bool {
	o := arbalest.OutcomeOf(err)
	return err != nil && (o.Retry || o.Exit == 1 && !errors.Is(err, arbalest.ErrDiffers) || errors.Is(err, context.Canceled))
}

// A pass is one Once or Plan.
type pass struct {
	Tiering
	now    time.Time
	dry    bool
	whole  bool // days of all ages are looked at
	report TieringReport
}

// add adds a day to the report.
func (p *pass) add(d DayReport) {
	p.report.Days = append(p.report.Days, d)
	if !p.dry {
		p.Show(d)
	}
}

// table does what is due of a table's days.
func (p *pass) table(ctx context.Context, k Keep) error {
	youngest := 0 // the least of the ages
	for _, age := range []int{k.Hot, k.Cold, k.Gone} {
		if age > 0 && (youngest == 0 || age < youngest) {
			youngest = age
		}
	}
	end := before(p.now, youngest)
	if p.whole {
		end = arbalest.EndHour
	}
	days, err := p.Warehouse.Days(ctx, k.Table, end)
	if err == nil {
		days, err = p.stored(ctx, k, days)
	}
	if err != nil {
		return err
	}
	if !p.dry {
		if err := p.gather(ctx, k.Table, days); err != nil {
			return err
		}
		// That it can be, before anything leaves.
		err := p.showAll(ctx, k.Table)
		if errors.Is(err, arbalest.ErrUnknown) {
			days, err = p.lost(ctx, k.Table, days)
		}
		if err != nil {
			return err
		}
	}
	if len(days) == 0 {
		return nil
	}
	table, err := p.Loader.Table(ctx, k.Event)
	if err != nil {
		return err
	}
	columns, told := columnsOf(table), len(p.report.Days)
	var gone []*day
	for _, of := range days {
		d := &day{pass: p, keep: k, Day: of, columns: columns}
		d.report = DayReport{Table: k.Table, Event: k.Event, Day: dateOf(of.Day), Action: d.due(), All: of.Hot + of.Left}
		switch d.report.Action {
		case Gone:
			gone = append(gone, d)
		case Cooled:
			err = d.cool(ctx)
		case Warmed, Remade:
			err = d.warm(ctx)
		}
		if err != nil {
			return fmt.Errorf("%s of %s: %w", k.Event, d.report.Day, err)
		}
	}
	if err := p.forget(ctx, k, gone); err != nil || p.dry || len(p.report.Days) == told {
		return err
	}
	return p.showAll(ctx, k.Table) // objects that were missing are there again
}

// showAll makes the view of all tiers.
func (p *pass) showAll(ctx context.Context, table string) error {
	done := p.Exclusive()
	defer done()
	return p.Warehouse.ShowAll(ctx, table)
}

// A day is what a pass does with a day of a table.
type day struct {
	*pass
	keep Keep
	load.Day
	columns string // of the table's definition
	report  DayReport
}

// due says what is to be done, "" for nothing.
func (d *day) due() Action {
	old := func(days int) bool { return days > 0 && d.Day.Day < before(d.now, days) }
	_, tiered := d.Store.(blob.Tiered)
	cold := !d.Frozen.IsZero() || tiered && old(d.keep.Cold)
	switch {
	case d.Held.After(d.now):
		if d.Hot > 0 && old(d.keep.Hot) {
			d.pass.report.Held++
		}
		return ""
	case old(d.keep.Gone):
		return Gone
	case cold && (d.Hot > 0 && old(d.keep.Hot) || d.Frozen.IsZero() || d.Warm.Key != ""):
		return Cooled
	case cold:
		return ""
	case d.Hot > 0 && old(d.keep.Hot):
		return Warmed
	case d.Left > 0 && d.Warm.Columns != d.columns || d.Stale:
		return Remade
	}
	return ""
}

// wait reports that nothing is done with a day, and why.
func (d *day) wait(why string) error {
	d.report.Action, d.report.Why = Waits, why
	d.add(d.report)
	return nil
}

// leave makes the rows of a day leave, to where they can be asked for, and deletes all
// else that is there. moved is false, and nothing has changed, if the day is another than
// it was when the warehouse had come to from.
func (d *day) leave(ctx context.Context, from load.Progress, to load.Warm) (moved bool, err error) {
	done := d.Exclusive()
	moved, err = d.unchanged(ctx, from)
	if moved && err == nil {
		err = d.Warehouse.Leave(ctx, load.Departure{Table: d.keep.Table, Day: d.Day.Day, Hot: d.Hot, Left: d.Left, Warm: to})
		if errors.Is(err, arbalest.ErrExists) {
			moved, err = false, nil
		}
	}
	if done(); err != nil || !moved {
		return false, err
	}
	d.report.Rows = d.Hot
	return true, d.sweep(ctx, dayFolder(d.keep.Table, d.Day.Day), map[arbalest.Key]bool{to.Key: true})
}

// unchanged says that nothing of the day was loaded, or erased, since the warehouse was
// where it was. Counts, which Leave holds, cannot tell all.
func (d *day) unchanged(ctx context.Context, from load.Progress) (bool, error) {
	now, err := d.Warehouse.Progress(ctx)
	if _, stalled := now.Stalled[d.keep.Table]; err != nil || stalled || now.IsBefore(from.Cursor) {
		return false, err
	}
	last := now.Commit
	if now.Objects > 0 {
		last++
	}
	for seq := from.Commit + 1; seq <= last; seq++ {
		c, err := d.Lake.Commit(ctx, seq)
		if err != nil {
			return false, err
		}
		if c.Kind != arbalest.KindSort && c.Kind != arbalest.KindCompact {
			return false, nil
		}
		for _, o := range c.Objects {
			if o.Event == d.keep.Event && o.Hour >= d.Day.Day && o.Hour < d.Day.Day+24 {
				return false, nil
			}
		}
	}
	return true, nil
}

// forget takes days of an event out of the store, by a commit, and out of the warehouse,
// when that has come to it.
func (p *pass) forget(ctx context.Context, k Keep, days []*day) error {
	if len(days) == 0 {
		return nil
	}
	e := lake.Erasure{By: "arbalest archive", Why: fmt.Sprintf("gone_after: %dd", k.Gone)}
	byDay := map[arbalest.Hour]*day{}
	for _, d := range days {
		e.Whole = append(e.Whole, arbalest.EventDay{Event: k.Event, Day: d.Day.Day})
		byDay[d.Day.Day] = d
	}
	if !p.dry {
		if _, err := p.Lake.Erase(ctx, e); err != nil {
			return err
		}
		if err := p.leaveForGood(ctx, k, byDay); err != nil {
			return err
		}
	}
	for _, d := range days {
		d.report.Rows = d.Hot
		p.add(d.report)
	}
	return nil
}

// leaveForGood loads up to what was erased, and forgets those days. One that has had
// late events meanwhile is the next pass's.
func (p *pass) leaveForGood(ctx context.Context, k Keep, byDay map[arbalest.Hour]*day) error {
	done := p.Exclusive()
	defer done()
	for idle := false; !idle; {
		r, err := p.Loader.Once(ctx)
		if err != nil {
			return err
		}
		idle = r.Idle
	}
	days, err := p.Warehouse.Days(ctx, k.Table, slices.Max(slices.Collect(maps.Keys(byDay)))+24)
	if err != nil {
		return err
	}
	for _, now := range days {
		if byDay[now.Day] == nil {
			continue
		}
		if now.Hot+now.Left > 0 { // of late events
			delete(byDay, now.Day)
			continue
		}
		err := p.Warehouse.Leave(ctx, load.Departure{Table: k.Table, Day: now.Day, Hot: now.Hot, Left: now.Left, Gone: true})
		if errors.Is(err, arbalest.ErrExists) {
			delete(byDay, now.Day)
		} else if err != nil {
			return err
		}
	}
	for _, d := range byDay {
		if err := d.sweep(ctx, dayFolder(k.Table, d.Day.Day), nil); err != nil {
			return err
		}
	}
	return nil
}

// lost makes days stale whose warm objects are not where the warehouse reads them, those
// that are past no retention too.
func (p *pass) lost(ctx context.Context, table string, days []load.Day) ([]load.Day, error) {
	stores := p.warmStores()
	there := map[arbalest.Key]int64{}
	for info, err := range stores[len(stores)-1].List(ctx, WarmFolder(table), "") {
		if err != nil {
			return nil, fmt.Errorf("list warm objects: %w", err)
		}
		there[info.Key] = info.Size
	}
	all, err := p.Warehouse.Days(ctx, table, arbalest.EndHour)
	if err != nil {
		return nil, err
	}
	at := map[arbalest.Hour]int{}
	for i, d := range days {
		at[d.Day] = i
	}
	for _, d := range all {
		if d.Warm.Key == "" || there[d.Warm.Key] == d.Warm.Bytes {
			continue
		}
		d.Stale = true
		if i, ok := at[d.Day]; ok {
			days[i] = d
		} else {
			days = append(days, d)
		}
	}
	return days, nil
}

// stored adds to days of a table those that are past its retention for good and that
// only the store knows: none of their events has a row. With nothing that old it is one
// listing.
func (p *pass) stored(ctx context.Context, k Keep, days []load.Day) ([]load.Day, error) {
	if k.Gone == 0 {
		return days, nil
	}
	known, end := map[arbalest.Hour]bool{}, before(p.now, k.Gone)
	for _, d := range days {
		known[d.Day] = true
	}
	for info, err := range p.Store.List(ctx, arbalest.Key(k.Event)+"/", "") {
		if err != nil {
			return nil, fmt.Errorf("list partitions of %s: %w", k.Event, err)
		}
		n, ok := lake.NameOf(info.Key)
		if ok && n.Hour >= end {
			break
		}
		if day := n.Hour.Day(); ok && n.Seq > 0 && !known[day] {
			known[day] = true
			days = append(days, load.Day{Day: day})
		}
	}
	slices.SortFunc(days, func(a, b load.Day) int { return cmp.Compare(a.Day, b.Day) })
	return days, nil
}

// dateOf spells a day.
func dateOf(h arbalest.Hour) string { return h.Time().Format(time.DateOnly) }
