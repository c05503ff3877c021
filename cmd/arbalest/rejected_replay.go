package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/lake"
)

func newRejectedReplay() *cobra.Command {
	var asJSON, dry bool
	var s selection
	cmd := &cobra.Command{
		Use:   "replay --data DIR [PLACE…]",
		Short: "Send what was rejected through capture again",
		Long: `Sends what was rejected, and not replayed since, through capture again, under the
configuration as it is now. What is valid now is stored, by its own id and time
(or by those that follow from its place), sorted and loaded, and marked; what is
still invalid is left as it is. A body that was rejected whole is split into its
events. To replay twice, or to stop in the middle and begin anew, is harmless.

What was rejected as not_allowed is left unless it is named, by its place or by
--reason not_allowed. Exits 2 if there was something, and none of it was valid.`,
		Example: "  arbalest rejected replay --data DIR --dry-run\n  arbalest rejected replay --data DIR --reason event_too_large --event 'order.*'",
		Args:    cobra.ArbitraryArgs,
	}
	p := placeFlags(cmd)
	s.flags(cmd)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would become of it, and change nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "progress and report as JSON lines")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		refs, span, err := s.places(args)
		if err != nil {
			return err
		}
		rep := newReporter(cmd.ErrOrStderr(), asJSON)
		report, err := replayIn(cmd.Context(), p, refs, span, s, dry, rep.show)
		rep.done()
		if err != nil {
			return err
		}
		if report.Accepted > 0 && !dry {
			if report.Sync, err = syncIn(cmd.Context(), p, rep); err != nil {
				return err
			}
		}
		return cmp.Or(report.print(cmd.OutOrStdout(), asJSON), report.err())
	}
	return cmd
}

// places reads the arguments of replay: places, or else a selection.
func (s *selection) places(args []string) (refs []lake.Ref, span lake.Span, err error) {
	if span, err = s.span(time.Now()); err != nil {
		return nil, span, err
	}
	if len(args) > 0 && (len(s.reasons) > 0 || s.event != "" || s.from != "" || s.to != "" || s.limit > 0) {
		return nil, span, usage("give places, or --reason, --event, --from, --to and --limit, not both")
	}
	for _, a := range args {
		ref, err := lake.ParseRef(a)
		if err != nil {
			return nil, span, err
		}
		refs = append(refs, ref)
	}
	return refs, span, nil
}

// replayIn replays places, or where there are none, a selection.
func replayIn(ctx context.Context, p *place, refs []lake.Ref, span lake.Span, s selection, dry bool, show func(progress)) (*replayReport, error) {
	l, c, closeStore, err := p.openRejected(ctx)
	if err != nil {
		return nil, err
	}
	defer closeStore() //nolint:errcheck // all that was written is durable
	return replayOnLake(ctx, l, c, refs, span, s, dry, show)
}

// replayOnLake does so on a lake that is open.
func replayOnLake(ctx context.Context, l *lake.Lake, c config, refs []lake.Ref, span lake.Span, s selection, dry bool, show func(progress)) (*replayReport, error) {
	opts := replayOptions(c, l)
	door, err := c.door()
	if err != nil {
		return nil, err
	}
	opts.Policies, opts.Guarded = door.policies, door.guarded
	h, err := capture.New(opts)
	if err != nil {
		return nil, err
	}
	r := &replayer{lake: l, capture: h, dry: dry, show: show}
	r.report.Dry = dry
	if len(refs) > 0 {
		err = r.places(ctx, refs, s.all)
	} else {
		err = r.selected(ctx, span, s)
	}
	return &r.report, errors.Join(err, h.Close(ctx))
}

// replayOptions are those of capture in serve, but for how it is asked. A body
// may have any number of invalid events: they are bounded by its size.
func replayOptions(c config, l *lake.Lake) capture.Options {
	return capture.Options{
		Appender: l.NewWriter(), MaxRejected: 1 << 30,
		MaxBody: int(c.Limits.Body), MaxEvent: int(c.Limits.Event), MaxBytesInFlight: int(c.Limits.InFlight),
	}
}

func syncIn(ctx context.Context, p *place, rep *reporter) (*syncReport, error) {
	op, err := p.operate(ctx)
	if err != nil {
		return nil, err
	}
	defer op.Close()
	r, err := op.Sync(ctx, rep.show)
	rep.done()
	return &r, err
}

// A batch is replayed by one write, and then marked. It is of one hour.
const (
	replayBytes  = 4 << 20 // of bodies
	replayPlaces = 5000
)

// A replayer replays in batches. For each the commit point is capture's; a crash
// before the mark that follows has the batch replayed again, which makes repeats
// of its events.
type replayer struct {
	lake    *lake.Lake
	capture *capture.Handler
	dry     bool
	show    func(progress)
	report  replayReport

	batch []lake.Kept
	bytes int // of bodies in batch
}

// selected replays all that is wanted, in the order in which it came.
func (r *replayer) selected(ctx context.Context, span lake.Span, s selection) error {
	named := slices.Contains(s.reasons, string(capture.NotAllowed))
	for k, err := range r.lake.Rejections(ctx, span) {
		if err != nil {
			return err
		}
		if !s.wants(k) {
			continue
		}
		if s.limit > 0 && r.report.Places == int64(s.limit) {
			break
		}
		if err := r.add(ctx, k, named); err != nil {
			return err
		}
	}
	return r.flush(ctx)
}

// places replays what is named.
func (r *replayer) places(ctx context.Context, refs []lake.Ref, all bool) error {
	for _, ref := range refs {
		k, err := r.lake.Kept(ctx, ref)
		if err != nil {
			return errors.Join(err, r.flush(ctx))
		}
		if !k.Again.IsZero() && !all {
			r.report.Before++
			continue
		}
		if err := r.add(ctx, k, true); err != nil {
			return err
		}
	}
	return r.flush(ctx)
}

