package main

import (
	"cmp"
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"arbalest"
	"arbalest/connect"
	"arbalest/internal/load"
	"arbalest/internal/model"
	"arbalest/pipeline"
)

// booked are the figures of the books: Received = Stored + Rejected, and Stored =
// Loaded + Repeats + Errors + NotLoaded + Erased.
type booked struct {
	Received int64 `json:"received"`
	Rejected int64 `json:"rejected"`
	load.Counts
	NotLoaded int64 `json:"not_loaded"`
}

// add adds the figures of others.
func (b *booked) add(o booked) {
	b.Rejected += o.Rejected
	b.Counts.Add(o.Counts)
	b.settle()
}

// settle sets what follows from the rest.
func (b *booked) settle() {
	b.Received = b.Stored + b.Rejected
	b.NotLoaded = b.Stored - b.Loaded - b.Repeats - b.Errors - b.Erased
}

// A bookLine is what became of the events of one name and hour.
type bookLine struct {
	Event arbalest.EventName `json:"event"`
	Hour  string             `json:"hour,omitempty"`
	booked
}

// A statusReport is how everything stands.
type statusReport struct {
	Data     string                `json:"data"`
	Where    string                `json:"where,omitempty"` // events and tables are, if not all in Data
	Serve    string                `json:"serve,omitempty"` // where it captures, if one runs
	Commit   arbalest.Seq          `json:"commit"`          // newest
	Loaded   arbalest.Seq          `json:"loaded"`          // up to here
	Newest   *time.Time            `json:"newest,omitempty"`
	Landing  int                   `json:"landing_segments"`
	Stalled  map[string]load.Stall `json:"stalled,omitempty"`
	Tables   []connect.TableInfo   `json:"tables"`
	Books    []bookLine            `json:"books"` // by event and hour
	Balanced bool                  `json:"balanced"`
	Runs     []pipeline.RunLine    `json:"runs,omitempty"` // the newest of each pipeline
	Models   []model.Standing      `json:"models,omitempty"`
}

// Status implements operator. Where others load between one look and the next,
// it looks again.
func (e *engine) Status(ctx context.Context) (r statusReport, err error) {
	e.work.Lock()
	defer e.work.Unlock()
	for range verifications {
		before, err := e.warehouse.Progress(ctx)
		if err != nil {
			return r, err
		}
		if r, err = e.status(ctx, before); err != nil || e.alone {
			return r, err
		}
		after, err := e.warehouse.Progress(ctx)
		if err != nil || reflect.DeepEqual(before, after) {
			return r, err
		}
	}
	return r, nil
}

// status makes the books of those of the journal, which is at progress, and of
// what it has not seen: commits that are not loaded, and landing.
func (e *engine) status(ctx context.Context, progress load.Progress) (statusReport, error) {
	r := statusReport{Data: e.place.dir}
	if e.config.Store != "" || e.config.Warehouse.URL != "" {
		r.Where = e.place.where(e.config)
	}
	r.Loaded, r.Stalled = progress.Commit, progress.Stalled
	books, err := e.unloaded(ctx, progress, &r)
	if err != nil {
		return r, err
	}
	err = e.warehouse.Books(ctx, func(b load.Book) error {
		books.line(b.Event, b.Hour).add(booked{Rejected: b.Rejected, Counts: b.Counts})
		return nil
	})
	if err != nil {
		return r, err
	}
	if r.Commit > 0 {
		if c, err := e.lake.Commit(ctx, r.Commit); err == nil {
			r.Newest = &c.Time
		}
	}
	infos, err := e.lake.Landing(ctx)
	if err != nil {
		return r, err
	}
	r.Landing = len(infos)
	r.Books = books.lines()
	r.Balanced = true
	for _, b := range r.Books {
		r.Balanced = r.Balanced && b.NotLoaded >= 0
	}
	if r.Tables, err = e.warehouse.Tables(ctx); err != nil {
		return r, err
	}
	if r.Runs, err = pipeline.History(ctx, e.database, runsShown); err != nil {
		return r, err
	}
	r.Models, err = model.Standings(ctx, e.database)
	return r, err
}

// unloaded is the books of what the journal, which is at progress, has not seen:
// commits that are not loaded, and landing.
func (e *engine) unloaded(ctx context.Context, progress load.Progress, r *statusReport) (ledger, error) {
	books := ledger{}
	if err := e.pending(ctx, progress, books, r); err != nil {
		return nil, err
	}
	stored, rejected, err := e.lake.Unsorted(ctx)
	if err != nil {
		return nil, err
	}
	for p, n := range stored {
		books.line(p.Event, p.Hour).Stored += n
	}
	for p, n := range rejected {
		books.line(p.Event, p.Hour).Rejected += n
	}
	return books, nil
}

// runsShown is how many runs of each pipeline status tells of.
const runsShown = 3

// pending adds the commits that are not loaded, all of them for what no table
// has, and for stalled tables from where they stopped.
func (e *engine) pending(ctx context.Context, p load.Progress, books ledger, r *statusReport) error {
	head, err := e.lake.Head(ctx)
	if err != nil {
		return err
	}
	r.Commit = head
	from := p.Commit
	stalls := map[arbalest.EventName]load.Cursor{}
	for _, s := range p.Stalled {
		stalls[s.Event] = s.Cursor
		from = min(from, s.Commit)
	}
	for seq := max(1, from+1); seq <= head; seq++ {
		c, err := e.lake.Commit(ctx, seq)
		if errors.Is(err, arbalest.ErrUnknown) {
			continue // a gap: verify says so
		}
		if err != nil {
			return err
		}
		for i, o := range c.Objects {
			at := p.Cursor
			if s, ok := stalls[o.Event]; ok {
				at = s
			}
			if seq > at.Commit+1 || seq == at.Commit+1 && i >= at.Objects {
				books.line(o.Event, o.Hour).Stored += o.Events
			}
		}
		if seq > p.Commit {
			for _, x := range c.Rejected {
				books.line(x.Event, x.Hour).Rejected += x.Events
			}
		}
	}
	return nil
}

// A ledger gathers the books.
type ledger map[arbalest.Partition]*bookLine

func (l ledger) line(event arbalest.EventName, hour arbalest.Hour) *bookLine {
	p := arbalest.Partition{Event: event, Hour: hour}
	if l[p] == nil {
		l[p] = &bookLine{Event: event, Hour: hour.String()}
	}
	return l[p]
}

// lines returns the ledger by event and hour, with what follows from the rest.
func (l ledger) lines() []bookLine {
	out := make([]bookLine, 0, len(l))
	for _, b := range l {
		b.settle()
		out = append(out, *b)
	}
	slices.SortFunc(out, func(a, b bookLine) int {
		return cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(a.Hour, b.Hour))
	})
	return out
}

// byEvent sums lines over their hours.
func byEvent(lines []bookLine) []bookLine {
	var out []bookLine
	for _, b := range lines {
		if n := len(out); n == 0 || out[n-1].Event != b.Event {
			out = append(out, bookLine{Event: b.Event})
		}
		out[len(out)-1].add(b.booked)
	}
	return out
}
