package decode

import (
	"strings"
	"testing"

	"arbalest"
)

// TestDeclaredValues has, for each type, what values become, or after a "!" a
// part of the reason why they do not load.
func TestDeclaredValues(t *testing.T) {
	for kind, values := range map[string][][2]string{
		"BOOLEAN":  {{`true`, `true`}, {`false`, `false`}, {`null`, `NULL`}, {`"true"`, `!"true" is not a BOOLEAN`}, {`1`, `!1 is not a BOOLEAN`}, {`{}`, `!is not a BOOLEAN`}, {`[]`, `!is not a BOOLEAN`}},
		"SMALLINT": {{`-32768`, `-32768`}, {`32767`, `32767`}, {`32768`, `!beyond the range of a SMALLINT`}, {`"12"`, `12`}, {`true`, `!true is not a SMALLINT`}},
		"INTEGER": {{`2147483647`, `2147483647`}, {`-2147483648`, `-2147483648`}, {`2147483648`, `!beyond the range of an INTEGER`}, {`1.0`, `1`}, {`1e3`, `1000`}, {`1000e-3`, `1`}, {`1.5`, `!not a whole number`},
			{`"notint"`, `!"notint" is not an INTEGER`}, {`"-7"`, `-7`}, {`"1.0"`, `1`}, {`"+7"`, `!is not an INTEGER`}, {`" 7"`, `!is not an INTEGER`}, {`"007"`, `!is not an INTEGER`}, {`"1_000"`, `!is not an INTEGER`}, {`""`, `!"" is not an INTEGER`}, {`-0`, `0`}, {`{"a":1}`, `!{"a":1} is not an INTEGER`}, {`{}`, `!{} is not an INTEGER`}, {`0e999999999999999999999`, `0`}, {`1e999999999999999999999`, `!beyond`}, {`1e-99999999999999999999`, `!whole number`}},
		"BIGINT": {{`9223372036854775807`, `9223372036854775807`}, {`-9223372036854775808`, `-9223372036854775808`}, {`9223372036854775808`, `!beyond the range of a BIGINT`}, {`-9223372036854775809`, `!beyond`}, {`9007199254740993`, `9007199254740993`}, {`"9007199254740993"`, `9007199254740993`}, {`9007199254740993.0`, `9007199254740993`}, {`99999999999999999999`, `!beyond`}},
		"DECIMAL(12,2)": {{`12.50`, `12.50`}, {`"12.50"`, `12.50`}, {`1.255`, `!1.255 has 3 fractional digits, DECIMAL(12,2) keeps 2`}, {`1.2500`, `1.25`}, {`1234567890.12`, `1234567890.12`}, {`12345678901`, `!has 11 digits before the point, DECIMAL(12,2) keeps 10`},
			{`-0.01`, `-0.01`}, {`0`, `0.00`}, {`1e2`, `100.00`}, {`125e-2`, `1.25`}, {`1.005`, `!3 fractional digits`}, {`1e-3`, `!3 fractional digits`}, {`true`, `!is not a DECIMAL(12,2)`}, {`0.00000`, `0.00`}, {`0e-99`, `0.00`}, {`"x"`, `!is not a DECIMAL(12,2)`}},
		"DECIMAL(38,0)":        {{`99999999999999999999999999999999999999`, `99999999999999999999999999999999999999`}, {`-99999999999999999999999999999999999999`, `-99999999999999999999999999999999999999`}, {`100000000000000000000000000000000000000`, `!39 digits before the point`}, {`18446744073709551616`, `18446744073709551616`}, {`1e37`, `10000000000000000000000000000000000000`}},
		"DECIMAL(38,18)":       {{`12345678901234567890.123456789012345678`, `12345678901234567890.123456789012345678`}, {`0.1`, `0.100000000000000000`}},
		"DECIMAL(2,2)":         {{`0.12`, `0.12`}, {`-0.99`, `-0.99`}, {`1.00`, `!1 digits before the point`}},
		"REAL":                 {{`0.1`, `0.1`}, {`1e39`, `!beyond the range of a REAL`}, {`"1.5"`, `1.5`}},
		"DOUBLE PRECISION":     {{`0.1`, `0.1`}, {`1e400`, `!1e400 is beyond the range of a DOUBLE PRECISION`}, {`"-1.5e3"`, `-1500`}, {`"NaN"`, `!is not a DOUBLE PRECISION`}, {`"inf"`, `!is not`}, {`"0x10"`, `!is not`}, {`12345678901234567890123`, `1.2345678901234568e+22`}, {`false`, `!is not`}},
		"VARCHAR(5)":           {{`"hello"`, `hello`}, {`"héll"`, `héll`}, {`"héllo"`, `!"héllo" has 6 bytes, VARCHAR(5) holds 5`}, {`"h\u00e9ll"`, `héll`}, {`"\ud83d\ude00"`, `😀`}, {`"\ud83d\ude00ab"`, `!has 6 bytes`}, {`12.50`, `12.50`}, {`true`, `true`}, {`{}`, `{}`}, {`[1,2]`, `[1,2]`}, {`{"a":1}`, `!has 7 bytes`}, {`""`, ``}, {`"NULL"`, `NULL`}, {`"\"\\\/\n\t"`, "\"\\/\n\t"}},
		"VARCHAR(MAX)":         {{`{"a": [1, "x y"]}`, `{"a":[1,"x y"]}`}, {`1.10`, `1.10`}, {`123456789012345678901234567890`, `123456789012345678901234567890`}},
		"CHAR(2)":              {{`"us"`, `us`}, {`"u"`, `u`}, {`"usa"`, `!3 bytes`}, {`"é"`, `!more than one byte`}},
		"DATE":                 {{`"2015-08-18"`, `2015-08-18`}, {`"2015-08-18T00:00:00Z"`, `2015-08-18`}, {`"2015-08-18T02:00:00+02:00"`, `2015-08-18`}, {`"2015-08-18T06:36:40Z"`, `!has a time of day`}, {`"2015-02-30"`, `!does not exist`}, {`20150818`, `!20150818 is not a DATE`}, {`"1969-12-31"`, `1969-12-31`}, {`"0001-01-01"`, `0001-01-01`}, {`"18.08.2015"`, `!is not a time`}},
		"TIMESTAMP":            {{`"2026-08-21T16:53:52+02:00"`, `2026-08-21T14:53:52Z`}, {`"2015-08-18 06:36:40"`, `2015-08-18T06:36:40Z`}, {`"2015-08-18T06:36:40.123456Z"`, `2015-08-18T06:36:40.123456Z`}, {`"2015-08-18T06:36:40.123456000Z"`, `2015-08-18T06:36:40.123456Z`}, {`"2015-08-18T06:36:40.1234567Z"`, `!finer than a microsecond`}, {`"2015-08-18"`, `2015-08-18T00:00:00Z`}, {`1439879800`, `!is not a TIMESTAMP`}, {`"1439879800"`, `!is a number`}, {`"1969-12-31T23:59:59.5Z"`, `1969-12-31T23:59:59.5Z`}, {`"2015-08-18T06:36:40\u005a"`, `2015-08-18T06:36:40Z`}, {`"2015-08-18T24:00:00Z"`, `!does not exist`}},
		"TIMESTAMPTZ":          {{`"2026-08-21T16:53:52+02:00"`, `2026-08-21T14:53:52Z`}},
		"JSON":                 {{`{"a":1.10,"b":[1e2]}`, `{"a":1.10,"b":[1e2]}`}, {`"x\u0041"`, `"x\u0041"`}, {`12345678901234567890`, `12345678901234567890`}, {`true`, `true`}, {`null`, `NULL`}, {`{}`, `{}`}},
		"CHARACTER VARYING(3)": {{`"abc"`, `abc`}},
	} {
		typ, err := arbalest.ParseType(kind)
		if err != nil {
			t.Fatal(err)
		}
		table := arbalest.Table{Declared: true, Columns: []arbalest.Column{{Name: "v", Path: []string{"v"}, Type: typ}}}
		d := NewDecoder(table)
		for _, v := range values {
			c := d.Decode(Block{Lines: stored(`{"v":` + v[0] + `}`)})
			checkChunk(t, table, c, 1)
			if reason, bad := strings.CutPrefix(v[1], "!"); bad {
				if len(c.Errors) != 1 || !strings.Contains(c.Errors[0].Reason, reason) || c.Errors[0].Column != "v" || c.Errors[0].Value != v[0] {
					t.Errorf("%s of %s: %+v; want %q", kind, v[0], c.Errors, reason)
				}
			} else if len(c.Errors) > 0 || cell(c.Columns[4], 0) != v[1] {
				t.Errorf("%s of %s: %+v; want %s", kind, v[0], c.Errors, v[1])
			}
			c.Release()
		}
	}
}

