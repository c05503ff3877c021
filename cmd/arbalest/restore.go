package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"arbalest"
	"arbalest/internal/archive"
	"arbalest/internal/blob"
)

const (
	restoreDays = 7           // that days are held for, if it is not said
	thawEvery   = time.Minute // how often it is asked whether partitions can be read
)

func newRestore() *cobra.Command {
	var asJSON bool
	var q restoreRequest
	var from, to string
	cmd := &cobra.Command{
		Use:   "restore --data DIR EVENT --from DAY --to DAY",
		Short: "Bring days that left back into their table",
		Long: `Makes days of an event that left their table again from the store, from one day
to another, both of them: their rows are in the table, and stay there for --days,
before the next pass of archive lets them leave. With --into they are made a table of
their own, and nothing else changes.

Partitions that are in an archive's storage class, and those of a day on each side,
are thawed first, which takes minutes to days (--tier Expedited, Standard or Bulk), and
costs money. It is waited for; interrupted, the same command goes on.`,
		Example: "  arbalest restore --data DIR user.created --from 2024-03-01 --to 2024-03-07",
		Args:    exactly(1, "the name of an event"),
	}
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "progress and result as JSON lines")
	cmd.Flags().StringVar(&from, "from", "", "the first day of event time, UTC: 2024-03-01")
	cmd.Flags().StringVar(&to, "to", "", "the last day")
	cmd.Flags().IntVar(&q.Days, "days", restoreDays, "how many days they stay")
	cmd.Flags().StringVar(&q.Speed, "tier", string(blob.ThawStandard), "how soon what is frozen is thawed: Expedited, Standard or Bulk")
	cmd.Flags().StringVar(&q.Into, "into", "", "a table to make of them, instead")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q.Event = arbalest.EventName(args[0])
		for _, end := range []struct {
			flag, text string
			day        *time.Time
		}{{"from", from, &q.From}, {"to", to, &q.To}} {
			var err error
			if *end.day, err = time.Parse(time.DateOnly, end.text); err != nil {
				return usage("--%s %q is not a day: write 2024-03-01", end.flag, end.text)
			}
		}
		speed, err := blob.ParseSpeed(q.Speed)
		switch q.Speed = string(speed); {
		case err != nil:
			return usage("--tier: %v", err)
		case q.To.Before(q.From):
			return usage("--to is before --from")
		case q.Days < 1:
			return usage("--days %d: days stay for 1 or more", q.Days)
		}
		return p.work(cmd, asJSON, func(ctx context.Context, op operator, show func(progress)) (result, error) {
			return op.Restore(ctx, q, show)
		})
	}
	return cmd
}

// A restoreRequest says which days come back, and for how long.
type restoreRequest struct {
	Event    arbalest.EventName `json:"event"`
	From, To time.Time          // first instants of days, both included
	Days     int                `json:"days"`
	Speed    string             `json:"speed"`
	Into     string             `json:"into,omitempty"`
}

// hours are those that are asked for: from, and up to, which is none of them.
func (q restoreRequest) hours() (from, to arbalest.Hour) {
	return arbalest.HourOf(q.From), arbalest.HourOf(q.To) + 24
}

// A restoreReport is what came back.
type restoreReport struct {
	Table   string          `json:"table"` // that the rows are in
	Rows    int64           `json:"rows"`
	Days    int             `json:"days"`
	Until   *time.Time      `json:"until,omitempty"` // they stay until then; not of a table of their own
	Thawed  archive.Thawing `json:"thawed"`
	Seconds float64         `json:"seconds"`
}

func (r restoreReport) err() error { return nil }

func (r restoreReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	if r.Thawed.Objects > 0 {
		fmt.Fprintf(out, "%s of partitions (%s) were thawed, until %s.\n", sized(r.Thawed.Bytes), plural(int64(r.Thawed.Objects), "object"), r.Thawed.Until.Format(time.DateOnly))
	}
	stay := ""
	if r.Until != nil {
		stay = fmt.Sprintf(", and stay until %s", r.Until.Format("2006-01-02 15:04"))
	}
	_, err := fmt.Fprintf(out, "%s of %s are in table %s%s (%.1f s).\n", plural(r.Rows, "row"), plural(int64(r.Days), "day"), r.Table, stay, r.Seconds)
	return err
}

// Restore implements operator.
func (s *servant) Restore(ctx context.Context, q restoreRequest, show func(progress)) (r restoreReport, err error) {
	err = s.ask(ctx, "/restore", request{Restore: q}, &r, show, nil)
	return r, err
}

// Restore implements operator. Until partitions can be read, others work on the place.
func (e *engine) Restore(ctx context.Context, q restoreRequest, show func(progress)) (restoreReport, error) {
	start := time.Now()
	table, err := e.loader.TableName(ctx, q.Event)
	if err != nil {
		return restoreReport{}, err
	}
	if _, err := e.eventsOf(ctx, []string{table}); err != nil {
		return restoreReport{}, err
	}
	from, to := q.hours()
	r := restoreReport{Table: cmp.Or(q.Into, table), Days: int(to-from) / 24}
	// They must be readable when they leave again, which is a pass after they may.
	thaw := blob.Thaw{Days: q.Days + 2, Speed: blob.Speed(q.Speed)}
	for {
		// What its rows may repeat is in the days beside.
		if r.Thawed, err = archive.Thaw(ctx, e.store, q.Event, from-24, to+24, thaw); err != nil {
			return r, err
		}
		if r.Thawed.Frozen == 0 {
			break
		}
		show(progress{Stage: "thaw", Done: int64(r.Thawed.Objects - r.Thawed.Frozen), Total: int64(r.Thawed.Objects), Unit: "objects"})
		if !sleep(ctx, thawEvery, nil) {
			return r, fmt.Errorf("wait for %s to thaw: %w: the same command goes on", plural(int64(r.Thawed.Frozen), "object"), ctx.Err())
		}
	}
	e.archiving.Lock() // else they would leave between the two
	defer e.archiving.Unlock()
	rebuilt, err := e.Rebuild(ctx, rebuildRequest{Tables: []string{table}, hours: hours{From: &from, To: &to}, Into: q.Into}, show)
	if err == nil {
		err = rebuilt.err()
	}
	if err != nil {
		return r, err
	}
	for _, t := range rebuilt.Tables {
		if t.Table == table {
			r.Rows = t.Loaded
		}
	}
	if q.Into == "" {
		until := start.AddDate(0, 0, q.Days).UTC().Truncate(time.Second)
		if err := e.warehouse.Hold(ctx, table, from, to, until); err != nil {
			return r, err
		}
		r.Until = &until
		if err := e.forgetWarm(ctx, table, from, to); err != nil {
			return r, err
		}
	}
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}
