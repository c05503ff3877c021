package duckdb

import (
	"context"
	"database/sql"
	"fmt"

	"arbalest"
	"arbalest/internal/load"
)

const (
	// smallBatch is the most rows of a batch for which a set is made: one that
	// brings more pays for looking through the table.
	smallBatch = 20_000
	// maxRecent is the most hours of tables that are remembered, and
	// recentLoads how many loads long one is that was not asked for.
	maxRecent   = 8192
	recentLoads = 600
)

// recent knows the ids of the hours of tables that events are coming in for,
// so that new events are seen to be new without looking through those hours in
// the table: a second's 5,000 events would read millions of ids. An hour that
// small batches ask for twice has its ids read from the table, once, and every
// load adds its own. A set may have more ids than its hour, which costs time;
// what it has not is not there.
//
// That needs every row to come in through this Warehouse, which the lock sees
// to. It belongs to the holder of the writer.
type recent struct {
	limit int64 // bytes of all sets
	bytes int64
	load  int64 // counts the loads
	hours map[tableHour]*recentHour
	// extents say which hours of a table cannot have rows.
	extents map[string]*extent
}

// An extent is where a table has identities: from its first to its last hour when it
// was first asked for, and the hours that came after.
type extent struct {
	first, last arbalest.Hour // last < first: none
	later       map[arbalest.Hour]bool
}

func (e *extent) has(hour arbalest.Hour) bool {
	return e.first <= hour && hour <= e.last || e.later[hour]
}

// worthSet is how many rows an hour's part of a batch has on average for its
// ids to be kept, where that needs no reading.
const worthSet = 256

type recentHour struct {
	set     *idSet // nil if it is not known
	asked   int64  // the load that asked last
	tooMany bool   // for limit: not to be tried again
}

func newRecent(limit int64) *recent {
	return &recent{limit: limit, hours: map[tableHour]*recentHour{}, extents: map[string]*extent{}}
}

// begin counts a load, and forgets what none has asked for lately.
func (r *recent) begin() {
	r.load++
	if r.load%recentLoads != 0 && len(r.hours) <= maxRecent {
		return
	}
	for k, h := range r.hours {
		if r.load-h.asked >= recentLoads || len(r.hours) > maxRecent && h.set == nil {
			r.drop(h)
			delete(r.hours, k)
		}
	}
}

// forget drops what is known, of tables whose rows went.
func (r *recent) forget() {
	clear(r.hours)
	clear(r.extents)
	r.bytes = 0
}

func (r *recent) drop(h *recentHour) {
	if h.set != nil {
		r.bytes -= h.set.bytes()
		h.set = nil
	}
}

// known returns those hours of a table of which it knows the ids, and the hours of
// which it does not. An hour that has no rows yet is known without
// looking. For a small batch it reads those hours that the last small batches
// asked for too, from the table's identities.
func (r *recent) known(ctx context.Context, conn *sql.Conn, table, identities string, hours []arbalest.Hour, rows int) (known map[arbalest.Hour]*recentHour, unknown []arbalest.Hour, err error) {
	known = map[arbalest.Hour]*recentHour{}
	small := rows <= smallBatch
	there, err := r.extent(ctx, conn, table)
	if err != nil {
		return nil, nil, err
	}
	for _, hour := range hours {
		h := r.hours[tableHour{table, hour}]
		if h == nil && !there.has(hour) && (small || rows/len(hours) >= worthSet) {
			h = &recentHour{set: newIDSet(rows / len(hours))}
			r.hours[tableHour{table, hour}] = h
		}
		switch {
		case h == nil && small:
			r.hours[tableHour{table, hour}] = &recentHour{asked: r.load}
		case h == nil:
		case h.set == nil && small && !h.tooMany && h.asked < r.load:
			if err := r.read(ctx, conn, identities, hour, h); err != nil {
				return nil, nil, err
			}
			fallthrough
		default:
			h.asked = r.load
		}
		if h != nil && h.set != nil {
			known[hour] = h
		} else {
			unknown = append(unknown, hour)
		}
	}
	return known, unknown, nil
}

// made says that a table is new: it has no rows.
func (r *recent) made(table string) {
	r.extents[table] = &extent{first: 1, later: map[arbalest.Hour]bool{}}
}

