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

// A reportView is where COPY's errors are read from.
type reportView struct {
	name           string
	query, session string // its columns
	object, line   string
	column         string
	value          string // expression
	code, reason   string
}

// The views, best first (Developer Guide, "SYS_LOAD_ERROR_DETAIL" and
// "STL_LOAD_ERRORS"): the second knows nothing of what a scaled-out cluster
// loaded, but has the value. Their texts are padded with blanks.
var reportViews = [...]reportView{
	{"sys_load_error_detail", "query_id", "session_id", "file_name", "line_number", "column_name", "", "error_code", "error_message"},
	{"stl_load_errors", "query", "session", "filename", "line_number", "colname", "raw_field_value", "err_code", "err_reason"},
}

const (
	// newest asks for the errors of the session's last query that has any.
	newest = -1
	// fileName is how long the views' names of files are, in characters: a
	// longer one is cut.
	fileName = 256
)

// findReports finds out which views there are for us. It does so outside of any
// transaction, which a view that is denied would fail.
func (d *Database) findReports(ctx context.Context) error {
	var last error
	for _, v := range reportViews {
		err := d.Query(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE %[1]s < 0", v.query, v.name), func([]any) error { return nil })
		switch {
		case err == nil:
			d.reports = append(d.reports, v)
		case !denied(err):
			return err
		default:
			last = err
		}
	}
	if len(d.reports) == 0 {
		return fmt.Errorf("none of the views of load errors can be read: %w", last)
	}
	return nil
}

// lastReport returns the query of the session's last error. What comes later
// has a greater one.
func (t *tx) lastReport(ctx context.Context) (int64, error) {
	v := t.d.reports[0]
	return t.number(ctx, fmt.Sprintf("SELECT coalesce(max(%s), 0) FROM %s WHERE %s = pg_backend_pid()", v.query, v.name, v.session))
}

// readReports adds to done the errors of the session's queries after before, or
// of its newest one. It may be called after the transaction, on its connection.
func (t *tx) readReports(ctx context.Context, before int64, objects map[string]arbalest.Key, done *warehouse.Copied) error {
	v := t.d.reports[0]
	which := fmt.Sprintf("%s > %d", v.query, before)
	if before == newest {
		which = fmt.Sprintf("%s = (SELECT max(%[1]s) FROM %s WHERE %s = pg_backend_pid())", v.query, v.name, v.session)
	}
	sql := fmt.Sprintf("SELECT btrim(%s), %s, btrim(%s), %s, btrim(%s) FROM %s WHERE %s = pg_backend_pid() AND %s ORDER BY 1, 2",
		v.object, v.line, v.column, v.code, v.reason, v.name, v.session, which)
	names := newObjectNames(objects)
	_, err := t.d.run(ctx, t.conn, sql, nil, func(values []any) error {
		done.Errors++
		if len(done.Reports) == warehouse.MaxReports {
			return nil
		}
		r := warehouse.CopyReport{Object: names.key(text(values[0])), Column: text(values[2]), Reason: text(values[4])}
		r.Line, _ = values[1].(int64)
		if code, ok := values[3].(int64); ok {
			r.Reason = fmt.Sprintf("%s [%d]", r.Reason, code)
		}
		done.Reports = append(done.Reports, r)
		return nil
	})
	if err == nil && len(done.Reports) > 0 {
		err = t.readValues(ctx, names, done.Reports)
	}
	return t.note(err)
}

// place is where a value is.
type place struct {
	object arbalest.Key
	line   int64
	column string
}

// readValues fills in the values, which only the older view has, if we may read
// it. Of several for a place, loaded again in one session, the last counts.
func (t *tx) readValues(ctx context.Context, names *objectNames, reports []warehouse.CopyReport) error {
	i := slices.IndexFunc(t.d.reports, func(v reportView) bool { return v.value != "" })
	if i < 0 {
		return nil
	}
	v := t.d.reports[i]
	at := map[place][]int{}
	for i, r := range reports {
		p := place{r.Object, r.Line, r.Column}
		at[p] = append(at[p], i)
	}
	sql := fmt.Sprintf("SELECT btrim(%s), %s, btrim(%s), btrim(%s) FROM %s WHERE %s = pg_backend_pid() ORDER BY %s",
		v.object, v.line, v.column, v.value, v.name, v.session, v.query)
	_, err := t.d.run(ctx, t.conn, sql, nil, func(values []any) error {
		line, _ := values[1].(int64)
		for _, i := range at[place{names.key(text(values[0])), line, text(values[2])}] {
			reports[i].Value = text(values[3])
		}
		return nil
	})
	return err
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// explain adds to the error of a COPY of ours what the view says of it. The
// transaction is over.
func (t *tx) explain(ctx context.Context, err error) error {
	var f *failure
	if !errors.As(err, &f) || !f.rows || again(err) {
		return err
	}
	t.rollback()
	var done warehouse.Copied
	if read := t.readReports(ctx, newest, nil, &done); read != nil || len(done.Reports) == 0 {
		return err
	}
	return fmt.Errorf("%w: %w", err, &warehouse.CopyError{Copied: done})
}

// objectNames finds an object by the name that a view has of it.
type objectNames struct {
	byURL map[string]arbalest.Key
	urls  []string // sorted
}

func newObjectNames(byURL map[string]arbalest.Key) *objectNames {
	n := &objectNames{byURL: byURL}
	for url := range byURL {
		n.urls = append(n.urls, url)
	}
	slices.Sort(n.urls)
	return n
}

// key returns the key of a file's name, which is cut where it is long. Where
// several objects' names begin so it is the beginning of theirs.
func (n *objectNames) key(name string) arbalest.Key {
	if key, ok := n.byURL[name]; ok {
		return key
	}
	i, _ := slices.BinarySearch(n.urls, name)
	if i == len(n.urls) || !strings.HasPrefix(n.urls[i], name) || len([]rune(name)) < fileName-1 {
		return arbalest.Key(name)
	}
	key := n.byURL[n.urls[i]]
	if i+1 < len(n.urls) && strings.HasPrefix(n.urls[i+1], name) {
		return key[:len(key)-(len(n.urls[i])-len(name))]
	}
	return key
}
