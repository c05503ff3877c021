package load

import (
	"testing"

	"arbalest"
)

// TestErasedDaysAtTheEndsOfTime spells no time that is not of the years 1 to 9999,
// though an erasure has listed the days beside.
func TestErasedDaysAtTheEndsOfTime(t *testing.T) {
	first, end := arbalest.FirstHour, arbalest.EndHour
	for _, c := range []struct {
		days []arbalest.Hour
		want string
	}{
		{[]arbalest.Hour{first - 24}, "FALSE"},
		{[]arbalest.Hour{end}, "FALSE"},
		{[]arbalest.Hour{first, first - 24}, "event_time BETWEEN TIMESTAMP '0001-01-01 00:00:00.000000' AND TIMESTAMP '0001-01-01 23:59:59.999999'"},
		{[]arbalest.Hour{end - 24, end}, "event_time BETWEEN TIMESTAMP '9999-12-31 00:00:00.000000' AND TIMESTAMP '9999-12-31 23:59:59.999999'"},
	} {
		var spans []Span
		for _, d := range c.days {
			spans = append(spans, daySpan(d))
		}
		if got := within(joinSpans(spans)); got != c.want {
			t.Errorf("days %d: %s, want %s", c.days, got, c.want)
		}
	}
}
