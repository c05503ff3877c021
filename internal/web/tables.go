package web

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"arbalest"
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
	Bytes   int64     // in the warehouse; -1 if it does not say
	Newest  time.Time // the hour of the latest event
	Loaded  time.Time // when it was last loaded
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

// A TableField is a column.
type TableField struct{ Name, Type string }

// A TableLoad is what one commit added to a table.
type TableLoad struct {
	Commit  int64
	At      time.Time
	Hours   int64
	Objects int64
	Stored  int64
	Loaded  int64
	Repeats int64
	Errors  int64
}

// An HourOfRows is the rows of an hour of event time.
type HourOfRows struct {
	Hour time.Time
	Rows int64
}

// A LoadError is a value, or a line, that did not fit.
type LoadError struct {
	At     time.Time
	Object string
	Line   int64
	ID     string
	Column string // empty if the whole line is wrong
	Value  string
	Reason string
	Loaded bool // the event is in the table all the same
}

// An OffendingLine is a stored line that a load error is about.
type OffendingLine struct {
	Table  string
	Object string
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

// tables is the page /tables.
func (s *Site) tables(w http.ResponseWriter, r *http.Request) error {
	lines, err := s.tableLines.get(r.Context(), s.program.Tables)
	if err != nil {
		return err
	}
	return s.render(w, r, "tables.html", lines)
}

// table is the page /tables/{name}.
func (s *Site) table(w http.ResponseWriter, r *http.Request) error {
	t, err := s.program.Table(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	return s.render(w, r, "table.html", t)
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
