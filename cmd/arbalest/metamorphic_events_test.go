package main

import (
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/zeebo/xxh3"

	"arbalest"
	"arbalest/internal/decode"
)

// A fact is an event as the test made it, and what its row must show.
type fact struct {
	event      string
	id         string
	timed      timed
	at         time.Time // of timed byReceipt that of the receipt
	received   time.Time
	members    []string         // of the properties, as sent
	properties string           // compact, as they must be stored
	values     map[string]value // by column
	misfit     bool             // a value does not fit a column that was declared: it is in no row
}

// timed says where an event's time is.
type timed int

const (
	byEnvelope timed = iota
	byProperty
	byID
	byReceipt
)

// A value is a property's, as it must come out of its column.
type value struct {
	text string
	kind byte // n number, t time, s text, b boolean, j JSON, w anything: of which the column may have no place for some
}

func (f *fact) micros() int64 { return f.at.UnixMicro() }

func (f *fact) hour() arbalest.Hour { return arbalest.HourOf(f.at) }

func (f *fact) day() arbalest.EventDay {
	h := f.hour()
	return arbalest.EventDay{Event: arbalest.EventName(f.event), Day: h.Day()}
}

func (f *fact) hash() string { return fmt.Sprintf("%016x", xxh3.HashString(f.properties)) }

// hasReceipt says that the fact's time is only that of its receipt.
func (f *fact) hasReceipt() bool {
	at, ok := decode.IDTime(f.id)
	return f.micros() == f.received.UnixMicro() && !(ok && at.Equal(f.at))
}

// repeats is the rule of repeats, for an earlier event of the same name and id.
func (f *fact) repeats(old *fact) bool {
	apart := time.Duration(f.micros()-old.micros()) * time.Microsecond
	return f.hour() == old.hour() || f.hasReceipt() && apart.Abs() <= 24*time.Hour
}

// line is the fact as it is sent, with white space here and there.
func (f *fact) line(r *rand.Rand) string {
	space := func() string { return []string{"", "", " ", "\t "}[r.IntN(4)] }
	parts := []string{`"event":` + quoted(f.event), `"id":` + space() + quoted(f.id)}
	if f.timed == byEnvelope {
		parts = append(parts, `"timestamp":`+quoted(f.at.Format(time.RFC3339Nano)))
	}
	data := `"data":` + space() + "{" + space() + strings.Join(f.members, space()+","+space()) + "}"
	if len(f.members) > 0 || r.IntN(2) == 0 {
		parts = append(parts, data)
	}
	r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return "{" + strings.Join(parts, space()+",") + "}" + space() + "\n"
}

func quoted(s string) string { return string(arbalest.AppendString(nil, s)) }

// set adds a property at the top, and what its columns must show.
func (f *fact) set(key, raw string, columns map[string]value) {
	f.members = append(f.members, quoted(key)+":"+raw)
	for name, v := range columns {
		f.values[name] = v
	}
}

// metaConfig has one table that is declared, and one of which a column is.
var metaEvents = map[string]eventConfig{
	"order": {Columns: []columnConfig{
		{Name: "amount", Type: "DECIMAL(12,2)"}, {Name: "paid", Type: "BOOLEAN"}, {Name: "due", Type: "DATE"}, {Name: "at", Type: "TIMESTAMPTZ"},
		{Name: "weight", Type: "DOUBLE PRECISION"}, {Name: "items", Type: "SMALLINT"}, {Name: "note", Type: "VARCHAR(20)"}, {Name: "parts", Type: "JSON"},
		{Name: "lat", Path: propertyPath{"geo", "lat"}, Type: "REAL"},
	}},
	"page.viewed": {Contract: contractConfig{Columns: "evolve"}, Columns: []columnConfig{{Name: "seconds", Path: propertyPath{"n"}, Type: "INTEGER"}}},
}

// metaNames are the names of events. The last two share nothing but their looks.
var metaNames = []string{"order", "order", "page.viewed", "user.created", "user.created", "seen", "Seen-Again"}

