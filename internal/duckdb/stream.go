package duckdb

/*
#include "duckdb_capi.h"
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
	conn  *sql.Conn
	raw   mapping.Connection
	stop  func() // ends watch; nil once closed
	stmt  mapping.PreparedStatement
	res   mapping.Result
	open  bool // res is to be destroyed
	chunk mapping.DataChunk
	rows  int
	row   int // of chunk; Next has moved to it
}

// openStream runs one statement on a connection, which nothing else may use
// until the stream is closed. Arguments are as bind takes them. Errors are
// DuckDB's own.
func openStream(ctx context.Context, conn *sql.Conn, query string, args ...any) (*stream, error) {
	s := &stream{ctx: ctx, conn: conn}
	err := conn.Raw(func(c any) error {
		ptr, err := connectionOf(c)
		s.raw.Ptr = ptr
		return err
	})
	if err != nil {
		return nil, err
	}
	s.stop = watch(ctx, s.raw)
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
	if mapping.Prepare(s.raw, query, &s.stmt) == mapping.StateError {
		return duckError(mapping.PrepareError(s.stmt))
	}
	if err := bind(s.stmt, args); err != nil {
		return err
	}
	var pending mapping.PendingResult
	defer mapping.DestroyPending(&pending)
	if C.duckdb_pending_prepared_streaming(s.stmt.Ptr, (*unsafe.Pointer)(unsafe.Pointer(&pending.Ptr))) != 0 {
		return duckError(mapping.PendingError(pending))
	}
	state := mapping.ExecutePending(pending, &s.res)
	s.open = true
	if state == mapping.StateError {
		return duckError(mapping.ResultError(&s.res))
	}
	return nil
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
		if s.chunk = mapping.FetchChunk(s.res); s.chunk.Ptr == nil {
			if message := mapping.ResultError(&s.res); message != "" {
				return duckError(message)
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
		mapping.DestroyResult(&s.res)
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
		"TransactionContext Error": duck.ErrorTypeTransaction,
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
