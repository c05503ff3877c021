package lake

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"arbalest"
)

// replayedFormat is the version of a Replay that this program writes.
const replayedFormat = 1

// A Replay is a mark: that rejected events of one hour were sent again, and are
// durable. Nothing that was rejected is ever changed or removed for it; a mark
// that is lost has its events replayed again, which loading leaves out.
type Replay struct {
	Format   int              `json:"format"`
	Hour     arbalest.Hour    `json:"hour"`
	Time     time.Time        `json:"time"`
	By       string           `json:"by"`       // the command
	Receipt  arbalest.Receipt `json:"receipt"`  // of the segment that their events are in
	Accepted int              `json:"accepted"` // events
	Rejected int              `json:"rejected"` // events of bodies that are kept anew, each for itself
	Lines    []ReplayedLines  `json:"lines"`
}

// ReplayedLines are rejected events of one segment and hour.
type ReplayedLines struct {
	Segment string   `json:"segment"` // as receipts spell it
	Lines   [][2]int `json:"lines"`   // from and to, both in it, from 1
}

// Add adds a Ref of the Replay's hour, the refs in order.
func (r *Replay) Add(ref Ref) {
	name := ref.segment()
	n := len(r.Lines)
	if n == 0 || r.Lines[n-1].Segment != name {
		r.Lines = append(r.Lines, ReplayedLines{Segment: name})
		n++
	}
	lines := &r.Lines[n-1].Lines
	if last := len(*lines) - 1; last >= 0 && (*lines)[last][1] == ref.Line-1 {
		(*lines)[last][1] = ref.Line
		return
	}
	*lines = append(*lines, [2]int{ref.Line, ref.Line})
}

// Mark makes it durable that rejected events were replayed. It is to be called
// once their events are durable. The commit point is the create.
func (l *Lake) Mark(ctx context.Context, r Replay) error {
	r.Format = replayedFormat
	return l.createJSON(ctx, replayedKey(r.Hour, newWriterID()), r)
}

// marks are the lines of an hour that were replayed, by segment.
type marks map[string][]mark

type mark struct {
	from, to int
	at       time.Time
}

// of says when an event was replayed last; zero if it was not.
func (m marks) of(ref Ref) (last time.Time) {
	for _, x := range m[ref.segment()] {
		if x.from <= ref.Line && ref.Line <= x.to && x.at.After(last) {
			last = x.at
		}
	}
	return last
}

// readMarks reads an hour's marks.
func (l *Lake) readMarks(ctx context.Context, hour arbalest.Hour) (marks, error) {
	var m marks
	prefix := replayedFolder + hour.String() + "/"
	for info, err := range l.store.List(ctx, arbalest.Key(prefix), "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, err)
		}
		if !strings.HasSuffix(string(info.Key), ".json") {
			continue
		}
		var r Replay
		err := l.readJSON(ctx, info.Key, &r, &r.Format)
		switch {
		case errors.Is(err, arbalest.ErrUnknown):
			continue // removed meanwhile
		case errors.Is(err, arbalest.ErrCorrupt):
			return nil, fmt.Errorf("%w: remove it: what it marks is then listed, and may be replayed, again", err)
		case err != nil:
			return nil, err
		}
		if m == nil {
			m = marks{}
		}
		for _, s := range r.Lines {
			for _, x := range s.Lines {
				m[s.Segment] = append(m[s.Segment], mark{x[0], x[1], r.Time})
			}
		}
	}
	return m, nil
}
