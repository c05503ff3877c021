// Package decode turns JSON lines into typed columns, in one pass and without
// the standard library's any: numbers keep their text until their column's type
// is known, and every value that does not fit is reported with its place.
//
// It stores nothing. A Decoder is made for one table; Decode may be called by
// many goroutines at once, each for a block of lines, and gives a Chunk, whose
// vectors are laid out as Arrow's so that a warehouse can read them in place.
package decode

import "arbalest"

// A Span is a run of a block's lines that come from one object.
type Span struct {
	Object    int32 // index into the batch's objects
	FirstLine int64 // of the object, from 1, of the span's first line
	Lines     int   // how many
}

// A Block is what one call decodes: whole lines, each a stored event, from one
// object or from many small ones. It has less than 1 GiB.
type Block struct {
	Lines []byte
	Spans []Span
}

// An Int128 is a DECIMAL's unscaled value in two's complement, low word first,
// as Arrow's decimal128 is in memory on a little-endian machine.
type Int128 struct {
	Lo uint64
	Hi int64
}

// A Vector is one column of a chunk in Arrow's layout. It is only to be read:
// vectors of a chunk that are all NULL share their memory. Which field holds the
// values follows from Type.Kind:
//
//	Boolean                      Bits (least significant bit first)
//	SmallInt                     Int16
//	Integer, Date                Int32 (Date: days since 1970-01-01)
//	BigInt, Timestamp, TimestampTZ  Int64 (times: microseconds since 1970-01-01T00:00Z)
//	Decimal                      Int128
//	Real                         Float32
//	Double                       Float64
//	Char, Varchar, JSON          Offsets (rows+1 of them) into Data
type Vector struct {
	Type    arbalest.Type
	Valid   []byte // a bit for each row, least significant first; nil if Nulls is 0
	Nulls   int
	Bits    []byte
	Int16   []int16
	Int32   []int32
	Int64   []int64
	Int128  []Int128
	Float32 []float32
	Float64 []float64
	Offsets []int32
	Data    []byte
}

// Values returns how many values of a kind the vector has room for; -1 if it has
// not the bytes of its texts.
func (v *Vector) Values(kind arbalest.Kind) int {
	switch kind {
	case arbalest.Boolean:
		return len(v.Bits) * 8
	case arbalest.SmallInt:
		return len(v.Int16)
	case arbalest.Integer, arbalest.Date:
		return len(v.Int32)
	case arbalest.BigInt, arbalest.Timestamp, arbalest.TimestampTZ:
		return len(v.Int64)
	case arbalest.Decimal:
		return len(v.Int128)
	case arbalest.Real:
		return len(v.Float32)
	case arbalest.Double:
		return len(v.Float64)
	}
	n := len(v.Offsets) - 1
	if n >= 0 && int(v.Offsets[n]) > len(v.Data) {
		return -1
	}
	return n
}

// A LoadError is a value, or a whole line, that does not fit.
type LoadError struct {
	Object int32  // index into the batch's objects
	Line   int64  // of the object, from 1
	ID     string // of the event; empty if the line has none
	Time   int64  // of the event, microseconds; 0 if the line has none
	Column string // empty if the whole line is wrong
	Value  string // as JSON text; the line where the whole line is wrong
	Reason string
	// Loaded says that the event is in the table all the same, with NULL in
	// the column and the value in its properties. Where it is false the event
	// is not in the table, and the books count it as a load error.
	Loaded bool
}

// A Chunk is a decoded block. Its rows are the block's lines in their order,
// less those that cannot be loaded (for which Errors has an entry that is not
// Loaded; an event has at most one such entry).
type Chunk struct {
	Rows int
	// Columns are those of Table.AllColumns, in that order.
	Columns []Vector
	// Object and Line say where each row came from.
	Object []int32
	Line   []int64
	Errors []LoadError
	// Novelty is what the block has that the table has not: nil in the steady
	// state. Such values are only in properties until the table has evolved
	// and the block is decoded again.
	Novelty *Novelty

	builder *builder // whose memory the vectors are; nil once released
}

// Release gives the chunk's memory back, to be used for other chunks of the
// same Decoder. Nothing of the chunk but Rows, Errors and Novelty may be used
// afterwards. A chunk that is not released is the garbage collector's.
func (c *Chunk) Release() {
	if b := c.builder; b != nil {
		c.builder, c.Columns, c.Object, c.Line = nil, nil, nil, nil
		b.decoder.pool.Put(b)
	}
}
