package warehouse

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/load"
)

// timestamp is how SQL spells a time, in UTC.
const timestamp = "2006-01-02 15:04:05.999999"

// Within is SQL that is true where a column has a time of a part's hours, in the
// dialects of all warehouses.
func Within(column string, p load.Part) string {
	if p.IsAll() {
		return "1 = 1"
	}
	literal := func(t time.Time) string { return "TIMESTAMP " + Literal(t.Format(timestamp)) }
	return fmt.Sprintf("(%[1]s >= %[2]s AND %[1]s <= %[3]s)", column, literal(p.From.Time()), literal(p.To.Time().Add(-time.Microsecond)))
}

// storedWithin is SQL that is true where column object has the key of an object of an
// event and of a part's hours. An event's line may be damaged so that it has no time.
func storedWithin(event arbalest.EventName, p load.Part) string {
	hour := fmt.Sprintf("substring(object, %d, %d)", len(event)+2, len(p.From.String()))
	return fmt.Sprintf("(%[1]s >= %[2]s AND %[1]s <= %[3]s)", hour, Literal(p.From.String()), Literal((p.To - 1).String()))
}

// A PartSwap puts rows of some hours, of tables that were made beside the live ones,
// in the place of theirs, with what the books say of them (load.Warehouse, Swap). It
// is one transaction's.
type PartSwap struct {
	Ctx     context.Context
	Tx      Tx
	Dialect Dialect
	Schema  string // of events' tables
	Part    load.Part
	Live    load.Progress
	Known   map[string]arbalest.EventName // tables that the warehouse has heard of, live
	At      time.Time
	// Columns returns the types of a table's columns, by name, nil if there is no such
	// table. It is asked again after Evolve.
	Columns func(table string) (map[string]arbalest.Type, error)
	// Evolve makes a table have all columns of a definition, as loading does.
	Evolve func(t arbalest.Table) error
	// Back is called when days that left a table are in it again; nil is nothing to do.
	Back func(table string) error
}

// Swap replaces the part's hours of tables, or of all, or makes the table Into.
func (s *PartSwap) Swap(tables ...string) error {
	made, err := s.made()
	if err != nil {
		return err
	}
	if s.Part.Into != "" {
		return s.make(tables[0], made)
	}
	if err := s.Live.HoldsPart(tables...); err != nil {
		return err
	}
	if len(tables) == 0 {
		if tables, err = s.all(made); err != nil {
			return err
		}
	}
	for _, table := range tables {
		event := s.Known[table]
		if t, ok := made[table]; ok {
			event = t.Event
		}
		if err := s.table(table, event, made[table]); err != nil {
			return fmt.Errorf("replace hours of %s: %w", table, err)
		}
	}
	return nil
}

// made returns what the tables beside were made by, without their columns.
func (s *PartSwap) made() (map[string]arbalest.Table, error) {
	made := map[string]arbalest.Table{}
	err := s.Tx.Query(s.Ctx, "SELECT table_name, event, version FROM "+book(besideBooks+"tables"), func(v []any) error {
		t := arbalest.Table{Declared: true} // properties are a column like others
		t.Name, _ = v[0].(string)
		event, _ := v[1].(string)
		version, _ := v[2].(int64)
		t.Event, t.Version = arbalest.EventName(event), int(version)
		made[t.Name] = t
		return nil
	})
	return made, err
}

// all returns all tables, live ones and those beside, and replaces what the journal
// says of rejections.
func (s *PartSwap) all(made map[string]arbalest.Table) ([]string, error) {
	tables := slices.Collect(maps.Keys(made))
	tables = slices.AppendSeq(tables, maps.Keys(s.Known))
	slices.Sort(tables)
	return slices.Compact(tables), s.take("journal", "table_name IS NULL AND "+Within("hour", s.Part))
}

