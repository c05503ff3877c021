package duckdb

import (
	"fmt"
	"strings"

	"arbalest"
	"arbalest/internal/decode"
	"arbalest/internal/load"
)

// writeLedger inserts bookkeeping rows. They go in as events do, in one
// statement: 45,000 rows take some 50 ms.
func writeLedger(tx *transaction, s *scanner, l *load.Ledger) error {
	if l.Rows == 0 {
		return nil
	}
	sources, names := make([]sourceColumn, len(l.Columns)), make([]string, len(l.Columns))
	for i, c := range l.Columns {
		sources[i] = sourceColumn{Name: c.Name, Type: c.Type, Vectors: []*decode.Vector{&l.Vectors[i]}}
		names[i] = ident(c.Name)
	}
	src, err := s.open([]int{l.Rows}, sources)
	if err != nil {
		return fmt.Errorf("write %s: %w", tx.book(l.Table), err)
	}
	defer src.close()
	list := strings.Join(names, ", ")
	n, err := tx.addRows(fmt.Sprintf(`INSERT INTO %s (%s) SELECT %s FROM %s`, tx.book(l.Table), list, list, src.from()))
	if err != nil {
		return fmt.Errorf("write %s: %w", tx.book(l.Table), err)
	}
	if n != int64(l.Rows) {
		return fmt.Errorf("%w: wrote %d of %d rows of %s", arbalest.ErrCorrupt, n, l.Rows, tx.book(l.Table))
	}
	return nil
}
