package warehouse

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"arbalest"
	"arbalest/internal/load"
)

var _ load.Tiers = (*Warehouse)(nil)

// tierBooks are the statements that make the books of what left tables. That of
// identities is found by time as a table is.
func (d Dialect) tierBooks() (statements []string) {
	for _, l := range load.TierBooks() {
		table, columns := Qualified(booksSchema, l.Table), d.Define(l.Columns)
		if l.Table == load.ArchivedBook && d.Events != nil {
			statements = append(statements, d.Events(table, columns)...)
		} else {
			statements = append(statements, fmt.Sprintf("CREATE TABLE %s (%s)", table, columns))
		}
	}
	return statements
}

// archivedOf is, for FROM, the identities of what left a table.
func archivedOf(table string) string {
	return "(SELECT event_id, event_time, received_at, event_hash FROM arbalest.archived WHERE table_name = " + Literal(table) + ")"
}

// within is the condition of rows of a span of times.
func within(s load.Span) string {
	return fmt.Sprintf("event_time >= %s AND event_time <= %s", timeLiteral(s.From), timeLiteral(s.To-1))
}

// leavers returns the tables that rows have left. It is asked once for all loads of
// this Warehouse after each other: what came between has moved the cursor's token.
func (w *Warehouse) leavers(l *loading, token string) (map[string]bool, error) {
	w.mu.Lock()
	left, at := w.left, w.leftAt
	w.mu.Unlock()
	if left != nil && at == token || l.books != "" {
		return left, nil
	}
	left = map[string]bool{}
	err := l.tx.Query(l.ctx, "SELECT DISTINCT table_name FROM arbalest.days", func(v []any) error {
		table, _ := v[0].(string)
		left[table] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read which tables rows have left: %w", err)
	}
	return left, nil
}

// loaded remembers which tables rows have left, as of a load.
func (w *Warehouse) loaded(token string, left map[string]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left, w.leftAt = left, token
}

// Days implements load.Tiers. Rows of those days are found as those of an hour are.
func (w *Warehouse) Days(ctx context.Context, table string, before arbalest.Hour) ([]load.Day, error) {
	end := timeOf(load.HourMicro(before.Day()) - 1)
	hot := map[arbalest.Hour]int64{}
	err := w.read(ctx, fmt.Sprintf("SELECT date_trunc('day', event_time), count(*) FROM %s WHERE event_time <= $1 GROUP BY 1", Qualified(eventSchema, w.db.Dialect().Cut(table))), func(v []any) error {
		day, _ := v[0].(time.Time)
		hot[arbalest.HourOf(day)], _ = v[1].(int64)
		return nil
	}, end)
	if err != nil {
		return nil, err
	}
	var left []load.Day
	err = w.read(ctx, "SELECT day, left_rows, warm_key, warm_bytes, warm_columns, stale, frozen_at FROM arbalest.days WHERE table_name = $1 AND day <= $2", func(v []any) error {
		left = append(left, dayOf(v))
		return nil
	}, table, end)
	if err != nil {
		return nil, err
	}
	var held []load.Hold
	err = w.read(ctx, "SELECT from_time, to_time, until_time FROM arbalest.held WHERE table_name = $1", func(v []any) error {
		from, _ := v[0].(time.Time)
		to, _ := v[1].(time.Time)
		until, _ := v[2].(time.Time)
		held = append(held, load.Hold{From: arbalest.HourOf(from), To: arbalest.HourOf(to), Until: until})
		return nil
	}, table)
	return load.DaysOf(left, hot, held), err
}

// dayOf reads a row of arbalest.days.
func dayOf(v []any) (d load.Day) {
	day, _ := v[0].(time.Time)
	d.Day = arbalest.HourOf(day)
	d.Left, _ = v[1].(int64)
	key, _ := v[2].(string)
	d.Warm.Key = arbalest.Key(key)
	d.Warm.Bytes, _ = v[3].(int64)
	d.Warm.Columns, _ = v[4].(string)
	d.Stale, _ = v[5].(bool)
	d.Frozen, _ = v[6].(time.Time)
	return d
}

// Leave implements load.Tiers. That it is done, by an attempt whose reply was lost or
// by another, the books say.
func (w *Warehouse) Leave(ctx context.Context, d load.Departure) error {
	span, err := d.Span()
	if err != nil {
		return err
	}
	err = w.change(ctx, func(l *loading) error {
		now, known, err := l.day(d.Table, span)
		if err != nil {
			return err
		}
		if done, err := d.IsDone(now); done || err != nil {
			return err
		}
		if d.Gone {
			err = l.forgetDay(d, span)
		} else {
			err = l.leave(d, span, known)
		}
		if err != nil {
			return err
		}
		if err := l.exec("UPDATE arbalest.format SET version = $1 WHERE version < $1", int64(booksFormat)); err != nil {
			return err
		}
		have, _, err := l.cursor()
		if err != nil {
			return err
		}
		return l.advance(have, have, "leave "+rand.Text()) // who loads next looks for what left
	})
	if err != nil {
		return fmt.Errorf("rows of %s leave table %s: %w", d.Day.Time().Format(time.DateOnly), d.Table, err)
	}
	return nil
}

// day returns what there is of a table's day, and whether the books know it.
func (l *loading) day(table string, span load.Span) (now load.Day, known bool, err error) {
	err = l.tx.Query(l.ctx, "SELECT day, left_rows, warm_key, warm_bytes, warm_columns, stale, frozen_at FROM arbalest.days WHERE table_name = $1 AND day = $2", func(v []any) error {
		now, known = dayOf(v), true
		return nil
	}, table, timeOf(span.From))
	if err != nil {
		return now, false, err
	}
	return now, known, l.tx.Query(l.ctx, "SELECT count(*) FROM "+l.tableName(table)+" WHERE "+within(span), func(v []any) error {
		now.Hot, _ = v[0].(int64)
		return nil
	})
}

// leave keeps the identities of a day's rows, deletes these, and notes the day.
func (l *loading) leave(d load.Departure, span load.Span, known bool) error {
	if d.Hot > 0 {
		for _, statement := range []string{
			fmt.Sprintf("INSERT INTO arbalest.archived (table_name, event_id, event_time, received_at, event_hash) SELECT %s, event_id, event_time, received_at, event_hash FROM %s WHERE %s",
				Literal(d.Table), l.tableName(d.Table), within(span)),
			fmt.Sprintf("DELETE FROM %s WHERE %s", l.tableName(d.Table), within(span)),
		} {
			if n, err := l.tx.Exec(l.ctx, statement); err != nil {
				return err
			} else if n != d.Hot && n != 0 { // 0 says nothing
				return fmt.Errorf("%w: there were %d rows, and %d a moment before", arbalest.ErrExists, n, d.Hot)
			}
		}
	}
	var key, bytes, columns any
	if d.Warm != (load.Warm{}) {
		key, bytes, columns = string(d.Warm.Key), d.Warm.Bytes, d.Warm.Columns
	}
	if !known {
		if err := l.exec("INSERT INTO arbalest.days (table_name, day) VALUES ($1, $2)", d.Table, timeOf(span.From)); err != nil {
			return err
		}
	}
	return l.exec("UPDATE arbalest.days SET left_rows = $1, warm_key = $2, warm_bytes = $3, warm_columns = $4, stale = false WHERE table_name = $5 AND day = $6",
		d.Hot+d.Left, key, bytes, columns, d.Table, timeOf(span.From))
}

// forgetDay deletes all that there is of a day, also beside.
func (l *loading) forgetDay(d load.Departure, span load.Span) error {
	statements := []string{
		fmt.Sprintf("DELETE FROM %s WHERE %s", l.tableName(d.Table), within(span)),
		fmt.Sprintf("DELETE FROM arbalest.archived WHERE table_name = %s AND %s", Literal(d.Table), within(span)),
		fmt.Sprintf("DELETE FROM arbalest.days WHERE table_name = %s AND day = %s", Literal(d.Table), timeLiteral(span.From)),
	}
	begun, err := isBegun(l.ctx, l.tx)
	if err != nil {
		return err
	}
	if begun {
		made, err := l.of(besideBooks).made()
		if err != nil {
			return err
		}
		if slices.Contains(made, d.Table) {
			statements = append(statements, fmt.Sprintf("DELETE FROM %s WHERE %s", l.tableName(BesidePrefix+d.Table), within(span)))
		}
	}
	for _, s := range statements {
		if err := l.exec(s); err != nil {
			return err
		}
	}
	return nil
}

// Hold implements load.Tiers.
func (w *Warehouse) Hold(ctx context.Context, table string, from, to arbalest.Hour, until time.Time) error {
	return w.change(ctx, func(l *loading) error {
		begin, end := timeOf(load.HourMicro(from)), timeOf(load.HourMicro(to))
		err := l.exec("DELETE FROM arbalest.held WHERE table_name = $1 AND from_time >= $2 AND to_time <= $3", table, begin, end)
		if err != nil || until.IsZero() {
			return err
		}
		return l.exec("INSERT INTO arbalest.held (table_name, from_time, to_time, until_time) VALUES ($1, $2, $3, $4)", table, begin, end, timeOf(until.UnixMicro()))
	})
}

// Froze implements load.Tiers.
func (w *Warehouse) Froze(ctx context.Context, table string, day arbalest.Hour, at time.Time) error {
	return w.change(ctx, func(l *loading) error {
		first := day.Day()
		known := false
		err := l.tx.Query(ctx, "SELECT day FROM arbalest.days WHERE table_name = $1 AND day = $2", func([]any) error {
			known = true
			return nil
		}, table, first.Time())
		switch {
		case err != nil:
			return err
		case !known:
			return fmt.Errorf("%w: no rows of %s have left the table %s", arbalest.ErrUnknown, first.Time().Format(time.DateOnly), table)
		}
		var frozen any
		if !at.IsZero() {
			frozen = timeOf(at.UnixMicro())
		}
		return l.exec("UPDATE arbalest.days SET frozen_at = $1 WHERE table_name = $2 AND day = $3", frozen, table, first.Time())
	})
}

// ShowAll implements load.Tiers: these databases do not read Parquet of the store by
// themselves.
func (w *Warehouse) ShowAll(context.Context, string) error { return nil }
