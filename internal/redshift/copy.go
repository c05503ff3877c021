package redshift

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"arbalest"
	"arbalest/internal/warehouse"
)

// A copying is one COPY.
type copying struct {
	table, columns  string // as SQL spells them
	manifest, paths string // URLs
	codec           string // GZIP, ZSTD or empty
	maxErrors       int
	noLoad          bool
}

// copy runs a COPY. A table's statistics are Redshift's own to keep, and its
// encodings are those that it was made with.
func (t *tx) copy(ctx context.Context, c copying) error {
	manifest, err := literal(c.manifest)
	if err != nil {
		return err
	}
	paths, err := literal(c.paths)
	if err != nil {
		return err
	}
	auth, err := t.d.authorization(ctx)
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "COPY %s (%s)\nFROM %s\n%s\n", c.table, c.columns, manifest, auth)
	if t.d.opts.Region != "" {
		fmt.Fprintf(&b, "REGION '%s'\n", t.d.opts.Region)
	}
	fmt.Fprintf(&b, "MANIFEST\nFORMAT AS JSON %s\n", paths)
	if c.codec != "" {
		b.WriteString(c.codec + "\n")
	}
	fmt.Fprintf(&b, "TIMEFORMAT 'auto' DATEFORMAT 'auto'\nMAXERROR %d\n", c.maxErrors)
	if c.noLoad {
		b.WriteString("NOLOAD\n")
	}
	b.WriteString("COMPUPDATE OFF STATUPDATE OFF")
	_, err = t.d.run(ctx, t.conn, b.String(), nil, nil)
	return t.note(err)
}

// authorization spells what COPY reads the bucket as (Developer Guide,
// "Authorization parameters").
func (d *Database) authorization(ctx context.Context) (string, error) {
	switch d.opts.IAMRole {
	case "":
	case "default":
		return "IAM_ROLE default", nil
	default:
		role, err := literal(d.opts.IAMRole)
		return "IAM_ROLE " + role, err
	}
	id, secret, token, err := d.opts.Bucket.Credentials(ctx)
	if err != nil {
		return "", fmt.Errorf("credentials of the bucket: %w", err)
	}
	d.secrets.keep(id, secret, token)
	var parts [3]string
	for i, v := range []string{id, secret, token} {
		if parts[i], err = literal(v); err != nil {
			return "", fmt.Errorf("%w: the bucket's keys have characters that SQL cannot spell: set iam_role", arbalest.ErrInvalid)
		}
	}
	auth := "ACCESS_KEY_ID " + parts[0] + " SECRET_ACCESS_KEY " + parts[1]
	if token != "" {
		auth += " SESSION_TOKEN " + parts[2]
	}
	return auth, nil
}

// codecs are those that an object may have, in the order in which they are
// copied: COPY has one for all its objects, by keyword ("File compression
// parameters").
var codecs = [...]struct{ name, keyword string }{{"", ""}, {"gzip", "GZIP"}, {"zstd", "ZSTD"}}

// Copy implements warehouse.Tx: one COPY for each codec, with a manifest of the
// objects where they are. Objects must be in the region of Options.Bucket, which
// the manifests are in. Where a column is a TIMESTAMP it goes by way of a
// temporary table in which it is a TIMESTAMPTZ: COPY would leave out the offset of
// a value, and so change it.
func (t *tx) Copy(ctx context.Context, table string, c warehouse.Copy) (warehouse.Copied, error) {
	var done warehouse.Copied
	if err := t.ready(); err != nil {
		return done, err
	}
	if len(c.Objects) == 0 {
		return done, nil
	}
	from, paths, err := t.d.checkCopy(c)
	if err != nil {
		return done, err
	}
	st, err := t.d.newStage()
	if err != nil {
		return done, err
	}
	defer st.remove(ctx)
	zoned := zonedOf(c.Columns)
	one := copying{table: table, columns: t.d.dialect.Names(c.Columns), noLoad: c.NoLoad}
	if zoned != nil {
		one.table = zonedTable
		if _, err := t.Exec(ctx, fmt.Sprintf("CREATE TEMP TABLE %s (%s)", zonedTable, t.d.dialect.Define(zoned))); err != nil {
			return done, err
		}
	}
	if one.paths, err = st.paths(ctx, paths); err != nil {
		return done, err
	}
	for _, codec := range codecs {
		one.codec = codec.keyword
		objects := map[string]arbalest.Key{} // by URL
		for _, o := range c.Objects {
			if warehouse.Codec(o.Key) == codec.name {
				url := from.URL(o.Key)
				objects[url] = o.Key
				st.list(url, o.Size)
			}
		}
		if len(objects) == 0 {
			continue
		}
		name := "manifest-" + strings.ToLower(codec.keyword) + ".json"
		if one.manifest, err = st.manifest(ctx, strings.Replace(name, "-.", ".", 1)); err != nil {
			return done, err
		}
		if err := t.copyGroup(ctx, one, c, objects, &done); err != nil {
			return done, err
		}
	}
	if zoned == nil {
		return done, nil
	}
	if !c.NoLoad {
		if _, err := t.Exec(ctx, fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s", table, one.columns, t.d.unzoned(c.Columns), zonedTable)); err != nil {
			return done, err
		}
	}
	_, err = t.Exec(ctx, "DROP TABLE "+zonedTable)
	return done, err
}

