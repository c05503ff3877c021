package main

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"arbalest/internal/lake"
)

func newRejectedShow() *cobra.Command {
	var asJSON, raw bool
	cmd := &cobra.Command{
		Use:     "show --data DIR PLACE",
		Short:   "One thing that was rejected, with its bytes",
		Long:    `Shows all that is known of what was rejected, and its bytes as they came.`,
		Example: "  arbalest rejected show --data DIR '2026-11-22/20/01JD3W4X2N8Q7R5T6V9Y0Z1A2B-000017#3' --raw > event.json",
		Args:    exactly(1, "one place, as arbalest rejected list shows it"),
	}
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON; the bytes are in body, or base64 in body_base64 where they are not UTF-8")
	cmd.Flags().BoolVar(&raw, "raw", false, "only the bytes, as they came")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ref, err := lake.ParseRef(args[0])
		if err != nil {
			return err
		}
		if asJSON && raw {
			return usage("--json or --raw, not both")
		}
		l, _, closeStore, err := p.openRejected(cmd.Context())
		if err != nil {
			return err
		}
		k, err := l.Kept(cmd.Context(), ref)
		if err == nil {
			err = showRejected(cmd.OutOrStdout(), k, asJSON, raw)
		}
		return cmp.Or(err, closeStore())
	}
	return cmd
}

func showRejected(out io.Writer, k lake.Kept, asJSON, raw bool) error {
	switch {
	case raw:
		_, err := out.Write(k.Body)
		return err
	case asJSON:
		full := struct {
			rejectedLine
			Attributes json.RawMessage `json:"attributes,omitempty"`
			Body       *string         `json:"body,omitempty"`
			Base64     []byte          `json:"body_base64,omitempty"`
		}{rejectedLine: newRejectedLine(k), Attributes: k.Attributes}
		if text := string(k.Body); utf8.ValidString(text) {
			full.Body = &text
		} else {
			full.Base64 = k.Body
		}
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		return enc.Encode(full)
	}
	l := newRejectedLine(k)
	state := ""
	if l.Landing {
		state = "not sorted yet"
	}
	body := plural(int64(l.Bytes), "byte")
	if l.Truncated {
		body += ", not all that came"
	}
	for _, f := range [][2]string{
		{"place", l.Place}, {"code", l.Code}, {"reason", l.Reason}, {"event", string(l.Event)}, {"id", l.ID}, {"hour", l.Hour}, {"received", l.Received.Format("2006-01-02T15:04:05.999Z07:00")},
		{"index", fmt.Sprint(l.Index)}, {"form", l.Form}, {"attributes", string(k.Attributes)}, {"origin", l.Origin}, {"replayed", stamp(l.Replayed)}, {"state", state}, {"body", body},
	} {
		if f[1] != "" {
			if err := say(out, "%-10s  %s\n", f[0], oneLine.Replace(f[1])); err != nil {
				return err
			}
		}
	}
	return showBody(out, k.Body, widthOf(out) > 0)
}

// shownBytes is how much is shown of a body that is no text.
const shownBytes = 256

// showBody shows a body: JSON laid out on a terminal, which other bytes must not
// harm.
func showBody(out io.Writer, body []byte, terminal bool) error {
	var laid bytes.Buffer
	switch {
	case len(body) == 0:
		return nil
	case !utf8.Valid(body):
		if err := say(out, "\n%s", hex.Dump(body[:min(len(body), shownBytes)])); err != nil {
			return err
		}
		return say(out, "It is not UTF-8: --raw gives all its bytes.\n")
	case terminal && json.Indent(&laid, body, "", "  ") == nil:
		return say(out, "\n%s\n", laid.Bytes())
	case terminal:
		return say(out, "\n%s\n", harmless(string(body)))
	}
	return say(out, "\n%s\n", body)
}

// harmless replaces control characters, but those of plain text.
func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return '\uFFFD'
		}
		return r
	}, s)
}

func say(out io.Writer, format string, args ...any) error {
	_, err := fmt.Fprintf(out, format, args...)
	return err
}