// TestInferredKeepKinds says that columns that were inferred convert nothing.
func TestInferredKeepKinds(t *testing.T) {
	for _, c := range []struct{ first, later, reason string }{
		{`1`, `"2"`, `"2" is a string, and the column is a BIGINT by the values that came first`},
		{`1`, `true`, `is a boolean`}, {`1`, `[1]`, `is an array`}, {`true`, `"true"`, `is a string`}, {`"a"`, `1`, `is a number`}, {`"a"`, `[]`, `is an array`},
		{`0.5`, `0.1234567890123456789`, `gives back as it was sent`}, {`0.5`, `9007199254740993`, `gives back`}, {`0.5`, `1e400`, `gives back`},
		{`"2015-08-18"`, `"soon"`, `is not a time`}, {`"2015-08-18T06:36:40Z"`, `""`, `is not a time`}, {`"2015-08-18T06:36:40Z"`, `"2015-08-18t06:36:40Z"`, `is not spelled as`},
		{`"2015-08-18T06:36:40Z"`, `"2015-08-18T06:36:40.1234567Z"`, `finer`}, {`1`, `1.0000000000000000000000001`, `not a whole number`}, {`18446744073709551616`, `1.0000000000000000000000001`, `25 fractional digits, DECIMAL(38,0) keeps 0`},
	} {
		table, _ := evolved(t, arbalest.Table{}, stored(`{"v":`+c.first+`}`))
		next, chunk := evolved(t, table, stored(`{"v":`+c.first+`,"w":1}`, `{"v":`+c.later+`}`))
		checkChunk(t, next, chunk, 2)
		e := chunk.Errors
		if len(e) != 1 || !e[0].Loaded || e[0].Column != "v" || e[0].Value != c.later || !strings.Contains(e[0].Reason, c.reason) || e[0].Line != 2 || e[0].ID == "" {
			t.Errorf("%s after %s: %+v; want %q", c.later, c.first, e, c.reason)
		} else if v := columnOf(t, next, chunk, "v"); cell(v, 0) == "NULL" || cell(v, 1) != "NULL" {
			t.Errorf("%s after %s: %s, %s", c.later, c.first, cell(v, 0), cell(v, 1))
		}
	}
}

