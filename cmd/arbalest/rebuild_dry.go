package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"arbalest"
	"arbalest/internal/load"
)

// A trial is what the flags of a dry run say.
type trial struct {
	hourFlags
	dry    bool
	define string
}

func (t *trial) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&t.dry, "dry-run", false, "change nothing, and say what the definitions of --define would do")
	cmd.Flags().StringVar(&t.define, "define", "", "with --dry-run: a `FILE` of definitions")
	t.hourFlags.flags(cmd)
}

// A trialRequest says which definitions are tried on which events.
type trialRequest struct {
	hours
	Tables []arbalest.Table `json:"tables,omitempty"`
}

// request reads the definitions of the tables that are named, or all.
func (t *trial) request(p *place, names []string) (r trialRequest, err error) {
	if t.dry != (t.define != "") {
		return r, usage("--dry-run and --define FILE go together")
	}
	if r.hours, err = t.hours(time.Now()); err != nil || !t.dry {
		return r, err
	}
	c, err := readDefined(t.define)
	if err != nil {
		return r, err
	}
	if c.Contract == (tablesContract{}) { // it is in arbalest.yaml
		if err := p.resolve(true); err != nil {
			return r, err
		}
		used, err := p.read()
		if err != nil {
			return r, err
		}
		c.Contract = used.Contract
	}
	if r.Tables, err = c.tables(); err != nil {
		return r, err
	}
	for _, name := range names {
		if !slices.ContainsFunc(r.Tables, func(t arbalest.Table) bool { return t.Name == name }) {
			return r, fmt.Errorf("%w: table %s: %s does not define it", arbalest.ErrUnknown, name, t.define)
		}
	}
	if len(names) > 0 {
		r.Tables = slices.DeleteFunc(r.Tables, func(t arbalest.Table) bool { return !slices.Contains(names, t.Name) })
	}
	return r, nil
}

// A trialReport is what definitions would do.
type trialReport struct {
	hours
	Tables []load.Trial `json:"tables"`
}

// Try implements operator. It reads the store only, so that all else goes on.
func (e *engine) Try(ctx context.Context, r trialRequest, show func(progress)) (trialReport, error) {
	report := trialReport{hours: r.hours}
	from, to := r.span()
	var err error
	report.Tables, err = e.loader.Try(ctx, r.Tables, from, to, func(n int64) { show(progress{Stage: "decode", Done: n, Unit: "events"}) })
	return report, err
}

// Try implements operator.
func (s *servant) Try(ctx context.Context, t trialRequest, show func(progress)) (r trialReport, err error) {
	err = s.ask(ctx, "/try", request{Trial: t}, &r, show, nil)
	return r, err
}

// err is nil: that values do not fit is what was asked for.
func (r trialReport) err() error { return nil }

func (r trialReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	span := r.hours
	for _, t := range r.Tables {
		fmt.Fprintf(out, "%s: %d of %s%s would not be loaded.\n", t.Table, t.Lost, plural(t.Events, "event"), span)
		for _, c := range t.Columns {
			switch {
			case c.To == "":
				fmt.Fprintf(out, "  %s %s goes\n", c.Name, c.Now)
				continue
			case c.Now == "":
				fmt.Fprintf(out, "  %s %s comes", c.Name, c.To)
			case c.Now != c.To:
				fmt.Fprintf(out, "  %s %s to %s", c.Name, c.Now, c.To)
			case c.Misfits > 0:
				fmt.Fprintf(out, "  %s %s", c.Name, c.To)
			default:
				continue
			}
			if c.Misfits == 0 {
				fmt.Fprintln(out, ": all fit")
				continue
			}
			does := "do"
			if c.Misfits == 1 {
				does = "does"
			}
			fmt.Fprintf(out, ": %s%s %s not fit\n", plural(c.Misfits, "event"), span, does)
			for _, e := range c.Examples {
				fmt.Fprintf(out, "    %s (%s, line %d, id %s)\n", e.Reason, e.Object, e.Line, e.ID)
			}
		}
	}
	return nil
}
