package duckdb

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"arbalest"
	"arbalest/internal/decode"
	"arbalest/internal/load"
	"arbalest/internal/warehouse"
)

// A databaseTx is the transaction of a pipeline's step. The context's end stops
// its statements, but not within an Insert, which reads Go's memory.
type databaseTx struct {
	*transaction
	ctx     context.Context
	scanner *scanner
	wrote   bool
	failed  error // the first error: DuckDB would commit nothing, and not say so
	visited bool  // a Query is calling visit
}

// begin refuses a statement within a Query's visit.
func (tx *databaseTx) begin() error {
	if tx.visited {
		return tx.fail(fmt.Errorf("%w: a statement within a query's visit", arbalest.ErrInvalid))
	}
	if tx.failed != nil {
		return fmt.Errorf("the transaction has failed: %w", tx.failed)
	}
	return nil
}

func (tx *databaseTx) fail(err error) error {
	if tx.failed == nil {
		tx.failed = err
	}
	return err
}

// Exec implements warehouse.Tx.
func (tx *databaseTx) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	if err := tx.begin(); err != nil {
		return 0, err
	}
	tx.wrote = true
	n, err := tx.execute(ctx, sql, args)
	if err != nil {
		return 0, tx.fail(databaseError(ctx, err))
	}
	return n, nil
}

// isForbidden says of a statement that a transaction's holder may not run it:
// it ends the transaction, changes what all that use the writer find, or writes files.
func isForbidden(kind mapping.StatementType) bool {
	switch kind {
	case mapping.StatementTypeTransaction, mapping.StatementTypeAttach, mapping.StatementTypeDetach, mapping.StatementTypeSet, mapping.StatementTypeLoad,
		mapping.StatementTypePragma, mapping.StatementTypePrepare, mapping.StatementTypeExecute, mapping.StatementTypeExport, mapping.StatementTypeCopy:
		return true
	}
	return false
}

func (tx *databaseTx) execute(ctx context.Context, sql string, args []any) (rows int64, err error) {
	kind, err := kindOfStatement(tx.conn, sql)
	if err != nil {
		return 0, err
	}
	if isForbidden(kind) {
		return 0, fmt.Errorf("%w: this statement is not for a transaction: %.60s", arbalest.ErrInvalid, sql)
	}
	if kind == mapping.StatementTypeExplain {
		if err := checkCopy(sql); err != nil {
			return 0, err
		}
	}
	s, err := openStream(ctx, tx.conn, sql, args...)
	if err != nil {
		return 0, err
	}
	defer s.close()
	counts := mapping.ResultReturnType(*s.res) == mapping.ResultTypeChangedRows
	for {
		switch err := s.next(); {
		case errors.Is(err, io.EOF):
			return rows, nil
		case err != nil:
			return 0, err
		case counts:
			rows, _ = s.integer(0)
		}
	}
}

// Query implements warehouse.Tx.
func (tx *databaseTx) Query(ctx context.Context, sql string, visit func(values []any) error, args ...any) error {
	if err := tx.begin(); err != nil {
		return err
	}
	var stopped error // by visit, which is no error of the transaction
	err := selectValues(ctx, tx.conn, sql, args, func(values []any) error {
		tx.visited = true
		defer func() { tx.visited = false }()
		stopped = visit(values)
		return stopped
	})
	if err != nil && stopped == nil {
		return tx.fail(err)
	}
	return err
}

// Insert implements warehouse.Tx. DuckDB reads the vectors where they are.
func (tx *databaseTx) Insert(ctx context.Context, table string, columns []arbalest.Column, pages []warehouse.Page) (int64, error) {
	if err := tx.begin(); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	tx.wrote = true
	n, err := tx.insert(ctx, table, columns, pages)
	if err != nil {
		return 0, tx.fail(fmt.Errorf("insert into %s: %w", table, databaseError(ctx, err)))
	}
	return n, nil
}

