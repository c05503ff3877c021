package redshifttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/klauspost/compress/gzip"

	"arbalest"
	"arbalest/internal/postgres/postgrestest"
)

// A client is a connection to the emulator.
type client struct {
	*testing.T
	server *Server
	bucket *Bucket
	conn   *pgconn.PgConn
}

func newClient(t *testing.T) *client {
	t.Helper()
	c := &client{T: t, server: Start(t)}
	c.bucket = c.server.NewBucket()
	c.conn = c.connect(c.server.URL())
	return c
}

func (c *client) connect(url string) *pgconn.PgConn {
	c.Helper()
	conn, err := pgconn.Connect(c.Context(), strings.Replace(url, "redshift:", "postgres:", 1))
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (c *client) try(sql string) (rows [][]string, err error) {
	results, err := c.conn.Exec(c.Context(), sql).ReadAll()
	for _, r := range results {
		for _, row := range r.Rows {
			texts := make([]string, len(row))
			for i, v := range row {
				if texts[i] = string(v); v == nil {
					texts[i] = "NULL"
				}
			}
			rows = append(rows, texts)
		}
	}
	return rows, err
}

func (c *client) do(sql string) [][]string {
	c.Helper()
	rows, err := c.try(sql)
	if err != nil {
		c.Fatalf("%s: %v", sql, err)
	}
	return rows
}

func (c *client) put(key arbalest.Key, text string) {
	c.Helper()
	if err := c.bucket.Put(c.Context(), key, bytes.NewReader([]byte(text))); err != nil {
		c.Fatal(err)
	}
}

// refuses says what SQL is refused with, by a part of the message.
func (c *client) refuses(sql, with string) {
	c.Helper()
	_, err := c.try(sql)
	var answer *pgconn.PgError
	if !errors.As(err, &answer) || !strings.Contains(answer.Message+" "+answer.Detail, with) {
		c.Errorf("%.120s: %v, want %q", sql, err, with)
	}
}

const copyA = "COPY t FROM 's3://lake/prod/a' IAM_ROLE default FORMAT AS JSON "

// TestCopyValues loads one value into one column, each by itself.
func TestCopyValues(t *testing.T) {
	c := newClient(t)
	c.put("p", `{"jsonpaths":["$['v']"]}`)
	long := strings.Repeat("x", 65536)
	for _, test := range []struct{ kind, value, want string }{ // want is an error's code after !
		{"INT", "1", "1"}, {"INT", `"1"`, "1"}, {"INT", `""`, "NULL"}, {"INT", "null", "NULL"}, {"INT", `"x"`, "!1207"}, {"INT", "2147483648", "!1224"}, {"INT", "1.9", "1"},
		{"SMALLINT", "-32768", "-32768"}, {"BIGINT", `"9007199254740993"`, "9007199254740993"}, {"BIGINT", "9007199254740993", "9007199254740992"},
		{"DECIMAL(12,2)", "12.345", "12.34"}, {"DECIMAL(12,2)", `"12.345"`, "12.34"}, {"DECIMAL(38,10)", `"1234567890123456789012345678.1234567890"`, "1234567890123456789012345678.1234567890"},
		{"DECIMAL(38,10)", "0.1234567890123456789", "0.1234567890"}, {"DECIMAL(4,2)", "100", "!1224"}, {"DECIMAL", "1.5", "1"},
		{"REAL", "0.1", "0.1"}, {"DOUBLE PRECISION", "1e300", "1e+300"}, {"DOUBLE PRECISION", `"x"`, "!1207"}, {"FLOAT", `"1e400"`, "!1207"},
		{"BOOLEAN", "true", "t"}, {"BOOLEAN", `"no"`, "f"}, {"BOOLEAN", "1", "t"}, {"BOOLEAN", `"maybe"`, "!1210"},
		{"VARCHAR(4)", `"abcd"`, "abcd"}, {"VARCHAR(4)", `"abcde"`, "!1204"}, {"VARCHAR(4)", `"abc  "`, "abc "}, {"VARCHAR(4)", `"éé"`, "éé"}, {"VARCHAR(4)", `"ééé"`, "!1204"}, {"VARCHAR(4)", `""`, ""},
		{"VARCHAR(MAX)", `"` + long[1:] + `"`, long[1:]}, {"VARCHAR(MAX)", `"` + long + `"`, "!1204"}, {"VARCHAR", `"` + long[:257] + `"`, "!1204"},
		{"VARCHAR(40)", `{"a": [1,2]}`, `{"a": [1,2]}`}, {"VARCHAR(40)", "1.50", "1.50"}, {"VARCHAR(40)", `"\u00e9\n\\"`, "é\n\\"}, {"VARCHAR(40)", `"\ud800"`, "!1220"}, {"VARCHAR(40)", `"\u0000"`, "!1224"},
		{"CHAR(3)", `"ab"`, "ab "}, {"CHAR(3)", `"é"`, "!1220"}, {"TEXT", `"` + long[:257] + `"`, "!1204"},
		{"DATE", `"2015-08-18"`, "2015-08-18"}, {"DATE", `"2015-08-18T06:36:40Z"`, "2015-08-18"}, {"DATE", `"2015-13-01"`, "!1205"},
		{"TIMESTAMP", `"2015-08-18T06:36:40.123456Z"`, "2015-08-18 06:36:40.123456"}, {"TIMESTAMP", `"2015-08-18 06:36:40"`, "2015-08-18 06:36:40"}, {"TIMESTAMP", `"2015-08-18"`, "2015-08-18 00:00:00"},
		{"TIMESTAMP", "1439879800", "!1206"}, {"TIMESTAMP", `"yesterday"`, "!1206"}, {"TIMESTAMP", `"2015-08-18T25:00:00Z"`, "!1206"}, {"TIMESTAMP", `""`, "NULL"},
		{"TIMESTAMPTZ", `"2015-08-18T06:36:40+02:00"`, "2015-08-18 04:36:40+00"}, {"TIMESTAMPTZ", `"2015-08-18 06:36:40.5"`, "2015-08-18 06:36:40.5+00"},
		{"SUPER", `{"a":[1.10,null]}`, `{"a":[1.10,null]}`}, {"SUPER", `["` + long + `"]`, "!1224"}, {"SUPER", `"x"`, `"x"`},
	} {
		c.do("DROP TABLE IF EXISTS t")
		c.do("CREATE TABLE t (v " + test.kind + ")")
		c.put("a", `{"v":`+test.value+`}`)
		_, err := c.try(copyA + "'s3://lake/prod/p' TIMEFORMAT 'auto' DATEFORMAT 'auto'")
		var got string
		if err != nil {
			got = "!" + c.do("SELECT error_code FROM sys_load_error_detail WHERE query_id = pg_last_copy_id()")[0][0]
			if !strings.Contains(err.Error(), "Load into table 't' failed.  Check 'sys_load_error_detail' system table for details.") {
				t.Error(err)
			}
		} else {
			got = c.do("SELECT v FROM t")[0][0]
		}
		if got != test.want {
			t.Errorf("%.60s into %s: %.100s, want %.100s", test.value, test.kind, got, test.want)
		}
	}
}

// TestCopyDocuments is about what a data file may be.
func TestCopyDocuments(t *testing.T) {
	c := newClient(t)
	c.do("CREATE TABLE t (n INT, name VARCHAR(20))")
	auto := copyA + "'auto'"
	load := func(text, options string) (rows int, err error) {
		c.do("DELETE FROM t")
		c.put("a", text)
		_, err = c.try(auto + options)
		fmt.Sscan(c.do("SELECT count(*) FROM t")[0][0], &rows)
		return rows, err
	}
	for _, test := range []struct {
		text, options string
		rows          int
		fails         bool
	}{
		{"{\"n\":1}{\"n\":2} {\n \"n\" : 3\n}\n", "", 3, false},
		{`{"n":1},{"n":2}`, "", 0, true},
		{`{"n":1},{"n":2}`, " MAXERROR 2", 2, false},
		{`{"n":1},{"n":2},{"n":3}`, " MAXERROR 2", 0, true},
		{`[{"n":1},{"n":2}]`, "", 0, true},
		{"{\"n\":\"x\"}\n{\"n\":2}", " MAXERROR 1", 0, true},
		{"{\"n\":\"x\"}\n{\"n\":2}", " MAXERROR 0", 0, true},
		{"{\"n\":\"x\"}\n{\"n\":2}", " MAXERROR 2", 1, false},
		{"{\"n\":\"x\"}\n{\"n\":2}", " IGNOREALLERRORS", 1, false},
		{`{"n":1}`, " NOLOAD", 0, false},
		{`{"n":"x"}`, " NOLOAD", 0, true},
		{`{"n":1,"unknown":2,"N":3}`, "", 1, false},
		{`{"n":1}`, " GZIP", 0, true},
		{`{"name":"` + strings.Repeat("x", maxDocument) + `"}`, " MAXERROR 10", 0, true},
		{`{"n":1,"name":"` + strings.Repeat("x", 30) + `"}`, " TRUNCATECOLUMNS", 1, false},
	} {
		rows, err := load(test.text, test.options)
		if rows != test.rows || (err != nil) != test.fails {
			t.Errorf("%.60q%s: %d rows, %v", test.text, test.options, rows, err)
		}
	}
	// 'auto' knows the case of names, 'auto ignorecase' does not.
	for option, want := range map[string]string{"'auto'": "NULL", "'auto ignorecase'": "1"} {
		c.do("DELETE FROM t")
		c.put("a", `{"N":1,"name":"x"}`)
		c.do(copyA + option)
		if got := c.do("SELECT n FROM t"); got[0][0] != want {
			t.Errorf("%s: %v", option, got)
		}
	}
	c.put("line", "{\"n\":1}\n\n{\"n\":\n\"x\"}")
	if _, err := c.try("COPY t FROM 's3://lake/prod/line' IAM_ROLE default JSON 'auto'"); err == nil {
		t.Error("no error")
	}
	if got := c.do("SELECT line_number, btrim(filename), btrim(colname), btrim(raw_field_value), err_code FROM stl_load_errors WHERE query = pg_last_copy_id()"); !reflect.DeepEqual(got, [][]string{{"4", "s3://lake/prod/line", "n", "x", "1207"}}) {
		t.Error(got)
	}
	c.do("CREATE TABLE strict (n INT NOT NULL)")
	c.put("a", `{"m":1}`)
	c.refuses("COPY strict FROM 's3://lake/prod/a' IAM_ROLE default JSON 'auto' MAXERROR 10", "not-null")
}

// TestCopyPaths is about JSONPaths files.
func TestCopyPaths(t *testing.T) {
	c := newClient(t)
	c.do("CREATE TABLE t (a VARCHAR(20), b VARCHAR(20))")
	c.put("a", `{"a":"auto","x":{"y.z":["first","second"]},"b":"b"}`)
	for _, test := range []struct{ paths, want string }{
		{`{"jsonpaths":["$['x']['y.z'][1]","$['b']"]}`, "second|b"},
		{`{"jsonpaths":["$.a","$.b"]}`, "auto|b"},
		{`{"jsonpaths":["$['nowhere']['y']","$['x']"]}`, `NULL|{"y.z":["first","` + `second"]}`},
		{`{"jsonpath":["$['x']"]}`, "auto|b"}, // misspelt: 'auto'
		{`{"jsonpaths":["$['x']['y.z'][2]","$['b']"]}`, "!index out of range"},
		{`{"jsonpaths":["$['b'][0]","$['b']"]}`, "!index out of range"},
		{`{"jsonpaths":["$['a']","$.b"]}`, "!mixed"},
		{`{"jsonpaths":["$['a']"]}`, "!1 paths for 2 columns"},
		{`{"jsonpaths":["$['a']",""]}`, "!empty"},
		{`{"jsonpaths":["$['a']",1]}`, "!not a string"},
		{`{"jsonpaths":["$['a']","$['b']"]}{}`, "!after the object"},
		{`{"jsonpaths":["$['a']","$['b']"]`, "!not one JSON object"},
		{`{"jsonpaths":["$['a']","a"]}`, "!does not begin with $"},
		{`{"jsonpaths":["$['a']","$['it\\'s']"]}`, "!quote or a backslash"},
	} {
		c.do("ALTER TABLE t RENAME TO old")
		c.do("CREATE TABLE t (a VARCHAR(40), b VARCHAR(40))")
		c.do("DROP TABLE old")
		c.put("p", test.paths)
		sql := copyA + "'s3://lake/prod/p' MAXERROR 100"
		if with, ok := strings.CutPrefix(test.want, "!"); ok {
			c.refuses(sql, with)
			continue
		}
		if c.do(sql); strings.Join(c.do("SELECT * FROM t")[0], "|") != test.want {
			t.Errorf("%s: %v", test.paths, c.do("SELECT * FROM t"))
		}
	}
	c.refuses(copyA+"'s3://lake/prod/none'", "NoSuchKey")
}

// TestCopyFiles is about prefixes, manifests and codecs.
func TestCopyFiles(t *testing.T) {
	c := newClient(t)
	c.do("CREATE TABLE t (n INT)")
	c.put("a", `{"n":1}`)
	c.put("a.bak", `{"n":2}`)
	c.put("d/x", `{"n":3}`)
	count := func(sql string) string {
		c.Helper()
		c.do("DELETE FROM t")
		c.do(sql)
		if a, b := c.do("SELECT count(*) FROM t")[0][0], c.do("SELECT pg_last_copy_count()")[0][0]; a != b {
			t.Errorf("%s rows, and pg_last_copy_count() is %s", a, b)
		}
		return c.do("SELECT sum(n) FROM t")[0][0]
	}
	if got := count(copyA + "'auto'"); got != "3" {
		t.Errorf("a prefix: %s", got) // a.bak too
	}
	entry := func(key string, mandatory any) string {
		b, _ := json.Marshal(map[string]any{"url": c.bucket.URL(arbalest.Key(key)), "mandatory": mandatory, "meta": map[string]int{"content_length": 7}})
		return string(b)
	}
	manifest := "COPY t FROM 's3://lake/prod/m' IAM_ROLE default JSON 'auto' MANIFEST"
	for _, test := range []struct{ manifest, want string }{
		{`{"entries":[` + entry("a", true) + `]}`, "1"},
		{`{"entries":[` + entry("a", true) + "," + entry("a", true) + "," + entry("d/x", true) + `]}`, "5"},
		{`{"entries":[` + entry("a", true) + `,{"url":"s3://lake/prod/none"}]}`, "1"},
	} {
		c.put("m", test.manifest)
		if got := count(manifest); got != test.want {
			t.Errorf("%s: %s", test.manifest, got)
		}
	}
	for _, test := range []struct{ manifest, want string }{
		{`{"entries":[` + entry("none", true) + "," + entry("a", true) + `]}`, "NoSuchKey"},
		{`{"entries":[{"url":"s3://lake/prod/none"}]}`, "does not exist"},
		{`{"entries":[]}`, "does not exist"},
		{`{"entries":[`, "not in the correct format"},
	} {
		c.put("m", test.manifest)
		c.refuses(manifest, test.want)
	}
	c.put("m", `{"entries":[`+entry("a", true)+`]}`)
	c.do("DELETE FROM t")
	c.do("COPY t FROM 's3://lake/prod/m' IAM_ROLE default JSON 'auto'") // without MANIFEST it is data
	if got := c.do("SELECT n FROM t"); !reflect.DeepEqual(got, [][]string{{"NULL"}}) {
		t.Error(got)
	}
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	fmt.Fprint(w, `{"n":7}`)
	_ = w.Close()
	c.put("z", zipped.String())
	if got := count("COPY t FROM 's3://lake/prod/z' IAM_ROLE default JSON 'auto' GZIP"); got != "7" {
		t.Error(got)
	}
	c.refuses("COPY t FROM 's3://lake/prod/z' IAM_ROLE default JSON 'auto'", "Load into table")
	c.refuses("COPY t FROM 's3://lake/prod/none' IAM_ROLE default JSON 'auto'", "does not exist")
	c.refuses("COPY t FROM 's3://other/none' IAM_ROLE default JSON 'auto'", "NoSuchBucket")
}

// TestRefusals is what Redshift does not understand, and how it says so.
func TestRefusals(t *testing.T) {
	c := newClient(t)
	c.do("CREATE TABLE t (n INT, v VARCHAR(10), s SUPER)")
	for sql, with := range map[string]string{
		"COPY t FROM STDIN": "COPY FROM STDIN", "COPY t FROM 's3://lake/prod/a' JSON 'auto'": "CREDENTIALS",
		copyA + "'auto' CSV": "not supported with JSON", copyA + "'auto' SURPRISE": "syntax error", copyA + "'auto' MAXERROR 1 MAXERROR 2": "redundant",
		copyA + "'auto' ACCESS_KEY_ID 'a' SECRET_ACCESS_KEY 'b'": "redundant", copyA + "'automatic'": "JSONPaths",
		"COPY nowhere FROM 's3://lake/prod/a' IAM_ROLE default JSON 'auto'": "does not exist", "COPY t (x) FROM 's3://lake/prod/a' IAM_ROLE default JSON 'auto'": "does not exist",
		"COPY t FROM 's3://lake/prod/a' CREDENTIALS 'aws_iam_role = x' JSON 'auto'": "Invalid credentials",
		"INSERT INTO t (n) VALUES (1) ON CONFLICT DO NOTHING":                       "syntax error", "SELECT DISTINCT ON (n) n FROM t": "syntax error", "SELECT n IS DISTINCT FROM 1 FROM t": "syntax error",
		"SAVEPOINT a": "SAVEPOINT", "SELECT string_agg(v, ',') FROM t": "string_agg", "SELECT array_agg(n) FROM t": "array_agg", "SELECT * FROM generate_series(1, 2)": "generate_series",
		"SELECT pg_advisory_lock(1)": "advisory", "CREATE INDEX i ON t (n)": "INDEX", "CREATE TABLE x (a JSONB)": "jsonb", "CREATE TABLE x (a JSON)": "json", "CREATE TABLE x (a BYTEA)": "bytea",
		"CREATE TABLE x (a UUID)": "uuid", "CREATE TABLE x (a INT[])": "array", "CREATE TABLE x (a SERIAL)": "serial", "CREATE TABLE x (xmin INT)": "system column", "CREATE TABLE x (tag INT)": "syntax error",
		"CREATE TABLE x (a VARCHAR(65536))": "65535", "CREATE TABLE x (a DECIMAL(39,0))": "38", "ALTER TABLE t ADD COLUMN IF NOT EXISTS m INT": "syntax error", "ALTER TABLE t ADD COLUMN a INT, ADD COLUMN b INT": "syntax error",
		"ALTER TABLE t ALTER COLUMN n TYPE BIGINT": "VARCHAR", "ALTER TABLE t ALTER COLUMN v TYPE VARCHAR(5)": "longer", "ALTER TABLE t ADD COLUMN n INT": "already exists",
		"BEGIN; ALTER TABLE t ALTER COLUMN v TYPE VARCHAR(20)": "transaction block", "BEGIN; VACUUM": "transaction block", "SELECT s::jsonb FROM t": "jsonb", "DELETE FROM t RETURNING n": "syntax error",
		"WITH x AS (SELECT 1 AS n) INSERT INTO t (n) SELECT n FROM x": "syntax error", "SELECT * FROM (VALUES (1)) v": "syntax error", "SELECT count(*) FILTER (WHERE n = 1) FROM t": "syntax error",
		"SELECT n FROM t FOR UPDATE": "syntax error", "LOCK t IN SHARE MODE": "syntax error", "LISTEN x": "syntax error", "SELECT 'open": "syntax error", "CREATE TEMP TABLE x (n INT) ON COMMIT DROP": "syntax error",
	} {
		c.refuses(sql, with)
		if c.conn.TxStatus() != 'I' {
			c.do("ROLLBACK")
		}
	}
	if r := c.conn.ExecParams(c.Context(), "CREATE TABLE x (n INT DEFAULT $1)", [][]byte{[]byte("1")}, nil, nil, nil).Read(); r.Err == nil || !strings.Contains(r.Err.Error(), `near "$1"`) {
		t.Error(r.Err)
	}
	if v := c.conn.ParameterStatus("server_version"); v != "8.0.2" || c.conn.ParameterStatus("standard_conforming_strings") != "" {
		t.Errorf("version %q", v)
	}
	if _, err := pgconn.Connect(c.Context(), strings.Replace(c.server.URL(), "redshift:", "postgres:", 1)+"&work_mem=1MB"); err == nil || !strings.Contains(err.Error(), "unrecognized configuration parameter") {
		t.Error(err)
	}
	conn, err := pgx.Connect(c.Context(), strings.Replace(c.server.URL(), "redshift:", "postgres:", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(c.Context())
	if _, err := conn.CopyFrom(c.Context(), pgx.Identifier{"t"}, []string{"n"}, pgx.CopyFromRows([][]any{{1}})); err == nil {
		t.Error("CopyFrom works")
	}
}

// TestAccepted is what Redshift understands and PostgreSQL does not, or not so.
func TestAccepted(t *testing.T) {
	c := newClient(t)
	c.do(`CREATE TABLE "T" ("Id" BIGINT ENCODE az64 NOT NULL, v VARCHAR(MAX) ENCODE zstd, w VARCHAR, c CHAR(MAX), d DECIMAL DEFAULT 1.5, s SUPER, at TIMESTAMP DEFAULT SYSDATE, PRIMARY KEY ("Id")) BACKUP YES DISTSTYLE KEY DISTKEY ("Id") COMPOUND SORTKEY (at)`)
	c.do(`INSERT INTO t (id, v) VALUES (1, 'back\\slash'), (1, 'it''s')`) // keys are informational
	if got := c.do(`SELECT ID, V, D FROM t WHERE v LIKE 'back%'`); !reflect.DeepEqual(got, [][]string{{"1", `back\slash`, "2"}}) {
		t.Error(got)
	}
	if got := c.do("SELECT column_name, data_type, character_maximum_length FROM information_schema.columns WHERE table_name = 't' ORDER BY ordinal_position"); !reflect.DeepEqual(got, [][]string{
		{"id", "bigint", "NULL"}, {"v", "character varying", "65535"}, {"w", "character varying", "256"}, {"c", "character", "4096"}, {"d", "numeric", "NULL"}, {"s", "super", "NULL"}, {"at", "timestamp without time zone", "NULL"}}) {
		t.Error(got)
	}
	if got := c.do("SELECT version()"); !strings.Contains(got[0][0], "8.0.2") {
		t.Error(got)
	}
	c.do("CREATE TABLE e DISTSTYLE EVEN AS SELECT * FROM t")
	c.do("CREATE VIEW seen AS SELECT id FROM t WITH NO SCHEMA BINDING")
	c.do("ALTER TABLE t ALTER COLUMN w TYPE VARCHAR(300)")
	c.do("ALTER TABLE t ADD COLUMN more VARCHAR(MAX) ENCODE lzo DEFAULT 'x'")
	c.do("BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE; LOCK t, e; DELETE FROM t; COMMIT")
	// TRUNCATE commits what came before it.
	c.do("BEGIN")
	c.do("INSERT INTO t (id) VALUES (5)")
	c.do("TRUNCATE e")
	if c.conn.TxStatus() != 'I' {
		t.Error("a transaction is open after TRUNCATE")
	}
	if got := c.do("SELECT count(*) FROM t; SELECT count(*) FROM e"); !reflect.DeepEqual(got, [][]string{{"1"}, {"0"}}) {
		t.Error(got)
	}
	// Several statements are one transaction.
	if _, err := c.try("INSERT INTO t (id) VALUES (6); SELECT 1/0"); err == nil || len(c.do("SELECT 1 FROM t WHERE id = 6")) != 0 {
		t.Errorf("half of it stayed: %v", err)
	}
}

// TestSnapshot holds that LOCK takes no snapshot, and what touches a table does.
func TestSnapshot(t *testing.T) {
	c := newClient(t)
	c.do("CREATE TABLE t (n INT); CREATE TABLE l (n INT)")
	other := c.connect(c.server.URL())
	insert := func() {
		if _, err := other.Exec(c.Context(), "INSERT INTO t VALUES (1)").ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	c.do("BEGIN")
	c.do("LOCK l")
	insert()
	if got := c.do("SELECT count(*) FROM t"); got[0][0] != "1" {
		t.Errorf("LOCK took the snapshot: %v", got)
	}
	insert()
	if got := c.do("SELECT count(*) FROM t"); got[0][0] != "1" {
		t.Errorf("no snapshot: %v", got)
	}
	if _, err := other.Exec(c.Context(), "UPDATE t SET n = 2").ReadAll(); err != nil {
		t.Fatal(err)
	}
	c.refuses("UPDATE t SET n = 3", "Serializable isolation violation")
	c.do("ROLLBACK")
}

// TestProxyStandsInFront cuts a connection to the emulator.
func TestProxyStandsInFront(t *testing.T) {
	c := newClient(t)
	proxy := postgrestest.NewProxy(t, c.server.URL())
	conn := c.connect(proxy.DSN())
	proxy.Set(postgrestest.Fault{Kind: postgrestest.LoseReply, Match: "COMMIT", N: 1})
	_, err := conn.Exec(c.Context(), "BEGIN; CREATE TABLE t (n INT); COMMIT").ReadAll()
	if err == nil || len(c.do("SELECT 1 FROM information_schema.tables WHERE table_name = 't'")) != 1 {
		t.Errorf("the commit did not happen: %v", err)
	}
}

// TestStatements records what was asked, and no keys.
func TestStatements(t *testing.T) {
	c := newClient(t)
	_, _ = c.try("COPY t FROM 's3://lake/prod/a' ACCESS_KEY_ID 'AKIA1' SECRET_ACCESS_KEY 'it''s' SESSION_TOKEN 'tok' JSON 'auto'")
	_, _ = c.try("COPY t FROM 's3://lake/prod/a' CREDENTIALS AS 'aws_access_key_id=AKIA1;aws_secret_access_key=x' JSON 'auto'")
	all := strings.Join(c.server.Statements(), "\n")
	if strings.Contains(all, "AKIA1") || strings.Contains(all, "it''s") || strings.Contains(all, "tok'") || strings.Count(all, "********") != 4 {
		t.Error(all)
	}
}
