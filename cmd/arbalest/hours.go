package main

import (
	"time"

	"github.com/spf13/cobra"

	"arbalest"
)

// hours are whole hours of event time, from and to, exclusive, where they end: nil is
// no end.
type hours struct {
	From *arbalest.Hour `json:"from,omitempty"`
	To   *arbalest.Hour `json:"to,omitempty"`
}

// span returns the hours' ends.
func (h hours) span() (from, to arbalest.Hour) {
	from, to = arbalest.FirstHour, arbalest.EndHour
	if h.From != nil {
		from = *h.From
	}
	if h.To != nil {
		to = *h.To
	}
	return from, to
}

// String returns " from 2026-11-01 00:00 before 2026-11-02 00:00", or less.
func (h hours) String() (s string) {
	for _, end := range []struct {
		word string
		hour *arbalest.Hour
	}{{" from ", h.From}, {" before ", h.To}} {
		if end.hour != nil {
			s += end.word + end.hour.Time().Format("2006-01-02 15:04")
		}
	}
	return s
}

// hourFlags are the flags --from and --to.
type hourFlags struct{ from, to string }

func (f *hourFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.from, "from", "", "only hours of that event time or later: a `TIME`, a date 2026-11-01, an hour 2026-11-01/13, or how long ago: 90m, 24h, 7d")
	cmd.Flags().StringVar(&f.to, "to", "", "only hours of event time before that `TIME`")
}

// hours reads the flags. An hour of which a part is meant is meant as a whole.
func (f hourFlags) hours(now time.Time) (h hours, err error) {
	for _, end := range []struct {
		flag, text string
		hour       **arbalest.Hour
		up         time.Duration
	}{{"from", f.from, &h.From, 0}, {"to", f.to, &h.To, time.Hour - 1}} {
		at, err := when(end.text, now)
		if err != nil {
			return h, usage("--%s %v", end.flag, err)
		}
		if end.text != "" {
			hour := arbalest.HourOf(at.Add(end.up))
			*end.hour = &hour
		}
	}
	if from, to := h.span(); from >= to {
		return h, usage("there is no hour%s: --from is to be before --to", h)
	}
	return h, nil
}
