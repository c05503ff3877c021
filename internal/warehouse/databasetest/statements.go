package databasetest

import (
	"context"
	"errors"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/load/warehousetest"
	"arbalest/internal/warehouse"
)

// testValues reads a value of every kind that SQL has.
func testValues(s *suite) {
	s.want(`SELECT CAST(1 AS SMALLINT), CAST(-2 AS INTEGER), CAST(9223372036854775807 AS BIGINT), CAST(0.5 AS DOUBLE PRECISION), CAST(0.25 AS REAL)`,
		[]any{int64(1), int64(-2), int64(9223372036854775807), 0.5, 0.25})
	s.want(`SELECT CAST('12345678901234567890.5' AS DECIMAL(30,2)), CAST('-0.001' AS DECIMAL(5,3)), CAST('x' AS VARCHAR(9)), true, false`,
		[]any{"12345678901234567890.50", "-0.001", "x", true, false})
	s.want(`SELECT CAST('2015-08-18' AS DATE), CAST('2015-08-18 06:36:40.123456' AS TIMESTAMP), CAST('2015-08-18 06:36:40.5+02:00' AS TIMESTAMPTZ), CAST('1901-02-03 04:05:06' AS TIMESTAMP)`,
		[]any{at("2015-08-18T00:00:00Z"), at("2015-08-18T06:36:40.123456Z"), at("2015-08-18T04:36:40.5Z"), at("1901-02-03T04:05:06Z")})
	s.want(`SELECT CAST(NULL AS BOOLEAN), CAST(NULL AS INTEGER), CAST(NULL AS DOUBLE PRECISION), CAST(NULL AS VARCHAR(9)), CAST(NULL AS TIMESTAMP), CAST(NULL AS DECIMAL(9,2)), NULL`,
		make([]any, 7))
	s.want("SELECT 1 AS a, 2 AS a -- and a remark", []any{int64(1), int64(2)})
}

// testArguments binds a value of every kind.
func testArguments(s *suite) {
	zone := time.FixedZone("far", -7*3600)
	args := []any{true, int64(-5), 0.1, "it's € \\ \"x\"", time.Date(2015, 8, 17, 23, 36, 40, 123456000, zone), nil, "12.50", time.Date(2015, 8, 18, 0, 0, 0, 0, time.UTC)}
	want := []any{true, int64(-5), 0.1, "it's € \\ \"x\"", at("2015-08-18T06:36:40.123456Z"), nil, "12.50", at("2015-08-18T00:00:00Z")}
	s.do("CREATE TABLE args (a BOOLEAN, b BIGINT, c DOUBLE PRECISION, d VARCHAR(200), e TIMESTAMP, f VARCHAR(9), g DECIMAL(9,2), h DATE)")
	s.must(func(tx warehouse.Tx) error {
		n, err := tx.Exec(s.Context(), "INSERT INTO args VALUES ($1, $2, $3, $4, $5, $6, CAST($7 AS DECIMAL(9,2)), CAST($8 AS DATE))", args...)
		if n != 1 {
			s.Errorf("inserted %d rows", n)
		}
		return err
	})
	s.want("SELECT * FROM args", want)
	for _, where := range []string{"a = $1", "b = $1", "c = $1", "d = $1", "e = $1"} {
		i := int(where[0] - 'a')
		rows, err := s.rows(s.db, "SELECT b FROM args WHERE "+where, args[i])
		if err != nil || len(rows) != 1 {
			s.Errorf("%s: %v, %v", where, rows, err)
		}
	}
	rows, err := s.rows(s.db, "SELECT d FROM args WHERE b = $2 AND d = $1 AND b < $3 ORDER BY d", args[3], args[1], int64(9))
	if err != nil || len(rows) != 1 || rows[0][0] != args[3] {
		s.Errorf("three arguments: %v, %v", rows, err)
	}
	rows, err = s.rows(s.db, "SELECT CAST($1 AS BIGINT), CAST($2 AS VARCHAR(9))", int64(7), nil)
	if err != nil || len(rows) != 1 || rows[0][0] != int64(7) || rows[0][1] != nil {
		s.Errorf("arguments alone: %v, %v", rows, err)
	}
	s.must(func(tx warehouse.Tx) error {
		if n, err := tx.Exec(s.Context(), "UPDATE args SET b = $1, f = $2 WHERE e = $3", int64(6), "six", args[4]); n != 1 || err != nil {
			s.Errorf("updated %d: %v", n, err)
		}
		n, err := tx.Exec(s.Context(), "DELETE FROM args WHERE f = $1", "six")
		if n != 1 {
			s.Errorf("deleted %d", n)
		}
		return err
	})
}

