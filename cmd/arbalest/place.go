package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"arbalest"
	"arbalest/connect"
	"arbalest/internal/keys"
)

// A place is a data directory:
//
//	arbalest.yaml      the configuration, if there is one
//	store/             the object store, unless it is elsewhere: all that must be kept
//	warehouse.duckdb   the warehouse, unless it is elsewhere: rebuild makes it again
//	events/*.yaml      definitions of events, if there are any
//	keys.yaml          who may send events, if there are keys
//	models/            SELECTs that derive tables from others, if there are any
//	queries/           queries of the SQL page that were saved, if there are any
//	warm/              what is warm of a store that is elsewhere, for DuckDB to read
//	.archive/          where archive makes Parquet
//	serve.json         how to reach the serve that runs on it
//	verified.json      what the newest verification found, if there was one
type place struct {
	dir    string
	config string // file; empty is dir/arbalest.yaml, if it is there
}

func (p place) servant() string { return filepath.Join(p.dir, "serve.json") }

func (p place) verified() string { return filepath.Join(p.dir, "verified.json") }

// replaceFile writes a file of a place that its owner alone can read. It is renamed
// into place, so that nobody reads half of it.
func replaceFile(file string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", file, err), os.Remove(f.Name()))
	}
	return nil
}

// queries returns the folder of saved queries.
func (p place) queries() string { return filepath.Join(p.dir, "queries") }

// keys returns the file of the place's write keys.
func (p place) keys(c config) keys.File { return keys.File(p.file(cmp.Or(c.Keys, "keys.yaml"))) }

// file returns the path of a file, which is in the directory if it is relative.
func (p place) file(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(p.dir, path)
}

// store returns the URL of the place's store.
func (p place) store(c config) string { return p.within(cmp.Or(c.Store, "store")) }

// warehouse returns the URL of the place's warehouse.
func (p place) warehouse(c config) string {
	return p.within(cmp.Or(c.Warehouse.URL, "warehouse.duckdb"))
}

// where says where events and tables are, without secrets.
func (p place) where(c config) string {
	if c.Store == "" && c.Warehouse.URL == "" {
		return "data in " + p.dir
	}
	return "events in " + connect.Redact(p.store(c)) + ", tables in " + connect.Redact(p.warehouse(c))
}

// within makes a relative path one in the directory.
func (p place) within(url string) string {
	path, ok := connect.IsPath(url)
	if !ok || filepath.IsAbs(path) {
		return url
	}
	return strings.TrimSuffix(url, path) + filepath.Join(p.dir, path)
}

func (p place) read() (config, error) {
	var c config
	var err error
	if p.config != "" {
		c, err = readConfig(p.config, false)
	} else {
		c, err = readConfig(filepath.Join(p.dir, "arbalest.yaml"), true)
	}
	if err != nil {
		return c, err
	}
	if err := c.readEvents(filepath.Join(p.dir, "events")); err != nil {
		return c, err
	}
	return c, c.checkEvents()
}

// placeFlags adds --data and --config to a command.
func placeFlags(cmd *cobra.Command) *place {
	p := &place{}
	cmd.Flags().StringVar(&p.dir, "data", "", "the data directory (or ARBALEST_DATA)")
	cmd.Flags().StringVar(&p.config, "config", "", "the configuration file (default DIR/arbalest.yaml)")
	_ = cmd.MarkFlagDirname("data")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
	return p
}

// resolve finds the directory; must says that it has to be there.
func (p *place) resolve(must bool) error {
	if p.dir == "" {
		p.dir = os.Getenv("ARBALEST_DATA")
	}
	if p.dir == "" {
		return usage("which data? Give --data DIR, or set ARBALEST_DATA")
	}
	info, err := os.Stat(p.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && must:
		return fmt.Errorf("data directory %s: %w: run arbalest serve --data %s, or arbalest import, first", p.dir, arbalest.ErrUnknown, p.dir)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("data directory: %w", err)
	case !info.IsDir():
		return fmt.Errorf("%w: --data %s is not a directory", arbalest.ErrInvalid, p.dir)
	}
	return nil
}

// operate opens what a command works with: the serve that runs on the place,
// else the place itself. The caller closes it.
func (p *place) operate(ctx context.Context) (operator, error) {
	if err := p.resolve(true); err != nil {
		return nil, err
	}
	if r, err := dialServant(ctx, p.servant()); r != nil || err != nil {
		return r, err
	}
	c, err := p.read()
	if err != nil {
		return nil, err
	}
	c.Warehouse.Batch = cmp.Or(c.Warehouse.Batch, bulkBatch)
	c.Warehouse.Memory = cmp.Or(c.Warehouse.Memory, bulkMemory)
	return openEngine(ctx, *p, c)
}

// A result is what long work came to: how it is shown, and whether it is well.
type result interface {
	print(out io.Writer, asJSON bool) error
	err() error
}

// work does a command's long work with its progress shown, and prints what it
// came to.
func (p *place) work(cmd *cobra.Command, asJSON bool, do func(context.Context, operator, func(progress)) (result, error)) error {
	op, err := p.operate(cmd.Context())
	if err != nil {
		return err
	}
	defer op.Close()
	rep := newReporter(cmd.ErrOrStderr(), asJSON)
	r, err := do(cmd.Context(), op, rep.show)
	rep.done()
	if err != nil {
		return err
	}
	if err := r.print(cmd.OutOrStdout(), asJSON); err != nil {
		return err
	}
	return r.err()
}
