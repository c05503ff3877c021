package duckdb

import (
	"fmt"
	"slices"
	"strings"

	"arbalest"
	"arbalest/internal/load"
)

const (
	hourMicros = 3600 * 1_000_000
	dayMicros  = 24 * hourMicros
	// maxSpans is how many runs of hours of a table are looked through; beyond
	// it the nearest are joined.
	maxSpans = 16
)

// A repeat is a row of the batch, by its ordinal, that repeats one of the
// table.
type repeat struct {
	row  int
	kept string // hash of the one in the table: the row's own, if one such is the same
}

// A span is a run of event times, in microseconds: from <= time < to.
type span struct{ from, to int64 }

// findRepeats finds the kept rows of a batch that repeat a row of the table, in
// the order of the batch, by the rule of load.Warehouse. It looks only at the
// table's row groups of the same hours, and of the 24 hours around rows whose
// time is that of their receipt; and at none of an hour that is known to have
// none of the ids.
func (l *loading) findRepeats(tb *load.TableBatch, rows batchRows) ([]repeat, error) {
	hours, byReceipt := hoursOf(tb)
	known, ask, err := l.recent.known(l.tx.ctx, l.tx.conn, tb.Table.Name, hours, rows.kept)
	if err != nil {
		return nil, err
	}
	if len(known) > 0 {
		ask = append(ask, l.recent.hits(tb, known)...)
	}
	if len(ask) == 0 {
		return nil, nil
	}
	columns := tb.Table.AllColumns()
	sources := []sourceColumn{bitColumn(keepColumn, rows.keep, rows.chunks, true), bitColumn(byReceiptColumn, tb.ByReceipt, rows.chunks, false)}
	for _, i := range []int{idColumn, timeColumn, hashColumn} {
		sources = append(sources, sourceColumn{Name: columns[i].Name, Type: columns[i].Type, Vectors: vectorsOf(tb, i)})
	}
	src, err := l.scanner.open(rows.chunks, sources)
	if err != nil {
		return nil, err
	}
	defer src.close()
	var found []repeat
	err = l.tx.each(func(scan func(...any) error) error {
		var r repeat
		if err := scan(&r.row, &r.kept); err != nil {
			return err
		}
		found = append(found, r)
		return nil
	}, repeatsQuery(tableName(tb.Table.Name), src.from(), spansOf(ask), rows.kept < rows.total, byReceipt))
	slices.SortFunc(found, func(a, b repeat) int { return a.row - b.row })
	return found, err
}

// repeatsQuery gives the ordinal of each repeat and the hash that is kept. Of
// several rows of the table that a row repeats, one with the same hash is it,
// else the earliest.
func repeatsQuery(table, source string, spans []span, left, byReceipt bool) string {
	var there []string
	for _, s := range spans {
		there = append(there, fmt.Sprintf("SELECT event_id, event_time, event_hash FROM %s WHERE event_time >= make_timestamp(%d) AND event_time < make_timestamp(%d)", table, s.from, s.to))
	}
	where, day := "", ""
	if left {
		where = " WHERE " + keepColumn
	}
	if byReceipt {
		day = fmt.Sprintf(" OR (b.%s AND abs(epoch_us(t.event_time) - epoch_us(b.event_time)) <= %d)", byReceiptColumn, dayMicros)
	}
	return fmt.Sprintf(`SELECT b.%[1]s, coalesce(any_value(t.event_hash) FILTER (t.event_hash = b.event_hash), arg_min(t.event_hash, t.event_time))
FROM (SELECT %[1]s, event_id, event_time, event_hash, %[2]s, date_trunc('hour', event_time) AS hour FROM %[3]s%[4]s) b
JOIN (%[5]s) t ON b.event_id = t.event_id AND ((t.event_time >= b.hour AND t.event_time < b.hour + INTERVAL 1 HOUR)%[6]s)
GROUP BY b.%[1]s`, rowColumn, byReceiptColumn, source, where, strings.Join(there, " UNION ALL "), day)
}

// hoursOf returns the hours that repeats of the batch's kept rows can be in,
// and whether any row has its time by receipt.
func hoursOf(tb *load.TableBatch) (hours []arbalest.Hour, byReceipt bool) {
	need := map[arbalest.Hour]bool{}
	type edge struct{ min, max int64 } // of the times by receipt in an hour
	receipts := map[arbalest.Hour]edge{}
	var last arbalest.Hour
	for k, c := range tb.Chunks {
		keep, receipt := bitsOf(tb.Keep, k), bitsOf(tb.ByReceipt, k)
		for row := range c.Rows {
			if !isSet(keep, row, true) {
				continue
			}
			at := c.Columns[timeColumn].Int64[row]
			hour := hourOfMicro(at)
			if len(need) == 0 || hour != last {
				last, need[hour] = hour, true
			}
			if isSet(receipt, row, false) {
				e, ok := receipts[hour]
				if !ok {
					e = edge{at, at}
				}
				receipts[hour] = edge{min(e.min, at), max(e.max, at)}
			}
		}
	}
	for _, e := range receipts {
		for hour := hourOfMicro(e.min - dayMicros); hour <= hourOfMicro(e.max+dayMicros); hour++ {
			need[hour] = true
		}
	}
	for hour := range need {
		hours = append(hours, hour)
	}
	return hours, len(receipts) > 0
}

// spansOf returns the runs of event times that hours are, ascending and apart:
// at most maxSpans, for which the nearest are joined.
func spansOf(hours []arbalest.Hour) []span {
	slices.Sort(hours)
	var out []span
	for _, hour := range hours {
		if n := len(out); n > 0 && hourMicro(hour) <= out[n-1].to {
			out[n-1].to = hourMicro(hour + 1)
			continue
		}
		out = append(out, span{hourMicro(hour), hourMicro(hour + 1)})
	}
	if len(out) <= maxSpans {
		return out
	}
	gaps := make([]int64, 0, len(out)-1)
	for i := 1; i < len(out); i++ {
		gaps = append(gaps, out[i].from-out[i-1].to)
	}
	slices.Sort(gaps)
	widest := gaps[len(gaps)-maxSpans] // gaps up to it are closed
	joined := out[:1]
	for _, s := range out[1:] {
		if n := len(joined); s.from-joined[n-1].to <= widest {
			joined[n-1].to = s.to
			continue
		}
		joined = append(joined, s)
	}
	return joined
}

func hourOfMicro(at int64) arbalest.Hour { return arbalest.Hour(floorDiv(at, hourMicros)) }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
