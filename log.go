package arbalest

import (
	"fmt"
	"strconv"
	"time"
)

// A Key names an object in the store. Its parts are separated by "/"; keys
// order by their bytes.
type Key string

// A Seq numbers the commits of the log from 1. Zero is before the first.
type Seq uint64

// String returns the commit number in the 20 digits that keys use, so that
// keys order as numbers do.
func (s Seq) String() string { return fmt.Sprintf("%020d", uint64(s)) }

// ParseSeq is the inverse of Seq.String.
func ParseSeq(s string) (Seq, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || len(s) != 20 {
		return 0, fmt.Errorf("%w: %q is not a commit number of 20 digits", ErrCorrupt, s)
	}
	return Seq(n), nil
}

// LogFormat is the version of Plan and Commit that this program writes. It
// reads all versions up to it. doc/format.md describes each.
const LogFormat = 2

// A CommitKind says what a commit did.
type CommitKind string

// The kinds of commits.
const (
	// KindSort moves events from segments to partitions.
	KindSort CommitKind = "sort"
	// KindCompact merges objects of partitions: what was stored is stored
	// elsewhere. It is of format 2.
	KindCompact CommitKind = "compact"
)

// A Plan says what its commit will do. Writing it claims the commit number;
// whoever finds a plan without its commit does what it says. Doing it is
// deterministic.
type Plan struct {
	Format   int        `json:"format"`
	Seq      Seq        `json:"seq"`
	Kind     CommitKind `json:"kind"`
	Created  time.Time  `json:"created"`
	Writer   string     `json:"writer"`             // who planned; tells one's own lost reply from a rival's win
	Segments []Key      `json:"segments,omitempty"` // consumed, in this order
	// FlushBytes bounds memory: events are written out, as one object for each
	// partition, whenever this many bytes of lines are held.
	FlushBytes int64 `json:"flush_bytes,omitempty"`
	// Suffix is that of the objects: ".ndjson.zst" or ".ndjson".
	Suffix string `json:"suffix"`
	// Merges are what a compaction does; Through and Waiting are where the next
	// goes on: all commits up to Through were looked at, and of those the objects
	// Waiting are of hours that were not closed yet.
	Merges  []Merge  `json:"merges,omitempty"`
	Through Seq      `json:"through,omitempty"`
	Waiting []Object `json:"waiting,omitempty"`
}

// A Merge says of which objects of one event and day, in this order, one is made.
type Merge struct {
	Key     Key      `json:"key"`
	Objects []Object `json:"objects"`
}

// A Commit says what was done. Writing it is the commit point: its objects
// exist from then on, and its segments may go.
type Commit struct {
	Format   int        `json:"format"`
	Seq      Seq        `json:"seq"`
	Kind     CommitKind `json:"kind"`
	Time     time.Time  `json:"time"` // the plan's Created, so that every doer writes the same commit
	Segments []Key      `json:"segments"`
	Objects  []Object   `json:"objects"`
	// Rejected counts the invalid events that were in the segments; their
	// bytes and reasons are in RejectedKeys.
	Rejected     []Rejection `json:"rejected,omitempty"`
	RejectedKeys []Key       `json:"rejected_keys,omitempty"`
	// Moves names what a compaction moved: the object that says where everything
	// is now. What it was moved from may go.
	Moves Key `json:"moves,omitempty"`
}

// An Object is one object of events in a partition.
type Object struct {
	Key    Key       `json:"key"`
	Event  EventName `json:"event"`
	Hour   Hour      `json:"hour"`
	Events int64     `json:"events"` // lines
	Bytes  int64     `json:"bytes"`  // of the lines, uncompressed
	// Hash is the sum, modulo 2^64, of the XXH3 of every line: the same for
	// any order of the same lines.
	Hash uint64 `json:"hash,string"`
}

// A Rejection counts invalid events of one name and hour. Event is empty where
// no valid name was sent; Hour is the hour of receipt where no valid time was.
type Rejection struct {
	Event  EventName `json:"event"`
	Hour   Hour      `json:"hour"`
	Events int64     `json:"events"`
}

// A Receipt names the segment that an accepted event is in: the writer and the
// segment's number, "01JD3W4X2N8Q7R5T6V9Y0Z1A2B-000017".
type Receipt string
