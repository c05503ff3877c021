package load

import (
	"arbalest"
	"arbalest/internal/decode"
)

// A Ledger is bookkeeping rows on their way into a table of schema arbalest, as
// columns: they go in as events do.
type Ledger struct {
	Table   string // without the schema
	Columns []arbalest.Column
	Vectors []decode.Vector // of each column
	Rows    int
}

// A field is a column of a ledger.
type field struct {
	name string
	kind arbalest.Kind
}

func newLedger(table string, fields ...field) *Ledger {
	l := &Ledger{Table: table}
	for _, f := range fields {
		v := decode.Vector{Type: arbalest.Type{Kind: f.kind}}
		if f.kind == arbalest.Varchar {
			v.Offsets = []int32{0}
		}
		l.Columns, l.Vectors = append(l.Columns, arbalest.Column{Name: f.name, Type: v.Type}), append(l.Vectors, v)
	}
	return l
}

// add adds a row: for each field a string, an int64, a bool, or nil for NULL.
func (l *Ledger) add(values ...any) {
	for i, value := range values {
		v := &l.Vectors[i]
		v.Valid = appendBit(v.Valid, l.Rows, value != nil)
		if value == nil {
			v.Nulls++
		}
		switch v.Type.Kind {
		case arbalest.Varchar:
			if s, ok := value.(string); ok {
				v.Data = append(v.Data, s...)
			}
			v.Offsets = append(v.Offsets, int32(len(v.Data)))
		case arbalest.Boolean:
			b, _ := value.(bool)
			v.Bits = appendBit(v.Bits, l.Rows, b)
		default:
			n, _ := value.(int64)
			v.Int64 = append(v.Int64, n)
		}
	}
	l.Rows++
}

// orNull returns s, or nil for NULL if it is empty.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}
