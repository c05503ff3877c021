package e2e

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// escapeBound is the most memory that serve may have while SQL and clients try to
// take it: 224 MiB for queries, what their results and messages take outside of
// DuckDB, and the rest of serve.
const escapeBound = 640 << 20

// refusals are statements that must be refused, each in no time.
func refusals(out string) []string {
	file := "'" + out + "'"
	return []string{
		"SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM read_text('/etc/passwd')", "SELECT * FROM read_blob('/etc/passwd')", "SELECT * FROM glob('/etc/*')", "SELECT * FROM '/etc/passwd'", `FROM "/etc/passwd"`,
		"SELECT * FROM read_json('/etc/passwd')", "SELECT * FROM read_parquet('/etc/passwd')", "SELECT * FROM sniff_csv('/etc/passwd')", "SELECT * FROM parquet_metadata('/etc/passwd')", "SELECT * FROM read_duckdb('/etc/passwd')",
		"SELECT * FROM read_text('https://example.com/')", "SELECT * FROM read_text('file:///etc/passwd')", "SELECT * FROM read_csv('/dev/stdin')", "SELECT * FROM 's3://bucket/x.parquet'",
		"COPY user_created TO " + file, "COPY (SELECT 1) TO " + file, "COPY (SELECT 1) TO PROGRAM 'id'", "COPY user_created FROM '/etc/passwd'", "COPY user_created FROM STDIN", "EXPORT DATABASE " + file, "IMPORT DATABASE " + file, "COPY FROM DATABASE warehouse TO pg",
		"ATTACH " + file, "ATTACH ':memory:' AS x", "DETACH warehouse", "USE memory", "INSTALL httpfs", "LOAD httpfs", "LOAD '/tmp/x.so'", "FORCE INSTALL httpfs", "UPDATE EXTENSIONS", "PRAGMA database_list", "PRAGMA enable_profiling", "PRAGMA memory_limit = '100GB'", "CALL pragma_version()",
		"CALL enable_logging()", "CHECKPOINT", "FORCE CHECKPOINT", "VACUUM", "ANALYZE", "CREATE TABLE x (a INTEGER)", "CREATE TEMP TABLE x AS SELECT 1", "CREATE VIEW x AS SELECT 1", "CREATE MACRO x() AS 1", "CREATE SECRET (TYPE s3)", "CREATE SCHEMA x", "CREATE SEQUENCE x", "CREATE TYPE x AS ENUM ('a')",
		"DROP TABLE user_created", "DROP VIEW arbalest.books", "INSERT INTO user_created (event_id) VALUES ('x')", "DELETE FROM user_created", "UPDATE user_created SET event_id = 'x'", "TRUNCATE user_created", "MERGE INTO user_created USING (SELECT 1) ON true WHEN MATCHED THEN DELETE", "ALTER TABLE user_created ADD COLUMN x INTEGER",
		"COMMENT ON TABLE user_created IS 'x'", "WITH x AS (SELECT 1) DELETE FROM user_created", "EXPLAIN ANALYZE DELETE FROM user_created", "EXPLAIN ANALYZE COPY user_created TO " + file, "SELECT 1; DROP TABLE user_created", "SELECT getenv('HOME')", "SELECT * FROM duckdb_secrets()", "SELECT nextval('x')",
		"SELECT * FROM query('DROP TABLE user_created')", "SELECT * FROM json_execute_serialized_sql('{}')", "SELECT * FROM enable_logging(storage = 'stdout')", "SELECT * FROM enable_logging(storage = 'file', storage_config = {'path': " + file + "})", "SELECT * FROM enable_profiling(save_location = " + file + ", format = 'json')",
		"SELECT * FROM checkpoint()", "SELECT * FROM system.main.force_checkpoint()", "SELECT sleep_ms(100000)", "SELECT write_log('x')", "SELECT * FROM enable_peg_parser()", "SELECT * FROM arrow_scan(NULL, NULL, NULL)", "PREPARE x AS DROP TABLE user_created", "EXECUTE x", "DO $$ x $$", "LISTEN x",
		"SELECT pg_read_file('/etc/passwd')", "SELECT lo_import('/etc/passwd')", "SELECT pg_terminate_backend(1) FROM nothing", "DECLARE c CURSOR WITH HOLD FOR DROP TABLE user_created", "COPY (DROP TABLE user_created) TO STDOUT",
		"SELECT " + strings.Repeat("(", 100_000) + "1" + strings.Repeat(")", 100_000), "SELECT " + strings.Repeat("1+", 100_000) + "1", "SELECT " + strings.Repeat("NOT ", 100_000) + "true", "SELECT " + strings.Repeat("[", 50_000) + strings.Repeat("]", 50_000), strings.Repeat("SELECT * FROM (", 20_000) + "SELECT 1" + strings.Repeat(")", 20_000),
		strings.Repeat("DECLARE c CURSOR WITH HOLD FOR ", 30_000) + "SELECT 1", "COPY (" + strings.Repeat("DECLARE c CURSOR FOR ", 40_000) + "SELECT 1) TO STDOUT", strings.Repeat("COPY (", 150_000) + "SELECT 1" + strings.Repeat(") TO STDOUT", 10_000),
		"SELECT " + strings.Repeat("CASE WHEN true THEN ", 20_000) + "1" + strings.Repeat(" END", 20_000), "SELECT '" + strings.Repeat("[", 400_000) + "'::JSON", "SELECT x'" + strings.Repeat("0", 100), "((((((", "'", "$$", "E'\\",
	}
}

