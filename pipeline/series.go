package pipeline

import (
	"context"
	"fmt"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/warehouse"
)

// TimeSeries replaces the end of a table by what sorted sources hold: in one
// transaction it copies the sources of the range into a staging table, deletes
// from the table the rows whose column orderBy is at or after the update date,
// inserts those of the staging table, and notes the last source as the cursor of
// the table (arbalest.sources). It is idempotent because what it inserts is what
// it would delete: rows of the sources that are before the update date, or have
// no orderBy, are left out and reported, as rows that are wrong.
//
// The update date is the first source of the range (UpdateFrom sets another); by
// a DATE or a text it is that source's day. Rows after the last source go too, if
// they are in the table already.
func TimeSeries(source string, schema arbalest.Schema, orderBy string, sources SortedSources, options ...Option) Step {
	return &timeSeries{copying: newCopying(source, schema, options), orderBy: strings.ToLower(orderBy), sources: sources}
}

// UpdateFrom sets the update date of a TimeSeries: a value of its orderBy, as
// SQL reads it from a string (2014-11-10, 2014-11-10 06:00:00, 42).
func UpdateFrom(value string) Option { return func(c *copying) { c.updateFrom = value } }

type timeSeries struct {
	copying
	orderBy string
	sources SortedSources
}

func (t *timeSeries) Name() string {
	return fmt.Sprintf("time series %s into %s", t.source, t.schema.Table)
}

func (t *timeSeries) fingerprint() string {
	return describe(t.copying.fingerprint(), t.orderBy, t.sources)
}

func (t *timeSeries) check(d warehouse.Dialect) error {
	if err := t.checkStaged(d); err != nil {
		return err
	}
	if err := t.sources.check(); err != nil {
		return err
	}
	kind := t.orderKind(d)
	switch kind {
	case arbalest.Date, arbalest.Timestamp, arbalest.TimestampTZ, arbalest.SmallInt, arbalest.Integer, arbalest.BigInt, arbalest.Varchar, arbalest.Char:
	case 0:
		return fmt.Errorf("%w: time series of %s: no column is named %q, which it is to be ordered by", arbalest.ErrInvalid, t.schema.Table, t.orderBy)
	default:
		return fmt.Errorf("%w: time series of %s: column %s is %s, which is not an order: want a time, an integer or a text", arbalest.ErrInvalid, t.schema.Table, t.orderBy, kind)
	}
	return t.checkUpdate(kind)
}

// checkUpdate holds that the update date can be spelled in SQL.
func (t *timeSeries) checkUpdate(kind arbalest.Kind) error {
	if t.updateFrom == "" {
		if isTime := kind == arbalest.Date || kind == arbalest.Timestamp || kind == arbalest.TimestampTZ; isTime == (t.sources.kind == integers) && kind != arbalest.Varchar && kind != arbalest.Char {
			return fmt.Errorf("%w: time series of %s: its sources are %s and column %s is %s: say with UpdateFrom from where on rows are replaced", arbalest.ErrInvalid, t.schema.Table, t.sources.kind, t.orderBy, kind)
		}
		if byDay(kind) && isHour(t.sources.start) {
			return fmt.Errorf("%w: time series of %s: column %s is %s, by which whole days are replaced: begin with a day, not with %s", arbalest.ErrInvalid, t.schema.Table, t.orderBy, kind, t.sources.start)
		}
		return nil
	}
	if t.sources.follow && t.sources.start == "" {
		return fmt.Errorf("%w: time series of %s: following goes on where the last run ended, and would delete what it copied since the update date %s: leave one of them out", arbalest.ErrInvalid, t.schema.Table, t.updateFrom)
	}
	if strings.ContainsAny(t.updateFrom, "'\\\x00") {
		return fmt.Errorf("%w: update date %q has a quote or a backslash", arbalest.ErrInvalid, t.updateFrom)
	}
	return nil
}

// byDay says that a column's order does not tell the hours of a day apart, for
// sure: a text's may be spelled in any way. So whole days are replaced.
func byDay(kind arbalest.Kind) bool {
	return kind == arbalest.Date || kind == arbalest.Varchar || kind == arbalest.Char
}