// table replaces a table's rows, and what the books say of them. t is what was made
// beside, the zero Table if nothing was.
func (s *PartSwap) table(table string, event arbalest.EventName, t arbalest.Table) error {
	// DuckDB alters no table that rows were deleted of in the same transaction.
	insert := ""
	if t.Name != "" {
		var err error
		if insert, err = s.rows(t); err != nil {
			return tableError(table, err)
		}
	}
	live, err := s.Columns(table)
	if err == nil && live != nil {
		err = s.exec("DELETE FROM %s WHERE %s", s.name(table), Within("event_time", s.Part))
	}
	if err == nil && insert != "" {
		_, err = s.Tx.Exec(s.Ctx, insert)
	}
	if err != nil {
		return err
	}
	if err := s.back(table); err != nil {
		return err
	}
	if err := s.mark(table); err != nil {
		return fmt.Errorf("mark hours: %w", err)
	}
	of := "table_name = " + Literal(table) + " AND "
	for _, err := range []error{s.take("journal", of+"(objects > 0 OR loaded < 0 OR errors < 0) AND "+Within("hour", s.Part)), s.take("erased", of+Within("hour", s.Part)), s.take("load_errors", of+storedWithin(event, s.Part)), s.take("conflicts", of+storedWithin(event, s.Part))} {
		if err != nil {
			return err
		}
	}
	return nil
}

// back forgets that days of the part left a table: their rows are in it again. What
// left is known by days, so that the part must have the whole of each.
func (s *PartSwap) back(table string) error {
	of, had := "table_name = "+Literal(table)+" AND ", false
	around := s.Part
	around.From = max(arbalest.FirstHour, around.From-23)
	err := s.Tx.Query(s.Ctx, "SELECT day FROM arbalest.days WHERE "+of+Within("day", around), func(v []any) error {
		had = true
		at, _ := v[0].(time.Time)
		if day := arbalest.HourOf(at); day < s.Part.From || day+24 > s.Part.To {
			return fmt.Errorf("%w: rows of %s have left the table %s: make all hours of that day again, or none", arbalest.ErrInvalid, at.Format(time.DateOnly), table)
		}
		return nil
	})
	if err != nil || !had {
		return err
	}
	for book, column := range map[string]string{load.ArchivedBook: "event_time", load.DaysBook: "day"} {
		if err := s.exec("DELETE FROM arbalest.%s WHERE %s%s", book, of, Within(column, s.Part)); err != nil {
			return fmt.Errorf("forget that days left: %w", err)
		}
	}
	if s.Back == nil {
		return nil
	}
	return s.Back(table)
}

// rows makes a table have the columns of what is beside, and returns the statement that
// adds its rows.
func (s *PartSwap) rows(t arbalest.Table) (insert string, err error) {
	shadow := BesidePrefix + t.Name
	types, err := s.Columns(shadow)
	if err != nil {
		return "", err
	}
	names, err := s.columnNames(shadow)
	if err != nil {
		return "", err
	}
	for _, name := range names[len(arbalest.SystemColumns):] {
		t.Columns = append(t.Columns, arbalest.Column{Name: name, Type: types[name]})
	}
	if err := s.Evolve(t); err != nil {
		return "", err
	}
	live, err := s.Columns(t.Name)
	if err != nil {
		return "", err
	}
	rows := fmt.Sprintf("(SELECT * FROM %s WHERE %s) made", s.name(shadow), Within("event_time", s.Part))
	into, from := make([]string, len(names)), make([]string, len(names))
	for i, name := range names {
		into[i] = Ident(name)
		from[i] = into[i]
		if live[name] == types[name] {
			continue
		}
		from[i] = fmt.Sprintf("CAST(%s AS %s)", from[i], s.Dialect.Type(live[name]))
		if load.IsInexact(types[name], live[name]) {
			if err := exact(s.Ctx, s.Tx, rows, into[i], live[name]); err != nil {
				return "", fmt.Errorf("column %s: %w: arbalest rebuild %s makes the table anew", name, err, t.Name)
			}
		}
	}
	return fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s", s.name(t.Name), strings.Join(into, ", "), strings.Join(from, ", "), rows), nil
}

// columnNames returns the names of a table's columns, in their order.
func (s *PartSwap) columnNames(table string) (names []string, err error) {
	err = s.Tx.Query(s.Ctx, fmt.Sprintf("SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position", Literal(s.Schema), Literal(s.Dialect.Cut(table))), func(v []any) error {
		name, _ := v[0].(string)
		names = append(names, strings.ToLower(name))
		return nil
	})
	if err == nil && len(names) < len(arbalest.SystemColumns) {
		err = fmt.Errorf("%w: %s has gone, and was not dropped by a rebuild: rebuild again", arbalest.ErrInvalid, table)
	}
	return names, err
}

