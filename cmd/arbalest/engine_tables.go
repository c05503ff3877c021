package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/load"
	"arbalest/internal/model"
	"arbalest/internal/warehouse"
	"arbalest/internal/web"
)

// A tableLine is a table or view of the warehouse.
type tableLine struct {
	Table     string             `json:"table"`
	Kind      string             `json:"kind"` // event, model, table or view: the last two are nobody's that we know
	Event     arbalest.EventName `json:"event,omitempty"`
	Rows      *int64             `json:"rows,omitempty"` // that were loaded or built; nil if it is not known
	Columns   int64              `json:"columns"`
	Bytes     *int64             `json:"bytes,omitempty"`       // on disk, with indexes; nil if it is not known
	Last      *time.Time         `json:"last,omitempty"`        // the hour of the latest event
	LoadedAt  *time.Time         `json:"last_loaded,omitempty"` // when the newest load or build was
	Repeats   int64              `json:"repeats"`
	Conflicts int64              `json:"conflicts"`         // among the repeats
	Errors    int64              `json:"errors"`            // events that are not in the table
	BadValues int64              `json:"bad_values"`        // that are NULL in the table
	Stalled   string             `json:"stalled,omitempty"` // why nothing more is loaded

	journal string // its name there, which may be longer
	view    bool
	stall   load.Stall // what Stalled is of
}

// A tablesReport is the tables that statements can name without a schema.
type tablesReport struct {
	Tables []tableLine `json:"tables"` // by name
}

// Statements about tables, of the SQL that all warehouses share.
const (
	tablesSQL = `SELECT t.table_name, max(t.table_type), count(*) FROM information_schema.tables t JOIN information_schema.columns c
		ON c.table_catalog = t.table_catalog AND c.table_schema = t.table_schema AND c.table_name = t.table_name
		WHERE t.table_catalog = current_database() AND t.table_schema IN ('main', 'public') GROUP BY t.table_name`

	loadsSQL = `SELECT table_name, max(event), CAST(sum(loaded) AS BIGINT), CAST(sum(repeats) AS BIGINT), CAST(sum(conflicts) AS BIGINT), CAST(sum(errors) AS BIGINT),
		max(CASE WHEN loaded > 0 THEN hour END), max(loaded_at) FROM arbalest.journal WHERE table_name IS NOT NULL GROUP BY table_name`

	badValuesSQL = `SELECT table_name, count(*) FROM arbalest.load_errors WHERE loaded GROUP BY table_name`
)

// Tables implements operator. It reads the catalog and the journal's sums.
func (e *engine) Tables(ctx context.Context) (r tablesReport, err error) {
	lines, err := e.tables(ctx)
	if err != nil {
		return r, err
	}
	sizes, err := e.sizes(ctx, lines)
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		r.Tables = append(r.Tables, lines[name].sized(sizes))
	}
	return r, err
}

// sized returns the line with its table's size, if that is known.
func (l tableLine) sized(sizes map[string]int64) tableLine {
	if n, ok := sizes[l.Table]; ok {
		l.Bytes = &n
	}
	return l
}

