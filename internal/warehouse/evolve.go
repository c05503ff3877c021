package warehouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"arbalest"
	"arbalest/internal/load"
)

// readColumns reads the columns of tables, by the names that the database has
// them by. Types that no definition has are the zero Type.
func (l *loading) readColumns(tables []string) error {
	l.columns = map[string]map[string]arbalest.Type{}
	if len(tables) == 0 {
		return nil
	}
	quoted := make([]string, len(tables))
	for i, t := range tables {
		quoted[i] = Literal(t)
	}
	err := l.tx.Query(l.ctx, fmt.Sprintf(`SELECT table_name, column_name, data_type, character_maximum_length, numeric_precision, numeric_scale
FROM information_schema.columns WHERE table_schema = '%s' AND table_name IN (%s)`, eventSchema, strings.Join(quoted, ", ")), func(v []any) error {
		table, _ := v[0].(string)
		column, _ := v[1].(string)
		kind, _ := v[2].(string)
		if l.columns[table] == nil {
			l.columns[table] = map[string]arbalest.Type{}
		}
		l.columns[table][strings.ToLower(column)] = typeOf(kind, v[3], v[4], v[5])
		return nil
	})
	if err != nil {
		return fmt.Errorf("read columns: %w", err)
	}
	return nil
}

// typeOf returns the type of a column as information_schema has it.
func typeOf(kind string, length, precision, scale any) arbalest.Type {
	t, err := arbalest.ParseType(kind)
	if err != nil {
		return arbalest.Type{}
	}
	number := func(v any) int {
		n, _ := v.(int64)
		return int(n)
	}
	switch t.Kind {
	case arbalest.Char, arbalest.Varchar:
		t.Length = number(length) // NULL is no limit
	case arbalest.Decimal:
		t.Precision, t.Scale = number(precision), number(scale)
		if t.Precision == 0 {
			return arbalest.Type{} // a numeric of any digits is not one of ours
		}
	}
	return normal(t)
}

// stored returns what remains of a type in the database, so that types that are
// the same there are equal.
func (d Dialect) stored(t arbalest.Type) arbalest.Type {
	s, err := arbalest.ParseType(d.Type(t))
	if err != nil {
		return normal(t)
	}
	return normal(s)
}

// normal makes a text as long as VARCHAR(MAX) is in Redshift one without limit.
func normal(t arbalest.Type) arbalest.Type {
	if (t.Kind == arbalest.Char || t.Kind == arbalest.Varchar) && t.Length >= 65535 {
		t.Length = 0
	}
	return t
}

// evolve makes the batch's table, or adds and widens columns so that it has
// room for the batch. It says whether the table was there before. The error
// wraps arbalest.ErrInvalid if a column's type cannot become what the batch
// needs.
func (l *loading) evolve(tb *load.TableBatch) (existed bool, err error) {
	table := l.tableName(tb.Table.Name)
	have, existed := l.columns[l.dialect.Cut(tb.Table.Name)]
	if !existed {
		return false, l.create(&tb.Table)
	}
	for i, c := range tb.Table.AllColumns() {
		name, want := l.dialect.Cut(c.Name), l.dialect.stored(c.Type)
		old, ok := have[name]
		switch {
		case !ok:
			if err := l.exec(fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s", table, Ident(name), l.dialect.Type(c.Type))); err != nil {
				return true, fmt.Errorf("add column %s: %w", c.Name, err)
			}
			have[name] = want
		case old != want:
			if have[name], err = l.widen(tb, i, c, old); err != nil {
				return true, err
			}
		}
	}
	return true, nil
}

