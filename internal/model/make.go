package model

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"arbalest/internal/warehouse"
)

// view makes the view anew.
func (b *Builder) view(ctx context.Context, tx warehouse.Tx, m *Model, v *sight) error {
	name := sqlName(b.dialect, m.Name)
	create := "CREATE OR REPLACE VIEW "
	old, there := v.there[m.Name]
	var statements []string
	if there && (!old.isView || b.dialect.Name == "postgres") {
		// PostgreSQL does not replace a view by one of other columns.
		statements, create = b.drop(m.Name, old), "CREATE VIEW "
	}
	end := ""
	if b.dialect.Name == "redshift" {
		end = " WITH NO SCHEMA BINDING" // so that its tables can be made anew
	}
	return m.exec(ctx, tx, append(statements, create+name+" AS\n"+m.SQL+"\n"+end)...)
}

// drop drops what has a model's name, and before it in PostgreSQL the views of
// models on it: they are made again in the same pass.
func (b *Builder) drop(name string, old relationInfo) []string {
	what := "TABLE"
	if old.isView {
		what = "VIEW"
	}
	return append(b.dialect.Unbind(place(b.dialect), name), "DROP "+what+" "+sqlName(b.dialect, name))
}

// exec runs statements of which the model's SQL may be to blame.
func (m *Model) exec(ctx context.Context, tx warehouse.Tx, statements ...string) error {
	for _, s := range statements {
		if _, err := tx.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", m.File, err)
		}
	}
	return nil
}

// beside makes an empty table with the columns that the model gives now, and
// returns them.
func (b *Builder) beside(ctx context.Context, tx warehouse.Tx, m *Model) (relationInfo, error) {
	next := sqlName(b.dialect, m.Name+suffix)
	err := m.exec(ctx, tx, "DROP TABLE IF EXISTS "+next, fmt.Sprintf("CREATE TABLE %s AS SELECT * FROM (\n%s\n) q WHERE 1 = 0", next, m.SQL))
	if err != nil {
		return relationInfo{}, err
	}
	there, err := readCatalog(ctx, tx, b.dialect, m.Name+suffix)
	return there[m.Name+suffix], err
}

// isSame says whether the model still gives the columns that its table has.
func (b *Builder) isSame(ctx context.Context, tx warehouse.Tx, m *Model, v *sight) (bool, error) {
	r, err := b.beside(ctx, tx, m)
	if err != nil {
		return false, err
	}
	return r.columnList() == v.there[m.Name].columnList(), m.exec(ctx, tx, "DROP TABLE "+sqlName(b.dialect, m.Name+suffix))
}

// full makes the table beside the one that is there, and puts it in its place.
func (b *Builder) full(ctx context.Context, tx warehouse.Tx, m *Model, v *sight) (rows int64, err error) {
	r, err := b.beside(ctx, tx, m)
	if err != nil {
		return 0, err
	}
	next, where := sqlName(b.dialect, m.Name+suffix), ""
	if m.Kind == Incremental {
		if err := m.checkPartition(r); err != nil {
			return 0, err
		}
		where = " WHERE " + warehouse.Ident(m.Partition) + " IS NOT NULL"
	}
	if rows, err = tx.Exec(ctx, fmt.Sprintf("INSERT INTO %s SELECT * FROM (\n%s\n) q%s", next, m.SQL, where)); err != nil {
		return 0, fmt.Errorf("%s: %w", m.File, err)
	}
	var statements []string
	if m.Kind == Incremental && b.dialect.Name == "postgres" {
		statements = append(statements, fmt.Sprintf("CREATE INDEX ON %s (%s)", next, warehouse.Ident(m.Partition)))
	}
	if old, ok := v.there[m.Name]; ok {
		statements = append(statements, b.drop(m.Name, old)...)
	}
	return rows, m.exec(ctx, tx, append(statements, fmt.Sprintf("ALTER TABLE %s RENAME TO %s", next, warehouse.Ident(m.Name)))...)
}

// redo makes hours of an incremental model again, and notes which, for those
// that read it. Rows without an event time are in no hour, and in no build.
func (b *Builder) redo(ctx context.Context, tx warehouse.Tx, m *Model, build int64, touched []time.Time) (rows, gone int64, err error) {
	table := sqlName(b.dialect, m.Name)
	if spans := spansOf(touched, m.ByDay); len(spans) > 0 {
		where := m.within(spans)
		if gone, err = tx.Exec(ctx, fmt.Sprintf("DELETE FROM %s WHERE %s", table, where)); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", m.File, err)
		}
		if rows, err = tx.Exec(ctx, fmt.Sprintf("INSERT INTO %s SELECT * FROM (\n%s\n) q WHERE %s", table, m.SQL, where)); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", m.File, err)
		}
	}
	if _, err := tx.Exec(ctx, `DELETE FROM arbalest.model_hours WHERE model = $1 AND build <= $2`, m.Name, build-keptBuilds); err != nil {
		return 0, 0, fmt.Errorf("note the hours: %w", err)
	}
	for some := range slices.Chunk(hoursOf(touched, m.ByDay), 500) {
		values := make([]string, len(some))
		for i, h := range some {
			values[i] = fmt.Sprintf("(%s, %d, %s)", warehouse.Literal(m.Name), build, timestamp(h))
		}
		if _, err := tx.Exec(ctx, `INSERT INTO arbalest.model_hours VALUES `+strings.Join(values, ", ")); err != nil {
			return 0, 0, fmt.Errorf("note the hours: %w", err)
		}
	}
	return rows, gone, nil
}

// A span is a run of hours: from its beginning, before its end.
type span struct{ from, to time.Time }

// maxSpans is how many runs of hours are made again; more are a build in full.
const maxSpans = 500

// hoursOf returns hours ascending, each once, and all those of their days if days
// are made again.
func hoursOf(touched []time.Time, byDay bool) (hours []time.Time) {
	if !byDay {
		hours = slices.Clone(touched)
	} else {
		for _, h := range touched {
			day := h.Truncate(24 * time.Hour)
			for n := range 24 {
				hours = append(hours, day.Add(time.Duration(n)*time.Hour))
			}
		}
	}
	slices.SortFunc(hours, time.Time.Compare)
	return slices.CompactFunc(hours, time.Time.Equal)
}

func spansOf(touched []time.Time, byDay bool) (spans []span) {
	for _, h := range hoursOf(touched, byDay) {
		if n := len(spans); n > 0 && spans[n-1].to.Equal(h) {
			spans[n-1].to = h.Add(time.Hour)
			continue
		}
		spans = append(spans, span{h, h.Add(time.Hour)})
	}
	return spans
}

// within is the condition that a row's event time is in one of the spans.
func (m *Model) within(spans []span) string {
	column, parts := warehouse.Ident(m.Partition), make([]string, len(spans))
	for i, s := range spans {
		parts[i] = fmt.Sprintf("%[1]s >= %[2]s AND %[1]s < %[3]s", column, timestamp(s.from), timestamp(s.to))
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

func timestamp(t time.Time) string { return "TIMESTAMP '" + t.UTC().Format(time.DateTime) + "'" }

// firstWord returns a type's name without what follows, in lower case.
func firstWord(kind string) string {
	word, _, _ := strings.Cut(strings.ToLower(kind), " ")
	return word
}
