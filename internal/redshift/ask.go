package redshift

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"arbalest"
	"arbalest/internal/warehouse"
)

var _ warehouse.Asker = (*Database)(nil)

// reads is the beginning of a statement that reads. Others are not sent: TRUNCATE
// commits at once, and whether READ ONLY holds the rest is not documented.
var reads = regexp.MustCompile(`(?is)^(\s|--[^\n]*(\n|$)|/\*.*?\*/)*(\(\s*)*(select|with|show|explain)\b`)

// Ask implements warehouse.Asker. The statement runs in a transaction that is
// read-only as far as Redshift knows that, and is rolled back.
func (d *Database) Ask(ctx context.Context, sql string, to warehouse.Sink) error {
	if !reads.MatchString(sql) {
		return fmt.Errorf("query Redshift: %w: the statement does not read: send a SELECT, one at a time", arbalest.ErrInvalid)
	}
	conn, err := d.acquire(ctx)
	if err != nil {
		return fmt.Errorf("query Redshift: %w", err)
	}
	defer conn.Release()
	t := &tx{d: d, ctx: ctx, conn: conn.Conn().PgConn()}
	if err := t.command("begin", "BEGIN READ ONLY"); err != nil {
		return fmt.Errorf("query Redshift: %w", err)
	}
	defer t.rollback()
	within, stop := context.WithCancel(ctx) // rows may be many that nobody wants
	defer stop()
	// The extended protocol takes one statement.
	refused, err := give(t.conn.ExecParams(within, sql, nil, nil, nil, nil), to, stop)
	switch {
	case refused != nil:
		return refused
	case err != nil:
		return fmt.Errorf("query Redshift: %w", d.failed(ctx, "run query", err))
	}
	return nil
}

// give gives a result to a sink. refused is the sink's own error.
func give(result *pgconn.ResultReader, to warehouse.Sink, stop func()) (refused, err error) {
	columns := resultColumns(result.FieldDescriptions())
	if len(columns) > 0 {
		if refused = to.Columns(columns); refused != nil {
			stop()
		}
	}
	values := make([]warehouse.Value, len(columns))
	for refused == nil && result.NextRow() {
		for i, text := range result.Values() {
			values[i] = shown(columns[i], text)
		}
		if refused = to.Row(values); refused != nil {
			stop()
		}
	}
	_, err = result.Close()
	if err == nil && refused == nil && len(columns) == 0 {
		refused = fmt.Errorf("query Redshift: %w: the statement gives no rows: send a SELECT, one at a time", arbalest.ErrInvalid)
	}
	return refused, err
}

// oidNumeric, oidVarchar and oidText are PostgreSQL's too, and oidSuper is the
// type of SUPER (Amazon's JDBC driver, core/Oid.java).
const (
	oidText    = 25
	oidVarchar = 1043
	oidNumeric = 1700
	oidSuper   = 4000
)

// typeNames are the types as Redshift spells them.
var typeNames = map[uint32]string{
	oidBool: "boolean", oidInt2: "smallint", oidInt4: "integer", oidInt8: "bigint", oidOID: "oid", oidFloat4: "real",
	oidFloat8: "double precision", oidNumeric: "numeric", oidBpchar: "character", oidVarchar: "character varying", oidText: "text",
	oidDate: "date", oidTimestamp: "timestamp", oidTimestampTZ: "timestamptz", oidSuper: "super",
}

func resultColumns(fields []pgconn.FieldDescription) []warehouse.ResultColumn {
	columns := make([]warehouse.ResultColumn, len(fields))
	for i, f := range fields {
		c := warehouse.ResultColumn{Name: f.Name, Type: typeNames[f.DataTypeOID]}
		modifier := f.TypeModifier - 4 // it counts its own length
		switch f.DataTypeOID {
		case oidBool:
			c.Kind = warehouse.BooleanValue
		case oidInt2, oidInt4, oidInt8, oidOID, oidFloat4, oidFloat8:
			c.Kind = warehouse.NumberValue
		case oidNumeric:
			c.Kind = warehouse.NumberValue
			if modifier >= 0 {
				c.Type += fmt.Sprintf("(%d,%d)", modifier>>16, modifier&0xffff)
			}
		case oidBpchar, oidVarchar:
			if modifier >= 0 {
				c.Type += fmt.Sprintf("(%d)", modifier)
			}
		case oidSuper:
			c.Kind = warehouse.JSONValue
		}
		if c.Type == "" {
			c.Type = "oid " + strconv.Itoa(int(f.DataTypeOID))
		}
		columns[i] = c
	}
	return columns
}

// shown spells a value as all warehouses do.
func shown(c warehouse.ResultColumn, text []byte) warehouse.Value {
	if text == nil {
		return warehouse.Value{Null: true}
	}
	s := string(text)
	switch {
	case c.Kind == warehouse.BooleanValue:
		s = strconv.FormatBool(s == "t" || s == "true")
	case c.Type == "real":
		s = floatText(s, 32)
	case c.Type == "double precision":
		s = floatText(s, 64)
	case s == "NaN" && c.Kind == warehouse.NumberValue:
		s = "nan"
	case strings.HasPrefix(c.Type, "character("):
		s = strings.TrimRight(s, " ")
	}
	return warehouse.Value{Text: s}
}

// floatText spells a number of floating point: with the fewest digits, with ".0"
// where it is whole, and with an exponent where it is long.
func floatText(s string, size int) string {
	f, err := strconv.ParseFloat(s, size)
	if err != nil {
		return s
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return strings.TrimPrefix(strings.ToLower(strconv.FormatFloat(f, 'g', -1, size)), "+")
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, size)
	}
	s = strconv.FormatFloat(f, 'f', -1, size)
	if f == math.Trunc(f) {
		s += ".0"
	}
	return s
}
