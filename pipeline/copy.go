package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/warehouse"
)

// An Option changes a copying step.
type Option func(*copying)

// MaxErrors lets a copy leave out rows that are wrong: with n of them, as with
// Redshift's MAXERROR, it fails. Without it the first one fails it. The rows are
// in arbalest.copy_errors.
func MaxErrors(n int) Option { return func(c *copying) { c.maxErrors = n } }

// AllowEmpty lets BulkCopy and TimeSeries replace rows by none: without it a
// source without any object is an error, since its path may be mistyped.
func AllowEmpty() Option { return func(c *copying) { c.allowEmpty = true } }

// Adopt lets ManifestCopy add to a table that has rows and that its journal does
// not know: without it that is an error, since they may be the source's.
func Adopt() Option { return func(c *copying) { c.adopt = true } }

// A copying is what the copying steps have in common.
type copying struct {
	source     string
	schema     arbalest.Schema
	maxErrors  int
	allowEmpty bool
	adopt      bool
	updateFrom string // of a TimeSeries
}

func newCopying(source string, schema arbalest.Schema, options []Option) copying {
	c := copying{source: strings.Trim(source, "/"), schema: schema}
	for _, o := range options {
		o(&c)
	}
	return c
}

func (c copying) check(d warehouse.Dialect) error {
	if c.source == "" || path.Clean(c.source) != c.source || strings.HasPrefix(c.source, "..") {
		return fmt.Errorf("%w: source %q: want the path of a folder in the store, or of an object", arbalest.ErrInvalid, c.source)
	}
	if c.maxErrors < 0 || c.maxErrors > 100_000 {
		return fmt.Errorf("%w: max errors %d: want 0 to 100000", arbalest.ErrInvalid, c.maxErrors)
	}
	_, err := c.schema.Columns(d.MaxName)
	return err
}

// checkStaged is check of a step that has a staging table.
func (c copying) checkStaged(d warehouse.Dialect) error {
	if err := c.check(d); err != nil {
		return err
	}
	_, name, ok := strings.Cut(c.schema.Table, ".")
	if !ok {
		name = c.schema.Table
	}
	if most := d.MaxName - len(updateSuffix); len(name) > most {
		return fmt.Errorf("%w: table %q has %d bytes: at most %d are allowed, since its staging table is named with %s", arbalest.ErrInvalid, name, len(name), most, updateSuffix)
	}
	return nil
}

// updateSuffix is what the original's staging tables are named with.
const updateSuffix = "_update"

// columns returns the table's columns, which check has seen to be right.
func (c copying) columns(d warehouse.Dialect) []arbalest.Column {
	columns, _ := c.schema.Columns(d.MaxName)
	return columns
}

// journal is what the table is named in arbalest.copied and arbalest.sources.
func (c copying) journal() string { return strings.ToLower(c.schema.Table) }

func (c copying) lock(string, int) string { return lockName("table", c.schema.Table) }

func (c copying) fingerprint() string {
	return describe(c.source, c.schema, c.maxErrors, c.allowEmpty, c.adopt, c.updateFrom)
}

// lockName returns the name of a lock for something of that kind and name.
func lockName(kind, name string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(name)))
	return kind + "_" + hex.EncodeToString(sum[:8])
}

// objects lists the source: what is in its folder, at any depth, or the object
// of that very name. Other names that begin alike are not of it. after is where
// to go on.
func (c copying) objects(ctx context.Context, store blob.Store, after arbalest.Key, visit func(blob.Info) (more bool)) error {
	return list(ctx, store, c.source, after, visit)
}

func list(ctx context.Context, store blob.Store, source string, after arbalest.Key, visit func(blob.Info) bool) error {
	for _, prefix := range []string{source, source + "/"} {
		for o, err := range store.List(ctx, arbalest.Key(prefix), after) {
			if err != nil {
				return fmt.Errorf("list %s: %w", source, err)
			}
			if prefix == source && string(o.Key) != source {
				break // the object of that name would come first
			}
			if o.Size == 0 && strings.HasSuffix(string(o.Key), "/") {
				continue // a folder's mark, as some tools make
			}
			if !visit(o) {
				return nil
			}
		}
	}
	return nil
}