// extent returns where a table has rows, or has had some that left it.
func (r *recent) extent(ctx context.Context, conn *sql.Conn, table string) (*extent, error) {
	if e := r.extents[table]; e != nil {
		return e, nil
	}
	var first, last sql.NullInt64
	err := conn.QueryRowContext(ctx, fmt.Sprintf(`SELECT epoch_us(min(first)), epoch_us(max(last)) FROM (
		SELECT min(event_time) AS first, max(event_time) AS last FROM %s
		UNION ALL SELECT min(day), max(day) + INTERVAL 23 HOUR FROM arbalest.days WHERE table_name = %s)`, tableName(table), literal(table))).Scan(&first, &last)
	if err != nil {
		return nil, loadError(ctx, err)
	}
	e := &extent{first: 1, later: map[arbalest.Hour]bool{}}
	if first.Valid {
		e.first, e.last = arbalest.HourOfMicro(first.Int64), arbalest.HourOfMicro(last.Int64)
	}
	r.extents[table] = e
	return e, nil
}

// read reads the ids of an hour of a table's identities into a set.
func (r *recent) read(ctx context.Context, conn *sql.Conn, identities string, hour arbalest.Hour, h *recentHour) error {
	s, err := openStream(ctx, conn, fmt.Sprintf("SELECT event_id FROM %s WHERE event_time >= make_timestamp(%d) AND event_time < make_timestamp(%d)",
		identities, load.HourMicro(hour), load.HourMicro(hour+1)))
	if err != nil {
		return loadError(ctx, err)
	}
	h.set = newIDSet(0)
	err = s.each(func() error {
		if !h.tooMany {
			r.add(h, load.HashID(s.bytes(0)))
		}
		return nil
	})
	if err != nil {
		r.drop(h)
		return loadError(ctx, err)
	}
	return nil
}

// add adds an id to an hour's set, and says whether it had it. Over the limit sets
// that this load has not asked for make room, or else this one goes.
func (r *recent) add(h *recentHour, hash uint64) (had bool) {
	had, grown := h.set.add(hash)
	if r.bytes += grown; r.bytes <= r.limit {
		return had
	}
	for _, other := range r.hours {
		if other != h && other.asked < r.load {
			r.drop(other)
		}
	}
	if r.bytes > r.limit {
		h.tooMany = true
		r.drop(h)
	}
	return had
}

// note adds the rows that a batch inserts, but for those that look has added.
func (r *recent) note(tb *load.TableBatch, rows batchRows) {
	var in tableHour
	var h *recentHour
	there := r.extents[tb.Table.Name]
	for k, c := range tb.Chunks {
		keep, asked, receipt := load.BitsOf(rows.keep, k), load.BitsOf(tb.Keep, k), load.BitsOf(tb.ByReceipt, k)
		for row := range c.Rows {
			hour := arbalest.HourOfMicro(c.Columns[load.TimeColumn].Int64[row])
			if in.table == "" || hour != in.hour {
				in = tableHour{tb.Table.Name, hour}
				h = r.hours[in]
				if there != nil && !there.has(hour) {
					there.later[hour] = true
				}
			}
			if h != nil && h.set != nil && load.IsSet(keep, row, true) && (load.IsSet(receipt, row, false) || !load.IsSet(asked, row, true)) {
				r.add(h, tb.IDs[k][row])
			}
		}
	}
}

// look returns the hours whose sets have an id of a batch's rows. It adds the ids on
// the way: a second look later would wait for memory again. Those of rows by receipt
// come later, as rows of the batch that repeat them look into their hours; and what a
// repeat in the batch repeats looks into its hour for it.
func (r *recent) look(tb *load.TableBatch, known map[arbalest.Hour]*recentHour) []arbalest.Hour {
	hit := map[arbalest.Hour]bool{}
	var last arbalest.Hour // rows of an hour come together
	in := known[last]
	for k, c := range tb.Chunks {
		keep, receipt := load.BitsOf(tb.Keep, k), load.BitsOf(tb.ByReceipt, k)
		for row, hash := range tb.IDs[k] {
			byReceipt := load.IsSet(receipt, row, false)
			if !byReceipt && !load.IsSet(keep, row, true) {
				continue
			}
			at := c.Columns[load.TimeColumn].Int64[row]
			from, to := at, at
			if byReceipt {
				from, to = at-dayMicros, at+dayMicros
			}
			for hour := arbalest.HourOfMicro(from); hour <= arbalest.HourOfMicro(to); hour++ {
				if hour != last {
					last, in = hour, known[hour]
				}
				switch {
				case in == nil:
				case in.set == nil: // it went, for limit
					hit[hour] = true
				case byReceipt && in.set.has(hash), !byReceipt && r.add(in, hash):
					hit[hour] = true
				}
			}
		}
	}
	hours := make([]arbalest.Hour, 0, len(hit))
	for hour := range hit {
		hours = append(hours, hour)
	}
	return hours
}
