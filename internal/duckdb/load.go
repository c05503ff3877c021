package duckdb

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"arbalest"
	"arbalest/internal/decode"
	"arbalest/internal/load"
)

// The hidden columns that a batch's source has besides the table's.
const (
	keepColumn      = "_keep"       // BOOLEAN: what is kept
	byReceiptColumn = "_by_receipt" // BOOLEAN: TableBatch.ByReceipt
)

// loading is one Load.
type loading struct {
	tx      *transaction
	scanner *scanner
	catalog *tables
	recent  *recent
	journal *load.Journal
}

// Load adds a batch in one transaction. Of the errors, arbalest.ErrExists says
// that the cursor is not at prev or that another loader wrote at the same
// time, a *load.TableError that one table's definition or values cannot be had
// in it, arbalest.ErrBusy and arbalest.ErrUnavailable that the machine could
// not. Each leaves the warehouse as it was.
func (w *Warehouse) Load(ctx context.Context, prev load.Progress, b load.Batch) ([]load.Counts, error) {
	return w.load(ctx, "", prev, b)
}

// load adds a batch to the tables that it names, with their books.
func (w *Warehouse) load(ctx context.Context, books string, prev load.Progress, b load.Batch) ([]load.Counts, error) {
	release, err := w.hold(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := w.fitBatch(b); err != nil {
		return nil, err
	}
	var counts []load.Counts
	err = w.transact(ctx, func(tx *transaction) error {
		tx.books = books
		if err := tx.holdsBooks(); err != nil {
			return err
		}
		counts = make([]load.Counts, 0, len(b.Tables))
		if err := tx.advance(prev, b.Next); err != nil {
			return err
		}
		if w.known == nil {
			if w.known, err = tx.tables(); err != nil {
				return err
			}
		}
		w.recent.begin()
		l := &loading{tx, w.scanner, w.known, w.recent, load.NewJournal(nowMicro())}
		for i := range b.Tables {
			c, err := l.table(&b.Tables[i])
			if err != nil {
				return tableError(load.LiveName(b.Tables[i].Table.Name), err)
			}
			counts = append(counts, c)
		}
		for _, r := range b.Removals {
			if err := l.remove(r); err != nil {
				return fmt.Errorf("erase in %s: %w", r.Table, err)
			}
		}
		l.journal.Rejected(b.Rejected)
		for _, ledger := range l.journal.Ledgers() {
			if err := writeLedger(tx, w.scanner, ledger); err != nil {
				return err
			}
		}
		return nil
	})
	if len(b.Removals) > 0 {
		w.recent.forget() // of rows that are gone
	}
	if err != nil {
		w.known = nil // what was made in it is not there
		w.recent.forget()
		return nil, fmt.Errorf("load into DuckDB: %w", err)
	}
	w.relieve(ctx)
	return counts, nil
}

// columnBytes is what DuckDB's buffers must hold for each column of a table that
// rows are added to, however few, once its rows have been checkpointed: of 256 KiB
// blocks the last one's, that of its validity, and copies of both to write in. 80
// columns were measured to load in 96 MiB, and 400 in 512 MiB.
const columnBytes = 4 << 20 / 3

// BatchColumns is how many columns the tables of one batch may have together, but
// for one table that has more: DuckDB's memory has room for no more.
func (w *Warehouse) BatchColumns() int64 { return w.memory / columnBytes }

// fitBatch makes room for the tables of a batch.
func (w *Warehouse) fitBatch(b load.Batch) error {
	columns := int64(0)
	for _, t := range b.Tables {
		columns += int64(len(t.Table.AllColumns()))
	}
	return w.fit(columns)
}

// fitWidest makes room for the widest table, whose rows may be those that a
// statement adds.
func (w *Warehouse) fitWidest(ctx context.Context) error {
	var columns int64
	err := w.writer.QueryRowContext(ctx, "SELECT coalesce(max(column_count), 0)::BIGINT FROM duckdb_tables()").Scan(&columns)
	if err != nil {
		return loadError(ctx, err)
	}
	return w.fit(columns)
}

// fit makes room for so many columns, if they are more than DuckDB's memory is
// for. A COMMIT that had none was seen to wait for ever. The caller holds the
// writer.
func (w *Warehouse) fit(columns int64) error {
	more := (columns-w.BatchColumns())*columnBytes - w.room
	if more <= 0 {
		return nil
	}
	if !makeRoom(more) {
		return fmt.Errorf("%w: %d columns need %d MiB of DuckDB's memory: set warehouse.memory to that, or declare the columns that are wanted", arbalest.ErrBusy, columns, columns*columnBytes>>20)
	}
	w.room += more
	return nil
}

// tableError makes an error one table's if another batch would not help it.
func tableError(table string, err error) error {
	if errors.Is(err, arbalest.ErrInvalid) {
		return &load.TableError{Table: table, Err: err}
	}
	return fmt.Errorf("load table %s: %w", table, err)
}

// table adds a table's part of a batch.
func (l *loading) table(tb *load.TableBatch) (load.Counts, error) {
	t, err := load.NewTally(tb)
	if err != nil {
		return load.Counts{}, err
	}
	existed, err := l.evolve(tb)
	if err != nil {
		return load.Counts{}, err
	}
	if !existed && !l.catalog.left[tb.Table.Name] {
		l.recent.made(tb.Table.Name)
	}
	rows := rowsOf(tb)
	var found []load.Twin
	if rows.total > 0 {
		if found, err = l.findRepeats(tb, rows); err != nil {
			return load.Counts{}, fmt.Errorf("find repeats: %w", err)
		}
	}
	if rows.keep, rows.kept = t.Judge(tb, found); rows.kept > 0 {
		if err := l.insert(tb, rows); err != nil {
			return load.Counts{}, fmt.Errorf("insert rows: %w", err)
		}
		l.recent.note(tb, rows)
	}
	l.journal.Loaded(tb, t)
	return t.Sum(), nil
}

// batchRows are the rows of a batch.
type batchRows struct {
	chunks      []int // rows of each
	total, kept int
	keep        [][]byte // as TableBatch.Keep, of those that are to be loaded
}

func rowsOf(tb *load.TableBatch) (r batchRows) {
	for _, c := range tb.Chunks {
		r.chunks = append(r.chunks, c.Rows)
		r.total += c.Rows
	}
	return r
}

// insert adds the rows that are kept. Columns of which the warehouse has a
// wider type than the batch are cast by DuckDB, which evolve has seen to.
func (l *loading) insert(tb *load.TableBatch, rows batchRows) error {
	columns := tb.Table.AllColumns()
	sources := make([]sourceColumn, len(columns), len(columns)+1)
	names := make([]string, len(columns))
	for i, c := range columns {
		sources[i] = sourceColumn{Name: c.Name, Type: c.Type, Vectors: vectorsOf(tb, i)}
		names[i] = ident(c.Name)
	}
	where := ""
	if rows.kept < rows.total {
		sources = append(sources, bitColumn(keepColumn, rows.keep, rows.chunks, true))
		where = " WHERE " + keepColumn
	}
	src, err := l.scanner.open(rows.chunks, sources)
	if err != nil {
		return err
	}
	defer src.close()
	list := strings.Join(names, ", ")
	n, err := l.tx.addRows(fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s%s", tableName(tb.Table.Name), list, list, src.from(), where))
	if err != nil {
		return err
	}
	if n != int64(rows.kept) {
		return fmt.Errorf("%w: DuckDB took %d of %d rows", arbalest.ErrCorrupt, n, rows.kept)
	}
	return nil
}

func vectorsOf(tb *load.TableBatch, column int) []*decode.Vector {
	vectors := make([]*decode.Vector, len(tb.Chunks))
	for k, c := range tb.Chunks {
		if c.Rows > 0 {
			vectors[k] = &c.Columns[column]
		} else {
			vectors[k] = &decode.Vector{Offsets: []int32{0}}
		}
	}
	return vectors
}

// bitColumn is a hidden column of bits for each chunk; absent is what a chunk
// without bits has.
func bitColumn(name string, bits [][]byte, chunks []int, absent bool) sourceColumn {
	c := sourceColumn{Name: name, Type: arbalest.Type{Kind: arbalest.Boolean}, Fill: absent}
	if bits == nil {
		return c
	}
	c.Vectors = make([]*decode.Vector, len(chunks))
	for k := range chunks {
		if bits[k] != nil {
			c.Vectors[k] = &decode.Vector{Bits: bits[k]}
		}
	}
	return c
}

// tableName names an event's table in SQL.
func tableName(table string) string { return "main." + ident(table) }
