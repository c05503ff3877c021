package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"arbalest"
	"arbalest/internal/hook"
	"arbalest/internal/strict"
)

// A config is arbalest.yaml. Unknown keys are errors with their line. The zero
// value works; an absent file is the zero value.
type config struct {
	// Listen is the address that serve captures on. Defaults to 127.0.0.1:8080.
	Listen string `yaml:"listen"`
	// Keys is the file of write keys, in the data directory if its path is
	// relative. Defaults to keys.yaml.
	Keys string `yaml:"keys"`
	// Insecure says that without any key serve may listen on other addresses than
	// those of this machine.
	Insecure bool `yaml:"insecure"`
	// TLS is what capture is served with. Defaults to none.
	TLS tlsConfig `yaml:"tls"`
	// Hooks are the sources of webhooks, by the last part of their path. In
	// secrets and tokens ${NAME} is replaced from the environment, by serve.
	Hooks map[string]hook.Config `yaml:"hooks"`
	// Sources are message brokers that serve takes events from, by a name of
	// yours.
	Sources map[string]sourceConfig `yaml:"sources"`
	CORS    corsConfig              `yaml:"cors"`
	Segment segmentConfig           `yaml:"segment"`
	// Store is the object store's URL, in which ${NAME} is replaced from the
	// environment. Defaults to the directory store in the data directory, to
	// which a relative path is relative.
	Store string `yaml:"store"`
	// Linger is how long a request waits for others, to share a segment with
	// them. Defaults to 250ms on S3, where each costs money, and elsewhere to 0s.
	Linger *duration `yaml:"linger"`
	// SortEvery is the least time between two commits. Defaults to 1s, and to
	// 60s on S3.
	SortEvery duration `yaml:"sort_every"`
	// SortBytes is how many bytes of lines that landed are enough for a commit
	// before its time. Defaults to 64MiB on S3; elsewhere to none.
	SortBytes size `yaml:"sort_bytes"`
	// Compression of partitions, "zstd" or "none". Defaults to zstd.
	Compression string        `yaml:"compression"`
	Compact     compactConfig `yaml:"compact"`
	// Retention is that of events whose definitions have none.
	Retention retentionConfig `yaml:"retention"`
	Limits    limitsConfig    `yaml:"limits"`
	Warehouse warehouseConfig `yaml:"warehouse"`
	// Events are definitions of events, with those of the files in events/ of
	// the data directory. An event that has none has its columns inferred, and is
	// taken as it comes.
	Events map[string]eventConfig `yaml:"events"`
	// Contract is that of events whose definitions have none, and of events
	// without a definition.
	Contract tablesContract `yaml:"contract"`
	Privacy  privacyConfig  `yaml:"privacy"`
	// Pipelines are files of pipelines, in the data directory if their paths are
	// relative: serve runs those that have a schedule.
	Pipelines []string `yaml:"pipelines"`
	// SQL is for PostgreSQL's clients, of serve.
	SQL sqlConfig `yaml:"sql"`
	// Web is for the pages, of serve.
	Web webConfig `yaml:"web"`
	// Models is the folder of SQL models, in the data directory if its path is
	// relative. Defaults to models.
	Models string `yaml:"models"`

	sources    map[string]definitionSource // of Events
	writers    int                         // segments that are written at once; 0 is capture's default
	durability string                      // what answers say of how events are kept
}

// forServe returns the configuration with serve's defaults, which are others on
// a store where each object costs money and takes its time.
func (c config) forServe(remote bool) config {
	linger := duration(0)
	if remote {
		c.SortEvery = cmp.Or(c.SortEvery, duration(time.Minute))
		c.SortBytes = cmp.Or(c.SortBytes, 64<<20)
		linger = duration(250 * time.Millisecond)
		c.writers, c.durability = 4, "s3"
	}
	c.SortEvery = cmp.Or(c.SortEvery, duration(time.Second))
	if c.Linger == nil {
		c.Linger = &linger
	}
	return c
}

