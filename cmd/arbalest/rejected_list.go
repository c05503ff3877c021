package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"os"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"arbalest"
	"arbalest/internal/lake"
)

// shownRejected is how many rejected events list shows people, unless it is told
// otherwise.
const shownRejected = 50

func newRejectedList() *cobra.Command {
	var asJSON, summary bool
	var s selection
	cmd := &cobra.Command{
		Use:   "list --data DIR",
		Short: "What was rejected, the newest first",
		Long: `Lists what was rejected and not replayed since, also what is not sorted yet: that
first, then by the hour in which it came, the newest first. Only the hours that
are shown are read. PLACE is what show and replay take.`,
		Example: "  arbalest rejected list --data DIR --summary\n  arbalest rejected list --data DIR --reason bad_time --event 'user.*' --from 24h",
		Args:    noArgs,
	}
	p := placeFlags(cmd)
	s.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, one to a line, all unless --limit says otherwise")
	cmd.Flags().BoolVar(&summary, "summary", false, "count them, by code and event")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		span, err := s.span(time.Now())
		if err != nil {
			return err
		}
		span.Newest = true
		if !asJSON && !summary && !cmd.Flags().Changed("limit") {
			s.limit = shownRejected
		}
		l, _, closeStore, err := p.openRejected(cmd.Context())
		if err != nil {
			return err
		}
		out := bufio.NewWriter(cmd.OutOrStdout())
		var to rejectedSink = &rejectedTable{out: out, all: s.all, width: widthOf(cmd.OutOrStdout())}
		switch {
		case summary:
			to = rejectedSummary{rejectedCounts{}, out, asJSON}
		case asJSON:
			to = rejectedJSON{json.NewEncoder(out)}
		}
		err = listRejected(cmd.Context(), l, span, s, to)
		return cmp.Or(err, out.Flush(), closeStore())
	}
	return cmd
}

// A rejectedSink takes what list finds.
type rejectedSink interface {
	add(k lake.Kept) error
	// end says whether there is more than was asked for.
	end(more bool) error
}

func listRejected(ctx context.Context, l *lake.Lake, span lake.Span, s selection, to rejectedSink) error {
	n, unread, first, more := 0, 0, "", false
	for k, err := range l.Rejections(ctx, span) {
		if err != nil {
			return err
		}
		if !s.wants(k) {
			continue
		}
		if more = s.limit > 0 && n == s.limit; more {
			break
		}
		n++
		if k.Err != nil {
			unread++
			first = cmp.Or(first, k.Ref.String())
		}
		if err := to.add(k); err != nil {
			return err
		}
	}
	return cmp.Or(to.end(more), errUnread(unread, first))
}

// A rejectedLine is a rejected event as JSON.
type rejectedLine struct {
	Place     string             `json:"place"`
	Received  *time.Time         `json:"received,omitempty"`
	Event     arbalest.EventName `json:"event,omitempty"`
	ID        string             `json:"id,omitempty"`
	Code      string             `json:"code"`
	Reason    string             `json:"reason"`
	Hour      string             `json:"hour,omitempty"` // of the books
	Bytes     int                `json:"bytes"`
	Index     int                `json:"index"` // in its request
	Truncated bool               `json:"truncated,omitempty"`
	Form      string             `json:"form,omitempty"`
	Origin    string             `json:"origin,omitempty"`
	Landing   bool               `json:"landing,omitempty"` // not sorted yet
	Replayed  *time.Time         `json:"replayed,omitempty"`
}

// unreadable is the code that list shows of what cannot be read.
const unreadable = "unreadable"

func newRejectedLine(k lake.Kept) rejectedLine {
	if k.Err != nil {
		return rejectedLine{Place: k.Ref.String(), Code: unreadable, Reason: k.Err.Error(), Landing: k.Landing}
	}
	l := rejectedLine{
		Place: k.Ref.String(), Received: &k.Received, Event: k.Event, ID: k.ID, Code: k.Code, Reason: k.Reason, Hour: k.Rejected.Hour.String(),
		Bytes: len(k.Body), Index: k.Index, Truncated: k.Truncated, Form: k.Form, Origin: k.Origin, Landing: k.Landing,
	}
	if !k.Again.IsZero() {
		l.Replayed = &k.Again
	}
	return l
}

type rejectedJSON struct{ *json.Encoder }

func (j rejectedJSON) add(k lake.Kept) error { return j.Encode(newRejectedLine(k)) }
func (j rejectedJSON) end(bool) error        { return nil }

// A rejectedTable is for people: it holds its rows, and shows as many as a query
// does.
type rejectedTable struct {
	out   io.Writer
	all   bool
	width int
	table lined
	rows  int
}

