package duckdb

import (
	"fmt"
	"runtime"

	"arbalest"
)

// Options are a warehouse's settings. The zero value works.
type Options struct {
	// MemoryLimit is how many bytes DuckDB's buffers may take; past it, it
	// writes to TempDir. While it loads, DuckDB takes about 120 MiB besides, which
	// it does not count. Defaults to 96 MiB.
	MemoryLimit int64
	// RecentLimit is how many bytes the ids may take of the hours that events
	// are coming in for, at 8 to 15 bytes each. An hour with more is looked through in
	// the table at every load. It is taken as needed. Defaults to 64 MiB.
	RecentLimit int64
	// Threads is how many threads run SQL. Defaults to GOMAXPROCS.
	Threads int
	// TempDir is where DuckDB writes what does not fit in memory. Defaults to
	// the file's path with ".tmp" appended, and in memory to none.
	TempDir string
}

// minMemory is the least that loads of many columns work in.
const minMemory = 32 << 20

func (o Options) withDefaults(path string) Options {
	if o.MemoryLimit == 0 {
		o.MemoryLimit = 96 << 20
	}
	if o.RecentLimit == 0 {
		o.RecentLimit = 64 << 20
	}
	if o.Threads == 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.TempDir == "" && path != "" {
		o.TempDir = path + ".tmp"
	}
	return o
}

func (o Options) validate() error {
	switch {
	case o.MemoryLimit < minMemory:
		return fmt.Errorf("%w: DuckDB's memory limit is %d bytes: at least %d are needed", arbalest.ErrInvalid, o.MemoryLimit, minMemory)
	case o.Threads < 1:
		return fmt.Errorf("%w: DuckDB's threads are %d: at least 1 is needed", arbalest.ErrInvalid, o.Threads)
	}
	return nil
}
