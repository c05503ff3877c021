package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"arbalest"
)

func newErase() *cobra.Command {
	var asJSON, yes bool
	var q eraseRequest
	cmd := &cobra.Command{
		Use:   "erase --data DIR [EVENT…] --where SQL",
		Short: "Erase events for good: from the store, the tables and what was rejected",
		Long: `Erases the events whose rows meet a condition, of the events that are named or of all
whose tables have the columns that it names: from partitions, tables, warm copies and
the books, and what was rejected. Late repeats of them are refused from then on, a
rebuild does not bring them back, and other warehouses and copies lose them when they
come to the commit. Who asked, why, when and how many is kept, and keyed hashes of
names and ids; nothing else. To do it twice, or to kill it, is harmless.

Without --yes it says what it has found and asks. --dry-run only says it.

Events without a row, as they could not be loaded or were rejected, are held against
the condition by DuckDB, with the columns that they are defined or inferred to have. A
rejected body is looked through if it is JSON in the form of POST /v1/events; others
are erased by --text, if they contain that text just so.`,
		Example: "  arbalest erase --data DIR --where \"email_address = 'jane@doe.com'\" --by dpo --why 'request 17'\n  arbalest erase --data DIR user.created --where 'user_id = 42' --dry-run",
		Args:    cobra.ArbitraryArgs,
	}
	p := placeFlags(cmd)
	cmd.Flags().StringVar(&q.Where, "where", "", "a condition in the warehouse's SQL, on columns of the tables")
	cmd.Flags().StringVar(&q.Text, "text", "", "erase rejected bodies that contain this")
	cmd.Flags().StringVar(&q.By, "by", "", "who asked; kept for ever (default: the user's name)")
	cmd.Flags().StringVar(&q.Why, "why", "", "why; kept for ever")
	cmd.Flags().BoolVar(&q.Dry, "dry-run", false, "say what would be erased, and change nothing")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&asJSON, "json", false, "progress and result as JSON lines")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if strings.TrimSpace(q.Where) == "" && q.Text == "" {
			return usage("say what to erase: --where SQL, as --where \"email_address = 'jane@doe.com'\", or --text TEXT")
		}
		if len(args) > 0 && q.Where == "" {
			return usage("names of events go with --where")
		}
		q.Events = args
		if u, err := user.Current(); q.By == "" && err == nil {
			q.By = u.Username
		}
		erase := func(q eraseRequest) error {
			return p.work(cmd, asJSON, func(ctx context.Context, op operator, show func(progress)) (result, error) {
				return op.Erase(ctx, q, show)
			})
		}
		if !q.Dry && !yes {
			if f, ok := cmd.InOrStdin().(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
				return usage("nothing was erased: look with --dry-run, and then say --yes")
			}
			dry := q
			dry.Dry = true
			if err := erase(dry); err != nil {
				return err
			}
			fmt.Fprint(cmd.ErrOrStderr(), "Erase them for good? Type yes: ")
			if answer, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n'); err != nil || strings.TrimSpace(answer) != "yes" {
				return usage("nothing was erased")
			}
		}
		return erase(q)
	}
	return cmd
}

// An eraseRequest says what to erase.
type eraseRequest struct {
	Events []string `json:"events,omitempty"` // all if none is named
	Where  string   `json:"where,omitempty"`
	Text   string   `json:"text,omitempty"` // of rejected bodies
	By     string   `json:"by,omitempty"`
	Why    string   `json:"why,omitempty"`
	Dry    bool     `json:"dry,omitempty"`
}

// An eraseReport says what was erased, or would be.
type eraseReport struct {
	Dry      bool           `json:"dry,omitempty"`
	Tables   []erasedTable  `json:"tables"`
	Skipped  []skippedTable `json:"skipped,omitempty"`
	Unloaded int64          `json:"unloaded,omitempty"` // events that could not be loaded
	Rejected int64          `json:"rejected"`           // bodies of rejected events
	Opaque   int64          `json:"opaque,omitempty"`   // bodies that could not be looked into
	Lines    int64          `json:"lines"`              // of the store, repeats among them
	Objects  int            `json:"objects"`            // that had them
	Commits  []arbalest.Seq `json:"commits,omitempty"`
	Unread   []arbalest.Key `json:"unread,omitempty"` // objects that are damaged
	Left     int64          `json:"left,omitempty"`   // rows that the condition finds afterwards
	Seconds  float64        `json:"seconds"`
}

// An erasedTable says how many events of a table meet the condition.
type erasedTable struct {
	Table  string             `json:"table"`
	Event  arbalest.EventName `json:"event"`
	Events int64              `json:"events"`
}

// A skippedTable cannot be asked the condition.
type skippedTable struct {
	Table string `json:"table"`
	Why   string `json:"why"`
}

func (r eraseReport) err() error {
	switch {
	case r.Left > 0:
		return fmt.Errorf("%w: %s still meets the condition: they came meanwhile, or their tables are stalled (arbalest status): erase again", arbalest.ErrDiffers, plural(r.Left, "row"))
	case len(r.Unread) > 0:
		return fmt.Errorf("%w: %s cannot be read, and may have what is to be erased: arbalest restore thaws what is frozen, and arbalest verify tells of what is damaged: restore or delete that, and erase again: %s", arbalest.ErrCorrupt, plural(int64(len(r.Unread)), "object"), r.Unread[0])
	}
	return nil
}

func (r eraseReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	total := r.Unloaded
	for _, t := range r.Tables {
		if total += t.Events; t.Events > 0 {
			fmt.Fprintf(out, "  %s: %s\n", t.Table, plural(t.Events, "event"))
		}
	}
	names := make([]string, len(r.Skipped))
	for i, s := range r.Skipped {
		names[i] = s.Table
	}
	if slices.Sort(names); len(names) > 0 {
		fmt.Fprintf(out, "  not looked at, as they have not the columns: %s\n", strings.Join(names, ", "))
	}
	if r.Unloaded > 0 {
		fmt.Fprintf(out, "  of which SQL shows no row: %s\n", plural(r.Unloaded, "event"))
	}
	if r.Opaque > 0 {
		fmt.Fprintf(out, "  %s of rejected events could not be looked into: they are not JSON in the form of POST /v1/events (--text TEXT erases those with a text)\n", plural(r.Opaque, "body"))
	}
	var err error
	switch {
	case total+r.Rejected+r.Lines == 0:
		_, err = fmt.Fprintln(out, "Nothing matches.")
	case r.Dry:
		_, err = fmt.Fprintf(out, "Would erase %s of %s and %s that were rejected.\n", plural(total, "event"), plural(int64(len(r.Tables)), "table"), thousands(r.Rejected))
	default:
		_, err = fmt.Fprintf(out, "Erased %s of %s, as %s of %s, and %s that were rejected, in %s and %.1f s.\n", plural(total, "event"), plural(int64(len(r.Tables)), "table"),
			plural(r.Lines, "line"), plural(int64(r.Objects), "object"), thousands(r.Rejected), plural(int64(len(r.Commits)), "commit"), r.Seconds)
	}
	return err
}

// Erase implements operator.
func (s *servant) Erase(ctx context.Context, q eraseRequest, show func(progress)) (r eraseReport, err error) {
	err = s.ask(ctx, "/erase", request{Erase: q}, &r, show, nil)
	return r, err
}