// floods are statements that would take for ever, or all memory or disk there is:
// each must end within its timeout or soon after.
func floods() []string {
	return []string{
		"SELECT count(*) FROM range(10000000) a, range(10000000) b, range(100000) c WHERE a.range + b.range = c.range", "SELECT count(*) FROM range(1000000000000)", "SELECT sum(a.range) FROM range(1000000000000) a GROUP BY a.range % 7",
		"WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x) SELECT count(*) FROM x", "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + i FROM x, range(10) r(i)) SELECT count(*) FROM x", "WITH RECURSIVE x AS (SELECT 'x' AS s UNION ALL SELECT s || s FROM x) SELECT max(length(s)) FROM x",
		"SELECT length(repeat('x', 4000000000))", "SELECT repeat('x', 1000000000) || repeat('y', 1000000000)", "SELECT lpad('x', 1000000000 + i::INTEGER, 'y') FROM range(5000) r(i)", "SELECT rpad('x', 1000000000, 'y')",
		"SELECT sum(length(replace(repeat('x', 100000 + i % 2), 'x', repeat('y', 1000)))) FROM range(10000) r(i)", "SELECT string_agg(repeat('x', 1000000), '') FROM range(2000)", "SELECT sum(length(printf('%1000000s', i::VARCHAR))) FROM range(100000) r(i)", "SELECT format('{:>1000000000}', 'x')",
		"SELECT array_to_string(list_transform(range(100000), lambda x: repeat('x', 10000)), ',')", "SELECT list_aggregate(range(100000), 'string_agg', repeat(',', 10000))", "SELECT regexp_replace(repeat('x', 1000000), 'x', repeat('y', 10000), 'g')", "SELECT translate(repeat('x', 1000000), 'x', 'y') || i FROM range(100000000) r(i) ORDER BY 1",
		"SELECT concat(repeat('x', 10000000), i, repeat('x', 10000000)) FROM range(1000) r(i) ORDER BY 1", "SELECT json_group_array(repeat('x', 100000)) FROM range(100000)", "SELECT json_array(repeat('x', 60000000), repeat('y', 60000000))", "SELECT to_json(range(50000000))", "SELECT hex(repeat('x', 200000000))", "SELECT base64(repeat('x', 200000000)::BLOB)", "SELECT string_split(repeat('a,', 50000000), ',')",
		"SELECT list(i) FROM range(1000000000) r(i)", "SELECT range(100000000)", "SELECT generate_series(1, 1000000000)", "SELECT list_sort(range(10000000))", "SELECT [[i FOR i IN range(100000)] FOR j IN range(10000)]", "SELECT flatten([range(10000000), range(10000000)])", "SELECT unnest(range(i)) FROM range(1000000) r(i) ORDER BY 1 DESC",
		"SELECT {'a': range(10000000), 'b': range(10000000 + i)} FROM range(100) r(i)", "SELECT map_from_entries(list((i, repeat('x', 1000)))) FROM range(1000000) r(i)", "SELECT histogram(i) FROM range(100000000) r(i)", "SELECT mode(i) FROM range(100000000) r(i)", "SELECT quantile_cont(i, 0.5) FROM range(1000000000) r(i)", "SELECT bitstring('1', 2000000000)",
		"SELECT count(*) FROM range(1000000) r(i) WHERE regexp_matches(repeat('a', 100000) || i, '(a*)*(a*)*(a*)*b')", "SELECT regexp_extract_all(repeat('a', 10000000), '(a)(a)?')", "SELECT 'x' SIMILAR TO '(((((x{1,1000}){1,1000}){1,1000}){1,1000}){1,1000})'", "SELECT sum(levenshtein(repeat('a', 200) || i, repeat('b', 200))) FROM range(100000000) r(i)", "SELECT count(DISTINCT i) FROM range(1000000000) r(i)",
		"SELECT * FROM (SELECT i, hash(i) AS h, repeat('x', 100) || i AS s FROM range(1000000000) r(i)) ORDER BY h", "SELECT i, row_number() OVER (PARTITION BY i % 100 ORDER BY hash(i)) FROM range(1000000000) r(i) ORDER BY 2", "SELECT a.range FROM range(100000000) a JOIN range(100000000) b ON hash(a.range) = hash(b.range + 1) ORDER BY 1", "PIVOT (SELECT i, i % 100000 AS k FROM range(1000000) r(i)) ON k USING sum(i)",
		"SELECT " + strings.Repeat("repeat('x', 1000000 + i) || ", 300) + "'x' FROM range(3000) r(i)", "SELECT " + strings.TrimSuffix(strings.Repeat("repeat('x', 30000 + i::INTEGER), ", 3000), ", ") + " FROM range(5000) r(i)", "SELECT i FROM range(10) r(i) WHERE i IN (" + strings.Repeat("1,", 400_000) + "1) AND length(repeat('x', 1000000000)) > 0", "SELECT 9::BIGNUM ^ 9 ^ 9 ^ 9, repeat('x', 4000000000)",
	}
}

