package duckdb

import (
	"context"
	"math"
	"time"

	"arbalest"
	"arbalest/internal/load"
	"arbalest/internal/warehouse"
)

// swapPart replaces a part's hours by what is beside, and drops that. The caller
// holds the writer.
func (w *Warehouse) swapPart(ctx context.Context, tx *transaction, have load.Progress, part load.Part, tables []string) error {
	if err := w.fitWidest(ctx); err != nil {
		return err
	}
	known, err := tx.events(have)
	if err != nil {
		return err
	}
	there, err := tx.tables()
	if err != nil {
		return err
	}
	at := time.Now()
	l := &loading{tx: tx, catalog: there, journal: load.NewJournal(at.UnixMicro())}
	dialect := w.Database().Dialect()
	dialect.MaxName = math.MaxInt // loading keeps no limit
	s := warehouse.PartSwap{Ctx: ctx, Tx: &databaseTx{ctx: ctx, scanner: w.scanner, transaction: tx}, Dialect: dialect, Schema: "main", Part: part, Live: have, Known: known, At: at,
		Columns: func(table string) (map[string]arbalest.Type, error) { return there.columns[table], nil },
		Evolve: func(t arbalest.Table) error {
			_, err := l.evolve(&load.TableBatch{Table: t})
			return err
		},
		Back: tx.showAgain,
	}
	if err := s.Swap(tables...); err != nil {
		return err
	}
	if err := tx.of(besideBooks).drop(); err != nil {
		return err
	}
	return tx.advance(have, have)
}
