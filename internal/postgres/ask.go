package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"arbalest"
	"arbalest/internal/warehouse"
)

// Ask runs one statement of a user's that reads, in a transaction that cannot
// write, and gives its result as text. The error of a statement that is wrong
// has PostgreSQL's own message; an error of to is returned as it is.
func (d *Database) Ask(ctx context.Context, sql string, to warehouse.Sink) error {
	var refused error // by to
	err := d.on(ctx, func(conn *pgconn.PgConn) error {
		if _, err := conn.Exec(ctx, "BEGIN READ ONLY").ReadAll(); err != nil {
			return d.wrap(ctx, err)
		}
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		defer d.leave(ctx, conn)
		result := conn.ExecParams(ctx, sql, nil, nil, nil, nil)
		columns := resultColumns(result.FieldDescriptions())
		if len(columns) > 0 {
			if refused = to.Columns(columns); refused != nil {
				stop()
			}
		}
		values := make([]warehouse.Value, len(columns))
		for refused == nil && result.NextRow() {
			for i, text := range result.Values() {
				values[i] = valueOf(columns[i], text)
			}
			if refused = to.Row(values); refused != nil {
				stop() // rows may be many that nobody wants
			}
		}
		if _, err := result.Close(); err != nil {
			return pointed(sql, d.wrap(ctx, err))
		}
		if len(columns) == 0 {
			return fmt.Errorf("%w: the statement gives no rows: send a SELECT, one at a time", arbalest.ErrInvalid)
		}
		return nil
	})
	switch {
	case refused != nil:
		return refused
	case err != nil:
		return fmt.Errorf("query PostgreSQL: %w", err)
	}
	return nil
}

// pointed adds to a server's error the line of the statement that it is about,
// and where in it.
func pointed(sql string, err error) error {
	var server *pgconn.PgError
	if !errors.As(err, &server) || server.Position < 1 {
		return err
	}
	text := []rune(sql)
	at := min(int(server.Position)-1, len(text)) // PostgreSQL counts characters from 1
	before := string(text[:at])
	start := strings.LastIndexByte(before, '\n') + 1
	line, _, _ := strings.Cut(sql[start:], "\n")
	label := fmt.Sprintf("LINE %d: ", 1+strings.Count(before, "\n"))
	return fmt.Errorf("%w\n\n%s%s\n%*s", err, label, strings.ReplaceAll(line, "\t", " "), len(label)+len([]rune(before[start:]))+1, "^")
}

// leave ends a user's transaction, and gives back locks that it may have taken
// for longer than that.
func (d *Database) leave(ctx context.Context, conn *pgconn.PgConn) {
	d.rollback(ctx, conn)
	if conn.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.opts.ConnectTimeout)
	defer cancel()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_unlock_all()").ReadAll(); err != nil {
		_ = conn.Close(ctx) // it is of no more use
	}
}
