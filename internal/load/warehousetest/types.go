package warehousetest

import (
	"fmt"
	"math"
	"strings"
)

func testTypes(s *suite) {
	table := Declared("typed", Col("b", "BOOLEAN"), Col("s", "SMALLINT"), Col("i", "INTEGER"), Col("l", "BIGINT"),
		Col("d4", "DECIMAL(4,2)"), Col("d9", "DECIMAL(9,2)"), Col("d18", "DECIMAL(18,4)"), Col("d38", "DECIMAL(38,10)"),
		Col("r", "REAL"), Col("f", "DOUBLE PRECISION"), Col("c", "CHAR(3)"), Col("v", "VARCHAR(20)"),
		Col("day", "DATE"), Col("ts", "TIMESTAMP"), Col("tz", "TIMESTAMPTZ"))
	all := "SELECT b, s, i, l, d4, d9, d18, d38, r, f, c, v, day, ts, tz FROM typed WHERE event_id = '%s'"
	s.rows(table,
		Row{ID: "low", Time: "2015-08-18T06:36:40Z", Values: []any{false, math.MinInt16, math.MinInt32, math.MinInt64,
			"-99.99", "-9999999.99", "-99999999999999.9999", "-9999999999999999999999999999.9999999999",
			-1.5, -math.MaxFloat64, "abc", "x", "0001-01-01", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"}},
		Row{ID: "high", Time: "2015-08-18T06:36:41Z", Values: []any{true, math.MaxInt16, math.MaxInt32, math.MaxInt64,
			"99.99", "9999999.99", "99999999999999.9999", "9999999999999999999999999999.9999999999",
			1.5, math.MaxFloat64, "äb", "é€😀", "9999-12-31", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"}},
		Row{ID: "zero", Time: "2015-08-18T06:36:42Z", Values: []any{false, 0, 0, 0, "0.00", "0.00", "0.0000", "0.0000000000",
			0.0, 0.0, "", "", "1970-01-01", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"}},
		Row{ID: "offset", Time: "2015-08-18T06:36:43Z", Values: []any{true, 1, 1, 9007199254740993, "0.01", "-0.01", "1.1000", "0.0000000001",
			0.1, 0.1, " a ", " ", "1969-12-31", "2015-08-18T08:36:40.5+02:00", "2015-08-18T08:36:40.5+02:00"}})
	s.wantRows(fmt.Sprintf(all, "low"), "false | -32768 | -2147483648 | -9223372036854775808 | -99.99 | -9999999.99 | -99999999999999.9999 | -9999999999999999999999999999.9999999999"+
		" | -1.5 | -1.7976931348623157e+308 | abc | x | 0001-01-01 | 0001-01-01 00:00:00 | 0001-01-01 00:00:00+00")
	s.wantRows(fmt.Sprintf(all, "high"), "true | 32767 | 2147483647 | 9223372036854775807 | 99.99 | 9999999.99 | 99999999999999.9999 | 9999999999999999999999999999.9999999999"+
		" | 1.5 | 1.7976931348623157e+308 | äb | é€😀 | 9999-12-31 | 9999-12-31 23:59:59.999999 | 9999-12-31 23:59:59.999999+00")
	s.wantRows(fmt.Sprintf(all, "zero"), "false | 0 | 0 | 0 | 0.00 | 0.00 | 0.0000 | 0.0000000000 | 0.0 | 0.0 |  |  | 1970-01-01 | 1970-01-01 00:00:00 | 1970-01-01 00:00:00+00")
	s.wantRows(fmt.Sprintf(all, "offset"), "true | 1 | 1 | 9007199254740993 | 0.01 | -0.01 | 1.1000 | 0.0000000001 | 0.1 | 0.1 |  a  |   | 1969-12-31 | 2015-08-18 06:36:40.5 | 2015-08-18 06:36:40.5+00")
	s.wantRows("SELECT event_id, event_time, received_at, event_hash FROM typed WHERE event_id = 'low'", "low | 2015-08-18 06:36:40 | 2015-08-18 06:36:41 | 0000000000000000")
}

func testTexts(s *suite) {
	table := Declared("texts", Col("v", "VARCHAR(MAX)"), Col("n", "INTEGER"))
	texts := []string{
		"", " ", "twelve bytes", "thirteen byte", "four", "'\"\\ ; -- /*", "tab\tnewline\nreturn\r", "NULL", "e\u0301", "日本語", "\U0010FFFF", "\uFEFF",
		strings.Repeat("x", 65535), strings.Repeat("€", 5000),
	}
	var rows []Row
	for i, v := range texts {
		rows = append(rows, Row{ID: fmt.Sprintf("id %d €'\"", i), Time: "2015-08-18T06:36:40Z", Values: []any{v, len(v)}})
	}
	s.rows(table, rows...)
	for i, v := range texts {
		s.wantRows(fmt.Sprintf("SELECT v, n FROM texts WHERE event_id = 'id %d €''\"'", i), fmt.Sprintf("%s | %d", v, len(v)))
	}
}

func testJSON(s *suite) {
	table := Inferred("json", Col("tags", "JSON"))
	nested := `{"a":` + strings.Repeat(`[{"key":"value","n":1.10,"x":[`, 900) + strings.Repeat(`]}]`, 900) + `,"b":1e400,"a":12345678901234567890.12345678901234567890, "c" : "\u00e9é\/"}`
	values := []string{nested, `{}`, `[]`, `"text"`, `1.10`, `null`, `{"z":1,"a":2}`}
	var rows []Row
	for i, v := range values {
		rows = append(rows, Row{ID: fmt.Sprint(i), Time: "2015-08-18T06:36:40Z", Values: []any{v, v}})
	}
	s.rows(table, rows...)
	for i, v := range values {
		s.wantRows(fmt.Sprintf("SELECT tags, properties FROM json WHERE event_id = '%d'", i), v+" | "+v)
	}
}

func testNulls(s *suite) {
	kinds := []string{"BOOLEAN", "SMALLINT", "INTEGER", "BIGINT", "DECIMAL(4,1)", "DECIMAL(9,1)", "DECIMAL(18,1)", "DECIMAL(38,1)", "REAL", "DOUBLE PRECISION", "CHAR(3)", "VARCHAR(9)", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "JSON"}
	values := []any{true, 1, 1, 1, "1.0", "1.0", "1.0", "1.0", 1.0, 1.0, "a", "a", "2015-08-18", "2015-08-18T06:36:40Z", "2015-08-18T06:36:40Z", "[]"}
	table := Declared("nulls")
	for i, k := range kinds {
		table.Columns = append(table.Columns, Col(fmt.Sprintf("c%d", i), k))
	}
	// Chunks of a length that is no multiple of anything, so that bits do not
	// line up, with NULL in every seventh row but for another column each.
	var rows []Row
	const n = 5000
	for i := range n {
		r := Row{ID: fmt.Sprint(i), Time: "2015-08-18T06:36:40Z"}
		for k, v := range values {
			if (i+k)%7 == 0 || i == 77 {
				v = nil
			}
			r.Values = append(r.Values, v)
		}
		rows = append(rows, r)
	}
	s.load(Batch(table, 997, Object{Commit: 1, Rows: rows}))
	for k := range kinds {
		want := 0
		for i := range n {
			if (i+k)%7 == 0 || i == 77 {
				want++
			}
		}
		s.wantRows(fmt.Sprintf("SELECT count(*), count(*) - count(c%d) FROM nulls", k), fmt.Sprintf("%d | %d", n, want))
		s.wantRows(fmt.Sprintf("SELECT count(*) FROM nulls WHERE c%d IS NULL AND MOD(CAST(event_id AS INTEGER) + %d, 7) <> 0", k, k), fmt.Sprint(min(1, k%7)))
	}
	s.wantRows("SELECT c0, c4, c7, c11, c15 FROM nulls WHERE event_id = '77'", strings.Join([]string{Null, Null, Null, Null, Null}, " | "))
}

func testLargeBatch(s *suite) {
	table := Inferred("large", Col("n", "BIGINT"), Col("v", "VARCHAR(MAX)"))
	var rows []Row
	n := many(90_000, 20_000)
	for i := range n {
		v := fmt.Sprintf("value %d %s", i, strings.Repeat("y", i%200))
		rows = append(rows, Row{ID: fmt.Sprintf("%036d", i), Time: fmt.Sprintf("2015-08-18T06:%02d:%02dZ", i/60%60, i%60), Values: []any{i, v, `{"v":"` + v + `"}`}})
	}
	if c := s.load(Batch(table, 8171, Object{Commit: 1, Rows: rows}))[0]; c.Loaded != int64(n) {
		s.Errorf("counts are %+v", c)
	}
	s.wantRows("SELECT count(*), count(DISTINCT event_id), CAST(sum(n) AS BIGINT), CAST(sum(length(v)) AS BIGINT), CAST(sum(length(CAST(properties AS VARCHAR))) AS BIGINT) FROM large",
		fmt.Sprintf("%d | %d | %d | %d | %d", n, n, n*(n-1)/2, textBytes(n), textBytes(n)+8*n))
	s.wantRows("SELECT count(*) FROM large WHERE v LIKE 'value ' || CAST(n AS VARCHAR) || ' %' AND CAST(n AS BIGINT) = CAST(event_id AS BIGINT)", fmt.Sprint(n))
	// All of it again: nothing but repeats.
	if c := s.load(Batch(table, 5000, Object{Commit: 2, Rows: rows}))[0]; c.Repeats != int64(n) || c.Loaded != 0 || c.Conflicts != 0 {
		s.Errorf("counts of the second load are %+v", c)
	}
	s.wantRows("SELECT count(*) FROM large", fmt.Sprint(n))
}

// textBytes is the length of testLargeBatch's values.
func textBytes(n int) (bytes int) {
	for i := range n {
		bytes += len(fmt.Sprintf("value %d ", i)) + i%200
	}
	return bytes
}
