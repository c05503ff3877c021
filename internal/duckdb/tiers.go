package duckdb

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"arbalest"
	"arbalest/internal/load"
)

var _ load.Tiers = (*Warehouse)(nil)

// tierBooks makes the books of what left tables.
func tierBooks() (statements []string) {
	for _, l := range load.TierBooks() {
		columns := ""
		for i, c := range l.Columns {
			if i > 0 {
				columns += ", "
			}
			columns += c.Name + " " + sqlType(c.Type)
		}
		statements = append(statements, fmt.Sprintf("CREATE TABLE IF NOT EXISTS arbalest.%s (%s)", l.Table, columns))
	}
	return statements
}

// identities is, for FROM, what a table has the identities of: its rows, and those
// that left it if some did.
func identities(table string, left bool) string {
	if !left {
		return tableName(table)
	}
	const columns = "event_id, event_time, received_at, event_hash"
	return fmt.Sprintf("(SELECT %s FROM %s UNION ALL SELECT %[1]s FROM arbalest.archived WHERE table_name = %[3]s)", columns, tableName(table), literal(table))
}

// within is the condition of rows of a span of times.
func within(s load.Span) string {
	return fmt.Sprintf("event_time >= make_timestamp(%d) AND event_time < make_timestamp(%d)", s.From, s.To)
}