// tables returns the tables by name, all but their sizes.
func (e *engine) tables(ctx context.Context) (map[string]*tableLine, error) {
	lines := map[string]*tableLine{}
	err := e.database.Query(ctx, tablesSQL, func(v []any) error {
		l := &tableLine{Kind: "table"}
		l.Table, _ = v[0].(string)
		if load.LiveName(l.Table) != l.Table {
			return nil // it is being made beside the one of its name
		}
		if kind, _ := v[1].(string); kind == "VIEW" {
			l.Kind, l.view = "view", true
		}
		l.Columns, _ = v[2].(int64)
		lines[l.Table] = l
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	dialect := e.database.Dialect()
	steps := []struct {
		sql   string
		visit func(l *tableLine, v []any)
	}{
		{loadsSQL, func(l *tableLine, v []any) {
			event, _ := v[1].(string)
			rows, _ := v[2].(int64)
			l.Kind, l.Event, l.Rows = "event", arbalest.EventName(event), &rows
			l.journal, _ = v[0].(string)
			for i, to := range []*int64{&l.Repeats, &l.Conflicts, &l.Errors} {
				*to, _ = v[3+i].(int64)
			}
			l.Last, l.LoadedAt = warehouse.TimeOf(v[6]), warehouse.TimeOf(v[7])
		}},
		{badValuesSQL, func(l *tableLine, v []any) { l.BadValues, _ = v[1].(int64) }},
	}
	for _, s := range steps {
		err := e.database.Query(ctx, s.sql, func(v []any) error {
			name, _ := v[0].(string)
			if l := lines[dialect.Cut(name)]; l != nil {
				s.visit(l, v)
			}
			return nil
		})
		if err := journalError(err); err != nil {
			return nil, err
		}
	}
	if err := e.standings(ctx, lines); err != nil {
		return nil, err
	}
	progress, err := e.warehouse.Progress(ctx)
	if err != nil {
		return nil, err
	}
	for name, s := range progress.Stalled {
		l := lines[dialect.Cut(name)]
		if l == nil {
			l = &tableLine{Table: name, Kind: "event", Event: s.Event}
			lines[name] = l
		}
		l.Stalled, l.stall = s.Reason, s
	}
	return lines, nil
}

// standings says which tables are models.
func (e *engine) standings(ctx context.Context, lines map[string]*tableLine) error {
	models, err := model.Standings(ctx, e.database)
	if err != nil {
		return err
	}
	for _, m := range models {
		l := lines[e.database.Dialect().Cut(m.Name)]
		if l == nil || m.Built.IsZero() {
			continue // its table is somebody else's
		}
		l.Kind, l.LoadedAt = "model", &m.Built
		if !l.view {
			l.Rows = &m.Rows
		}
	}
	return nil
}

// sizes returns how many bytes of the disk tables take, with their indexes, where
// that is known. DuckDB's are as of its last checkpoint, and a block that tables
// share counts for each. Redshift tells its own to few users, and is believed to
// be unknown then.
func (e *engine) sizes(ctx context.Context, lines map[string]*tableLine) (map[string]int64, error) {
	sizes := map[string]int64{}
	note := func(name string, bytes any) {
		if n, ok := bytes.(int64); ok && lines[name] != nil && !lines[name].view {
			sizes[name] = n
		}
	}
	switch e.database.Dialect().Name {
	case "postgres":
		return sizes, e.database.Query(ctx, `SELECT c.relname::text, pg_total_relation_size(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind IN ('r', 'm', 'p')`,
			func(v []any) error { note(fmt.Sprint(v[0]), v[1]); return nil })
	case "redshift": // SVV_TABLE_INFO has blocks of 1 MB
		err := e.database.Query(ctx, `SELECT "table", size * 1048576 FROM svv_table_info WHERE "schema" = 'public'`, func(v []any) error { note(fmt.Sprint(v[0]), v[1]); return nil })
		if errors.Is(err, arbalest.ErrUnknown) || errors.Is(err, arbalest.ErrInvalid) {
			return nil, nil
		}
		return sizes, err
	}
	for name, l := range lines {
		if l.view || l.Columns == 0 {
			continue
		}
		query := `SELECT CAST((count(DISTINCT block_id) * (SELECT any_value(block_size) FROM pragma_database_size() WHERE database_name = current_database())) AS BIGINT) FROM pragma_storage_info(` +
			warehouse.Literal(warehouse.Qualified("main", name)) + `) WHERE block_id >= 0`
		err := e.database.Query(ctx, query, func(v []any) error { note(name, v[0]); return nil })
		if err != nil && !errors.Is(err, arbalest.ErrUnknown) { // it was dropped meanwhile
			return sizes, fmt.Errorf("size of %s: %w", name, err)
		}
	}
	return sizes, nil
}

// A tableRequest says what is asked of one table.
type tableRequest struct {
	Table string `json:"table,omitempty"`
	Limit int    `json:"limit,omitempty"` // of loads, and of errors
}

// A tableReport is one table with its columns and what became of its events.
type tableReport struct {
	tableLine
	List   []web.TableField `json:"column_list"`
	Loads  []web.TableLoad  `json:"loads"`  // the newest first
	Faults []web.LoadError  `json:"faults"` // the newest first
}

// Table implements operator.
func (e *engine) Table(ctx context.Context, r tableRequest) (tableReport, error) {
	lines, err := e.tables(ctx)
	if err != nil {
		return tableReport{}, err
	}
	maps.DeleteFunc(lines, func(name string, l *tableLine) bool {
		return !strings.EqualFold(name, r.Table) && string(l.Event) != r.Table && l.journal != r.Table
	})
	if len(lines) == 0 || r.Table == "" {
		return tableReport{}, fmt.Errorf("%w: table %s: arbalest tables lists them", arbalest.ErrUnknown, r.Table)
	}
	sizes, err := e.sizes(ctx, lines)
	if err != nil {
		return tableReport{}, err
	}
	report := tableReport{tableLine: lines[slices.Min(slices.Collect(maps.Keys(lines)))].sized(sizes), List: []web.TableField{}, Loads: []web.TableLoad{}, Faults: []web.LoadError{}}
	err = e.database.Query(ctx, `SELECT column_name, data_type FROM information_schema.columns WHERE table_catalog = current_database() AND table_schema IN ('main', 'public') AND table_name = $1 ORDER BY ordinal_position`,
		func(v []any) error {
			var c web.TableField
			c.Name, _ = v[0].(string)
			c.Type, _ = v[1].(string)
			report.List = append(report.List, c)
			return nil
		}, report.Table)
	if err != nil {
		return report, fmt.Errorf("list columns: %w", err)
	}
	if report.Kind != "event" {
		return report, nil
	}
	loads := fmt.Sprintf(`SELECT "commit", hour, stored, loaded, repeats, conflicts, errors, loaded_at FROM arbalest.journal WHERE table_name = $1 AND objects > 0 ORDER BY "commit" DESC, hour DESC LIMIT %d`, r.Limit)
	err = e.database.Query(ctx, loads, func(v []any) error {
		l := web.TableLoad{Hour: warehouse.TimeOf(v[1]), LoadedAt: warehouse.TimeOf(v[7])}
		l.Commit, _ = v[0].(int64)
		for i, to := range []*int64{&l.Stored, &l.Loaded, &l.Repeats, &l.Conflicts, &l.Errors} {
			*to, _ = v[2+i].(int64)
		}
		report.Loads = append(report.Loads, l)
		return nil
	}, report.journal)
	if err := journalError(err); err != nil {
		return report, err
	}
	report.Faults, err = e.faults(ctx, fmt.Sprintf(`table_name = $1 ORDER BY loaded_at DESC, "commit" DESC, object, line LIMIT %d`, r.Limit), report.journal)
	return report, err
}

// faults returns the load errors of which a condition is true.
func (e *engine) faults(ctx context.Context, where string, args ...any) ([]web.LoadError, error) {
	list := []web.LoadError{}
	err := e.database.Query(ctx, `SELECT loaded_at, object, line, event_id, column_name, value, reason, loaded FROM arbalest.load_errors WHERE `+where, func(v []any) error {
		l := web.LoadError{LoadedAt: warehouse.TimeOf(v[0])}
		object, _ := v[1].(string)
		l.Object = arbalest.Key(object)
		l.Line, _ = v[2].(int64)
		for i, to := range []*string{&l.ID, &l.Column, &l.Value, &l.Reason} {
			*to, _ = v[3+i].(string)
		}
		l.Loaded, _ = v[7].(bool)
		list = append(list, l)
		return nil
	}, args...)
	return list, journalError(err)
}
