package model

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/warehouse"
)

// A sight is how a model stands, as one transaction sees it.
type sight struct {
	there catalog
	state *State // nil if it was never tried
	feeds []feed
	now   map[string]reading // of the feeds, as far as they are known
	loads map[string]string  // of event tables among the feeds, their name in the journal
	loose string             // a feed whose changes nobody tells
}

// look looks at a model. Positions are read before anything is built: what is
// loaded meanwhile may be in the build, and is made again by the next.
func (b *Builder) look(ctx context.Context, q querier, m *Model) (*sight, error) {
	v := &sight{feeds: b.set.feeds(m), now: map[string]reading{}, loads: map[string]string{}}
	names := []string{m.Name, "arbalest.tables", "arbalest.journal"}
	models := []string{warehouse.Literal(m.Name)}
	for _, f := range v.feeds {
		names = append(names, f.Name)
		if f.model != nil {
			models = append(models, warehouse.Literal(f.Name))
		}
	}
	var err error
	if v.there, err = readCatalog(ctx, q, b.dialect, names...); err != nil {
		return nil, err
	}
	if v.state, err = readState(ctx, q, m.Name); err != nil {
		return nil, err
	}
	states, err := readStates(ctx, q, " WHERE name IN ("+strings.Join(models, ", ")+")")
	if err != nil {
		return nil, err
	}
	loaded, err := b.loaded(ctx, q, v.there)
	if err != nil {
		return nil, err
	}
	if err := b.claim(m, v, loaded); err != nil {
		return nil, err
	}
	for _, f := range v.feeds {
		if err := b.read(ctx, q, m, v, f, states, loaded); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// A loadedTable is an event's table.
type loadedTable struct{ name, token string }

// loaded reads the tables that loading made, by the names that the database has
// them by.
func (b *Builder) loaded(ctx context.Context, q querier, there catalog) (map[string]loadedTable, error) {
	tables := map[string]loadedTable{}
	if _, ok := there["arbalest.journal"]; !ok {
		return tables, nil
	}
	err := q.Query(ctx, `SELECT table_name, max(created_at) FROM arbalest.tables GROUP BY table_name`, func(v []any) error {
		name, _ := v[0].(string)
		at, _ := v[1].(time.Time)
		tables[b.dialect.Cut(name)] = loadedTable{name, at.Format(time.RFC3339Nano)}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read arbalest.tables: %w", err)
	}
	return tables, nil
}

// claim refuses a name that is another's.
func (b *Builder) claim(m *Model, v *sight, loaded map[string]loadedTable) error {
	if _, ok := loaded[m.Name]; ok {
		return m.at(1, fmt.Errorf("%w: an event's table is named %s: give the file another name", arbalest.ErrExists, m.Name))
	}
	if _, ok := v.there[m.Name]; ok && (v.state == nil || v.state.Build == 0) {
		return m.at(1, fmt.Errorf("%w: there is a table or view %s that no model made: drop it, or give the file another name", arbalest.ErrExists, m.Name))
	}
	return nil
}

// read reads how far a feed is.
func (b *Builder) read(ctx context.Context, q querier, m *Model, v *sight, f feed, states map[string]*State, loaded map[string]loadedTable) error {
	relation, there := v.there[f.Name]
	table, isEvent := loaded[f.Name]
	r := reading{columns: relation.columnList()}
	if len(r.columns) > maxColumns {
		r.columns = hashOf(r.columns)
	}
	switch s := states[f.Name]; {
	case !there && f.model != nil:
		return m.at(f.Line, fmt.Errorf("%w: model %s has not been built", arbalest.ErrUnknown, f.Name))
	case !there && slices.Contains(b.opts.Expected, f.Name):
		return m.at(f.Line, fmt.Errorf("%w: table %s is declared, and no event of it has come yet", errWaiting, f.Name))
	case !there:
		return m.at(f.Line, fmt.Errorf("%w: table %s: neither a table nor a model has that name", arbalest.ErrUnknown, f.Name))
	case f.model != nil && s != nil && s.Build > 0:
		r.token, r.reached = s.token, s.Build
		if f.model.Kind == View {
			r.reached = 0 // it has no rows: its token is that of its SQL
		}
	case isEvent:
		v.loads[f.Name] = table.name
		r.token = table.token
		if err := readHead(ctx, q, table.name, v.prev(f), &r); err != nil {
			return err
		}
	default:
		v.loose = f.Name
	}
	v.now[f.Name] = r
	return nil
}

// prev returns up to where a feed was read when the model was built.
func (v *sight) prev(f feed) reading {
	if v.state == nil {
		return reading{}
	}
	return v.state.sources[f.Name]
}

// readHead reads where the journal of a table ends. What was read before is where
// to look from: the journal has a row for every commit, table and hour, and marks,
// of no object, of hours that were made again.
func readHead(ctx context.Context, q querier, table string, prev reading, r *reading) error {
	from := int64(0)
	if prev.token == r.token {
		from = prev.reached
	}
	err := q.Query(ctx, `SELECT "commit", count(*) FROM arbalest.journal WHERE table_name = $1 AND (loaded <> 0 OR objects = 0) AND "commit" >= $2 GROUP BY "commit" ORDER BY "commit" DESC LIMIT 1`, func(v []any) error {
		r.reached, _ = v[0].(int64)
		r.entries, _ = v[1].(int64)
		return nil
	}, table, from)
	if err != nil {
		return fmt.Errorf("read arbalest.journal: %w", err)
	}
	return nil
}

// A plan is what is to be done to a model.
type plan struct {
	how   string // one of the words below; empty if it is up to date
	why   string
	hours []time.Time // to make again
	// check says that a source has more columns than before: those of the result
	// may be others too.
	check bool
}

// How a model is built.
const (
	asView      = "view"
	inFull      = "full"
	incremental = "incremental"
)

// how is how a model is built that is not up to date.
func (m *Model) how() string {
	if m.Kind == View {
		return asView
	}
	return inFull
}

// decide says what a model needs.
func (b *Builder) decide(ctx context.Context, q querier, m *Model, v *sight, force bool) (plan, error) {
	how := m.how()
	relation, there := v.there[m.Name]
	switch {
	case v.state == nil || v.state.Build == 0:
		return plan{how: how, why: "it was never built"}, nil
	case !there || relation.isView != (m.Kind == View):
		return plan{how: how, why: "it is not there"}, nil
	case v.state.fingerprint != m.fingerprint():
		return plan{how: how, why: "its SQL changed"}, nil
	case force:
		return plan{how: how, why: "it was asked for"}, nil
	case v.loose != "" && m.Kind != View:
		return plan{how: how, why: "changes of " + v.loose + " are not known"}, nil
	}
	var p plan
	for _, f := range v.feeds {
		prev, known := v.state.sources[f.Name]
		now := v.now[f.Name]
		switch {
		case m.Kind == View:
			if !known || now.columns != prev.columns {
				return plan{how: how, why: "columns of " + f.Name + " changed"}, nil
			}
			continue
		case !known || now.token != prev.token || now.reached < prev.reached:
			return plan{how: how, why: f.Name + " was made anew"}, nil
		case m.Kind == Incremental && now.columns != prev.columns && !v.there[f.Name].has(prev.columns):
			return plan{how: how, why: "columns of " + f.Name + " changed"}, nil
		}
		p.check = p.check || now.columns != prev.columns
		if now.reached == prev.reached && now.entries == prev.entries {
			continue
		}
		switch {
		case m.Kind == Table:
			return plan{how: how, why: f.Name + " has changed"}, nil
		case f.lookup:
			return plan{how: how, why: f.Name + ", a lookup, has changed"}, nil
		}
		hours, err := v.touched(ctx, q, f, prev, now)
		if err != nil {
			return p, err
		}
		if hours == nil {
			return plan{how: how, why: f.Name + " was built too often since"}, nil
		}
		p.hours = append(p.hours, hours...)
	}
	if len(p.hours) > 0 || p.check && m.Kind == Incremental {
		p.how, p.why = incremental, "hours were touched"
	}
	return p, nil
}

// touched returns the hours of a feed that changed; nil if that is not known.
func (v *sight) touched(ctx context.Context, q querier, f feed, prev, now reading) ([]time.Time, error) {
	hours := []time.Time{}
	query, args := `SELECT DISTINCT hour FROM arbalest.model_hours WHERE model = $1 AND build > $2`, []any{f.Name, prev.reached}
	if table, ok := v.loads[f.Name]; ok {
		query, args = `SELECT DISTINCT hour FROM arbalest.journal WHERE table_name = $1 AND (loaded <> 0 OR objects = 0) AND "commit" > $2`, []any{table, prev.reached}
		entries, err := count(ctx, q, `SELECT count(*) FROM arbalest.journal WHERE table_name = $1 AND (loaded <> 0 OR objects = 0) AND "commit" = $2`, args...)
		if err != nil {
			return nil, fmt.Errorf("read arbalest.journal: %w", err)
		}
		if entries != prev.entries { // the rest of that commit was loaded since
			query = strings.Replace(query, `"commit" >`, `"commit" >=`, 1)
		}
	} else if now.reached-prev.reached > keptBuilds {
		return nil, nil
	}
	err := q.Query(ctx, query, func(values []any) error {
		hour, ok := values[0].(time.Time)
		if !ok {
			return fmt.Errorf("%w: an hour of %s is %v", arbalest.ErrCorrupt, f.Name, values[0])
		}
		hours = append(hours, hour.UTC())
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read the hours of %s: %w", f.Name, err)
	}
	return hours, nil
}

// keptBuilds is of how many builds of a model the hours are kept. A model that
// is further behind is built in full.
const keptBuilds = 1000

// commit returns up to which commit of the log the events' tables were read.
func (v *sight) commit() (commit int64) {
	for name := range v.loads {
		commit = max(commit, v.now[name].reached)
	}
	return commit
}