func (tx *databaseTx) insert(ctx context.Context, table string, columns []arbalest.Column, pages []warehouse.Page) (int64, error) {
	names := (database{}).Dialect().Names(columns)
	if err := tx.takes(ctx, table, names, columns, pages); err != nil {
		return 0, err
	}
	rows, keep := make([]int, len(pages)), make([][]byte, len(pages))
	kept, total := int64(0), 0
	for k, p := range pages {
		if p.Rows > 0 && len(p.Columns) != len(columns) {
			return 0, fmt.Errorf("%w: page %d has %d columns, not %d", arbalest.ErrInvalid, k, len(p.Columns), len(columns))
		}
		if p.Keep != nil && len(p.Keep)*8 < p.Rows {
			return 0, fmt.Errorf("%w: page %d has %d bits for %d rows", arbalest.ErrInvalid, k, len(p.Keep)*8, p.Rows)
		}
		rows[k], keep[k] = p.Rows, p.Keep
		total += p.Rows
		for row := range p.Rows {
			if load.IsSet(p.Keep, row, true) {
				kept++
			}
		}
	}
	if kept == 0 {
		return 0, nil
	}
	sources := make([]sourceColumn, len(columns), len(columns)+1)
	list := ""
	for i, c := range columns {
		// The source's own names: the table's may be the hidden columns'.
		sources[i] = sourceColumn{Name: fmt.Sprintf("c%d", i), Type: c.Type, Vectors: pageVectors(pages, i)}
		if i > 0 {
			list += ", "
		}
		list += sources[i].Name
	}
	where := ""
	if kept < int64(total) {
		sources = append(sources, bitColumn(keepColumn, keep, rows, true))
		where = " WHERE " + keepColumn
	}
	src, err := tx.scanner.open(rows, sources)
	if err != nil {
		return 0, err
	}
	defer src.close()
	n, err := tx.addRows(fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s%s", table, names, list, src.from(), where))
	if err != nil {
		return 0, err
	}
	if n != kept {
		return 0, fmt.Errorf("%w: DuckDB took %d of %d rows", arbalest.ErrCorrupt, n, kept)
	}
	return n, nil
}

// takes says whether a table's columns hold the values of the pages exactly:
// DuckDB's INSERT would round them. Texts go into columns of all types that are
// not ours, such as UUID, as DuckDB reads them.
func (tx *databaseTx) takes(ctx context.Context, table, names string, columns []arbalest.Column, pages []warehouse.Page) error {
	s, err := openStream(ctx, tx.conn, fmt.Sprintf("SELECT column_type FROM (DESCRIBE SELECT %s FROM %s)", names, table))
	if err != nil {
		return err
	}
	i := 0
	return s.each(func() error {
		c := columns[i]
		text, _ := s.text(0)
		have, want := parseType(text), stored(c.Type)
		isText := want.Kind == arbalest.Varchar || want.Kind == arbalest.JSON
		if have == want || isText && (have.Kind == 0 || have.Kind == arbalest.Varchar || have.Kind == arbalest.JSON) {
			i++
			return nil
		}
		wide, err := load.Widest(have, want)
		if err != nil || wide != have {
			return fmt.Errorf("%w: column %s is %s in %s, which does not hold every %s", arbalest.ErrInvalid, c.Name, text, table, c.Type)
		}
		for k := range pages {
			if load.IsInexact(want, have) && pages[k].Rows > 0 && !load.IsExact(&pages[k].Columns[i], have) {
				return fmt.Errorf("%w: column %s is %s in %s, which does not hold all of these integers exactly", arbalest.ErrInvalid, c.Name, text, table)
			}
		}
		i++
		return nil
	})
}

func pageVectors(pages []warehouse.Page, column int) []*decode.Vector {
	vectors := make([]*decode.Vector, len(pages))
	for k, p := range pages {
		if p.Rows > 0 {
			vectors[k] = &p.Columns[column]
		} else {
			vectors[k] = &decode.Vector{Offsets: []int32{0}}
		}
	}
	return vectors
}

// Copy implements warehouse.Tx.
func (tx *databaseTx) Copy(ctx context.Context, table string, c warehouse.Copy) (warehouse.Copied, error) {
	if err := tx.begin(); err != nil {
		return warehouse.Copied{}, err
	}
	done, err := warehouse.Feed(ctx, c, func(pages []warehouse.Page) error {
		if c.NoLoad {
			return nil
		}
		_, err := tx.Insert(ctx, table, c.Columns, pages)
		return err
	})
	if err != nil {
		return done, tx.fail(fmt.Errorf("copy into %s: %w", table, err))
	}
	return done, nil
}
