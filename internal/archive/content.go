package archive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/decode"
	"arbalest/internal/load"
	"arbalest/internal/warehouse"
)

// Values is what comparing values needs of a warehouse: a warehouse.Database, less
// what changes it.
type Values interface {
	Dialect() warehouse.Dialect
	Query(ctx context.Context, sql string, visit func(values []any) error, args ...any) error
}

const (
	// contentBytes is how many bytes of lines are decoded at a time.
	contentBytes = 1 << 20
	// maxOdd is how many rows of a table, whose values differ, are looked at value by
	// value.
	maxOdd = 1000
)

// CanCompare says that values can be compared. Redshift keeps JSON in a form of its
// own, and was not there to be tried.
func CanCompare(v Values) error {
	if name := v.Dialect().Name; name != "duckdb" && name != "postgres" {
		return fmt.Errorf("%w: values cannot be compared in %s, which does not keep JSON as it came: verify it without --content", arbalest.ErrInvalid, name)
	}
	return nil
}

// A content compares the values of a table's rows with what the definition makes of
// the stored events now. Of each event it holds a hash of its values and its place.
type content struct {
	db      Values
	columns []arbalest.Column
	query   string
	table   arbalest.Table
	decoder *decode.Decoder

	events  []origin // by event of the expectation
	block   []byte   // lines that are not decoded yet
	waiting []int32  // and the events that they are
	row     []byte
	odd     []odd
	more    int64 // that differ, beyond maxOdd
}

// An origin is where an event is stored, and the hash of its values.
type origin struct {
	hash         uint64
	object, line int32
}

// An odd row has other values than its event.
type odd struct {
	event  int32
	values []any
}

// newContent reads which columns the table has in the warehouse.
func newContent(ctx context.Context, db Values, t arbalest.Table) (*content, error) {
	c := &content{db: db, table: t, columns: t.AllColumns(), decoder: decode.NewDecoder(t)}
	d := db.Dialect()
	there := map[string]bool{}
	err := db.Query(ctx, `SELECT column_name FROM information_schema.columns WHERE table_catalog = current_database() AND table_schema IN ('main', 'public') AND table_name = $1`, func(v []any) error {
		name, _ := v[0].(string)
		there[name] = true
		return nil
	}, d.Cut(t.Name))
	if err != nil {
		return nil, fmt.Errorf("read columns of %s: %w", t.Name, err)
	}
	if len(there) == 0 {
		return c, nil // no table, no rows
	}
	list := ""
	for i, col := range c.columns {
		if i > 0 {
			list += ", "
		}
		if name := d.Cut(col.Name); there[name] {
			list += warehouse.Ident(name)
		} else {
			list += "NULL"
		}
	}
	schema := "public"
	if d.Name == "duckdb" {
		schema = "main"
	}
	c.query = fmt.Sprintf("SELECT %s FROM %s WHERE event_time >= $1 AND event_time <= $2", list, warehouse.Qualified(schema, d.Cut(t.Name)))
	return c, nil
}

// begin forgets all events.
func (c *content) begin() {
	c.events, c.odd, c.waiting, c.block = c.events[:0], c.odd[:0], c.waiting[:0], c.block[:0]
}

// expect takes the stored line of the expectation's next event.
func (c *content) expect(line []byte, object, number int32) {
	c.waiting = append(c.waiting, int32(len(c.events)))
	c.events = append(c.events, origin{object: object, line: number})
	c.block = append(c.block, line...)
	if n := len(line); n == 0 || line[n-1] != '\n' {
		c.block = append(c.block, '\n')
	}
	if len(c.block) >= contentBytes {
		c.flush()
	}
}

// flush decodes the lines that were not yet. One that gives no row has the hash 0.
func (c *content) flush() {
	if len(c.block) == 0 {
		return
	}
	chunk := c.decoder.Decode(decode.Block{Lines: c.block, Spans: []decode.Span{{FirstLine: 1, Lines: len(c.waiting)}}})
	for row, line := range chunk.Line {
		c.row = c.row[:0]
		for i := range c.columns {
			c.row = appendValue(c.row, c.columns[i].Type.Kind, valueOf(&chunk.Columns[i], row))
		}
		c.events[c.waiting[line-1]].hash = xxh3.Hash(c.row)
	}
	chunk.Release()
	c.block, c.waiting = c.block[:0], c.waiting[:0]
}

