package load

import (
	"context"
	"fmt"
	"maps"
	"time"

	"arbalest"
	"arbalest/internal/decode"
)

// A Cursor is a place in the log: all objects of the commits up to Commit, and
// the first Objects of the next one, in the order in which the commits list
// them.
type Cursor struct {
	Commit  arbalest.Seq
	Objects int
}

// Progress is how far a warehouse has come. Objects of a table in Stalled are
// loaded up to its own cursor only, because loading them failed; all others up
// to Cursor.
type Progress struct {
	Cursor
	Stalled map[string]Stall
}

// A Stall says where a table stopped, and why.
type Stall struct {
	Cursor
	Event  arbalest.EventName
	Since  time.Time
	Reason string
}

// SamePlace says whether loads go on from the same objects in both: reasons are
// not compared.
func (p Progress) SamePlace(q Progress) bool {
	if p.Cursor != q.Cursor || len(p.Stalled) != len(q.Stalled) {
		return false
	}
	for table, s := range p.Stalled {
		if t, ok := q.Stalled[table]; !ok || t.Cursor != s.Cursor {
			return false
		}
	}
	return true
}

// Reset returns the progress after tables were dropped, which drop does: they are
// loaded again from the log's first object on. events are those of the tables
// that the warehouse knows; the error wraps arbalest.ErrUnknown for another, or
// is drop's.
func (p Progress) Reset(tables []string, events map[string]arbalest.EventName, drop func(table string) error) (Progress, error) {
	next := Progress{Cursor: p.Cursor, Stalled: maps.Clone(p.Stalled)}
	if next.Stalled == nil {
		next.Stalled = map[string]Stall{}
	}
	for _, table := range tables {
		event, ok := events[table]
		if !ok {
			return p, fmt.Errorf("%w: reset: warehouse has no table %q", arbalest.ErrUnknown, table)
		}
		if err := drop(table); err != nil {
			return p, fmt.Errorf("reset %s: %w", table, err)
		}
		next.Stalled[table] = Stall{Event: event, Since: time.Now().UTC().Truncate(time.Millisecond), Reason: "rebuild"}
	}
	return next, nil
}

// An ObjectRef is an object of a commit.
type ObjectRef struct {
	Commit arbalest.Seq
	arbalest.Object
	// Repeats is how many of its events compaction has left out: they repeat
	// others of their hour. Erased is how many were erased before they were loaded.
	Repeats, Erased int64
}

// A TableBatch is what one transaction adds to one table.
type TableBatch struct {
	// Table is the definition that Chunks were decoded by. The warehouse makes
	// the table or adds and widens columns to match, and leaves alone what it
	// has beyond that.
	Table arbalest.Table
	// Objects are the batch's, in log order. Chunk.Object and
	// LoadError.Object are indices into it.
	Objects []ObjectRef
	// Chunks are the rows, in the order of Objects and lines.
	Chunks []*decode.Chunk
	// IDs has, for each chunk, the hash (HashID) of each row's id.
	IDs [][]uint64
	// Keep has, for each chunk, a bit for each row, least significant first:
	// clear for those of Repeats. A nil Keep, or a nil element, keeps all.
	Keep [][]byte
	// ByReceipt has, for each chunk, a bit for each row whose time is that of
	// its receipt (Sighting.Repeats says what follows). Nil as for Keep, for none.
	ByReceipt [][]byte
	// Repeats are the rows that repeat an earlier one of this same batch, in its
	// order. What they repeat may itself repeat a row of the table, and so not
	// come to be in it: Tally.Judge decides, when the table was asked.
	Repeats []Repeat
}

// A Repeat is a row of a batch that repeats an earlier one of it, which itself
// repeats none of the batch: of several such one with the same properties, else
// the earliest. Both are ordinals over all chunks, from 0.
type Repeat struct{ Row, Of int32 }

// A Twin is a row of the table that a row of the batch repeats.
type Twin struct {
	Row  int    // the batch's, an ordinal over all chunks
	Hash string // of the table's
	Time int64  // of the table's, microseconds
}

// A Conflict is a repeat of an id with other properties.
type Conflict struct {
	Object int32 // index into the batch's objects
	Line   int64 // from 1
	ID     string
	Time   int64  // microseconds
	Hash   string // of the one that was left out
	Kept   string // hash of the one that is in the table
}

// A Batch is what one transaction adds to the warehouse.
type Batch struct {
	Tables []TableBatch
	// Next is the progress that holds once the batch is in.
	Next Progress
	// Rejected are the rejections of the commits that Next completes, for the
	// books.
	Rejected []CommitRejection
	// Removals are what goes of tables as it was erased: Next completes the
	// erasure's commit.
	Removals []Removal
}

// A CommitRejection is a commit's count of invalid events.
type CommitRejection struct {
	Commit arbalest.Seq
	arbalest.Rejection
}

// Counts are what became of a batch's events: Stored = Loaded + Repeats +
// Errors + Erased. Conflicts are among the repeats.
type Counts struct {
	Stored    int64 `json:"stored"`
	Loaded    int64 `json:"loaded"`
	Repeats   int64 `json:"repeats"`
	Conflicts int64 `json:"conflicts"`
	Errors    int64 `json:"errors"`
	Erased    int64 `json:"erased,omitempty"`
}

// A TableError is an error of Load that is one table's alone, so that the same
// batch without that table may succeed.
type TableError struct {
	Table string
	Err   error
}

