package pgwire

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestEscapes tries to get out: each must be refused or be bounded, and the
// server must go on.
func TestEscapes(t *testing.T) {
	address, _ := start(t, Options{Timeout: time.Second})
	conn := connect(t, address, "default_query_exec_mode=simple_protocol")
	for _, sql := range []string{
		"SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM read_text('/etc/passwd')", "SELECT * FROM read_blob('/etc/passwd')", "SELECT * FROM glob('/*')", "SELECT * FROM '/etc/passwd'",
		"SELECT * FROM read_json('/etc/passwd')", "SELECT * FROM read_parquet('/etc/passwd')", "SELECT * FROM sniff_csv('/etc/passwd')", "SELECT * FROM parquet_metadata('/etc/passwd')", "SELECT * FROM pg.main.read_csv('/etc/passwd')",
		"COPY everything TO '/tmp/escaped.csv'", "COPY (SELECT 1) TO PROGRAM 'id'", "COPY everything FROM '/etc/passwd'", "COPY everything FROM STDIN", "EXPORT DATABASE '/tmp/escaped'", "IMPORT DATABASE '/tmp/escaped'",
		"ATTACH '/tmp/escaped.db'", "ATTACH ':memory:' AS x", "DETACH warehouse", "USE memory", "INSTALL httpfs", "LOAD httpfs", "FORCE INSTALL httpfs", "PRAGMA database_list", "CALL pragma_version()", "CHECKPOINT",
		"CREATE TABLE x (a INTEGER)", "CREATE TEMP TABLE x AS SELECT 1", "CREATE MACRO x() AS 1", "CREATE SECRET (TYPE s3)", "DROP TABLE everything", "INSERT INTO everything (id) VALUES (3)", "DELETE FROM everything",
		"UPDATE everything SET id = 3", "TRUNCATE everything", "ALTER TABLE everything ADD COLUMN x INTEGER", "WITH x AS (SELECT 1) INSERT INTO everything (id) SELECT 3", "EXPLAIN ANALYZE INSERT INTO everything (id) VALUES (3)",
		"EXPLAIN ANALYZE DELETE FROM everything", "SET memory_limit = '100GB'; SELECT current_setting('memory_limit')::INTEGER", "SELECT getenv('HOME')", "SELECT nextval('x')", "SELECT * FROM query('DROP TABLE everything')",
		"PREPARE x AS DROP TABLE everything", "EXECUTE x", "DO $$ x $$", "VACUUM", "LISTEN x", "SELECT pg_read_file('/etc/passwd')", "SELECT lo_import('/etc/passwd')", "DECLARE c CURSOR WITH HOLD FOR DROP TABLE everything", strings.Repeat("DECLARE c CURSOR WITH HOLD FOR ", 30_000) + "SELECT 1", "COPY (DROP TABLE everything) TO STDOUT",
		"SELECT count(*) FROM range(10000000) a, range(10000000) b, range(100000) c WHERE a.range + b.range = c.range", "SELECT list(a.range || 'x') FROM range(1000000000) a", "SELECT rpad('x', 1000000000, 'y')", "SELECT lpad('x', 1000000000 + i, 'y') FROM range(5000) r(i)", "SELECT repeat('x', 1000000000 + i) FROM range(5000) r(i)", "SELECT repeat('x', 1000000000) || repeat('y', 1000000000) || i FROM range(100) r(i)",
		"WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x) SELECT count(*) FROM x", "SELECT " + strings.Repeat("(", 20_000) + "1" + strings.Repeat(")", 20_000), "SELECT " + strings.Repeat("1+", 20_000) + "1",
		"SELECT '" + strings.Repeat("[", 100_000) + "'::JSON", "SELECT 'open", "SELECT /* open", "SELECT \"open", "SELECT $$open", "SELECT E'open\\", "((((((", "SELECT 1::", "::", "CAST(", "SELECT x = ANY(", "DECLARE", "FETCH", "COPY", "COPY TO STDOUT", "SET", "SHOW", "CLOSE", "MOVE",
	} {
		began := time.Now()
		_, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
		if took := time.Since(began); took > 5*time.Second {
			t.Logf("%.100s: took %v", sql, took)
		}
		if err == nil {
			t.Errorf("%.100s: nothing was refused", sql)
		}
		if conn.IsClosed() {
			t.Fatalf("%.100s: the session broke: %v", sql, err)
		}
	}
	if got := all(t, conn, "SELECT count(*) FROM everything"); got[0][0] != "2" {
		t.Errorf("table has %s rows", got[0][0])
	}
	// Functions that would write see a transaction that only reads.
	_, _ = conn.Exec(t.Context(), "SELECT * FROM force_checkpoint()")
	if got := all(t, conn, "SELECT 1"); got[0][0] != "1" {
		t.Error("not after force_checkpoint")
	}
}

