package duckdb

/*
#include <stdlib.h>
#include "guard.h"
*/
import "C"

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unsafe"

	duck "github.com/duckdb/duckdb-go/v2"
	"github.com/duckdb/duckdb-go/v2/mapping"
)

// A stream is the rows of a running query, as they come: DuckDB computes a
// little ahead of what is read. (The driver's own queries keep their whole
// result in memory, outside DuckDB's memory limit.)
type stream struct {
	ctx   context.Context
	guest *guest // nil if the SQL is ours
	raw   mapping.Connection
	stop  func() // ends watch; nil once closed
	stmt  mapping.PreparedStatement
	res   *mapping.Result
	open  bool // res is to be destroyed
	chunk mapping.DataChunk
	rows  int
	row   int // of chunk; Next has moved to it
}

// openStream runs one statement on a connection, which nothing else may use
// until the stream is closed. Arguments are as bind takes them. Errors are
// DuckDB's own.
func openStream(ctx context.Context, conn *sql.Conn, query string, args ...any) (*stream, error) {
	raw, err := rawOf(conn)
	if err != nil {
		return nil, err
	}
	return begin(&stream{ctx: ctx, raw: raw}, query, args)
}

// begin runs a stream's statement.
func begin(s *stream, query string, args []any) (*stream, error) {
	s.res = new(mapping.Result)
	s.stop = watch(s.ctx, s.raw)
	if err := s.start(query, args); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stream) start(query string, args []any) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	text := C.CString(query)
	defer C.free(unsafe.Pointer(text))
	state := C.guest_prepare(s.guest.handle(), s.raw.Ptr, text, &s.stmt.Ptr)
	if err := s.guest.failed(state, func() string { return mapping.PrepareError(s.stmt) }); err != nil {
		return err
	}
	if err := bind(s.stmt, args); err != nil {
		return err
	}
	var pending mapping.PendingResult
	defer mapping.DestroyPending(&pending)
	state = C.guest_pending(s.guest.handle(), s.stmt.Ptr, &pending.Ptr)
	if err := s.guest.failed(state, func() string { return mapping.PendingError(pending) }); err != nil {
		return err
	}
	state = C.guest_work(s.guest.handle(), pending.Ptr)
	if err := s.guest.failed(state, func() string { return mapping.PendingError(pending) }); err != nil {
		return err
	}
	state = C.guest_execute(s.guest.handle(), pending.Ptr, (*C.duckdb_result)(unsafe.Pointer(s.res)))
	s.open = true
	return s.guest.failed(state, func() string { return mapping.ResultError(s.res) })
}

// next moves to the next row. It returns io.EOF after the last.
func (s *stream) next() error {
	s.row++
	for s.row >= s.rows {
		if s.chunk.Ptr != nil {
			mapping.DestroyDataChunk(&s.chunk)
		}
		if err := s.ctx.Err(); err != nil {
			return err
		}
		state := C.guest_fetch(s.guest.handle(), (*C.duckdb_result)(unsafe.Pointer(s.res)), &s.chunk.Ptr)
		if s.chunk.Ptr == nil {
			message := mapping.ResultError(s.res)
			if message != "" {
				state = 1
			}
			if err := s.guest.failed(state, func() string { return message }); err != nil {
				return err
			}
			return io.EOF
		}
		s.rows, s.row = int(mapping.DataChunkGetSize(s.chunk)), 0
	}
	return nil
}

// text returns a VARCHAR column of the row, and false if it is NULL.
func (s *stream) text(column int) (string, bool) {
	b := s.bytes(column)
	return string(b), b != nil
}

// bytes returns a VARCHAR column of the row in DuckDB's memory, where it is
// until next or close is called; nil if it is NULL.
func (s *stream) bytes(column int) []byte {
	v := mapping.DataChunkGetVector(s.chunk, mapping.IdxT(column))
	if !s.valid(v) {
		return nil
	}
	t := (*C.duckdb_string_t)(unsafe.Add(mapping.VectorGetData(v), uintptr(s.row)*unsafe.Sizeof(C.duckdb_string_t{})))
	if t.length <= C.DUCKDB_STRING_INLINED {
		return unsafe.Slice(&t.value[0], t.length)
	}
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&t.value[4])), t.length)
}

