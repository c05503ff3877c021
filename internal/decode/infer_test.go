package decode

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"arbalest"
)

// describeColumns spells a table's inferred columns.
func describeColumns(t arbalest.Table) string {
	var all []string
	for _, c := range t.Columns {
		s := c.Name + " " + c.Type.String()
		if c.Wide {
			s += " wide"
		}
		all = append(all, s)
	}
	return strings.Join(all, ", ")
}

// TestInferredTypes has batches of values of one property, and what its column
// is after each. A "!" says how many values do not fit.
func TestInferredTypes(t *testing.T) {
	for _, c := range []struct {
		batches []string
		want    []string
	}{
		{[]string{`true false null`}, []string{"BOOLEAN"}},
		{[]string{`null {} null`}, []string{""}},
		{[]string{`1 -2 9007199254740992`}, []string{"BIGINT"}},
		{[]string{`1 9007199254740993`}, []string{"BIGINT wide"}},
		{[]string{`-9223372036854775808`}, []string{"BIGINT wide"}},
		{[]string{`1 9223372036854775808`}, []string{"DECIMAL(38,0)"}},
		{[]string{`1 123456789012345678901`}, []string{"DECIMAL(38,0) wide"}},
		{[]string{`1 1` + strings.Repeat("0", 38)}, []string{"BIGINT !1"}},
		{[]string{`1` + strings.Repeat("0", 38)}, []string{"BIGINT !1"}},
		{[]string{`12.50 3 1e3`}, []string{"DOUBLE PRECISION"}},
		{[]string{`1.0`}, []string{"DOUBLE PRECISION"}},
		{[]string{`0.1 12345678901234567.25`}, []string{"DECIMAL(38,2)"}},
		{[]string{`0.5 9007199254740993`}, []string{"DECIMAL(38,1)"}},
		{[]string{`0.1234567890123456789012345`}, []string{"DECIMAL(38,25) wide"}},
		{[]string{`0.1234567890123456789012345 12345678901234`, `0.12345678901234567890123456`}, []string{"DOUBLE PRECISION !1", "DOUBLE PRECISION !1"}},
		{[]string{`1e400 0.5`}, []string{"DOUBLE PRECISION !1"}},
		{[]string{`1e300 9007199254740993`}, []string{"DOUBLE PRECISION !1"}},
		{[]string{`"2015-08-18" "2016-02-29"`}, []string{"DATE"}},
		{[]string{`"2015-08-18" "2015-08-18T06:36:40+02:00"`}, []string{"TIMESTAMP"}},
		{[]string{`"2015-08-18\u002006:36"`}, []string{"TIMESTAMP"}},
		{[]string{`"2015-08-18T06:36:40.1234567Z"`}, []string{"VARCHAR(MAX)"}},
		{[]string{`"2015-08-18T06:36:40.123456000Z"`}, []string{"TIMESTAMP"}},
		{[]string{`"2015-02-30"`}, []string{"VARCHAR(MAX)"}},
		{[]string{`"20150818"`}, []string{"VARCHAR(MAX)"}},
		{[]string{`"2015-08-18" ""`}, []string{"VARCHAR(MAX)"}},
		{[]string{`"12"`}, []string{"VARCHAR(MAX)"}},
		{[]string{`1 2 "x" true`}, []string{"VARCHAR(MAX) !3"}},
		{[]string{`1 "2015-08-18"`}, []string{"DATE !1"}},
		{[]string{`1 true`}, []string{"BIGINT !1"}},
		{[]string{`1 true false`}, []string{"BOOLEAN !1"}},
		{[]string{`1 [] "x" true`}, []string{"JSON"}},
		{[]string{`[1]`, `{"b":1} "x" 5 null`}, []string{"JSON", "JSON"}},
		{[]string{`1`, `2.5`}, []string{"BIGINT", "DOUBLE PRECISION"}},
		{[]string{`1`, `2.5 9007199254740993`}, []string{"BIGINT", "DECIMAL(38,1)"}},
		{[]string{`1`, `9007199254740993`, `0.25`, `18446744073709551616`}, []string{"BIGINT", "BIGINT wide", "DECIMAL(38,2)", "DECIMAL(38,2)"}},
		{[]string{`1`, `18446744073709551616`, `0.5`, `0.123456789012345678`, `0.1234567890123456789`}, []string{"BIGINT", "DECIMAL(38,0)", "DECIMAL(38,1)", "DECIMAL(38,18)", "DECIMAL(38,18) !1"}},
		{[]string{`18446744073709551616`, `12345678901234567890123`, `0.5`}, []string{"DECIMAL(38,0)", "DECIMAL(38,0) wide", "DECIMAL(38,0) wide !1"}},
		{[]string{`9007199254740993`, `1e-300`}, []string{"BIGINT wide", "BIGINT wide !1"}},
		{[]string{`1`, `1e-300 0.1234567890123456789012345`}, []string{"BIGINT", "DOUBLE PRECISION !1"}},
		{[]string{`1.5`, `0.1234567890123456789`}, []string{"DOUBLE PRECISION", "DOUBLE PRECISION !1"}},
		{[]string{`"2015-08-18"`, `"2015-08-18T06:36:40Z"`, `"x"`}, []string{"DATE", "TIMESTAMP", "TIMESTAMP !1"}},
		{[]string{`true`, `1`}, []string{"BOOLEAN", "BOOLEAN !1"}},
		{[]string{`"x"`, `1 true "y"`}, []string{"VARCHAR(MAX)", "VARCHAR(MAX) !2"}},
	} {
		var table arbalest.Table
		for i, batch := range c.batches {
			var lines []byte
			for _, v := range strings.Split(batch, " ") {
				lines = append(lines, stored(`{"v":`+v+`}`)...)
			}
			var chunk *Chunk
			table, chunk = evolved(t, table, lines)
			got := strings.TrimPrefix(describeColumns(table), "v ")
			if n := len(chunk.Errors); n > 0 {
				got += fmt.Sprintf(" !%d", n)
			}
			if got != c.want[i] {
				t.Errorf("%s: %s; want %s (%+v)", c.batches[:i+1], got, c.want[i], chunk.Errors)
			}
		}
	}
}