// all lists the whole source.
func (c copying) all(ctx context.Context, store blob.Store) ([]blob.Info, error) {
	var objects []blob.Info
	err := c.objects(ctx, store, "", func(o blob.Info) bool {
		objects = append(objects, o)
		return true
	})
	if err != nil {
		return nil, err
	}
	if len(objects) == 0 && !c.allowEmpty {
		return nil, fmt.Errorf("%w: nothing is stored below %s: check the source, or allow it to be empty", arbalest.ErrUnknown, c.source)
	}
	return objects, nil
}

// copyInto copies objects into a table.
func (c copying) copyInto(ctx context.Context, tx warehouse.Tx, table string, columns []arbalest.Column, store blob.Store, objects []blob.Info, noLoad bool) (Result, error) {
	if len(objects) == 0 {
		return Result{}, nil
	}
	done, err := tx.Copy(ctx, table, warehouse.Copy{Columns: columns, Store: store, Objects: objects, MaxErrors: c.maxErrors, NoLoad: noLoad})
	r := Result{Objects: int64(len(objects)), Rows: done.Rows, Errors: done.Errors, reports: done.Reports, table: c.schema.Table}
	return r, err
}

// A tableName is a table as a step names it: name, or schema.name.
type tableName string

// sql spells it in SQL.
func (t tableName) sql() string {
	schema, name, ok := strings.Cut(strings.ToLower(string(t)), ".")
	if !ok {
		return warehouse.Ident(schema)
	}
	return warehouse.Qualified(schema, name)
}

// base is the name without its schema, as RENAME wants it.
func (t tableName) base() string {
	lower := strings.ToLower(string(t))
	return warehouse.Ident(lower[strings.LastIndexByte(lower, '.')+1:])
}

func (t tableName) with(suffix string) tableName { return t + tableName(suffix) }

// exists says whether a table is there. It has no effect on the transaction.
func (t tableName) exists(ctx context.Context, q querier) (bool, error) {
	schema, name, ok := strings.Cut(strings.ToLower(string(t)), ".")
	query := "SELECT count(*) FROM information_schema.tables WHERE table_name = $1 AND table_schema = $2"
	args := []any{name, schema}
	if !ok {
		query = "SELECT count(*) FROM information_schema.tables WHERE table_name = $1 AND table_schema = current_schema()"
		args = []any{schema}
	}
	n, err := count(ctx, q, query, args...)
	return n > 0, err
}

// A querier is what a table is looked at through.
type querier interface {
	Query(ctx context.Context, sql string, visit func([]any) error, args ...any) error
}

// count runs a query that gives one number.
func count(ctx context.Context, q querier, query string, args ...any) (n int64, err error) {
	err = q.Query(ctx, query, func(values []any) error {
		n, _ = values[0].(int64)
		return nil
	}, args...)
	return n, err
}

// execAll runs statements one after another.
func execAll(ctx context.Context, tx warehouse.Tx, statements ...string) error {
	for _, s := range statements {
		if _, err := tx.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", firstWords(s), err)
		}
	}
	return nil
}

// firstWords says which statement it is.
func firstWords(sql string) string {
	words := strings.Fields(sql)
	return strings.Join(words[:min(len(words), 6)], " ")
}

// totalBytes adds up the objects' sizes.
func totalBytes(objects []blob.Info) (bytes int64) {
	for _, o := range objects {
		bytes += o.Size
	}
	return bytes
}

// sample returns the first objects' keys.
func sample(objects []blob.Info) (keys []string) {
	for _, o := range objects[:min(len(objects), 5)] {
		keys = append(keys, string(o.Key))
	}
	return slices.Clip(keys)
}
