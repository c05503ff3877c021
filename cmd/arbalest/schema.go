package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/decode"
	"arbalest/internal/lake"
)

func newSchema() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Draft, check and compare definitions of events",
		Long: `Definitions say what events must have, what they may have, and what of them is
not stored as it came. They are in arbalest.yaml and in events/*.yaml of the data
directory; arbalest init --schema=events has their JSON Schema.

  arbalest schema infer user.created --data DIR > DIR/events/user.yaml
  arbalest schema check new.yaml --data DIR       is a change additive?
  arbalest schema diff --data DIR                 do the events fit?`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("unknown command schema %q: run arbalest schema --help", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSchemaInfer(), newSchemaCheck(), newSchemaDiff())
	return cmd
}

// A surveyed is what was read of an event in the store.
type surveyed struct {
	decode.Survey
	first, last arbalest.Hour // of event time
	discarded   discards
	since       int64    // microseconds; what is from before is not looked at
	objects     int      // that are read at most; 0 for as many as it takes
	keep        int      // so many of the newest lines are kept
	newest      [][]byte // lines, the newest first
}

// readEvents surveys the newest events of a name, at most so many and a few more,
// and none from before a time. What has not been sorted yet is not among them.
func readEvents(ctx context.Context, l *lake.Lake, store blob.Store, event arbalest.EventName, since time.Time, most int64) (*surveyed, error) {
	s := &surveyed{}
	return s, s.read(ctx, l, store, event, since, most)
}

func (s *surveyed) read(ctx context.Context, l *lake.Lake, store blob.Store, event arbalest.EventName, since time.Time, most int64) error {
	prefix := string(event) + "/"
	after := ""
	if !since.IsZero() {
		day, _, _ := strings.Cut(arbalest.HourOf(since).String(), "/")
		after, s.since = prefix+day+"/", since.UnixMicro()
	}
	var keys []arbalest.Key
	for info, err := range store.List(ctx, arbalest.Key(prefix), arbalest.Key(after)) {
		if err != nil {
			return fmt.Errorf("list events of %s: %w", event, err)
		}
		keys = append(keys, info.Key)
	}
	var lines []byte
	for i, read := len(keys)-1, 0; i >= 0 && s.Events() < most && (s.objects == 0 || read < s.objects); i-- {
		name, ok := lake.NameOf(keys[i])
		if !ok || s.since != 0 && name.Hour+name.Hours <= arbalest.HourOfMicro(s.since) {
			continue // it is not ours, or from before
		}
		var err error
		lines, err = s.readLines(ctx, l, keys[i], lines[:0])
		if errors.Is(err, arbalest.ErrUnknown) {
			continue // merged with others meanwhile
		}
		if err != nil {
			return err
		}
		if err := s.add(lines); err != nil {
			return fmt.Errorf("read %s: %w", keys[i], err)
		}
		s.remember(lines)
		read++
	}
	return nil
}

// sampledBytes is how many bytes of lines of an object are read at most where not
// all are wanted.
const sampledBytes = 8 << 20

// readLines appends an object's lines to dst; of a large one the first, where not
// all are wanted.
func (s *surveyed) readLines(ctx context.Context, l *lake.Lake, key arbalest.Key, dst []byte) ([]byte, error) {
	r, err := l.Read(ctx, key)
	if err != nil {
		return dst, err
	}
	defer r.Close()
	var from io.Reader = r
	if s.objects > 0 {
		from = io.LimitReader(r, sampledBytes)
	}
	b := bytes.NewBuffer(dst)
	if _, err := b.ReadFrom(from); err != nil {
		return dst, fmt.Errorf("read %s: %w", key, err)
	}
	lines := b.Bytes()
	return lines[:bytes.LastIndexByte(lines, '\n')+1], nil
}

// remember keeps the last lines of an object.
func (s *surveyed) remember(lines []byte) {
	for len(lines) > 0 && len(s.newest) < s.keep {
		start := bytes.LastIndexByte(lines[:len(lines)-1], '\n') + 1
		s.newest = append(s.newest, bytes.TrimSpace(bytes.Clone(lines[start:])))
		lines = lines[:start]
	}
}

// add adds an object's lines.
func (s *surveyed) add(lines []byte) error {
	var parser arbalest.LineParser
	var object []byte
	for line := range bytes.Lines(lines) {
		l, err := parser.Parse(line)
		if err != nil {
			return err
		}
		if l.Time < s.since && s.since != 0 {
			continue
		}
		object = append(append(object[:0], '{'), l.Rest...)
		if _, _, err := decode.Scan(object, 0, 1000); err != nil {
			return fmt.Errorf("%w: %v", arbalest.ErrCorrupt, err)
		}
		hour := arbalest.HourOfMicro(l.Time)
		if s.Events() == 0 {
			s.first, s.last = hour, hour
		}
		s.first, s.last = min(s.first, hour), max(s.last, hour)
		s.Add(object)
		if l.Attributes != nil {
			s.discarded.add(l.Attributes)
		}
	}
	return nil
}

// none says that there are no events to look at.
func none(event arbalest.EventName, since time.Time) error {
	if since.IsZero() {
		return fmt.Errorf("%w: no event %s is sorted: see the names with arbalest status, and sort what landed with arbalest sync", arbalest.ErrUnknown, event)
	}
	return fmt.Errorf("%w: no event %s is of %s or later: give another --since", arbalest.ErrUnknown, event, since.UTC().Format(time.RFC3339))
}

// percent spells a share: 98.2 %, and 100 % only if it is all.
func percent(part, all int64) string {
	if all == 0 {
		return "0 %"
	}
	share := 100 * float64(part) / float64(all)
	switch text := strconv.FormatFloat(share, 'f', 1, 64); {
	case part == all:
		return "100 %"
	case text == "100.0":
		return "99.9 %"
	case text == "0.0" && part > 0:
		return "0.1 %"
	default:
		return text + " %"
	}
}

// spell spells a path in YAML.
func spell(path []string) string {
	plain := true
	for _, key := range path {
		plain = plain && isPlain(key)
	}
	if plain {
		return strings.Join(path, ".")
	}
	quoted := make([]string, len(path))
	for i, key := range path {
		quoted[i] = scalar(key)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// scalar spells a text in YAML, as JSON where it is not a plain word.
func scalar(s string) string {
	if isPlain(s) {
		return s
	}
	return string(arbalest.AppendString(nil, s))
}

// isPlain says that a text is a word that YAML takes for nothing else.
func isPlain(s string) bool {
	for i, r := range []byte(s) {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	switch strings.ToLower(s) {
	case "", "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return false
	}
	return true
}
