package model_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/load"
	"arbalest/internal/model"
)

const hourly = `-- materialized: incremental
-- partition: hour
-- key: hour
SELECT date_trunc('hour', event_time) AS hour, count(*) AS times, max(n) AS most
FROM order_placed GROUP BY 1`

// TestBuild goes through a life: views, tables and incremental models over
// events that come late, and SQL that changes.
func TestBuild(t *testing.T) {
	onEach(t, func(p *place) {
		p.send("order.placed", 0, `{"n":1}`, `{"n":2}`)
		p.send("order.placed", 3, `{"n":3}`)
		p.load()
		p.write("hourly", hourly)
		p.write("daily", "-- materialized: incremental\n-- partition: day by day\nSELECT CAST(hour AS DATE) AS day, CAST(sum(times) AS BIGINT) AS times FROM hourly GROUP BY 1")
		p.write("total", "-- materialized: table\nSELECT count(*) AS times FROM order_placed")
		p.write("big", "SELECT event_id, n FROM order_placed WHERE n > 1")
		p.is(p.build(), "big:built:view hourly:built:full daily:built:full total:built:full")
		p.is(p.build(), "big:current hourly:current daily:current total:current")
		p.want("SELECT hour, times, most FROM hourly ORDER BY 1", "2015-08-18 12:00:00|2|2", "2015-08-18 15:00:00|1|3")
		p.want("SELECT times FROM total", "3")

		p.send("order.placed", -30, `{"n":9}`) // late
		p.send("order.placed", 3, `{"n":4}`)
		p.load()
		p.is(p.build(), "big:current hourly:built:incremental:2 daily:built:incremental:48 total:built:full")
		p.want("SELECT hour, times, most FROM hourly ORDER BY 1", "2015-08-17 06:00:00|1|9", "2015-08-18 12:00:00|2|2", "2015-08-18 15:00:00|2|4")
		p.want("SELECT day, times FROM daily ORDER BY 1", "2015-08-17 00:00:00|1", "2015-08-18 00:00:00|4")
		p.want("SELECT row_count, build FROM arbalest.models WHERE name = 'hourly'", "3|2")
		p.is(p.build(), "big:current hourly:current daily:current total:current")

		p.write("hourly", strings.Replace(hourly, "max(n)", "min(n)", 1))
		p.is(p.build("daily"), "hourly:built:full daily:built:full")
		p.is(p.pass(model.Options{Full: true}, "total"), "total:built:full")
		p.write("big", "-- materialized: table\nSELECT event_id FROM order_placed")
		p.is(p.build("big"), "big:built:full")
		p.write("big", "SELECT event_id, n FROM order_placed")
		p.is(p.build("big"), "big:built:view")
		p.want("SELECT count(*) FROM big", "5")
	})
}

// TestBuildAfterEvolution has columns that come and widen.
func TestBuildAfterEvolution(t *testing.T) {
	onEach(t, func(p *place) {
		p.send("order.placed", 0, `{"n":1}`)
		p.load()
		p.write("copy", "-- materialized: incremental\n-- partition: event_time\nSELECT * FROM order_placed")
		p.write("hourly", hourly)
		if p.kind != "redshift" { // where the emulator binds views early
			p.write("v", "SELECT * FROM order_placed")
			p.write("over", "-- materialized: table\nSELECT count(*) AS times FROM v")
		}
		p.build()
		p.send("order.placed", 1, `{"n":2,"more":"x"}`)
		p.load()
		got := p.build("copy")
		p.is(got, "copy:built:full")
		p.is(p.build("hourly"), "hourly:built:incremental:1")
		p.send("order.placed", 2, `{"n":2.5}`)
		p.load()
		p.is(p.build("hourly"), "hourly:built:full")
		if p.kind != "redshift" {
			p.is(p.build("over"), "v:built:view over:built:full")
			p.want("SELECT event_time, more FROM v ORDER BY 1", "2015-08-18 12:01:00|NULL", "2015-08-18 13:02:00|x", "2015-08-18 14:03:00|NULL")
			p.want("SELECT times FROM over", "3")
			p.rebuild("order_placed")
			p.build()
			p.want("SELECT times FROM over", "3")
			p.want("SELECT count(*) FROM v", "3")
		}
	})
}