// rows yields the table's rows with their values, which are good during the call.
func (c *content) rows(ctx context.Context, s load.Span, visit func(r load.Row, values []any)) error {
	if c.query == "" {
		return nil
	}
	return c.db.Query(ctx, c.query, func(v []any) error {
		var r load.Row
		r.ID, _ = v[load.IDColumn].(string)
		at, _ := v[load.TimeColumn].(time.Time)
		r.Time = at.UnixMicro()
		r.Hash, _ = v[load.HashColumn].(string)
		visit(r, v)
		return nil
	}, time.UnixMicro(s.From).UTC(), time.UnixMicro(s.To-1).UTC())
}

// compare compares a row's values with those of an event.
func (c *content) compare(event int32, values []any) {
	c.row = c.row[:0]
	for i := range c.columns {
		c.row = appendValue(c.row, c.columns[i].Type.Kind, values[i])
	}
	switch {
	case xxh3.Hash(c.row) == c.events[event].hash:
	case len(c.odd) < maxOdd:
		c.odd = append(c.odd, odd{event, append([]any(nil), values...)})
	default:
		c.more++
	}
}

// settle says which values differ. A value that a warehouse could not have is NULL,
// and recorded: that is no difference.
func (c *content) settle(ctx context.Context, of *comparison, objects []arbalest.Object) error {
	if len(c.odd) == 0 {
		return nil
	}
	noted := map[string]bool{}
	err := c.db.Query(ctx, `SELECT event_id FROM arbalest.load_errors WHERE loaded AND table_name = $1`, func(v []any) error {
		id, _ := v[0].(string)
		noted[id] = true
		return nil
	}, c.table.Name)
	if err != nil {
		return fmt.Errorf("read load errors of %s: %w", c.table.Name, err)
	}
	byObject := map[int32]map[int32]odd{} // by line
	for _, o := range c.odd {
		at := c.events[o.event]
		if byObject[at.object] == nil {
			byObject[at.object] = map[int32]odd{}
		}
		byObject[at.object][at.line] = o
	}
	for object, lines := range byObject {
		number := int32(0)
		err := of.lake.Check(ctx, objects[object], func(line []byte) error {
			number++
			if o, ok := lines[number]; ok {
				c.tell(of, line, o.values, noted)
			}
			return nil
		})
		if err != nil && !isDamage(err) && !errors.Is(err, arbalest.ErrCold) {
			return err
		}
	}
	if c.more > 0 {
		of.verification.report.Found[Value] += c.more
		of.report.Findings[Value] += c.more
		c.more = 0
	}
	return nil
}

// tell finds the columns of a row that differ from its stored line.
func (c *content) tell(of *comparison, line []byte, values []any, noted map[string]bool) {
	chunk := c.decoder.Decode(decode.Block{Lines: line})
	defer chunk.Release()
	id, _ := values[load.IDColumn].(string)
	at, _ := values[load.TimeColumn].(time.Time)
	f := Finding{Kind: Value, Hour: arbalest.HourOf(at).String(), ID: id}
	of.hour(arbalest.HourOf(at)).differs = true
	if chunk.Rows == 0 {
		f.What = fmt.Sprintf("event %s is in the table, and its definition does not take it now: %s", id, chunk.Errors[0].Reason)
		of.find(of.report, f)
		return
	}
	for i, col := range c.columns {
		want := valueOf(&chunk.Columns[i], 0)
		a, b := appendValue(nil, col.Type.Kind, want), appendValue(nil, col.Type.Kind, values[i])
		if string(a) == string(b) || values[i] == nil && noted[id] {
			continue
		}
		f.Column = col.Name
		f.What = fmt.Sprintf("column %s of event %s is %s in the table, and the stored event has %s", col.Name, id, spell(values[i]), spell(want))
		of.find(of.report, f)
	}
}

// spell shows a value.
func spell(v any) string {
	const most = 80
	switch v := v.(type) {
	case nil:
		return "NULL"
	case string:
		return fmt.Sprintf("%.*q", most, v)
	case time.Time:
		return v.Format(arbalest.TimeLayout)
	}
	return fmt.Sprint(v)
}
