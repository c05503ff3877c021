package web

import (
	"context"
	"time"

	"arbalest"
)

// An EventSource tells of events by their names.
type EventSource interface {
	// Events returns the names, by name.
	Events(ctx context.Context) ([]EventLine, error)
	// Event tells of one name, from a sample of its newest events. The error wraps
	// arbalest.ErrUnknown if there is none.
	Event(ctx context.Context, name arbalest.EventName) (EventDetail, error)
}

// An EventLine is what the books say of a name.
type EventLine struct {
	Name      arbalest.EventName
	Table     string
	PerSecond float64 // of the last minute
	Stored    int64
	Rejected  int64
	First     *time.Time // the hour of the earliest event; nil if none is stored
	Last      *time.Time // the hour of the latest one
	Loaded    *time.Time // when some were last loaded; nil if none was
	Defined   bool       // it has a definition
}

// An EventDetail is what is known of a name.
type EventDetail struct {
	EventLine
	Sampled    int64     // events that were read
	From, To   time.Time // their hours: the first instants of the first and last
	Properties []Property
	Examples   []string // stored lines, the newest first
	Definition *Definition
}

// A Property is a property that events have, or that a definition names.
type Property struct {
	Path     string
	Type     string // that its values have; empty if no event has it, or all are null
	Events   int64  // of the sample that have it, and not null
	Nulls    int64
	Examples []string // JSON
	Defined  string   // the type of its column in the definition; empty if that has none
	Required bool
	Unknown  bool // the definition lacks it
}

// A Definition is that of an event, and where the sample differs from it.
type Definition struct {
	Place      string // file:line
	Contract   string
	Absent     []string // that no event of the sample has
	Taken      []Misfit // that was taken out at the door
	LoadErrors []Misfit // that did not fit their columns in the last week
}

// A Misfit is what did not fit, by property and reason.
type Misfit struct {
	Path    string
	Reason  string
	Events  int64
	Example string
}

// Differs says whether the sample differs from the definition.
func (e EventDetail) Differs() bool {
	for _, p := range e.Properties {
		if p.Unknown {
			return true
		}
	}
	return e.Definition != nil && len(e.Definition.Absent)+len(e.Definition.Taken)+len(e.Definition.LoadErrors) > 0
}
