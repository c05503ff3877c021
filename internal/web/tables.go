package web

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"arbalest"
	"arbalest/internal/load"
)

// A TableSource tells of the tables of events.
type TableSource interface {
	// Tables returns the tables, by name.
	Tables(ctx context.Context) ([]TableLine, error)
	// Table tells of one: its newest loads and errors. The error wraps
	// arbalest.ErrUnknown if there is none.
	Table(ctx context.Context, name string) (TableDetail, error)
	// Line returns the stored line that a load error of a table is about, as
	// much of it as can be shown. The error wraps arbalest.ErrUnknown if no load
	// error is about it.
	Line(ctx context.Context, table string, object arbalest.Key, line int64) (OffendingLine, error)
}

// A TableLine is how a table stands.
type TableLine struct {
	Name    string
	Event   arbalest.EventName
	Rows    int64
	Columns int64
	Bytes   int64      // in the warehouse; -1 if it does not say
	Newest  *time.Time // the hour of the latest event
	Loaded  *time.Time // when it was last loaded
	Errors  int64
	Stalled string // why it is not loaded at present
}

// A TableDetail is what is known of a table.
type TableDetail struct {
	TableLine
	Fields     []TableField
	Loads      []TableLoad  // the newest first
	Errors     []LoadError  // the newest first
	Hours      []HourOfRows // the newest hours, ascending
	MoreErrors bool         // there are older ones
}

// A TableField is a column as the warehouse has it.
type TableField struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// A TableLoad is what of a commit and an hour was loaded into a table.
type TableLoad struct {
	Commit int64      `json:"commit"`
	Hour   *time.Time `json:"hour"`
	load.Counts
	LoadedAt *time.Time `json:"loaded_at"`
}

// An HourOfRows is the rows of an hour of event time.
type HourOfRows struct {
	Hour time.Time
	Rows int64
}

// A LoadError is a value, or an event, that a table could not take.
type LoadError struct {
	LoadedAt *time.Time   `json:"loaded_at"`
	Object   arbalest.Key `json:"object"`
	Line     int64        `json:"line"` // from 1
	ID       string       `json:"event_id"`
	Column   string       `json:"column"` // empty if the whole line is wrong
	Value    string       `json:"value"`
	Reason   string       `json:"reason"`
	Loaded   bool         `json:"loaded"` // with NULL in the column
}

// An OffendingLine is a stored line that a load error is about.
type OffendingLine struct {
	Table  string
	Object arbalest.Key
	Line   int64
	Text   string
	Cut    bool // there is more of it
	Errors []LoadError
}

// Longest returns the most rows of an hour.
func (t TableDetail) Longest() (most int64) {
	for _, h := range t.Hours {
		most = max(most, h.Rows)
	}
	return most
}

// line is the page /tables/{name}/line?object=…&line=….
func (s *Site) line(w http.ResponseWriter, r *http.Request) error {
	n, err := strconv.ParseInt(r.FormValue("line"), 10, 64)
	if err != nil {
		return errBadLine
	}
	l, err := s.program.Line(r.Context(), r.PathValue("name"), arbalest.Key(r.FormValue("object")), n)
	if err != nil {
		return err
	}
	return s.render(w, r, "line.html", l)
}
