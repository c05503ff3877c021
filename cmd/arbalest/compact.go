package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"arbalest"
)

// A compactConfig says when and how objects of the store are merged.
type compactConfig struct {
	Off    bool     `yaml:"off"`    // serve leaves them as they are
	Every  duration `yaml:"every"`  // how often serve looks. Defaults to 1h
	Closed duration `yaml:"closed"` // how long after its end an hour is closed. Defaults to 2h
	Target size     `yaml:"target"` // lines of an object, about. Defaults to 64MiB
}

const (
	compactEvery  = time.Hour
	compactClosed = 2 * time.Hour
	compactFirst  = time.Minute // after serve began
)

func newCompact() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "compact --data DIR",
		Short: "Merge small objects of the store",
		Long: `Merges the objects of days that are over, and of hours with many objects, into
few large ones, as commits of the log, and deletes them. Repeats of an event are
left out. Everything else stays as it was: tables, books and what rebuild makes.

serve does this every hour (compact: in arbalest.yaml). Killed half-way,
whoever sorts or compacts next finishes it.`,
		Args: noArgs,
	}
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "progress and result as JSON lines")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.work(cmd, asJSON, func(ctx context.Context, op operator, show func(progress)) (result, error) {
			return op.Compact(ctx, show)
		})
	}
	return cmd
}

// A compactReport is what a compaction did.
type compactReport struct {
	Commits int     `json:"commits"`
	Before  int     `json:"objects_before"` // that were merged
	After   int     `json:"objects_after"`  // that they became
	Events  int64   `json:"events"`         // in those
	Repeats int64   `json:"repeats"`        // left out
	Bytes   int64   `json:"bytes"`          // of lines, before
	Seconds float64 `json:"seconds"`
}

func (r compactReport) err() error { return nil }

func (r compactReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	if r.Before == 0 {
		_, err := fmt.Fprintln(out, "Nothing to merge: the objects of closed days are as few as they can be.")
		return err
	}
	_, err := fmt.Fprintf(out, "%s (%s, %.1f MB of lines) merged into %s in %s and %.1f s; %s left out.\n", plural(int64(r.Before), "object"), plural(r.Events, "event"), float64(r.Bytes)/1e6,
		thousands(int64(r.After)), plural(int64(r.Commits), "commit"), r.Seconds, plural(r.Repeats, "repeat"))
	return err
}

// Compact implements operator.
func (e *engine) Compact(ctx context.Context, show func(progress)) (compactReport, error) {
	var r compactReport
	start := time.Now()
	closed := arbalest.HourOf(start.Add(-cmp.Or(time.Duration(e.config.Compact.Closed), compactClosed)))
	for {
		c, err := e.lake.Compact(ctx, closed)
		if err != nil {
			return r, err
		}
		if c.Commit == 0 && !c.More {
			r.Seconds = time.Since(start).Seconds()
			return r, nil
		}
		if c.Before > 0 {
			r.Commits++
		}
		r.Before += c.Before
		r.After += c.After
		r.Events += c.Events
		r.Repeats += c.Repeats
		r.Bytes += c.Bytes
		show(progress{Stage: "compact", Done: int64(r.Before), Unit: "objects"})
	}
}

// Compact implements operator.
func (s *servant) Compact(ctx context.Context, show func(progress)) (r compactReport, err error) {
	err = s.ask(ctx, "/compact", request{}, &r, show, nil)
	return r, err
}

// compactOn merges what is closed, now and then.
func (e *engine) compactOn(ctx context.Context, log *slog.Logger) {
	every := cmp.Or(time.Duration(e.config.Compact.Every), compactEvery)
	for pause := min(every, compactFirst); sleep(ctx, pause, nil); pause = every {
		r, err := e.Compact(ctx, func(progress) {})
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			log.Error("compact", "error", err, "again_in", every)
		case r.Before > 0:
			log.Info("compacted", "objects", r.Before, "into", r.After, "repeats", r.Repeats, "took", time.Duration(r.Seconds*float64(time.Second)).Round(time.Millisecond))
		}
	}
}
