package duckdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/load"
	"arbalest/internal/load/warehousetest"
)

// A warmed is a warehouse with a store's directory, whose days can leave.
type warmed struct {
	*testing.T
	dir  string
	opts Options
	w    *Warehouse
	at   arbalest.Seq
	n    int // warm objects that were made
}

// warmed opens one in a directory whose name SQL and DuckDB's patterns take for
// something else, and which is reached by a link.
func newWarmed(t *testing.T) *warmed {
	t.Helper()
	real := filepath.Join(t.TempDir(), "it's [1]* a store")
	if err := os.MkdirAll(real, 0o755); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(real, dir); err != nil {
		t.Fatal(err)
	}
	m := &warmed{T: t, dir: dir, opts: Options{Warm: dir}}
	m.reopen()
	t.Cleanup(func() {
		if err := m.w.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func (m *warmed) reopen() {
	m.Helper()
	if m.w != nil {
		if err := m.w.Close(); err != nil {
			m.Fatal(err)
		}
	}
	m.w = mustOpen(m.T, filepath.Join(m.dir, "warehouse.duckdb"), m.opts)
}

// move moves all of it to another directory, and opens it there.
func (m *warmed) move() {
	m.Helper()
	if err := m.w.Close(); err != nil {
		m.Fatal(err)
	}
	to := filepath.Join(m.TempDir(), "else'where")
	from, err := filepath.EvalSymlinks(m.dir)
	if err := errors.Join(err, os.Rename(from, to)); err != nil {
		m.Fatal(err)
	}
	m.dir, m.opts.Warm, m.w = to, to, nil
	m.reopen()
}

func (m *warmed) load(tables ...load.TableBatch) error {
	m.at++
	at := func(seq arbalest.Seq) load.Progress { return load.Progress{Cursor: load.Cursor{Commit: seq}} }
	_, err := m.w.Load(m.Context(), at(m.at-1), load.Batch{Tables: tables, Next: at(m.at)})
	if err != nil {
		m.at--
	}
	return err
}

// rows loads rows of one object.
func (m *warmed) rows(table arbalest.Table, rows ...warehousetest.Row) {
	m.Helper()
	if err := m.load(warehousetest.Batch(table, 100, warehousetest.Object{Commit: m.at + 1, Rows: rows})); err != nil {
		m.Fatal(err)
	}
}

// export makes a warm object of rows, by a scratch warehouse.
func (m *warmed) export(day string, table arbalest.Table, rows ...warehousetest.Row) load.Warm {
	m.Helper()
	m.n++
	key := fmt.Sprintf("_warm/%s/day=%s/%d.parquet", table.Name, day, m.n)
	path := filepath.Join(m.dir, key)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.Fatal(err)
	}
	bytes := exportTo(m.T, path, table, rows...)
	return load.Warm{Key: arbalest.Key(key), Bytes: bytes, Columns: fmt.Sprint(table.Columns)}
}

// exportTo writes rows as Parquet by a warehouse of their own.
func exportTo(t *testing.T, path string, table arbalest.Table, rows ...warehousetest.Row) int64 {
	t.Helper()
	scratch := t.TempDir()
	w := mustOpen(t, filepath.Join(scratch, "scratch.duckdb"), Options{Files: scratch})
	defer w.Close()
	batch := warehousetest.Batch(table, 100, warehousetest.Object{Commit: 1, Rows: rows})
	if _, err := w.Load(t.Context(), load.Progress{}, load.Batch{Tables: []load.TableBatch{batch}, Next: load.Progress{Cursor: load.Cursor{Commit: 1}}}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(scratch, "out.parquet")
	n, bytes, err := w.Export(t.Context(), table.Name, file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Size() != bytes || n != int64(len(rows)) {
		t.Fatalf("exported %d rows and %d bytes: %v, %v", n, bytes, info, err)
	}
	if err := os.Rename(file, path); err != nil {
		t.Fatal(err)
	}
	return bytes
}

// leave makes a day leave, with a warm object of rows.
func (m *warmed) leave(table arbalest.Table, day string, rows ...warehousetest.Row) load.Departure {
	m.Helper()
	d := load.Departure{Table: table.Name, Day: warehousetest.Day(day), Warm: m.export(day, table, rows...)}
	days, err := m.w.Days(m.Context(), table.Name, d.Day+24)
	if err != nil {
		m.Fatal(err)
	}
	for _, known := range days {
		if known.Day == d.Day {
			d.Hot, d.Left = known.Hot, known.Left
		}
	}
	if err := m.w.Leave(m.Context(), d); err != nil {
		m.Fatal(err)
	}
	return d
}

func (m *warmed) want(sql string, want ...string) {
	m.Helper()
	var got []string
	for _, row := range mustQuery(m.T, m.w, sql) {
		got = append(got, strings.Join(row, " | "))
	}
	if !slices.Equal(got, want) {
		m.Errorf("%s\n got %s\nwant %s", sql, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

func rowOf(id, at string, values ...any) warehousetest.Row {
	return warehousetest.Row{ID: id, Time: "2015-08-" + at + ":00Z", Values: values}
}

// TestAllRows follows the view of a table with what left it, through all that can
// happen to the table.
func TestAllRows(t *testing.T) {
	m := newWarmed(t)
	col := warehousetest.Col
	table := warehousetest.Declared("a.b", col("n", "INTEGER"), col("j", "JSON"), col("day", "VARCHAR(9)"))
	x, y, z := rowOf("x", "18T06:00", 1, `{"a":1}`, "d"), rowOf("y", "18T07:00", 2, nil, nil), rowOf("z", "19T06:00", 3, `[]`, nil)
	m.rows(table, x, y, z)
	if err := m.w.ShowAll(t.Context(), "a_b"); err != nil {
		t.Fatal(err)
	}
	const all = "SELECT * EXCLUDE (received_at, event_hash) FROM a_b_all ORDER BY event_id"
	whole := []string{"x | 2015-08-18 06:00:00 | 1 | {\"a\":1} | d", "y | 2015-08-18 07:00:00 | 2 | NULL | NULL", "z | 2015-08-19 06:00:00 | 3 | [] | NULL"}
	m.want(all, whole...)
	m.leave(table, "2015-08-18", x, y)
	m.want(all, whole...)
	m.want("SELECT count(*) FROM a_b", "1")
	m.want("SELECT received_at, event_hash FROM a_b_all WHERE event_id = 'x'", "2015-08-18 06:00:01 | 0000000000000000")
	m.want("SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'a_b_all' AND column_name IN ('event_time', 'j', 'n')", "event_time | TIMESTAMP", "n | INTEGER", "j | JSON")
	m.move()
	m.want(all, whole...)
	// A late row is in the table until it leaves too, with an object of all.
	late := rowOf("late", "18T23:00", 4, nil, nil)
	m.rows(table, late)
	m.want("SELECT event_id FROM a_b_all ORDER BY event_id", "late", "x", "y", "z")
	before := m.leave(table, "2015-08-18", x, y, late)
	m.want("SELECT event_id FROM a_b_all ORDER BY event_id", "late", "x", "y", "z")
	// Columns that are added or widened are those of the view in the same transaction,
	// be they few or many; objects have none of them, or of the old type.
	wider := warehousetest.Declared("a.b", col("n", "BIGINT"), col("j", "JSON"), col("day", "VARCHAR(9)"), col("more", "DECIMAL(9,2)"))
	m.rows(wider, rowOf("w", "20T06:00", 1<<40, nil, nil, "1.50"))
	m.want("SELECT event_id, n, more FROM a_b_all ORDER BY event_id", "late | 4 | NULL", "w | 1099511627776 | 1.50", "x | 1 | NULL", "y | 2 | NULL", "z | 3 | NULL")
	m.want("SELECT column_name FROM duckdb_columns() WHERE table_name = 'a_b_all' EXCEPT ALL SELECT column_name FROM duckdb_columns() WHERE table_name = 'a_b'")
	many := wider
	for i := range manyColumns {
		many.Columns = append(slices.Clone(many.Columns), col(fmt.Sprint("m", i), "INTEGER"))
	}
	m.rows(many, rowOf("v", "20T07:00", 5, nil, nil, nil, 0, 1, 2, 3))
	m.want("SELECT event_id, m3 FROM a_b_all ORDER BY m3 LIMIT 1", "v | 3")
	// Objects of both definitions, one of them stale: of that what has an identity is
	// shown.
	m.leave(many, "2015-08-20", rowOf("w", "20T06:00", 1<<40, nil, nil, "1.50", nil, nil, nil, nil), rowOf("v", "20T07:00", 5, nil, nil, nil, 0, 1, 2, 3))
	m.want("SELECT event_id, n, more, m3 FROM a_b_all ORDER BY event_id", "late | 4 | NULL | NULL", "v | 5 | NULL | 3", "w | 1099511627776 | 1.50 | NULL", "x | 1 | NULL | NULL", "y | 2 | NULL | NULL", "z | 3 | NULL | NULL")
	if err := m.w.note(t.Context(), func(tx *transaction) error {
		for _, sql := range []string{"UPDATE arbalest.days SET stale = true, left_rows = 2 WHERE table_name = 'a_b' AND left_rows = 3", "DELETE FROM arbalest.archived WHERE event_id = 'x'"} {
			if err := tx.exec(sql); err != nil {
				return err
			}
		}
		return tx.showAll("a_b")
	}); err != nil {
		t.Fatal(err)
	}
	m.want("SELECT event_id, n FROM a_b_all ORDER BY event_id", "late | 4", "v | 5", "w | 1099511627776", "y | 2", "z | 3")
	before.Hot, before.Left = 0, 2
	before.Warm = m.export("2015-08-18", many, rowOf("y", "18T07:00", 2, nil, nil, nil, nil, nil, nil, nil), rowOf("late", "18T23:00", 4, nil, nil, nil, nil, nil, nil, nil))
	if err := m.w.Leave(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	m.want("SELECT event_id, n FROM a_b_all ORDER BY event_id", "late | 4", "v | 5", "w | 1099511627776", "y | 2", "z | 3")
	// Without a warm object its rows cannot be shown.
	before.Warm = load.Warm{}
	if err := m.w.Leave(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	m.want("SELECT event_id FROM a_b_all ORDER BY event_id", "v", "w", "z")
	// A swap has all in the table again, by another definition; a reset has no view.
	again := warehousetest.Declared("a.b", col("n", "VARCHAR(20)"))
	shadow, err := m.w.Beside(t.Context(), "plan")
	if err != nil {
		t.Fatal(err)
	}
	_, err = shadow.Load(t.Context(), load.Progress{}, load.Batch{Tables: []load.TableBatch{warehousetest.Batch(again, 9, warehousetest.Object{Commit: 1, Rows: []warehousetest.Row{rowOf("x", "18T06:00", "one")}})},
		Next: load.Progress{Cursor: load.Cursor{Commit: m.at}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.w.Swap(t.Context(), load.Part{}, "a_b"); err != nil {
		t.Fatal(err)
	}
	m.want("SELECT * EXCLUDE (received_at, event_hash) FROM a_b_all", "x | 2015-08-18 06:00:00 | one")
	if err := m.w.Reset(t.Context(), "a_b"); err != nil {
		t.Fatal(err)
	}
	m.want("SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name = 'main'")
}

// TestAllRowsWhileAsked asks for all rows while they leave: each answer has each row
// once.
func TestAllRowsWhileAsked(t *testing.T) {
	m := newWarmed(t)
	table := warehousetest.Declared("a", warehousetest.Col("n", "INTEGER"))
	var days []string
	byDay := map[string][]warehousetest.Row{}
	for i := range 10 {
		day := fmt.Sprintf("%d", 10+i)
		days = append(days, day)
		for k := range 50 {
			byDay[day] = append(byDay[day], rowOf(fmt.Sprint(k), fmt.Sprintf("%sT06:%02d", day, k), k))
		}
		m.rows(table, byDay[day]...)
	}
	if err := m.w.ShowAll(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan int)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			rows, err := queryAll(t, m.w, "SELECT count(*), count(DISTINCT (event_id, event_time)), sum(n) FROM a_all")
			if err != nil || strings.Join(rows[0], " ") != "500 500 12250" {
				t.Errorf("%v, %v", rows, err)
				break
			}
		}
		asked <- n
	}()
	// A query that began before reads what there was.
	r, err := m.w.Query(t.Context(), "SELECT event_id FROM a_all")
	if err != nil {
		t.Fatal(err)
	}
	for _, day := range days {
		m.leave(table, "2015-08-"+day, byDay[day]...)
	}
	n := 0
	for r.Next() {
		n++
	}
	if err := r.Err(); err != nil || n != 500 {
		t.Errorf("a query that began before has %d rows, %v", n, err)
	}
	r.Close()
	cancel()
	if n := <-asked; n < 2 {
		t.Errorf("asked %d times", n)
	}
	m.want("SELECT count(*) FROM a", "0")
}

// TestAllRowsCannotBeShown holds that rows do not leave to where nobody finds them, and
// that loading goes on when what left is lost.
func TestAllRowsCannotBeShown(t *testing.T) {
	m := newWarmed(t)
	col := warehousetest.Col
	table := warehousetest.Declared("a", col("n", "INTEGER"))
	x := rowOf("x", "18T06:00", 1)
	m.rows(table, x, rowOf("y", "19T06:00", 2))
	d := load.Departure{Table: "a", Day: warehousetest.Day("2015-08-18"), Hot: 1, Warm: load.Warm{Key: "_warm/a/day=2015-08-18/no.parquet"}}
	for key, want := range map[arbalest.Key]error{"_warm/a/day=2015-08-18/no.parquet": arbalest.ErrUnknown, "_warm/../warehouse.duckdb": arbalest.ErrInvalid, "_warmer/a.parquet": arbalest.ErrInvalid, "_warm/*": arbalest.ErrInvalid} {
		d.Warm.Key = key
		if err := m.w.Leave(t.Context(), d); !errors.Is(err, want) {
			t.Errorf("leave to %s: %v, want %v", key, err, want)
		}
	}
	// Others' relations are left alone.
	for _, sql := range []string{"CREATE TABLE a_all (i INTEGER)", "CREATE VIEW a_all AS SELECT 1 AS i"} {
		if err := m.w.note(t.Context(), func(tx *transaction) error { return tx.exec(sql) }); err != nil {
			t.Fatal(err)
		}
		m.w.known = nil
		d.Warm = m.export("2015-08-18", table, x)
		for doing, err := range map[string]error{"show": m.w.ShowAll(t.Context(), "a"), "leave": m.w.Leave(t.Context(), d)} {
			if !errors.Is(err, arbalest.ErrExists) || !strings.Contains(err.Error(), "rename it") {
				t.Errorf("%s: %v", doing, err)
			}
		}
		m.want("SELECT count(*) FROM a", "2")
		m.rows(warehousetest.Declared("a", col("n", "INTEGER"), col("c"+strings.Fields(sql)[1], "INTEGER")), rowOf(sql, "20T06:00", 1, 1))
		if err := m.w.note(t.Context(), func(tx *transaction) error {
			return tx.exec("DROP " + strings.Fields(sql)[1] + " a_all; DELETE FROM a WHERE event_time >= '2015-08-20'")
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.w.Leave(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	// An event's table of that name is that table's error.
	var of *load.TableError
	err := m.load(warehousetest.Batch(warehousetest.Declared("a.all", col("n", "INTEGER")), 9, warehousetest.Object{Commit: m.at + 1, Rows: []warehousetest.Row{x}}))
	if !errors.As(err, &of) || of.Table != "a_all" || !strings.Contains(err.Error(), "another name") {
		t.Errorf("a table of the view's name: %v", err)
	}
	// It does not stand in the way of a reset either.
	stall := load.Progress{Cursor: load.Cursor{Commit: m.at}, Stalled: map[string]load.Stall{"a_all": {Event: "a.all", Reason: "no"}}}
	if _, err := m.w.Load(t.Context(), load.Progress{Cursor: stall.Cursor}, load.Batch{Next: stall}); err != nil {
		t.Fatal(err)
	}
	if err := m.w.Reset(t.Context(), "a_all"); err != nil {
		t.Error(err)
	}
	if p, err := m.w.Progress(t.Context()); err != nil {
		t.Error(err)
	} else if _, err := m.w.Load(t.Context(), p, load.Batch{Next: load.Progress{Cursor: stall.Cursor}}); err != nil {
		t.Error(err)
	}
	m.want("SELECT event_id FROM a_all ORDER BY event_id", "x", "y")
	// The object is lost: loading goes on, and the view is gone rather than less.
	if err := os.Remove(filepath.Join(m.dir, string(d.Warm.Key))); err != nil {
		t.Fatal(err)
	}
	m.rows(warehousetest.Declared("a", col("n", "INTEGER"), col("more", "INTEGER")), rowOf("z", "20T06:00", 1, 1))
	if _, err := queryAll(t, m.w, "SELECT * FROM a_all"); !errors.Is(err, arbalest.ErrUnknown) {
		t.Errorf("ask for what is lost: %v", err)
	}
	if err := m.w.Reset(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestAllRowsByTime holds that of what left only the row groups are read that can have
// the rows that are asked for.
func TestAllRowsByTime(t *testing.T) {
	m := newWarmed(t)
	table := warehousetest.Declared("a", warehousetest.Col("n", "INTEGER"))
	for _, day := range []string{"18", "19"} {
		x := rowOf("x", day+"T06:00", 1)
		m.rows(table, x)
		m.leave(table, "2015-08-"+day, x)
	}
	plan := fmt.Sprint(mustQuery(t, m.w, "EXPLAIN SELECT n FROM a_all WHERE event_time >= TIMESTAMP '2015-08-19'"))
	if strings.Contains(plan, "CAST") || !strings.Contains(strings.ReplaceAll(plan, "PARQUET_SCAN", "READ_PARQUET"), "READ_PARQUET") {
		t.Errorf("the plan is %s", plan)
	}
}

// TestOpenWithoutTiers opens a file of a program that knew no tiers.
func TestOpenWithoutTiers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.duckdb")
	w := mustOpen(t, path, Options{})
	if err := w.note(t.Context(), func(tx *transaction) error {
		for _, l := range load.TierBooks() {
			if err := tx.exec("DROP TABLE arbalest." + l.Table); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	w.Close()
	w = mustOpen(t, path, Options{})
	defer w.Close()
	if days, err := w.Days(t.Context(), "a", 0); err != nil || days != nil {
		t.Errorf("days are %v, %v", days, err)
	}
	if err := w.Hold(t.Context(), "a", 0, 24, time.Now()); err != nil {
		t.Error(err)
	}
}

// TestAllRowsAfterCrash opens what a process that was killed leaves, where the warm
// object is there, and where it is lost.
func TestAllRowsAfterCrash(t *testing.T) {
	m := newWarmed(t)
	table := warehousetest.Declared("a", warehousetest.Col("n", "INTEGER"))
	x := rowOf("x", "18T06:00", 1)
	m.rows(table, x)
	d := m.leave(table, "2015-08-18", x)
	m.rows(warehousetest.Declared("a", warehousetest.Col("n", "INTEGER"), warehousetest.Col("more", "INTEGER")), rowOf("y", "19T06:00", 2, 3))
	for _, lost := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "copy.duckdb")
		for _, suffix := range []string{"", ".wal"} {
			text, err := os.ReadFile(m.w.Path() + suffix)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path+suffix, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if lost {
			if err := os.Remove(filepath.Join(m.dir, string(d.Warm.Key))); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // from the write-ahead log, and from the file
			w := mustOpen(t, path, m.opts)
			if rows, err := queryAll(t, w, "SELECT event_id, n, more FROM a_all ORDER BY n"); lost != (err != nil) || !lost && fmt.Sprint(rows) != "[[x 1 NULL] [y 2 3]]" {
				t.Errorf("lost %v: %v, %v", lost, rows, err)
			}
			if days, err := w.Days(t.Context(), "a", d.Day+24); err != nil || len(days) != 1 || days[0].Left != 1 || days[0].Warm != d.Warm {
				t.Errorf("lost %v: days are %+v, %v", lost, days, err)
			}
			if tables := mustQuery(t, w, "SELECT count(*) FROM duckdb_columns() WHERE table_name = 'a_all'"); tables[0][0] != "6" {
				t.Errorf("lost %v: the view has %s columns", lost, tables[0][0])
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestWarmDirectoryIsMade opens a warehouse of which nothing is warm yet.
func TestWarmDirectoryIsMade(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		w, err := Open(t.Context(), filepath.Join(dir, "w.duckdb"), Options{Warm: filepath.Join(dir, "not", "there")})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