// create makes a table. Properties go before the columns: those that are added
// later can only go to the end, and a rebuilt table must come out the same.
func (l *loading) create(t *arbalest.Table) error {
	columns := t.AllColumns()
	if fixed := len(arbalest.SystemColumns); !t.Declared {
		columns = slices.Insert(columns[:len(columns)-1], fixed, arbalest.PropertiesColumn)
	}
	table, defined := l.tableName(t.Name), l.dialect.Define(columns)
	statements := []string{fmt.Sprintf("CREATE TABLE %s (%s)", table, defined)}
	if l.dialect.Events != nil {
		statements = l.dialect.Events(table, defined)
	}
	for _, s := range statements {
		if err := l.exec(s); err != nil {
			return fmt.Errorf("create table: %w", err)
		}
	}
	if err := l.exec("DELETE FROM "+l.book("tables")+" WHERE table_name = $1", load.LiveName(t.Name)); err != nil {
		return err
	}
	return l.exec("INSERT INTO "+l.book("tables")+" (table_name, event, version, created_at) VALUES ($1, $2, $3, $4)",
		load.LiveName(t.Name), string(t.Event), int64(t.Version), timeOf(l.journal.At))
}

// widen makes column i of the batch's table, which is of type old in the
// warehouse, hold both what it has and what the batch has, and returns its type.
func (l *loading) widen(tb *load.TableBatch, i int, c arbalest.Column, old arbalest.Type) (arbalest.Type, error) {
	want := l.dialect.stored(c.Type)
	advice := "arbalest rebuild " + load.LiveName(tb.Table.Name) + " makes the table anew"
	wide, err := load.Widest(old, want)
	if err != nil {
		is := "of a type that no definition has"
		if old.Kind != 0 {
			is = old.String()
		}
		return old, fmt.Errorf("column %s is %s in the warehouse and %s in the definition: %w: %s", c.Name, is, c.Type, err, advice)
	}
	if load.IsInexact(want, wide) {
		for _, chunk := range tb.Chunks {
			if chunk.Rows > 0 && !load.IsExact(&chunk.Columns[i], wide) {
				return old, fmt.Errorf("%w: column %s has integers in the batch that its type in the warehouse, %s, cannot hold exactly: %s", arbalest.ErrInvalid, c.Name, wide, advice)
			}
		}
	}
	if wide == old {
		return old, nil
	}
	table, column := l.tableName(tb.Table.Name), Ident(l.dialect.Cut(c.Name))
	if load.IsInexact(old, wide) {
		if err := exact(l.ctx, l.tx, table, column, wide); err != nil {
			return old, fmt.Errorf("widen column %s to %s: %w: %s", c.Name, wide, err, advice)
		}
	}
	for _, s := range append(l.dialect.Unbind(eventSchema, l.dialect.Cut(tb.Table.Name)), l.dialect.retype(table, column, wide)...) {
		if err := l.exec(s); err != nil {
			return old, fmt.Errorf("widen column %s to %s: %w", c.Name, wide, err)
		}
	}
	return wide, nil
}

// retype returns the statements that make a column one of another type.
func (d Dialect) retype(table, column string, to arbalest.Type) []string {
	if d.Retype != nil {
		return d.Retype(table, column, to)
	}
	const wider = `"_wider"` // no event's column is called so
	return []string{
		fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s", table, wider, d.Type(to)),
		fmt.Sprintf("UPDATE %s SET %s = CAST(%s AS %s)", table, wider, column, d.Type(to)),
		fmt.Sprintf("ALTER TABLE %s DROP COLUMN %s", table, column),
		fmt.Sprintf("ALTER TABLE %s RENAME COLUMN %s TO %s", table, wider, column),
	}
}

var errInexact = errors.New("inexact")

// exact holds that a floating-point type has all of a column's integers. Those
// up to 2^24, or 2^53, it has; the others are looked at one by one.
func exact(ctx context.Context, q querier, table, column string, in arbalest.Type) error {
	sure := int64(1) << 53
	if in.Kind == arbalest.Real {
		sure = 1 << 24
	}
	err := q.Query(ctx, fmt.Sprintf("SELECT CAST(%[1]s AS BIGINT) FROM %[2]s WHERE %[1]s > %[3]d OR %[1]s < %[4]d", column, table, sure, -sure), func(v []any) error {
		if n, ok := v[0].(int64); !ok || !load.HoldsInteger(in, n) {
			return errInexact
		}
		return nil
	})
	if errors.Is(err, errInexact) {
		return fmt.Errorf("%w: the column has integers that %s cannot hold exactly", arbalest.ErrInvalid, in)
	}
	return err
}
