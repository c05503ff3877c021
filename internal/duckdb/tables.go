package duckdb

import (
	"context"
	"fmt"

	"arbalest"
	"arbalest/internal/warehouse"
)

// A TableInfo says what the warehouse has of an event's table. Rows are as
// DuckDB's statistics have it: rows that were deleted may count.
type TableInfo = warehouse.TableInfo

// Tables yields the tables that Load made, by name.
func (w *Warehouse) Tables(ctx context.Context) ([]TableInfo, error) {
	var tables []TableInfo
	err := w.read(ctx, `SELECT t.table_name, any_value(t.event), any_value(d.estimated_size)::BIGINT, any_value(d.column_count)::BIGINT
		FROM arbalest.tables t JOIN duckdb_tables() d ON d.table_name = t.table_name AND d.schema_name = 'main' AND d.database_name = current_database()
		GROUP BY 1 ORDER BY 1`,
		func(s *stream) error {
			var t TableInfo
			t.Name, _ = s.text(0)
			event, _ := s.text(1)
			t.Event = arbalest.EventName(event)
			t.Rows, _ = s.integer(2)
			t.Columns, _ = s.integer(3)
			tables = append(tables, t)
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	return tables, nil
}

// Size returns how many bytes the warehouse's file has in use, and how many
// its write-ahead log.
func (w *Warehouse) Size(ctx context.Context) (file, wal int64, err error) {
	err = w.read(ctx, fmt.Sprintf(`SELECT (used_blocks * block_size)::BIGINT, parse_formatted_bytes(wal_size)::BIGINT FROM pragma_database_size() WHERE database_name = '%s'`, catalog),
		func(s *stream) error {
			file, _ = s.integer(0)
			wal, _ = s.integer(1)
			return nil
		})
	if err != nil {
		return 0, 0, fmt.Errorf("size warehouse: %w", err)
	}
	return file, wal, nil
}
