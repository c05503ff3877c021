package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"arbalest/internal/archive"
)

func newArchive() *cobra.Command {
	var asJSON bool
	var q archiveRequest
	cmd := &cobra.Command{
		Use:   "archive --data DIR",
		Short: "Let days that are past their retention leave their tables",
		Long: `Does what retention: in arbalest.yaml says, of days by event time. Rows older than
hot_for leave their table, once each was found in the store: they are then in
<table>_all, from Parquet below _warm/ of the store. Partitions older than cold_after
go to an archive's storage class, on S3, and their Parquet goes. What is older than
gone_after goes for good.

A late event of a day that left is loaded as any other, a repeat is left out as
ever, and the next pass makes it leave too. serve does a pass every hour. Killed
half-way, the next pass finishes it.

With --dry-run it is said what a pass would do, and what it saves. With --spectrum
the statements are printed by which Redshift reads what is warm.`,
		Example: "  arbalest archive --data DIR --dry-run",
		Args:    noArgs,
	}
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "progress and result as JSON lines")
	cmd.Flags().BoolVar(&q.Dry, "dry-run", false, "say what would be done, and do nothing")
	cmd.Flags().BoolVar(&q.Spectrum, "spectrum", false, "print CREATE EXTERNAL TABLE and the views, and do nothing else")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if q.Spectrum && q.Dry {
			return usage("--spectrum goes without --dry-run")
		}
		return p.work(cmd, asJSON, func(ctx context.Context, op operator, show func(progress)) (result, error) {
			return op.Archive(ctx, q, show)
		})
	}
	return cmd
}

// An archiveRequest says what to do of a pass.
type archiveRequest struct {
	Dry      bool `json:"dry,omitempty"`
	Spectrum bool `json:"spectrum,omitempty"` // only what Redshift is to be told
}

// An archiveReport is what a pass did, or would do.
type archiveReport struct {
	archive.TieringReport
	Dry bool `json:"dry,omitempty"`
	// Saves is about how many bytes rows took in the warehouse that left; 0 if that is
	// not known.
	Saves   int64   `json:"saves,omitempty"`
	Seconds float64 `json:"seconds"`
	// Statements are what Redshift is to be told, if that was asked for.
	Statements []string `json:"statements,omitempty"`
}

func (r archiveReport) err() error { return r.Err() }

func (r archiveReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	if r.Statements != nil {
		_, err := fmt.Fprintln(out, strings.Join(r.Statements, ";\n\n")+";")
		return err
	}
	if r.Tables == 0 {
		_, err := fmt.Fprintln(out, "No event has a retention: say retention: {hot_for: 90d} in arbalest.yaml.")
		return err
	}
	if len(r.Days) > 0 {
		fmt.Fprintln(out, r.days())
	}
	did := func(done, would string) string {
		if r.Dry {
			return would
		}
		return done
	}
	if n, sum := r.Sum(archive.Warmed); n > 0 {
		where := fmt.Sprintf(", into %s of Parquet", sized(sum.Warm))
		if r.Dry {
			where = fmt.Sprintf("; they have %s of lines in the store", sized(sum.Lines))
		}
		fmt.Fprintf(out, "%s of %s %s%s.\n", plural(sum.Rows, "row"), plural(int64(n), "day"), did("left their tables", "would leave their tables"), where)
	}
	if r.Saves > 0 {
		fmt.Fprintf(out, "That %s about %s of the warehouse, which it fills with new rows.\n", did("frees", "would free"), sized(r.Saves))
	}
	if n, sum := r.Sum(archive.Remade); n > 0 {
		fmt.Fprintf(out, "The Parquet of %s %s, %s.\n", plural(int64(n), "day"), did("was made again", "would be made again"), plural(sum.All, "row"))
	}
	if n, sum := r.Sum(archive.Cooled); n > 0 {
		fmt.Fprintf(out, "%s %s: %s of partitions.\n", plural(int64(n), "day"), did("went to the archive's class", "would go to the archive's class"), sized(sum.Frozen))
	}
	if n, sum := r.Sum(archive.Gone); n > 0 {
		fmt.Fprintf(out, "%s of %s %s.\n", plural(sum.All, "row"), plural(int64(n), "day"), did("went for good", "would go for good"))
	}
	if r.Held > 0 {
		fmt.Fprintf(out, "Held in their tables, as restored: %s.\n", plural(int64(r.Held), "day"))
	}
	for _, t := range slices.Sorted(maps.Keys(r.Stopped)) {
		fmt.Fprintf(out, "%s: %s\n", t, r.Stopped[t])
	}
	if len(r.Days)+len(r.Stopped)+r.Held == 0 {
		fmt.Fprintf(out, "Nothing to do: no day of %s is past its retention.\n", plural(int64(r.TieringReport.Tables), "table"))
	}
	return nil
}

// days lists what became of days: runs of them that became the same are one line.
func (r archiveReport) days() string {
	t := newTable("table", "days", "", "rows", "what")
	t.right(4, 4)
	for i := 0; i < len(r.Days); {
		d, n := r.Days[i], i+1
		rows := d.Rows
		for ; n < len(r.Days) && r.Days[n].Table == d.Table && r.Days[n].Action == d.Action && r.Days[n].Why == d.Why; n++ {
			rows += r.Days[n].Rows
		}
		span := d.Day
		if n > i+1 {
			span += " … " + r.Days[n-1].Day
		}
		what := string(d.Action)
		if d.Why != "" {
			what += ": " + d.Why
		}
		t.AppendRow(table.Row{d.Table, span, n - i, thousands(rows), what})
		i = n
	}
	return t.Render()
}

func sized(n int64) string { return bytesShown(&n) }

// Archive implements operator.
func (s *servant) Archive(ctx context.Context, q archiveRequest, show func(progress)) (r archiveReport, err error) {
	err = s.ask(ctx, "/archive", request{Archive: q}, &r, show, nil)
	return r, err
}

const (
	archiveEvery = time.Hour
	archiveFirst = 2 * time.Minute // after serve began
)

// archiveOn lets days leave, now and then.
func (e *engine) archiveOn(ctx context.Context, log *slog.Logger) {
	for pause := archiveFirst; sleep(ctx, pause, nil); pause = archiveEvery {
		r, err := e.Archive(ctx, archiveRequest{}, func(progress) {})
		if err == nil {
			err = r.err()
		}
		switch n := len(r.Days); {
		case ctx.Err() != nil:
			return
		case err != nil:
			log.Error("archive", "error", err, "again_in", archiveEvery)
		case n > 0:
			_, warm := r.Sum(archive.Warmed)
			log.Info("archived", "days", n, "rows", warm.Rows, "took", time.Duration(r.Seconds*float64(time.Second)).Round(time.Millisecond))
		}
	}
}
