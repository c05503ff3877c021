package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arbalest"
)

func newDemo() *cobra.Command {
	var stay bool
	cmd := &cobra.Command{
		Use:   "demo [--data DIR]",
		Short: "The whole story in under a minute",
		Long: `Plays some weeks of a payments company: users are created, and verified, in
several workflows. Captures that over HTTP, asks what a status column cannot
answer, sends everything a second time, and shows that nothing is counted
twice. Without --data it uses a directory that it removes at the end.

On a terminal it then serves on, until Ctrl-C: the answers are there as charts,
at the address that it names. --stay=false ends at once.`,
		Args: noArgs,
	}
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(&stay, "stay", false, "serve on when the story is told, until Ctrl-C (default on a terminal)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !cmd.Flags().Changed("stay") {
			stay = widthOf(cmd.OutOrStdout()) > 0
		}
		kept := p.dir
		if p.dir == "" {
			dir, err := os.MkdirTemp("", "arbalest-demo-")
			if err != nil {
				return fmt.Errorf("make a directory for the demo: %w", err)
			}
			defer os.RemoveAll(dir)
			p.dir = dir
		} else if err := p.resolve(false); err != nil {
			return err
		}
		c, err := p.read()
		if err != nil {
			return err
		}
		c.Listen, c.TLS, c.SQL, c.Web = "127.0.0.1:0", tlsConfig{}, sqlConfig{Listen: "off"}, webConfig{Listen: "off"}
		if stay {
			c.Web.Listen = ""
		}
		c.Store, c.Warehouse.URL = "", "" // its SQL is DuckDB's
		c.Sources = nil
		s, err := startServer(cmd.Context(), *p, c, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		d := demo{out: cmd.OutOrStdout(), server: s}
		if err = d.tell(cmd.Context()); err == nil {
			err = saveQuestions(*p)
		}
		if err != nil {
			return errors.Join(err, s.Close())
		}
		d.end(kept)
		if s.web.Load() != nil {
			return s.wait(cmd.Context())
		}
		return s.Close()
	}
	return cmd
}

// A demo tells the talk's story on a server of its own.
type demo struct {
	out    io.Writer
	server *server
}