// fresh makes an event that is like none before, or has the id of one. now is the
// time of its receipt.
func (l *plainList) fresh(r *rand.Rand, now time.Time) *fact {
	f := &fact{event: metaNames[r.IntN(len(metaNames))], received: now}
	l.ids++
	switch f.id = fmt.Sprintf("e%d", l.ids); r.IntN(12) {
	case 0:
		f.id += ` "Ünï\` + "\t\U0001F600 'x"
	case 1:
		f.id += strings.Repeat("x", arbalest.MaxEventID-len(f.id))
	case 2, 3:
		if same := l.of(f.event); len(same) > 0 {
			f.id = same[r.IntN(len(same))].id
		}
	}
	f.at = someTime(r, now)
	switch r.IntN(8) {
	case 0, 1:
		f.timed = byReceipt
	case 2:
		f.timed = byID
		ms := f.at.UnixMilli()
		if ms > 0 {
			f.id = fmt.Sprintf("%08x-%04x-7%03x-9%03x-%012x", ms>>16, ms&0xffff, l.ids&0xfff, r.IntN(4096), r.Int64N(1<<48))
			f.at = time.UnixMilli(ms).UTC()
			break
		}
		f.timed = byEnvelope
	case 3:
		f.timed = byProperty
	}
	l.place(f)
	l.fill(f, r)
	return f
}

// again makes an event of one that was sent: the same once more, with other
// properties, or at another time.
func (l *plainList) again(r *rand.Rand, now time.Time, old *fact) *fact {
	f := &fact{event: old.event, id: old.id, timed: old.timed, at: old.at, received: now, members: old.members, properties: old.properties, values: old.values, misfit: old.misfit}
	other := r.IntN(4)
	if other == 0 {
		f.timed = []timed{byEnvelope, byReceipt}[r.IntN(2)]
		f.at = someTime(r, now)
	}
	l.place(f)
	if other <= 1 || old.timed == byProperty && f.timed != byProperty {
		l.fill(f, r)
	}
	return f
}

// place settles the fact's time. Objects of a commit are loaded by hours, so of
// two events that were sorted together it is the one of the earlier hour that comes
// first, if one may repeat the other over hours, which only those may whose time is
// that of their receipt. Of such ids the test sends events in the order of hours, so
// that it does not matter which are sorted together.
func (l *plainList) place(f *fact) {
	if at, ok := decode.IDTime(f.id); ok && f.timed == byReceipt {
		f.at, f.timed = at, byID
	}
	for _, old := range l.events {
		if old.event != f.event || old.id != f.id {
			continue
		}
		if f.timed == byReceipt && old.hour() > arbalest.HourOf(f.received) || old.hasReceipt() && f.timed != byReceipt && f.hour() < old.hour() {
			l.ids++
			f.id, f.timed = fmt.Sprintf("e%d", l.ids), byEnvelope
			return
		}
	}
	if f.timed == byReceipt {
		f.at = f.received
	}
}

// someTime returns a time of an event that is received at now: mostly of the same
// hours, else late, at the borders of hours and days, or long ago.
func someTime(r *rand.Rand, now time.Time) time.Time {
	t := now.Add(-time.Duration(r.Int64N(int64(3 * time.Hour))))
	switch r.IntN(10) {
	case 0, 1:
		t = now.Add(-time.Duration(r.Int64N(int64(20 * 24 * time.Hour))))
	case 2:
		t = t.Truncate(time.Hour)
	case 3:
		t = t.Truncate(24 * time.Hour).Add(-time.Duration(r.IntN(2)) * time.Microsecond)
	case 4:
		t = t.Truncate(time.Hour).Add(-time.Nanosecond)
	case 5:
		t = now.Add(time.Duration(r.Int64N(int64(20 * time.Hour))))
	case 6:
		t = []time.Time{time.Unix(0, 0), time.Unix(-1, 0), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1969, 12, 31, 22, 59, 59, 999_999_999, time.UTC)}[r.IntN(4)]
	}
	return t.UTC()
}

// fill gives the fact properties.
func (l *plainList) fill(f *fact, r *rand.Rand) {
	f.members, f.values, f.misfit = nil, map[string]value{}, false
	if f.timed == byProperty {
		// A text, once there were times with nanoseconds.
		text := quoted(f.at.Format(time.RFC3339Nano))
		f.set("timestamp", text, map[string]value{"timestamp": {text, 'w'}})
	}
	if f.event == "order" {
		f.order(r)
	} else {
		f.inferred(r, len(l.events)/60)
	}
	if f.event == "page.viewed" {
		delete(f.values, "n") // its column has another name
		f.seconds(r)
	}
	f.properties = "{" + strings.Join(f.members, ",") + "}"
}

// order fills in properties of the table that is declared.
func (f *fact) order(r *rand.Rand) {
	f.values = map[string]value{} // of timestamp it has no column
	one := func(key string, raw string, kind byte, text string) {
		f.set(key, raw, map[string]value{key: {text, kind}})
	}
	amount := fmt.Sprintf("%d.%02d", r.Int64N(1e10), r.IntN(100))
	one("amount", []string{amount, quoted(amount)}[r.IntN(2)], 'n', number(amount))
	for _, key := range []string{"paid", "due", "at", "weight", "items", "note", "parts", "geo", "more"} {
		if r.IntN(3) == 0 {
			continue
		}
		day := time.Date(2020+r.IntN(10), time.Month(1+r.IntN(12)), 1+r.IntN(28), 0, 0, 0, 0, time.UTC)
		switch n := r.IntN(65536) - 32768; key {
		case "paid":
			text := fmt.Sprint(n > 0)
			one(key, text, 'b', text)
		case "due":
			one(key, quoted(day.Format(time.DateOnly)), 't', fmt.Sprint(day.UnixMicro()))
		case "at":
			zoned := day.Add(time.Duration(n) * time.Millisecond).In(time.FixedZone("", 2*3600))
			one(key, quoted(zoned.Format(time.RFC3339Nano)), 't', fmt.Sprint(zoned.UnixMicro()))
		case "weight":
			one(key, fmt.Sprintf("%d.0625", n), 'n', number(fmt.Sprintf("%d.0625", n)))
		case "items":
			one(key, fmt.Sprint(n), 'n', fmt.Sprint(n))
		case "note":
			text := []string{"", "short", "Größen, 20 Bytes..", `a "b" \`, "漢字漢字漢字"}[r.IntN(5)]
			one(key, quoted(text), 's', text)
		case "parts":
			raw := []string{`{"b":[1,2.50],"a":{"x":null}}`, `[]`, `"s"`, `1.0`, `{"a":1e2,"é":"\u00e9"}`}[r.IntN(5)]
			one(key, raw, 'j', raw)
		case "geo":
			f.set("geo", fmt.Sprintf(`{"lat":%d.5,"x":[{}]}`, n), map[string]value{"lat": {number(fmt.Sprintf("%d.5", n)), 'n'}})
		case "more":
			f.set("more", "null", nil)
		}
	}
	if r.IntN(12) == 0 {
		wrong := [][2]string{{"amount", "1.001"}, {"amount", `"much"`}, {"items", "70000"}, {"items", "1.5"}, {"note", `"123456789012345678901"`}, {"due", `"2026-02-30"`}, {"paid", `"perhaps"`}, {"at", `"soon"`}}[r.IntN(8)]
		f.members = slices.DeleteFunc(f.members, func(m string) bool { return strings.HasPrefix(m, quoted(wrong[0])+":") })
		f.members = append(f.members, quoted(wrong[0])+":"+wrong[1])
		f.misfit = true
	}
}

// seconds fills in the declared column of a table that is open otherwise.
func (f *fact) seconds(r *rand.Rand) {
	f.members = slices.DeleteFunc(f.members, func(m string) bool { return strings.HasPrefix(m, `"n":`) })
	n := r.Int64N(1 << 31)
	switch r.IntN(12) {
	case 0:
		f.members, f.misfit = append(f.members, fmt.Sprintf(`"n":%d.5`, n)), true
	case 1:
		f.members, f.misfit = append(f.members, fmt.Sprintf(`"n":%d`, n+1<<31)), true
	default:
		f.set("n", fmt.Sprint(n), map[string]value{"seconds": {fmt.Sprint(n), 'n'}})
	}
}

// inferred fills in properties whose columns are inferred: each of a kind whose
// column widens without loss in whatever order the values come, but for "wild". More
// of them come in later phases.
func (f *fact) inferred(r *rand.Rand, phase int) {
	one := func(key string, raw string, kind byte, text string) {
		f.set(key, raw, map[string]value{strings.ToLower(key): {text, kind}})
	}
	for _, key := range []string{"n", "big", "dec", "day", "text", "flag", "list", "geo", "Größe", "nothing", "wild", "Late"} {
		if r.IntN(3) == 0 {
			continue
		}
		switch key {
		case "n": // BIGINT, then DOUBLE
			raw := fmt.Sprint(r.Int64N(1<<40) - 1<<39)
			if phase > 0 && r.IntN(3) == 0 {
				raw = []string{"0.1", "-2.5e3", "1e2", "123456.789", "-0"}[r.IntN(5)]
			}
			one(key, raw, 'n', number(raw))
		case "big": // BIGINT, then DECIMAL(38,0)
			raw := fmt.Sprint(r.Int64N(100))
			if r.IntN(3) < phase {
				raw = []string{"9007199254740993", "-9223372036854775808", "18446744073709551615", "12345678901234567890123456789012345678"}[r.IntN(min(4, 1+phase))]
			}
			one(key, raw, 'n', number(raw))
		case "dec": // DECIMAL of a growing scale
			raw := fmt.Sprintf("%d.%0*d", 1000+r.Int64N(1e9), 15+min(phase, 3), 1+2*r.Int64N(1e14))
			one(key, raw, 'n', number(raw))
		case "day": // DATE, then TIMESTAMP
			t := time.Date(2020+r.IntN(10), time.Month(1+r.IntN(12)), 1+r.IntN(28), 0, 0, 0, 0, time.UTC)
			raw := t.Format(time.DateOnly)
			if r.IntN(3) < phase {
				t = t.Add(time.Duration(r.Int64N(1e12)) * time.Microsecond)
				raw = t.In(time.FixedZone("", 3600*r.IntN(5))).Format(time.RFC3339Nano)
			}
			one(key, quoted(raw), 't', fmt.Sprint(t.UnixMicro()))
		case "text":
			text := []string{"", "plain", "tab\tand \"quotes\" \\", "Ünï 漢字 \U0001F600", strings.Repeat("long ", 200), "12", "null"}[r.IntN(7)]
			one(key, quoted(text), 's', text)
		case "flag":
			text := fmt.Sprint(r.IntN(2) == 0)
			one(key, text, 'b', text)
		case "list":
			raw := []string{`[]`, `[1,2.50,"x",{"a":null}]`, `[[[]]]`}[r.IntN(3)]
			one(key, raw, 'j', raw)
		case "geo":
			n := r.IntN(90)
			f.set(key, fmt.Sprintf(`{"lat":%d.25,"at":{"x":%d,"name":"é"},"none":null}`, n, n), map[string]value{
				"geo_lat": {number(fmt.Sprintf("%d.25", n)), 'n'}, "geo_at_x": {fmt.Sprint(n), 'n'}, "geo_at_name": {"é", 's'},
			})
		case "Größe":
			f.set(key, "7", map[string]value{"gr__e": {"7", 'n'}})
		case "nothing":
			f.set(key, "null", nil)
		case "wild":
			raw := []string{"1", "true", `"text"`, "2.5", `"2026-01-01"`, `[1]`, "1e400", "0.12345678901234567890123", `"a\u0000b"`, "12345678901234567890123456789012345678901234567890", `"\u00e9"`, `"2026-01-01T00:00:00Z"`}[r.IntN(12)]
			one(key, raw, 'w', raw)
		case "Late":
			for i := range phase {
				one(fmt.Sprintf("Late%d", i), quoted("v"), 's', "v")
			}
		}
	}
}

// number spells a number so that equal ones are spelled the same.
func number(text string) string {
	n, ok := new(big.Rat).SetString(text)
	if !ok {
		return text
	}
	return n.RatString()
}

// rejects are lines that capture refuses.
func rejects(r *rand.Rand, now time.Time) string {
	return []string{
		"not json", `{"event":"order"`, `{"event":"_order","id":"x"}`, `{"id":"x"}`, `{"event":"order","id":7}`, `{"event":"order","id":"x","timestamp":"no"}`,
		`{"event":"order","id":"x","data":[1]}`, `{"event":"seen","id":"` + strings.Repeat("x", 256) + `"}`, `{"event":"seen","id":"y","data":{"_event":1}}`,
		`{"event":"seen","id":"z","timestamp":"` + now.Add(25*time.Hour).Format(time.RFC3339) + `"}`,
	}[r.IntN(10)] + "\n"
}

// shows says whether a cell shows a value.
func (v value) shows(cell any) bool {
	switch v.kind {
	case 'w':
		return cell == nil || v.isAnyhow(cell)
	case 'n':
		return cell != nil && v.text == number(fmt.Sprint(cell))
	case 't':
		t, ok := cell.(time.Time)
		return ok && v.text == fmt.Sprint(t.UnixMicro())
	case 'b':
		return fmt.Sprint(cell) == v.text
	}
	return cell == v.text
}

// isAnyhow says whether a cell of whatever type shows JSON.
func (v value) isAnyhow(cell any) bool {
	text := fmt.Sprint(cell)
	var inside string
	isText := json.Unmarshal([]byte(v.text), &inside) == nil
	if t, ok := cell.(time.Time); ok {
		for _, layout := range []string{time.DateOnly, time.RFC3339Nano} {
			if at, err := time.Parse(layout, inside); err == nil && at.UnixMicro() == t.UnixMicro() {
				return true
			}
		}
		return false
	}
	return text == v.text || isText && text == inside || !isText && number(text) == number(v.text)
}
