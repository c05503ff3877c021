package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arbalest"
	"arbalest/internal/decode"
)

func newSchemaInfer() *cobra.Command {
	var asJSON, bare bool
	var since string
	most := int64(100_000)
	cmd := &cobra.Command{
		Use:   "infer EVENT --data DIR",
		Short: "Draft an event's definition from its events in the store",
		Long: `Reads the newest events of a name and prints a definition that they fit, for
events/*.yaml: each property with its type, how many events have it, and some of
its values. What every event has is required; look whether that is so by chance.`,
		Args: exactly(1, "one event's name"),
	}
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "what was found, as JSON")
	cmd.Flags().BoolVar(&bare, "no-examples", false, "without values")
	cmd.Flags().StringVar(&since, "since", "", "only events of that time or later: a time, a date, or how long ago: 24h, 7d")
	cmd.Flags().Int64Var(&most, "events", most, "read about so many events, the newest")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		event := arbalest.EventName(args[0])
		if err := event.Validate(); err != nil {
			return err
		}
		from, err := when(since, time.Now())
		if err != nil {
			return usage("--since %v", err)
		}
		if err := p.resolve(true); err != nil {
			return err
		}
		c, err := p.read()
		if err != nil {
			return err
		}
		l, store, closeStore, err := openLake(cmd.Context(), *p, c)
		if err != nil {
			return err
		}
		defer closeStore() //nolint:errcheck // it was read only
		s, err := readEvents(cmd.Context(), l, store, event, from, most)
		if err != nil {
			return err
		}
		if s.Events() == 0 {
			return none(event, from)
		}
		if asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(reportOf(event, s, bare))
		}
		return draft(cmd.OutOrStdout(), event, s, bare)
	}
	return cmd
}

// A foundProperty is a property in a report.
type foundProperty struct {
	Name     string            `json:"column"`
	Path     []string          `json:"path"`
	Type     string            `json:"type,omitempty"` // empty if it was always null
	Events   int64             `json:"events"`
	Nulls    int64             `json:"nulls,omitempty"`
	Examples []json.RawMessage `json:"examples,omitempty"`
}

// A foundReport is what infer found.
type foundReport struct {
	Event      arbalest.EventName `json:"event"`
	Events     int64              `json:"events"`
	From       arbalest.Hour      `json:"from"`
	To         arbalest.Hour      `json:"to"`
	Properties []foundProperty    `json:"properties"`
}

func reportOf(event arbalest.EventName, s *surveyed, bare bool) foundReport {
	r := foundReport{Event: event, Events: s.Events(), From: s.first, To: s.last, Properties: []foundProperty{}}
	for _, p := range s.Properties() {
		r.Properties = append(r.Properties, foundOf(p, bare))
	}
	return r
}

func foundOf(p decode.Property, bare bool) foundProperty {
	f := foundProperty{Name: p.Column.Name, Path: p.Column.Path, Events: p.Events, Nulls: p.Nulls}
	if p.Column.Type.Kind != 0 {
		f.Type = p.Column.Type.String()
	}
	for _, e := range p.Examples {
		if !bare {
			f.Examples = append(f.Examples, json.RawMessage(e))
		}
	}
	return f
}

// draft prints a definition in YAML.
func draft(out io.Writer, event arbalest.EventName, s *surveyed, bare bool) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Drafted by arbalest schema infer from %s of %s to %s. Check it,\n# above all what is required, and put it into events/ of the data directory.\n", plural(s.Events(), "event"), s.first, s.last)
	fmt.Fprintf(&b, "events:\n  %s:\n    columns:\n", eventKey(event))
	var required []string
	lines := [][2]string{}
	width := 0
	for _, p := range s.Properties() {
		share := fmt.Sprintf("%s of %s", percent(p.Events, s.Events()), plural(s.Events(), "event"))
		if p.Column.Type.Kind == 0 {
			lines = append(lines, [2]string{"# " + spell(p.Column.Path) + " is always null", share})
			continue
		}
		line := "- {name: " + scalar(p.Column.Name)
		if len(p.Column.Path) > 1 || p.Column.Path[0] != p.Column.Name {
			line += ", path: " + spell(p.Column.Path)
		}
		line += ", type: " + typeIn(p.Column.Type) + "}"
		if !bare && len(p.Examples) > 0 {
			share += "; " + strings.Join(p.Examples, ", ")
		}
		lines = append(lines, [2]string{line, oneLine.Replace(share)})
		width = max(width, min(len(line), 72))
		if p.Events == s.Events() {
			required = append(required, spell(p.Column.Path))
		}
	}
	for _, l := range lines {
		fmt.Fprintf(&b, "      %-*s  # %s\n", width, l[0], l[1])
	}
	if len(lines) == 0 {
		b.Truncate(b.Len() - 1)
		b.WriteString(" []  # no event has properties\n")
	}
	if len(required) > 0 {
		fmt.Fprintf(&b, "    required: [%s]\n", strings.Join(required, ", "))
	}
	b.WriteString("    contract:\n      columns: evolve      # other properties are taken, and have columns inferred\n      data_type: freeze    # values that do not fit are refused\n")
	_, err := out.Write(b.Bytes())
	return err
}

// eventKey spells an event's name as a key of YAML.
func eventKey(event arbalest.EventName) string {
	for _, part := range strings.FieldsFunc(string(event), func(r rune) bool { return r == '.' || r == '-' }) {
		if !isPlain(part) {
			return string(arbalest.AppendString(nil, string(event)))
		}
	}
	return string(event)
}

// typeIn spells a type in a flow mapping, where a comma ends a plain text.
func typeIn(t arbalest.Type) string {
	if text := t.String(); !strings.Contains(text, ",") {
		return text
	}
	return `"` + t.String() + `"`
}
