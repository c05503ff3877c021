package warehouse

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/decode"
	"arbalest/internal/load"
)

// The columns that a stage has besides the batch's, which are c0, c1, …: no
// event's column is called like one of these.
const (
	rowColumn       = "_row"        // BIGINT: the row's place in the batch
	byReceiptColumn = "_by_receipt" // BOOLEAN: TableBatch.ByReceipt
)

// stage adds a batch to a table that has rows: it goes into a temporary table,
// repeats are found by a join, and the rest is inserted from there.
func (l *loading) stage(tb *load.TableBatch, t *load.Tally) error {
	l.staged++
	stage, found := fmt.Sprintf("_stage_%d", l.staged), fmt.Sprintf("_found_%d", l.staged)
	columns, names := tb.Table.AllColumns(), make([]string, 0, len(tb.Table.Columns)+6)
	staged := make([]arbalest.Column, len(columns), len(columns)+2)
	for i, c := range columns {
		names = append(names, fmt.Sprintf("c%d", i))
		staged[i] = arbalest.Column{Name: names[i], Type: c.Type}
	}
	staged = append(staged, arbalest.Column{Name: rowColumn, Type: arbalest.Type{Kind: arbalest.BigInt}}, arbalest.Column{Name: byReceiptColumn, Type: arbalest.Type{Kind: arbalest.Boolean}})
	if err := l.exec(fmt.Sprintf("CREATE TEMP TABLE %s (%s)", stage, l.dialect.Define(staged))); err != nil {
		return err
	}
	if err := l.insert(stage, staged, stagePages(tb), t.Sum().Loaded); err != nil {
		return err
	}
	table := l.tableName(tb.Table.Name)
	if err := l.exec(fmt.Sprintf("CREATE TEMP TABLE %s AS %s", found, repeatsQuery(table, stage, tb))); err != nil {
		return fmt.Errorf("find repeats: %w", err)
	}
	repeats, err := l.repeats(found, tb, t)
	if err != nil {
		return fmt.Errorf("find repeats: %w", err)
	}
	where := ""
	if repeats {
		where = fmt.Sprintf(" s WHERE NOT EXISTS (SELECT 1 FROM %s f WHERE f.%s = s.%[2]s)", found, rowColumn)
	}
	n, err := l.tx.Exec(l.ctx, fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s%s", table, l.dialect.Names(columns), strings.Join(names, ", "), stage, where))
	if err != nil {
		return err
	}
	if n != 0 || t.Sum().Loaded == 0 { // Redshift may not tell
		if err := tookAll(n, t.Sum().Loaded); err != nil {
			return err
		}
	}
	for _, temporary := range []string{stage, found} {
		if err := l.exec("DROP TABLE " + temporary); err != nil {
			return err
		}
	}
	return nil
}

// stagePages are the batch's rows with the columns that a stage has besides.
func stagePages(tb *load.TableBatch) []Page {
	pages := pagesOf(tb)
	first := 0
	for k, c := range tb.Chunks {
		rows := decode.Vector{Int64: make([]int64, c.Rows)}
		for i := range rows.Int64 {
			rows.Int64[i] = int64(first + i)
		}
		first += c.Rows
		receipt := decode.Vector{Bits: load.BitsOf(tb.ByReceipt, k)}
		if receipt.Bits == nil {
			receipt.Bits = make([]byte, (c.Rows+7)/8)
		}
		pages[k].Columns = append(c.Columns[:len(c.Columns):len(c.Columns)], rows, receipt)
	}
	return pages
}

// repeatsQuery gives every pair of a staged row and a row of the table that it
// repeats, by the rule of load.Warehouse. Of the table it looks at the batch's
// own hours, and at the 24 hours around rows whose time is that of their
// receipt. Lengths are compared because Redshift may take no account of blanks
// at the end.
func repeatsQuery(table, stage string, tb *load.TableBatch) string {
	hours, _ := load.HoursOf(tb)
	var there []string
	for _, s := range load.SpansOf(hours) {
		there = append(there, fmt.Sprintf("SELECT event_id, event_time, event_hash FROM %s WHERE event_time >= %s AND event_time <= %s", table, timeLiteral(s.From), timeLiteral(s.To-1)))
	}
	return fmt.Sprintf(`SELECT b.%s, t.event_hash, t.event_time
FROM %s b JOIN (%s) t ON t.event_id = b.c%d AND octet_length(t.event_id) = octet_length(b.c%[4]d)
AND ((t.event_time >= date_trunc('hour', b.c%[5]d) AND t.event_time < date_trunc('hour', b.c%[5]d) + INTERVAL '1 hour')
OR (b.%[6]s AND t.event_time >= b.c%[5]d - INTERVAL '24 hours' AND t.event_time <= b.c%[5]d + INTERVAL '24 hours'))`,
		rowColumn, stage, strings.Join(there, " UNION ALL "), load.IDColumn, load.TimeColumn, byReceiptColumn)
}

// timeLiteral spells a time in microseconds, kept within what a TIMESTAMP of
// every database holds.
func timeLiteral(us int64) string {
	return "TIMESTAMP '" + timeOf(us).Format("2006-01-02 15:04:05.999999") + "'"
}

// timeOf returns a time in microseconds, kept within the years 1 to 9999.
func timeOf(us int64) time.Time {
	const first, last = -62135596800_000_000, 253402300799_999_999
	return time.UnixMicro(min(max(us, first), last)).UTC()
}

// repeats tells the tally of the repeats that were found, and whether there are
// any. Of several rows of the table that a row repeats, one with the same hash
// is it, else the earliest.
func (l *loading) repeats(found string, tb *load.TableBatch, t *load.Tally) (bool, error) {
	type repeat struct {
		row  int64
		hash string
		time int64
	}
	var all []repeat
	err := l.tx.Query(l.ctx, fmt.Sprintf("SELECT %s, event_hash, event_time FROM %s", rowColumn, found), func(v []any) error {
		row, ok1 := v[0].(int64)
		hash, ok2 := v[1].(string)
		at, ok3 := v[2].(time.Time)
		if !ok1 || !ok2 || !ok3 {
			return fmt.Errorf("%w: a repeat is %v", arbalest.ErrCorrupt, v)
		}
		all = append(all, repeat{row, hash, at.UnixMicro()})
		return nil
	})
	if err != nil {
		return false, err
	}
	slices.SortFunc(all, func(a, b repeat) int { return cmp.Or(cmp.Compare(a.row, b.row), cmp.Compare(a.time, b.time)) })
	k, first := 0, int64(0)
	for i := 0; i < len(all); {
		same := all[i:]
		if n := slices.IndexFunc(same, func(r repeat) bool { return r.row != all[i].row }); n >= 0 {
			same = same[:n]
		}
		i += len(same)
		for same[0].row-first >= int64(tb.Chunks[k].Rows) {
			first += int64(tb.Chunks[k].Rows)
			k++
		}
		row := int(same[0].row - first)
		own := string(load.Text(&tb.Chunks[k].Columns[load.HashColumn], row))
		kept := same[0].hash
		if slices.ContainsFunc(same, func(r repeat) bool { return r.hash == own }) {
			kept = own
		}
		t.Repeat(tb.Chunks[k], row, kept)
	}
	return len(all) > 0, nil
}
