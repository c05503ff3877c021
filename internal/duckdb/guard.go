package duckdb

/*
#cgo linux LDFLAGS: -Wl,--allow-multiple-definition -Wl,--wrap=duckdb_je_malloc -Wl,--wrap=duckdb_je_realloc -Wl,--wrap=duckdb_je_free
#cgo linux LDFLAGS: -Wl,--wrap=_ZN6duckdb10BufferPool10PurgeQueueERKNS_11BlockHandleE -Wl,--wrap=_ZN6duckdb10BufferPool18AddToEvictionQueueERSt11unique_lockISt5mutexERNS_10shared_ptrINS_11BlockHandleELb1EEE
#include <stdlib.h>
#include "guard.h"
*/
import "C"

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"arbalest"
)

// A guest is a connection in a read-only transaction, on which SQL of strangers
// runs: all memory that is taken for that is counted and bounded, however it is
// taken (guard.cc). A nil one, or one without c, is of SQL of our own, which is not.
type guest struct {
	raw   mapping.Connection
	c     *C.guest
	leave func()
}

// guest returns a connection for a stranger's SQL. It must be left.
func (w *Warehouse) guest(ctx context.Context) (*guest, error) {
	conn, done, err := w.reader(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := rawOf(conn)
	if err != nil {
		done()
		return nil, err
	}
	g := &guest{raw: raw, c: C.guest_enter(raw.Ptr)}
	guests.add(1)
	g.leave = func() {
		C.guest_leave(g.c)
		guests.add(-1)
		done()
	}
	return g, nil
}

func (g *guest) handle() *C.guest {
	if g == nil {
		return nil
	}
	return g.c
}

// failed returns the error of what a call of guest_… returned.
func (g *guest) failed(state C.int, message func() string) error {
	switch {
	case state == 0:
		return nil
	case state < 0:
		return errFull()
	}
	text := message()
	if g.handle() != nil && bool(C.guest_full(g.c)) && (strings.HasPrefix(text, "INTERRUPT Error") || strings.Contains(text, "bad_alloc") || strings.Contains(text, "Allocation failure")) {
		return errFull()
	}
	return duckError(text)
}

// errFull is that a guest wanted more memory than guests may have.
func errFull() error {
	return duckError("Out of Memory Error: the statement needs more memory than queries may have")
}

// open runs a statement.
func (g *guest) open(ctx context.Context, query string, args ...any) (*stream, error) {
	return begin(&stream{ctx: ctx, guest: g, raw: g.raw}, query, args)
}

// prepared lets DuckDB parse and bind what must be one statement, and gives it to
// look. The error wraps arbalest.ErrInvalid if it is none, or look's.
func (g *guest) prepared(query string, look func(mapping.PreparedStatement) error) error {
	if err := checkExport(query); err != nil {
		return err
	}
	text := C.CString(query)
	defer C.free(unsafe.Pointer(text))
	var parsed mapping.ExtractedStatements
	defer mapping.DestroyExtracted(&parsed)
	switch n := C.guest_extract(g.c, g.raw.Ptr, text, &parsed.Ptr); {
	case n < 0:
		return errFull()
	case n == 0:
		message := mapping.ExtractStatementsError(parsed)
		if message == "" {
			return fmt.Errorf("%w: there is no statement: send one", arbalest.ErrInvalid)
		}
		return g.failed(1, func() string { return message })
	case n > 1:
		return fmt.Errorf("%w: there are %d statements: send one at a time", arbalest.ErrInvalid, n)
	}
	var stmt mapping.PreparedStatement
	defer mapping.DestroyPrepare(&stmt)
	state := C.guest_prepare_extracted(g.c, g.raw.Ptr, parsed.Ptr, &stmt.Ptr)
	if err := g.failed(state, func() string { return mapping.PrepareError(stmt) }); err != nil {
		return err
	}
	return look(stmt)
}

// purgeAfter is how long after the last guest left its memory goes back to the
// system.
const purgeAfter = 500 * time.Millisecond

// guests are those of the process, whose memory is one bound's.
var guests guestCount

type guestCount struct {
	mu    sync.Mutex
	n     int
	purge *time.Timer
}

func (c *guestCount) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.purge != nil {
		c.purge.Stop()
	}
	if c.n += n; c.n == 0 {
		c.purge = time.AfterFunc(purgeAfter, func() { C.guard_purge() })
	}
}

// makeRoom lets loads have so many bytes of buffers more than DuckDB's limit. It
// says whether they can.
func makeRoom(bytes int64) bool { return bool(C.guard_room(C.int64_t(bytes))) }

// grant lets guests have so many more bytes in all. Where the process cannot
// have a guard they have no bound but DuckDB's limit.
func grant(bytes int64) { C.guard_grow(C.int64_t(bytes)) }

// rawOf returns DuckDB's connection.
func rawOf(conn *sql.Conn) (raw mapping.Connection, err error) {
	err = conn.Raw(func(c any) error {
		raw.Ptr, err = connectionOf(c)
		return err
	})
	return raw, err
}