func TestFlattening(t *testing.T) {
	for _, c := range []struct{ properties, want string }{
		{`{"message":{"subject_chars":72,"signed_off":false},"parents":["x"]}`, "message_subject_chars BIGINT, message_signed_off BOOLEAN, parents JSON"},
		{`{"a":{"b":1}} {"a":5} {"a":null}`, "a_b BIGINT, a BIGINT"},
		{`{"a":5} {"a":{"b":1}}`, "a BIGINT, a_b BIGINT"},
		{`{"a":[5]} {"a":{"b":1}}`, "a JSON, a_b BIGINT"},
		{`{"a.b":1,"a":{"b":2},"A b":3,"a-b":4}`, "a_b BIGINT, a_b_2 BIGINT, a_b_3 BIGINT, a_b_4 BIGINT"},
		{`{"":1,"é":2,"日本":3,"0":4}`, "_ BIGINT, __2 BIGINT, __ BIGINT, 0 BIGINT"},
		{`{"event_id":1,"event_time":2,"properties":3,"oid":4,"":{"":5}}`, "event_id_2 BIGINT, event_time_2 BIGINT, properties_2 BIGINT, oid_2 BIGINT, ___ BIGINT"},
		{`{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":1,"i":{"j":1},"k":{}}}}}}}}}`, "a_b_c_d_e_f_g_h BIGINT, a_b_c_d_e_f_g_i JSON"},
		{`{"` + strings.Repeat("x", 130) + `":1,"` + strings.Repeat("x", 140) + `":2}`, strings.Repeat("x", 127) + " BIGINT, " + strings.Repeat("x", 125) + "_2 BIGINT"},
		{`{"a":{"b":null,"c":{}},"d":[]}`, "d JSON"},
		{`{"\u0041":1,"a\n":2,"a":{"\"":[]}}`, "a BIGINT, a_ BIGINT, a__ JSON"},
	} {
		table, chunk := evolved(t, arbalest.Table{}, stored(splitDocuments(c.properties)...))
		if got := describeColumns(table); got != c.want || len(chunk.Errors) > 0 {
			t.Errorf("%.100s: %s; want %s; %v", c.properties, got, c.want, chunk.Errors)
		}
	}
}

// splitDocuments splits at spaces between objects.
func splitDocuments(s string) []string {
	return strings.Split(strings.ReplaceAll(s, "} {", "}\n{"), "\n")
}

