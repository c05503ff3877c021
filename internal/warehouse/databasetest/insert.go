package databasetest

import (
	"encoding/json"
	"errors"
	"reflect"

	"arbalest"
	"arbalest/internal/load/warehousetest"
	"arbalest/internal/warehouse"
)

// page makes a page of rows, whose values are as in warehousetest.Row.
func page(columns []arbalest.Column, rows ...[]any) warehouse.Page {
	var events []warehousetest.Row
	for _, r := range rows {
		events = append(events, warehousetest.Row{Time: "2015-08-18T06:00:00Z", Values: r})
	}
	b := warehousetest.Batch(warehousetest.Declared("page", columns...), len(rows)+1, warehousetest.Object{Rows: events})
	return warehouse.Page{Rows: len(rows), Columns: b.Chunks[0].Columns[len(arbalest.SystemColumns):]}
}

// testInsertTypes inserts values of every type, at their limits, and reads them
// back exactly.
func testInsertTypes(s *suite) {
	col := warehousetest.Col
	columns := []arbalest.Column{
		col("n", "INTEGER"), col("bool", "BOOLEAN"), col("small", "SMALLINT"), col("int", "INTEGER"), col("big", "BIGINT"),
		col("dec", "DECIMAL(12,2)"), col("long_dec", "DECIMAL(38,10)"), col("real_", "REAL"), col("double_", "DOUBLE PRECISION"),
		col("char_", "CHAR(3)"), col("text_", "VARCHAR(1000)"), col("date_", "DATE"), col("ts", "TIMESTAMP"), col("tz", "TIMESTAMPTZ"),
	}
	s.create("typed", columns...)
	rows := [][]any{
		{0, true, 32767, 2147483647, int64(9223372036854775807), "1234567890.12", "9999999999999999999999999999.9999999999", 0.1, 0.1, "abc", "日本語 🦆 'it''s' \\ \"", "2015-08-18", "2015-08-18T06:36:40.123456Z", "2015-08-18T06:36:40.123456Z"},
		{1, false, -32768, -2147483648, int64(-9223372036854775807), "-0.01", "-0.0000000001", -3.4028234663852886e38, 1.7976931348623157e308, "xyz", "", "1969-12-31", "1901-01-01T00:00:00.000001Z", "1969-12-31T23:59:59.999999Z"},
		{2, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil},
		{3, true, 0, 0, 0, "0", "0", 0.0, 5e-324, "   ", " ", "2400-02-29", "9999-12-31T23:59:59.999999Z", "2400-02-29T00:00:00Z"},
	}
	s.must(func(tx warehouse.Tx) error {
		n, err := tx.Insert(s.Context(), "typed", columns, []warehouse.Page{page(columns, rows[:2]...), page(columns), page(columns, rows[2:]...)})
		if n != 4 {
			s.Errorf("inserted %d rows", n)
		}
		return err
	})
	s.want(`SELECT bool, small, "int", big, dec, long_dec FROM typed ORDER BY n`,
		[]any{true, int64(32767), int64(2147483647), int64(9223372036854775807), "1234567890.12", "9999999999999999999999999999.9999999999"},
		[]any{false, int64(-32768), int64(-2147483648), int64(-9223372036854775807), "-0.01", "-0.0000000001"},
		make([]any, 6),
		[]any{true, int64(0), int64(0), int64(0), "0.00", "0.0000000000"})
	s.want(`SELECT real_, double_, text_ FROM typed ORDER BY n`,
		[]any{float64(float32(0.1)), 0.1, "日本語 🦆 'it''s' \\ \""},
		[]any{-3.4028234663852886e38, 1.7976931348623157e308, ""},
		make([]any, 3),
		[]any{0.0, 5e-324, " "})
	s.want(`SELECT date_, ts, tz FROM typed ORDER BY n`,
		[]any{at("2015-08-18T00:00:00Z"), at("2015-08-18T06:36:40.123456Z"), at("2015-08-18T06:36:40.123456Z")},
		[]any{at("1969-12-31T00:00:00Z"), at("1901-01-01T00:00:00.000001Z"), at("1969-12-31T23:59:59.999999Z")},
		make([]any, 3),
		[]any{at("2400-02-29T00:00:00Z"), at("9999-12-31T23:59:59.999999Z"), at("2400-02-29T00:00:00Z")})
	s.want(`SELECT n FROM typed WHERE char_ = 'abc' OR char_ = 'xyz' ORDER BY n`, []any{int64(0)}, []any{int64(1)})
	s.insertJSON()
}

// insertJSON compares JSON by what it says: a database may spell it its own way.
func (s *suite) insertJSON() {
	columns := []arbalest.Column{warehousetest.Col("n", "INTEGER"), warehousetest.Col("doc", "JSON")}
	s.create("docs", columns...)
	docs := []any{`{"a":[1,2,{"b":null}],"c":"é 🦆"}`, `[]`, `"text"`, `1.5`, nil, `true`}
	var rows [][]any
	for i, d := range docs {
		rows = append(rows, []any{i, d})
	}
	s.must(func(tx warehouse.Tx) error {
		_, err := tx.Insert(s.Context(), "docs", columns, []warehouse.Page{page(columns, rows...)})
		return err
	})
	got, err := s.rows(s.db, "SELECT doc FROM docs ORDER BY n")
	if err != nil || len(got) != len(docs) {
		s.Fatalf("%v, %v", got, err)
	}
	for i, d := range docs {
		if d == nil {
			if got[i][0] != nil {
				s.Errorf("no document came back as %v", got[i][0])
			}
			continue
		}
		var want, have any
		text, _ := got[i][0].(string)
		if err := errors.Join(json.Unmarshal([]byte(docs[i].(string)), &want), json.Unmarshal([]byte(text), &have)); err != nil || !reflect.DeepEqual(want, have) {
			s.Errorf("document %s came back as %v, %v", d, got[i][0], err)
		}
	}
}