func (t *rejectedTable) add(k lake.Kept) error {
	if t.rows++; t.rows > maxTableRows {
		return nil
	}
	if t.rows == 1 {
		header := []any{"place", "received", "event", "id", "code", "reason"}
		if t.all {
			header = append(header, "replayed")
		}
		t.table = newTable(header...)
		t.table.SetColumnConfigs([]table.ColumnConfig{
			{Number: 3, WidthMax: 40, WidthMaxEnforcer: cutShort}, {Number: 4, WidthMax: 40, WidthMaxEnforcer: cutShort},
			{Number: 6, WidthMax: t.reasons(), WidthMaxEnforcer: cutShort},
		})
	}
	l := newRejectedLine(k)
	row := table.Row{l.Place, stamp(l.Received), string(l.Event), oneLine.Replace(l.ID), l.Code, oneLine.Replace(l.Reason)}
	if t.all {
		row = append(row, stamp(l.Replayed))
	}
	t.table.AppendRow(row)
	return nil
}

// reasons is how wide reasons may be: on a terminal what the rest leaves.
func (t *rejectedTable) reasons() int {
	if t.width == 0 {
		return 80
	}
	return max(30, t.width-140)
}

func (t *rejectedTable) end(more bool) error {
	if t.rows == 0 {
		return say(t.out, "Nothing was rejected that this asks for.\n")
	}
	if err := say(t.out, "%s\n", t.table.Render()); err != nil {
		return err
	}
	switch {
	case t.rows > maxTableRows:
		return say(t.out, "%s, the first %s shown: --json gives them all\n", plural(int64(t.rows), "place"), thousands(maxTableRows))
	case more:
		return say(t.out, "The newest %s; there are more: --limit 0 lists all, --summary counts them.\n", plural(int64(t.rows), "place"))
	}
	return say(t.out, "%s\n", plural(int64(t.rows), "place"))
}

// A rejectedGroup is what the summary counts together.
type rejectedGroup struct {
	code  string
	event arbalest.EventName
}

type rejectedCount struct {
	Code   string             `json:"code"`
	Event  arbalest.EventName `json:"event"`
	Places int64              `json:"places"`
	Oldest time.Time          `json:"oldest"`
	Newest time.Time          `json:"newest"`
}

// maxGroups is how many names of events the summary tells apart: clients choose
// them.
const maxGroups = 10_000

// A rejectedCounts counts what was rejected.
type rejectedCounts map[rejectedGroup]*rejectedCount

func (r rejectedCounts) count(k lake.Kept) {
	g := rejectedGroup{cmp.Or(k.Code, unreadable), k.Event}
	if r[g] == nil && len(r) >= maxGroups {
		g.event = "…"
	}
	c := r[g]
	if c == nil {
		c = &rejectedCount{Code: g.code, Event: g.event, Oldest: k.Received, Newest: k.Received}
		r[g] = c
	}
	c.Places++
	if k.Received.Before(c.Oldest) {
		c.Oldest = k.Received
	}
	if k.Received.After(c.Newest) {
		c.Newest = k.Received
	}
}

type rejectedSummary struct {
	rejectedCounts
	out  io.Writer
	json bool
}

func (s rejectedSummary) add(k lake.Kept) error { s.count(k); return nil }

func (s rejectedSummary) end(bool) error {
	var counts []*rejectedCount
	var sum int64
	for _, c := range s.rejectedCounts {
		counts = append(counts, c)
		sum += c.Places
	}
	slices.SortFunc(counts, func(a, b *rejectedCount) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(b.Places, a.Places), cmp.Compare(a.Event, b.Event))
	})
	if s.json {
		enc := json.NewEncoder(s.out)
		for _, c := range counts {
			if err := enc.Encode(c); err != nil {
				return err
			}
		}
		return nil
	}
	t := newTable("code", "event", "places", "oldest", "newest")
	t.right(3, 3)
	for _, c := range counts {
		t.AppendRow(table.Row{c.Code, string(c.Event), thousands(c.Places), stamp(&c.Oldest), stamp(&c.Newest)})
	}
	t.AppendFooter(table.Row{"all", "", thousands(sum), "", ""})
	return say(s.out, "%s\n", t.Render())
}

// stamp shows a time to people, in UTC.
func stamp(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateTime)
}

// widthOf returns how wide the terminal is that out is; 0 if it is none.
func widthOf(out io.Writer) int {
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		width, _, _ := term.GetSize(int(f.Fd()))
		return width
	}
	return 0
}
