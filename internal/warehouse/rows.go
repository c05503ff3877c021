package warehouse

import (
	"context"
	"errors"
	"fmt"
	"time"

	"arbalest"
	"arbalest/internal/load"
)

// Rows yields the identity of every row of a table with event_time in
// [from, to), in microseconds, in no order, and of those that left it. A table that
// does not exist has none. An error of visit is returned as it is.
func (w *Warehouse) Rows(ctx context.Context, table string, from, to int64, visit func(load.Row) error) error {
	const of = "SELECT event_id, event_time, received_at, event_hash, %t FROM %s e WHERE event_time >= $1 AND event_time <= $2"
	rows := fmt.Sprintf(of, false, Qualified(eventSchema, w.db.Dialect().Cut(table)))
	read := func(v []any) error {
		id, _ := v[0].(string)
		at, _ := v[1].(time.Time)
		received, _ := v[2].(time.Time)
		hash, _ := v[3].(string)
		left, _ := v[4].(bool)
		return visit(load.Row{ID: id, Time: at.UnixMicro(), Received: received.UnixMicro(), Hash: hash, Left: left})
	}
	known, err := w.readKnown(ctx, rows+" UNION ALL "+fmt.Sprintf(of, true, archivedOf(table)), read, timeOf(from), timeOf(to-1))
	if !known { // there is no table, or the books were made by a program that knew no tiers
		return w.read(ctx, rows, read, timeOf(from), timeOf(to-1))
	}
	return err
}

// Unloaded yields the id and time (microseconds) of every event that is
// recorded as a load error and is not in the table.
func (w *Warehouse) Unloaded(ctx context.Context, table string, visit func(id string, time int64) error) error {
	return w.unloaded(ctx, "", table, visit)
}

func (w *Warehouse) unloaded(ctx context.Context, books, table string, visit func(id string, time int64) error) error {
	return w.read(ctx, `SELECT event_id, event_time FROM arbalest.`+books+`load_errors WHERE NOT loaded AND table_name = $1`, func(v []any) error {
		id, _ := v[0].(string)
		at, ok := v[1].(time.Time)
		if !ok {
			return visit(id, 0)
		}
		return visit(id, at.UnixMicro())
	}, table)
}

// Books yields, for each event and hour, what the journal says.
func (w *Warehouse) Books(ctx context.Context, visit func(load.Book) error) error {
	return w.read(ctx, `SELECT event, hour, received, rejected, stored, loaded, repeats, conflicts, errors, erased FROM arbalest.books`, func(v []any) error {
		event, _ := v[0].(string)
		hour, _ := v[1].(time.Time)
		b := load.Book{Event: arbalest.EventName(event), Hour: arbalest.HourOf(hour)}
		for i, n := range []*int64{&b.Received, &b.Rejected, &b.Stored, &b.Loaded, &b.Repeats, &b.Conflicts, &b.Errors, &b.Erased} {
			*n, _ = v[2+i].(int64)
		}
		return visit(b)
	})
}

// A TableInfo says what a warehouse has of an event's table.
type TableInfo struct {
	Name    string
	Event   arbalest.EventName
	Rows    int64 // that were loaded; DuckDB's statistics may count more
	Columns int64
}

// Tables returns the tables that Load made, by name.
func (w *Warehouse) Tables(ctx context.Context) ([]TableInfo, error) {
	columns := map[string]int64{}
	err := w.read(ctx, `SELECT table_name, count(*) FROM information_schema.columns WHERE table_schema = 'public' GROUP BY table_name`, func(v []any) error {
		table, _ := v[0].(string)
		columns[table], _ = v[1].(int64)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	var tables []TableInfo
	err = w.read(ctx, `SELECT t.table_name, max(t.event), CAST(coalesce(sum(j.loaded), 0) AS BIGINT) FROM arbalest.tables t LEFT JOIN arbalest.journal j ON j.table_name = t.table_name
GROUP BY t.table_name ORDER BY t.table_name`, func(v []any) error {
		name, _ := v[0].(string)
		event, _ := v[1].(string)
		rows, _ := v[2].(int64)
		if n, ok := columns[w.db.Dialect().Cut(name)]; ok {
			tables = append(tables, TableInfo{Name: name, Event: arbalest.EventName(event), Rows: rows, Columns: n})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	return tables, nil
}

// Ask runs one statement of a user's, as Asker says.
func (w *Warehouse) Ask(ctx context.Context, sql string, to Sink) error {
	asker, ok := w.db.(Asker)
	if !ok {
		return fmt.Errorf("%w: %s takes no queries of users", arbalest.ErrInvalid, w.db.Dialect().Name)
	}
	return asker.Ask(ctx, sql, to)
}

// read runs a query of ours and calls visit for every row. It yields nothing
// of a table that does not exist.
func (w *Warehouse) read(ctx context.Context, sql string, visit func([]any) error, args ...any) error {
	_, err := w.readKnown(ctx, sql, visit, args...)
	return err
}

// readKnown is read that says whether all tables exist.
func (w *Warehouse) readKnown(ctx context.Context, sql string, visit func([]any) error, args ...any) (known bool, err error) {
	var stopped error // by visit, whose error is not the database's
	err = w.db.Query(ctx, sql, func(v []any) error {
		stopped = visit(v)
		return stopped
	}, args...)
	switch {
	case stopped != nil:
		return true, stopped
	case errors.Is(err, arbalest.ErrUnknown):
		return false, nil
	case err != nil:
		return true, fmt.Errorf("read rows: %w", err)
	}
	return true, nil
}
