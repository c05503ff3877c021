package postgres

import (
	"context"
	"fmt"
	"io"
	"strings"

	"arbalest"
	"arbalest/internal/warehouse"
)

// Insert appends pages to a table by COPY in its binary format. Where a column of
// the table has another type, by way of a temporary table.
func (tx *transaction) Insert(ctx context.Context, table string, columns []arbalest.Column, pages []warehouse.Page) (int64, error) {
	casts, same, err := tx.casts(ctx, table, columns, pages)
	if err != nil {
		return 0, fmt.Errorf("insert into %s: %w", table, err)
	}
	if same {
		return tx.copyIn(ctx, table, columns, pages)
	}
	const passage = "_insert" // made anew by every Insert that needs one
	d := tx.db.Dialect()
	staged := make([]arbalest.Column, len(columns))
	for i, c := range columns {
		staged[i] = arbalest.Column{Name: fmt.Sprintf("c%d", i), Type: c.Type}
	}
	if _, err := tx.Exec(ctx, fmt.Sprintf("CREATE TEMP TABLE %s (%s)", passage, d.Define(staged))); err != nil {
		return 0, err
	}
	if _, err := tx.copyIn(ctx, passage, staged, pages); err != nil {
		return 0, err
	}
	n, err := tx.Exec(ctx, fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s", table, d.Names(columns), strings.Join(casts, ", "), passage))
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, "DROP TABLE "+passage)
	return n, err
}

func (tx *transaction) copyIn(ctx context.Context, table string, columns []arbalest.Column, pages []warehouse.Page) (int64, error) {
	e, err := newEncoder(columns, pages)
	if err != nil {
		return 0, err
	}
	tag, err := tx.conn.CopyFrom(ctx, e, fmt.Sprintf("COPY %s (%s) FROM STDIN (FORMAT binary)", table, tx.db.Dialect().Names(columns)))
	if err != nil {
		return 0, tx.db.wrap(ctx, err)
	}
	if tag.RowsAffected() != e.rows {
		return 0, fmt.Errorf("%w: PostgreSQL took %d of %d rows", arbalest.ErrInvalid, tag.RowsAffected(), e.rows)
	}
	return e.rows, nil
}

// copyHead begins COPY's binary format: signature, flags, length of extension
// (PostgreSQL, COPY, "Binary Format").
const copyHead = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"

// encodedBytes is about how much is encoded at a time.
const encodedBytes = 64 << 10

// An encoder is an io.Reader of pages in COPY's binary format.
type encoder struct {
	columns []arbalest.Column
	pages   []warehouse.Page
	row     int // of the first page
	rows    int64
	buf     []byte
	rest    []byte // of buf, that was not read yet
	ended   bool
}

// newEncoder holds that the vectors are the columns', so that encoding cannot
// fail half-way.
func newEncoder(columns []arbalest.Column, pages []warehouse.Page) (*encoder, error) {
	for k, p := range pages {
		if p.Rows == 0 {
			continue
		}
		if len(p.Columns) != len(columns) || p.Keep != nil && len(p.Keep)*8 < p.Rows {
			return nil, fmt.Errorf("%w: page %d has %d columns and %d bits for %d rows of %d columns", arbalest.ErrInvalid, k, len(p.Columns), len(p.Keep)*8, p.Rows, len(columns))
		}
		for i, c := range columns {
			if v := &p.Columns[i]; v.Nulls < p.Rows && v.Values(c.Type.Kind) < p.Rows {
				return nil, fmt.Errorf("%w: page %d has %d values of column %s, which is %s, for %d rows", arbalest.ErrInvalid, k, v.Values(c.Type.Kind), c.Name, c.Type, p.Rows)
			}
		}
	}
	e := &encoder{columns: columns, pages: pages, buf: make([]byte, 0, 2*encodedBytes)}
	e.buf = append(e.buf, copyHead...)
	e.rest = e.buf
	return e, nil
}

// Read reads what is encoded, and encodes more where nothing is left.
func (e *encoder) Read(p []byte) (int, error) {
	for len(e.rest) == 0 {
		if e.ended {
			return 0, io.EOF
		}
		e.encode()
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// encode encodes rows until there is a bufferful, or the end.
func (e *encoder) encode() {
	e.buf = e.buf[:0]
	for len(e.pages) > 0 {
		p := &e.pages[0]
		for ; e.row < p.Rows; e.row++ {
			if len(e.buf) >= encodedBytes {
				e.rest = e.buf
				return
			}
			if p.Keep == nil || p.Keep[e.row/8]>>(e.row%8)&1 != 0 {
				e.buf = e.appendRow(e.buf, p, e.row)
				e.rows++
			}
		}
		e.pages, e.row = e.pages[1:], 0
	}
	e.buf = append(e.buf, 0xff, 0xff)
	e.rest, e.ended = e.buf, true
}

func (e *encoder) appendRow(b []byte, p *warehouse.Page, row int) []byte {
	b = append(b, byte(len(e.columns)>>8), byte(len(e.columns)))
	for i := range e.columns {
		v := &p.Columns[i]
		if v.Nulls > 0 && v.Valid[row/8]>>(row%8)&1 == 0 {
			b = append(b, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		b = appendValue(b, v, e.columns[i].Type, row)
	}
	return b
}
