package postgrestest

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestFaults(t *testing.T) {
	proxy := NewProxy(t, Start(t))
	connect := func() *pgx.Conn {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), proxy.DSN())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(t.Context()) }) // may be cut
		return conn
	}
	exec := func(conn *pgx.Conn, sql string) error {
		t.Helper()
		_, err := conn.Exec(t.Context(), sql)
		return err
	}
	conn := connect()
	if err := exec(conn, "CREATE TABLE t (n int)"); err != nil || proxy.Messages() != 1 {
		t.Fatalf("%d messages, %v", proxy.Messages(), err)
	}
	for _, c := range []struct {
		fault Fault
		rows  int // of the two that are inserted, each by a client of its own
	}{
		{Fault{Kind: CutBefore, N: 2}, 1},
		{Fault{Kind: CutBefore, Match: "INSERT", N: 1}, 1},
		{Fault{Kind: LoseReply, N: 1}, 2},
		{Fault{Kind: LoseReply, Match: "INSERT", N: 2}, 2},
		{Fault{Kind: Delay, N: 1, Delay: time.Millisecond}, 2},
	} {
		first, second := connect(), connect()
		proxy.Set(c.fault)
		errs := 0
		for _, conn := range []*pgx.Conn{first, second} {
			if err := exec(conn, "INSERT INTO t VALUES (1)"); err != nil {
				errs++
			}
		}
		if lost := c.fault.Kind != Delay; errs > 1 || (errs == 1) != lost || proxy.Pending() != 0 {
			t.Errorf("%v: %d of two clients were cut, %d faults pending", c.fault, errs, proxy.Pending())
		}
		var n int
		last := connect()
		if err := last.QueryRow(t.Context(), "WITH gone AS (DELETE FROM t RETURNING n) SELECT count(*) FROM gone").Scan(&n); err != nil || n != c.rows {
			t.Errorf("%v: %d rows, %v, want %d", c.fault, n, err, c.rows)
		}
	}
}
