package duckdb

/*
#include <stdlib.h>
#include "scan.h"
*/
import "C"

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"unsafe"

	"arbalest"
	"arbalest/internal/decode"
)

// rowColumn is the hidden column with a row's ordinal in its source: BIGINT
// from 0.
const rowColumn = "_row"

// A scanner makes sources visible to SQL, as rows of the table function name.
type scanner struct {
	name     string
	registry *C.scan_registry
}

// newScanner makes the table function in the database of a raw connection,
// which frees what it needs when the database closes. A database has one for
// each Warehouse on it, so the name has a part drawn by lot.
func newScanner(connection unsafe.Pointer) (*scanner, error) {
	s := &scanner{name: fmt.Sprintf("arbalest_batch_%08x", rand.Uint32())}
	name := C.CString(s.name)
	defer C.free(unsafe.Pointer(name))
	if s.registry = C.scan_register(connection, name); s.registry == nil {
		return nil, fmt.Errorf("%w: make DuckDB's table function %s", arbalest.ErrUnavailable, s.name)
	}
	return s, nil
}

// A sourceColumn is a column of a source: its vectors, one for each chunk. A
// nil vector of a BOOLEAN, or one without Bits, is Fill throughout.
type sourceColumn struct {
	Name    string
	Type    arbalest.Type
	Fill    bool
	Vectors []*decode.Vector
}

// A source is rows for SQL to read where they are: in the vectors' own memory,
// which is pinned until close. It may be read by any number of statements, and
// by many threads at once.
type source struct {
	scanner *scanner
	c       *C.scan_source
	pins    runtime.Pinner
	blocks  []unsafe.Pointer // of C's memory
}

// open makes a source of chunks of so many rows each. The error wraps
// arbalest.ErrInvalid if a vector has fewer values than its chunk has rows.
// The source must be closed, after the last statement that reads it.
func (s *scanner) open(rows []int, columns []sourceColumn) (*source, error) {
	for _, c := range columns {
		if err := c.check(rows); err != nil {
			return nil, err
		}
	}
	src := &source{scanner: s}
	total := int64(0)
	chunks := alloc[C.scan_chunk](src, len(rows))
	for i, n := range rows {
		chunks[i] = C.scan_chunk{rows: C.int64_t(n), first: C.int64_t(total)}
		total += int64(n)
	}
	defs := alloc[C.scan_column](src, len(columns)+1)
	vectors := alloc[C.scan_vector](src, len(rows)*len(defs))
	for i, c := range columns {
		defs[i] = c.def(src)
		for k := range rows {
			if c.Vectors != nil && c.Vectors[k] != nil {
				vectors[k*len(defs)+i] = src.vector(c.Type.Kind, c.Vectors[k])
			}
		}
	}
	defs[len(columns)] = C.scan_column{name: src.text(rowColumn), kind: C.SCAN_ROW}
	src.c = &alloc[C.scan_source](src, 1)[0]
	*src.c = C.scan_source{
		token: C.uint64_t(rand.Uint64()), rows: C.int64_t(total),
		columns: C.int32_t(len(defs)), chunks: C.int32_t(len(rows)),
		column: unsafe.SliceData(defs), chunk: unsafe.SliceData(chunks), vector: unsafe.SliceData(vectors),
	}
	C.scan_add(s.registry, src.c)
	return src, nil
}

// close hides the source and lets go of its memory.
func (s *source) close() {
	C.scan_remove(s.scanner.registry, s.c)
	s.pins.Unpin()
	for _, p := range s.blocks {
		C.free(p)
	}
}

// from returns the source as SQL's FROM names it.
func (s *source) from() string {
	return fmt.Sprintf("%s(%d::UBIGINT)", s.scanner.name, uint64(s.c.token))
}

// alloc returns n zeroed values in C's memory, freed by close.
func alloc[T any](s *source, n int) []T {
	var t T
	p := C.calloc(C.size_t(max(n, 1)), C.size_t(unsafe.Sizeof(t)))
	s.blocks = append(s.blocks, p)
	return unsafe.Slice((*T)(p), n)
}

func (s *source) text(t string) *C.char {
	p := C.CString(t)
	s.blocks = append(s.blocks, unsafe.Pointer(p))
	return p
}

func (c sourceColumn) def(s *source) C.scan_column {
	def := C.scan_column{
		name: s.text(c.Name), kind: C.int32_t(c.Type.Kind),
		precision: C.int32_t(c.Type.Precision), scale: C.int32_t(c.Type.Scale),
	}
	if c.Fill {
		def.fill = 1
	}
	return def
}

// vector pins a vector's slices and points to them.
func (s *source) vector(kind arbalest.Kind, v *decode.Vector) C.scan_vector {
	var out C.scan_vector
	switch kind {
	case arbalest.Boolean:
		out.values = pin(s, v.Bits)
	case arbalest.SmallInt:
		out.values = pin(s, v.Int16)
	case arbalest.Integer, arbalest.Date:
		out.values = pin(s, v.Int32)
	case arbalest.BigInt, arbalest.Timestamp, arbalest.TimestampTZ:
		out.values = pin(s, v.Int64)
	case arbalest.Decimal:
		out.values = pin(s, v.Int128)
	case arbalest.Real:
		out.values = pin(s, v.Float32)
	case arbalest.Double:
		out.values = pin(s, v.Float64)
	default:
		out.values = pin(s, v.Offsets)
		out.data = (*C.char)(pin(s, v.Data))
	}
	if v.Nulls > 0 {
		out.valid = (*C.uint8_t)(pin(s, v.Valid))
	}
	return out
}

func pin[T any](s *source, values []T) unsafe.Pointer {
	if len(values) == 0 {
		return nil
	}
	p := unsafe.SliceData(values)
	s.pins.Pin(p)
	return unsafe.Pointer(p)
}

// check holds that C reads no further than the slices go.
func (c sourceColumn) check(rows []int) error {
	for k, n := range rows {
		if c.Vectors == nil || c.Vectors[k] == nil {
			if c.Type.Kind != arbalest.Boolean {
				return fmt.Errorf("%w: column %q of chunk %d has no vector", arbalest.ErrInvalid, c.Name, k)
			}
			continue
		}
		v := c.Vectors[k]
		if have := v.Values(c.Type.Kind); have < n || v.Nulls > 0 && len(v.Valid)*8 < n {
			return fmt.Errorf("%w: column %q of chunk %d has %d values for %d rows", arbalest.ErrInvalid, c.Name, k, have, n)
		}
	}
	return nil
}