// escape runs statements and returns the errors' SQLSTATEs, "" if there is none.
// The connection must survive.
func escape(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	results := conn.PgConn().Exec(ctx, sql)
	for results.NextResult() {
		for reader := results.ResultReader(); reader.NextRow(); {
		}
	}
	err := results.Close()
	var e *pgconn.PgError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	}
	t.Fatalf("%.100s: the session broke: %v", sql, err)
	return ""
}

func session(t *testing.T, address string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// capturing posts an event every 50 ms until stop is called, which returns how
// many were acknowledged, and the longest that one took.
func capturing(t *testing.T, url string) (stop func() (int, time.Duration)) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	n, longest := 0, time.Duration(0)
	running.Go(func() {
		for ctx.Err() == nil {
			began := time.Now()
			status, _, err := post(url, fmt.Sprintf(`{"event":"user.created","data":{"n":%d}}`, n))
			if err != nil || status != http.StatusOK {
				t.Errorf("post: %d, %v", status, err)
				return
			}
			n++
			longest = max(longest, time.Since(began))
			time.Sleep(50 * time.Millisecond)
		}
	})
	return func() (int, time.Duration) {
		cancel()
		running.Wait()
		return n, longest
	}
}

// TestEscape lets SQL and clients of the PostgreSQL protocol try all that they can
// against a serve that captures meanwhile: nothing may be read that is no table,
// nothing written, and serve must live, within its bound of memory, and answer.
func TestEscape(t *testing.T) {
	s, dir, host, port := sqlServed(t)
	address := "host=" + host + " port=" + port + " user=arbalest dbname=arbalest default_query_exec_mode=simple_protocol"
	conn := session(t, address)
	settings := func() string {
		var all string
		if err := conn.QueryRow(t.Context(), "SELECT string_agg(name || '=' || coalesce(value, ''), ';' ORDER BY name) FROM duckdb_settings()").Scan(&all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	works := func(t *testing.T) {
		t.Helper()
		began := time.Now()
		var n int
		if err := session(t, address).QueryRow(t.Context(), "SELECT count(*) FROM user_created WHERE plan_seats IS NOT NULL").Scan(&n); err != nil || n != 2 {
			t.Errorf("a normal query: %d, %v", n, err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("a normal query took %v", took)
		}
		if peak := s.peak(); peak > escapeBound {
			t.Errorf("serve had %d MiB, more than %d", peak>>20, escapeBound>>20)
		}
	}
	before := settings()
	stop := capturing(t, s.url)
	out := filepath.Join(t.TempDir(), "escaped")

	t.Run("refused", func(t *testing.T) {
		escape(t, conn, "SET statement_timeout = '5s'")
		for _, sql := range refusals(out) {
			if state := escape(t, conn, sql); state == "" || state == "57014" {
				t.Errorf("%.100s: %s", sql, state)
			}
		}
		if _, err := os.Stat(out); err == nil {
			t.Error("a file was written")
		}
		for _, name := range []string{"memory_limit", "max_memory", "threads", "temp_directory", "max_temp_directory_size", "enable_external_access", "lock_configuration", "allow_unsigned_extensions", "custom_extension_repository", "log_query_path", "enable_logging", "profiling_output", "home_directory", "secret_directory", "max_expression_depth"} {
			for _, sql := range []string{"SET " + name + " = '1'", "SET GLOBAL " + name + " = '1'", "SET SESSION " + name + " TO '1'", "RESET " + name, "RESET GLOBAL " + name} {
				escape(t, conn, sql) // a parameter of the session at most
			}
		}
		if after := settings(); after != before {
			t.Errorf("settings are\n%s, and were\n%s", after, before)
		}
		for _, sql := range []string{"SET memory_limit = '1GB'", "SELECT * FROM read_text('/etc/passwd')", "DROP TABLE user_created", "SELECT * FROM enable_logging()", "SELECT length(repeat('x', 4000000000))", "SELECT repeat('x', 20000000), repeat('y', 20000000)"} {
			if stdout, _, exit := run(t, "query", "--data", dir, sql); exit == 0 {
				t.Errorf("arbalest query: %s: %.200s", sql, stdout)
			}
		}
		works(t)
	})
	t.Run("bounded", func(t *testing.T) {
		escape(t, conn, "SET statement_timeout = '300ms'")
		for _, sql := range floods() {
			began := time.Now()
			if state := escape(t, conn, sql); state == "" {
				t.Errorf("%.100s: nothing was refused", sql)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Logf("%.100s: took %v", sql, took.Round(time.Second/10))
			}
		}
		works(t)
	})
	t.Run("many at once", func(t *testing.T) {
		var running sync.WaitGroup
		until := time.Now().Add(8 * time.Second)
		for i := range 24 {
			conn := session(t, address)
			running.Go(func() {
				_, _ = conn.Exec(t.Context(), "SET statement_timeout = '2s'")
				for ; time.Now().Before(until); i += 5 {
					_, _ = conn.Exec(t.Context(), floods()[i%len(floods())])
				}
			})
		}
		running.Wait()
		works(t)
	})
	t.Run("kept", func(t *testing.T) { keepAll(t, address); works(t) })
	t.Run("protocol", func(t *testing.T) { floodProtocol(t, net.JoinHostPort(host, port)); works(t) })

	n, longest := stop()
	peak := s.peak()
	t.Logf("%d events were acknowledged meanwhile, in %v at most; peak %d MiB", n, longest.Round(time.Millisecond), peak>>20)
	if longest > 3*time.Second {
		t.Errorf("an event took %v", longest)
	}
	must(t, "sync", "--data", dir)
	if got, want := query(t, dir, "SELECT loaded, not_loaded FROM (SELECT sum(loaded) AS loaded, sum(not_loaded) AS not_loaded FROM arbalest.books)")[0], fmt.Sprintf("%d,0", n+2); got != want {
		t.Errorf("books: %s, want %s", got, want)
	}
	must(t, "verify", "--data", dir)
	s.stop()
	if log := s.log.String(); strings.Contains(log, "panic") || strings.Contains(log, "level=ERROR") {
		t.Errorf("serve said:\n%s", log)
	}
}

// keepAll prepares statements, opens cursors and fills parameters, until serve
// has enough of it.
func keepAll(t *testing.T, address string) {
	long := "SELECT '" + strings.Repeat("x", 900_000) + "' AS a"
	refused := map[string]int{}
	note := func(what string, err error) bool {
		var e *pgconn.PgError
		if errors.As(err, &e) {
			refused[what+" "+e.Code]++
			return true
		}
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return false
	}
	var conns []*pgx.Conn
	for range 16 {
		conn := session(t, address)
		conns = append(conns, conn)
		for i := range 200 {
			if _, err := conn.PgConn().Prepare(t.Context(), fmt.Sprint("s", i), long, nil); note("statements", err) {
				break
			}
		}
	}
	for _, conn := range conns {
		conn.Close(context.Background())
	}
	wide := make([]byte, 12<<20)
	for i := range wide {
		wide[i] = 'x'
	}
	for range 16 {
		conn := session(t, address)
		if _, err := conn.Exec(t.Context(), "BEGIN"); err != nil {
			t.Fatal(err)
		}
		for i := range 120 {
			r := conn.PgConn().ExecParams(t.Context(), fmt.Sprintf("DECLARE c%d CURSOR FOR SELECT $1::VARCHAR, i FROM range(100000000) r(i)", i), [][]byte{wide}, nil, nil, nil).Read()
			if note("values", r.Err) {
				break
			}
		}
	}
	for range 16 {
		conn := session(t, address)
		if _, err := conn.Exec(t.Context(), "BEGIN"); err != nil {
			t.Fatal(err)
		}
		for i := range 120 {
			_, err := conn.Exec(t.Context(), fmt.Sprintf("DECLARE c%d CURSOR FOR SELECT repeat('x', 1000) || i FROM range(100000000) r(i); FETCH 1 FROM c%[1]d", i))
			if note("cursors", err) {
				break
			}
		}
	}
	if refused["statements 53200"] == 0 || refused["values 53200"] == 0 || refused["cursors 53400"]+refused["cursors 53200"] == 0 {
		t.Errorf("refused: %v", refused)
	}
	t.Logf("refused: %v", refused)
}

// floodProtocol sends messages that are too long, or never end, and cancels what
// is not there.
func floodProtocol(t *testing.T, place string) {
	startup := func() []byte {
		body := append(binary.BigEndian.AppendUint32(nil, 196608), "user\x00arbalest\x00database\x00arbalest\x00\x00"...)
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)
	}
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", place)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	message := func(kind byte, size uint32, body int) []byte {
		b := binary.BigEndian.AppendUint32([]byte{kind}, size)
		return append(b, make([]byte, body)...)
	}
	// Startups that claim to be huge, and that never end.
	for _, b := range [][]byte{{0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0}, {0, 0, 0xff, 0, 0, 3, 0, 0, 'u'}, {0, 0}} {
		for range 8 {
			_, _ = dial().Write(b)
		}
	}
	var sent atomic.Int64
	var running sync.WaitGroup
	for i := range 40 {
		kind, size := "QPBd"[i%4], uint32(16<<20)
		running.Go(func() {
			conn, err := net.Dial("tcp", place)
			if err != nil {
				return
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(3 * time.Second))
			_, _ = conn.Write(startup())
			_, _ = conn.Read(make([]byte, 1<<10))
			n, _ := conn.Write(message(kind, size, int(size)-1000)) // it lacks its end
			sent.Add(int64(n))
			_, _ = io.Copy(io.Discard, conn)
		})
	}
	running.Wait()
	for _, b := range [][]byte{message('Q', 0x7fffffff, 0), message('Q', 3, 0), message('Z', 4, 0), message('B', 30, 26), message('E', 9, 5), message(0xff, 0xffffffff, 0)} {
		conn := dial()
		_, _ = conn.Write(append(startup(), b...))
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.Copy(io.Discard, conn)
		conn.Close()
	}
	for i := range 500 {
		conn := dial()
		b := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e}, uint32(i))
		_, _ = conn.Write(binary.BigEndian.AppendUint32(b, 12345))
		conn.Close()
	}
	t.Logf("%d MiB of messages without an end were taken", sent.Load()>>20)
}
