// Package pgwire is PostgreSQL's protocol, version 3, in front of the DuckDB
// inside, so that any client of PostgreSQL can ask it. Sessions only read: each
// statement sees what was committed when it began, as in PostgreSQL's READ
// COMMITTED, and no files, settings or extensions are within its reach.
//
// SQL is DuckDB's. What clients ask of pg_catalog and information_schema is
// answered by views and macros in a database of their own (catalog.sql), to
// which a rewriter leads names, casts to regclass and the like.
//
// It stores nothing and has no commit point.
package pgwire
