// Package duckdb is the embedded warehouse: a DuckDB database in one file.
//
// Events' tables are in schema main, with views of their rows and of those that left
// them (load.Tiers), and what the warehouse knows of itself is in schema arbalest:
// cursor (load.Progress), tables, journal, load_errors and conflicts, archived, days
// and held, and the view books. A batch is one DuckDB transaction, and its
// COMMIT is the commit point: rows, bookkeeping and cursor are in the file, or
// in its write-ahead log (file.wal), or not at all.
//
// Rows go in without being copied or turned into SQL text: a table function,
// written in C (scan.c), gives DuckDB the vectors of decoded chunks where they
// are in Go's memory, which is pinned for as long as statements read it.
//
// SQL of others runs for guests: they only read, and the memory that they take in
// all is bounded, however they take it (guard.cc). Of files SQL can read those below
// _warm/ of the store (Options.Warm), and writes none, but those of Export.
//
// One process at a time has the file (file.lock). This is the only package
// that imports DuckDB.
package duckdb
