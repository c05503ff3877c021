// Command bench measures Arbalest beside others in one run, and prints ratios:
// capture beside Benthos and a bare handler, sort, load beside DuckDB's own
// read_json, and the latencies of a steady stream. Machines are noisy: what is
// compared runs in turns, and the median of the rounds counts. It stores
// nothing that it does not remove.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

// A bench is one run.
type bench struct {
	dir     string // scratch
	program string // arbalest
	peers   string // the peers' program; empty to measure without them
	rounds  int
	seconds time.Duration // of each round of capture
	rows    int           // to load
}

func main() {
	b := bench{}
	only := flag.String("only", "capture,sort,load,latency", "what to measure")
	flag.StringVar(&b.program, "program", "bin/arbalest", "the built arbalest")
	flag.IntVar(&b.rounds, "rounds", 3, "rounds of each")
	flag.DurationVar(&b.seconds, "seconds", 4*time.Second, "length of a round of capture")
	flag.IntVar(&b.rows, "rows", 2_000_000, "events to sort and load")
	profile := flag.String("cpuprofile", "", "write a profile of sort and load")
	flag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err == nil {
			err = pprof.StartCPUProfile(f)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench: "+err.Error())
			os.Exit(1)
		}
		defer pprof.StopCPUProfile()
	}
	if err := b.run(context.Background(), strings.Split(*only, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "bench: "+err.Error())
		pprof.StopCPUProfile()
		os.Exit(1)
	}
}

func (b bench) run(ctx context.Context, only []string) (err error) {
	if b.program, err = filepath.Abs(b.program); err != nil {
		return err
	}
	// Beside the project and not in /tmp, which may be memory.
	if b.dir, err = os.MkdirTemp(".", ".bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if b.dir, err = filepath.Abs(b.dir); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		run  func(context.Context) error
	}{{"capture", b.capture}, {"sort", b.sort}, {"load", b.load}, {"latency", b.latency}} {
		if !slices.Contains(only, part.name) {
			continue
		}
		if err := part.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// buildPeers builds the peers' module.
func (b *bench) buildPeers(ctx context.Context) error {
	b.peers = filepath.Join(b.dir, "peers")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", b.peers, ".")
	cmd.Dir = filepath.Join("bench", "peers")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build peers: %w\n%s", err, out)
	}
	return nil
}

// median returns the middle of figures.
func median(figures []float64) float64 {
	s := slices.Clone(figures)
	slices.Sort(s)
	return s[len(s)/2]
}

// percentile returns that of durations, p from 0 to 1.
func percentile(d []time.Duration, p float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	s := slices.Clone(d)
	slices.Sort(s)
	return s[min(len(s)-1, int(p*float64(len(s))))]
}

// wire returns an event of about 240 bytes, with 8 properties that become typed
// columns.
func wire(dst []byte, n int) []byte {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n%86_400) * time.Second)
	return fmt.Appendf(dst, `{"event":"bench.order","id":"%012x-%06d","timestamp":%q,"data":{"user_id":"u%07d","email":"user%d@example.com","plan":%q,"country":%q,"session":"%016x","ordered_at":%q,"amount":%d.%02d,"items":%d}}`,
		n*2_654_435_761%(1<<48), n%1_000_000, at.Format(time.RFC3339), n%100_000, n%100_000, []string{"free", "team", "business"}[n%3], []string{"de", "us", "in", "br", "jp"}[n%5],
		uint64(n)*0x9E3779B97F4A7C15, at.Add(-time.Minute).Format(time.RFC3339), n%1000, n%100, n%20)
}