// TestPassword lets in who knows it, over TLS too.
func TestPassword(t *testing.T) {
	address, _ := start(t, Options{Password: "sécret", TLS: selfSigned(t)})
	host, port, _ := net.SplitHostPort(address)
	for _, test := range []struct{ more, state string }{
		{"user=arbalest dbname=arbalest password='sécret' sslmode=disable", ""}, {"user=arbalest dbname=arbalest password='sécret' sslmode=require", ""}, {"user=arbalest password='sécret' dbname=arbalest sslmode=prefer", ""},
		{"user=arbalest dbname=arbalest password=wrong sslmode=disable", "28P01"}, {"user=other dbname=arbalest password='sécret' sslmode=disable", "28000"}, {"user=arbalest dbname=other password='sécret' sslmode=disable", "3D000"},
		{"user=arbalest dbname=arbalest password='sécret' sslmode=disable client_encoding=latin1", "22023"},
	} {
		conn, err := pgx.Connect(t.Context(), fmt.Sprintf("host=%s port=%s %s", host, port, test.more))
		if test.state != "" {
			stateIs(t, test.more, err, test.state)
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.more, err)
			continue
		}
		_, encrypted := conn.PgConn().Conn().(*tls.Conn)
		if all(t, conn, "SELECT 1")[0][0] != "1" || encrypted == strings.Contains(test.more, "disable") {
			t.Errorf("%s: encrypted is %t", test.more, encrypted)
		}
		conn.Close(context.Background())
	}
}

func selfSigned(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "arbalest"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// TestSessionsAtOnce has many sessions, of which too many are refused, and
// closes the server while they work.
func TestSessionsAtOnce(t *testing.T) {
	address, server := start(t, Options{Sessions: 8})
	var conns []*pgx.Conn
	for range 8 {
		conns = append(conns, connect(t, address, ""))
	}
	host, port, _ := net.SplitHostPort(address)
	_, err := pgx.Connect(t.Context(), fmt.Sprintf("host=%s port=%s user=arbalest", host, port))
	stateIs(t, "one too many", err, "53300")
	var done sync.WaitGroup
	for _, conn := range conns {
		done.Go(func() {
			for {
				if _, err := conn.Exec(context.Background(), "SELECT count(*) FROM range(100000)"); err != nil {
					return
				}
			}
		})
	}
	time.Sleep(200 * time.Millisecond)
	if err := server.Close(t.Context()); err != nil {
		t.Error(err)
	}
	done.Wait()
}

// TestGarbage sends what is no protocol.
func TestGarbage(t *testing.T) {
	address, _ := start(t, Options{})
	for _, garbage := range []string{"GET / HTTP/1.1\r\n\r\n", "\x00\x00\x00\x08\x04\xd2\x16\x2f", "\x00\x00\x00\x08\x04\xd2\x16\x2fmore", "\xff\xff\xff\xff\xff\xff\xff\xff", "\x00\x00\x00\x09\x00\x03\x00\x00\x00", "\x00\x00\x00\x17\x00\x03\x00\x00user\x00arbalest\x00\x00Q\xff\xff\xff\xffx"} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(garbage))
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = conn.Read(make([]byte, 1000))
		conn.Close()
	}
	if got := all(t, connect(t, address, ""), "SELECT 1"); got[0][0] != "1" {
		t.Error("not after garbage")
	}
}
