package duckdb

import (
	"fmt"
	"slices"
	"strings"

	"arbalest"
	"arbalest/internal/load"
)

// tables are what Load must know of the tables of schema main, by name. Nothing but
// the Warehouse changes event tables, so it is kept from one Load to the next.
type tables struct {
	columns   map[string]map[string]arbalest.Type
	relations map[string]*relation
	left      map[string]bool // those that rows have left
}

// tables reads the columns of all tables. Types that no definition has are the
// zero Type.
func (tx *transaction) tables() (*tables, error) {
	t := &tables{columns: map[string]map[string]arbalest.Type{}, left: map[string]bool{}}
	var err error
	if t.relations, err = tx.relations(); err != nil {
		return nil, err
	}
	err = tx.each(func(scan func(...any) error) error {
		var table string
		err := scan(&table)
		t.left[table] = true
		return err
	}, "SELECT DISTINCT table_name FROM arbalest.days")
	if err != nil {
		return nil, fmt.Errorf("read which tables rows have left: %w", err)
	}
	err = tx.each(func(scan func(...any) error) error {
		var table, column, kind string
		if err := scan(&table, &column, &kind); err != nil {
			return err
		}
		if t.columns[table] == nil {
			t.columns[table] = map[string]arbalest.Type{}
		}
		t.columns[table][strings.ToLower(column)] = parseType(kind)
		return nil
	}, `SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() AND schema_name = 'main'`)
	if err != nil {
		return nil, fmt.Errorf("read columns: %w", err)
	}
	return t, nil
}

// evolve makes the batch's table, or adds and widens columns so that it has
// room for the batch. It says whether the table was there before. The error
// wraps arbalest.ErrInvalid if a column's type cannot become what the batch
// needs.
func (l *loading) evolve(tb *load.TableBatch) (existed bool, err error) {
	table := tb.Table.Name
	if r := l.catalog.relations[table]; r != nil && r.isView {
		return false, fmt.Errorf("%w: %s is a view in the warehouse: give the table of %s another name, under \"table\" of the event", arbalest.ErrInvalid, table, tb.Table.Event)
	}
	have, existed := l.catalog.columns[table]
	if !existed {
		return false, l.create(tb)
	}
	changed, err := l.addColumns(tb, have)
	if err != nil {
		return true, err
	}
	for i, c := range tb.Table.AllColumns() {
		old := have[c.Name]
		if old == stored(c.Type) {
			continue
		}
		if err := l.widen(tb, i, c, old); err != nil {
			return true, err
		}
		changed = changed || have[c.Name] != old
	}
	if changed && l.catalog.relations[table+allSuffix].isOurs() {
		return true, l.tx.showAll(table)
	}
	return true, nil
}

// Adding a column makes DuckDB copy what it knows of all the others: a few
// hundred, one by one, take seconds and its whole memory. Many columns are added
// to a small table by copying the table instead.
const (
	manyColumns = 4
	smallTable  = 50_000 // rows
)

// addColumns adds the columns that a table has not, and says whether there were any.
func (l *loading) addColumns(tb *load.TableBatch, have map[string]arbalest.Type) (bool, error) {
	table := tb.Table.Name
	var added []arbalest.Column
	for _, c := range tb.Table.AllColumns() {
		if _, ok := have[c.Name]; !ok {
			added = append(added, c)
			have[c.Name] = stored(c.Type)
		}
	}
	if len(added) >= manyColumns {
		rows := int64(0)
		err := l.tx.each(func(scan func(...any) error) error { return scan(&rows) }, "SELECT count(*) FROM "+tableName(table))
		if err != nil {
			return false, err
		}
		if rows <= smallTable {
			return true, l.copyWith(tb, added)
		}
	}
	for _, c := range added {
		if err := l.tx.exec(fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s", tableName(table), ident(c.Name), sqlType(c.Type))); err != nil {
			return false, fmt.Errorf("add column %s: %w", c.Name, err)
		}
	}
	return len(added) > 0, nil
}

