// The batch scan: a DuckDB table function that reads the vectors of decoded
// chunks where they are, in Go's memory. scan.c has the code, source.go the Go
// side.
#ifndef ARBALEST_SCAN_H
#define ARBALEST_SCAN_H

#include <stdint.h>

// What a column holds. The numbers are those of arbalest.Kind; the rest are
// the scan's own.
enum {
	SCAN_BOOLEAN = 1,
	SCAN_SMALLINT,
	SCAN_INTEGER,
	SCAN_BIGINT,
	SCAN_DECIMAL,
	SCAN_REAL,
	SCAN_DOUBLE,
	SCAN_CHAR,
	SCAN_VARCHAR,
	SCAN_DATE,
	SCAN_TIMESTAMP,
	SCAN_TIMESTAMPTZ,
	SCAN_JSON,
	SCAN_ROW = 100, // BIGINT: the row's ordinal in the source; has no values
};

// SCAN_UNIT is how many rows a thread claims at a time: a row group's (see
// rowGroupRows), and a multiple of DuckDB's vector of 2,048.
enum { SCAN_UNIT = 30720 };

// A column's definition.
typedef struct {
	const char *name;
	int32_t kind;
	int32_t precision, scale; // of a DECIMAL
	int32_t fill;             // of a BOOLEAN where values is null: 0 or 1
} scan_column;

// One column of one chunk, in Arrow's layout (decode.Vector).
typedef struct {
	const void *values;   // the offsets, of strings
	const char *data;     // the bytes, of strings
	const uint8_t *valid; // a bit for each row; null if all are
} scan_vector;

// One chunk: rows, and the ordinal of its first one.
typedef struct {
	int64_t rows, first;
} scan_chunk;

// A batch to be scanned. It is not written to while a statement reads it.
typedef struct scan_source {
	uint64_t token;
	int32_t columns, chunks;
	const scan_column *column;  // [columns]
	const scan_chunk *chunk;    // [chunks]
	const scan_vector *vector;  // [chunks][columns]
	int64_t rows;
	struct scan_source *next;
} scan_source;

typedef struct scan_registry scan_registry;

// scan_register makes the table function name(token UBIGINT) in the database
// of a duckdb_connection, and returns the sources that it can see, which the
// database frees; null if it could not.
scan_registry *scan_register(void *connection, const char *name);

// scan_add shows a source to the function; scan_remove hides it again, which
// must come before its memory goes.
void scan_add(scan_registry *registry, scan_source *source);
void scan_remove(scan_registry *registry, scan_source *source);

#endif
