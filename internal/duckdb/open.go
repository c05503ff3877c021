package duckdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	duck "github.com/duckdb/duckdb-go/v2"
	"golang.org/x/sync/semaphore"

	"arbalest"
)

const (
	// catalog is the name that the file is attached by.
	catalog = "warehouse"
	// rowGroupRows is DuckDB's row group here, a quarter of its default. Rows
	// are pruned by time in these units; and a load of 100,000 rows writes
	// whole row groups but for the last, between which a checkpoint finds
	// nothing to merge. With the default it wrote nearly all rows twice
	// (measured: 8 s after 2 M rows that took 3 s to load).
	rowGroupRows = 30720
	// storageVersion is the oldest DuckDB that can read the file. From 1.3 on
	// strings are compressed by DICT_FSST, which loads 1.4 times as fast as
	// what the default, 0.10, allows.
	storageVersion = "v1.4.0"
	// lastWait is how long Close waits for results that others have open.
	lastWait = 10 * time.Second
)

// A Warehouse is an open database. Its methods may be called at once.
type Warehouse struct {
	path      string
	warm      string // Options.Warm, without links
	files     string // Options.Files, without links
	lock      *fileLock
	connector *duck.Connector
	db        *sql.DB
	writer    *sql.Conn     // of the one that holds writing
	writing   chan struct{} // has room for one: Load, Reset or Close
	scanner   *scanner
	known     *tables             // of the writer; nil if they must be read
	recent    *recent             // the writer's
	memory    int64               // DuckDB's limit, in bytes
	granted   int64               // to guests, in bytes
	room      int64               // bytes of buffers beyond memory, for wide tables
	large     *semaphore.Weighted // of large rows' bytes
	closing   sync.Once
	closed    error // of closing
}

// Open opens the warehouse in a file, which it makes if there is none, or one
// in memory if path is empty. The error wraps arbalest.ErrInUse if another
// process, or another Warehouse of this one, has the file, arbalest.ErrNewer if
// a newer arbalest wrote it, and arbalest.ErrCorrupt if it is not a database.
func Open(ctx context.Context, path string, opts Options) (*Warehouse, error) {
	opts = opts.withDefaults(path)
	if err := opts.validate(); err != nil {
		return nil, err
	}
	w := &Warehouse{writing: make(chan struct{}, 1), memory: opts.MemoryLimit, recent: newRecent(opts.RecentLimit), large: semaphore.NewWeighted(maxRow)}
	if path != "" {
		full, err := filepath.Abs(path)
		if err != nil {
			return nil, fmt.Errorf("open warehouse %s: %w", path, err)
		}
		w.path = full
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return nil, fmt.Errorf("open warehouse %s: %w", path, err)
		}
		if w.lock, err = lockFile(full); err != nil {
			return nil, err
		}
	}
	if err := w.open(opts); err != nil {
		return nil, errors.Join(err, w.lock.release())
	}
	w.granted = opts.QueryLimit
	grant(w.granted)
	if err := w.start(ctx, opts); err != nil {
		return nil, errors.Join(err, w.stop())
	}
	return w, nil
}

func (w *Warehouse) start(ctx context.Context, opts Options) error {
	dsn := url.Values{
		"threads":                      {strconv.Itoa(opts.Threads)},
		"memory_limit":                 {fmt.Sprintf("%dB", opts.MemoryLimit)},
		"autoinstall_known_extensions": {"false"},
		"autoload_known_extensions":    {"false"},
		"preserve_insertion_order":     {"false"}, // else one thread inserts
		"temp_directory":               {opts.TempDir},
		"max_temp_directory_size":      {fmt.Sprintf("%dB", opts.TempLimit)},
	}
	var err error
	if w.connector, err = duck.NewConnector("?"+dsn.Encode(), w.begin); err != nil {
		return fmt.Errorf("start DuckDB: %w", storageError(err))
	}
	w.db = sql.OpenDB(w.connector)
	if w.writer, err = w.db.Conn(ctx); err != nil {
		return w.openError(err)
	}
	// From here on SQL can neither read files, but for those, nor change settings.
	for _, statement := range []string{
		"SET GLOBAL TimeZone = 'UTC'",
		"SET GLOBAL allowed_directories = [" + w.allowed() + "]",
		"SET GLOBAL enable_external_access = false",
		"SET GLOBAL lock_configuration = true",
	} {
		if _, err := w.writer.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("start DuckDB: %w", storageError(err))
		}
	}
	err = w.writer.Raw(func(conn any) error {
		raw, err := connectionOf(conn)
		if err != nil {
			return err
		}
		w.scanner, err = newScanner(raw)
		return err
	})
	if err != nil {
		return err
	}
	if err := w.makeBooks(ctx); err != nil {
		return err
	}
	return w.showMoved(ctx)
}

