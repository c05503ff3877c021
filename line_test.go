package arbalest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestLineRoundTrip(t *testing.T) {
	received := time.Date(2026, 11, 22, 20, 12, 3, 120e6, time.UTC)
	for _, e := range []Event{
		{ID: "009bd890", Name: "user.created", Time: time.Date(2015, 8, 18, 6, 36, 40, 0, time.UTC), Received: received, Hash: 0x9f86d081884c7d65, Properties: []byte(`{"email_address":"jane@doe.com"}`)},
		{ID: "quote\" back\\ tab\t é", Name: "a", Time: time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), Received: received, Properties: []byte(`{}`)},
		{ID: "x", Name: "a", Time: time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC), Received: received, Properties: []byte(`{"a":{}}`)},
		{ID: "x", Name: "a", Time: received, Received: received, Properties: []byte(`{}`), Attributes: []byte(`{"source":"/a}\"b","n":{"m":{}}}`)},
		{ID: "x", Name: "a", Time: received, Received: received, Properties: []byte(`{"a":1}`), Attributes: []byte(`{}`)},
	} {
		line := AppendLine(nil, e)
		l, err := ParseLine(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if l.UnquoteID() != e.ID || string(l.Name) != string(e.Name) || l.Time != e.Time.UnixMicro() || l.Received != e.Received.UnixMicro() ||
			string(l.Hash) != string(AppendHash(nil, e.Hash)) || string(l.Attributes) != string(e.Attributes) || "{"+string(l.Rest) != string(e.Properties) {
			t.Errorf("%s: read back as %q %s %d %d %s %s", line, l.UnquoteID(), l.Name, l.Time, l.Received, l.Hash, l.Rest)
		}
	}
}

func TestParseLineRefuses(t *testing.T) {
	good := string(AppendLine(nil, Event{ID: "x", Name: "a", Properties: []byte(`{}`)}))
	with := string(AppendLine(nil, Event{ID: "x", Name: "a", Properties: []byte(`{}`), Attributes: []byte(`{"a":"}","b":{}}`)}))
	for _, good := range []string{good, with} {
		for n := range len(good) - 2 {
			if _, err := ParseLine([]byte(good[:n])); !errors.Is(err, ErrCorrupt) {
				t.Errorf("first %d bytes of %s: %v", n, good, err)
			}
		}
	}
}

// FuzzParseLine reads two lines with one parser, and each with one of its own.
func FuzzParseLine(f *testing.F) {
	const line = `{"_event":{"id":"x","name":"a","time":"2015-08-18T06:36:40Z","received":"2026-11-22T20:12:03.12Z","hash":"9f86d081884c7d65"},"a":1}`
	f.Add([]byte(line), []byte(line))
	f.Add([]byte(line), []byte(strings.Replace(line, `"a"`, `"b"`, 1)))
	f.Add([]byte(strings.Replace(line, `d65"}`, `d65","attributes":{"a":"b}"}}`, 1)), []byte(line))
	f.Add([]byte(line[:90]), []byte(line))
	f.Add([]byte(line), []byte(strings.ReplaceAll(line, "2026", "2025")))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var p LineParser
		for _, line := range [][]byte{a, b} {
			l, err := p.Parse(line)
			if err == nil {
				_ = l.UnquoteID()
			} else if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%v", err)
			}
			alone, errAlone := ParseLine(line)
			if fmt.Sprint(l, err) != fmt.Sprint(alone, errAlone) {
				t.Errorf("%q: %v, %v after another, %v, %v alone", line, l, err, alone, errAlone)
			}
		}
	})
}

func TestTypesParse(t *testing.T) {
	for in, want := range map[string]string{
		"varchar": "VARCHAR(256)", "VARCHAR(MAX)": "VARCHAR(MAX)", "text": "VARCHAR(MAX)", "VarChar( 36 )": "VARCHAR(36)",
		"numeric(12, 2)": "DECIMAL(12,2)", "decimal": "DECIMAL(18,0)", "double  precision": "DOUBLE PRECISION", "float": "DOUBLE PRECISION",
		"super": "JSON", "timestamp with time zone": "TIMESTAMPTZ", "int": "INTEGER", "bpchar": "CHAR(256)", "char": "CHAR(1)",
	} {
		got, err := ParseType(in)
		if err != nil || got.String() != want {
			t.Errorf("ParseType(%q) = %v, %v; want %s", in, got, err, want)
		}
		if again, err := ParseType(got.String()); err != nil || again != got {
			t.Errorf("ParseType(%q) = %v, %v; want the same again", got, again, err)
		}
	}
	for _, in := range []string{"", "uuid", "varchar(0)", "varchar(65536)", "varchar(", "decimal(39)", "decimal(5,6)", "decimal(1,2,3)", "int(4)", "date(1)", "varchar(-1)", "char(4097)"} {
		if got, err := ParseType(in); !errors.Is(err, ErrInvalid) {
			t.Errorf("ParseType(%q) = %v, %v; want ErrInvalid", in, got, err)
		}
	}
}

func TestNames(t *testing.T) {
	for name, ok := range map[EventName]bool{"user.created": true, "A-1_b.c": true, "": false, "_x": false, ".x": false, "a b": false, "é": false, "a/b": false} {
		if err := name.Validate(); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
	if got := EventName("User.Created-v2").Table(); got != "user_created_v2" {
		t.Error(got)
	}
	h, err := ParseHour("1969-12-31/23")
	if err != nil || h != -1 || HourOf(time.Unix(-1, 0)) != -1 {
		t.Error(h, err)
	}
}

func TestAppendTime(t *testing.T) {
	check := func(at time.Time) {
		t.Helper()
		if got, want := string(AppendTime(nil, at)), at.UTC().Format(TimeLayout); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for day := time.Date(0, 3, 1, 23, 59, 59, 999_999_999, time.UTC); day.Year() < 10_000; day = day.AddDate(0, 0, 13) {
		check(day)
		check(day.Add(time.Nanosecond))
	}
	for _, nano := range []int{1, 10, 1_000, 123_000_000, 120_000_000, 100_000_000, 999_999_999} {
		check(time.Date(2026, 11, 24, 1, 2, 3, nano, time.FixedZone("", 3600)))
		check(time.Date(1969, 12, 31, 23, 59, 59, nano, time.UTC))
	}
}

func BenchmarkParseLine(b *testing.B) {
	line := AppendLine(nil, Event{ID: "0123456789ab-012345", Name: "bench.order", Time: time.Unix(1.7e9, 0), Received: time.Unix(1.8e9, 123e6), Properties: []byte(`{"a":1}`)})
	b.SetBytes(int64(len(line)))
	var p LineParser
	for b.Loop() {
		if _, err := p.Parse(line); err != nil {
			b.Fatal(err)
		}
	}
}