func TestRowsWithSeveralErrors(t *testing.T) {
	table := arbalest.Table{Declared: true, Columns: []arbalest.Column{
		{Name: "a", Path: []string{"a"}, Type: arbalest.Type{Kind: arbalest.Varchar}},
		{Name: "b", Path: []string{"b"}, Type: arbalest.Type{Kind: arbalest.Integer}},
		{Name: "c", Path: []string{"o", "c"}, Type: arbalest.Type{Kind: arbalest.Date}},
	}}
	lines := stored(`{"a":"1","b":1}`, `{"a":"gone","b":"x","o":{"c":0}}`, `{"o":{"c":"2015-08-18"}}`, `{"a":"3","o":5}`)
	c := NewDecoder(table).Decode(Block{Lines: lines, Spans: []Span{{Object: 7, FirstLine: 10, Lines: 2}, {}, {Object: 8, FirstLine: 1, Lines: 2}}})
	checkChunk(t, table, c, 4)
	got := ""
	for row := range c.Rows {
		got += cell(c.Columns[4], row) + " " + cell(c.Columns[5], row) + " " + cell(c.Columns[6], row) + "; "
	}
	if got != "1 1 NULL; NULL NULL 2015-08-18; 3 NULL NULL; " {
		t.Error(got)
	}
	if c.Object[0] != 7 || c.Object[1] != 8 || c.Line[0] != 10 || c.Line[1] != 1 || c.Line[2] != 2 {
		t.Error(c.Object, c.Line)
	}
	e := c.Errors
	if len(e) != 1 || e[0].Object != 7 || e[0].Line != 11 || e[0].Column != "b" || e[0].Value != `"x"` || !strings.Contains(e[0].Reason, `also c: 0 is not a DATE`) || e[0].Time == 0 {
		t.Errorf("%+v", e)
	}
}

