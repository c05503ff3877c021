package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arbalest/internal/model"
)

func newModels() *cobra.Command {
	var asJSON bool
	var r modelRequest
	cmd := &cobra.Command{
		Use:   "models [MODEL…] --data DIR",
		Short: "List models: what they are made from, how they stand, what a build would do",
	}
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "the list as a JSON line")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.Models = args
		return p.work(cmd, asJSON, func(ctx context.Context, op operator, _ func(progress)) (result, error) {
			return op.Models(ctx, r)
		})
	}
	return cmd
}

// A modelsReport is the models as they stand.
type modelsReport struct {
	Folder  string      `json:"folder"`
	Models  []modelLine `json:"models"`
	Lineage string      `json:"lineage"` // a tree
}

// A modelLine is one of them.
type modelLine struct {
	Name        string       `json:"name"`
	File        string       `json:"file"`
	Kind        model.Kind   `json:"materialized"`
	Description string       `json:"description,omitempty"`
	Sources     []string     `json:"sources"` // that it reads
	Tests       []string     `json:"tests,omitempty"`
	State       *model.State `json:"state,omitempty"` // none if it was never tried
	Next        string       `json:"next,omitempty"`  // what a build would do: view, full or incremental; none if it is up to date
	Why         string       `json:"why,omitempty"`
	Error       string       `json:"error,omitempty"`
	Waiting     bool         `json:"waiting,omitempty"` // the error is that a declared table has no event yet

	sql   string
	wrong []string // for each of Tests the query whose rows are wrong
}

func (r modelsReport) err() error { return nil }

func (r modelsReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	if len(r.Models) == 0 {
		_, err := fmt.Fprintf(out, "There are no models: write one as %s/NAME.sql.\n", r.Folder)
		return err
	}
	t := newTable("model", "materialized", "state", "rows", "built", "next build", "why")
	t.right(4, 4)
	for _, m := range r.Models {
		state, rows, built, next, why := "never built", "", "", m.Next, m.Why
		if s := m.State; s != nil {
			state = s.State
			if !s.Built.IsZero() {
				rows, built = thousands(s.Rows), s.Built.Format(time.DateTime)
			}
			if m.Kind == model.View {
				rows = ""
			}
			if s.State == model.Failed {
				message, _, _ := strings.Cut(s.Message, "\n")
				why = strings.TrimPrefix(why+"; the last try failed: "+message, "; ")
			}
		}
		switch {
		case m.Waiting:
			next, why = "", m.Error
		case m.Error != "":
			state, next, why = "wrong", "", m.Error
		case next == "":
			next, why = "none", "it is up to date"
		}
		t.AppendRow([]any{m.Name, m.Kind, state, rows, built, next, why})
	}
	_, err := fmt.Fprintf(out, "%s\n\n%s", t.Render(), r.Lineage)
	return err
}
