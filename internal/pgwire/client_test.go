package pgwire

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// connect connects pgx.
func connect(t testing.TB, address, more string) *pgx.Conn {
	t.Helper()
	host, port, _ := net.SplitHostPort(address)
	conn, err := pgx.Connect(t.Context(), fmt.Sprintf("host=%s port=%s user=arbalest dbname=arbalest %s", host, port, more))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// all returns a query's rows, as texts.
func all(t testing.TB, conn *pgx.Conn, sql string, args ...any) [][]string {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]string, error) {
		values, err := row.Values()
		texts := make([]string, len(values))
		for i, v := range values {
			texts[i] = fmt.Sprint(v)
		}
		return texts, err
	})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

// stateIs checks an error's SQLSTATE.
func stateIs(t testing.TB, what string, err error, state string) {
	t.Helper()
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != state {
		t.Errorf("%s: %v, want SQLSTATE %s", what, err, state)
	}
}

// TestTextAndBinary has every type in both formats.
func TestTextAndBinary(t *testing.T) {
	address, _ := start(t, Options{})
	var results [2][][]any
	for i, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeDescribeExec} {
		conn := connect(t, address, "")
		rows, err := conn.Query(t.Context(), "SELECT * EXCLUDE (bits) FROM everything ORDER BY id", mode)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values, err := rows.Values()
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range values {
				if n, ok := v.(pgtype.Numeric); ok {
					b, _ := n.MarshalJSON() // however many zeros are in the exponent
					r, _ := new(big.Rat).SetString(string(b))
					values[i] = r.String()
				}
			}
			results[i] = append(results[i], values)
		}
		if rows.Err() != nil {
			t.Fatal(rows.Err())
		}
	}
	if len(results[0]) != 2 || len(results[1]) != 2 {
		t.Fatalf("%d and %d rows", len(results[0]), len(results[1]))
	}
	for r := range results[0] {
		for i, v := range results[0][r] {
			if got := results[1][r][i]; !reflect.DeepEqual(v, got) && fmt.Sprint(v) != fmt.Sprint(got) {
				t.Errorf("row %d, column %d: text %T %v, binary %T %v", r, i, v, v, got, got)
			}
		}
	}
}

