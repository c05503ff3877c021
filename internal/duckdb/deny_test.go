package duckdb

import (
	"database/sql"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/warehouse"
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

// TestFilesAreOutOfReach holds that SQL, of queries and of pipelines, reads no file but
// warm objects, and writes none at all.
func TestFilesAreOutOfReach(t *testing.T) {
	dir := t.TempDir()
	store := filepath.Join(dir, "store")
	warm := filepath.Join(store, "_warm")
	put := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put(warm+"/a.csv", "warm\n1\n")
	for _, secret := range []string{dir + "/secret.csv", store + "/secret.csv", store + "/_warmer/secret.csv", store + "/_log/secret.csv"} {
		put(secret, "secret\n1\n")
	}
	for link, to := range map[string]string{"/link.csv": dir + "/secret.csv", "/dir": dir, "/up": ".."} {
		if err := os.Symlink(to, warm+link); err != nil {
			t.Fatal(err)
		}
	}
	w := mustOpen(t, filepath.Join(dir, "w.duckdb"), Options{Warm: store})
	defer w.Close()
	if err := os.MkdirAll(filepath.Join(dir, "w.duckdb.tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	exec := func(sql string) error {
		return w.Database().Transact(t.Context(), "l", func(tx warehouse.Tx) error {
			_, err := tx.Exec(t.Context(), sql)
			return err
		})
	}
	ask := func(sql string) error { _, err := queryAll(t, w, sql); return err }
	if err := ask("FROM '" + warm + "/a.csv'"); err != nil {
		t.Errorf("a warm object: %v", err)
	}
	for _, path := range []string{
		dir + "/secret.csv", store + "/secret.csv", store + "/_warmer/secret.csv", store + "/_log/secret.csv", warm + "/../secret.csv", warm + "/x/../../secret.csv", warm + "//../secret.csv",
		warm + "/../_warmer/secret.csv", warm + "/./../secret.csv", warm + "/link.csv", warm + "/dir/secret.csv", warm + "/up/secret.csv", warm + "/*/secret.csv", warm + "/../*", store + "/*/secret.csv",
		"file://" + dir + "/secret.csv", "file://" + warm + "/../secret.csv", "file:" + warm + "/../secret.csv", "/etc/passwd",
	} {
		for _, from := range []string{"'%s'", "read_csv('%s')", "read_csv(['" + warm + "/a.csv', '%s'])", "read_text('%s')", "read_blob('%s')", "read_json('%s')", "read_parquet('%s')", "sniff_csv('%s')", "parquet_metadata('%s')"} {
			sql := "SELECT * FROM " + strings.ReplaceAll(from, "%s", path)
			for who, do := range map[string]func(string) error{"a query": ask, "a pipeline": exec, "a model": func(sql string) error { return exec("CREATE TABLE got AS " + sql) }} {
				if err := do(sql); err == nil {
					t.Errorf("%s: %s: %v", who, sql, err)
				}
			}
		}
	}
	before := files(t, dir)
	for _, to := range []string{warm + "/new", warm + "/a.csv", warm + "/dir/new", store + "/new", dir + "/w.duckdb.tmp/new", dir + "/new"} {
		for _, sql := range []string{
			"COPY (SELECT 1) TO '%s'", "COPY (SELECT 1) TO '%s' (FORMAT parquet)", "EXPLAIN ANALYZE COPY (SELECT 1) TO '%s'", "EXPLAIN (ANALYZE) COPY(SELECT 1)TO '%s'", "EXPLAIN ANALYZE\u00a0copy(SELECT 1)TO '%s'",
			"EXPLAIN ANALYZE/**/CoPy arbalest.tables TO '%s'", "EXPORT DATABASE '%s'", "/* */eXport -- x\n\u00a0DATABASE warehouse TO '%s'", "PREPARE p AS EXPORT DATABASE '%s'", "ATTACH '%s' AS new", "EXPLAIN ANALYZE EXPORT DATABASE '%s'", "CREATE TABLE x AS COPY (SELECT 1) TO '%s'", "PREPARE p AS COPY (SELECT 1) TO '%s'",
			"COPY FROM DATABASE warehouse TO '%s'", "INSTALL '%s'", "LOAD '%s'", "SET GLOBAL temp_directory = '%s'", "SET GLOBAL allowed_directories = ['%s']", "SELECT * FROM enable_logging('Query', storage = 'file', storage_path = '%s')",
			"IMPORT DATABASE '%s'", "CREATE SECRET s (TYPE s3, PROVIDER config, SCOPE '%s')",
		} {
			sql = strings.ReplaceAll(sql, "%s", to)
			for who, do := range map[string]func(string) error{"a query": ask, "a pipeline": exec} {
				if err := do(sql); err == nil && !strings.HasPrefix(sql, "CREATE SECRET") {
					t.Errorf("%s: %s is done", who, sql)
				}
			}
		}
	}
	if after := files(t, dir); !maps.Equal(before, after) {
		t.Errorf("files were %v\nand are %v", before, after)
	}
}

// files returns the files below a directory, and what they have; of the warehouse's own
// just the names.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || strings.Contains(path, ".duckdb.wal") {
			return err
		}
		all[path] = ""
		if strings.HasSuffix(path, ".csv") {
			text, err := os.ReadFile(path)
			all[path] = string(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
