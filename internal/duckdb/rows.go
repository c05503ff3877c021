package duckdb

import (
	"context"
	"errors"
	"fmt"

	"arbalest"
	"arbalest/internal/load"
)

// Rows yields the identity of every row of a table with event_time in
// [from, to), in microseconds, in no order, and of those that left it. A table that
// does not exist has none. An error of visit is returned as it is.
func (w *Warehouse) Rows(ctx context.Context, table string, from, to int64, visit func(load.Row) error) error {
	span := within(load.Span{From: from, To: to})
	return w.read(ctx, fmt.Sprintf(`SELECT event_id, epoch_us(event_time), epoch_us(received_at), event_hash, false FROM %s WHERE %s
		UNION ALL SELECT event_id, epoch_us(event_time), epoch_us(received_at), event_hash, true FROM arbalest.archived WHERE table_name = %s AND %[2]s`, tableName(table), span, literal(table)),
		func(s *stream) error {
			var r load.Row
			r.ID, _ = s.text(0)
			r.Time, _ = s.integer(1)
			r.Received, _ = s.integer(2)
			r.Hash, _ = s.text(3)
			r.Left, _ = fixed[bool](s, 4)
			return visit(r)
		})
}

// Unloaded yields the id and time (microseconds) of every event that is
// recorded as a load error and is not in the table.
func (w *Warehouse) Unloaded(ctx context.Context, table string, visit func(id string, time int64) error) error {
	return w.unloaded(ctx, "", table, visit)
}

func (w *Warehouse) unloaded(ctx context.Context, books, table string, visit func(id string, time int64) error) error {
	return w.read(ctx, `SELECT event_id, epoch_us(event_time) FROM arbalest.`+books+`load_errors WHERE NOT loaded AND table_name = `+literal(table),
		func(s *stream) error {
			id, _ := s.text(0)
			time, _ := s.integer(1)
			return visit(id, time)
		})
}

// Books yields, for each event and hour, what the journal says.
func (w *Warehouse) Books(ctx context.Context, visit func(load.Book) error) error {
	return w.read(ctx, `SELECT event, epoch_us(hour), received, rejected, stored, loaded, repeats, conflicts, errors, erased FROM arbalest.books`,
		func(s *stream) error {
			event, _ := s.text(0)
			b := load.Book{Event: arbalest.EventName(event)}
			hour, _ := s.integer(1)
			b.Hour = arbalest.Hour(floorDiv(hour, hourMicros))
			for i, n := range []*int64{&b.Received, &b.Rejected, &b.Stored, &b.Loaded, &b.Repeats, &b.Conflicts, &b.Errors, &b.Erased} {
				*n, _ = s.integer(2 + i)
			}
			return visit(b)
		})
}

// read runs a query of ours and calls visit for every row. It yields nothing
// of a table that does not exist.
func (w *Warehouse) read(ctx context.Context, query string, visit func(*stream) error) error {
	conn, done, err := w.reader(ctx)
	if err != nil {
		return err
	}
	defer done()
	s, err := openStream(ctx, conn, query)
	if err != nil {
		if err = queryError(ctx, err); errors.Is(err, arbalest.ErrUnknown) {
			return nil
		}
		return fmt.Errorf("read rows: %w", err)
	}
	var stopped error // by visit, whose error is not DuckDB's
	err = s.each(func() error {
		stopped = visit(s)
		return stopped
	})
	if err != nil && stopped == nil {
		return fmt.Errorf("read rows: %w", queryError(ctx, err))
	}
	return err
}