func testTexts(s *suite) {
	s.create("texts", warehousetest.Col("n", "INTEGER"), warehousetest.Col("text", "VARCHAR(2000)"))
	texts := []string{"", " ", "a", "é", "日本語", "🦆 and 🏹", `"quoted" 'twice'`, `back\slash \n`, "line\nbreak\ttab\r", "{\"a\": [1]}", strings.Repeat("long ", 300), "NULL", "$1 ? %s"}
	var want [][]any
	s.must(func(tx warehouse.Tx) error {
		for i, text := range texts {
			if _, err := tx.Exec(s.Context(), "INSERT INTO texts VALUES ($1, $2)", int64(i), text); err != nil {
				return err
			}
			want = append(want, []any{text})
		}
		return nil
	})
	s.want("SELECT text FROM texts ORDER BY n", want...)
}

func testCounts(s *suite) {
	s.do("CREATE TABLE counted (n INTEGER)")
	s.must(func(tx warehouse.Tx) error {
		for _, c := range []struct {
			sql  string
			rows int64
		}{
			{"INSERT INTO counted VALUES (1), (2), (3)", 3},
			{"INSERT INTO counted SELECT n + 3 FROM counted", 3},
			{"UPDATE counted SET n = n + 1 WHERE n > 4", 2},
			{"DELETE FROM counted WHERE n < 3", 2},
			{"DELETE FROM counted WHERE n < 3", 0},
		} {
			if n, err := tx.Exec(s.Context(), c.sql); n != c.rows || err != nil {
				s.Errorf("%s: %d rows, %v; want %d", c.sql, n, err, c.rows)
			}
		}
		return nil
	})
	s.want("SELECT count(*), min(n), max(n) FROM counted", []any{int64(4), int64(3), int64(7)})
}

var errStop = errors.New("stop")

// testRows reads many rows, in order, stops in their midst, and goes on.
func testRows(s *suite) {
	s.do("CREATE TABLE many (n INTEGER)", "INSERT INTO many VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)")
	const all = "SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n FROM many a, many b, many c, many d ORDER BY 1"
	s.must(func(tx warehouse.Tx) error {
		next := int64(0)
		err := tx.Query(s.Context(), all, func(values []any) error {
			if values[0] != next {
				s.Fatalf("%v comes after %d", values[0], next-1)
			}
			next++
			return nil
		})
		if err != nil || next != 10_000 {
			s.Errorf("%d rows, %v", next, err)
		}
		left := 100
		err = tx.Query(s.Context(), all, func([]any) error {
			if left--; left == 0 {
				return errStop
			}
			return nil
		})
		if err != errStop {
			s.Errorf("visit's error came back as %v", err)
		}
		rows, err := s.rows(tx, "SELECT n FROM many WHERE n > 100")
		if len(rows) != 0 {
			s.Errorf("no rows are %v", rows)
		}
		return err
	})
}