// begin readies a new connection. The first attaches the file.
func (w *Warehouse) begin(conn driver.ExecerContext) error {
	path := w.path
	if path == "" {
		path = ":memory:"
	}
	attach := fmt.Sprintf("ATTACH IF NOT EXISTS %s AS %s (ROW_GROUP_SIZE %d, STORAGE_VERSION '%s')", literal(path), catalog, rowGroupRows, storageVersion)
	for _, statement := range []string{attach, "USE " + catalog} {
		if _, err := conn.ExecContext(context.Background(), statement, nil); err != nil {
			return err
		}
	}
	return nil
}

// openError says why the file could not be attached.
func (w *Warehouse) openError(err error) error {
	message := err.Error()
	switch {
	case strings.Contains(message, "Could not set lock on file"):
		return errInUse(w.path, "another program ("+message+")")
	case strings.Contains(message, "not a valid DuckDB database"), strings.Contains(message, "Corrupt"), strings.Contains(message, "checksum"):
		return fmt.Errorf("%w: warehouse %s: %w: move it away and run arbalest rebuild, which makes it anew from the store", arbalest.ErrCorrupt, w.path, err)
	case strings.Contains(message, "newer version of DuckDB"):
		return fmt.Errorf("%w: warehouse %s: %w", arbalest.ErrNewer, w.path, err)
	}
	return fmt.Errorf("open warehouse %s: %w", w.path, storageError(err))
}

// Close waits for the batch that is being loaded, and up to 10 s for what is asked,
// writes the write-ahead log into the file, and closes it. A result that is still
// open then keeps DuckDB on the file, which stays locked. Closing twice is once.
func (w *Warehouse) Close() error {
	w.closing.Do(func() {
		w.writing <- struct{}{} // never given back: nothing can be loaded any more
		w.closed = w.stop()
	})
	return w.closed
}

func (w *Warehouse) stop() error {
	var errs []error
	if w.writer != nil {
		errs = append(errs, w.writer.Close())
	}
	if w.db != nil {
		errs = append(errs, w.db.Close())
	}
	if w.connector != nil {
		errs = append(errs, w.connector.Close())
	}
	grant(-w.granted)
	makeRoom(-w.room)
	w.granted, w.room = 0, 0
	if w.left() {
		errs = append(errs, w.lock.release())
	}
	return errors.Join(errs...)
}

// left waits up to lastWait until all connections are closed, with the last of which
// DuckDB leaves the file. A pool that is closed leaves those to who uses them.
func (w *Warehouse) left() bool {
	if w.db == nil {
		return true
	}
	for end := time.Now().Add(lastWait); w.db.Stats().OpenConnections > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// Path returns the file's absolute path; it is empty in memory.
func (w *Warehouse) Path() string { return w.path }

// hold waits for the writer's connection. The error is the context's.
func (w *Warehouse) hold(ctx context.Context) (release func(), err error) {
	select {
	case w.writing <- struct{}{}:
		return func() { <-w.writing }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// connectionOf returns the duckdb_connection that a driver's connection has in
// an unexported field. The driver's version is pinned, and
// TestConnectionOfDriver fails if a newer one hides it elsewhere.
func connectionOf(conn any) (raw unsafe.Pointer, err error) {
	c, ok := conn.(*duck.Conn)
	if !ok {
		return nil, fmt.Errorf("%w: connection is a %T", arbalest.ErrInvalid, conn)
	}
	field := reflect.ValueOf(c).Elem().FieldByName("conn")
	if !field.IsValid() || field.Kind() != reflect.Struct || !field.FieldByName("Ptr").IsValid() {
		return nil, fmt.Errorf("%w: this version of the DuckDB driver is not the one that arbalest was made for", arbalest.ErrInvalid)
	}
	return field.FieldByName("Ptr").UnsafePointer(), nil
}

// literal quotes a string for SQL.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// ident quotes a name for SQL.
func ident(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
