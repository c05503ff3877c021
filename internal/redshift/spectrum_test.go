package redshift

import (
	"testing"
	"time"

	"arbalest"
)

// TestSpectrum compares the statements with testdata/spectrum.golden. They are by the
// documentation: there is no Spectrum to run them on.
func TestSpectrum(t *testing.T) {
	day := arbalest.HourOf(time.Date(2026, 2, 28, 0, 0, 0, 0, time.UTC))
	var days []arbalest.Hour
	for i := range arbalest.Hour(102) {
		days = append(days, day+24*i)
	}
	column := func(name, kind string) arbalest.Column {
		spelled, err := arbalest.ParseType(kind)
		if err != nil {
			t.Fatal(err)
		}
		return arbalest.Column{Name: name, Path: []string{name}, Type: spelled}
	}
	golden(t, "spectrum", Spectrum([]External{
		{Table: arbalest.Table{Name: "user_created", Event: "user.created", Declared: true, Columns: []arbalest.Column{
			column("email_address", "VARCHAR(256)"), column("day", "DATE"), column("amount", "DECIMAL(12,2)"), column("at", "TIMESTAMPTZ"), column("note", "TEXT"), column("items", "JSON"),
		}}, Location: "s3://bucket/o'hare/_warm/user_created/", Days: days[:2]},
		{Table: arbalest.Table{Name: "page", Event: "page", Columns: []arbalest.Column{column("n", "BIGINT")}}, Location: "s3://bucket/_warm/page/", Days: days},
	}))
}
