package load

import (
	"slices"
	"testing"

	"arbalest"
)

func TestSpansOf(t *testing.T) {
	hours := []arbalest.Hour{5, -1, 6, 0, 100}
	want := []Span{{-HourMicro(1), HourMicro(1)}, {5 * HourMicro(1), 7 * HourMicro(1)}, {100 * HourMicro(1), 101 * HourMicro(1)}}
	if got := SpansOf(hours); !slices.Equal(got, want) {
		t.Errorf("spans are %v, want %v", got, want)
	}
	hours = nil
	for i := range 100 {
		hours = append(hours, arbalest.Hour(i*i))
	}
	got := SpansOf(hours)
	if len(got) > maxSpans {
		t.Errorf("%d spans", len(got))
	}
	for _, hour := range hours {
		if !slices.ContainsFunc(got, func(s Span) bool { return s.From <= HourMicro(hour) && HourMicro(hour+1) <= s.To }) {
			t.Errorf("hour %d is in no span", hour)
		}
	}
}