// add adds to the batch, which is replayed first if it is full. named says that
// what was not allowed is asked for.
func (r *replayer) add(ctx context.Context, k lake.Kept, named bool) error {
	r.report.Places++
	if k.Err != nil {
		r.report.leave(k.Ref, capture.Refusal{Code: unreadable, Reason: k.Err.Error()})
		return nil
	}
	if k.Code == string(capture.NotAllowed) && !named {
		r.report.leave(k.Ref, capture.Refusal{Code: capture.NotAllowed, Reason: "its key may not send it: name it, or give --reason not_allowed, to take it all the same"})
		return nil
	}
	full := len(r.batch) > 0 && (r.batch[0].Ref.Hour != k.Ref.Hour || r.bytes+len(k.Body) > replayBytes || len(r.batch) == replayPlaces)
	if full {
		if err := r.flush(ctx); err != nil {
			return err
		}
	}
	r.batch = append(r.batch, k)
	r.bytes += len(k.Body)
	return nil
}

// flush replays the batch and marks what was taken.
func (r *replayer) flush(ctx context.Context) error {
	for len(r.batch) > 0 {
		done, receipt, err := r.capture.Replay(ctx, r.batch, r.dry)
		if err != nil {
			return fmt.Errorf("replay: %w", err)
		}
		mark := lake.Replay{Hour: r.batch[0].Ref.Hour, Time: time.Now().UTC().Truncate(time.Millisecond), By: "arbalest rejected replay", Receipt: receipt}
		for i, d := range done {
			if d.Left != nil {
				r.report.leave(r.batch[i].Ref, *d.Left)
				continue
			}
			r.report.Replayed++
			mark.Add(r.batch[i].Ref)
			mark.Accepted += d.Accepted
			mark.Rejected += d.Rejected
		}
		if len(mark.Lines) > 0 && !r.dry {
			if err := r.lake.Mark(ctx, mark); err != nil {
				return fmt.Errorf("mark what was replayed: %w: its events are stored; replay again, which leaves them out", err)
			}
		}
		r.report.Accepted += int64(mark.Accepted)
		r.report.Rejected += int64(mark.Rejected)
		r.show(progress{Stage: "replay", Done: r.report.Places, Unit: "places"})
		r.batch = slices.Delete(r.batch, 0, len(done))
	}
	r.bytes = 0
	return nil
}

// A replayReport is what a replay came to.
type replayReport struct {
	Dry      bool        `json:"dry_run,omitempty"`
	Places   int64       `json:"places"`           // looked at
	Replayed int64       `json:"replayed"`         // of them
	Accepted int64       `json:"accepted"`         // their events
	Rejected int64       `json:"rejected"`         // their events that are still invalid, kept anew
	Before   int64       `json:"before,omitempty"` // places that were named and had been replayed
	Left     []leftLine  `json:"left"`             // the other places, by why
	Sync     *syncReport `json:"sync,omitempty"`
}

// A leftLine counts places that are left for one code.
type leftLine struct {
	Code   capture.Code `json:"code"` // of now
	Places int64        `json:"places"`
	Place  string       `json:"place"` // of the first
	Reason string       `json:"reason"`
}

func (r *replayReport) leave(ref lake.Ref, why capture.Refusal) {
	i := slices.IndexFunc(r.Left, func(l leftLine) bool { return l.Code == why.Code })
	if i < 0 {
		i = len(r.Left)
		r.Left = append(r.Left, leftLine{Code: why.Code, Place: ref.String(), Reason: why.Reason})
	}
	r.Left[i].Places++
}

// err is nil if something was replayed, or there was nothing to.
func (r *replayReport) err() error {
	for _, l := range r.Left {
		if l.Code == unreadable {
			return errUnread(int(l.Places), l.Place)
		}
	}
	if r.Replayed == 0 && r.Places > 0 {
		return fmt.Errorf("%w: none of %s can be replayed: the table says why; mend that, and replay again", arbalest.ErrInvalid, plural(r.Places, "place"))
	}
	if r.Sync != nil {
		return r.Sync.err()
	}
	return nil
}

func (r *replayReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	if r.Before > 0 {
		if err := say(out, "%s replayed before, and left out: --all takes such again.\n", plural(r.Before, "place")); err != nil {
			return err
		}
	}
	if r.Places == 0 {
		return say(out, "Nothing was rejected that this asks for.\n")
	}
	verb, were := "replayed", ""
	if r.Dry {
		verb, were = "would be replayed", "would be "
	}
	if err := say(out, "%s of %s %s: %s accepted", thousands(r.Replayed), plural(r.Places, "place"), verb, plural(r.Accepted, "event")); err != nil {
		return err
	}
	if r.Rejected > 0 {
		if err := say(out, "; %s of theirs %srejected again, each for itself", thousands(r.Rejected), were); err != nil {
			return err
		}
	}
	if err := say(out, ".\n"); err != nil {
		return err
	}
	if len(r.Left) > 0 {
		t := newTable("left", "places", "the first", "why")
		t.SetColumnConfigs([]table.ColumnConfig{{Number: 2, Align: text.AlignRight, AlignHeader: text.AlignRight}, {Number: 4, WidthMax: 100, WidthMaxEnforcer: cutShort}})
		for _, l := range r.Left {
			t.AppendRow([]any{string(l.Code), thousands(l.Places), l.Place, oneLine.Replace(l.Reason)})
		}
		if err := say(out, "%s\n", t.Render()); err != nil {
			return err
		}
	}
	if r.Sync != nil {
		return printSync(out, *r.Sync, false)
	}
	return nil
}
