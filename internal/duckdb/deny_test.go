package duckdb

import (
	"database/sql"
	"errors"
	"slices"
	"strings"
	"testing"

	"arbalest"
)

func TestCalls(t *testing.T) {
	for sql, refused := range map[string]bool{
		"SELECT * FROM enable_logging()": true, "SELECT * FROM Enable_Logging (storage = 'stdout')": true, `SELECT * FROM "enable_logging"/* /* */ */ -- (` + "\n()": true,
		"SELECT * FROM system.main.checkpoint()": true, "SELECT (10).sleep_ms()": true, "SELECT 'query(1)'": true, "FROM query('SELECT 1')": true,
		"SELECT query, checkpoint FROM t": false, "SELECT my_query(1)": false, "SELECT 'query' || (1)": false, "SELECT query; (1)": false, "SELECT sleep_msx(1)": false, "SELECT query": false,
	} {
		if err := checkCalls(sql); (err != nil) != refused || err != nil && !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	w := mustOpen(t, "", Options{})
	defer w.Close()
	for _, name := range denied() {
		for _, sql := range []string{
			"SELECT * FROM " + name + "()", "SELECT system.main." + name + "('x')", "SELECT * FROM " + name + " --\r ('SELECT 1')",
			"SELECT * FROM " + name + "\u00a0('SELECT 1')", "SELECT * FROM\u2003" + name + "('SELECT 1')",
		} {
			if _, err := queryAll(t, w, sql); !errors.Is(err, arbalest.ErrInvalid) {
				t.Errorf("%s: %v", sql, err)
			}
		}
	}
}

// TestSpacesAreKnown holds that checkCalls sees the arguments behind whatever
// DuckDB takes for white space, beyond ASCII.
func TestSpacesAreKnown(t *testing.T) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	n := 0
	for c := rune(0x80); c <= 0xffff; c++ {
		if c == 0x3100 {
			c = 0xfe00 // scripts are between
		}
		var one int
		if err := db.QueryRowContext(t.Context(), "SELECT"+string(c)+"1").Scan(&one); err != nil {
			continue
		}
		n++
		if checkCalls("SELECT query"+string(c)+"()") == nil || checkCalls("SELECT"+string(c)+"query()") == nil {
			t.Errorf("%U is white space", c)
		}
	}
	if n < 15 {
		t.Errorf("DuckDB knows only %d characters of white space", n)
	}
}

// TestFunctionsAreKnown fails when DuckDB has a function that nobody has looked
// at: whether it only reads must be found out before it goes into the list.
func TestFunctionsAreKnown(t *testing.T) {
	known := strings.Fields(`arrow_scan arrow_scan_dumb check_peg_parser checkpoint disable_logging disable_peg_parser disable_profiling duckdb_approx_database_count
		duckdb_columns duckdb_connection_count duckdb_constraints duckdb_coordinate_systems duckdb_databases duckdb_dependencies duckdb_extensions
		duckdb_external_file_cache duckdb_functions duckdb_indexes duckdb_keywords duckdb_log_contexts duckdb_logs duckdb_memory duckdb_optimizers
		duckdb_prepared_statements duckdb_schemas duckdb_secret_types duckdb_secrets duckdb_sequences duckdb_settings duckdb_table_sample duckdb_tables
		duckdb_temporary_files duckdb_types duckdb_variables duckdb_views enable_logging enable_peg_parser enable_profiling force_checkpoint
		generate_series glob icu_calendar_names json_each json_execute_serialized_sql json_tree parquet_bloom_probe parquet_file_metadata
		parquet_full_metadata parquet_kv_metadata parquet_metadata parquet_scan parquet_schema pg_timezone_names pragma_collations
		pragma_database_size pragma_metadata_info pragma_platform pragma_show pragma_storage_info pragma_table_info pragma_user_agent
		pragma_version query query_table range read_blob read_csv read_csv_auto read_duckdb read_json read_json_auto read_json_objects
		read_json_objects_auto read_ndjson read_ndjson_auto read_ndjson_objects read_parquet read_text repeat repeat_row seq_scan sniff_csv
		sql_auto_complete summary test_all_types test_vector_types truncate_duckdb_logs unnest which_secret
		create_sort_key current_connection_id current_query current_query_id current_transaction_id currval nextval stats random setseed sleep_ms uuid uuidv4 uuidv7 gen_random_uuid write_log error`)
	w := mustOpen(t, "", Options{})
	defer w.Close()
	for _, row := range mustQuery(t, w, `SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'table' OR function_type = 'scalar' AND has_side_effects ORDER BY 1`) {
		if !slices.Contains(known, row[0]) && !strings.HasPrefix(row[0], "arbalest_batch_") {
			t.Errorf("nobody has looked at %s", row[0])
		}
	}
}
