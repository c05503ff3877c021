package warehouse

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"

	"arbalest"
	"arbalest/internal/load"
)

const (
	// BesidePrefix is what the names of tables begin with that are made beside the
	// live ones.
	BesidePrefix = load.BesidePrefix
	// besideBooks is what the names of their books begin with, in schema arbalest.
	besideBooks = "rebuild_"
)

// A shadow is the tables that are made beside the live ones, under names of their
// own (BesidePrefix). Of their cursor the first row has the plan as its event. Their
// commit point is that of a batch, as that of live tables.
type shadow struct{ w *Warehouse }

// Progress implements load.Shadow.
func (s shadow) Progress(ctx context.Context) (load.Progress, error) {
	if err := holdsBooks(ctx, s.w.db, besideBooks); err != nil {
		return load.Progress{}, err
	}
	p, _, err := readCursor(ctx, s.w.db, besideBooks)
	return p, err
}

// Load implements load.Shadow. A batch waits for those of the live tables, and they
// for it.
func (s shadow) Load(ctx context.Context, prev load.Progress, b load.Batch) ([]load.Counts, error) {
	return s.w.load(ctx, besideBooks, prev, b.Beside())
}

// Rows implements load.Shadow.
func (s shadow) Rows(ctx context.Context, table string, from, to int64, visit func(load.Row) error) error {
	return s.w.Rows(ctx, BesidePrefix+table, from, to, visit)
}

// Unloaded implements load.Shadow.
func (s shadow) Unloaded(ctx context.Context, table string, visit func(id string, time int64) error) error {
	return s.w.unloaded(ctx, besideBooks, table, visit)
}

// Beside implements load.Warehouse.
func (w *Warehouse) Beside(ctx context.Context, plan string) (load.Shadow, error) {
	err := w.change(ctx, func(live *loading) error {
		l := live.of(besideBooks)
		begun, err := isBegun(ctx, l.tx)
		if err != nil {
			return err
		}
		if begun {
			had := ""
			err := l.tx.Query(ctx, "SELECT event FROM "+l.book("cursor")+" WHERE table_name IS NULL", func(v []any) error {
				had, _ = v[0].(string)
				return nil
			})
			if err != nil || had == plan {
				return err
			}
			if err := l.dropBeside(); err != nil {
				return err
			}
		}
		if plan == "" {
			return nil
		}
		for _, statement := range l.dialect.bookTables(besideBooks) {
			if err := l.exec(statement); err != nil {
				return err
			}
		}
		return l.exec("INSERT INTO "+l.book("cursor")+` (table_name, "commit", objects, event) VALUES (NULL, 0, 0, $1)`, plan)
	})
	if err != nil || plan == "" {
		return nil, err
	}
	return shadow{w}, nil
}

// Swap implements load.Warehouse. It waits for the queries that read the tables,
// and those that come meanwhile wait for it.
func (w *Warehouse) Swap(ctx context.Context, part load.Part, tables ...string) error {
	token := "swap " + rand.Text()
	return w.change(ctx, func(l *loading) error {
		have, last, err := l.cursor()
		if err != nil || last == token { // an attempt before this one is in
			return err
		}
		if err := holdsBooks(ctx, l.tx, besideBooks); err != nil {
			return err
		}
		beside := l.of(besideBooks)
		come, _, err := beside.cursor()
		if err != nil {
			return err
		}
		if err := come.HoldsSwap(have); err != nil {
			return err
		}
		if !part.IsAll() {
			if err := l.swapPart(beside, have, part, tables); err != nil {
				return err
			}
			return l.advance(have, have, token)
		}
		made, err := beside.made()
		if err != nil {
			return err
		}
		next := load.Progress{Cursor: have.Cursor, Stalled: maps.Clone(have.Stalled)}
		if len(tables) == 0 {
			if err := l.clear(have); err != nil {
				return err
			}
			next.Stalled = nil
		}
		for _, table := range append(made, tables...) {
			if err := l.resetTable(table); err != nil {
				return fmt.Errorf("replace %s: %w", table, err)
			}
			delete(next.Stalled, table)
		}
		for _, table := range made {
			if err := l.exec(fmt.Sprintf("ALTER TABLE %s RENAME TO %s", l.tableName(BesidePrefix+table), Ident(l.dialect.Cut(table)))); err != nil {
				return fmt.Errorf("replace %s: %w", table, err)
			}
		}
		if err := l.takeBooks(beside); err != nil {
			return err
		}
		if err := beside.dropBooks(); err != nil {
			return err
		}
		return l.advance(have, next, token)
	})
}

// isBegun says whether there are tables beside.
func isBegun(ctx context.Context, q querier) (begun bool, err error) {
	err = q.Query(ctx, "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'arbalest' AND table_name = '"+besideBooks+"cursor'", func(v []any) error {
		n, _ := v[0].(int64)
		begun = n > 0
		return nil
	})
	return begun, err
}

// holdsBooks holds that books are there: those beside may be gone.
func holdsBooks(ctx context.Context, q querier, books string) error {
	if books != besideBooks {
		return nil
	}
	begun, err := isBegun(ctx, q)
	if err == nil && !begun {
		err = fmt.Errorf("%w: no tables are being made beside the live ones: another rebuild has swapped or dropped them", arbalest.ErrUnknown)
	}
	return err
}

// takeBooks adds the rows of other books.
func (l *loading) takeBooks(other *loading) error {
	books := map[string]string{"tables": "table_name, event, version, created_at"}
	for _, ledger := range load.NewJournal(0).Ledgers() {
		books[ledger.Table] = l.dialect.Names(ledger.Columns)
	}
	for book, columns := range books {
		if err := l.exec(fmt.Sprintf("INSERT INTO %s (%s) SELECT %[2]s FROM %s", l.book(book), columns, other.book(book))); err != nil {
			return fmt.Errorf("replace rows of %s: %w", l.book(book), err)
		}
	}
	return nil
}

// made returns the tables that were made.
func (l *loading) made() (tables []string, err error) {
	err = l.tx.Query(l.ctx, "SELECT DISTINCT table_name FROM "+l.book("tables")+" ORDER BY table_name", func(v []any) error {
		table, _ := v[0].(string)
		tables = append(tables, table)
		return nil
	})
	return tables, err
}

// dropBeside drops what is beside the live tables.
func (l *loading) dropBeside() error {
	made, err := l.made()
	if err != nil {
		return err
	}
	for _, table := range made {
		if err := l.drop(BesidePrefix + table); err != nil {
			return err
		}
	}
	return l.dropBooks()
}

func (l *loading) dropBooks() error {
	for _, book := range append([]string{"cursor"}, bookedTables[:]...) {
		if err := l.exec("DROP TABLE IF EXISTS " + l.book(book)); err != nil {
			return err
		}
	}
	return nil
}
