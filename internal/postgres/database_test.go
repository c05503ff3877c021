package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/postgres/postgrestest"
	"arbalest/internal/warehouse"
	"arbalest/internal/warehouse/databasetest"
)

func mustOpen(t testing.TB, dsn string, opts Options) *Database {
	t.Helper()
	d, err := Open(t.Context(), dsn, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// run runs statements in a transaction.
func run(t testing.TB, d *Database, statements ...string) {
	t.Helper()
	err := d.Transact(t.Context(), "test", func(tx warehouse.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(t.Context(), s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// rows returns a query's rows, spelled by Go.
func rows(t testing.TB, d *Database, sql string, args ...any) (out []string) {
	t.Helper()
	err := d.Query(t.Context(), sql, func(values []any) error {
		out = append(out, strings.Trim(fmt.Sprint(values), "[]"))
		return nil
	}, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

func TestDatabase(t *testing.T) {
	databasetest.Run(t, func(t *testing.T) warehouse.Database { return mustOpen(t, postgrestest.Start(t), Options{}) })
}

func TestValuesComeBack(t *testing.T) {
	d := mustOpen(t, postgrestest.Start(t), Options{})
	at := time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	run(t, d, "CREATE TABLE v (b boolean, n bigint, f double precision, s text, at timestamp, zoned timestamptz, day date, d numeric(38,10), j json)")
	want := []any{true, int64(-1 << 63), 0.1, "it's\n\\ \"€", at, at, time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), "-12345678901234567890.0000000001", `{"a": 1.10}`}
	err := d.Transact(t.Context(), "test", func(tx warehouse.Tx) error {
		for _, args := range [][]any{want, {nil, nil, nil, nil, nil, nil, nil, nil, nil}, {false, int64(0), 0.0, "", at, at, at, "0", "0"}} {
			if n, err := tx.Exec(t.Context(), "INSERT INTO v VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)", args...); err != nil || n != 1 {
				return fmt.Errorf("%d rows: %w", n, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []any
	err = d.Query(t.Context(), "SELECT * FROM v WHERE s = $1 AND at = $2", func(values []any) error {
		got = append(got, values...)
		return nil
	}, want[3], at)
	if err != nil || fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
		t.Errorf("%v\n got %#v\nwant %#v", err, got, want)
	}
	if got := rows(t, d, "SELECT count(*), count(s), count(b) FROM v"); !slices.Equal(got, []string{"3 2 2"}) {
		t.Errorf("NULL and empty text: %q", got)
	}
	stop := errors.New("stop")
	if err := d.Query(t.Context(), "SELECT * FROM generate_series(1, 10000000)", func([]any) error { return stop }); err != stop {
		t.Errorf("error of visit came back as %v", err)
	}
}

func TestErrorsAreSentinels(t *testing.T) {
	dsn := postgrestest.Start(t)
	d := mustOpen(t, dsn, Options{})
	run(t, d, "CREATE TABLE there (n int)", "INSERT INTO there VALUES (1)")
	for statement, want := range map[string]error{
		"SELECT * FROM absent":                  arbalest.ErrUnknown,
		"SELECT absent FROM there":              arbalest.ErrUnknown,
		"CREATE TABLE there (n int)":            arbalest.ErrExists,
		"ALTER TABLE there ADD COLUMN n int":    arbalest.ErrExists,
		"SELEC":                                 arbalest.ErrInvalid,
		"SELECT 1 / 0":                          arbalest.ErrInvalid,
		"SELECT 'x'::int":                       arbalest.ErrInvalid,
		"SELECT 1; SELECT 2":                    arbalest.ErrInvalid,
		"COMMIT":                                arbalest.ErrInvalid,
		"INSERT INTO there VALUES (9999999999)": arbalest.ErrInvalid,
	} {
		err := d.Transact(t.Context(), "test", func(tx warehouse.Tx) error {
			_, err := tx.Exec(t.Context(), statement)
			return err
		})
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", statement, err, want)
		}
	}
	// A statement's error that do hides must not look like a commit.
	err := d.Transact(t.Context(), "test", func(tx warehouse.Tx) error {
		_, _ = tx.Exec(t.Context(), "DELETE FROM there") // the next one is the test's
		_, _ = tx.Exec(t.Context(), "SELECT 1 / 0")
		return nil
	})
	if !errors.Is(err, arbalest.ErrInvalid) {
		t.Errorf("commit after a hidden error: %v", err)
	}
	if got := rows(t, d, "SELECT n FROM there"); !slices.Equal(got, []string{"1"}) {
		t.Errorf("rows are %v", got)
	}
	// Neither a wrong password nor an address that cannot be read is shown.
	for _, address := range []string{
		strings.Replace(dsn, "arbalest:", "nobody:", 1),
		strings.Replace(dsn, "127.0.0.1", "127.0.0.1.invalid", 1),
		strings.Replace(dsn, "127.0.0.1", "127.0.0.1:x", 1),
		strings.Replace(dsn, "arbalest:", "arb%zz:", 1),
		"host=127.0.0.1 port=1 password=" + postgrestest.Password,
	} {
		if d, err := Open(t.Context(), address, Options{}); err == nil {
			t.Errorf("opened with a wrong address: %v", d.Close())
		} else if strings.Contains(err.Error(), postgrestest.Password) || arbalest.OutcomeOf(err).SQLState == "XX000" {
			t.Errorf("error is %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := d.Query(ctx, "SELECT pg_sleep(60)", func([]any) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("query beyond its deadline: %v", err)
	}
}

// TestTransactionsOfOneNameWait has many add one to what they read.
func TestTransactionsOfOneNameWait(t *testing.T) {
	dsn := postgrestest.Start(t)
	d, other := mustOpen(t, dsn, Options{}), mustOpen(t, dsn, Options{Connections: 2})
	run(t, d, "CREATE TABLE counter (n bigint)", "INSERT INTO counter VALUES (0)")
	const each = 25
	var wg sync.WaitGroup
	for _, d := range []*Database{d, other, d, other} {
		wg.Go(func() {
			for range each {
				err := d.Transact(t.Context(), "counter", func(tx warehouse.Tx) error {
					var n int64
					err := tx.Query(t.Context(), "SELECT n FROM counter", func(v []any) error { n = v[0].(int64); return nil })
					if err != nil {
						return err
					}
					_, err = tx.Exec(t.Context(), "UPDATE counter SET n = $1", n+1)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := rows(t, d, "SELECT n FROM counter"); got[0] != fmt.Sprint(4*each) {
		t.Errorf("counter is %s, want %d", got[0], 4*each)
	}
}

// TestInvariant2LostConnections cuts the connection before and after every
// message of a transaction that looks first whether its work is there.
func TestInvariant2LostConnections(t *testing.T) {
	dsn := postgrestest.Start(t)
	direct := mustOpen(t, dsn, Options{})
	run(t, direct, "CREATE TABLE once (id bigint)")
	for id := int64(1); ; id++ {
		done := 0
		for _, kind := range []postgrestest.FaultKind{postgrestest.CutBefore, postgrestest.LoseReply} {
			proxy := postgrestest.NewProxy(t, dsn)
			d := mustOpen(t, proxy.DSN(), Options{})
			id := 2*id + int64(kind)
			proxy.Set(postgrestest.Fault{Kind: kind, N: int(id/2) + 1})
			err := d.Transact(t.Context(), "once", func(tx warehouse.Tx) error {
				there := false
				if err := tx.Query(t.Context(), "SELECT id FROM once WHERE id = $1", func([]any) error { there = true; return nil }, id); err != nil || there {
					return err
				}
				_, err := tx.Exec(t.Context(), "INSERT INTO once VALUES ($1)", id)
				return err
			})
			if err != nil {
				t.Fatalf("%v message %d: %v", kind, id/2, err)
			}
			if got := rows(t, direct, "SELECT count(*) FROM once WHERE id = $1", id); got[0] != "1" {
				t.Errorf("%v message %d: %s rows", kind, id/2, got[0])
			}
			done += proxy.Pending()
		}
		if done == 2 {
			break // both transactions had fewer messages
		}
	}
	if got := rows(t, direct, "SELECT count(*), count(DISTINCT id) FROM once"); len(strings.Fields(got[0])) != 2 || strings.Fields(got[0])[0] != strings.Fields(got[0])[1] {
		t.Errorf("rows are %v", got)
	}
}

func TestAskOnlyReads(t *testing.T) {
	d := mustOpen(t, postgrestest.Start(t), Options{})
	run(t, d, "CREATE TABLE there (n int)", "INSERT INTO there VALUES (1)")
	s := &sink{}
	if err := d.Ask(t.Context(), "SELECT true, 1::int2, 0.5::real, 1e300::float8, 1.10::numeric(5,2), 'x'::varchar(9), '{\"a\": 1.0}'::json, timestamptz '2015-08-18 08:36:40.5+02', NULL AS nothing", s); err != nil {
		t.Fatal(err)
	}
	if want := `[[true 1 0.5 1e+300 1.10 x {"a": 1.0} 2015-08-18 06:36:40.5+00 NULL]]`; fmt.Sprint(s.rows) != want {
		t.Errorf("got %v, want %v", s.rows, want)
	}
	if got, want := fmt.Sprint(s.columns), "[{?column? bool 2} {int2 int2 1} {float4 float4 1} {float8 float8 1} {numeric numeric(5,2) 1} {varchar varchar(9) 0} {json json 3} {timestamptz timestamptz 0} {nothing text 0}]"; got != want {
		t.Errorf("columns are %s, want %s", got, want)
	}
	for statement, want := range map[string]error{
		"DELETE FROM there": arbalest.ErrInvalid, "DROP TABLE there": arbalest.ErrInvalid, "SELECT 1; DELETE FROM there": arbalest.ErrInvalid,
		"COMMIT": arbalest.ErrInvalid, "SET TimeZone = 'Asia/Tokyo'": arbalest.ErrInvalid, "SELECT * FROM absent": arbalest.ErrUnknown, "": arbalest.ErrInvalid,
		"COPY there FROM STDIN": arbalest.ErrInvalid,
	} {
		if err := d.Ask(t.Context(), statement, &sink{}); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", statement, err, want)
		}
	}
	for statement, want := range map[string]string{
		"SELECT 1,\n 'ü', nope\nFROM there": "\n\nLINE 2:  'ü', nope\n" + strings.Repeat(" ", 14) + "^",
		"SELEC 1":                           "\n\nLINE 1: SELEC 1\n        ^",
		"SELECT":                            "send a SELECT",
		"SELECT (":                          "\n\nLINE 1: SELECT (\n                ^",
	} {
		if err := d.Ask(t.Context(), statement, &sink{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", statement, err)
		}
	}
	if err := d.Ask(t.Context(), "SELECT n FROM there WHERE false", s); err != nil || len(s.columns) != 1 {
		t.Errorf("a query without rows: %v, columns %v", err, s.columns)
	}
	full := errors.New("full")
	if err := d.Ask(t.Context(), "SELECT * FROM generate_series(1, 10000000)", &sink{full: full}); err != full {
		t.Errorf("error of the sink came back as %v", err)
	}
	if got := rows(t, d, "SELECT n, current_setting('TimeZone') FROM there"); !slices.Equal(got, []string{"1 UTC"}) {
		t.Errorf("after all that: %v", got)
	}
}

// A sink keeps a result.
type sink struct {
	columns []warehouse.ResultColumn
	rows    [][]string
	full    error
}

func (s *sink) Columns(c []warehouse.ResultColumn) error {
	s.columns, s.rows = c, nil
	return nil
}

func (s *sink) Row(values []warehouse.Value) error {
	row := make([]string, len(values))
	for i, v := range values {
		row[i] = v.Text
		if v.Null {
			row[i] = "NULL"
		}
	}
	s.rows = append(s.rows, row)
	return s.full
}
