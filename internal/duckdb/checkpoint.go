package duckdb

import "context"

// relieve writes what is in memory into the file if it is much: each column
// that was written to since the last checkpoint holds 16 to 32 KiB, however few
// its rows, which DuckDB can neither drop nor write to its temporary directory
// (measured: 40 tables of 200 columns and 2 rows took 234 MiB, and 12 MiB
// after). That it cannot be done now, because of a query, is no error: the next
// load tries again.
func (w *Warehouse) relieve(ctx context.Context) {
	var held int64
	if err := w.writer.QueryRowContext(ctx, "SELECT coalesce(sum(memory_usage_bytes), 0)::BIGINT FROM duckdb_memory() WHERE tag = 'IN_MEMORY_TABLE'").Scan(&held); err != nil || held < w.memory/3 {
		return
	}
	_, _ = w.writer.ExecContext(ctx, "CHECKPOINT "+catalog)
}