// Days implements load.Tiers. Row groups without rows of those days are not read.
func (w *Warehouse) Days(ctx context.Context, table string, before arbalest.Hour) ([]load.Day, error) {
	end := load.HourMicro(before.Day())
	hot := map[arbalest.Hour]int64{}
	err := w.read(ctx, fmt.Sprintf(`SELECT epoch_us(date_trunc('day', event_time)::TIMESTAMP), count(*) FROM %s WHERE event_time < make_timestamp(%d) GROUP BY 1`, tableName(table), end), func(s *stream) error {
		day, _ := s.integer(0)
		hot[arbalest.HourOfMicro(day)], _ = s.integer(1)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var left []load.Day
	err = w.read(ctx, fmt.Sprintf(`SELECT epoch_us(day), left_rows, warm_key, warm_bytes, warm_columns, stale, epoch_us(frozen_at) FROM arbalest.days
		WHERE table_name = %s AND day < make_timestamp(%d)`, literal(table), end), func(s *stream) error {
		var d load.Day
		day, _ := s.integer(0)
		d.Day = arbalest.HourOfMicro(day)
		d.Left, _ = s.integer(1)
		key, _ := s.text(2)
		d.Warm.Key = arbalest.Key(key)
		d.Warm.Bytes, _ = s.integer(3)
		d.Warm.Columns, _ = s.text(4)
		d.Stale, _ = fixed[bool](s, 5)
		if at, ok := s.integer(6); ok {
			d.Frozen = time.UnixMicro(at).UTC()
		}
		left = append(left, d)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var held []load.Hold
	err = w.read(ctx, `SELECT epoch_us(from_time), epoch_us(to_time), epoch_us(until_time) FROM arbalest.held WHERE table_name = `+literal(table), func(s *stream) error {
		from, _ := s.integer(0)
		to, _ := s.integer(1)
		until, _ := s.integer(2)
		held = append(held, load.Hold{From: arbalest.HourOfMicro(from), To: arbalest.HourOfMicro(to), Until: time.UnixMicro(until).UTC()})
		return nil
	})
	return load.DaysOf(left, hot, held), err
}

// Leave implements load.Tiers. Queries that run read what was there when they began:
// DuckDB keeps it until then, but not warm objects that are deleted.
func (w *Warehouse) Leave(ctx context.Context, d load.Departure) error {
	span, err := d.Span()
	if err == nil && w.warm != "" && d.Warm.Key != "" {
		_, err = fileOf(w.warm, d.Warm)
	}
	if err != nil {
		return err
	}
	err = w.reset(ctx, func(tx *transaction) error {
		now, known, err := tx.day(d.Table, span)
		if err != nil {
			return err
		}
		if done, err := d.IsDone(now); done || err != nil {
			return err
		}
		if d.Gone {
			err = tx.forgetDay(d, span)
		} else {
			err = tx.leave(d, span, known)
		}
		if err != nil {
			return err
		}
		if err := tx.exec("UPDATE arbalest.format SET version = ? WHERE version < ?", booksFormat, booksFormat); err != nil {
			return err
		}
		return tx.showAll(d.Table)
	})
	if err != nil {
		return fmt.Errorf("rows of %s leave table %s: %w", d.Day.Time().Format(time.DateOnly), d.Table, err)
	}
	return nil
}

// day returns what there is of a table's day, and whether the books know it.
func (tx *transaction) day(table string, span load.Span) (now load.Day, known bool, err error) {
	err = tx.each(func(scan func(...any) error) error { return scan(&now.Hot) }, "SELECT count(*) FROM "+tableName(table)+" WHERE "+within(span))
	if err != nil {
		return now, false, err
	}
	err = tx.each(func(scan func(...any) error) error {
		known = true
		var key, columns sql.NullString
		var bytes sql.NullInt64
		err := scan(&now.Left, &key, &bytes, &columns, &now.Stale)
		now.Warm = load.Warm{Key: arbalest.Key(key.String), Bytes: bytes.Int64, Columns: columns.String}
		return err
	}, "SELECT left_rows, warm_key, warm_bytes, warm_columns, stale FROM arbalest.days WHERE table_name = ? AND day = make_timestamp(?)", table, span.From)
	return now, known, err
}

// leave keeps the identities of a day's rows, deletes these, and notes the day.
func (tx *transaction) leave(d load.Departure, span load.Span, known bool) error {
	if d.Hot > 0 {
		for _, statement := range []string{
			fmt.Sprintf("INSERT INTO arbalest.archived SELECT %s, event_id, event_time, received_at, event_hash FROM %s WHERE %s", literal(d.Table), tableName(d.Table), within(span)),
			fmt.Sprintf("DELETE FROM %s WHERE %s", tableName(d.Table), within(span)),
		} {
			if n, err := tx.count(statement); err != nil {
				return err
			} else if n != d.Hot {
				return fmt.Errorf("%w: DuckDB moved %d of %d rows", arbalest.ErrCorrupt, n, d.Hot)
			}
		}
	}
	var key, bytes, columns any
	if d.Warm != (load.Warm{}) {
		key, bytes, columns = string(d.Warm.Key), d.Warm.Bytes, d.Warm.Columns
	}
	if !known {
		if err := tx.exec("INSERT INTO arbalest.days (table_name, day) VALUES (?, make_timestamp(?))", d.Table, span.From); err != nil {
			return err
		}
	}
	return tx.exec("UPDATE arbalest.days SET left_rows = ?, warm_key = ?, warm_bytes = ?, warm_columns = ?, stale = false WHERE table_name = ? AND day = make_timestamp(?)",
		d.Hot+d.Left, key, bytes, columns, d.Table, span.From)
}

// forgetDay deletes all that there is of a day, also beside.
func (tx *transaction) forgetDay(d load.Departure, span load.Span) error {
	for _, statement := range []string{
		fmt.Sprintf("DELETE FROM %s WHERE %s", tableName(d.Table), within(span)),
		fmt.Sprintf("DELETE FROM arbalest.archived WHERE table_name = %s AND %s", literal(d.Table), within(span)),
		fmt.Sprintf("DELETE FROM arbalest.days WHERE table_name = %s AND day = make_timestamp(%d)", literal(d.Table), span.From),
	} {
		if err := tx.exec(statement); err != nil {
			return err
		}
	}
	there, err := tx.relations()
	if beside := load.BesidePrefix + d.Table; err == nil && there[beside] != nil {
		return tx.exec(fmt.Sprintf("DELETE FROM %s WHERE %s", tableName(beside), within(span)))
	}
	return err
}

// Hold implements load.Tiers.
func (w *Warehouse) Hold(ctx context.Context, table string, from, to arbalest.Hour, until time.Time) error {
	return w.note(ctx, func(tx *transaction) error {
		err := tx.exec("DELETE FROM arbalest.held WHERE table_name = ? AND from_time >= make_timestamp(?) AND to_time <= make_timestamp(?)", table, load.HourMicro(from), load.HourMicro(to))
		if err != nil || until.IsZero() {
			return err
		}
		return tx.exec("INSERT INTO arbalest.held VALUES (?, make_timestamp(?), make_timestamp(?), make_timestamp(?))", table, load.HourMicro(from), load.HourMicro(to), until.UnixMicro())
	})
}

// Froze implements load.Tiers.
func (w *Warehouse) Froze(ctx context.Context, table string, day arbalest.Hour, at time.Time) error {
	return w.note(ctx, func(tx *transaction) error {
		frozen := "NULL"
		if !at.IsZero() {
			frozen = fmt.Sprintf("make_timestamp(%d)", at.UnixMicro())
		}
		n, err := tx.count("UPDATE arbalest.days SET frozen_at = "+frozen+" WHERE table_name = ? AND day = make_timestamp(?)", table, load.HourMicro(day.Day()))
		if err == nil && n == 0 {
			err = fmt.Errorf("%w: no rows of %s have left the table %s", arbalest.ErrUnknown, day.Time().Format(time.DateOnly), table)
		}
		return err
	})
}

// note runs do in a transaction that changes nothing that Load knows.
func (w *Warehouse) note(ctx context.Context, do func(*transaction) error) error {
	release, err := w.hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	return w.transact(ctx, do)
}