// TestColumnsEnd says that a table stops growing, and does not ask for more.
func TestColumnsEnd(t *testing.T) {
	var a, b []string
	for i := range maxColumns {
		a = append(a, fmt.Sprintf(`"a%d":%d`, i, i))
		b = append(b, fmt.Sprintf(`"b%d":%d`, i, i))
	}
	blocks := [][]byte{stored("{" + strings.Join(a[:maxColumns/2], ",") + "}"), stored("{" + strings.Join(b, ",") + "}"), stored("{" + strings.Join(a, ",") + "}")}
	var news []*Novelty
	for _, lines := range blocks {
		news = append(news, NewDecoder(arbalest.Table{}).Decode(Block{Lines: lines}).Novelty)
	}
	table, changed := Evolve(arbalest.Table{}, news)
	if !changed || len(table.Columns) != maxColumns || table.Columns[maxColumns-1].Name != fmt.Sprintf("b%d", maxColumns-maxColumns/2-1) {
		t.Fatal(changed, len(table.Columns))
	}
	for _, lines := range blocks {
		c := NewDecoder(table).Decode(Block{Lines: lines})
		checkChunk(t, table, c, 1)
		if c.Novelty != nil || len(c.Errors) > 0 {
			t.Errorf("news %v, errors %v", c.Novelty, c.Errors)
		}
	}
	if again, changed := Evolve(table, news); changed || len(again.Columns) != maxColumns {
		t.Error("the table changes again")
	}
}

func TestDeclaredDoesNotEvolve(t *testing.T) {
	table := arbalest.Table{Declared: true}
	c := NewDecoder(table).Decode(Block{Lines: stored(`{"a":1}`)})
	n := NewDecoder(arbalest.Table{}).Decode(Block{Lines: stored(`{"a":1}`)}).Novelty
	if _, changed := Evolve(table, []*Novelty{n, nil}); changed || c.Novelty != nil || len(c.Columns) != 4 || n == nil {
		t.Error("a declared table changes")
	}
}

// tricky are values that inference must tell apart.
var tricky = strings.Split(`null true false 0 -0 1 42 9007199254740992 -9007199254740993 9223372036854775807 9223372036854775808
18446744073709551615 123456789012345678901 -99999999999999999999999999999999999999 100000000000000000000000000000000000000
0.5 1.0 1e3 12.50 0.1234567890123456789 0.12345678901234567890123456789 1e400 1e-400 5e-324 1e300 1e22 1e23 12345678901234567.25 0.0
3.00000000000000000000000000000000000001 "" "x" "12" "2015-08-18" "2015-08-18T06:36:40+02:00" "2015-08-18\u002006:36:40.123456Z" "2015-08-18T06:36:40.1234567Z"
"2015-02-30" "0001-01-01" "\u00e9" [] [1,"x"] {} {"b":1} {"b":"x","c":[]} {"b":{"c":0.5}} {"":{"":{}}}`, " ")

// randomDocument returns properties of few names, so that values meet.
func randomDocument(r *rand.Rand, spread int) string {
	var members []string
	for _, k := range r.Perm(4)[:r.IntN(4)] {
		values := strings.Fields(strings.Join(tricky, " "))
		first := (k * 7) % len(values)
		members = append(members, fmt.Sprintf(`"%c":%s`, "abcd"[k], values[(first+r.IntN(spread))%len(values)]))
	}
	return "{" + strings.Join(members, ",") + "}"
}

// TestEvolveProperties has what must hold of Evolve, whatever comes: the same
// blocks bring no more news; columns stay; no value changes; the order of the
// novelties does not matter to the types.
func TestEvolveProperties(t *testing.T) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 1))
		spread := 1 + r.IntN(20)
		var table arbalest.Table
		var history [][]byte
		for range 1 + r.IntN(4) {
			var blocks [][]byte
			for range 1 + r.IntN(3) {
				var docs []string
				for range 1 + r.IntN(4) {
					docs = append(docs, randomDocument(r, spread))
				}
				blocks = append(blocks, stored(docs...))
			}
			next := evolveChecked(t, table, blocks)
			for _, lines := range append(history, blocks...) {
				checkKept(t, table, next, lines)
			}
			history = append(history, blocks...)
			table = next
			if t.Failed() {
				t.Fatalf("seed %d: %s", seed, history)
			}
		}
	}
}

