package model

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"arbalest"
	"arbalest/internal/warehouse"
)

// A namer is a database whose own parser finds the tables of a query.
type namer interface {
	TableNames(ctx context.Context, sql string) ([]string, error)
}

// Resolve finds what each model reads: what "depends:" says, else what the
// database's parser finds, else what we do. A model that needs itself is its own
// Err, and so is a test of a table that nobody knows.
func (s *Set) Resolve(ctx context.Context, db warehouse.Database) {
	parser, _ := db.(namer)
	for _, m := range s.Models {
		if m.err != nil {
			continue
		}
		m.refs = m.declared
		if len(m.refs) == 0 {
			m.refs = m.find(ctx, parser)
		}
	}
	for _, m := range s.Models {
		if path := s.cycle(m, m, nil); path != nil && m.err == nil {
			m.err = m.bad(s.lineOf(m, path[0]), "a model cannot need itself: %s needs %s", m.Name, strings.Join(path, " needs "))
		}
	}
}

// find finds the tables of a model's SQL. If the parser does not understand it,
// the build will say so.
func (m *Model) find(ctx context.Context, parser namer) (refs []Ref) {
	if parser != nil {
		if names, err := parser.TableNames(ctx, m.SQL); err == nil {
			tokens := tokenize(m.SQL)
			for _, name := range names {
				refs = append(refs, Ref{name, m.sqlLine + lineOf(tokens, name)})
			}
			return refs
		}
	}
	refs = findRefs(m.SQL)
	for i := range refs {
		refs[i].Line += m.sqlLine
	}
	return refs
}

// cycle returns how a model needs the one that is looked for; nil if it does not.
func (s *Set) cycle(from, wanted *Model, path []string) []string {
	for _, r := range from.refs {
		other := s.byName[r.Name]
		switch {
		case other == nil || slices.Contains(path, r.Name):
		case other == wanted:
			return append(slices.Clone(path), r.Name)
		default:
			if found := s.cycle(other, wanted, append(slices.Clone(path), r.Name)); found != nil {
				return found
			}
		}
	}
	return nil
}

func (s *Set) lineOf(m *Model, ref string) int {
	for _, r := range m.refs {
		if r.Name == ref {
			return r.Line
		}
	}
	return m.sqlLine
}

// Select returns the named models and all that they need, each after those; all
// of them if none is named. Models that need themselves come last.
func (s *Set) Select(names ...string) ([]*Model, error) {
	if len(names) == 0 {
		for _, m := range s.Models {
			names = append(names, m.Name)
		}
	}
	var order []*Model
	seen := map[*Model]bool{}
	var visit func(m *Model)
	visit = func(m *Model) {
		if seen[m] {
			return
		}
		seen[m] = true
		for _, r := range m.refs {
			if other := s.byName[r.Name]; other != nil {
				visit(other)
			}
		}
		order = append(order, m)
	}
	for _, name := range names {
		m := s.byName[name]
		if m == nil {
			return nil, fmt.Errorf("%w: model %s: there is no file %[2]s.sql: see the models with arbalest models", arbalest.ErrUnknown, name)
		}
		visit(m)
	}
	return order, nil
}

// dependents returns the views that stand on models, directly or through other
// views.
func (s *Set) dependents(on []*Model) (views []*Model) {
	for more := true; more; {
		more = false
		for _, m := range s.Models {
			if m.Kind != View || m.err != nil || slices.Contains(views, m) || slices.Contains(on, m) {
				continue
			}
			for _, r := range m.refs {
				if other := s.byName[r.Name]; other != nil && (slices.Contains(on, other) || slices.Contains(views, other)) {
					views, more = append(views, m), true
					break
				}
			}
		}
	}
	return views
}

// A feed is a table whose change changes a model's rows.
type feed struct {
	Ref
	model  *Model // nil if it is no model's
	lookup bool   // rows of any hour depend on it
}

// feeds returns what a model is made from. Views have no rows of their own: what
// they read is there beside them.
func (s *Set) feeds(m *Model) (out []feed) {
	var add func(m *Model, lookup bool)
	add = func(m *Model, lookup bool) {
		for _, r := range m.refs {
			f := feed{r, s.byName[r.Name], lookup || m.isLookup(r.Name)}
			if i := slices.IndexFunc(out, func(o feed) bool { return o.Name == f.Name }); i >= 0 {
				out[i].lookup = out[i].lookup || f.lookup
			} else {
				out = append(out, f)
			}
			if f.model != nil && f.model.Kind == View && f.model.err == nil {
				add(f.model, f.lookup)
			}
		}
	}
	add(m, false)
	return out
}