func (d demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

func (d demo) tell(ctx context.Context) error {
	start := time.Now()
	events := story()
	d.say("A users table has one row for Jane, and UPDATE users SET status = 'verified' forgets")
	d.say("when that was, how long it took, and in which workflow. Events forget nothing:\n")
	for _, e := range events {
		if strings.Contains(e, "jane@doe.com") {
			d.say("  %s", e)
		}
	}
	d.say("\nSix weeks of them, %s, posted to %s/v1/events:", plural(int64(len(events)), "event"), d.server.url)
	took, err := d.send(ctx, events)
	if err != nil {
		return err
	}
	d.say("  accepted once they were fsynced, and in SQL after %.1f s.", took.Seconds())
	if err := d.ask(ctx); err != nil {
		return err
	}
	before, err := d.count(ctx)
	if err != nil {
		return err
	}
	d.say("\nNow everything is sent a second time, as a client does that missed the answers:")
	if _, err := d.send(ctx, events); err != nil {
		return err
	}
	after, err := d.count(ctx)
	if err != nil {
		return err
	}
	for i := range before {
		d.say("  %-15s %6s rows before, %6s after", before[i][0], before[i][1], after[i][1])
		if before[i][1] != after[i][1] {
			return fmt.Errorf("%w: %s was counted twice: please report this", arbalest.ErrDiffers, before[i][0])
		}
	}
	if err := d.table(ctx, "\nThe books balance: stored = loaded + repeats + errors.", `
		SELECT event, sum(received) AS received, sum(stored) AS stored, sum(loaded) AS loaded, sum(repeats) AS repeats, sum(errors) AS errors
		FROM arbalest.books GROUP BY event ORDER BY event`); err != nil {
		return err
	}
	d.say("\nThat took %.0f s.", time.Since(start).Seconds())
	return nil
}

// end says where the answers are as charts: at an address, which is served now or
// will be on the data that was kept.
func (d demo) end(kept string) {
	switch pages := d.server.web.Load(); {
	case pages != nil:
		d.say("The answers as charts, until Ctrl-C: %s/sql/charts", pages.url)
	case kept != "":
		d.say("The answers as charts: arbalest serve --data %s, then http://%s/sql/charts", kept, defaultListen)
	default:
		d.say("The answers as charts: arbalest demo --data demo-data, then arbalest serve --data demo-data and http://%s/sql/charts", defaultListen)
	}
	d.say("Your own events: arbalest serve --data my-data")
}

// ask asks what a status column cannot answer.
func (d demo) ask(ctx context.Context) error {
	if err := d.table(ctx, "\n"+questionJane.Title, questionJane.SQL); err != nil {
		return err
	}
	if err := d.table(ctx, "\nWhat is the verification velocity, by workflow?", questionWorkflows.SQL); err != nil {
		return err
	}
	rows, err := d.query(ctx, "SELECT strftime(week, '%b %d'), workflow, median_hours FROM ("+questionWeeks.SQL+") ORDER BY week, workflow")
	if err != nil {
		return err
	}
	d.say("\nAnd by week? Median hours from created to verified:")
	drawBars(d.out, rows)
	rows, err = d.query(ctx, "SELECT strftime(day, '%b %d'), verified FROM ("+questionDays.SQL+") ORDER BY day")
	if err != nil {
		return err
	}
	d.say("\nUsers verified, by day:")
	drawColumns(d.out, rows)
	return nil
}

func (d demo) count(ctx context.Context) ([][]string, error) {
	return d.query(ctx, "SELECT 'user_created', count(*) FROM user_created UNION ALL SELECT 'user_verified', count(*) FROM user_verified ORDER BY 1")
}

func (d demo) table(ctx context.Context, title, sql string) error {
	d.say("%s", title)
	p := &tablePrinter{out: d.out}
	if err := d.server.engine.Query(ctx, sql, p); err != nil {
		return err
	}
	return p.End()
}

func (d demo) query(ctx context.Context, sql string) ([][]string, error) {
	var rows rowList
	err := d.server.engine.Query(ctx, sql, &rows)
	return rows, err
}

// send posts events in batches of 500 and waits until the last is in SQL.
func (d demo) send(ctx context.Context, events []string) (time.Duration, error) {
	start := time.Now()
	var receipts []string
	for i := 0; i < len(events); i += 500 {
		batch := events[i:min(i+500, len(events))]
		var answer struct {
			Accepted int    `json:"accepted"`
			Receipt  string `json:"receipt"`
		}
		if err := d.call(ctx, http.MethodPost, "/v1/events", strings.Join(batch, "\n"), &answer); err != nil {
			return 0, err
		}
		if answer.Accepted != len(batch) {
			return 0, fmt.Errorf("%w: %d of %d events were accepted", arbalest.ErrInvalid, answer.Accepted, len(batch))
		}
		receipts = append(receipts, answer.Receipt)
	}
	for _, r := range receipts {
		var answer struct {
			State string `json:"state"`
		}
		if err := d.call(ctx, http.MethodGet, "/v1/receipts/"+r+"?wait=30s", "", &answer); err != nil {
			return 0, err
		}
		if answer.State != "loaded" {
			return 0, fmt.Errorf("%w: receipt %s is still %s after 30 s", arbalest.ErrUnavailable, r, answer.State)
		}
	}
	return time.Since(start), nil
}

func (d demo) call(ctx context.Context, method, path, body string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, d.server.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %w: %s: %s", method, path, arbalest.ErrUnavailable, resp.Status, b)
	}
	return json.Unmarshal(b, answer)
}

// atof reads a figure of a result; what is none is 0.
func atof(s string) float64 {
	f, _ := strconv.ParseFloat(s, 64)
	return f
}
