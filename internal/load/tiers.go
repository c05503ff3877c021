package load

import (
	"context"
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
	// Leaving again what has left changes nothing.
	//
	// The error wraps arbalest.ErrExists, and nothing has changed, if there are not
	// just as many rows as d says: some were loaded meanwhile.
	Leave(ctx context.Context, d Departure) error
	// Hold says that days of a table are not to leave it before a time. Days tells.
	Hold(ctx context.Context, table string, from, to arbalest.Hour, until time.Time) error
	// Froze says that the partitions of a day that left are in an archive class.
	Froze(ctx context.Context, table string, day arbalest.Hour, at time.Time) error
	// ShowAll makes the view <table>_all, where the warehouse can read Parquet of the
	// store, or leaves it as it is; elsewhere it does nothing. The error wraps
	// arbalest.ErrExists if something else has that name.
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
