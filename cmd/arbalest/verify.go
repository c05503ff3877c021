package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"arbalest"
	"arbalest/internal/archive"
)

func newVerify() *cobra.Command {
	var asJSON, content bool
	var sample string
	var seed uint64
	cmd := &cobra.Command{
		Use:   "verify --data DIR",
		Short: "Prove the warehouse against the store",
		Long: `Reads every commit and every object of the log, and every row, and compares
them, for each event and hour. Exits 1 and says what is wrong, and where:

  rows     missing, extra, changed (hash or time), duplicate; with --content
           also value: a column that has another value than the stored event
  objects  missing or corrupt, also what was merged and what was rejected;
           orphan (nothing knows of it), leftover (merged, and not deleted)
  the log  missing, corrupt or wrong commits, one that ends behind the
           warehouse, missing or corrupt moves, damaged definitions of tables
  books    that do not balance, a journal that says otherwise

Objects in a cold storage class are not looked at: they are counted and named, and
hours that have some are not compared.

It asks the store for every commit and object, and lists it, which is one request
more for each 1,000 objects. With --sample it reads the log, the definitions and
some partitions only, compares those whole, and lists nothing, so that it finds no
orphans. --content decodes every event anew: it is for DuckDB and PostgreSQL.
What it found is also in DIR/verified.json, and on the page Verify of serve.`,
		Example: `  arbalest verify --data my-data --content
  arbalest verify --data my-data --sample 1%
  arbalest verify --data my-data --sample 500 --seed 7 --json`,
		Args: noArgs,
	}
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "progress and report as JSON lines")
	cmd.Flags().BoolVar(&content, "content", false, "compare every column's value")
	cmd.Flags().StringVar(&sample, "sample", "", "compare a share of the partitions (5%), or as many as have so many objects (500)")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "which of them: that of an earlier sample repeats it (default: any)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r := verifyRequest{Content: content}
		switch {
		case sample != "":
			if !cmd.Flags().Changed("seed") {
				seed = rand.Uint64()
			}
			var err error
			if r.Sample, err = parseSample(sample, seed); err != nil {
				return err
			}
		case cmd.Flags().Changed("seed"):
			return usage("--seed is of a sample: give --sample too")
		}
		return p.work(cmd, asJSON, func(ctx context.Context, op operator, show func(progress)) (result, error) {
			report, err := op.Verify(ctx, r, show)
			return verification{report}, err
		})
	}
	return cmd
}

// parseSample reads "5%" or "500".
func parseSample(s string, seed uint64) (archive.Sample, error) {
	if percent, ok := strings.CutSuffix(s, "%"); ok {
		if f, err := strconv.ParseFloat(percent, 64); err == nil && f > 0 && f <= 100 {
			return archive.Sample{Share: f / 100, Seed: seed}, nil
		}
	} else if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > 0 {
		return archive.Sample{Objects: n, Seed: seed}, nil
	}
	return archive.Sample{}, fmt.Errorf("%w sample %s: want a share, as 5%%, or a number of objects, as 500", arbalest.ErrInvalid, s)
}

// maxListed is how many findings and tables people want to read.
const maxListed = 20

// verification is a report as a result.
type verification struct{ archive.Report }

func (v verification) err() error { return v.Err() }

func (v verification) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(v.Report)
	}
	r := v.Report
	var stored, distinct, rows, errors, compared, erased int64
	for _, t := range r.Tables {
		erased += t.Erased
		stored, distinct, rows, errors, compared = stored+t.Stored, distinct+t.Distinct, rows+t.Rows, errors+t.Errors, compared+t.Compared
	}
	fmt.Fprintf(out, "%s of the log up to commit %d: %s stored, %s without repeats; %s in %s, %s.\n",
		plural(r.Objects, "object"), r.Through, plural(stored, "event"), thousands(distinct), plural(rows, "row"), plural(int64(len(r.Tables)), "table"), plural(errors, "load error"))
	if erased > 0 {
		fmt.Fprintf(out, "Of those %s left the store by erasure.\n", plural(erased, "event"))
	}
	if r.Content {
		fmt.Fprintf(out, "The values of %s were compared.\n", plural(compared, "row"))
	}
	if s := r.Sample; s != nil {
		fmt.Fprintf(out, "A sample: %s of %s, with %s of %s. --seed %d chooses the same.\n", plural(s.Partitions, "partition"), thousands(s.Of), plural(s.Objects, "object"), thousands(s.OfObjects), s.Seed)
	}
	if f := r.Frozen; f != nil {
		fmt.Fprintf(out, "Not looked at: %s with %s in a cold storage class, %s first. arbalest restore thaws them.\n", plural(f.Objects, "object"), plural(f.Events, "event"), f.Listed[0])
	}
	if len(r.Findings) == 0 {
		agree := "Store and warehouse agree."
		if r.Frozen != nil {
			agree = "Store and warehouse agree in all that was looked at."
		}
		_, err := fmt.Fprintln(out, agree)
		return err
	}
	for _, t := range r.Tables {
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(t.Findings)) {
			parts = append(parts, fmt.Sprintf("%d %s", t.Findings[k], k))
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
		fmt.Fprintf(out, "  %s\n", strings.Join(strings.Fields(fmt.Sprintf("%-16s %s %s: %s", f.Kind, placeOfFinding(f), f.Hour, f.What)), " "))
	}
	return nil
}

// placeOfFinding says which event a finding is about.
func placeOfFinding(f archive.Finding) string {
	if f.Event != "" {
		return string(f.Event)
	}
	return f.Table
}