// TestCommitInParts builds while half of a commit is loaded, and when all is.
func TestCommitInParts(t *testing.T) {
	onEach(t, func(p *place) {
		p.write("hourly", hourly)
		for i := range 200 {
			p.send("order.placed", -i, fmt.Sprintf(`{"n":%d,"text":"%060d"}`, i, i))
		}
		p.sort()
		if r, err := p.loader.Once(p.Context()); err != nil || r.Idle {
			p.Fatalf("%+v, %v", r, err)
		}
		p.build()
		before := p.rows("SELECT sum(times) FROM hourly")[0]
		p.load()
		if got := p.build(); before == "200" || !strings.HasPrefix(got, "hourly:built:incremental:") {
			p.Errorf("%s rows, then %s", before, got)
		}
		p.want("SELECT CAST(sum(times) AS BIGINT), count(*) FROM hourly", "200|200")
		p.is(p.build(), "hourly:current")
		p.rebuild("order_placed")
		p.is(p.build(), "hourly:built:full")
	})
}

// TestLookup has a source that rows of any hour depend on.
func TestLookup(t *testing.T) {
	onEach(t, func(p *place) {
		p.send("order.placed", 0, `{"n":1}`)
		p.send("user.created", 5, `{"n":1,"name":"jane"}`)
		p.load()
		p.write("named", "-- materialized: incremental\n-- partition: event_time\n-- lookup: user_created\nSELECT o.event_time, u.name FROM order_placed o LEFT JOIN user_created u ON u.n = o.n")
		p.build()
		p.send("user.created", 9, `{"n":2,"name":"joe"}`)
		p.load()
		p.is(p.build(), "named:built:full")
		p.send("order.placed", 1, `{"n":2}`)
		p.load()
		p.is(p.build(), "named:built:incremental:1")
		p.want("SELECT name FROM named ORDER BY 1", "jane", "joe")
	})
}