// mark marks the hours of a table that are replaced, and so that the journal has more
// entries of its newest commit than before, once more for each that goes.
func (s *PartSwap) mark(table string) error {
	newest := int64(s.Live.Commit)
	if s.Live.Objects > 0 {
		newest++
	}
	where := fmt.Sprintf("table_name = %s AND objects > 0 AND %s", Literal(table), Within("hour", s.Part))
	return s.exec(`INSERT INTO %s ("commit", table_name, event, hour, objects, stored, rejected, loaded, repeats, conflicts, errors, loaded_at)
SELECT %d, %s, event, hour, 0, 0, 0, 0, 0, 0, 0, TIMESTAMP %s FROM (
	SELECT event, hour FROM (SELECT event, hour FROM %[1]s WHERE %[5]s UNION SELECT event, hour FROM %[6]s WHERE %[5]s) replaced
	UNION ALL SELECT event, hour FROM %[1]s WHERE %[5]s AND "commit" = %[2]d
) marks`, book("journal"), newest, Literal(table), Literal(s.At.UTC().Format(timestamp)), where, book(besideBooks+"journal"))
}

// take replaces rows of a book by those beside.
func (s *PartSwap) take(of, where string) error {
	if err := s.exec("DELETE FROM %s WHERE %s", book(of), where); err != nil {
		return fmt.Errorf("replace rows of %s: %w", book(of), err)
	}
	for _, ledger := range load.NewJournal(0).Ledgers() {
		if ledger.Table != of {
			continue
		}
		if err := s.exec("INSERT INTO %s (%s) SELECT %[2]s FROM %s WHERE %s", book(of), s.Dialect.Names(ledger.Columns), book(besideBooks+of), where); err != nil {
			return fmt.Errorf("replace rows of %s: %w", book(of), err)
		}
	}
	return nil
}

// make makes a table of the rows that one has beside.
func (s *PartSwap) make(table string, made map[string]arbalest.Table) error {
	into := s.Part.Into
	_, taken := s.Known[into]
	err := s.Tx.Query(s.Ctx, fmt.Sprintf("SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = %s", Literal(s.Schema), Literal(s.Dialect.Cut(into))), func([]any) error {
		taken = true
		return nil
	})
	switch {
	case err != nil:
		return err
	case taken || strings.HasPrefix(into, "_"):
		return fmt.Errorf("%w: make table %s: there is one, or a view, or the name begins with _: choose another name, or drop what has it", arbalest.ErrInvalid, into)
	}
	rows := int64(0)
	if _, ok := made[table]; ok {
		from := fmt.Sprintf("FROM %s WHERE %s", s.name(BesidePrefix+table), Within("event_time", s.Part))
		if err := s.Tx.Query(s.Ctx, "SELECT count(*) "+from, func(v []any) error { rows, _ = v[0].(int64); return nil }); err != nil {
			return err
		}
		if rows > 0 {
			return s.exec("CREATE TABLE %s AS SELECT * %s", s.name(into), from)
		}
	}
	return fmt.Errorf("%w: make table %s: the store has no rows of table %s of %s", arbalest.ErrUnknown, into, table, s.Part)
}

func (s *PartSwap) exec(sql string, args ...any) error {
	_, err := s.Tx.Exec(s.Ctx, fmt.Sprintf(sql, args...))
	return err
}

// name spells an event's table in SQL.
func (s *PartSwap) name(table string) string { return Qualified(s.Schema, s.Dialect.Cut(table)) }

func book(name string) string { return booksSchema + "." + name }

// swapPart replaces a part's hours by what is beside, and drops that.
func (l *loading) swapPart(beside *loading, have load.Progress, part load.Part, tables []string) error {
	known, err := l.events(have)
	if err != nil {
		return err
	}
	at := time.Now()
	l.journal = load.NewJournal(at.UnixMicro())
	l.columns = nil
	s := PartSwap{Ctx: l.ctx, Tx: l.tx, Dialect: l.dialect, Schema: eventSchema, Part: part, Live: have, Known: known, At: at,
		Columns: func(table string) (map[string]arbalest.Type, error) {
			err := l.readColumns([]string{l.dialect.Cut(table)})
			return l.columns[l.dialect.Cut(table)], err
		},
		Evolve: func(t arbalest.Table) error {
			if err := l.readColumns([]string{l.dialect.Cut(t.Name)}); err != nil {
				return err
			}
			_, err := l.evolve(&load.TableBatch{Table: t})
			return err
		},
	}
	if err := s.Swap(tables...); err != nil {
		return err
	}
	return beside.dropBeside()
}
