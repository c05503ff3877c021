package duckdb

import (
	"fmt"
	"slices"
	"strings"

	"arbalest/internal/load"
)

const (
	hourMicros = 3600 * 1_000_000
	dayMicros  = 24 * hourMicros
)

// findRepeats finds the rows of the table, or those that left it, that rows of a batch
// repeat, in the order of the batch, by the rule of load.Warehouse. It looks only at the
// table's row groups of the same hours, and of the 24 hours around rows whose
// time is that of their receipt; and at none of an hour that is known to have
// none of the ids.
func (l *loading) findRepeats(tb *load.TableBatch, rows batchRows) ([]load.Twin, error) {
	hours, byReceipt := load.HoursOf(tb)
	of := identities(tb.Table.Name, l.catalog.left[tb.Table.Name])
	known, ask, err := l.recent.known(l.tx.ctx, l.tx.conn, tb.Table.Name, of, hours, rows.total-len(tb.Repeats))
	if err != nil {
		return nil, err
	}
	if len(known) > 0 {
		ask = append(ask, l.recent.look(tb, known)...)
	}
	if len(ask) == 0 {
		return nil, nil
	}
	columns := tb.Table.AllColumns()
	sources := []sourceColumn{bitColumn(byReceiptColumn, tb.ByReceipt, rows.chunks, false)}
	for _, i := range []int{load.IDColumn, load.TimeColumn, load.HashColumn} {
		sources = append(sources, sourceColumn{Name: columns[i].Name, Type: columns[i].Type, Vectors: vectorsOf(tb, i)})
	}
	src, err := l.scanner.open(rows.chunks, sources)
	if err != nil {
		return nil, err
	}
	defer src.close()
	var found []load.Twin
	err = l.tx.each(func(scan func(...any) error) error {
		var t load.Twin
		if err := scan(&t.Row, &t.Hash, &t.Time); err != nil {
			return err
		}
		found = append(found, t)
		return nil
	}, repeatsQuery(of, src.from(), load.SpansOf(ask), byReceipt))
	slices.SortFunc(found, func(a, b load.Twin) int { return a.Row - b.Row })
	return found, err
}

// repeatsQuery gives the ordinal of each row that repeats one of the table's
// identities, and hash and time of that. Of several it is one with the same hash, else the
// earliest.
func repeatsQuery(table, source string, spans []load.Span, byReceipt bool) string {
	var there []string
	for _, s := range spans {
		there = append(there, fmt.Sprintf("SELECT event_id, event_time, event_hash FROM %s WHERE event_time >= make_timestamp(%d) AND event_time < make_timestamp(%d)", table, s.From, s.To))
	}
	day := ""
	if byReceipt {
		day = fmt.Sprintf(" OR (b.%s AND abs(epoch_us(t.event_time) - epoch_us(b.event_time)) <= %d)", byReceiptColumn, dayMicros)
	}
	return fmt.Sprintf(`SELECT b.%[1]s, coalesce(any_value(t.event_hash) FILTER (t.event_hash = b.event_hash), arg_min(t.event_hash, t.event_time)), epoch_us(min(t.event_time))
FROM (SELECT %[1]s, event_id, event_time, event_hash, %[2]s, date_trunc('hour', event_time) AS hour FROM %[3]s) b
JOIN (%[4]s) t ON b.event_id = t.event_id AND ((t.event_time >= b.hour AND t.event_time < b.hour + INTERVAL 1 HOUR)%[5]s)
GROUP BY b.%[1]s`, rowColumn, byReceiptColumn, source, strings.Join(there, " UNION ALL "), day)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
