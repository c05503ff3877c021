package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"arbalest"
	"arbalest/internal/capture"
	"arbalest/internal/decode"
)

// importBlock is how many bytes of lines become one segment.
const importBlock = 4 << 20

func newImport() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "import --data DIR SOURCE…",
		Short: "Take events from files",
		Long: `Takes events from NDJSON files (.gz and .zst too; "-" is standard input), each
line as it would be posted, and from directories: of such files, or of the
original layout, [event name]/[yyyy-MM-dd]/[HH]/[id], an object to a file.
What is invalid is kept, as with serve: see arbalest rejected. Events
that are there already are left out when they are loaded, so that an import that
was cut short is simply run again.`,
		Args: cobra.ArbitraryArgs,
	}
	p := placeFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "progress and result as JSON lines")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usage("import what? Name NDJSON files or directories")
		}
		rep := newReporter(cmd.ErrOrStderr(), asJSON)
		taken, err := importAll(cmd.Context(), p, args, rep.show)
		rep.done()
		if err != nil {
			return err
		}
		op, err := p.operate(cmd.Context())
		if err != nil {
			return err
		}
		defer op.Close()
		r, err := op.Sync(cmd.Context(), rep.show)
		rep.done()
		if err != nil {
			return err
		}
		if !asJSON {
			fmt.Fprintf(cmd.OutOrStdout(), "%s taken, %d rejected.\n", plural(taken.accepted.Load(), "event"), taken.rejected.Load())
		}
		if err := printSync(cmd.OutOrStdout(), r, asJSON); err != nil {
			return err
		}
		if taken.accepted.Load() == 0 && taken.rejected.Load() > 0 {
			return fmt.Errorf("%w: none of %d events was accepted: see why with arbalest rejected list; they are below _rejected/ in the store", arbalest.ErrInvalid, taken.rejected.Load())
		}
		return r.err()
	}
	return cmd
}

// An importer gives events to capture as a client would, without the network:
// the same checks, the same segments.
type importer struct {
	capture  *capture.Handler
	show     func(progress)
	accepted atomic.Int64
	rejected atomic.Int64
}

// importAll takes all sources into landing.
func importAll(ctx context.Context, p *place, sources []string, show func(progress)) (*importer, error) {
	if err := p.resolve(false); err != nil {
		return nil, err
	}
	c, err := p.read()
	if err != nil {
		return nil, err
	}
	files, err := findFiles(sources)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	l, _, closeStore, err := openLake(ctx, *p, c)
	if err != nil {
		return nil, err
	}
	defer closeStore()
	door, err := c.door()
	if err != nil {
		return nil, err
	}
	h, err := capture.New(capture.Options{Appender: l.NewWriter(), Policies: door.policies, Guarded: door.guarded, MaxBody: 4 * importBlock, MaxBytesInFlight: 64 * importBlock, MaxRejected: 1 << 30, MaxEvent: max(int(c.Limits.Event), 1<<20)})
	if err != nil {
		return nil, err
	}
	im := &importer{capture: h, show: show}
	blocks := make(chan []byte)
	g, working := errgroup.WithContext(ctx)
	for range 2 {
		g.Go(func() error {
			for b := range blocks {
				if err := im.take(working, b); err != nil {
					return err
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(blocks)
		return cutFiles(working, files, func(b []byte) error {
			select {
			case blocks <- b:
				return nil
			case <-working.Done():
				return working.Err()
			}
		})
	})
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	return im, h.Close(ctx)
}

// take makes one block of lines durable.
func (im *importer) take(ctx context.Context, block []byte) error {
	taken, err := im.capture.Take(ctx, block)
	if err != nil {
		return err
	}
	accepted := im.accepted.Add(int64(taken.Accepted))
	rejected := im.rejected.Add(int64(taken.Rejected))
	im.show(progress{Stage: "import", Done: accepted + rejected, Unit: "events"})
	return nil
}

// A source is a file to import, and where it is in the original's layout what
// its path says.
type source struct {
	path     string
	original bool
	event    string
	hour     arbalest.Hour
	id       string
}

// originalPath matches [event name]/[yyyy-MM-dd]/[HH]/[id] at a path's end.
var originalPath = regexp.MustCompile(`(?:^|/)([^/]+)/(\d{4}-\d{2}-\d{2}/\d{2})/([^/]+)$`)

// findFiles lists the files of all sources, those of directories in order.
func findFiles(sources []string) ([]source, error) {
	var files []source
	for _, s := range sources {
		if s == "-" {
			files = append(files, source{path: s})
			continue
		}
		info, err := os.Stat(s)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("import %s: %w: check the path", s, arbalest.ErrUnknown)
		}
		if err != nil {
			return nil, fmt.Errorf("import %s: %w", s, err)
		}
		if !info.IsDir() {
			files = append(files, source{path: s})
			continue
		}
		before := len(files)
		err = filepath.WalkDir(s, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if f, ok := sourceOf(path); ok {
				files = append(files, f)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("import %s: %w", s, err)
		}
		if len(files) == before {
			return nil, fmt.Errorf("%w: import %s: it has neither NDJSON files (.ndjson, .jsonl, .json, with .gz or .zst) nor the layout [event name]/[yyyy-MM-dd]/[HH]/[id]", arbalest.ErrInvalid, s)
		}
	}
	return files, nil
}

// sourceOf says what a file of a directory is.
func sourceOf(path string) (source, bool) {
	plain := strings.TrimSuffix(strings.TrimSuffix(path, ".gz"), ".zst")
	for _, suffix := range []string{".ndjson", ".jsonl"} {
		if strings.HasSuffix(plain, suffix) {
			return source{path: path}, true
		}
	}
	if m := originalPath.FindStringSubmatch(filepath.ToSlash(path)); m != nil {
		hour, err := arbalest.ParseHour(m[2])
		return source{path: path, original: true, event: m[1], hour: hour, id: strings.TrimSuffix(m[3], ".json")}, err == nil
	}
	return source{path: path}, strings.HasSuffix(plain, ".json")
}

// wire makes an event of an object in the original's layout. Its time is its
// own timestamp where it has one, else its path's hour.
func (s source) wire(dst, object []byte) []byte {
	dst = append(dst, `{"event":`...)
	dst = arbalest.AppendString(dst, s.event)
	dst = append(dst, `,"id":`...)
	dst = arbalest.AppendString(dst, s.id)
	if !hasTime(object) {
		dst = append(dst, `,"timestamp":"`...)
		dst = s.hour.Time().AppendFormat(dst, arbalest.TimeLayout)
		dst = append(dst, '"')
	}
	dst = append(dst, `,"data":`...)
	end, compact, err := decode.Scan(object, 0, 64)
	if err == nil && !compact && len(strings.TrimSpace(string(object[end:]))) == 0 {
		dst = decode.Compact(dst, object[:end]) // it must be one line
	} else {
		dst = append(dst, strings.ReplaceAll(strings.TrimSpace(string(object)), "\n", " ")...)
	}
	return append(dst, '}', '\n')
}

// hasTime says whether an object's property timestamp is a time.
func hasTime(object []byte) (ok bool) {
	if _, _, err := decode.Scan(object, 0, 64); err != nil {
		return false
	}
	trimmed := strings.TrimSpace(string(object))
	if !strings.HasPrefix(trimmed, "{") {
		return false
	}
	_ = decode.Members([]byte(trimmed), func(key, value []byte) error { // visit returns no error
		if string(key) == "timestamp" && value[0] == '"' {
			_, err := decode.ParseTime(decode.Unquote(nil, value))
			ok = err == nil
		}
		return nil
	})
	return ok
}
