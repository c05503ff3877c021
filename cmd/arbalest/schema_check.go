package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"arbalest"
	"arbalest/internal/policy"
	"arbalest/internal/strict"
)

func newSchemaCheck() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check [OLD.yaml] NEW.yaml",
		Short: "Say whether definitions change additively",
		Long: `Compares definitions with those of another file, or with those that are in use in
the data directory. Additive are new columns and properties that need not be there,
and types that are widened where no value changes: exits 0. Anything else deserves
an event of its own, whose name is suggested: exits 2.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 && len(args) != 2 {
				return usage("want one file of definitions, or an old and a new one: run %s --help", cmd.CommandPath())
			}
			return nil
		},
	}
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "the changes as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		after, err := readDefinitions(args[len(args)-1])
		if err != nil {
			return err
		}
		var before definitions
		if len(args) == 2 {
			before, err = readDefinitions(args[0])
		} else {
			before, err = p.inUse(cmd.Context(), after)
		}
		if err != nil {
			return err
		}
		r := compareAll(before, after, len(args) == 2)
		if err := r.print(cmd.OutOrStdout(), asJSON); err != nil {
			return err
		}
		return r.err()
	}
	return cmd
}

// definitions are definitions by event.
type definitions map[arbalest.EventName]policy.Definition

// readDefinitions reads a file of definitions, which may be an arbalest.yaml.
func readDefinitions(file string) (definitions, error) {
	c, err := readDefined(file)
	if err != nil {
		return nil, err
	}
	return c.definitions()
}

// readDefined reads a file of definitions as a configuration.
func readDefined(file string) (c config, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return c, fmt.Errorf("read definitions: %w", err)
	}
	if err := strict.Unmarshal("definitions", file, b, &c); err != nil {
		return c, err
	}
	if c.Privacy.Key == "" {
		c.Privacy.Key = "${KEY}" // it is in arbalest.yaml
	}
	if err := c.noteEvents(file, b, c.Events); err != nil {
		return c, err
	}
	return c, c.checkEvents()
}

// definitions returns all definitions.
func (c config) definitions() (definitions, error) {
	all := definitions{}
	for _, event := range slices.Sorted(maps.Keys(c.Events)) {
		d, err := c.definition(event)
		if err != nil {
			return nil, err
		}
		all[d.Event] = d
	}
	return all, nil
}

// inUse returns the definitions that are in use: those of the data directory, and
// of other events of after the columns that were inferred.
func (p *place) inUse(ctx context.Context, after definitions) (definitions, error) {
	if err := p.resolve(true); err != nil {
		return nil, err
	}
	c, err := p.read()
	if err != nil {
		return nil, err
	}
	all, err := c.definitions()
	if err != nil {
		return nil, err
	}
	l, _, closeStore, err := openLake(ctx, *p, c)
	if err != nil {
		return nil, err
	}
	defer closeStore() //nolint:errcheck // it was read only
	for event := range after {
		if _, ok := all[event]; ok {
			continue
		}
		t, err := l.Table(ctx, event)
		if err != nil {
			return nil, err
		}
		if t.Version == 0 {
			continue
		}
		d := policy.Definition{Event: event, Table: t.Name, Inferred: true}
		for _, column := range t.Columns {
			d.Columns = append(d.Columns, policy.Column{Column: column})
		}
		all[event] = d
	}
	return all, nil
}

// A checkReport is how definitions change.
type checkReport struct {
	Additive bool            `json:"additive"`
	Changes  []policy.Change `json:"changes"`
}

// compareAll compares definitions. whole says that events which after lacks have
// lost theirs.
func compareAll(before, after definitions, whole bool) checkReport {
	r := checkReport{Additive: true, Changes: []policy.Change{}}
	taken := func(name arbalest.EventName) bool {
		_, was := before[name]
		_, is := after[name]
		return was || is
	}
	for _, event := range slices.Sorted(maps.Keys(after)) {
		old, ok := before[event]
		if !ok {
			r.Changes = append(r.Changes, policy.Change{Event: event, Part: "event", What: "new", Additive: true})
			continue
		}
		r.Changes = append(r.Changes, policy.Compare(old, after[event])...)
	}
	for _, event := range slices.Sorted(maps.Keys(before)) {
		if _, ok := after[event]; !ok && whole {
			r.Changes = append(r.Changes, policy.Change{Event: event, Part: "event", What: "its definition is left out", Why: "who sends and who reads it counts on what it says"})
		}
	}
	for i, c := range r.Changes {
		if !c.Additive {
			r.Additive = false
			r.Changes[i].Suggest = policy.NextName(c.Event, taken)
		}
	}
	return r
}

func (r checkReport) err() error {
	if r.Additive {
		return nil
	}
	n := 0
	for _, c := range r.Changes {
		if !c.Additive {
			n++
		}
	}
	return fmt.Errorf("%w: %s not additive: leave the definition as it is, and define a new event", arbalest.ErrInvalid, pluralIs(n, "change"))
}

// pluralIs returns "1 change is", "2 changes are".
func pluralIs(n int, noun string) string {
	if n == 1 {
		return plural(1, noun) + " is"
	}
	return plural(int64(n), noun) + " are"
}

func (r checkReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	if len(r.Changes) == 0 {
		_, err := fmt.Fprintln(out, "Nothing changes.")
		return err
	}
	for _, c := range r.Changes {
		mark := "+"
		if !c.Additive {
			mark = "!"
		}
		fmt.Fprintf(out, "%s %s: %s: %s\n", mark, c.Event, c.Part, c.What)
		if !c.Additive {
			fmt.Fprintf(out, "    Not additive: %s. It is a new event: %s\n", c.Why, c.Suggest)
		}
	}
	return nil
}
