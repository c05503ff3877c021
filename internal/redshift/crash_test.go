package redshift

import (
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/load/warehousetest"
	"arbalest/internal/postgres/postgrestest"
	"arbalest/internal/redshift/redshifttest"
	"arbalest/internal/warehouse"
)

// A faulty database is reached through a network that fails.
type faulty struct {
	server *redshifttest.Server
	proxy  *postgrestest.Proxy
	bucket *redshifttest.Bucket
	db     *Database
	calls  int // of do
}

func newFaulty(t *testing.T, opts Options) *faulty {
	t.Helper()
	f := &faulty{server: redshifttest.Start(t)}
	f.proxy = postgrestest.NewProxy(t, f.server.URL())
	f.bucket = f.server.NewBucket()
	opts.Bucket, opts.IAMRole = f.bucket, role
	if opts.Backoff == 0 {
		opts.Backoff = time.Millisecond
	}
	d, err := Open(t.Context(), f.proxy.DSN(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	f.db = d
	if err := d.Transact(t.Context(), "crash", func(tx warehouse.Tx) error {
		_, err := tx.Exec(t.Context(), "CREATE TABLE crashed (step INTEGER, text_ VARCHAR(20))")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return f
}

var crashColumns = []arbalest.Column{warehousetest.Col("step", "INTEGER"), warehousetest.Col("text_", "VARCHAR(20)")}

// step adds a step's rows unless they are there: the pattern of all that uses
// Transact.
func (f *faulty) step(t *testing.T, step int) error {
	return f.db.Transact(t.Context(), "crash", func(tx warehouse.Tx) error {
		f.calls++
		var there int64
		if err := tx.Query(t.Context(), "SELECT count(*) FROM crashed WHERE step = $1", func(v []any) error {
			there = v[0].(int64)
			return nil
		}, int64(step)); err != nil || there > 0 {
			return err
		}
		if _, err := tx.Exec(t.Context(), "INSERT INTO crashed VALUES ($1, $2)", int64(step), "by INSERT"); err != nil {
			return err
		}
		_, err := tx.Insert(t.Context(), "crashed", crashColumns, pagesOf(crashColumns, []any{step, "by COPY"}, []any{step, "too"}))
		return err
	})
}

func (f *faulty) rows(t *testing.T, step int) (n int64) {
	t.Helper()
	if err := f.db.Query(t.Context(), "SELECT count(*) FROM crashed WHERE step = $1", func(v []any) error {
		n = v[0].(int64)
		return nil
	}, int64(step)); err != nil {
		t.Fatal(err)
	}
	return n
}

// staged counts what is left in the bucket.
func staged(t *testing.T, bucket *redshifttest.Bucket) (n int) {
	t.Helper()
	for _, err := range bucket.List(t.Context(), "_staging/", "") {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// TestInvariant2ExactlyOnceAcrossLostConnections cuts the connection before every
// message of a transaction, and after it when the server has done what it says:
// the rows are there once, and nothing is left in the bucket.
func TestInvariant2ExactlyOnceAcrossLostConnections(t *testing.T) {
	f := newFaulty(t, Options{})
	f.proxy.Set()
	if err := f.step(t, 0); err != nil {
		t.Fatal(err)
	}
	messages := f.proxy.Messages()
	if messages < 10 {
		t.Fatalf("a transaction has only %d messages", messages)
	}
	step := 0
	for _, kind := range []postgrestest.FaultKind{postgrestest.CutBefore, postgrestest.LoseReply} {
		for n := 1; n <= messages; n++ {
			step++
			f.calls = 0
			f.proxy.Set(postgrestest.Fault{Kind: kind, N: n})
			err := f.step(t, step)
			if got := f.rows(t, step); err != nil || got != 3 || f.proxy.Pending() != 0 {
				t.Errorf("%v at message %d: %d rows, %v", kind, n, got, err)
			}
			if f.calls > 2 {
				t.Errorf("%v at message %d: done %d times", kind, n, f.calls)
			}
		}
	}
	if n := staged(t, f.bucket); n != 0 {
		t.Errorf("%d objects are left", n)
	}
}

// TestConflicts injects errors 1023 and 1018 at each kind of statement.
func TestConflicts(t *testing.T) {
	f := newFaulty(t, Options{})
	step := 0
	for _, kind := range []redshifttest.FaultKind{redshifttest.Conflict, redshifttest.Vanished} {
		for _, at := range []string{"lock", "select", "insert", "copy", "commit"} {
			step++
			f.server.SetFaults(redshifttest.Fault{Kind: kind, Transaction: 1, Statement: at}, redshifttest.Fault{Kind: kind, Transaction: 2, Statement: at})
			err := f.step(t, step)
			if got := f.rows(t, step); err != nil || got != 3 || f.server.Pending() != 0 {
				t.Errorf("%d at %s: %d rows, %v, %d pending", kind, at, got, err, f.server.Pending())
			}
		}
	}
}

// TestConflictsEnd does not try for ever.
func TestConflictsEnd(t *testing.T) {
	f := newFaulty(t, Options{Attempts: 3})
	f.server.SetFaults(redshifttest.Fault{Kind: redshifttest.Conflict, Transaction: 1}, redshifttest.Fault{Kind: redshifttest.Conflict, Transaction: 2},
		redshifttest.Fault{Kind: redshifttest.Conflict, Transaction: 3}, redshifttest.Fault{Kind: redshifttest.Conflict, Transaction: 4})
	if err := f.step(t, 1); !errors.Is(err, arbalest.ErrBusy) || f.server.Pending() != 1 {
		t.Errorf("%v, %d pending", err, f.server.Pending())
	}
}

// TestUnavailable tells an absent server from one that refuses.
func TestUnavailable(t *testing.T) {
	f := newFaulty(t, Options{Attempts: 2})
	u, _ := url.Parse(f.server.URL())
	u.User = url.UserPassword(redshifttest.User, "wrong-and-not-to-be-shown")
	_, err := Open(t.Context(), u.String(), Options{Attempts: 2, Backoff: time.Millisecond})
	if err == nil || errors.Is(err, arbalest.ErrUnavailable) {
		t.Errorf("wrong password: %v", err)
	}
	if text := fmt.Sprint(err); contains(text, "wrong-and") {
		t.Error("the password is shown")
	}
	u.Host = "127.0.0.1:1"
	if _, err := Open(t.Context(), u.String(), Options{Attempts: 2, Backoff: time.Millisecond}); !errors.Is(err, arbalest.ErrUnavailable) || contains(err.Error(), "wrong-and") {
		t.Errorf("no server: %v", err)
	}
}
