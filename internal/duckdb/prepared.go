package duckdb

import (
	"context"
	"fmt"

	"github.com/duckdb/duckdb-go/v2/mapping"
)

// Parameters returns the types of a statement's parameters, $1 first, "" where
// the statement does not say. The statement is one as Query takes them, and the
// errors are Query's.
func (w *Warehouse) Parameters(ctx context.Context, query string) ([]string, error) {
	var types []string
	err := w.inspect(ctx, query, func(_ *guest, s statement) error {
		for _, t := range s.parameters {
			types = append(types, nameOfType(t))
		}
		return nil
	})
	return types, err
}

// Columns returns the columns that a statement's result will have. Parameters
// are NULL for that: cast each to its type in the statement.
func (w *Warehouse) Columns(ctx context.Context, query string) ([]Column, error) {
	var columns []Column
	err := w.inspect(ctx, query, func(g *guest, s statement) (err error) {
		columns, err = s.describe(ctx, g)
		return err
	})
	return columns, err
}

func (w *Warehouse) inspect(ctx context.Context, query string, then func(*guest, statement) error) error {
	g, err := w.guest(ctx)
	if err != nil {
		return err
	}
	defer g.leave()
	s, err := inspect(g, query)
	if err == nil {
		err = then(g, s)
	}
	if err != nil {
		return queryError(ctx, err)
	}
	return nil
}

// nameOfType returns the name of a type without parts, "" of others.
func nameOfType(t mapping.Type) string {
	return map[mapping.Type]string{
		mapping.TypeBoolean: "BOOLEAN", mapping.TypeTinyInt: "TINYINT", mapping.TypeSmallInt: "SMALLINT", mapping.TypeInteger: "INTEGER",
		mapping.TypeBigInt: "BIGINT", mapping.TypeUTinyInt: "UTINYINT", mapping.TypeUSmallInt: "USMALLINT", mapping.TypeUInteger: "UINTEGER",
		mapping.TypeUBigInt: "UBIGINT", mapping.TypeHugeInt: "HUGEINT", mapping.TypeUHugeInt: "UHUGEINT",
		mapping.TypeFloat: "FLOAT", mapping.TypeDouble: "DOUBLE", mapping.TypeDecimal: "DECIMAL(38,9)",
		mapping.TypeVarchar: "VARCHAR", mapping.TypeBlob: "BLOB", mapping.TypeUUID: "UUID", mapping.TypeInterval: "INTERVAL",
		mapping.TypeDate: "DATE", mapping.TypeTime: "TIME", mapping.TypeTimeTZ: "TIME WITH TIME ZONE",
		mapping.TypeTimestamp: "TIMESTAMP", mapping.TypeTimestampS: "TIMESTAMP", mapping.TypeTimestampMS: "TIMESTAMP", mapping.TypeTimestampNS: "TIMESTAMP",
		mapping.TypeTimestampTZ: "TIMESTAMP WITH TIME ZONE",
	}[t]
}

// Attach makes a database in memory that queries see beside the warehouse, and
// runs the statements that fill it, in it. It is there until the warehouse is
// closed.
func (w *Warehouse) Attach(ctx context.Context, name string, statements []string) error {
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect to DuckDB: %w", loadError(ctx, err))
	}
	defer conn.Close()
	all := append([]string{"ATTACH ':memory:' AS " + ident(name), "USE " + ident(name)}, statements...)
	for _, statement := range append(all, "USE "+catalog) {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			_, _ = conn.ExecContext(context.WithoutCancel(ctx), "USE "+catalog)
			return fmt.Errorf("attach %s: %.80s: %w", name, statement, loadError(ctx, err))
		}
	}
	return nil
}
