package decode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	"arbalest"
)

// TestCommits loads the real commits, and compares the values of every
// twentieth with what encoding/json reads.
func TestCommits(t *testing.T) {
	wires := dataLines(t, "commits.ndjson.gz")
	lines := commitLines(t)
	table, c := evolved(t, arbalest.Table{}, lines)
	const want = "repository VARCHAR(MAX), author VARCHAR(MAX), author_tld VARCHAR(MAX), authored_at TIMESTAMP, committed_at TIMESTAMP, committer VARCHAR(MAX), " +
		"self_committed BOOLEAN, parents JSON, message_subject_chars BIGINT, message_subject_words BIGINT, message_body_lines BIGINT, message_signed_off BOOLEAN"
	if got := describeColumns(table); got != want || len(c.Errors) > 0 || c.Rows != 83_167 {
		t.Fatalf("%d rows, %s; want %s; %v", c.Rows, got, want, c.Errors)
	}
	checkChunk(t, table, c, len(wires))
	for row := 0; row < len(wires); row += 20 {
		var e struct {
			ID   string
			Data json.RawMessage
		}
		if err := json.Unmarshal(wires[row], &e); err != nil {
			t.Fatal(err)
		}
		if cell(c.Columns[0], row) != e.ID || cell(c.Columns[len(c.Columns)-1], row) != string(e.Data) {
			t.Fatalf("row %d: %s", row, e.ID)
		}
		members := map[string]string{}
		flatten(t, members, nil, e.Data)
		for i, column := range table.Columns {
			if got, want := cell(c.Columns[4+i], row), member(t, members, column); got != want {
				t.Fatalf("row %d, %s: %s; want %s", row, column.Name, got, want)
			}
		}
	}
}

// flatten reads an object with encoding/json, into its members by path.
func flatten(t *testing.T, into map[string]string, path []byte, data json.RawMessage) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		t.Fatal(err)
	}
	for key, value := range object {
		at := appendPath(path[:len(path):len(path)], []byte(key))
		into[string(at)] = string(value)
		if value[0] == '{' {
			flatten(t, into, at, value)
		}
	}
}

// member returns a column's value of what flatten gave, as cell spells it.
func member(t *testing.T, members map[string]string, column arbalest.Column) string {
	data, ok := members[columnPath(column)]
	switch kind := column.Type.Kind; {
	case !ok || data == "null":
		return "NULL"
	case kind == arbalest.JSON:
		return data
	case data[0] == '{':
		return "NULL"
	case data[0] != '"' || kind < arbalest.Varchar:
		return data
	}
	var s string
	if err := json.Unmarshal([]byte(data), &s); err != nil {
		t.Fatal(err)
	}
	if column.Type.Kind == arbalest.Varchar {
		return s
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateTime, "2006-01-02 15:04:05 -07:00"} {
		if at, err := time.Parse(layout, s); err == nil {
			return at.UTC().Format(time.RFC3339Nano)
		}
	}
	return s
}

// TestWebhooks loads the real webhooks, which are nested, each kind into a
// table of its own and all into one.
func TestWebhooks(t *testing.T) {
	events := map[string][]string{}
	for _, wire := range dataLines(t, "github-webhooks.ndjson.gz") {
		var e struct {
			Event   string
			Payload json.RawMessage
		}
		if err := json.Unmarshal(wire, &e); err != nil {
			t.Fatal(err)
		}
		payload := string(Compact(nil, e.Payload))
		events[e.Event] = append(events[e.Event], payload)
		events["all"] = append(events["all"], payload)
	}
	if len(events) != 162 {
		t.Errorf("%d kinds", len(events)-1)
	}
	for name, payloads := range events {
		table := evolveChecked(t, arbalest.Table{}, [][]byte{stored(payloads...)})
		c := NewDecoder(table).Decode(Block{Lines: stored(payloads...)})
		misfits := 0
		for row, payload := range payloads {
			members := map[string]string{}
			flatten(t, members, nil, json.RawMessage(payload))
			for i, column := range table.Columns {
				got, want := cell(c.Columns[4+i], row), member(t, members, column)
				if got == "NULL" && want != "NULL" {
					misfits++
				} else if !sameCell(got, want) {
					t.Fatalf("%s, row %d, %s: %s; want %s", name, row, column.Name, got, want)
				}
			}
		}
		if misfits != len(c.Errors) || name != "all" && misfits > 8 {
			t.Errorf("%s: %d values are NULL, %d errors: %+v", name, misfits, len(c.Errors), c.Errors)
		}
		if name == "all" {
			t.Logf("all: %d rows, %d columns, %d errors", c.Rows, len(table.Columns), len(c.Errors))
		}
	}
}

// TestSums compares a column's sum, by type, with that of encoding/json.
func TestSums(t *testing.T) {
	lines := commitLines(t)
	lines = lines[:len(lines)/8]
	lines = lines[:bytes.LastIndexByte(lines, '\n')+1]
	want := int64(0)
	for line := range bytes.Lines(lines) {
		var e struct {
			Message struct {
				Chars int64 `json:"subject_chars"`
			}
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		want += e.Message.Chars
	}
	for _, kind := range []string{"BIGINT", "DECIMAL(18,3)", "DOUBLE", "INTEGER"} {
		typ, err := arbalest.ParseType(kind)
		if err != nil {
			t.Fatal(err)
		}
		table := arbalest.Table{Declared: true, Columns: []arbalest.Column{{Name: "n", Path: []string{"message", "subject_chars"}, Type: typ}}}
		c := NewDecoder(table).Decode(Block{Lines: lines})
		sum := new(big.Rat)
		for row := range c.Rows {
			n, _ := new(big.Rat).SetString(cell(c.Columns[4], row))
			sum.Add(sum, n)
		}
		if c.Rows < 10_000 || sum.Cmp(new(big.Rat).SetInt64(want)) != 0 {
			t.Errorf("%s: sum of %d rows %s; want %d", kind, c.Rows, sum, want)
		}
	}
}

// TestManyDecodeAtOnce has goroutines share a decoder and its memory.
func TestManyDecodeAtOnce(t *testing.T) {
	table, _ := evolved(t, arbalest.Table{}, stored(`{"a":"x","n":1}`))
	d := NewDecoder(table)
	var wait sync.WaitGroup
	for g := range 4 {
		wait.Go(func() {
			for i := range 50 {
				var docs []string
				for row := range 1 + (g*31+i*7)%40 {
					docs = append(docs, fmt.Sprintf(`{"a":"%d %d %d","n":%d}`, g, i, row, row), `{"n":null}`, `{"n":"no"}`)
				}
				c := d.Decode(Block{Lines: stored(docs...)})
				for row := 0; row < c.Rows; row += 3 {
					if cell(c.Columns[4], row) != fmt.Sprintf("%d %d %d", g, i, row/3) || cell(c.Columns[5], row) != fmt.Sprint(row/3) || cell(c.Columns[5], row+2) != "NULL" {
						t.Errorf("row %d: %s %s", row, cell(c.Columns[4], row), cell(c.Columns[5], row))
					}
				}
				if c.Rows != len(docs) || len(c.Errors)*3 != c.Rows || bytes.Contains(c.Columns[4].Data, []byte{0}) {
					t.Errorf("%d rows of %d, %d errors", c.Rows, len(docs), len(c.Errors))
				}
				c.Release()
				c.Release()
			}
		})
	}
	wait.Wait()
}