// TestParameters sends a value of every type, and gets it back.
func TestParameters(t *testing.T) {
	address, _ := start(t, Options{})
	conn := connect(t, address, "")
	stamp := time.Date(2015, 8, 18, 7, 38, 40, 123456000, time.UTC)
	for _, test := range []struct {
		sql  string
		arg  any
		want string
	}{
		{"SELECT $1::boolean", true, "true"}, {"SELECT $1::smallint", 7, "7"}, {"SELECT $1::integer", -7, "-7"}, {"SELECT $1::bigint", int64(1) << 62, "4611686018427387904"},
		{"SELECT $1::real", 1.5, "1.5"}, {"SELECT $1::double precision", 0.1, "0.1"}, {"SELECT $1::varchar", "it's $1; -- x", "it's $1; -- x"}, {"SELECT $1", "a", "a"},
		{"SELECT $1::decimal(10,2)::varchar", "1.10", "1.10"}, {"SELECT $1::date", stamp, "2015-08-18 00:00:00 +0000 UTC"}, {"SELECT $1::timestamp", stamp, "2015-08-18 07:38:40.123456 +0000 UTC"},
		{"SELECT ($1::timestamptz)::varchar", stamp, "2015-08-18 07:38:40.123456+00"}, {"SELECT $1::time::varchar", "07:38:40", "07:38:40"}, {"SELECT $1::interval::varchar", "1 mon 2 days 03:04:05", "1 month 2 days 03:04:05"},
		{"SELECT $1::uuid::varchar", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}, {"SELECT $1::blob", []byte{0, 1, 0xaa}, "[0 1 170]"},
		{"SELECT $1::varchar", nil, "<nil>"}, {"SELECT id FROM everything WHERE id = $1", 2, "2"}, {"SELECT id FROM everything WHERE date = $1", stamp, "1"},
		{"SELECT id FROM everything ORDER BY id LIMIT $1", 1, "1"}, {"SELECT count(*) FROM everything WHERE id IN ($1, 2)", 1, "2"}, {"SELECT id FROM everything WHERE money = $1", "1.1", "1"},
		{"SELECT id FROM everything WHERE \"Text\" = $1", "a", "1"}, {"SELECT id FROM everything WHERE stamp < $1 ", stamp.Add(time.Second), "1"},
	} {
		if got := all(t, conn, test.sql, test.arg); len(got) != 1 || got[0][0] != test.want {
			t.Errorf("%s of %v: %q, want %q", test.sql, test.arg, got, test.want)
		}
	}
	// Types that the client gives.
	for _, test := range []struct {
		oid  uint32
		text string
	}{
		{16, "t"}, {20, "1"}, {21, "1"}, {23, "1"}, {25, "x"}, {1043, "x"}, {700, "1.5"}, {701, "0.1"}, {1700, "1.500000000"}, {1082, "2015-08-18"}, {1083, "07:38:40"}, {1114, "2015-08-18 07:38:40"},
		{1184, "2015-08-18 07:38:40+00"}, {1186, "1 mon 2 days 03:04:05"}, {2950, "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}, {17, `\x00aa`}, {114, `{"a": 1}`}, {1007, "{1,NULL,3}"}, {1009, `{a,NULL,"b\"c",""}`}, {1016, "{}"},
	} {
		r := conn.PgConn().ExecParams(t.Context(), "SELECT $1", [][]byte{[]byte(test.text)}, []uint32{test.oid}, nil, nil).Read()
		if r.Err != nil || len(r.Rows) != 1 || string(r.Rows[0][0]) != test.text || r.FieldDescriptions[0].DataTypeOID != test.oid && test.oid != 1043 {
			t.Errorf("%d: %q %+v %v", test.oid, r.Rows, r.FieldDescriptions, r.Err)
		}
	}
	for _, bad := range []struct {
		oid   uint32
		text  string
		state string
	}{{23, "x", "22P02"}, {25, "a\x00", "22P03"}, {1007, "1", "22P03"}, {17, `\xzz`, "22P02"}} {
		r := conn.PgConn().ExecParams(t.Context(), "SELECT $1", [][]byte{[]byte(bad.text)}, []uint32{bad.oid}, nil, nil).Read()
		stateIs(t, bad.text, r.Err, bad.state)
	}
	if got := all(t, conn, "SELECT id FROM everything WHERE id = ANY($1::int[]) ORDER BY id", []int32{1, 2}); len(got) != 2 {
		t.Errorf("ANY: %q", got)
	}
}

// TestTransactions has the status right, and cursors.
func TestTransactions(t *testing.T) {
	address, _ := start(t, Options{})
	conn := connect(t, address, "default_query_exec_mode=simple_protocol")
	for _, step := range []struct {
		sql, state string
		status     byte
		rows       int
	}{
		{"DECLARE c CURSOR FOR SELECT 1", "25P01", 'I', 0}, {"BEGIN", "", 'T', 0}, {"SELECT 1", "", 'T', 1}, {"SELEC 1", "42601", 'E', 0}, {"SELECT 1", "25P02", 'E', 0}, {"COMMIT", "", 'I', 0},
		{"START TRANSACTION READ ONLY", "", 'T', 0}, {"SAVEPOINT a", "", 'T', 0}, {"SELECT * FROM nothing", "42P01", 'E', 0}, {"ROLLBACK TO SAVEPOINT a", "", 'T', 0}, {"RELEASE a", "", 'T', 0},
		{`DECLARE "c" NO SCROLL CURSOR FOR SELECT i FROM range(5) r(i)`, "", 'T', 0}, {`FETCH 2 FROM "c"`, "", 'T', 2}, {"MOVE 1 IN c", "", 'T', 0}, {"FETCH FORWARD ALL IN c", "", 'T', 2}, {"FETCH c", "", 'T', 0},
		{"CLOSE c", "", 'T', 0}, {"FETCH c", "34000", 'E', 0}, {"ROLLBACK", "", 'I', 0},
		{"DECLARE h CURSOR WITH HOLD FOR SELECT i FROM range(5) r(i)", "", 'I', 0}, {"FETCH 3 h", "", 'I', 3}, {"CLOSE ALL", "", 'I', 0},
		{"SET statement_timeout = '1s'; SET application_name TO 'x'; SHOW application_name", "", 'I', 1}, {"", "", 'I', 0}, {"-- nothing", "", 'I', 0}, {"SELECT 1; SELECT 2;", "", 'I', 1},
		{"SET client_encoding TO latin1", "22023", 'I', 0}, {"SHOW nothing", "42704", 'I', 0}, {"RESET ALL", "", 'I', 0}, {"DISCARD ALL", "", 'I', 0}, {"DEALLOCATE ALL", "", 'I', 0}, {"SHOW ALL", "", 'I', 30},
		{"SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "", 'I', 0}, {"SET TIME ZONE 'Europe/Berlin'", "", 'I', 0}, {"SHOW TIME ZONE", "", 'I', 1}, {"COMMIT", "", 'I', 0},
	} {
		results, err := conn.PgConn().Exec(t.Context(), step.sql).ReadAll()
		if step.state != "" {
			stateIs(t, step.sql, err, step.state)
		} else if err != nil {
			t.Errorf("%s: %v", step.sql, err)
		} else if n := len(results); n > 0 && len(results[n-1].Rows) != step.rows {
			t.Errorf("%s: %d rows", step.sql, len(results[n-1].Rows))
		}
		if got := conn.PgConn().TxStatus(); got != step.status {
			t.Errorf("%s: status %c, want %c", step.sql, got, step.status)
		}
	}
}

// TestCancelAndTimeout stops a query that would take for ever.
func TestCancelAndTimeout(t *testing.T) {
	const forever = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range + b.range = 7"
	address, server := start(t, Options{Timeout: time.Minute})
	conn := connect(t, address, "")
	time.AfterFunc(200*time.Millisecond, func() { _ = conn.PgConn().CancelRequest(context.Background()) })
	_, err := conn.Exec(t.Context(), forever)
	stateIs(t, "cancelled", err, "57014")
	if got := all(t, conn, "SELECT 1"); len(got) != 1 {
		t.Errorf("after it: %q", got)
	}
	if _, err := conn.Exec(t.Context(), "SET statement_timeout TO 100"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err = conn.Exec(t.Context(), forever)
	stateIs(t, "timeout", err, "57014")
	if took := time.Since(began); took > 30*time.Second || !strings.Contains(fmt.Sprint(err), "statement timeout") {
		t.Errorf("%v after %v", err, took)
	}
	// A client that leaves takes its query with it.
	gone := connect(t, address, "")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	gone.PgConn().Conn().SetDeadline(time.Now().Add(300 * time.Millisecond))
	_, _ = gone.Exec(ctx, forever)
	gone.PgConn().Conn().Close()
	for range 300 {
		server.mu.Lock()
		n := len(server.sessions)
		server.mu.Unlock()
		if n == 1 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Error("the query goes on without its client")
}
