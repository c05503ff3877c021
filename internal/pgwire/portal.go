package pgwire

import (
	"errors"
	"time"

	"arbalest"
	"arbalest/internal/duckdb"
	"arbalest/internal/warehouse"

	"github.com/jackc/pgx/v5/pgproto3"
)

// flushBytes is how much of a result is sent at once.
const flushBytes = 64 << 10

// A source gives rows, as duckdb.Rows does.
type source interface {
	Next() bool
	Values() []warehouse.Value
	Err() error
	Drop() // the row, until Next
	Close() error
}

// A portal is a statement with its arguments, and its result once it was begun.
type portal struct {
	statement *statement
	args      []any
	formats   []int16 // of the result: none, one for all, or one for each column
	task      *task
	rows      source // nil before the first and after the last row
	begun     bool
	lost      bool // what was not read yet was given up
	kept      int  // bytes of its arguments
	sent      int  // rows
}

func (p *portal) close() {
	if p.rows != nil {
		_ = p.rows.Close() // it only reads
		p.rows = nil
	}
	if p.task != nil && p.statement.verb != "fetch" {
		p.task.cancel(nil)
	}
}

func (c *session) closePortal(name string) {
	if p := c.portals[name]; p != nil {
		p.close()
		_ = c.keep(-p.kept)
		delete(c.portals, name)
	}
}

func (p *portal) format(i int) int16 {
	switch {
	case len(p.formats) == 0:
		return textFormat
	case len(p.formats) == 1:
		return p.formats[0]
	case i < len(p.formats):
		return p.formats[i]
	}
	return textFormat
}

// open begins a portal's result.
func (c *session) open(p *portal) error {
	st := p.statement
	p.begun = true
	if st.verb == "fetch" {
		return c.openFetch(p)
	}
	if p.task == nil {
		p.task = c.newTask()
	}
	if st.sql == "" {
		if st.columns != nil {
			p.rows = c.shown(st)
		}
		return nil
	}
	return c.work(p.task, func() error {
		rows, err := c.query(p.task, st, p.args)
		if err != nil {
			return err
		}
		p.rows = rows
		return nil
	})
}

// query asks DuckDB.
func (c *session) query(t *task, st *statement, args []any) (source, error) {
	if !c.server.results.TryAcquire(1) {
		return nil, fail("53400", "too many results are open: read them to their end, or close them")
	}
	rows, err := c.queryRows(t, st, args)
	for tries := 0; errors.Is(err, arbalest.ErrBusy) && tries < 2; tries++ {
		wait := c.server.relieve()
		if wait == 0 {
			break
		}
		select {
		case <-time.After(wait):
		case <-t.ctx.Done():
		}
		rows, err = c.queryRows(t, st, args)
	}
	if err != nil {
		c.server.results.Release(1)
		return nil, err
	}
	return &openRows{rows, func() { c.server.results.Release(1) }}, nil
}

// openRows are a result that is open.
type openRows struct {
	*duckdb.Rows
	release func() // nil once closed
}

func (r *openRows) Close() error {
	err := r.Rows.Close()
	if r.release != nil {
		r.release()
		r.release = nil
	}
	return err
}

func (c *session) queryRows(t *task, st *statement, args []any) (*duckdb.Rows, error) {
	rows, err := c.server.opts.Warehouse.QueryAs(t.ctx, st.sql, args, func(d duckdb.Column) string { return c.server.types.castOf(d.Type) })
	if err != nil {
		return nil, err
	}
	if st.columns == nil {
		st.columns = c.wireColumns(st, rows.Columns)
	}
	same := len(st.columns) == len(rows.Columns)
	for i := 0; same && i < len(st.columns); i++ {
		same = st.columns[i].duck == rows.Columns[i].Type
	}
	if !same {
		_ = rows.Close() // it only reads
		return nil, fail("0A000", "cached plan must not change result type")
	}
	return rows, nil
}

// fields sends what a portal's columns are.
func (c *session) fields(columns []column, p *portal) {
	m := &pgproto3.RowDescription{}
	for i, col := range columns {
		f := pgproto3.FieldDescription{Name: []byte(col.name), DataTypeOID: col.wire.oid, DataTypeSize: col.wire.size, TypeModifier: col.wire.mod}
		if p != nil {
			f.Format = p.format(i)
		}
		m.Fields = append(m.Fields, f)
	}
	c.backend.Send(m)
}

// send sends up to limit rows, all if it is 0, and says whether there may be
// more.
func (c *session) send(p *portal, limit int) (more bool, err error) {
	err = c.work(p.task, func() error {
		size := 0
		for n := 0; limit == 0 || n < limit; n++ {
			if !p.rows.Next() {
				return p.rows.Err()
			}
			row, err := c.row(p, p.rows.Values())
			if err != nil {
				return err
			}
			for _, v := range row.Values {
				size += len(v) + 4
			}
			c.backend.Send(row)
			p.sent++
			if size >= flushBytes {
				if err := c.backend.Flush(); err != nil {
					return errGone
				}
				size = 0
			}
		}
		p.rows.Drop()
		more = true
		return nil
	})
	return more, err
}

func (c *session) row(p *portal, values []warehouse.Value) (*pgproto3.DataRow, error) {
	row := &pgproto3.DataRow{Values: make([][]byte, len(values))}
	for i, v := range values {
		if v.Null {
			continue
		}
		col := p.statement.columns[i]
		b, err := c.server.types.encode(col.wire, v.Text, p.format(i))
		if err != nil {
			return nil, err
		}
		if b == nil {
			b = []byte{}
		}
		row.Values[i] = b
	}
	return row, nil
}
