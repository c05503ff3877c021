package pgwire

import (
	"context"
	"net"
	"testing"
	"time"

	"arbalest/internal/duckdb"
	"arbalest/internal/warehouse"
)

// everything is a table with a column of each type, and a row of NULLs.
const everything = `CREATE TABLE everything AS
	SELECT 1 AS id, true AS boolean, 'a' AS "Text", 'ü"€'',;\	' || chr(10) || 'b' AS odd, '' AS blank, 7::TINYINT AS tiny, (-32768)::SMALLINT AS small, 2147483647 AS int, (-9223372036854775807) AS big, 65535::USMALLINT AS usmall,
		4294967295::UINTEGER AS uint, 18446744073709551615::UBIGINT AS ubig, 170141183460469231731687303715884105727::HUGEINT AS huge,
		1.10::DECIMAL(10,2) AS money, (-12345678901234567890123456789.123456789)::DECIMAL(38,9) AS wide, 1.5::FLOAT AS single, 0.1::DOUBLE AS double, 'inf'::DOUBLE AS infinite,
		DATE '2015-08-18' AS date, TIME '07:38:40.5' AS time, TIMESTAMP '2015-08-18 07:38:40.123456' AS stamp, TIMESTAMPTZ '2015-08-18 07:38:40+02' AS stamptz, INTERVAL '1 year 2 months -3 days 04:05:06.7' AS interval,
		'6ba7b810-9dad-11d1-80b4-00c04fd430c8'::UUID AS uuid, '\x00\xAA'::BLOB AS blob, '{"a": 1.10, "b": []}'::JSON AS json, [1, NULL, 3] AS ints, ['a', NULL, 'b"c', '', 'null'] AS texts, [1.10::DECIMAL(4,2)] AS decimals, [TIMESTAMP '2015-08-18 07:38:40'] AS stamps,
		{'a': 1, 'b': ['x']} AS struct, MAP {'k': 1} AS map, [[1], [2]] AS nested, 'x'::ENUM('x', 'y') AS enum, '101'::BIT AS bits, 'b1'::VARCHAR AS last`

// start serves a warehouse with a table on a port of its own, and returns its
// address.
func start(t testing.TB, opts Options) (address string, server *Server) {
	t.Helper()
	w, err := duckdb.Open(context.Background(), "", duckdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	err = w.Database().Transact(context.Background(), "test", func(tx warehouse.Tx) error {
		for _, sql := range []string{everything, "INSERT INTO everything (id) VALUES (2)", "CREATE VIEW seen AS SELECT id FROM everything", "CREATE SCHEMA other", `CREATE TABLE other."Mixed Case" (a INTEGER NOT NULL)`} {
			if _, err := tx.Exec(context.Background(), sql); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	opts.Warehouse = w
	s, err := New(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String(), s
}
