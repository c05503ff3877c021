package duckdb

import (
	"fmt"
	"path/filepath"
	"runtime"
	"syscall"

	"arbalest"
)

// Options are a warehouse's settings. The zero value works.
type Options struct {
	// MemoryLimit is how many bytes DuckDB's buffers may take; past it, it
	// writes to TempDir. While it loads, DuckDB takes about 120 MiB besides, which
	// it does not count. Defaults to 96 MiB.
	MemoryLimit int64
	// QueryLimit is how many bytes all queries may take at once, of those buffers
	// and besides them: texts, lists, plans. Where more warehouses are open in
	// the process, queries share the sum. It is not held but on Linux. Defaults to
	// MemoryLimit and 128 MiB more.
	QueryLimit int64
	// RecentLimit is how many bytes the ids may take of the hours that events
	// are coming in for, at 8 to 15 bytes each. An hour with more is looked through in
	// the table at every load. It is taken as needed. Defaults to 64 MiB.
	RecentLimit int64
	// Threads is how many threads run SQL. Defaults to GOMAXPROCS, and with Files to
	// one: several want more memory to sort a table than there may be.
	Threads int
	// TempDir is where DuckDB writes what does not fit in memory. Defaults to
	// the file's path with ".tmp" appended, and in memory to none.
	TempDir string
	// TempLimit is how many bytes may be there; statements that want more fail.
	// Defaults to 10 GiB, or half of what is free on that disk when the warehouse
	// is opened, if that is less.
	TempLimit int64
	// Warm is the directory that the keys of warm objects are relative to
	// (load.Warm): of it SQL can read what is below _warm/. Defaults to none: there
	// is no view <table>_all. It is made if it is not there.
	Warm string
	// Files is the directory that Export may write to, and SQL with it: for a
	// warehouse that nobody else uses. Defaults to none.
	Files string
}

// minMemory is the least that loads of many columns work in.
const minMemory = 32 << 20

func (o Options) withDefaults(path string) Options {
	if o.MemoryLimit == 0 {
		o.MemoryLimit = 96 << 20
	}
	if o.QueryLimit == 0 {
		o.QueryLimit = o.MemoryLimit + 128<<20
	}
	if o.RecentLimit == 0 {
		o.RecentLimit = 64 << 20
	}
	if o.Threads == 0 && o.Files != "" {
		o.Threads = 1
	}
	if o.Threads == 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.TempDir == "" && path != "" {
		o.TempDir = path + ".tmp"
	}
	if o.TempLimit == 0 {
		o.TempLimit = 10 << 30
		var disk syscall.Statfs_t
		if err := syscall.Statfs(filepath.Dir(o.TempDir), &disk); err == nil {
			o.TempLimit = min(o.TempLimit, int64(disk.Bavail)*int64(disk.Bsize)/2)
		}
	}
	return o
}

func (o Options) validate() error {
	switch {
	case o.MemoryLimit < minMemory:
		return fmt.Errorf("%w: DuckDB's memory limit is %d bytes: at least %d are needed", arbalest.ErrInvalid, o.MemoryLimit, minMemory)
	case o.QueryLimit < minMemory:
		return fmt.Errorf("%w: the memory limit of queries is %d bytes: at least %d are needed", arbalest.ErrInvalid, o.QueryLimit, minMemory)
	case o.Threads < 1:
		return fmt.Errorf("%w: DuckDB's threads are %d: at least 1 is needed", arbalest.ErrInvalid, o.Threads)
	}
	return nil
}
