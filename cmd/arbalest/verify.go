package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"arbalest/internal/archive"
)

func newVerify() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify --data DIR",
		Short: "Prove the warehouse against the store",
		Long: `Reads every object that the log lists, and every row, and compares them:
events that are missing, extra, changed or twice there, objects that are
missing or damaged, books that do not balance. Exits 1 and says where they
differ.`,
		Args: noArgs,
	}
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "progress and report as JSON lines")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.work(cmd, asJSON, func(ctx context.Context, op operator, show func(progress)) (result, error) {
			r, err := op.Verify(ctx, show)
			return verified{r}, err
		})
	}
	return cmd
}

// maxListed is how many findings and tables people want to read.
const maxListed = 20

// verified is a report as a result.
type verified struct{ archive.Report }

func (v verified) print(out io.Writer, asJSON bool) error { return printVerify(out, v.Report, asJSON) }
func (v verified) err() error                             { return v.Err() }

func printVerify(out io.Writer, r archive.Report, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	var stored, distinct, rows, errors int64
	for _, t := range r.Tables {
		stored, distinct, rows, errors = stored+t.Stored, distinct+t.Distinct, rows+t.Rows, errors+t.Errors
	}
	fmt.Fprintf(out, "%s of the log up to commit %d: %s stored, %s without repeats; %s in %s, %s.\n",
		plural(r.Objects, "object"), r.Through, plural(stored, "event"), thousands(distinct), plural(rows, "row"), plural(int64(len(r.Tables)), "table"), plural(errors, "load error"))
	if len(r.Findings) == 0 {
		_, err := fmt.Fprintln(out, "Store and warehouse agree.")
		return err
	}
	for _, t := range r.Tables {
		var parts []string
		for _, k := range []archive.Kind{archive.Missing, archive.Extra, archive.Changed, archive.Duplicate, archive.Object} {
			if n := t.Findings[k]; n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, k))
			}
		}
		if len(parts) > 0 {
			fmt.Fprintf(out, "  %s: %s\n", t.Table, strings.Join(parts, ", "))
		}
	}
	for i, f := range r.Findings {
		if i == maxListed {
			fmt.Fprintf(out, "  … and more: --json lists them\n")
			break
		}
		fmt.Fprintf(out, "  %-9s %s %s: %s\n", f.Kind, f.Table, f.Hour, f.What)
	}
	return nil
}
