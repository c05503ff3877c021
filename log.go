package arbalest

import (
	"encoding/hex"
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
const LogFormat = 3

// A CommitKind says what a commit did.
type CommitKind string

// The kinds of commits.
const (
	// KindSort moves events from segments to partitions.
	KindSort CommitKind = "sort"
	// KindCompact merges objects of partitions: what was stored is stored
	// elsewhere. It is of format 2.
	KindCompact CommitKind = "compact"
	// KindErase takes lines out of objects of partitions. It is of format 3, as are
	// all commits after one.
	KindErase CommitKind = "erase"
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
	// Erase is what an erasure does.
	Erase *Erase `json:"erase,omitempty"`
	// Erasure is the newest erasure before this commit: what it and those before it
	// erased is left out.
	Erasure Seq `json:"erasure,omitempty"`
}

// A Merge says of which objects of one event and day, in this order, one is made.
type Merge struct {
	Key     Key      `json:"key"`
	Objects []Object `json:"objects"`
}

// An Erase is what an erasure does.
type Erase struct {
	By  string `json:"by,omitempty"`
	Why string `json:"why,omitempty"`
	// Fingerprints are of the events that are refused from now on, ascending.
	Fingerprints []Fingerprint `json:"fingerprints,omitempty"`
	// Days are where warehouses look for rows of events that this or an earlier
	// erasure erased; of those in Whole all rows go.
	Days     []EventDay `json:"days,omitempty"`
	Whole    []EventDay `json:"whole,omitempty"`
	Rewrites []Rewrite  `json:"rewrites,omitempty"`
	// Bodies are rejected events of which only that they were rejected is kept.
	Bodies []Strike `json:"bodies,omitempty"`
}

// An EventDay is a UTC day of an event's partitions.
type EventDay struct {
	Event EventName `json:"event"`
	Day   Hour      `json:"day"` // its first hour
}

// A Rewrite says which lines a stored object loses.
type Rewrite struct {
	Key     Key      `json:"key"`             // of what it becomes, if a line is left
	From    Key      `json:"from"`            // what has the lines now
	Moves   Seq      `json:"moves,omitempty"` // the commit whose moves made From; zero if From is the object of a commit
	Strikes []Strike `json:"strikes"`
}

// A Strike says which lines are erased of an object of a commit's, or of rejected
// events.
type Strike struct {
	Key   Key   `json:"key"`
	Lines []Run `json:"lines"` // ascending
}

// A Run is a run of lines: the first and the last, from 1.
type Run [2]int64

// A Fingerprint tells an erased event's name and id without giving them away: 128
// bits of a keyed hash. It is spelled in hexadecimal digits.
type Fingerprint [16]byte

// MarshalText spells a fingerprint in 32 hexadecimal digits.
func (f Fingerprint) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, f[:]), nil }

// UnmarshalText is the inverse of MarshalText.
func (f *Fingerprint) UnmarshalText(b []byte) error {
	if n, err := hex.Decode(f[:], b[:min(len(b), 2*len(f))]); err != nil || n != len(f) || len(b) != 2*n {
		return fmt.Errorf("%w: %.40q is not a fingerprint of 32 hexadecimal digits", ErrCorrupt, b)
	}
	return nil
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
	// Erased counts those of Rejected that nothing is kept of, as they had been
	// erased before they came.
	Erased []Rejection `json:"erased,omitempty"`
	// Moves names what a compaction or an erasure moved: the object that says where
	// everything is now. What it was moved from may go.
	Moves Key `json:"moves,omitempty"`
	// Erasure is the plan's.
	Erasure Seq `json:"erasure,omitempty"`
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