// testInsertWider inserts into columns that hold more than their values.
func testInsertWider(s *suite) {
	col := warehousetest.Col
	s.create("wider", col("n", "BIGINT"), col("f", "DOUBLE PRECISION"), col("d", "DECIMAL(20,4)"), col("e", "DECIMAL(20,4)"), col("ts", "TIMESTAMP"), col("text_", "VARCHAR(100)"))
	columns := []arbalest.Column{col("text_", "CHAR(3)"), col("n", "SMALLINT"), col("f", "BIGINT"), col("d", "DECIMAL(6,2)"), col("e", "INTEGER"), col("ts", "DATE")}
	s.must(func(tx warehouse.Tx) error {
		p := page(columns, []any{"abc", -7, 9007199254740992, "1.25", 3, "2015-08-18"}, []any{"no", 1, 1, "1", 1, "2015-08-18"}, make([]any, 6))
		p.Keep = []byte{0b101}
		n, err := tx.Insert(s.Context(), "wider", columns, []warehouse.Page{p})
		if n != 2 {
			s.Errorf("inserted %d rows", n)
		}
		return err
	})
	s.want("SELECT n, f, d, e, ts, text_ FROM wider ORDER BY n NULLS LAST",
		[]any{int64(-7), 9007199254740992.0, "1.2500", "3.0000", at("2015-08-18T00:00:00Z"), "abc"}, make([]any, 6))
}

// testInsertKeep leaves out rows, over many pages and rows of one.
func testInsertKeep(s *suite) {
	columns := []arbalest.Column{warehousetest.Col("n", "INTEGER"), warehousetest.Col("text_", "VARCHAR(20)")}
	s.create("kept", append(columns, warehousetest.Col("other", "DATE"))...)
	var pages []warehouse.Page
	want, sum := int64(0), int64(0)
	n := 0
	for k, size := range []int{5000, 1, 0, 8, 3001} {
		var rows [][]any
		p := warehouse.Page{Keep: make([]byte, (size+7)/8)}
		for row := range size {
			rows = append(rows, []any{n, "row"})
			if k == 3 || n%3 == 0 {
				p.Keep[row/8] |= 1 << (row % 8)
				want, sum = want+1, sum+int64(n)
			}
			n++
		}
		keep := p.Keep
		p = page(columns, rows...)
		if p.Keep = keep; k == 3 {
			p.Keep = nil // keeps all
		}
		pages = append(pages, p)
	}
	s.must(func(tx warehouse.Tx) error {
		got, err := tx.Insert(s.Context(), warehouse.Ident("kept"), columns, pages)
		if got != want {
			s.Errorf("inserted %d rows, want %d", got, want)
		}
		return err
	})
	s.want("SELECT count(*), CAST(sum(n) AS BIGINT), count(DISTINCT n), count(other) FROM kept", []any{want, sum, want, int64(0)})
	s.must(func(tx warehouse.Tx) error {
		none := page(columns, []any{1, "x"})
		none.Keep = []byte{0}
		got, err := tx.Insert(s.Context(), "kept", columns, []warehouse.Page{none})
		if got != 0 {
			s.Errorf("inserted %d of no rows", got)
		}
		return err
	})
}

func testInsertErrors(s *suite) {
	columns := []arbalest.Column{warehousetest.Col("n", "INTEGER")}
	s.create("there", columns...)
	insert := func(table string, columns []arbalest.Column, p warehouse.Page) error {
		return s.transact(func(tx warehouse.Tx) error {
			_, err := tx.Insert(s.Context(), table, columns, []warehouse.Page{p})
			return err
		})
	}
	if err := insert("nowhere", columns, page(columns, []any{1})); !errors.Is(err, arbalest.ErrUnknown) {
		s.Errorf("no table: %v", err)
	}
	other := []arbalest.Column{warehousetest.Col("m", "INTEGER")}
	if err := insert("there", other, page(other, []any{1})); !errors.Is(err, arbalest.ErrUnknown) {
		s.Errorf("no column: %v", err)
	}
	s.want("SELECT * FROM there")
	// With the transaction goes what was inserted in it.
	err := s.transact(func(tx warehouse.Tx) error {
		if _, err := tx.Insert(s.Context(), "there", columns, []warehouse.Page{page(columns, []any{1})}); err != nil {
			s.Error(err)
		}
		if rows, err := s.rows(tx, "SELECT n FROM there"); err != nil || len(rows) != 1 {
			s.Errorf("within: %v, %v", rows, err)
		}
		return errStop
	})
	if !errors.Is(err, errStop) {
		s.Error(err)
	}
	s.want("SELECT * FROM there")
}
