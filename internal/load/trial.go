package load

import (
	"context"
	"errors"
	"fmt"

	"arbalest"
	"arbalest/internal/decode"
)

// maxExamples is how many values a trial shows of each column.
const maxExamples = 3

// A Trial is what a definition would make of the events of the store.
type Trial struct {
	Table  string             `json:"table"`
	Event  arbalest.EventName `json:"event"`
	Events int64              `json:"events"` // that were looked at, repeats too
	Lost   int64              `json:"lost"`   // of them, that would not be in the table
	// Columns are those that the table has now or would have, in its order, first
	// those that it would have.
	Columns []TrialColumn `json:"columns"`
}

// A TrialColumn is a column of a Trial.
type TrialColumn struct {
	Name string `json:"name"`
	Now  string `json:"now,omitempty"` // its type in the current definition; empty if it is new
	To   string `json:"to,omitempty"`  // its type in the other; empty if it goes
	// Misfits is how many events have a value that does not fit. Examples are the
	// first of them, in the log's order.
	Misfits  int64     `json:"misfits"`
	Examples []Example `json:"examples,omitempty"`
}

// An Example is a value that does not fit.
type Example struct {
	Object arbalest.Key `json:"object"`
	Line   int64        `json:"line"`
	ID     string       `json:"id,omitempty"`
	Value  string       `json:"value"`  // JSON
	Reason string       `json:"reason"` // it says the value, too
}

// Try decodes the events of hours from <= hour < to by other definitions, and says
// what does not fit. It changes nothing. What values a warehouse cannot have, though
// they are valid, it does not know. advance is told of events that were looked at.
func (l *Loader) Try(ctx context.Context, tables []arbalest.Table, from, to arbalest.Hour, advance func(events int64)) ([]Trial, error) {
	trials := make([]Trial, len(tables))
	trying := map[arbalest.EventName]*trying{}
	for i, table := range tables {
		t, err := l.try(ctx, table, &trials[i])
		if err != nil {
			return nil, err
		}
		trying[table.Event] = t
	}
	for seq := arbalest.Seq(1); ; seq++ {
		c, err := l.lake.Commit(ctx, seq)
		if errors.Is(err, arbalest.ErrUnknown) {
			break
		}
		if err != nil {
			return nil, err
		}
		for _, o := range c.Objects {
			t := trying[o.Event]
			if t == nil || o.Hour < from || o.Hour >= to {
				continue
			}
			if t.bytes > 0 && t.bytes+o.Bytes > l.opts.BatchBytes {
				if err := t.flush(ctx, l); err != nil {
					return nil, err
				}
				advance(t.Events)
			}
			t.objects, t.bytes = append(t.objects, ObjectRef{Commit: seq, Object: o}), t.bytes+o.Bytes
		}
	}
	for _, table := range tables {
		t := trying[table.Event]
		if err := t.flush(ctx, l); err != nil {
			return nil, err
		}
		advance(t.Events)
	}
	return trials, nil
}

// trying is a Trial that is under way.
type trying struct {
	*Trial
	decoder *decode.Decoder
	column  map[string]int
	objects []ObjectRef
	bytes   int64
}

func (l *Loader) try(ctx context.Context, table arbalest.Table, trial *Trial) (*trying, error) {
	if !table.Declared {
		var err error
		if table, err = l.opened(ctx, table); err != nil {
			return nil, err
		}
	}
	t := &trying{Trial: trial, decoder: decode.NewTrial(table), column: map[string]int{}}
	t.Table, t.Event = table.Name, table.Event
	for _, c := range table.Columns {
		t.column[c.Name] = len(t.Columns)
		t.Columns = append(t.Columns, TrialColumn{Name: c.Name, To: c.Type.String()})
	}
	now, err := l.target(ctx, table.Event)
	if err != nil {
		return nil, err
	}
	for _, c := range now.table.Columns {
		i, ok := t.column[c.Name]
		if !ok {
			i = len(t.Columns)
			t.Columns = append(t.Columns, TrialColumn{Name: c.Name})
		}
		t.Columns[i].Now = c.Type.String()
	}
	return t, nil
}

// flush decodes the objects that have come together.
func (t *trying) flush(ctx context.Context, l *Loader) error {
	if len(t.objects) == 0 {
		return nil
	}
	chunks, err := l.decodeBy(ctx, t.decoder, t.objects)
	if err != nil {
		return fmt.Errorf("decode %s: %w", t.Event, err)
	}
	for _, c := range chunks {
		t.Events += int64(c.Rows)
		lost := decode.LoadError{Line: -1}
		for _, e := range c.Errors {
			if !e.Loaded && (e.Object != lost.Object || e.Line != lost.Line) {
				lost = e
				t.Events++
				t.Lost++
			}
			k, ok := t.column[e.Column]
			if !ok {
				continue
			}
			column := &t.Columns[k]
			if column.Misfits++; len(column.Examples) < maxExamples {
				column.Examples = append(column.Examples, Example{t.objects[e.Object].Key, e.Line, e.ID, e.Value, e.Reason})
			}
		}
		c.Release()
	}
	t.objects, t.bytes = t.objects[:0], 0
	return nil
}
