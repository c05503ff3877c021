package postgres

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"arbalest"
	"arbalest/internal/warehouse"
)

// A transaction is one attempt of Transact.
type transaction struct {
	db   *Database
	conn *pgconn.PgConn
}

// Exec runs one statement. One that ends the transaction is an error.
func (tx *transaction) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	result, err := tx.db.send(ctx, tx.conn, sql, args)
	if err != nil {
		return 0, err
	}
	tag, err := result.Close()
	if err != nil {
		return 0, tx.db.wrap(ctx, err)
	}
	if tx.conn.TxStatus() == 'I' {
		return 0, fmt.Errorf("%w: the statement ended the transaction that it was part of: leave out BEGIN, COMMIT and ROLLBACK", arbalest.ErrInvalid)
	}
	return tag.RowsAffected(), nil
}

// Query runs a SELECT and calls visit for every row.
func (tx *transaction) Query(ctx context.Context, sql string, visit func([]any) error, args ...any) error {
	return tx.db.query(ctx, tx.conn, sql, visit, args)
}

// Query runs a SELECT on its own. It is tried again while the connection is
// lost before a row was visited. An error of visit closes the connection, as
// rows may be many that nobody wants.
func (d *Database) Query(ctx context.Context, sql string, visit func([]any) error, args ...any) error {
	var began bool
	var failed, stopped error
	err := d.again(ctx, func() error {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		failed = d.on(ctx, func(conn *pgconn.PgConn) error {
			return d.query(ctx, conn, sql, func(values []any) error {
				began = true
				if stopped = visit(values); stopped != nil {
					stop()
				}
				return stopped
			}, args)
		})
		if began {
			return nil
		}
		return failed
	})
	switch {
	case stopped != nil:
		return stopped
	case began:
		return failed
	}
	return err
}

// query calls visit for every row. After an error of visit the rest of the
// rows is read and forgotten.
func (d *Database) query(ctx context.Context, conn *pgconn.PgConn, sql string, visit func([]any) error, args []any) error {
	result, err := d.send(ctx, conn, sql, args)
	if err != nil {
		return err
	}
	fields := result.FieldDescriptions()
	values := make([]any, len(fields))
	for result.NextRow() {
		for i, text := range result.Values() {
			if values[i], err = parse(fields[i].DataTypeOID, text); err != nil {
				break
			}
		}
		if err == nil {
			err = visit(values)
		}
		if err != nil {
			_, _ = result.Close() // err came first
			return err
		}
	}
	if _, err := result.Close(); err != nil {
		return d.wrap(ctx, err)
	}
	if len(fields) == 0 {
		return fmt.Errorf("%w: the statement gives no rows: it is not a SELECT", arbalest.ErrInvalid)
	}
	return nil
}

// send runs one statement. Arguments go as text whose type the server infers,
// as it does for a literal's, and results come as text: so nothing is asked
// first, and nothing remembered that an altered table makes wrong.
func (d *Database) send(ctx context.Context, conn *pgconn.PgConn, sql string, args []any) (*pgconn.ResultReader, error) {
	var params [][]byte
	for i, arg := range args {
		text, err := spell(arg)
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
		params = append(params, text)
	}
	return conn.ExecParams(ctx, sql, params, nil, nil, nil), nil
}

// spell spells an argument; nil is NULL.
func spell(arg any) ([]byte, error) {
	switch v := arg.(type) {
	case nil:
		return nil, nil
	case bool:
		return strconv.AppendBool(nil, v), nil
	case int64:
		return strconv.AppendInt(nil, v, 10), nil
	case float64:
		return strconv.AppendFloat(nil, v, 'g', -1, 64), nil
	case string:
		return append([]byte{}, v...), nil // not nil, which is NULL
	case time.Time:
		// A column without time zone takes the time and leaves the zone out.
		return v.UTC().AppendFormat(nil, "2006-01-02 15:04:05.999999+00"), nil
	}
	return nil, fmt.Errorf("%w: a %T is no argument of SQL", arbalest.ErrInvalid, arg)
}

// Copy appends what objects hold.
func (tx *transaction) Copy(ctx context.Context, table string, c warehouse.Copy) (warehouse.Copied, error) {
	return warehouse.Feed(ctx, c, func(pages []warehouse.Page) error {
		_, err := tx.Insert(ctx, table, c.Columns, pages)
		return err
	})
}