// dayOf is the day of a source that is a day or an hour.
func dayOf(source string) string { day, _, _ := strings.Cut(source, "/"); return day }

// orderKind returns the kind of the column orderBy; 0 if there is none.
func (t *timeSeries) orderKind(d warehouse.Dialect) arbalest.Kind {
	for _, c := range t.columns(d) {
		if c.Name == t.orderBy {
			return c.Type.Kind
		}
	}
	return 0
}

// A stretch is what a run of a TimeSeries takes on.
type stretch struct {
	sources []string
	objects []blob.Info
	from    string // the update date, as a SQL literal; empty if there is no source
}

func (t *timeSeries) stretch(ctx context.Context, w *work) (s stretch, err error) {
	sources := t.sources
	if sources.follow && sources.start == "" {
		if sources.start, err = t.cursor(ctx, w.Warehouse); err != nil {
			return s, err
		}
		if byDay(t.orderKind(w.Warehouse.Dialect())) {
			sources.start = dayOf(sources.start)
		}
	}
	if s.sources, err = sources.list(ctx, w.Store, t.source); err != nil {
		return s, err
	}
	if len(s.sources) == 0 {
		if t.allowEmpty || sources.follow {
			return s, nil
		}
		return s, fmt.Errorf("%w: no source of %s is in the range: its folders are to be %s", arbalest.ErrUnknown, t.source, t.sources.kind)
	}
	for _, source := range s.sources {
		err := list(ctx, w.Store, t.source+"/"+source, "", func(o blob.Info) bool {
			s.objects = append(s.objects, o)
			return true
		})
		if err != nil {
			return s, err
		}
	}
	s.from = t.literal(w.Warehouse.Dialect(), s.sources[0])
	return s, nil
}

// literal spells the update date in SQL, with its type.
func (t *timeSeries) literal(d warehouse.Dialect, first string) string {
	value := t.updateFrom
	if value == "" {
		value = first
		if byDay(t.orderKind(d)) {
			value = dayOf(first)
		} else if at, err := time.Parse(hourLayout, first); err == nil {
			value = at.Format(time.DateTime)
		}
	}
	for _, c := range t.columns(d) {
		if c.Name == t.orderBy {
			return fmt.Sprintf("CAST('%s' AS %s)", value, d.Type(c.Type))
		}
	}
	return ""
}

// cursor reads the last source that was copied; empty if there is none, or if
// what was copied went with the table.
func (t *timeSeries) cursor(ctx context.Context, q querier) (last string, err error) {
	for _, table := range []tableName{"arbalest.sources", tableName(t.schema.Table)} {
		if there, err := table.exists(ctx, q); err != nil || !there {
			return "", err
		}
	}
	err = q.Query(ctx, `SELECT last_source FROM arbalest.sources WHERE table_name = $1 AND source = $2`, func(values []any) error {
		last, _ = values[0].(string)
		return nil
	}, t.journal(), t.source)
	if err != nil {
		return "", fmt.Errorf("read the cursor of %s: %w", t.source, err)
	}
	return last, nil
}