func TestCorruptLines(t *testing.T) {
	for properties, reason := range map[string]string{
		`{"a":1,"a":2}`: "twice", `{"a":1,}`: "key", `{"a":tru}`: "not true", `{"a":"` + "\xff" + `"}`: "UTF-8", `{"b":{"x":1,"x":2}}`: "twice",
		`{"a":1}}`: "line's end", `{"a":1 2}`: "comma", `{"a":"\ud800"}`: "pair", `{"new":1,"b":}`: "value", `{"a":"x","b":}`: "value", `{"a"}`: "colon",
		`{"new":[` + strings.Repeat("[", maxLevels) + strings.Repeat("]", maxLevels) + `]}`: "deep",
	} {
		table, _ := evolved(t, arbalest.Table{}, stored(`{"a":1,"b":{"x":1}}`))
		c := NewDecoder(table).Decode(Block{Lines: stored(`{"a":0}`, properties, `{"a":2}`)})
		checkChunk(t, table, c, 3)
		if len(c.Errors) != 1 || c.Errors[0].Loaded || c.Errors[0].Line != 2 || c.Errors[0].ID == "" || c.Novelty != nil || !strings.Contains(c.Errors[0].Reason, reason) {
			t.Errorf("%.80s: %+v", properties, c.Errors)
		}
		if v := columnOf(t, table, c, "a"); cell(v, 0) != "0" || cell(v, 1) != "2" {
			t.Errorf("%.80s: %v", properties, v.Int64)
		}
	}
	lines := append([]byte("\n{}\nnonsense\x00\xff\n"), stored(`{}`)...)
	c := NewDecoder(arbalest.Table{}).Decode(Block{Lines: lines[:len(lines)-1]})
	checkChunk(t, arbalest.Table{}, c, 4)
	if len(c.Errors) != 3 || c.Errors[2].Value != "nonsense\ufffd\ufffd" || c.Errors[2].ID != "" || c.Line[0] != 4 {
		t.Errorf("%+v", c.Errors)
	}
	for _, line := range []string{
		strings.Replace(string(stored(`{}`)), "009bd890", "\x01", 1), strings.Replace(string(stored(`{}`)), "009bd890", strings.Repeat("x", 255), 1), strings.Replace(string(stored(`{}`)), "9f86d0", "9F86D0", 1),
	} {
		if c := NewDecoder(arbalest.Table{}).Decode(Block{Lines: []byte(line)}); c.Rows != 0 || len(c.Errors) != 1 {
			t.Errorf("%s: %+v", line, c)
		}
	}
}

func TestLongValuesAreCut(t *testing.T) {
	table := arbalest.Table{Declared: true, Columns: []arbalest.Column{{Name: "v", Path: []string{"v"}, Type: arbalest.Type{Kind: arbalest.Varchar, Length: 10}}}}
	c := NewDecoder(table).Decode(Block{Lines: stored(`{"v":"` + strings.Repeat("é", 5000) + `"}`)})
	if e := c.Errors[0]; len(e.Value) > maxValueShown+40 || !strings.HasSuffix(e.Value, "é… (cut: 10002 bytes in all)") || len(e.Reason) > 300 {
		t.Errorf("%+v", e)
	}
}

// TestWholeDocument has a declared column without a path.
func TestWholeDocument(t *testing.T) {
	table := arbalest.Table{Declared: true, Columns: []arbalest.Column{{Name: "doc", Type: arbalest.Type{Kind: arbalest.JSON}}, {Name: "a", Path: []string{"a"}, Type: arbalest.Type{Kind: arbalest.Varchar}}, {Name: "again", Path: []string{"a"}, Type: arbalest.Type{Kind: arbalest.BigInt}}}}
	c := NewDecoder(table).Decode(Block{Lines: stored(`{"a":1}`, `{}`)})
	checkChunk(t, table, c, 2)
	if cell(c.Columns[4], 0) != `{"a":1}` || cell(c.Columns[4], 1) != `{}` || cell(c.Columns[5], 0) != "1" || cell(c.Columns[6], 0) != "1" {
		t.Errorf("%+v", c)
	}
}
