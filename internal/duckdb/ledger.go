package duckdb

import (
	"fmt"
	"strings"

	"arbalest"
	"arbalest/internal/decode"
)

// A ledger is bookkeeping rows on their way into a table of schema arbalest.
// They go in as events do, in one statement: 45,000 rows take some 50 ms.
type ledger struct {
	table   string
	columns []sourceColumn
	rows    int
}

// A field is a column of a ledger.
type field struct {
	name string
	kind arbalest.Kind
}

func newLedger(table string, fields ...field) *ledger {
	l := &ledger{table: table}
	for _, f := range fields {
		v := &decode.Vector{}
		if f.kind == arbalest.Varchar {
			v.Offsets = []int32{0}
		}
		l.columns = append(l.columns, sourceColumn{Name: f.name, Type: arbalest.Type{Kind: f.kind}, Vectors: []*decode.Vector{v}})
	}
	return l
}

// add adds a row: for each field a string, an int64, a bool, or nil for NULL.
func (l *ledger) add(values ...any) {
	for i, value := range values {
		v := l.columns[i].Vectors[0]
		v.Valid = appendBit(v.Valid, l.rows, value != nil)
		if value == nil {
			v.Nulls++
		}
		switch l.columns[i].Type.Kind {
		case arbalest.Varchar:
			if s, ok := value.(string); ok {
				v.Data = append(v.Data, s...)
			}
			v.Offsets = append(v.Offsets, int32(len(v.Data)))
		case arbalest.Boolean:
			b, _ := value.(bool)
			v.Bits = appendBit(v.Bits, l.rows, b)
		default:
			n, _ := value.(int64)
			v.Int64 = append(v.Int64, n)
		}
	}
	l.rows++
}

func appendBit(bits []byte, row int, set bool) []byte {
	if row%8 == 0 {
		bits = append(bits, 0)
	}
	if set {
		bits[row/8] |= 1 << (row % 8)
	}
	return bits
}

// write inserts the rows.
func (l *ledger) write(tx *transaction, s *scanner) error {
	if l.rows == 0 {
		return nil
	}
	src, err := s.open([]int{l.rows}, l.columns)
	if err != nil {
		return fmt.Errorf("write arbalest.%s: %w", l.table, err)
	}
	defer src.close()
	names := make([]string, len(l.columns))
	for i, c := range l.columns {
		names[i] = ident(c.Name)
	}
	list := strings.Join(names, ", ")
	n, err := tx.count(fmt.Sprintf(`INSERT INTO arbalest.%s (%s) SELECT %s FROM %s`, l.table, list, list, src.from()))
	if err != nil {
		return fmt.Errorf("write arbalest.%s: %w", l.table, err)
	}
	if n != int64(l.rows) {
		return fmt.Errorf("%w: wrote %d of %d rows of arbalest.%s", arbalest.ErrCorrupt, n, l.rows, l.table)
	}
	return nil
}

// orNull returns s, or nil for NULL if it is empty.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}