func (e *TableError) Error() string { return fmt.Sprintf("table %s: %v", e.Table, e.Err) }

// Unwrap returns Err.
func (e *TableError) Unwrap() error { return e.Err }

// Add adds d to c.
func (c *Counts) Add(d Counts) {
	c.Stored += d.Stored
	c.Loaded += d.Loaded
	c.Repeats += d.Repeats
	c.Conflicts += d.Conflicts
	c.Errors += d.Errors
	c.Erased += d.Erased
}

// A Warehouse is the SQL engine that tables live in.
//
// It keeps, in schema arbalest: journal (what has been loaded, one row for each
// commit, table and hour), cursor (Progress), books (received, stored,
// rejected, loaded, repeats, errors, erased for each event and hour), conflicts,
// load_errors and erased (how many events erasures took out). Methods may be called at once; a batch that another loader has
// loaded meanwhile is refused with arbalest.ErrExists and changes nothing.
type Warehouse interface {
	// Progress reads the cursor; the zero Progress if nothing was ever loaded.
	Progress(ctx context.Context) (Progress, error)
	// Load adds the batch in one transaction, in which Progress goes from prev
	// to b.Next: schema changes, rows, load errors, conflicts, removals, journal and
	// cursor, all or nothing. Rows that repeat a row of the table are left out
	// and counted (Tally.Judge). The counts returned are those of each of b.Tables.
	//
	// After any error the warehouse is as it was. It wraps arbalest.ErrExists
	// if Progress is not prev (cursors are compared, not reasons) or another
	// loader wrote at the same time: read Progress and go on from there. It is
	// a *TableError if it concerns one table only, whose definition or values
	// the warehouse cannot take. arbalest.ErrBusy and arbalest.ErrUnavailable
	// may succeed when tried again. After nil the batch is durable.
	//
	// B repeats A, a row that is in the table, if they have the same id and
	// table and their times are in the same hour, or B is one of ByReceipt and
	// they are at most 24 hours apart (Sighting.Repeats). Whether A's time was
	// that of its receipt does not matter, so that batches without ByReceipt
	// need only look at their own hours.
	Load(ctx context.Context, prev Progress, b Batch) ([]Counts, error)
	// Reset drops tables with their journal, load errors and conflicts, and sets
	// Stalled of each to the log's beginning with the reason "rebuild". With no
	// names it drops all that Load made, and the cursor goes to the log's
	// beginning. A table that Load never made and that is not stalled is
	// arbalest.ErrUnknown.
	Reset(ctx context.Context, tables ...string) error
	// Beside returns the tables that are being made beside the live ones by a plan,
	// with all that was loaded into them so far. If there are none, or another plan
	// began them, those go and it begins: with no table, and a Progress at the log's
	// beginning. An empty plan only drops, and returns nil.
	Beside(ctx context.Context, plan string) (Shadow, error)
	// Swap puts what was made beside in the place of live tables, in one transaction:
	// tables, journal, load errors and conflicts. Those of tables that were not made
	// beside are dropped, none of them is stalled afterwards, and nothing is left
	// beside. With no names all that Load made is replaced, and the books with it.
	//
	// Of a part only the rows of its hours are replaced, with what the journal, load
	// errors and conflicts say of them. Live tables get the columns that they lack, or
	// wider ones, as by Load; the error wraps arbalest.ErrInvalid if one's type cannot
	// become what is needed, and arbalest.ErrUnavailable if a live table is stalled. The
	// journal gets a mark of every hour that was replaced: an entry of no object, of
	// the newest commit, of which it then has more entries than ever before, so that
	// who follows the journal sees that those hours changed.
	//
	// Of a part Into a table, that table is made of the rows that the one that is
	// named has beside, and live tables and books stay as they are. The error wraps
	// arbalest.ErrInvalid if there is a table or view of that name, and
	// arbalest.ErrUnknown if there are no such rows.
	//
	// The error wraps arbalest.ErrExists, and all is as it was, if the Shadow's
	// progress is not the live cursor, or has a stalled table, and
	// arbalest.ErrUnknown if there is nothing beside.
	Swap(ctx context.Context, part Part, tables ...string) error
	// Rows yields the identity of every row of a table whose event_time is in
	// [from, to), in microseconds, in no order, and of those that left it (Tiers),
	// all as of one time. A table that does not exist has none. An error of visit is
	// returned as it is.
	Rows(ctx context.Context, table string, from, to int64, visit func(Row) error) error
	// Unloaded yields the id and time (microseconds) of every event that is recorded
	// as a load error and is not in the table.
	Unloaded(ctx context.Context, table string, visit func(id string, time int64) error) error
}

// A Shadow is where a loader loads into: a Warehouse, or the tables that are made
// beside its live ones, which have a cursor and books of their own (Warehouse.Beside).
// Methods are those of Warehouse; of tables beside, the error wraps
// arbalest.ErrUnknown when another has swapped or dropped them.
type Shadow interface {
	Progress(ctx context.Context) (Progress, error)
	Load(ctx context.Context, prev Progress, b Batch) ([]Counts, error)
	Rows(ctx context.Context, table string, from, to int64, visit func(Row) error) error
	Unloaded(ctx context.Context, table string, visit func(id string, time int64) error) error
}

// A Row is what identifies a row and its contents.
type Row struct {
	ID       string
	Time     int64 // microseconds
	Received int64 // microseconds
	Hash     string
	Left     bool // it is not in the table any more
}
