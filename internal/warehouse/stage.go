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

// stageColumns are those of the temporary table in which a batch's rows are
// looked for among the table's.
var stageColumns = [...]arbalest.Column{
	{Name: "row_place", Type: arbalest.Type{Kind: arbalest.BigInt}}, // in the batch, from 0
	arbalest.SystemColumns[load.IDColumn],
	arbalest.SystemColumns[load.TimeColumn],
	{Name: "by_receipt", Type: arbalest.Type{Kind: arbalest.Boolean}}, // TableBatch.ByReceipt
}

// findRepeats finds the rows of the table that rows of a batch repeat, in the
// order of the batch. The ids and times of the batch go into a temporary table,
// which is joined.
func (l *loading) findRepeats(tb *load.TableBatch) ([]load.Twin, error) {
	pages, rows := stagePages(tb)
	if rows == 0 {
		return nil, nil
	}
	l.staged++
	stage := fmt.Sprintf("_stage_%d", l.staged)
	if err := l.exec(fmt.Sprintf("CREATE TEMP TABLE %s (%s)", stage, l.dialect.Define(stageColumns[:]))); err != nil {
		return nil, err
	}
	if err := l.insert(stage, stageColumns[:], pages, rows); err != nil {
		return nil, err
	}
	twins, err := l.twins(l.repeatsQuery(l.tableName(tb.Table.Name), stage, tb, rows))
	if err != nil {
		return nil, err
	}
	return twins, l.exec("DROP TABLE " + stage)
}

// stagePages returns what is asked for, and how many rows that is.
func stagePages(tb *load.TableBatch) (pages []Page, rows int64) {
	asked := tb.Asked()
	first := 0
	for k, c := range tb.Chunks {
		if c.Rows == 0 {
			continue
		}
		places := decode.Vector{Type: stageColumns[0].Type, Int64: make([]int64, c.Rows)}
		for i := range places.Int64 {
			places.Int64[i] = int64(first + i)
			if load.IsSet(load.BitsOf(asked, k), i, true) {
				rows++
			}
		}
		first += c.Rows
		receipt := decode.Vector{Type: stageColumns[3].Type, Bits: load.BitsOf(tb.ByReceipt, k)}
		if receipt.Bits == nil {
			receipt.Bits = make([]byte, (c.Rows+7)/8)
		}
		pages = append(pages, Page{Rows: c.Rows, Keep: load.BitsOf(asked, k), Columns: []decode.Vector{places, c.Columns[load.IDColumn], c.Columns[load.TimeColumn], receipt}})
	}
	return pages, rows
}

// maxLookups is how many rows are looked for one by one, in an hour each; more
// are joined with all rows of their hours. A row whose time is that of its
// receipt is looked for in 49.
const (
	maxLookups   = 100_000
	receiptHours = 49
)

// repeatsQuery gives every pair of a staged row and a row of the table, or one that
// left it, that it repeats, by the rule of load.Warehouse. Of the table it looks at the batch's
// own hours, and at the 24 hours around rows whose time is that of their
// receipt. Lengths are compared because Redshift may take no account of blanks
// at the end.
func (l *loading) repeatsQuery(table, stage string, tb *load.TableBatch, rows int64) string {
	hours, receipts := load.HoursOf(tb)
	if receipts {
		rows *= receiptHours
	}
	from := []string{table}
	if l.left[tb.Table.Name] {
		from = append(from, archivedOf(tb.Table.Name))
	}
	var there []string
	if l.dialect.Lookup != nil && rows <= maxLookups {
		for _, f := range from {
			there = append(there, l.dialect.Lookup(f, stage, receipts))
		}
		return strings.Join(there, "\nUNION ALL ")
	}
	for _, f := range from {
		for _, s := range load.SpansOf(hours) {
			there = append(there, fmt.Sprintf("SELECT event_id, event_time, event_hash FROM %s e WHERE %s", f, within(s)))
		}
	}
	return fmt.Sprintf(`SELECT b.row_place, t.event_hash, t.event_time
FROM %s b JOIN (%s) t ON t.event_id = b.event_id AND octet_length(t.event_id) = octet_length(b.event_id)
AND ((t.event_time >= date_trunc('hour', b.event_time) AND t.event_time < date_trunc('hour', b.event_time) + INTERVAL '1 hour')
OR (b.by_receipt AND t.event_time >= b.event_time - INTERVAL '24 hours' AND t.event_time <= b.event_time + INTERVAL '24 hours'))`,
		stage, strings.Join(there, " UNION ALL "))
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

// twins returns what repeatsQuery gives, in the order of the batch.
func (l *loading) twins(query string) ([]load.Twin, error) {
	var all []load.Twin
	err := l.tx.Query(l.ctx, query, func(v []any) error {
		place, ok1 := v[0].(int64)
		hash, ok2 := v[1].(string)
		at, ok3 := v[2].(time.Time)
		if !ok1 || !ok2 || !ok3 {
			return fmt.Errorf("%w: a repeat is %v", arbalest.ErrCorrupt, v)
		}
		all = append(all, load.Twin{Row: int(place), Hash: hash, Time: at.UnixMicro()})
		return nil
	})
	slices.SortFunc(all, func(a, b load.Twin) int { return cmp.Compare(a.Row, b.Row) })
	return all, err
}