// copyWith replaces a table by a copy with more columns at its end.
func (l *loading) copyWith(tb *load.TableBatch, added []arbalest.Column) error {
	const name = "_wider" // no event's table begins with "_"
	table := tb.Table.Name
	var list, defs []string
	compression := compressions(tb)
	add := func(column, kind string) {
		list = append(list, ident(column))
		defs = append(defs, definition(column, kind, compression))
	}
	err := l.tx.each(func(scan func(...any) error) error {
		var column, kind string
		err := scan(&column, &kind)
		add(column, kind)
		return err
	}, "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() AND schema_name = 'main' AND table_name = ? ORDER BY column_index", table)
	if err != nil {
		return fmt.Errorf("read columns: %w", err)
	}
	all := strings.Join(list, ", ")
	for _, c := range added {
		add(c.Name, sqlType(c.Type))
	}
	for _, statement := range []string{
		fmt.Sprintf("CREATE TABLE %s (%s)", tableName(name), strings.Join(defs, ", ")),
		fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s", tableName(name), all, all, tableName(table)),
		"DROP TABLE " + tableName(table),
		fmt.Sprintf("ALTER TABLE %s RENAME TO %s", tableName(name), ident(table)),
	} {
		if err := l.tx.exec(statement); err != nil {
			return fmt.Errorf("add %d columns: %w", len(added), err)
		}
	}
	return nil
}

// definition is a column's in CREATE TABLE.
func definition(name, kind string, compression map[string]string) string {
	def := ident(name) + " " + kind
	if by := compression[name]; by != "" {
		def += " USING COMPRESSION " + by
	}
	return def
}

// create makes a table. Properties go before the columns: those that are added
// later can only go to the end, and a rebuilt table must come out the same.
func (l *loading) create(tb *load.TableBatch) error {
	t := &tb.Table
	columns := t.AllColumns()
	if fixed := len(arbalest.SystemColumns); !t.Declared {
		columns = slices.Insert(columns[:len(columns)-1], fixed, arbalest.PropertiesColumn)
	}
	defs := make([]string, len(columns))
	have := map[string]arbalest.Type{}
	compression := compressions(tb)
	for i, c := range columns {
		defs[i] = definition(c.Name, sqlType(c.Type), compression)
		have[c.Name] = stored(c.Type)
	}
	if err := l.tx.exec(fmt.Sprintf("CREATE TABLE %s (%s)", tableName(t.Name), strings.Join(defs, ", "))); err != nil {
		return fmt.Errorf("create table: %w", err)
	}
	if err := l.tx.exec("DELETE FROM "+l.tx.book("tables")+" WHERE table_name = ?", load.LiveName(t.Name)); err != nil {
		return err
	}
	if err := l.tx.exec("INSERT INTO "+l.tx.book("tables")+" VALUES (?, ?, ?, make_timestamp(?))", load.LiveName(t.Name), string(t.Event), t.Version, l.journal.At); err != nil {
		return err
	}
	l.catalog.columns[t.Name] = have
	return nil
}

// widen makes column i of the batch's table, which is of type old in the
// warehouse, hold both what it has and what the batch has.
func (l *loading) widen(tb *load.TableBatch, i int, c arbalest.Column, old arbalest.Type) error {
	table := tb.Table.Name
	wide, err := load.Widest(old, stored(c.Type))
	if err != nil {
		return fmt.Errorf("column %s is %s in the warehouse and %s in the definition: %w: arbalest rebuild %s makes the table anew", c.Name, sqlType(old), c.Type, err, load.LiveName(table))
	}
	if load.IsInexact(stored(c.Type), wide) {
		for _, chunk := range tb.Chunks {
			if chunk.Rows > 0 && !load.IsExact(&chunk.Columns[i], wide) {
				return fmt.Errorf("%w: column %s has integers in the batch that its type in the warehouse, %s, cannot hold exactly: arbalest rebuild %s makes the table anew", arbalest.ErrInvalid, c.Name, sqlType(wide), load.LiveName(table))
			}
		}
	}
	if wide == old {
		return nil
	}
	if load.IsInexact(old, wide) {
		n := int64(0)
		err := l.tx.each(func(scan func(...any) error) error { return scan(&n) },
			fmt.Sprintf("SELECT count(*) FROM %s WHERE %[2]s::%[3]s::HUGEINT <> %[2]s", tableName(table), ident(c.Name), sqlType(wide)))
		if err != nil {
			return fmt.Errorf("widen column %s: %w", c.Name, err)
		}
		if n > 0 {
			return fmt.Errorf("%w: column %s has %d integers that %s cannot hold exactly: arbalest rebuild %s makes the table anew", arbalest.ErrInvalid, c.Name, n, sqlType(wide), load.LiveName(table))
		}
	}
	if err := l.tx.exec(fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s SET DATA TYPE %s", tableName(table), ident(c.Name), sqlType(wide))); err != nil {
		return fmt.Errorf("widen column %s to %s: %w", c.Name, sqlType(wide), err)
	}
	l.catalog.columns[table][c.Name] = wide
	return nil
}
