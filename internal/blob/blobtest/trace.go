package blobtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"arbalest"
	"arbalest/internal/blob"
)

// A Tracer is a store that records what it is asked, one line for each
// operation in the order of their answers; a List in that of its beginning:
//
//	create _log/00000000000000000001.json 123
//	create _log/00000000000000000001.json 123: already exists
//	get _log/00000000000000000002.json: not found
//	get user.created/2015-08-18/06/1.ndjson 100+50
//	get user.created/2015-08-18/06/1.ndjson 100+
//	list _landing/ after=_landing/w/000001
//	delete _landing/w/000001
type Tracer struct {
	hooked

	mu    sync.Mutex
	lines []string
}

// Trace returns the store with a record.
func Trace(store blob.Store) *Tracer {
	t := &Tracer{}
	t.hooked = hooked{store, t.hook}
	return t
}

// Lines returns the record so far.
func (t *Tracer) Lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.lines)
}

// String returns the record as a text of lines.
func (t *Tracer) String() string {
	var text strings.Builder
	for _, line := range t.Lines() {
		text.WriteString(line + "\n")
	}
	return text.String()
}

// Count returns how many operations of the kinds were made; of all, if none is
// named.
func (t *Tracer) Count(ops ...Op) int {
	n := 0
	for _, line := range t.Lines() {
		op, _, _ := strings.Cut(line, " ")
		if len(ops) == 0 || slices.Contains(ops, Op(op)) {
			n++
		}
	}
	return n
}

// Reset empties the record.
func (t *Tracer) Reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = nil
}

func (t *Tracer) hook(_ context.Context, c *call, do func() error) error {
	line := strings.TrimSpace(fmt.Sprintf("%s %s", c.op, c.key))
	switch {
	case c.op == OpList:
		t.record(line + " after=" + string(c.after))
		return do()
	case c.body != nil:
		if size, err := c.body.Seek(0, io.SeekEnd); err == nil {
			line += fmt.Sprintf(" %d", size)
		}
	case c.op == OpGet && (c.offset != 0 || c.length != blob.Whole):
		line += fmt.Sprintf(" %d+", c.offset)
		if c.length != blob.Whole {
			line += fmt.Sprint(c.length)
		}
	}
	err := do()
	if err != nil {
		line += ": " + reason(err)
	}
	t.record(line)
	return err
}

func (t *Tracer) record(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line)
}

// reason returns the sentinel that an error wraps, so that traces of different
// stores are the same.
func reason(err error) string {
	if o := arbalest.OutcomeOf(err); !errors.Is(err, ErrCrashed) {
		return o.Err.Error()
	}
	return ErrCrashed.Error()
}
