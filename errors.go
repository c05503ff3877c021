package arbalest

import (
	"context"
	"errors"
	"io/fs"
)

// The sentinels. Every error that leaves a package wraps one of them, or is
// the operating system's own. Outcomes has what each means at the edges.
var (
	ErrInvalid     = errors.New("invalid")                     // the input is wrong, and will stay so
	ErrUnknown     = errors.New("not found")                   // no such object, table, commit or receipt
	ErrExists      = errors.New("already exists")              // a conditional write lost
	ErrTooLarge    = errors.New("too large")                   // over a configured limit
	ErrDenied      = errors.New("denied")                      // no key, or not one that may
	ErrBusy        = errors.New("busy")                        // over the memory bound: retry
	ErrUnavailable = errors.New("unavailable")                 // the store or warehouse does not answer: retry
	ErrCorrupt     = errors.New("corrupt")                     // stored bytes are not what was written
	ErrNewer       = errors.New("written by a newer arbalest") // a format version above ours
	ErrDiffers     = errors.New("store and warehouse differ")  // what verify says
	ErrInUse       = errors.New("in use")                      // another process has the warehouse
	ErrCold        = errors.New("in a cold storage class")     // it has to be thawed before it can be read
)

// An Outcome is what an error means at the edges.
type Outcome struct {
	Err      error
	Exit     int    // of the process
	HTTP     int    // status
	SQLState string // PostgreSQL's five characters
	Retry    bool   // the same request may succeed later
}

// Outcomes maps the sentinels, most specific first. What is not in it is a
// defect of ours: exit 1, 500, XX000.
var Outcomes = []Outcome{
	{ErrDiffers, 1, 409, "XX001", false},
	{ErrInvalid, 2, 400, "22023", false},
	{ErrUnknown, 3, 404, "42P01", false},
	{ErrExists, 4, 409, "42710", false},
	{ErrTooLarge, 5, 413, "54000", false},
	{ErrDenied, 11, 401, "28000", false},
	{ErrBusy, 6, 429, "53400", true},
	{ErrInUse, 7, 409, "55006", true},
	{ErrCorrupt, 8, 500, "XX001", false},
	{ErrNewer, 9, 500, "0A000", false},
	{ErrCold, 12, 409, "55000", false},
	{ErrUnavailable, 10, 503, "58030", true},
	{context.DeadlineExceeded, 10, 503, "57014", true},
	{context.Canceled, 130, 503, "57014", true},
	{fs.ErrPermission, 10, 500, "42501", false},
	{fs.ErrNotExist, 3, 404, "58P01", false},
}

// OutcomeOf returns the first of Outcomes that err wraps.
func OutcomeOf(err error) Outcome {
	for _, o := range Outcomes {
		if errors.Is(err, o.Err) {
			return o
		}
	}
	return Outcome{err, 1, 500, "XX000", false}
}