// A limitsConfig bounds what clients may send.
type limitsConfig struct {
	Body     size `yaml:"body"`      // of a request, decompressed. Defaults to 16MiB
	Event    size `yaml:"event"`     // Defaults to 1MiB
	InFlight size `yaml:"in_flight"` // memory of all requests. Defaults to 64MiB
}

// A warehouseConfig says where tables are, and bounds what loading may use.
type warehouseConfig struct {
	// URL is the warehouse's, in which ${NAME} is replaced from the environment.
	// Defaults to the DuckDB file warehouse.duckdb in the data directory.
	URL    string `yaml:"url"`
	Memory size   `yaml:"memory"` // DuckDB's limit. Defaults to 96MiB in serve, which keeps it below 512MiB, and 512MiB elsewhere
	Batch  size   `yaml:"batch"`  // lines that a sort or a transaction holds at once. Defaults to 24MiB in serve, and 96MiB elsewhere
}

// A propertyPath is "a.b", or ["a", "b.c"] where a key has dots.
type propertyPath []string

// UnmarshalYAML reads either form.
func (p *propertyPath) UnmarshalYAML(b []byte) error {
	var list []string
	if err := yaml.Unmarshal(b, &list); err == nil {
		*p = list
		return nil
	}
	var s string
	if err := yaml.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("path: want \"a.b\" or [\"a\", \"b.c\"]: %w", err)
	}
	*p = strings.Split(s, ".")
	return nil
}

// A size is a number of bytes, spelled 64MiB, 512KiB or 1048576.
type size int64

// UnmarshalYAML reads a size.
func (s *size) UnmarshalYAML(b []byte) error {
	text := strings.TrimSpace(strings.Trim(strings.TrimSpace(string(b)), `"'`))
	number, shift := text, 0
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if n, ok := strings.CutSuffix(text, unit); ok {
			number, shift = strings.TrimSpace(n), 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > 1<<53>>shift {
		return fmt.Errorf("%q is not a size: write 64MiB, 512KiB or a number of bytes", text)
	}
	*s = size(n << shift)
	return nil
}

// A duration is spelled 1s, 250ms or 1m.
type duration time.Duration

// UnmarshalYAML reads a duration.
func (d *duration) UnmarshalYAML(b []byte) error {
	text := strings.TrimSpace(strings.Trim(strings.TrimSpace(string(b)), `"'`))
	v, err := time.ParseDuration(text)
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a duration: write 1s, 250ms or 1m", text)
	}
	*d = duration(v)
	return nil
}

// readConfig reads a file; optional says that its absence is the zero config.
func readConfig(path string, optional bool) (config, error) {
	var c config
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && optional {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("read configuration: %w", err)
	}
	if err := strict.Unmarshal("configuration", path, b, &c); err != nil {
		return c, err
	}
	if c.Compression != "" && c.Compression != "zstd" && c.Compression != "none" {
		return c, fmt.Errorf("%w configuration %s: compression %q: want zstd or none", arbalest.ErrInvalid, path, c.Compression)
	}
	if err := c.noteEvents(path, b, c.Events); err != nil {
		return c, err
	}
	if err := c.checkEvents(); err != nil {
		return c, err
	}
	for name, url := range map[string]*string{"store": &c.Store, "warehouse.url": &c.Warehouse.URL} {
		if *url, err = expand(*url); err != nil {
			return c, fmt.Errorf("%w configuration %s: %s: %w", arbalest.ErrInvalid, path, name, err)
		}
	}
	return c, nil
}

// variable matches ${NAME}.
var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expand replaces ${NAME} by the environment's NAME: so secrets need not be in
// the file.
func expand(text string) (string, error) {
	var missing error
	text = variable.ReplaceAllStringFunc(text, func(ref string) string {
		name := variable.FindStringSubmatch(ref)[1]
		value, ok := os.LookupEnv(name)
		if !ok && missing == nil {
			missing = fmt.Errorf("the environment variable %s is not set", name)
		}
		return value
	})
	return text, missing
}
