package decode

import (
	"errors"
	"strings"
	"testing"
	"time"

	"arbalest"
)

func TestParseTime(t *testing.T) {
	for in, want := range map[string]string{
		"2015-08-18T06:36:40Z":                "2015-08-18T06:36:40Z",
		"2015-08-18t06:36:40z":                "2015-08-18T06:36:40Z",
		"2015-08-18 06:36:40":                 "2015-08-18T06:36:40Z",
		"2015-08-18T06:36":                    "2015-08-18T06:36:00Z",
		"2015-08-18T06:36+02":                 "2015-08-18T04:36:00Z",
		"2015-08-18T06:36:40.5Z":              "2015-08-18T06:36:40.5Z",
		"2015-08-18T06:36:40.123456789-00:30": "2015-08-18T07:06:40.123456789Z",
		"2026-08-21T16:53:52+02:00":           "2026-08-21T14:53:52Z",
		"2026-08-21T00:53:52+0200":            "2026-08-20T22:53:52Z",
		"2026-08-21T16:53:52-11":              "2026-08-22T03:53:52Z",
		"2016-02-29":                          "2016-02-29T00:00:00Z",
		"2000-02-29":                          "2000-02-29T00:00:00Z",
		"0001-01-01":                          "0001-01-01T00:00:00Z",
		"1969-12-31T23:59:59.999999Z":         "1969-12-31T23:59:59.999999Z",
		"9999-12-31T23:59:59.999999999Z":      "9999-12-31T23:59:59.999999999Z",
	} {
		got, err := ParseTime([]byte(in))
		if err != nil || got.Format(time.RFC3339Nano) != want || got.Location() != time.UTC {
			t.Errorf("%s: %v, %v; want %s", in, got, err, want)
		}
	}
}

func TestParseTimeRefuses(t *testing.T) {
	for in, reason := range map[string]string{
		"": "", "1439879800": "send RFC 3339", "1439879800.123": "number", "-1": "number", "20150818": "number", "20150818T063640Z": "not a time",
		"2015-13-01": "exist", "2015-00-01": "exist", "2015-02-29": "exist", "1900-02-29": "exist", "2015-04-31": "exist", "2015-01-00": "exist", "0000-01-01": "exist",
		"2015-08-18T24:00:00Z": "exist", "2015-08-18T23:60:00Z": "exist", "2015-08-18T23:59:60Z": "leap", "2015-08-18T23:59:61Z": "exist",
		"2015-08-18T06:36:40.Z": "fraction", "2015-08-18T06:36:40.1234567890Z": "fraction", "2015-08-18T06:36:40,5Z": "not a time",
		"2015-08-18T06:36:40+2": "zone", "2015-08-18T06:36:40+24:00": "zone", "2015-08-18T06:36:40+02:60": "zone", "2015-08-18T06:36:40+02:0": "zone",
		"2015-08-18T06:36:40 Z": "not a time", "2015-08-18T06": "not a time", "2015-08-18T": "not a time", "2015-08-18x06:36:40Z": "not a time",
		"2015/08/18": "not a time", "18.08.2015": "not a time", "2015-8-18T06:36:40Z": "not a time", " 2015-08-18": "not a time", "2015-08-18 ": "not a time",
		"0001-01-01T00:00:00+02:00": "years", "9999-12-31T23:59:59-01:00": "years", "2015-08-18T0a:36:40Z": "not a time", "2015-08-1８": "not a time",
	} {
		got, err := ParseTime([]byte(in))
		if !errors.Is(err, arbalest.ErrInvalid) || !got.IsZero() || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v, %v; want %q", in, got, err, reason)
		}
	}
}

// TestDays compares each day of the years 1 to 9999 with package time.
func TestDays(t *testing.T) {
	day := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	for ; day.Year() < 10000; day = day.AddDate(0, 0, 1) {
		if got := arbalest.DaysSince1970(day.Year(), int(day.Month()), day.Day()); got*86400 != day.Unix() {
			t.Fatalf("%v: %d", day, got)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	f.Add("2015-08-18T06:36:40.123+02:00")
	f.Add("2015-08-18")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseTime([]byte(s))
		want, wantErr := time.Parse(time.RFC3339Nano, s)
		if err == nil && wantErr == nil && !got.Equal(want) {
			t.Fatalf("%q: %v; package time says %v", s, got, want)
		}
		if err == nil && (got.Year() < 1 || got.Year() > 9999) {
			t.Fatalf("%q: %v", s, got)
		}
	})
}

func TestIDTime(t *testing.T) {
	for id, want := range map[string]int64{
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398f": 1645557742000, // RFC 9562, appendix A.6
		"017F22E2-79B0-7CC3-B8C4-DC0C0C07398F": 1645557742000,
		"01ARZ3NDEKTSV4RRFFQ69G5FAV":           1469922850259, // github.com/ulid/spec
		"01arz3ndektsv4rrffq69g5fav":           1469922850259,
		"7ZZZZZZZZZZZZZZZZZZZZZZZZZ":           1<<48 - 1,
	} {
		if got, ok := IDTime(id); !ok || got.UnixMilli() != want || got.Location() != time.UTC {
			t.Errorf("%s: %v, %v; want %d", id, got, ok, want)
		}
	}
	for _, id := range []string{
		"", "009bd890-cb8f-4896-b9e7-8bb6c9b8b8fb", "017f22e2-79b0-7cc3-c8c4-dc0c0c07398f", "017f22e2x79b0-7cc3-98c4-dc0c0c07398f",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398g", "{17f22e2-79b0-7cc3-98c4-dc0c0c07398}", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "01ARZ3NDEKTSV4RRFFQ69G5FAU", "01ARZ3NDEKTSV4RRFFQ69G5FA",
	} {
		if got, ok := IDTime(id); ok {
			t.Errorf("%s: %v", id, got)
		}
	}
}