// integer returns a BIGINT column of the row, and false if it is NULL.
func (s *stream) integer(column int) (int64, bool) {
	v := mapping.DataChunkGetVector(s.chunk, mapping.IdxT(column))
	if !s.valid(v) {
		return 0, false
	}
	return *(*int64)(unsafe.Add(mapping.VectorGetData(v), uintptr(s.row)*8)), true
}

func (s *stream) valid(v mapping.Vector) bool {
	bits := mapping.VectorGetValidity(v)
	if bits == nil {
		return true
	}
	word := *(*uint64)(unsafe.Add(bits, uintptr(s.row/64)*8))
	return word>>(s.row%64)&1 != 0
}

// close ends the query. The connection is the caller's. It may be called
// twice.
func (s *stream) close() {
	if s.stop == nil {
		return
	}
	s.stop()
	s.stop = nil
	if s.chunk.Ptr != nil {
		mapping.DestroyDataChunk(&s.chunk)
	}
	if s.open {
		mapping.DestroyResult(s.res)
		s.open = false
	}
	if s.stmt.Ptr != nil {
		mapping.DestroyPrepare(&s.stmt)
	}
}

// watch interrupts a connection once the context ends, and again until stop is
// called, because DuckDB forgets an interrupt that comes just before a statement
// begins. After stop it does not touch the connection.
func watch(ctx context.Context, raw mapping.Connection) (stop func()) {
	stopping, stopped := make(chan struct{}), make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(stopped)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			mapping.Interrupt(raw)
			select {
			case <-stopping:
				return
			case <-tick.C:
			}
		}
	})
	return func() {
		close(stopping)
		if !cancel() {
			<-stopped
		}
	}
}

// each calls visit for every row and closes the stream.
func (s *stream) each(visit func() error) error {
	defer s.close()
	for {
		switch err := s.next(); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := visit(); err != nil {
			return err
		}
	}
}

// duckError makes the driver's error of DuckDB's message, which begins with
// its kind.
func duckError(message string) error {
	kind, _, _ := strings.Cut(message, ":")
	types := map[string]duck.ErrorType{
		"Catalog Error": duck.ErrorTypeCatalog, "IO Error": duck.ErrorTypeIO, "FATAL Error": duck.ErrorTypeFatal,
		"INTERNAL Error": duck.ErrorTypeInternal, "Out of Memory Error": duck.ErrorTypeOutOfMemory,
		"Serialization Error": duck.ErrorTypeSerialization, "INTERRUPT Error": duck.ErrorTypeInterrupt,
		"TransactionContext Error": duck.ErrorTypeTransaction, "Binder Error": duck.ErrorTypeBinder, "Parser Error": duck.ErrorTypeParser,
		"Conversion Error": duck.ErrorTypeConversion, "Out of Range Error": duck.ErrorTypeOutOfRange, "Mismatch Type Error": duck.ErrorTypeMismatchType,
		"Invalid Input Error": duck.ErrorTypeInvalidInput, "Invalid type Error": duck.ErrorTypeInvalidType, "Dependency Error": duck.ErrorTypeDependency,
		"Constraint Error": duck.ErrorTypeConstraint, "Not implemented Error": duck.ErrorTypeNotImplemented,
	}
	return &duck.Error{Type: types[kind], Msg: message}
}

// reader returns a connection of its own, in a read-only transaction, and what
// gives it back.
func (w *Warehouse) reader(ctx context.Context) (*sql.Conn, func(), error) {
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to DuckDB: %w", loadError(ctx, err))
	}
	done := func() {
		// Without a transaction there is nothing to end.
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		conn.Close()
	}
	// A context that ended within it would leave a transaction on a connection
	// that goes back to the pool.
	if _, err := conn.ExecContext(context.WithoutCancel(ctx), "BEGIN TRANSACTION READ ONLY"); err != nil {
		done()
		return nil, nil, fmt.Errorf("begin transaction: %w", loadError(ctx, err))
	}
	return conn, done, nil
}