// zonedTable is the temporary table that times with offsets are copied into.
const zonedTable = "arbalest_zoned"

// zonedOf returns the columns with TIMESTAMPTZ in place of TIMESTAMP; nil if
// there is none.
func zonedOf(columns []arbalest.Column) []arbalest.Column {
	zoned, any := slices.Clone(columns), false
	for i, c := range zoned {
		if c.Type.Kind == arbalest.Timestamp {
			zoned[i].Type.Kind, any = arbalest.TimestampTZ, true
		}
	}
	if !any {
		return nil
	}
	return zoned
}

// unzoned spells the columns as they are selected from the temporary table
// (Developer Guide, "AT TIME ZONE").
func (d *Database) unzoned(columns []arbalest.Column) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = warehouse.Ident(d.dialect.Cut(c.Name))
		if c.Type.Kind == arbalest.Timestamp {
			list[i] += " AT TIME ZONE 'UTC'"
		}
	}
	return strings.Join(list, ", ")
}

// checkCopy refuses what COPY cannot be told, and returns the store of the
// objects and the paths of the columns.
func (d *Database) checkCopy(c warehouse.Copy) (from Source, paths []string, err error) {
	from, ok := c.Store.(Source)
	switch {
	case !ok:
		return nil, nil, fmt.Errorf("%w: Redshift copies from S3 only: move the source to a bucket", arbalest.ErrInvalid)
	case d.opts.Bucket != nil && from.Region() != d.opts.Bucket.Region():
		return nil, nil, fmt.Errorf("%w: the source is in %s and the warehouse's bucket in %s: COPY reads manifest and objects in one region", arbalest.ErrInvalid, from.Region(), d.opts.Bucket.Region())
	case c.MaxErrors < 0 || c.MaxErrors > maxErrors:
		return nil, nil, fmt.Errorf("%w: the maximum of errors is %d: Redshift takes 0 to %d", arbalest.ErrInvalid, c.MaxErrors, maxErrors)
	}
	if err := d.distinct(c.Columns); err != nil {
		return nil, nil, err
	}
	paths = make([]string, len(c.Columns))
	for i, column := range c.Columns {
		if paths[i], err = jsonPath(column.Path); err != nil {
			return nil, nil, fmt.Errorf("column %s: %w", column.Name, err)
		}
	}
	return from, paths, nil
}

// copyGroup copies objects of one codec, and adds to done what came of it.
func (t *tx) copyGroup(ctx context.Context, one copying, c warehouse.Copy, objects map[string]arbalest.Key, done *warehouse.Copied) error {
	one.maxErrors = c.MaxErrors
	tolerant := c.MaxErrors > 1
	before := int64(-1)
	if tolerant {
		one.maxErrors = max(c.MaxErrors-int(done.Errors), 1)
		var err error
		if before, err = t.lastReport(ctx); err != nil {
			return err
		}
	}
	if err := t.copy(ctx, one); err != nil {
		return t.copyFailed(ctx, err, c, objects, done)
	}
	rows, err := t.number(ctx, "SELECT pg_last_copy_count()")
	if err != nil {
		return err
	}
	done.Rows += rows
	if !tolerant {
		return nil // there was none
	}
	return t.readReports(ctx, before, objects, done)
}

// copyFailed says why a COPY failed. The transaction is over.
func (t *tx) copyFailed(ctx context.Context, err error, c warehouse.Copy, objects map[string]arbalest.Key, done *warehouse.Copied) error {
	var f *failure
	if !errors.As(err, &f) || again(err) {
		return err
	}
	if f.rows {
		t.rollback()
		if read := t.readReports(ctx, newest, objects, done); read != nil {
			return fmt.Errorf("%w (what was wrong could not be read: %w)", err, read)
		}
		if done.Errors > 0 {
			return t.give(&warehouse.CopyError{Copied: *done, MaxErrors: c.MaxErrors})
		}
		return err
	}
	// Not the rows: an object that is missing, which the error's text does not
	// tell for sure.
	for _, o := range c.Objects {
		r, got := c.Store.Get(ctx, o.Key, 0, 0)
		if errors.Is(got, arbalest.ErrUnknown) {
			return t.give(fmt.Errorf("copy %s: %w", o.Key, arbalest.ErrUnknown))
		}
		if got == nil {
			_ = r.Close()
		}
	}
	return err
}

// give makes an error the transaction's in place of the one it has.
func (t *tx) give(err error) error {
	t.failed = err
	return err
}
