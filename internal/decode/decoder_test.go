package decode

import (
	"bytes"
	"runtime"
	"testing"
	"time"
	"weak"

	"arbalest"
)

// stored returns the stored lines of events that have these properties.
func stored(properties ...string) []byte {
	var lines []byte
	for _, p := range properties {
		lines = arbalest.AppendLine(lines, arbalest.Event{
			ID: "009bd890-cb8f-4896-b9e7-8bb6c9b8b8fb", Name: "a", Time: time.Date(2015, 8, 18, 6, 36, 40, 0, time.UTC),
			Received: time.Date(2026, 11, 22, 20, 12, 3, 120e6, time.UTC), Hash: 0x9f86d081884c7d65, Properties: []byte(p),
		})
	}
	return lines
}

// commitLines returns the real commits as stored lines.
func commitLines(tb testing.TB) []byte {
	var lines []byte
	for _, wire := range dataLines(tb, "commits.ndjson.gz") {
		e := arbalest.Event{Received: time.Date(2026, 11, 22, 20, 12, 3, 120e6, time.UTC), Hash: 0x9f86d081884c7d65}
		err := Members(wire, func(key, value []byte) (err error) {
			switch string(key) {
			case "event":
				e.Name = arbalest.EventName(Unquote(nil, value))
			case "id":
				e.ID = string(Unquote(nil, value))
			case "timestamp":
				e.Time, err = ParseTime(Unquote(nil, value))
			case "data":
				e.Properties = value
			}
			return err
		})
		if err != nil {
			tb.Fatal(err)
		}
		lines = arbalest.AppendLine(lines, e)
	}
	return lines
}

// evolved decodes the lines by a table that holds them.
func evolved(tb testing.TB, t arbalest.Table, lines []byte) (arbalest.Table, *Chunk) {
	tb.Helper()
	block := Block{Lines: lines}
	c := NewDecoder(t).Decode(block)
	if c.Novelty != nil {
		next, changed := Evolve(t, []*Novelty{c.Novelty})
		if !changed {
			tb.Fatalf("the table does not change for %+v", c.Novelty)
		}
		t = next
		c = NewDecoder(t).Decode(block)
	}
	if c.Novelty != nil {
		tb.Fatalf("still news: %+v of %+v", c.Novelty, t.Columns)
	}
	return t, c
}

func BenchmarkDecode(b *testing.B) {
	b.Run("commits", func(b *testing.B) {
		lines := commitLines(b)
		t, _ := evolved(b, arbalest.Table{}, lines)
		benchmarkDecode(b, t, lines)
	})
	b.Run("eight columns", func(b *testing.B) {
		line := stored(`{"email_address":"jane@doe.com","account":1234567,"amount":"12.50","workflow":"mobile","verified":true,"score":0.25,"at":"2015-08-18T06:36:40.123Z","country":"us"}`)
		columns := []arbalest.Column{}
		for _, c := range [][2]string{{"email_address", "VARCHAR(256)"}, {"account", "BIGINT"}, {"amount", "DECIMAL(12,2)"}, {"workflow", "VARCHAR(32)"}, {"verified", "BOOLEAN"}, {"score", "DOUBLE"}, {"at", "TIMESTAMP"}, {"country", "CHAR(2)"}} {
			kind, err := arbalest.ParseType(c[1])
			if err != nil {
				b.Fatal(err)
			}
			columns = append(columns, arbalest.Column{Name: c[0], Path: []string{c[0]}, Type: kind})
		}
		benchmarkDecode(b, arbalest.Table{Declared: true, Columns: columns}, bytes.Repeat(line, 20_000))
	})
}

func benchmarkDecode(b *testing.B, t arbalest.Table, lines []byte) {
	d := NewDecoder(t)
	b.SetBytes(int64(len(lines)))
	b.ReportAllocs()
	rows := 0
	for b.Loop() {
		c := d.Decode(Block{Lines: lines})
		if c.Novelty != nil || len(c.Errors) > 0 {
			b.Fatal(c.Novelty, c.Errors[0])
		}
		rows += c.Rows
		c.Release()
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}

// TestChunkIsFreeOfItsBlock holds that a chunk needs its own memory only: a
// batch has as many chunks as blocks, and their lines are let go.
func TestChunkIsFreeOfItsBlock(t *testing.T) {
	decoder := NewDecoder(arbalest.Table{Event: "a", Name: "a"})
	lines := stored(`{"n":1,"o":{"p":"q"}}`, `{"n":"x","n":2}`, `{"m":[1,2]}`)
	lines = append(lines, "no stored line\n"...)
	block := weak.Make(&lines[0])
	chunk := decoder.Decode(Block{Lines: lines})
	lines = nil
	runtime.GC()
	if block.Value() != nil {
		t.Error("the block's lines are held by its chunk")
	}
	runtime.KeepAlive(chunk)
}
