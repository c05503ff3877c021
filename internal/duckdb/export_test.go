package duckdb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/load"
	"arbalest/internal/load/warehousetest"
)

// TestExport writes a table of all types, and reads it back.
func TestExport(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, filepath.Join(dir, "w.duckdb"), Options{Files: dir})
	defer w.Close()
	col := warehousetest.Col
	table := warehousetest.Inferred("it's.all", col("b", "BOOLEAN"), col("s", "SMALLINT"), col("i", "INTEGER"), col("g", "BIGINT"), col("d", "DECIMAL(9,2)"), col("big", "DECIMAL(38,10)"), col("r", "REAL"), col("f", "DOUBLE"),
		col("c", "CHAR(3)"), col("v", "VARCHAR(MAX)"), col("day", "DATE"), col("ts", "TIMESTAMP"), col("tz", "TIMESTAMPTZ"), col("j", "JSON"))
	full := []any{true, -3, 1 << 30, 1 << 60, "-1.25", "1234567890123456789012345678.0123456789", 0.5, 1e300, "é'\"", "\U0001F600", "2015-08-18", "2015-08-18T06:36:40.123456Z", "2015-08-18T06:36:40.123456Z", `{"a": [1]}`, `{ "whole":1}`}
	empty := make([]any, len(full))
	empty[len(empty)-1] = "{}"
	rows := []warehousetest.Row{{ID: "b", Time: "2015-08-18T06:00:00.000002Z", Values: full}, {ID: "c", Time: "2015-08-18T06:00:00Z", Values: empty}, {ID: "a", Time: "2015-08-18T06:00:00.000002Z", Values: empty}}
	batch := warehousetest.Batch(table, 9, warehousetest.Object{Commit: 1, Rows: rows})
	if _, err := w.Load(t.Context(), load.Progress{}, load.Batch{Tables: []load.TableBatch{batch}, Next: load.Progress{Cursor: load.Cursor{Commit: 1}}}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "it's.parquet")
	n, bytes, err := w.Export(t.Context(), table.Name, path)
	info, statErr := os.Stat(path)
	if err != nil || statErr != nil || n != 3 || bytes != info.Size() {
		t.Fatalf("%d rows, %d bytes, %v, %v", n, bytes, err, statErr)
	}
	const columns = "event_id, event_time, received_at, event_hash, b, s, i, g, d, big, r, f, c, v, day, ts, tz, j, properties"
	want := fmt.Sprint(mustQuery(t, w, "SELECT "+columns+` FROM "`+table.Name+`" ORDER BY event_time, event_id`))
	if got := fmt.Sprint(mustQuery(t, w, "SELECT "+columns+" FROM read_parquet("+literal(path)+", file_row_number = true) ORDER BY file_row_number")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var types []string
	for _, row := range mustQuery(t, w, "SELECT name, type, coalesce(converted_type, ''), coalesce(logical_type, '') FROM parquet_schema("+literal(path)+") WHERE name IN ('event_time', 'd', 'big', 'b', 'v', 'day', 'tz', 'j', 'properties')") {
		types = append(types, strings.Join(row, " "))
	}
	micros := "INT64 TIMESTAMP_MICROS TimestampType(isAdjustedToUTC=%d, unit=TimeUnit(MILLIS=<null>, MICROS=MicroSeconds(), NANOS=<null>))"
	for i, want := range []string{"event_time " + fmt.Sprintf(micros, 0), "properties BYTE_ARRAY UTF8 ", "b BOOLEAN  ", "d INT32 DECIMAL ", "big FIXED_LEN_BYTE_ARRAY DECIMAL ", "v BYTE_ARRAY UTF8 ", "day INT32 DATE ", "tz " + fmt.Sprintf(micros, 1), "j BYTE_ARRAY UTF8 "} {
		if i >= len(types) || !strings.HasPrefix(types[i], want) {
			t.Errorf("types are %q, want %q", types, want)
		}
	}
	if got := mustQuery(t, w, "SELECT DISTINCT compression FROM parquet_metadata("+literal(path)+")"); len(got) != 1 || got[0][0] != "ZSTD" {
		t.Errorf("compression is %v", got)
	}
	for path, want := range map[string]error{filepath.Join(dir, "..", "x.parquet"): arbalest.ErrInvalid, "x.parquet": arbalest.ErrInvalid, dir + "-x/x": arbalest.ErrInvalid} {
		if _, _, err := w.Export(t.Context(), table.Name, path); !errors.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, _, err := w.Export(t.Context(), "none", path); !errors.Is(err, arbalest.ErrUnknown) {
		t.Errorf("no table: %v", err)
	}
	other := mustOpen(t, "", Options{})
	defer other.Close()
	if _, _, err := other.Export(t.Context(), table.Name, path); !errors.Is(err, arbalest.ErrInvalid) {
		t.Errorf("without a directory: %v", err)
	}
}
