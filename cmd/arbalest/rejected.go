package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/decode"
	"arbalest/internal/lake"
)

func newRejected() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rejected list|show|replay",
		Short: "What was rejected, and why: see it, and send it again",
		Long: `Events that are invalid are kept with the reason, as they came. list says which,
show gives one, and replay sends them through capture again, once what they were
rejected for is mended.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("unknown command %q: run %s --help", args[0], cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRejectedList(), newRejectedShow(), newRejectedReplay())
	return cmd
}

// openRejected opens the place's lake, which is done beside a serve too. What
// that has gathered is seen.
func (p *place) openRejected(ctx context.Context) (*lake.Lake, config, func() error, error) {
	if err := p.resolve(true); err != nil {
		return nil, config{}, nil, err
	}
	if err := p.land(ctx); err != nil {
		return nil, config{}, nil, err
	}
	c, err := p.read()
	if err != nil {
		return nil, config{}, nil, err
	}
	l, _, closeStore, err := openLake(ctx, *p, c)
	return l, c, closeStore, err
}

// land has the serve that runs on the place, if one does, publish what it has
// gathered.
func (p *place) land(ctx context.Context) error {
	op, err := dialServant(ctx, p.servant())
	if err != nil || op == nil {
		return err
	}
	return errors.Join(op.Land(ctx), op.Close())
}

// A selection says which rejected events are asked for.
type selection struct {
	reasons  []string
	event    string // a pattern of path.Match; empty is all
	from, to string
	limit    int
	all      bool // those that were replayed too
}

func (s *selection) flags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&s.reasons, "reason", nil, "only these codes: bad_time, not_json, … (may be repeated)")
	cmd.Flags().StringVar(&s.event, "event", "", `only events of this name, or of a pattern: "user.*"`)
	cmd.Flags().StringVar(&s.from, "from", "", "only what came then or later: a time, a date, an hour 2026-11-22/20, or how long ago: 90m, 24h, 7d")
	cmd.Flags().StringVar(&s.to, "to", "", "only what came earlier")
	cmd.Flags().IntVar(&s.limit, "limit", 0, "at most so many; 0 is all")
	cmd.Flags().BoolVar(&s.all, "all", false, "also what was replayed")
	_ = cmd.RegisterFlagCompletionFunc("reason", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var codes []string
		for _, c := range capture.Codes() {
			codes = append(codes, string(c))
		}
		return codes, cobra.ShellCompDirectiveNoFileComp
	})
}

// span checks the selection and returns its times.
func (s *selection) span(now time.Time) (span lake.Span, err error) {
	for _, r := range s.reasons {
		if codes := capture.Codes(); !slices.Contains(codes, capture.Code(r)) {
			return span, usage("--reason %s: there is no such code; the codes are %s", r, strings.Trim(fmt.Sprint(codes), "[]"))
		}
	}
	if _, err := path.Match(s.event, ""); err != nil {
		return span, usage("--event %s: a pattern has *, ? and [a-z]: %v", s.event, err)
	}
	if s.limit < 0 {
		return span, usage("--limit %d: want a number from 0", s.limit)
	}
	if span.From, err = when(s.from, now); err != nil {
		return span, usage("--from %v", err)
	}
	if span.To, err = when(s.to, now); err != nil {
		return span, usage("--to %v", err)
	}
	if !span.From.IsZero() && !span.To.IsZero() && !span.From.Before(span.To) {
		return span, usage("--from %s is not before --to %s", s.from, s.to)
	}
	return span, nil
}

// when reads a time, or how long ago it was. Empty is the zero time.
func when(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if h, err := arbalest.ParseHour(s); err == nil {
		return h.Time(), nil
	}
	if t, err := decode.ParseTime([]byte(s)); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%s: want a time such as 2026-11-22T20:12:03Z, a date, an hour 2026-11-22/20, or how long ago: 90m, 24h, 7d", s)
}

// wants says whether something is among those asked for. What cannot be read
// may be.
func (s *selection) wants(k lake.Kept) bool {
	if k.Err != nil {
		return true
	}
	if len(s.reasons) > 0 && !slices.Contains(s.reasons, k.Code) {
		return false
	}
	if s.event != "" {
		if ok, _ := path.Match(s.event, string(k.Event)); !ok {
			return false
		}
	}
	return s.all || k.Again.IsZero()
}

// errUnread is what commands end with that met what cannot be read.
func errUnread(n int, where string) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s could not be read, the first at %s: get it back from a copy of the store", arbalest.ErrCorrupt, plural(int64(n), "place"), where)
}
