package archive

import (
	"fmt"

	"arbalest"
)

// A Kind says what is wrong.
type Kind string

// The kinds of findings: of rows, of objects, of the log, and of the books.
const (
	Missing   Kind = "missing"   // stored, but not in the table nor in the load errors
	Extra     Kind = "extra"     // in the table, but not stored
	Changed   Kind = "changed"   // in the table with another hash or time than stored
	Duplicate Kind = "duplicate" // in the table twice
	Value     Kind = "value"     // a column has another value than the stored event

	MissingObject   Kind = "missing-object"   // the log lists it, and it is not there
	CorruptObject   Kind = "corrupt-object"   // it cannot be read, or has other lines than were written
	MissingMerged   Kind = "missing-merged"   // the same of what a compaction made
	CorruptMerged   Kind = "corrupt-merged"   //
	MissingRejected Kind = "missing-rejected" // the same of what was rejected
	CorruptRejected Kind = "corrupt-rejected" //
	Orphan          Kind = "orphan"           // an object that the log does not know
	Leftover        Kind = "leftover"         // a commit moved its lines, and it is there still, or again

	MissingCommit Kind = "missing-commit" // there are later ones
	CorruptCommit Kind = "corrupt-commit"
	WrongCommit   Kind = "wrong-commit" // it lists an object otherwise than that is
	Behind        Kind = "behind"       // the log ends before what the warehouse has loaded
	MissingMoves  Kind = "missing-moves"
	CorruptMoves  Kind = "corrupt-moves"
	Definition    Kind = "definition" // a version of a table's is missing or damaged
	Record        Kind = "erasure"    // the record of one is missing or damaged

	Journal Kind = "journal" // it says otherwise than the log, or nothing
	Books   Kind = "books"   // they do not balance
)

// A Finding is one thing that is wrong, and where.
type Finding struct {
	Kind   Kind               `json:"kind"`
	Event  arbalest.EventName `json:"event,omitempty"`
	Table  string             `json:"table,omitempty"`
	Hour   string             `json:"hour,omitempty"`   // of event time, yyyy-MM-dd/HH
	Commit arbalest.Seq       `json:"commit,omitempty"` // of the log
	Object arbalest.Key       `json:"object,omitempty"`
	ID     string             `json:"id,omitempty"` // of the event
	Column string             `json:"column,omitempty"`
	What   string             `json:"what"`
}

// Advice says what to do.
func (f Finding) Advice() string {
	switch f.Kind {
	case Orphan, Leftover:
		return "nothing reads it, and it may have what was erased: look at it, and delete it"
	case WrongCommit, Journal, Books:
		return "arbalest rebuild makes tables and books again from the store"
	case Missing, Extra, Changed, Duplicate, Value:
		return fmt.Sprintf("run arbalest rebuild %s to make the table again from the store", f.Table)
	}
	return "a copy of the store may have what is missing"
}

// An HourReport compares an hour of event time, or all of a table. IDs and RowIDs
// are sums, modulo 2^64, of a hash of each event's id, time and properties: they are
// the same for the same events in any order.
type HourReport struct {
	Hour   string `json:"hour,omitempty"`
	Events int64  `json:"events"` // stored, less repeats
	Errors int64  `json:"errors"` // of those, recorded as load errors
	Rows   int64  `json:"rows"`   // in the table
	IDs    uint64 `json:"ids,string"`
	RowIDs uint64 `json:"row_ids,string"`

	differs bool
}

// A TableReport is what was found of one event's table.
type TableReport struct {
	Event    arbalest.EventName `json:"event"`
	Table    string             `json:"table"`
	Stored   int64              `json:"stored"`           // lines in the store, and those that were erased or left out
	Erased   int64              `json:"erased,omitempty"` // of those
	Distinct int64              `json:"distinct"`         // events, less repeats
	Errors   int64              `json:"errors"`           // of those, recorded as load errors
	Rows     int64              `json:"rows"`             // in the warehouse
	IDs      uint64             `json:"ids,string"`
	RowIDs   uint64             `json:"row_ids,string"`
	Hours    []HourReport       `json:"hours,omitempty"`    // those that differ, MaxHours at most
	Compared int64              `json:"compared,omitempty"` // rows whose values were
	Findings map[Kind]int64     `json:"findings"`           // how many of each
}

// Frozen is what is in a cold storage class and has to be thawed to be read. It was
// not looked at, and nothing is said of the rows that are in the same hours.
type Frozen struct {
	Objects int64          `json:"objects"` // of the log
	Events  int64          `json:"events"`  // in those, by their commits
	Listed  []arbalest.Key `json:"listed"`  // what is frozen, MaxFindings at most
}

// A Report is what a verification found.
type Report struct {
	Head     arbalest.Seq  `json:"head"`    // the newest commit of the log
	Through  arbalest.Seq  `json:"through"` // the last commit that the warehouse has loaded
	Objects  int64         `json:"objects"` // that were read
	Listed   int64         `json:"listed"`  // objects that were looked for in the log; 0 of a sample
	Content  bool          `json:"content"` // values were compared
	Sample   *Sampled      `json:"sample,omitempty"`
	Frozen   *Frozen       `json:"frozen,omitempty"` // was not looked at; nil if all could be
	Tables   []TableReport `json:"tables"`
	Findings []Finding     `json:"findings"` // at most MaxFindings of each kind and table
	// Found counts all findings, listed or not, by kind.
	Found map[Kind]int64 `json:"found,omitempty"`
}

// Err returns nil, or an error that wraps arbalest.ErrDiffers.
func (r Report) Err() error {
	if len(r.Findings) == 0 {
		return nil
	}
	f := r.Findings[0]
	return fmt.Errorf("%w: %s: %s; %s", arbalest.ErrDiffers, f.Kind, f.What, f.Advice())
}

// find counts a finding and lists it, unless there are enough of its kind.
func (v *verification) find(t *TableReport, f Finding) {
	n := v.report.Found[f.Kind] + 1
	v.report.Found[f.Kind] = n
	if t != nil {
		f.Event, f.Table = t.Event, t.Table
		t.Findings[f.Kind]++
		n = t.Findings[f.Kind]
	}
	if n <= int64(v.opts.MaxFindings) {
		v.report.Findings = append(v.report.Findings, f)
	}
}
