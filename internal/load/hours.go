package load

import (
	"slices"

	"arbalest"
)

// maxSpans is how many runs of hours of a table are looked through; beyond it
// the nearest are joined.
const maxSpans = 16

// A Span is a run of event times, in microseconds: From <= time < To.
type Span struct{ From, To int64 }

// HourMicro returns an hour's first instant in microseconds.
func HourMicro(h arbalest.Hour) int64 { return int64(h) * 3600 * 1_000_000 }

// HoursOf returns the hours that rows can be in which the batch's repeat, and
// whether any row has its time by receipt.
func HoursOf(tb *TableBatch) (hours []arbalest.Hour, byReceipt bool) {
	need := map[arbalest.Hour]bool{}
	type edge struct{ min, max int64 } // of the times by receipt in an hour
	receipts := map[arbalest.Hour]edge{}
	var last arbalest.Hour
	for k, c := range tb.Chunks {
		receipt := BitsOf(tb.ByReceipt, k)
		for row := range c.Rows {
			at := c.Columns[TimeColumn].Int64[row]
			hour := arbalest.HourOfMicro(at)
			if len(need) == 0 || hour != last {
				last, need[hour] = hour, true
			}
			if IsSet(receipt, row, false) {
				e, ok := receipts[hour]
				if !ok {
					e = edge{at, at}
				}
				receipts[hour] = edge{min(e.min, at), max(e.max, at)}
			}
		}
	}
	for _, e := range receipts {
		for hour := arbalest.HourOfMicro(e.min - dayMicros); hour <= arbalest.HourOfMicro(e.max+dayMicros); hour++ {
			need[hour] = true
		}
	}
	for hour := range need {
		hours = append(hours, hour)
	}
	return hours, len(receipts) > 0
}

// SpansOf returns the runs of event times that hours are, ascending and apart:
// at most 16, for which the nearest are joined.
func SpansOf(hours []arbalest.Hour) []Span {
	slices.Sort(hours)
	var out []Span
	for _, hour := range hours {
		if n := len(out); n > 0 && HourMicro(hour) <= out[n-1].To {
			out[n-1].To = HourMicro(hour + 1)
			continue
		}
		out = append(out, Span{HourMicro(hour), HourMicro(hour + 1)})
	}
	if len(out) <= maxSpans {
		return out
	}
	gaps := make([]int64, 0, len(out)-1)
	for i := 1; i < len(out); i++ {
		gaps = append(gaps, out[i].From-out[i-1].To)
	}
	slices.Sort(gaps)
	widest := gaps[len(gaps)-maxSpans] // gaps up to it are closed
	joined := out[:1]
	for _, s := range out[1:] {
		if n := len(joined); s.From-joined[n-1].To <= widest {
			joined[n-1].To = s.To
			continue
		}
		joined = append(joined, s)
	}
	return joined
}
