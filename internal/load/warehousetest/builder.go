package warehousetest

import (
	"fmt"
	"math/big"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/decode"
	"arbalest/internal/load"
)

// Col returns a column of a type as ParseType reads it. It panics if that
// cannot.
func Col(name, kind string) arbalest.Column {
	t, err := arbalest.ParseType(kind)
	if err != nil {
		panic(err)
	}
	return arbalest.Column{Name: name, Path: []string{name}, Type: t}
}

// Declared returns a declared table of an event.
func Declared(event string, columns ...arbalest.Column) arbalest.Table {
	name := arbalest.EventName(event)
	return arbalest.Table{Name: name.Table(), Event: name, Declared: true, Version: 1, Columns: columns}
}

// Inferred returns a table of an event that was not declared: it has the
// column properties.
func Inferred(event string, columns ...arbalest.Column) arbalest.Table {
	t := Declared(event, columns...)
	t.Declared = false
	return t
}

// A Row is an event on its way into a table.
type Row struct {
	ID        string
	Time      string // as time.RFC3339Nano
	Received  string // a second after Time if empty, and Time itself if ByReceipt
	Hash      string // 16 zeros if empty
	ByReceipt bool
	// Values are those of the table's columns and, if it was not declared, the
	// properties: nil for NULL, else bool, int, float64 or, for DECIMAL, times
	// and text, string.
	Values []any
}

// An Object is one object of a batch.
type Object struct {
	Commit arbalest.Seq
	Rows   []Row
	Errors []decode.LoadError // Object and Time are filled in
}

// Micros reads a time of RFC 3339 in microseconds. It panics if it cannot.
func Micros(s string) int64 {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t.UnixMicro()
}

// Batch makes a table's part of a batch, in chunks of at most chunkRows rows.
// An object's hour is that of its first row or error.
func Batch(table arbalest.Table, chunkRows int, objects ...Object) load.TableBatch {
	b := load.TableBatch{Table: table}
	var rows []Row
	var places []decode.LoadError // object and line of each row
	for i, o := range objects {
		at := int64(0)
		if len(o.Rows) > 0 {
			at = Micros(o.Rows[0].Time)
		}
		hour := arbalest.HourOfUnix(at / 1_000_000)
		line := int64(0)
		for _, r := range o.Rows {
			line++
			rows, places = append(rows, r), append(places, decode.LoadError{Object: int32(i), Line: line})
		}
		stored := line
		for _, e := range o.Errors {
			if !e.Loaded {
				stored++
			}
		}
		b.Objects = append(b.Objects, load.ObjectRef{Commit: o.Commit, Object: arbalest.Object{
			Key: arbalest.Partition{Event: table.Event, Hour: hour}.Prefix() + arbalest.Key(fmt.Sprintf("%s-%d.ndjson", o.Commit, i)), Event: table.Event, Hour: hour, Events: stored,
		}})
	}
	for from := 0; from < len(rows); from += chunkRows {
		to := min(from+chunkRows, len(rows))
		addChunk(&b, rows[from:to], places[from:to])
	}
	if len(b.Chunks) == 0 {
		addChunk(&b, nil, nil)
	}
	for i, o := range objects {
		for _, e := range o.Errors {
			e.Object = int32(i)
			if e.Time == 0 && e.ID != "" {
				e.Time = b.Objects[i].Hour.Time().UnixMicro()
			}
			b.Chunks[0].Errors = append(b.Chunks[0].Errors, e)
		}
	}
	return load.FindRepeats(b)
}

func addChunk(b *load.TableBatch, rows []Row, places []decode.LoadError) {
	columns := b.Table.AllColumns()
	c := &decode.Chunk{Rows: len(rows), Columns: make([]decode.Vector, len(columns))}
	for i, col := range columns {
		c.Columns[i].Type = col.Type
		if isText(col.Type.Kind) {
			c.Columns[i].Offsets = []int32{0}
		}
	}
	for k, r := range rows {
		at, received, hash := Micros(r.Time), int64(0), r.Hash
		switch {
		case r.Received != "":
			received = Micros(r.Received)
		case r.ByReceipt:
			received = at
		default:
			received = at + 1_000_000
		}
		if hash == "" {
			hash = "0000000000000000"
		}
		for i, v := range append([]any{r.ID, at, received, hash}, r.Values...) {
			appendValue(&c.Columns[i], k, v)
		}
		c.Object, c.Line = append(c.Object, places[k].Object), append(c.Line, places[k].Line)
	}
	b.Chunks = append(b.Chunks, c)
}

func isText(k arbalest.Kind) bool {
	return k == arbalest.Varchar || k == arbalest.Char || k == arbalest.JSON
}

// appendValue adds a value to a vector that has row values already. It panics if
// the value is not of the vector's type.
func appendValue(v *decode.Vector, row int, value any) {
	v.Valid = appendBit(v.Valid, row, value != nil)
	if value == nil {
		v.Nulls++
	}
	switch v.Type.Kind {
	case arbalest.Boolean:
		b, _ := value.(bool)
		v.Bits = appendBit(v.Bits, row, b)
	case arbalest.SmallInt:
		v.Int16 = append(v.Int16, int16(integer(value)))
	case arbalest.Integer:
		v.Int32 = append(v.Int32, int32(integer(value)))
	case arbalest.BigInt:
		v.Int64 = append(v.Int64, integer(value))
	case arbalest.Date:
		v.Int32 = append(v.Int32, int32(instant(value, "2006-01-02")/(24*3600*1_000_000)))
	case arbalest.Timestamp, arbalest.TimestampTZ:
		v.Int64 = append(v.Int64, instant(value, time.RFC3339Nano))
	case arbalest.Decimal:
		v.Int128 = append(v.Int128, decimal(value, v.Type.Scale))
	case arbalest.Real:
		f, _ := value.(float64)
		v.Float32 = append(v.Float32, float32(f))
	case arbalest.Double:
		f, _ := value.(float64)
		v.Float64 = append(v.Float64, f)
	default:
		s, _ := value.(string)
		v.Data = append(v.Data, s...)
		v.Offsets = append(v.Offsets, int32(len(v.Data)))
	}
}

func integer(value any) int64 {
	switch n := value.(type) {
	case nil:
		return 0
	case int:
		return int64(n)
	case int64:
		return n
	}
	panic(fmt.Sprintf("%T is not an integer", value))
}

func instant(value any, layout string) int64 {
	switch s := value.(type) {
	case nil:
		return 0
	case int64:
		return s
	case string:
		t, err := time.Parse(layout, s)
		if err != nil {
			panic(err)
		}
		return t.UnixMicro()
	}
	panic(fmt.Sprintf("%T is not a time", value))
}

// decimal reads a decimal with at most scale digits behind its point.
func decimal(value any, scale int) decode.Int128 {
	s, _ := value.(string)
	whole, frac, _ := strings.Cut(s, ".")
	n := new(big.Int)
	if value != nil {
		if _, ok := n.SetString(whole+frac+strings.Repeat("0", scale-len(frac)), 10); !ok {
			panic("not a decimal: " + s)
		}
	}
	low := new(big.Int).And(n, new(big.Int).SetUint64(^uint64(0)))
	return decode.Int128{Lo: low.Uint64(), Hi: new(big.Int).Rsh(n, 64).Int64()}
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
