package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"arbalest"
	"arbalest/connect"
	"arbalest/internal/lake"
)

func newCopy() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "copy SOURCE DESTINATION",
		Short: "Copy a store to another: a backup, or a move",
		Long: `Brings a store to where another is: commit by commit, each after its objects,
so that the copy is whole at every moment, and each object proved to be what its
commit says. Done again it copies what is new; killed half-way it goes on. What
is in the destination must be a copy of the source that has taken no events.

Both are data directories, or URLs of stores:

  arbalest copy /var/lib/arbalest s3://backups/arbalest
  arbalest copy "s3://bucket/events?region=eu-west-1" ./here && arbalest sync --data ./here

Copied are events, what was rejected, the log and the definitions of tables: all
that a warehouse is made of. Not copied are configuration, keys, models, and the
tables themselves, which sync makes.`,
		Args: exactly(2, "a source and a destination"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "progress and result as JSON lines")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		rep := newReporter(cmd.ErrOrStderr(), asJSON)
		r, err := copyLake(cmd.Context(), args[0], args[1], rep.show)
		rep.done()
		if err != nil {
			return err
		}
		return r.print(cmd.OutOrStdout(), asJSON)
	}
	return cmd
}

// A copyReport is what a copy did.
type copyReport struct {
	From     string       `json:"from"`
	To       string       `json:"to"`
	Head     arbalest.Seq `json:"commit"` // the copy's newest
	Commits  int          `json:"commits"`
	Objects  int          `json:"objects"`
	Bytes    int64        `json:"bytes"` // as stored
	Segments int          `json:"landing_segments"`
	Seconds  float64      `json:"seconds"`
}

func (r copyReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	if r.Commits == 0 && r.Segments == 0 {
		_, err := fmt.Fprintf(out, "Nothing new: %s is at commit %d, as %s is.\n", r.To, r.Head, r.From)
		return err
	}
	_, err := fmt.Fprintf(out, "%s with %s (%.1f MB) and %s of landing copied in %.1f s; %s is at commit %d.\n",
		plural(int64(r.Commits), "commit"), plural(int64(r.Objects), "object"), float64(r.Bytes)/1e6, plural(int64(r.Segments), "segment"), r.Seconds, r.To, r.Head)
	return err
}

func copyLake(ctx context.Context, from, to string, show func(progress)) (r copyReport, err error) {
	start := time.Now()
	source, err := openCopied(ctx, from, true)
	if err != nil {
		return r, fmt.Errorf("source: %w", err)
	}
	defer func() { err = errors.Join(err, source.close()) }()
	destination, err := openCopied(ctx, to, false)
	if err != nil {
		return r, fmt.Errorf("destination: %w", err)
	}
	defer func() { err = errors.Join(err, destination.close()) }()
	if source.url == destination.url {
		return r, usage("source and destination are the same store")
	}
	done, err := source.lake.CopyTo(ctx, destination.lake, func(c lake.Copied) {
		show(progress{Stage: "copy", Done: int64(c.Commits), Unit: "commits"})
	})
	if err != nil {
		return r, fmt.Errorf("copy %s to %s: %w", connect.Redact(source.url), connect.Redact(destination.url), err)
	}
	return copyReport{
		From: connect.Redact(source.url), To: connect.Redact(destination.url), Head: done.Head,
		Commits: done.Commits, Objects: done.Objects, Bytes: done.Bytes, Segments: done.Segments, Seconds: time.Since(start).Seconds(),
	}, nil
}

// A copied is one of the two lakes of a copy.
type copied struct {
	url   string
	lake  *lake.Lake
	close func() error
}

// openCopied opens the store at a URL, or that of a data directory, which must be
// there if it is the source. A serve that runs on the directory publishes first
// what it has gathered.
func openCopied(ctx context.Context, at string, source bool) (copied, error) {
	c, url := config{}, at
	if dir, ok := connect.IsPath(at); ok && dir == at {
		p := place{dir: at}
		if err := p.resolve(source); err != nil {
			return copied{}, err
		}
		var err error
		if c, err = p.read(); err != nil {
			return copied{}, err
		}
		if url = p.store(c); source {
			if err := p.land(ctx); err != nil {
				return copied{}, err
			}
		} else if err := os.MkdirAll(at, 0o755); err != nil {
			return copied{}, fmt.Errorf("make data directory: %w", err)
		}
	}
	store, closes, err := connect.Store(ctx, url)
	if err != nil {
		return copied{}, err
	}
	l, err := lake.Open(store, lake.Options{})
	if err != nil {
		return copied{}, errors.Join(err, closes())
	}
	return copied{url, l, closes}, nil
}