// TestFailuresHoldUpTheirOwn has models that are wrong in all ways.
func TestFailuresHoldUpTheirOwn(t *testing.T) {
	onEach(t, func(p *place) {
		p.send("order.placed", 0, `{"n":1}`)
		p.send("user.created", 0, `{"n":1}`)
		p.load()
		p.exec("CREATE TABLE mine (n INTEGER)")
		for name, text := range map[string]string{
			"good":         "-- materialized: table\nSELECT n FROM order_placed;\n",
			"on_good":      "SELECT n FROM good",
			"bad":          "-- materialized: table\nSELECT\n  nothing FROM order_placed",
			"on_bad":       "SELECT * FROM bad",
			"on_on_bad":    "SELECT on_bad.n FROM on_bad, good",
			"lost":         "-- description: x\nSELECT *\nFROM order_placed o\nJOIN elsewhere e ON true",
			"soon":         "SELECT * FROM expected_one",
			"on_soon":      "SELECT * FROM soon",
			"ring_a":       "-- description: x\nSELECT * FROM ring_b",
			"ring_b":       "SELECT * FROM ring_a",
			"odd":          "-- materialised: table\nSELECT 1 AS one",
			"two":          "SELECT 1 AS one;\nSELECT 2",
			"not_select":   "\nDELETE FROM order_placed",
			"mine":         "SELECT 1 AS one",
			"user_created": "SELECT 1 AS one",
			"untimed":      "-- materialized: incremental\nSELECT n FROM order_placed",
			"untimely":     "-- partition: n\n-- materialized: incremental\nSELECT n FROM order_placed",
			"no_column":    "-- materialized: incremental\n-- partition: hour\nSELECT n FROM order_placed",
			"undated":      "-- materialized: incremental\n-- partition: d\nSELECT CAST(event_time AS DATE) AS d FROM order_placed",
		} {
			p.write(name, text)
		}
		results, err := p.builder(model.Options{Parallel: 3, Expected: []string{"expected_one"}}).Once(p.Context())
		if !errors.Is(err, arbalest.ErrInvalid) || !errors.Is(err, arbalest.ErrUnknown) {
			p.Error(err)
		}
		want := map[string]string{
			"good": "built", "on_good": "built", "bad": "failed: nothing", "on_bad": "skipped: it needs bad", "on_on_bad": "skipped: it needs on_bad",
			"lost": "failed: lost.sql:4: not found: table elsewhere", "soon": "waiting: table expected_one", "on_soon": "skipped: it needs soon",
			"ring_a": "failed: ring_a.sql:2: invalid: a model cannot need itself: ring_a needs ring_b needs ring_a", "ring_b": "failed: ring_b.sql:1:",
			"odd": "failed: odd.sql:1: invalid: unknown header \"materialised\"", "two": "failed: two.sql:1: invalid: a model is one SELECT", "not_select": "failed: not_select.sql:2: invalid: a model is one SELECT, and this begins with DELETE",
			"mine": "failed: mine.sql:1: already exists: there is a table or view mine that no model made", "user_created": "failed: user_created.sql:1: already exists: an event's table",
			"untimed": "failed: untimed.sql:1: invalid: an incremental model needs", "untimely": "failed: untimely.sql:1: invalid: partition: column n is", "no_column": "failed: no_column.sql:2: invalid: partition: the result has no column hour",
			"undated": "failed: undated.sql:2: invalid: partition: column d is a DATE, which does not tell hours apart: write d by day",
		}
		for _, r := range results {
			state, why, _ := strings.Cut(want[r.Model], ": ")
			if r.State != state || !strings.Contains(r.Why, why) {
				p.Errorf("%s: %s: %s; want %s", r.Model, r.State, r.Why, want[r.Model])
			}
			delete(want, r.Model)
		}
		if len(want) > 0 {
			p.Errorf("not told of: %v", want)
		}
		p.want("SELECT state FROM arbalest.models WHERE name = 'bad'", "failed")
		p.write("bad", "-- materialized: table\nSELECT n FROM order_placed")
		rebuilt := "bad:built:full on_bad:built:view good:current on_on_bad:built:view"
		if p.kind == "postgres" { // whose views go with what they stand on
			rebuilt += " on_good:current"
		}
		p.is(p.build("on_on_bad"), rebuilt)
		p.want("SELECT state, message FROM arbalest.models WHERE name = 'bad'", "built|NULL")
		if _, err := p.builder(model.Options{}).Once(p.Context(), "nowhere"); !errors.Is(err, arbalest.ErrUnknown) {
			p.Error(err)
		}
		p.want("SELECT n FROM mine")
	})
}

// TestHoursMadeAgain makes hours of a source again: those are built again, with those
// of the newest commit, and no others, however often.
func TestHoursMadeAgain(t *testing.T) {
	onEach(t, func(p *place) {
		p.write("hourly", hourly)
		p.write("total", "-- materialized: table\nSELECT count(*) AS times FROM order_placed")
		p.send("order.placed", 0, `{"n":1}`)
		p.load()
		p.send("order.placed", -1, `{"n":1}`)
		p.send("order.placed", 0, `{"n":2}`)
		p.load()
		p.send("order.placed", 1, `{"n":3}`)
		p.load()
		p.build()
		at := arbalest.HourOf(noon)
		for range 3 {
			p.rebuildPart("order_placed", load.Part{From: at, To: at + 1})
			p.is(p.build(), "hourly:built:incremental:2 total:built:full")
			p.is(p.build(), "hourly:current total:current")
		}
		p.rebuildPart("order_placed", load.Part{From: at, To: at + 10})
		p.is(p.build(), "hourly:built:incremental:2 total:built:full")
		p.rebuildPart("order_placed", load.Part{From: at + 2, To: at + 10})
		p.is(p.build(), "hourly:current total:current")
		p.want("SELECT hour, times, most FROM hourly ORDER BY 1", "2015-08-18 11:00:00|1|1", "2015-08-18 12:00:00|2|2", "2015-08-18 13:00:00|1|3")
		p.rebuild("order_placed")
		p.is(p.build(), "hourly:built:full total:built:full")
	})
}
