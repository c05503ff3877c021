package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"arbalest"
	"arbalest/internal/load"
	"arbalest/internal/warehouse"
)

// casts says how the values of columns, which are in c0, c1, …, become those of
// a table, and whether they are the same as they are: binary COPY asks for no
// types, and would take a BIGINT's bytes for a TIMESTAMP. The error wraps
// arbalest.ErrInvalid if the table does not hold every value exactly: an INSERT
// would round them. Texts go into columns of all types that are not ours, such
// as UUID, as the server reads them.
func (tx *transaction) casts(ctx context.Context, table string, columns []arbalest.Column, pages []warehouse.Page) (casts []string, same bool, err error) {
	result := tx.conn.ExecParams(ctx, fmt.Sprintf("SELECT %s FROM %s LIMIT 0", tx.db.Dialect().Names(columns), table), nil, nil, nil, nil)
	fields := slices.Clone(result.FieldDescriptions()) // the next statement's are in the same memory
	if _, err := result.Close(); err != nil {
		return nil, false, tx.db.wrap(ctx, err)
	}
	same = true
	for i, f := range fields {
		c := columns[i]
		have, want := fieldType(f), plain(c.Type)
		casts = append(casts, fmt.Sprintf("c%d", i))
		if have == want {
			continue
		}
		isText := want.Kind == arbalest.Varchar || want.Kind == arbalest.JSON
		if isText && have.Kind == want.Kind { // the server holds a VARCHAR to its length
			continue
		}
		same = false
		if isText && (have.Kind == 0 || have.Kind == arbalest.Varchar || have.Kind == arbalest.JSON) {
			name := ""
			err := tx.Query(ctx, "SELECT format_type($1::oid, $2::int)", func(v []any) error {
				name, _ = v[0].(string)
				return nil
			}, int64(f.DataTypeOID), int64(f.TypeModifier))
			if err != nil {
				return nil, false, err
			}
			casts[i] = fmt.Sprintf("CAST(CAST(c%d AS text) AS %s)", i, name)
			continue
		}
		if err := holds(have, want, i, pages); err != nil {
			return nil, false, fmt.Errorf("column %s, %s: %w", c.Name, c.Type, err)
		}
	}
	return casts, same, nil
}

// holds says whether a column of the table, of one type, holds every value of
// column i of the pages, of another.
func holds(have, want arbalest.Type, i int, pages []warehouse.Page) error {
	wide, err := load.Widest(have, want)
	if err != nil || wide != have {
		return fmt.Errorf("%w: the table's column is of a type that does not hold all of its values", arbalest.ErrInvalid)
	}
	if !load.IsInexact(want, have) {
		return nil
	}
	for _, p := range pages {
		if p.Rows > 0 && !load.IsExact(&p.Columns[i], have) {
			return fmt.Errorf("%w: the table's column is %s, which does not hold all of these integers exactly", arbalest.ErrInvalid, have)
		}
	}
	return nil
}

// plain is a type without lengths.
func plain(t arbalest.Type) arbalest.Type {
	switch t.Kind {
	case arbalest.Char, arbalest.Varchar:
		return arbalest.Type{Kind: arbalest.Varchar}
	case arbalest.Decimal:
		return arbalest.Type{Kind: t.Kind, Precision: t.Precision, Scale: t.Scale}
	}
	return arbalest.Type{Kind: t.Kind}
}

// fieldType returns the type of a table's column, without lengths; the zero Type
// if it is none of ours.
func fieldType(f pgconn.FieldDescription) arbalest.Type {
	kind := map[uint32]arbalest.Kind{
		oidBool: arbalest.Boolean, oidInt2: arbalest.SmallInt, oidInt4: arbalest.Integer, oidInt8: arbalest.BigInt, oidNumeric: arbalest.Decimal,
		oidFloat4: arbalest.Real, oidFloat8: arbalest.Double, oidText: arbalest.Varchar, oidVarchar: arbalest.Varchar, oidDate: arbalest.Date,
		oidTimestamp: arbalest.Timestamp, oidTimestampTZ: arbalest.TimestampTZ, oidJSON: arbalest.JSON,
	}[f.DataTypeOID]
	if m := f.TypeModifier; kind != arbalest.Decimal {
		return arbalest.Type{Kind: kind}
	} else if m >= 4 { // numeric.c, make_numeric_typmod
		return arbalest.Type{Kind: kind, Precision: int(m-4) >> 16, Scale: int(m-4) & 0x7ff}
	}
	// A numeric of any digits holds all of ours.
	return arbalest.Type{Kind: kind, Precision: 76, Scale: 38}
}
