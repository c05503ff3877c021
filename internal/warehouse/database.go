// Package warehouse is the seam to a SQL database that tables live in, as
// pipelines need it, and makes a load.Warehouse of any Database that speaks
// PostgreSQL's SQL (New).
//
// What it stores is schema arbalest: the books of loading (cursor, journal,
// load_errors, conflicts, books, and archived, days and held of what left tables, as
// doc/format.md lists them). The commit point
// of everything is the database's own transaction.
package warehouse

import (
	"context"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/decode"
)

// A Database is a SQL database. Its methods may be called at once by any number
// of goroutines.
//
// Errors wrap arbalest.ErrInvalid (the statement or a value is to blame, and
// will be again), ErrUnknown (a relation or column that is not there), ErrExists
// (one that is there already), ErrBusy and ErrUnavailable (worth a retry), or
// are the context's own.
type Database interface {
	// Dialect says how this database spells things.
	Dialect() Dialect
	// Transact runs do in one transaction and commits it if do returns nil;
	// else nothing of it is there. lock is a name ([a-z0-9_]+): transactions of
	// the same name run one after another, on all machines, and each sees what
	// those before it committed. Of a runner that dies the lock is free.
	//
	// do is called again, in a new transaction, after a conflict with another
	// transaction and after the connection was lost, also while it committed:
	// so do must look first, inside the transaction, whether its work is there
	// already, and have no other effects. It must use the Tx that it is given,
	// and not after it returns. An error of do is returned as it is, wrapped.
	Transact(ctx context.Context, lock string, do func(Tx) error) error
	// Query runs a SELECT on its own, and calls visit for every row. Values are
	// as in Tx.Query. An error of visit ends it and is returned as it is.
	Query(ctx context.Context, sql string, visit func(values []any) error, args ...any) error
	// Close waits for what runs and closes the connections.
	Close() error
}

// A Tx is a transaction. It is one goroutine's.
type Tx interface {
	// Exec runs one statement and returns how many rows it wrote (0 where the
	// database does not tell). Arguments are $1, $2, …, and of the types of
	// Query's values; only SELECT, INSERT, UPDATE and DELETE take any.
	Exec(ctx context.Context, sql string, args ...any) (rows int64, err error)
	// Query runs a SELECT and calls visit for every row, as Database.Query.
	// A value is nil, bool, int64, float64, string (text, and every type that is
	// none of the others, as text), or time.Time in UTC. The slice is good
	// during the call only, and no other statement may run within it.
	Query(ctx context.Context, sql string, visit func(values []any) error, args ...any) error
	// Insert appends pages to a table, which has those columns, and returns how
	// many rows. table is spelled as in SQL (Ident). Values are those of the
	// vectors, exactly, or it fails: a column's type in the table may be wider
	// (load.Widest).
	Insert(ctx context.Context, table string, columns []arbalest.Column, pages []Page) (rows int64, err error)
	// Copy appends to a table what the objects of a store hold. Rows that are
	// wrong are left out and reported. With more of them than c allows the error
	// is a *CopyError, and the transaction is to be given up.
	Copy(ctx context.Context, table string, c Copy) (Copied, error)
}

// A Page is a run of decoded rows.
type Page struct {
	Rows    int
	Columns []decode.Vector
	// Keep has a bit for each row, least significant first, which is clear for
	// those that are left out. Nil keeps all.
	Keep []byte
}

// A Copy says what is copied into a table.
type Copy struct {
	// Columns are the columns to fill, and the path of each in an object's
	// documents. Others of the table get NULL.
	Columns []arbalest.Column
	// Objects are in Store. Each has JSON objects, one after another with
	// nothing but white space between; what ends with .gz or .zst is compressed.
	// That one is missing is arbalest.ErrUnknown.
	Store   blob.Store
	Objects []blob.Info
	// MaxErrors is as Redshift's MAXERROR: with so many rows that are wrong, and
	// at least one, the copy fails.
	MaxErrors int
	// NoLoad parses and checks everything, and loads nothing.
	NoLoad bool
}

// Copied is what a copy did.
type Copied struct {
	Rows   int64 // that are good
	Errors int64 // rows that are not
	// Reports are some of the errors, MaxReports at most.
	Reports []CopyReport
}

// MaxReports is how many errors of a copy are told of one by one.
const MaxReports = 1000

// A CopyReport is a row that was left out.
type CopyReport struct {
	Object arbalest.Key
	Line   int64  // from 1, at which the row's document begins (Redshift: ends)
	Column string // empty if the whole document is wrong
	Value  string
	Reason string
}

// A CopyError says that a copy had too many rows that are wrong. It wraps
// arbalest.ErrInvalid.
type CopyError struct {
	Copied
	MaxErrors int
}
