package warehouse

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"arbalest"
	"arbalest/internal/load"
)

const (
	// loadLock is the lock of all that changes what loading made.
	loadLock = "load"
	// eventSchema is where event tables are, and booksSchema where the books of
	// loading are.
	eventSchema = "public"
	booksSchema = "arbalest"
)

// A Warehouse loads events into a Database that speaks PostgreSQL's SQL, of
// which it uses what Redshift has too. It implements load.Warehouse; its methods
// may be called at once, by any number of processes.
type Warehouse struct {
	db Database

	mu     sync.Mutex
	made   bool            // the books are there
	left   map[string]bool // tables that rows have left, as of the load leftAt
	leftAt string
}

var _ load.Warehouse = (*Warehouse)(nil)

// New returns the warehouse in a database. It does no I/O: the books are made
// by the first Load or Reset.
func New(db Database) *Warehouse { return &Warehouse{db: db} }

// Database returns what the warehouse is in, for pipelines.
func (w *Warehouse) Database() Database { return w.db }

// Close closes the database.
func (w *Warehouse) Close() error { return w.db.Close() }

// Load adds a batch in one transaction, as load.Warehouse says. A commit whose
// reply was lost is recognised by a token in the cursor's row. If the database
// stays away after that, or ctx ends, the error does not say that the batch is
// not in: Progress does.
func (w *Warehouse) Load(ctx context.Context, prev load.Progress, b load.Batch) ([]load.Counts, error) {
	return w.load(ctx, "", prev, b)
}

// load adds a batch to the tables that it names, with their books.
func (w *Warehouse) load(ctx context.Context, books string, prev load.Progress, b load.Batch) ([]load.Counts, error) {
	if err := w.makeBooks(ctx); err != nil {
		return nil, err
	}
	d := w.db.Dialect()
	tables := make([]load.TableBatch, len(b.Tables))
	for i := range b.Tables {
		tables[i] = d.fit(b.Tables[i])
	}
	token := "load " + rand.Text()
	var counts []load.Counts // of the attempt that came to its commit last
	var left map[string]bool
	err := w.db.Transact(ctx, loadLock, func(tx Tx) error {
		if err := holdsBooks(ctx, tx, books); err != nil {
			return err
		}
		l := &loading{ctx: ctx, tx: tx, dialect: d, books: books, journal: load.NewJournal(time.Now().UnixMicro())}
		have, last, err := l.cursor()
		if err != nil {
			return err
		}
		if last == token {
			return nil // an attempt before this one is in
		}
		if !have.SamePlace(prev) {
			return fmt.Errorf("%w: cursor is at commit %d and %d objects, not at %d and %d", arbalest.ErrExists, have.Commit, have.Objects, prev.Commit, prev.Objects)
		}
		if err := l.advance(have, b.Next, token); err != nil {
			return err
		}
		if l.left, err = w.leavers(l, last); err != nil {
			return err
		}
		left = l.left
		if counts, err = l.tables(tables); err != nil {
			return err
		}
		if err := l.remove(b.Removals); err != nil {
			return err
		}
		l.journal.Rejected(b.Rejected)
		for _, ledger := range l.journal.Ledgers() {
			if err := l.write(ledger); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.forget(err)
		return nil, fmt.Errorf("load into %s: %w", d.Name, err)
	}
	if books == "" {
		w.loaded(token, left)
	}
	return counts, nil
}

// loading is one attempt of a Load, or of what else changes tables.
type loading struct {
	ctx     context.Context
	tx      Tx
	dialect Dialect
	books   string // what the names of its books begin with: besideBooks, or nothing
	journal *load.Journal
	columns map[string]map[string]arbalest.Type // of the tables, as the database spells their names
	left    map[string]bool                     // those that rows have left
	staged  int                                 // how many stages there were
}

// of returns the same attempt with other books.
func (l *loading) of(books string) *loading {
	other := *l
	other.books = books
	return &other
}

// book names a book in SQL.
func (l *loading) book(name string) string { return booksSchema + "." + l.books + name }

// tables adds the tables' parts of a batch.
func (l *loading) tables(tables []load.TableBatch) ([]load.Counts, error) {
	names := make([]string, len(tables))
	for i := range tables {
		names[i] = l.dialect.Cut(tables[i].Table.Name)
	}
	if err := l.readColumns(names); err != nil {
		return nil, err
	}
	counts := make([]load.Counts, len(tables))
	for i := range tables {
		var err error
		if counts[i], err = l.table(&tables[i]); err != nil {
			return nil, tableError(load.LiveName(tables[i].Table.Name), err)
		}
	}
	return counts, nil
}

// tableError makes an error one table's if another batch would not help it.
func tableError(table string, err error) error {
	switch {
	case errors.Is(err, arbalest.ErrInvalid):
		return &load.TableError{Table: table, Err: err}
	case errors.Is(err, arbalest.ErrExists), errors.Is(err, arbalest.ErrUnknown):
		// Of a relation or column: to loaders it would say something else.
		return &load.TableError{Table: table, Err: fmt.Errorf("%w: %v", arbalest.ErrInvalid, err)}
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
	var twins []load.Twin
	if existed || l.left[tb.Table.Name] {
		if twins, err = l.findRepeats(tb); err != nil {
			return load.Counts{}, fmt.Errorf("find repeats: %w", err)
		}
	}
	if keep, rows := t.Judge(tb, twins); rows > 0 {
		if err := l.insert(l.tableName(tb.Table.Name), tb.Table.AllColumns(), pagesOf(tb, keep), int64(rows)); err != nil {
			return load.Counts{}, fmt.Errorf("insert rows: %w", err)
		}
	}
	l.journal.Loaded(tb, t)
	return t.Sum(), nil
}

// insert inserts pages, of which rows are kept. Columns of which the table has a
// wider type take the values as they are.
func (l *loading) insert(table string, columns []arbalest.Column, pages []Page, rows int64) error {
	n, err := l.tx.Insert(l.ctx, table, columns, pages)
	if err != nil {
		return err
	}
	if n != rows {
		return fmt.Errorf("%w: the database took %d of %d rows", arbalest.ErrCorrupt, n, rows)
	}
	return nil
}

func pagesOf(tb *load.TableBatch, keep [][]byte) (pages []Page) {
	for k, c := range tb.Chunks {
		if c.Rows > 0 {
			pages = append(pages, Page{Rows: c.Rows, Columns: c.Columns, Keep: load.BitsOf(keep, k)})
		}
	}
	return pages
}

// write inserts bookkeeping rows.
func (l *loading) write(ledger *load.Ledger) error {
	if ledger.Rows == 0 {
		return nil
	}
	err := l.insert(Qualified(booksSchema, l.books+ledger.Table), ledger.Columns, []Page{{Rows: ledger.Rows, Columns: ledger.Vectors}}, int64(ledger.Rows))
	if err != nil {
		return fmt.Errorf("write %s: %w", l.book(ledger.Table), err)
	}
	return nil
}

func (l *loading) exec(sql string, args ...any) error {
	_, err := l.tx.Exec(l.ctx, sql, args...)
	return err
}

// tableName spells an event's table in SQL.
func (l *loading) tableName(table string) string {
	return Qualified(eventSchema, l.dialect.Cut(table))
}
