package load

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"arbalest"
)

// Tiers is a Warehouse that rows can leave: those of a day of a table go in one
// transaction, and their identities stay, so that a late repeat of one is still a
// repeat (Warehouse.Load) and is still told of (Warehouse.Rows). What left is in the
// store: in its partitions, and where it is warm in a Parquet object, which
// <table>_all shows beside the rows where the warehouse can read it.
//
// It keeps, in schema arbalest: archived (the identities of what left), days (what
// is known of each table's days that rows left) and held.
type Tiers interface {
	Warehouse
	// Days returns the UTC days of a table before one, which is given by its first
	// hour, that have rows in the table or that rows have left, ascending.
	Days(ctx context.Context, table string, before arbalest.Hour) ([]Day, error)
	// Leave makes the rows of a day leave its table, all that are in it, in one
	// transaction: identities, rows, what is known of the day, and what <table>_all
	// shows. With no rows in the table it changes where those are that left.
	// Leaving again what has left changes nothing. If it is Gone, rows that were
	// made beside (Beside) go too.
	//
	// The error wraps arbalest.ErrExists, and nothing has changed, if there are not
	// just as many rows as d says: some were loaded meanwhile.
	Leave(ctx context.Context, d Departure) error
	// Hold says that days of a table from one hour to another (which is none of them)
	// are not to leave it before a time, instead of what was said of days between
	// them; no time, that they may. Days tells. Reset and Swap of the table forget it.
	Hold(ctx context.Context, table string, from, to arbalest.Hour, until time.Time) error
	// Froze says that the partitions of a day that left are in an archive class; at no
	// time, that they are in none. The error wraps arbalest.ErrUnknown if no rows left.
	Froze(ctx context.Context, table string, day arbalest.Hour, at time.Time) error
	// ShowAll makes the view <table>_all, where the warehouse can read Parquet of the
	// store, or leaves it as it is; elsewhere it does nothing. The error wraps
	// arbalest.ErrExists if something else has that name, and arbalest.ErrUnknown if a
	// warm object is not there: then there is no view.
	ShowAll(ctx context.Context, table string) error
}

// A Day is what a warehouse knows of a UTC day of a table.
type Day struct {
	Day    arbalest.Hour // its first hour
	Hot    int64         // rows in the table
	Left   int64         // rows that left it
	Warm   Warm          // where those can be asked for; zero if nowhere
	Stale  bool          // Warm has rows that were erased since: they are not shown
	Frozen time.Time     // when its partitions were moved to an archive class; zero if they were not
	Held   time.Time     // it is not to leave the table before
}

// Warm is a Parquet object of the store with the rows of a day that left.
type Warm struct {
	Key   arbalest.Key
	Bytes int64
	// Columns tells definitions apart by which it may have been made.
	Columns string
}

// A Departure says which rows leave a table.
type Departure struct {
	Table string
	Day   arbalest.Hour // its first hour
	Hot   int64         // as Day's: rows that are proved to be in the store
	Left  int64
	Warm  Warm // has all of both
	// Gone says that nothing is kept of the day: no rows, no identities.
	Gone bool
}

// dayHours is how many hours a day has.
const dayHours = 24

// Span returns the times of a departure's day. The error wraps arbalest.ErrInvalid
// if it is not given by its first hour.
func (d Departure) Span() (Span, error) {
	if d.Day != d.Day.Day() {
		return Span{}, fmt.Errorf("%w: rows leave by UTC days, and %s is not the first hour of one", arbalest.ErrInvalid, d.Day)
	}
	return Span{HourMicro(d.Day), HourMicro(d.Day + dayHours)}, nil
}

// IsDone holds that a departure is of just the rows that there are, as now says. It
// is done if all of it has happened before. The error wraps arbalest.ErrExists.
func (d Departure) IsDone(now Day) (bool, error) {
	left, warm := d.Hot+d.Left, d.Warm
	if d.Gone {
		left, warm = 0, Warm{}
	}
	switch {
	case now.Hot == 0 && now.Left == left && now.Warm == warm && !now.Stale:
		return true, nil
	case now.Hot == d.Hot && now.Left == d.Left:
		return false, nil
	}
	return false, fmt.Errorf("%w: the table %s has %d rows of %s, and %d have left it: not %d and %d, as was proved", arbalest.ErrExists,
		d.Table, now.Hot, d.Day.Time().Format(time.DateOnly), now.Left, d.Hot, d.Left)
}

// A Hold says until when days of a table are not to leave it: those that have hours
// of From up to To, which is none of them.
type Hold struct {
	From, To arbalest.Hour
	Until    time.Time
}

// DaysOf returns the days of a table, ascending: those that rows left, and how many
// rows each day has.
func DaysOf(left []Day, hot map[arbalest.Hour]int64, held []Hold) []Day {
	byDay := map[arbalest.Hour]Day{}
	for _, d := range left {
		byDay[d.Day] = d
	}
	for day, rows := range hot {
		d := byDay[day]
		d.Day, d.Hot = day, rows
		byDay[day] = d
	}
	days := slices.SortedFunc(maps.Values(byDay), func(a, b Day) int { return cmp.Compare(a.Day, b.Day) })
	for i, d := range days {
		for _, h := range held {
			if h.From < d.Day+dayHours && h.To > d.Day && h.Until.After(d.Held) {
				d.Held = h.Until
			}
		}
		days[i] = d
	}
	return days
}

// ArchivedBook is the book of the identities of what left: table_name, and the
// columns that all tables begin with.
const ArchivedBook = "archived"

// DaysBook is the book of what is known of days that rows left.
const DaysBook = "days"

// TierBooks returns the books that a Tiers keeps, without rows.
func TierBooks() []*Ledger {
	const (
		text = arbalest.Varchar
		num  = arbalest.BigInt
		at   = arbalest.Timestamp
	)
	archived := newLedger(ArchivedBook, field{"table_name", text})
	archived.Columns = append(archived.Columns, arbalest.SystemColumns[:]...)
	return []*Ledger{
		archived,
		newLedger(DaysBook, field{"table_name", text}, field{"day", at}, field{"left_rows", num}, field{"warm_key", text}, field{"warm_bytes", num}, field{"warm_columns", text},
			field{"stale", arbalest.Boolean}, field{"frozen_at", at}),
		newLedger("held", field{"table_name", text}, field{"from_time", at}, field{"to_time", at}, field{"until_time", at}),
	}
}