func testRollback(s *suite) {
	s.do("CREATE TABLE kept (n INTEGER)", "INSERT INTO kept VALUES (1)")
	err := s.transact(func(tx warehouse.Tx) error {
		for _, sql := range []string{
			"INSERT INTO kept VALUES (2)", "ALTER TABLE kept ADD COLUMN more INTEGER", "CREATE TABLE made (n INTEGER)",
			"INSERT INTO made VALUES (1)", "UPDATE kept SET n = 5",
		} {
			if _, err := tx.Exec(s.Context(), sql); err != nil {
				s.Errorf("%s: %v", sql, err)
			}
		}
		if rows, err := s.rows(tx, "SELECT sum(n), max(more) FROM kept"); err != nil || rows[0][1] != nil {
			s.Errorf("within: %v, %v", rows, err)
		}
		return errStop
	})
	if !errors.Is(err, errStop) {
		s.Errorf("error of do came back as %v", err)
	}
	s.want("SELECT * FROM kept", []any{int64(1)})
	if _, err := s.rows(s.db, "SELECT * FROM made"); !errors.Is(err, arbalest.ErrUnknown) {
		s.Errorf("a table that was rolled back: %v", err)
	}
	if err := s.transact(func(tx warehouse.Tx) error {
		_, err := tx.Exec(s.Context(), "DROP TABLE kept")
		return errors.Join(err, errStop)
	}); !errors.Is(err, errStop) {
		s.Error(err)
	}
	s.want("SELECT * FROM kept", []any{int64(1)})
	// A swap is one change.
	s.must(func(tx warehouse.Tx) error {
		for _, sql := range []string{"CREATE TABLE other AS SELECT n + 1 AS n FROM kept", "DROP TABLE kept", "ALTER TABLE other RENAME TO kept"} {
			if _, err := tx.Exec(s.Context(), sql); err != nil {
				return err
			}
		}
		return nil
	})
	s.want("SELECT * FROM kept", []any{int64(2)})
}

// testSwallowedError holds that a transaction in which a statement failed is
// not committed, though do says that all is well.
func testSwallowedError(s *suite) {
	s.do("CREATE TABLE kept (n INTEGER)")
	err := s.transact(func(tx warehouse.Tx) error {
		_, _ = tx.Exec(s.Context(), "INSERT INTO kept VALUES (1)")
		if _, err := tx.Exec(s.Context(), "INSERT INTO kept SELECT CAST('x' AS INTEGER)"); err == nil {
			s.Error("x is an integer")
		}
		return nil
	})
	if err == nil {
		s.Error("a transaction was committed after an error")
	}
	s.want("SELECT * FROM kept")
}

func testErrors(s *suite) {
	s.do("CREATE TABLE there (n INTEGER, t VARCHAR(99))", "INSERT INTO there VALUES (1, 'one')")
	for _, c := range []struct {
		sql  string
		want error
	}{
		{"SELECT * FROM nowhere", arbalest.ErrUnknown},
		{"SELECT nothing FROM there", arbalest.ErrUnknown},
		{"SELECT * FROM no_schema.nowhere", arbalest.ErrUnknown},
		{"SELEKT 1", arbalest.ErrInvalid},
		{"SELECT CAST(t AS INTEGER) FROM there", arbalest.ErrInvalid},
		{"SELECT n + 2147483647 FROM there", arbalest.ErrInvalid},
		{"", arbalest.ErrInvalid},
	} {
		if _, err := s.rows(s.db, c.sql); !errors.Is(err, c.want) {
			s.Errorf("query %q: %v", c.sql, err)
		}
		err := s.transact(func(tx warehouse.Tx) error {
			_, err := s.rows(tx, c.sql)
			return err
		})
		if !errors.Is(err, c.want) {
			s.Errorf("query in a transaction %q: %v", c.sql, err)
		}
	}
	for _, c := range []struct {
		sql  string
		want error
	}{
		{"INSERT INTO nowhere VALUES (1)", arbalest.ErrUnknown},
		{"INSERT INTO there (nothing) VALUES (1)", arbalest.ErrUnknown},
		{"UPDATE there SET nothing = 1", arbalest.ErrUnknown},
		{"DROP TABLE nowhere", arbalest.ErrUnknown},
		{"CREATE TABLE there (n INTEGER)", arbalest.ErrExists},
		{"ALTER TABLE there ADD COLUMN n INTEGER", arbalest.ErrExists},
		{"INSERT INTO there SELECT CAST(t AS INTEGER) FROM there", arbalest.ErrInvalid},
		{"CREATE TABLE odd (n NO_TYPE)", arbalest.ErrInvalid},
		{"INSERT INTO there VALUES (2, 'two'); INSERT INTO there VALUES (3, 'three')", arbalest.ErrInvalid},
	} {
		if err := s.try(c.sql); !errors.Is(err, c.want) {
			s.Errorf("exec %q: %v", c.sql, err)
		}
	}
	if err := s.try("INSERT INTO there VALUES ($1, $2)", int64(1)); !errors.Is(err, arbalest.ErrInvalid) {
		s.Errorf("one argument of two: %v", err)
	}
	s.want("SELECT * FROM there", []any{int64(1), "one"})
}