// evolveChecked evolves the table for a batch of blocks.
func evolveChecked(t *testing.T, table arbalest.Table, blocks [][]byte) arbalest.Table {
	t.Helper()
	var news []*Novelty
	for _, lines := range blocks {
		news = append(news, NewDecoder(table).Decode(Block{Lines: lines}).Novelty)
	}
	next, changed := Evolve(table, news)
	if changed != slices.ContainsFunc(news, func(n *Novelty) bool { return n != nil }) {
		t.Errorf("changed is %v for %v", changed, news)
	}
	slices.Reverse(news)
	other, _ := Evolve(table, news)
	if sorted(next) != sorted(other) {
		t.Errorf("%s; in the other order %s", describeColumns(next), describeColumns(other))
	}
	for _, lines := range blocks {
		c := NewDecoder(next).Decode(Block{Lines: lines})
		checkChunk(t, next, c, countLines(lines))
		if c.Novelty != nil {
			t.Errorf("still news: %+v of %s", c.Novelty, describeColumns(next))
		}
	}
	return next
}

// countLines counts a last line without its newline too.
func countLines(b []byte) int {
	n := strings.Count(string(b), "\n")
	if len(b) > 0 && b[len(b)-1] != '\n' {
		n++
	}
	return n
}

// sorted spells a table's columns by path, without their names.
func sorted(t arbalest.Table) string {
	var all []string
	for _, c := range t.Columns {
		all = append(all, fmt.Sprintf("%q %s %v", c.Path, c.Type, c.Wide))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// checkKept says that every value that a table has of the lines is the same in
// the table that it evolved to.
func checkKept(t *testing.T, table, next arbalest.Table, lines []byte) {
	t.Helper()
	before, after := NewDecoder(table).Decode(Block{Lines: lines}), NewDecoder(next).Decode(Block{Lines: lines})
	if lines := strings.Count(string(lines), "\n"); before.Rows != lines || after.Rows != lines {
		t.Errorf("%d, then %d rows of %d", before.Rows, after.Rows, lines)
	}
	for i, c := range table.Columns {
		if next.Columns[i].Name != c.Name || !slices.Equal(next.Columns[i].Path, c.Path) {
			t.Fatalf("%v became %v", c, next.Columns[i])
		}
		v, w := before.Columns[4+i], after.Columns[4+i]
		for row := range before.Rows {
			if was, is := cell(v, row), cell(w, row); was != "NULL" && !sameCell(was, is) {
				t.Errorf("%s %s became %s %s", c.Type, was, next.Columns[i].Type, is)
			}
		}
	}
}

func sameCell(was, is string) bool {
	a, ok1 := new(big.Rat).SetString(was)
	b, ok2 := new(big.Rat).SetString(is)
	return was == is || was+"T00:00:00Z" == is || ok1 && ok2 && a.Cmp(b) == 0
}

// FuzzDecode decodes lines as they are, and documents that are valid as stored
// lines, by tables of both kinds.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":{"c":"x"}}`+"\n"+`{"a":0.5,"b":{"c":[]},"d":"2015-08-18"}`), []byte("nonsense\n\n"))
	f.Add([]byte(strings.Join(tricky, "\n")), stored(`{"a":1,"a":2}`))
	declared := arbalest.Table{Declared: true}
	for kind := arbalest.Boolean; kind <= arbalest.JSON; kind++ {
		for _, path := range [][]string{{"a"}, {"b", "c"}} {
			declared.Columns = append(declared.Columns, arbalest.Column{Path: path, Type: arbalest.Type{Kind: kind, Length: 3, Precision: 20, Scale: 4}})
		}
	}
	f.Fuzz(func(t *testing.T, documents, raw []byte) {
		for _, table := range []arbalest.Table{{}, declared} {
			c := NewDecoder(table).Decode(Block{Lines: raw})
			checkChunk(t, table, c, countLines(raw))
		}
		var docs []string
		for d := range strings.SplitSeq(string(documents), "\n") {
			if end, _, err := Scan([]byte(d), 0, 100); err != nil || end != len(d) {
				continue
			}
			if d[0] != '{' {
				d = `{"a":` + d + `}`
			}
			docs = append(docs, d)
		}
		lines := stored(docs...)
		c := NewDecoder(declared).Decode(Block{Lines: lines})
		checkChunk(t, declared, c, len(docs))
		table := evolveChecked(t, arbalest.Table{}, [][]byte{lines, raw})
		half := stored(docs[:len(docs)/2]...)
		first := evolveChecked(t, arbalest.Table{}, [][]byte{half})
		checkKept(t, first, evolveChecked(t, first, [][]byte{lines}), half)
		if c := NewDecoder(table).Decode(Block{Lines: lines}); c.Rows != len(docs) {
			t.Fatalf("%d rows of %q: %+v", c.Rows, docs, c.Errors)
		}
	})
}
