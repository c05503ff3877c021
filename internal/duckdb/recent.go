package duckdb

import (
	"context"
	"database/sql"
	"fmt"
	"hash/maphash"

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
	seed  maphash.Seed
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
	return &recent{seed: maphash.MakeSeed(), limit: limit, hours: map[tableHour]*recentHour{}, extents: map[string]*extent{}}
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

// known returns the sets of those hours of a table that it knows, and the
// hours that it does not. An hour that has no rows yet is known without
// looking. For a small batch it reads those hours that the last small batches
// asked for too, from the table's identities.
func (r *recent) known(ctx context.Context, conn *sql.Conn, table, identities string, hours []arbalest.Hour, rows int) (known map[arbalest.Hour]*idSet, unknown []arbalest.Hour, err error) {
	known = map[arbalest.Hour]*idSet{}
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
			known[hour] = h.set
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
			r.add(h, maphash.Bytes(r.seed, s.bytes(0)))
		}
		return nil
	})
	if err != nil {
		r.drop(h)
		return loadError(ctx, err)
	}
	return nil
}

// add adds an id to an hour's set. Over the limit sets that this load has not
// asked for make room, or else this one goes.
func (r *recent) add(h *recentHour, hash uint64) {
	if r.bytes += h.set.add(hash); r.bytes <= r.limit {
		return
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
}

// note adds the rows that a batch inserts.
func (r *recent) note(tb *load.TableBatch, rows batchRows) {
	var in tableHour
	var h *recentHour
	there := r.extents[tb.Table.Name]
	for k, c := range tb.Chunks {
		keep := load.BitsOf(rows.keep, k)
		for row := range c.Rows {
			hour := arbalest.HourOfMicro(c.Columns[load.TimeColumn].Int64[row])
			if in.table == "" || hour != in.hour {
				in = tableHour{tb.Table.Name, hour}
				h = r.hours[in]
				if there != nil && !there.has(hour) {
					there.later[hour] = true
				}
			}
			if h != nil && h.set != nil && load.IsSet(keep, row, true) {
				r.add(h, maphash.Bytes(r.seed, load.Text(&c.Columns[load.IDColumn], row)))
			}
		}
	}
}

// hits returns the hours in which the known sets have an id of a batch's rows.
// What a repeat in the batch repeats looks into its hour for it.
func (r *recent) hits(tb *load.TableBatch, known map[arbalest.Hour]*idSet) []arbalest.Hour {
	hit := map[arbalest.Hour]bool{}
	var last arbalest.Hour // rows of an hour come together
	set := known[last]
	for k, c := range tb.Chunks {
		keep, receipt := load.BitsOf(tb.Keep, k), load.BitsOf(tb.ByReceipt, k)
		for row := range c.Rows {
			if !load.IsSet(keep, row, true) && !load.IsSet(receipt, row, false) {
				continue
			}
			at := c.Columns[load.TimeColumn].Int64[row]
			from, to := at, at
			if load.IsSet(receipt, row, false) {
				from, to = at-dayMicros, at+dayMicros
			}
			hash := maphash.Bytes(r.seed, load.Text(&c.Columns[load.IDColumn], row))
			for hour := arbalest.HourOfMicro(from); hour <= arbalest.HourOfMicro(to); hour++ {
				if hour != last {
					last, set = hour, known[hour]
				}
				if set != nil && set.has(hash) {
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