func (t *timeSeries) run(ctx context.Context, w *work) (Result, error) {
	s, err := t.stretch(ctx, w)
	if err != nil {
		return Result{}, err
	}
	return w.commit(ctx, func(tx warehouse.Tx) (Result, error) {
		r, err := t.replace(ctx, w, tx, s)
		if err != nil || len(s.sources) == 0 {
			return r, err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM arbalest.sources WHERE table_name = $1 AND source = $2`, t.journal(), t.source); err != nil {
			return r, fmt.Errorf("move the cursor: %w", err)
		}
		_, err = tx.Exec(ctx, `INSERT INTO arbalest.sources VALUES ($1, $2, $3, $4, $5)`, t.journal(), t.source, s.sources[len(s.sources)-1], w.run, warehouse.Now())
		if err != nil {
			return r, fmt.Errorf("move the cursor: %w", err)
		}
		return r, nil
	})
}

// replace does the step but for its cursor.
func (t *timeSeries) replace(ctx context.Context, w *work, tx warehouse.Tx, s stretch) (Result, error) {
	d, table := w.Warehouse.Dialect(), tableName(t.schema.Table)
	there, err := table.exists(ctx, tx)
	if err != nil {
		return Result{}, fmt.Errorf("look for table %s: %w", t.schema.Table, err)
	}
	if !there {
		if err := execAll(ctx, tx, t.create(d)); err != nil {
			return Result{}, err
		}
	}
	if len(s.sources) == 0 {
		return Result{}, nil
	}
	before, after := t.statements(d, s)
	if err := execAll(ctx, tx, before...); err != nil {
		return Result{}, err
	}
	stage := table.with(updateSuffix)
	r, err := t.copyInto(ctx, tx, stage.sql(), t.columns(d), w.Store, s.objects, false)
	if err != nil {
		return r, err
	}
	r.table = t.schema.Table
	outside, err := count(ctx, tx, fmt.Sprintf("SELECT count(*) FROM %s WHERE %s < %s OR %[2]s IS NULL", stage.sql(), warehouse.Ident(t.orderBy), s.from))
	if err != nil {
		return r, err
	}
	if outside > 0 {
		why := fmt.Sprintf("%d rows of the sources are before the update date %s, or have no %s: they are left out, since running again would double them", outside, s.from, t.orderBy)
		r.Rows, r.Errors = r.Rows-outside, r.Errors+outside
		r.reports = append(r.reports, warehouse.CopyReport{Object: arbalest.Key(t.source), Column: t.orderBy, Reason: why})
		if r.Errors >= int64(max(t.maxErrors, 1)) {
			return r, &warehouse.CopyError{Copied: warehouse.Copied{Rows: r.Rows, Errors: r.Errors, Reports: r.reports}, MaxErrors: t.maxErrors}
		}
	}
	return r, execAll(ctx, tx, after...)
}

func (t *timeSeries) create(d warehouse.Dialect) string {
	return fmt.Sprintf("CREATE TABLE %s (%s)", tableName(t.schema.Table).sql(), d.Define(t.columns(d)))
}

// statements are those before the copy and after it.
func (t *timeSeries) statements(d warehouse.Dialect, s stretch) (before, after []string) {
	table, stage := tableName(t.schema.Table).sql(), tableName(t.schema.Table).with(updateSuffix).sql()
	names, from := d.Names(t.columns(d)), warehouse.Ident(t.orderBy)+" >= "+s.from
	before = []string{
		"DROP TABLE IF EXISTS " + stage,
		fmt.Sprintf("CREATE TABLE %s (%s)", stage, d.Define(t.columns(d))),
	}
	return before, []string{
		fmt.Sprintf("DELETE FROM %s WHERE %s", table, from),
		fmt.Sprintf("INSERT INTO %s (%s) SELECT %[2]s FROM %s WHERE %s", table, names, stage, from),
		"DROP TABLE " + stage,
	}
}

func (t *timeSeries) validate(ctx context.Context, w *work, tx warehouse.Tx) (Result, error) {
	s, err := t.stretch(ctx, w)
	if err != nil {
		return Result{}, err
	}
	return t.replace(ctx, w, tx, s) // rows are loaded: their dates are looked at
}

func (t *timeSeries) plan(ctx context.Context, w *work) (StepPlan, error) {
	s, err := t.stretch(ctx, w)
	if err != nil {
		return StepPlan{}, err
	}
	p := StepPlan{Objects: int64(len(s.objects)), Bytes: totalBytes(s.objects), Sample: sample(s.objects), Sources: s.sources}
	if len(s.sources) == 0 {
		p.Note = "no source: a no-op"
		return p, nil
	}
	d := w.Warehouse.Dialect()
	there, err := tableName(t.schema.Table).exists(ctx, w.Warehouse)
	if err != nil {
		return p, err
	}
	if !there {
		p.Statements = append(p.Statements, t.create(d))
	}
	before, after := t.statements(d, s)
	p.Statements = append(append(append(p.Statements, before...), t.copyLine(len(s.objects), tableName(t.schema.Table).with(updateSuffix))), after...)
	return p, nil
}
