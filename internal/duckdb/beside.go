package duckdb

import (
	"context"
	"database/sql"
	"fmt"
	"maps"

	"arbalest"
	"arbalest/internal/load"
)

// bookedTables are the books that have rows of tables.
var bookedTables = [...]string{"journal", "load_errors", "conflicts", "erased", "tables"}

// tableBooks are the books of live tables: those, and what is known of what left.
func tableBooks() []string {
	books := bookedTables[:]
	for _, l := range load.TierBooks() {
		books = append(books, l.Table)
	}
	return books
}

// A shadow is the tables that are made beside the live ones. They are in schema main
// under names of their own (load.BesidePrefix), and their books in schema arbalest
// (besideBooks), of which cursor's first row has the plan as its event. Their
// commit point is that of a batch, as that of live tables.
type shadow struct{ w *Warehouse }

// Progress implements load.Shadow.
func (s shadow) Progress(ctx context.Context) (load.Progress, error) {
	conn, err := s.w.db.Conn(ctx)
	if err != nil {
		return load.Progress{}, fmt.Errorf("read cursor: %w", loadError(ctx, err))
	}
	defer conn.Close()
	tx := &transaction{ctx, ctx.Err, conn, besideBooks, s.w.warm}
	if err := tx.holdsBooks(); err != nil {
		return load.Progress{}, err
	}
	return tx.progress()
}

// Load implements load.Shadow.
func (s shadow) Load(ctx context.Context, prev load.Progress, b load.Batch) ([]load.Counts, error) {
	return s.w.load(ctx, besideBooks, prev, b.Beside())
}

// Rows implements load.Shadow.
func (s shadow) Rows(ctx context.Context, table string, from, to int64, visit func(load.Row) error) error {
	return s.w.Rows(ctx, load.BesidePrefix+table, from, to, visit)
}

// Unloaded implements load.Shadow.
func (s shadow) Unloaded(ctx context.Context, table string, visit func(id string, time int64) error) error {
	return s.w.unloaded(ctx, besideBooks, table, visit)
}

// Beside implements load.Warehouse.
func (w *Warehouse) Beside(ctx context.Context, plan string) (load.Shadow, error) {
	err := w.reset(ctx, func(live *transaction) error {
		tx := live.of(besideBooks)
		begun, err := tx.isBegun()
		if err != nil {
			return err
		}
		if begun {
			had := ""
			if err := tx.each(func(scan func(...any) error) error { return scan(&had) }, "SELECT event FROM "+tx.book("cursor")+" WHERE table_name IS NULL"); err != nil {
				return err
			}
			if had == plan {
				return nil
			}
			if err := tx.drop(); err != nil {
				return err
			}
		}
		if plan == "" {
			return nil
		}
		for _, statement := range bookTables(besideBooks) {
			if err := tx.exec(statement); err != nil {
				return err
			}
		}
		return tx.exec("INSERT INTO "+tx.book("cursor")+" VALUES (NULL, 0, 0, ?, NULL, NULL)", plan)
	})
	if err != nil || plan == "" {
		return nil, err
	}
	return shadow{w}, nil
}

// Swap implements load.Warehouse. Queries that run read the tables that were there
// when they began: DuckDB keeps them until then.
func (w *Warehouse) Swap(ctx context.Context, part load.Part, tables ...string) error {
	return w.reset(ctx, func(tx *transaction) error {
		beside := tx.of(besideBooks)
		if err := beside.holdsBooks(); err != nil {
			return err
		}
		have, err := tx.progress()
		if err != nil {
			return err
		}
		come, err := beside.progress()
		if err != nil {
			return err
		}
		if err := come.HoldsSwap(have); err != nil {
			return err
		}
		if !part.IsAll() {
			return w.swapPart(ctx, tx, have, part, tables)
		}
		made, err := beside.made()
		if err != nil {
			return err
		}
		before, err := tx.relations()
		if err != nil {
			return err
		}
		next := load.Progress{Cursor: have.Cursor, Stalled: maps.Clone(have.Stalled)}
		if len(tables) == 0 {
			if err := tx.clear(have); err != nil {
				return err
			}
			next.Stalled = nil
		}
		for _, table := range append(made, tables...) {
			if err := tx.resetTable(table); err != nil {
				return fmt.Errorf("replace %s: %w", table, err)
			}
			delete(next.Stalled, table)
		}
		for _, table := range made {
			if err := tx.exec(fmt.Sprintf("ALTER TABLE %s RENAME TO %s", tableName(load.BesidePrefix+table), ident(table))); err != nil {
				return fmt.Errorf("replace %s: %w", table, err)
			}
			if before[table+allSuffix].isOurs() {
				if err := tx.showAll(table); err != nil {
					return fmt.Errorf("replace %s: %w", table, err)
				}
			}
		}
		for _, book := range bookedTables {
			if err := tx.exec(fmt.Sprintf("INSERT INTO %s BY NAME SELECT * FROM %s", tx.book(book), beside.book(book))); err != nil {
				return fmt.Errorf("replace rows of arbalest.%s: %w", book, err)
			}
		}
		if err := beside.dropBooks(); err != nil {
			return err
		}
		return tx.advance(have, next)
	})
}

// isBegun says whether there are tables beside.
func (tx *transaction) isBegun() (begun bool, err error) {
	err = tx.each(func(scan func(...any) error) error { return scan(&begun) },
		`SELECT count(*) > 0 FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = 'arbalest' AND table_name = ?`, besideBooks+"cursor")
	return begun, err
}

// holdsBooks holds that the books are there: those beside may be gone.
func (tx *transaction) holdsBooks() error {
	if tx.books != besideBooks {
		return nil
	}
	begun, err := tx.isBegun()
	if err == nil && !begun {
		err = fmt.Errorf("%w: no tables are being made beside the live ones: another rebuild has swapped or dropped them", arbalest.ErrUnknown)
	}
	return err
}

// made returns the tables that were made.
func (tx *transaction) made() (tables []string, err error) {
	err = tx.each(func(scan func(...any) error) error {
		var table sql.NullString
		err := scan(&table)
		tables = append(tables, table.String)
		return err
	}, "SELECT DISTINCT table_name FROM "+tx.book("tables")+" ORDER BY table_name")
	return tables, err
}

// drop drops what is beside the live tables.
func (tx *transaction) drop() error {
	made, err := tx.made()
	if err != nil {
		return err
	}
	for _, table := range made {
		if err := tx.exec("DROP TABLE IF EXISTS " + tableName(load.BesidePrefix+table)); err != nil {
			return err
		}
	}
	return tx.dropBooks()
}

func (tx *transaction) dropBooks() error {
	for _, book := range append([]string{"cursor"}, bookedTables[:]...) {
		if err := tx.exec("DROP TABLE IF EXISTS " + tx.book(book)); err != nil {
			return err
		}
	}
	return nil
}
