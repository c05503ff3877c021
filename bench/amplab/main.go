// Command amplab runs the AMPLab Big Data Benchmark (amplab.cs.berkeley.edu/benchmark,
// of 2013 and 2014, after Pavlo and others) on Arbalest: it generates Rankings and
// UserVisits as events, captures, sorts and loads them into DuckDB and into a
// private PostgreSQL, and runs the queries 1A to 3C on both in one run, whose
// answers it compares. It stores nothing that it does not remove.
//
// Query 4, an external script over crawled documents, is left out: it is not SQL.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"arbalest/internal/postgres/postgrestest"
)

func main() {
	r := run{out: os.Stdout}
	scale := flag.Float64("scale", 0.01, "of the benchmark's data for one node: 1 is 18 million rankings and 155 million visits")
	seed := flag.Uint64("seed", 1, "of the data")
	memory := flag.Int64("memory", 1024, "DuckDB's memory, in MiB")
	flag.IntVar(&r.rounds, "rounds", 3, "runs of each query, of which the median counts")
	flag.Parse()
	r.memory = *memory << 20
	r.data = newData(*scale, *seed)
	if err := r.all(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "amplab: "+err.Error())
		os.Exit(1)
	}
}

// A run is one of the benchmark.
type run struct {
	out    io.Writer
	data   data
	rounds int
	memory int64 // DuckDB's, in bytes
}

func (r run) all(ctx context.Context) error {
	// Beside the project and not in /tmp, which may be memory.
	dir, err := os.MkdirTemp(".", ".bench-amplab-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	postgres, err := postgrestest.Run()
	if err != nil {
		return err
	}
	fmt.Fprintf(r.out, "AMPLab Big Data Benchmark: %d rankings and %d visits, seed %d\n", r.data.rankings, r.data.visits, r.data.seed)
	store, took, err := r.data.capture(ctx, filepath.Join(dir, "store"))
	if err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	defer store.Close() //nolint:errcheck // it is removed
	fmt.Fprintf(r.out, "captured and sorted in %.1f s\n", took.Seconds())
	var places []place
	for _, w := range []struct{ name, url string }{{"DuckDB", filepath.Join(dir, "warehouse.duckdb")}, {"PostgreSQL", postgres}} {
		p, took, err := r.load(ctx, store, w.name, w.url)
		if err != nil {
			return fmt.Errorf("load into %s: %w", w.name, err)
		}
		defer p.warehouse.Close()
		fmt.Fprintf(r.out, "loaded into %s in %.1f s\n", w.name, took.Seconds())
		places = append(places, p)
	}
	return r.queries(ctx, places)
}

// queries runs every query on both warehouses in turns.
func (r run) queries(ctx context.Context, places []place) error {
	fmt.Fprintf(r.out, "\n%-5s  %10s  %10s  %10s  %8s\n", "query", "rows", "DuckDB", "PostgreSQL", "ratio")
	for _, q := range queries {
		seconds := make([][]float64, len(places))
		for range r.rounds {
			for i, p := range places {
				took, err := p.materialize(ctx, q)
				if err != nil {
					return fmt.Errorf("%s on %s: %w", q.name, p.name, err)
				}
				seconds[i] = append(seconds[i], took.Seconds())
			}
		}
		first, err := places[0].answer(ctx, q)
		if err != nil {
			return err
		}
		second, err := places[1].answer(ctx, q)
		if err != nil {
			return err
		}
		if err := first.differs(second); err != nil {
			return fmt.Errorf("%s: %s and %s do not agree: %w", q.name, places[0].name, places[1].name, err)
		}
		d, p := median(seconds[0]), median(seconds[1])
		fmt.Fprintf(r.out, "%-5s  %10d  %8.3f s  %8.3f s  %8.1f\n", q.name, len(first), d, p, p/d)
	}
	fmt.Fprintf(r.out, "\nBoth gave the same answers. Medians of %s.\n", plural(r.rounds))
	return nil
}

func plural(rounds int) string {
	if rounds == 1 {
		return "1 round"
	}
	return fmt.Sprintf("%d rounds", rounds)
}

// median returns the middle of figures.
func median(figures []float64) float64 {
	s := slices.Clone(figures)
	slices.Sort(s)
	return s[len(s)/2]
}

// timed returns how long work took.
func timed(work func() error) (time.Duration, error) {
	start := time.Now()
	err := work()
	return time.Since(start), err
}