// testLocks counts in transactions of one lock, each of which must see the
// last.
func testLocks(s *suite) {
	const workers, turns = 4, 8
	s.do("CREATE TABLE counter (n INTEGER)", "INSERT INTO counter VALUES (0)")
	errs := make(chan error)
	for range workers {
		go func() { // ends after its turns
			for range turns {
				errs <- s.db.Transact(context.Background(), "counting", func(tx warehouse.Tx) error {
					rows, err := s.rows(tx, "SELECT n FROM counter")
					if err != nil {
						return err
					}
					n, ok := rows[0][0].(int64)
					if !ok {
						return errStop
					}
					_, err = tx.Exec(context.Background(), "UPDATE counter SET n = $1", n+1)
					return err
				})
			}
		}()
	}
	for range workers * turns {
		if err := <-errs; err != nil {
			s.Error(err)
		}
	}
	s.want("SELECT n FROM counter", []any{int64(workers * turns)})
}

func testCancelled(s *suite) {
	s.do("CREATE TABLE kept (n INTEGER)")
	ctx, cancel := context.WithCancel(s.Context())
	err := s.db.Transact(ctx, "suite", func(tx warehouse.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO kept VALUES (1)"); err != nil {
			return err
		}
		cancel()
		_, err := tx.Exec(ctx, "INSERT INTO kept VALUES (2)")
		return err
	})
	if !errors.Is(err, context.Canceled) {
		s.Errorf("cancelled: %v", err)
	}
	if _, err := s.rows(querierWith{s.db, ctx}, "SELECT 1"); !errors.Is(err, context.Canceled) {
		s.Errorf("query cancelled: %v", err)
	}
	s.want("SELECT * FROM kept")
}

// querierWith queries with a context of its own.
type querierWith struct {
	db  warehouse.Database
	ctx context.Context
}

func (q querierWith) Query(_ context.Context, sql string, visit func([]any) error, args ...any) error {
	return q.db.Query(q.ctx, sql, visit, args...)
}

// testDialect makes tables and columns by names that need quotes, or are cut.
func testDialect(s *suite) {
	d := s.db.Dialect()
	long := strings.Repeat("n", d.MaxName) + "_1"
	s.create("select", warehousetest.Col("order", "INTEGER"), warehousetest.Col("a b", "INTEGER"), warehousetest.Col(long, "INTEGER"), warehousetest.Col(long[:d.MaxName]+"_2", "INTEGER"))
	s.do(`INSERT INTO "select" VALUES (1, 2, 3, 4)`)
	s.want(`SELECT "a b", "order", `+warehouse.Ident(d.Cut(long))+` FROM "select"`, []any{int64(2), int64(1), int64(3)})
	if d.Name == "" || d.MaxName < 63 || d.Type == nil {
		s.Errorf("dialect is %+v", d)
	}
}
