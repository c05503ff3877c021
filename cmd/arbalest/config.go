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
	Compression string          `yaml:"compression"`
	Limits      limitsConfig    `yaml:"limits"`
	Warehouse   warehouseConfig `yaml:"warehouse"`
	// Events declares tables: an event that is not here has its columns
	// inferred.
	Events map[string]eventConfig `yaml:"events"`
	// Pipelines are files of pipelines, in the data directory if their paths are
	// relative: serve runs those that have a schedule.
	Pipelines []string `yaml:"pipelines"`

	writers    int    // segments that are written at once; 0 is capture's default
	durability string // what answers say of how events are kept
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
	Batch  size   `yaml:"batch"`  // lines that a sort or a transaction holds at once. Defaults to 32MiB in serve, and 96MiB elsewhere
}

// An eventConfig declares an event's table.
type eventConfig struct {
	Table   string         `yaml:"table"` // Defaults to the event's name, folded
	Columns []columnConfig `yaml:"columns"`
}

// A columnConfig is one column: a property and its type.
type columnConfig struct {
	Name string       `yaml:"name"` // Defaults to the path joined by _
	Path propertyPath `yaml:"path"` // Defaults to the name
	Type string       `yaml:"type"`
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
	if err := yaml.UnmarshalWithOptions(b, &c, yaml.Strict()); err != nil {
		return c, fmt.Errorf("%w configuration %s: %s", arbalest.ErrInvalid, path, yaml.FormatError(err, false, true))
	}
	if c.Compression != "" && c.Compression != "zstd" && c.Compression != "none" {
		return c, fmt.Errorf("%w configuration %s: compression %q: want zstd or none", arbalest.ErrInvalid, path, c.Compression)
	}
	if _, err := c.tables(); err != nil {
		return c, fmt.Errorf("%w (in %s)", err, path)
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

// tables returns the declared tables.
func (c config) tables() ([]arbalest.Table, error) {
	var tables []arbalest.Table
	names := map[string]string{}
	for event, e := range c.Events {
		t := arbalest.Table{Name: e.Table, Event: arbalest.EventName(event), Declared: true}
		if err := t.Event.Validate(); err != nil {
			return nil, err
		}
		if t.Name == "" {
			t.Name = t.Event.Table()
		}
		if t.Name != arbalest.EventName(t.Name).Table() {
			return nil, fmt.Errorf("%w: events: %s: table %q: use lower-case letters, digits and _", arbalest.ErrInvalid, event, t.Name)
		}
		if other, ok := names[t.Name]; ok {
			return nil, fmt.Errorf("%w: events: %s and %s both want table %s: give one of them another name under \"table\"", arbalest.ErrInvalid, other, event, t.Name)
		}
		names[t.Name] = event
		for i, column := range e.Columns {
			col, err := column.column()
			if err != nil {
				return nil, fmt.Errorf("events: %s: column %d: %w", event, i+1, err)
			}
			t.Columns = append(t.Columns, col)
		}
		if err := uniqueColumns(t); err != nil {
			return nil, fmt.Errorf("events: %s: %w", event, err)
		}
		tables = append(tables, t)
	}
	return tables, nil
}

func (c columnConfig) column() (arbalest.Column, error) {
	path := []string(c.Path)
	if len(path) == 0 && c.Name != "" {
		path = []string{c.Name}
	}
	name := c.Name
	if name == "" {
		name = strings.Join(path, "_")
	}
	name = strings.ToLower(name)
	switch {
	case name == "":
		return arbalest.Column{}, fmt.Errorf("%w: no name and no path", arbalest.ErrInvalid)
	case len(name) > arbalest.MaxEventName:
		return arbalest.Column{}, fmt.Errorf("%w: name %.40q… has %d bytes: at most %d are allowed", arbalest.ErrInvalid, name, len(name), arbalest.MaxEventName)
	case c.Type == "":
		return arbalest.Column{}, fmt.Errorf("%w: %s has no type", arbalest.ErrInvalid, name)
	}
	t, err := arbalest.ParseType(c.Type)
	if err != nil {
		return arbalest.Column{}, fmt.Errorf("%s: %w", name, err)
	}
	return arbalest.Column{Name: name, Path: path, Type: t}, nil
}

func uniqueColumns(t arbalest.Table) error {
	seen := map[string]bool{}
	for _, c := range t.AllColumns() {
		if seen[c.Name] {
			return fmt.Errorf("%w: two columns are named %s: give one another name", arbalest.ErrInvalid, c.Name)
		}
		seen[c.Name] = true
	}
	return nil
}
