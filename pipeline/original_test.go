package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/warehouse"
	"arbalest/pipeline"
)

// The tests of this file hold behaviours of the original library that no other
// test does: doc/arbalest.md has the list of all.

// columnsOf returns a table's columns, in order, and their types by the kind of
// value that they take.
const columnsOf = `SELECT column_name, CASE WHEN data_type IN ('BOOLEAN', 'boolean') THEN 'boolean' WHEN data_type IN ('INTEGER', 'integer') THEN 'integer'
	WHEN data_type LIKE 'TIMESTAMP%%' OR data_type LIKE 'timestamp%%' THEN 'timestamp' ELSE 'text' END
	FROM information_schema.columns WHERE table_name = '%s' AND table_schema = current_schema() ORDER BY ordinal_position`

// people has a property of each sort: plain, renamed, with dots, and nested.
func people(table string) arbalest.Schema {
	return arbalest.JSONObject(table,
		arbalest.Property("id", "VARCHAR(36)"),
		arbalest.Property("someNumber", "INTEGER", arbalest.As("customName")),
		arbalest.Property("dotted.name", "VARCHAR(9)"),
		arbalest.Nested("parent",
			arbalest.Nested("child", arbalest.Property("grandChild", "BOOLEAN")),
			arbalest.Property("at", "TIMESTAMP", arbalest.As("happened"))))
}

func TestTablesHaveTheColumnsOfTheirProperties(t *testing.T) {
	onEach(t, func(p *place) {
		p.put("s/a", `{"parent":{"at":"2014-11-10T01:00:00Z","child":{"grandChild":true},"other":1},"dotted.name":"x","dotted":{"name":"y"},"someNumber":7,"id":"1"}{"id":"2","custom_name":3}`)
		p.run(pipeline.New("people", pipeline.BulkCopy("s", people("bulk")), pipeline.ManifestCopy("s", people("manifest"))))
		for _, table := range []string{"bulk", "manifest"} {
			p.want(fmt.Sprintf(columnsOf, table), "id|text", "customname|integer", "dotted.name|text", "parent_child_grandchild|boolean", "happened|timestamp")
			p.want(`SELECT id, customname, "dotted.name", parent_child_grandchild, happened FROM `+table+" ORDER BY id",
				"1|7|x|true|2014-11-10 01:00:00 +0000 UTC", "2|NULL|NULL|NULL|NULL")
		}
	})
}

func TestLongColumnNamesAreCutToTheWarehouses(t *testing.T) {
	onEach(t, func(p *place) {
		most := p.env.Warehouse.Dialect().MaxName
		long := strings.Repeat("n", most)
		p.put("s/a", fmt.Sprintf(`{"%s_and_more":1}`, long))
		schema := arbalest.JSONObject("t", arbalest.Property(long+"_and_more", "INTEGER"))
		p.run(pipeline.New("long", pipeline.BulkCopy("s", schema)))
		p.want("SELECT "+long+" FROM t", "1")
		// A table's name has to leave room for its staging table's.
		table := strings.Repeat("t", most-len("_update"))
		p.run(pipeline.New("long", pipeline.BulkCopy("s", arbalest.JSONObject(table, schema.Properties...))))
		if _, err := pipeline.New("long", pipeline.BulkCopy("s", arbalest.JSONObject(table+"t", schema.Properties...))).Run(p.Context(), p.env, pipeline.Options{}); !errors.Is(err, arbalest.ErrInvalid) {
			p.Errorf("a table whose staging table has no name: %v", err)
		}
	})
}

func TestTablesOfOtherSchemasAreLeftAlone(t *testing.T) {
	onEach(t, func(p *place) {
		p.exec("CREATE SCHEMA elsewhere", "CREATE TABLE elsewhere.numbers (n INTEGER, ts TIMESTAMP)", "INSERT INTO elsewhere.numbers VALUES (7, NULL)")
		p.put("s/a", `{"n":1}`)
		p.run(pipeline.New("here", pipeline.BulkCopy("s", numbers("numbers")), pipeline.ManifestCopy("s", numbers("manifest"))))
		p.want("SELECT n FROM elsewhere.numbers", "7")
		p.run(pipeline.New("there", pipeline.BulkCopy("s", numbers("elsewhere.numbers")), pipeline.ManifestCopy("s", numbers("elsewhere.manifest"))))
		p.want("SELECT n FROM elsewhere.numbers", "1")
		p.want("SELECT n FROM elsewhere.manifest", "1")
		p.want("SELECT table_schema FROM information_schema.tables WHERE table_name = 'manifest' AND table_schema <> 'elsewhere'", p.schema())
		p.want("SELECT count(*) FROM information_schema.tables WHERE table_name LIKE '%_update'", "0")
	})
}

// schema returns the schema of tables that are named without one.
func (p *place) schema() string {
	p.Helper()
	rows, err := query(p.Context(), p.env.Warehouse, "SELECT current_schema()")
	if err != nil {
		p.Fatal(err)
	}
	return rows[0]
}

func TestTheStoreIsOnlyRead(t *testing.T) {
	onEach(t, func(p *place) {
		keys := []string{"s/2014-11-10/a", "s/2014-11-11/b"}
		for i, key := range keys {
			p.put(key, fmt.Sprintf(`{"n":%d,"at":"2014-11-1%d"}`, i, i))
		}
		l := pipeline.New("all", pipeline.BulkCopy("s", numbers("bulk")), pipeline.ManifestCopy("s", numbers("manifest")), pipeline.TimeSeries("s", numbers("series"), "ts", pipeline.Days()))
		if _, err := l.Validate(p.Context(), p.env); err != nil {
			p.Fatal(err)
		}
		p.run(l)
		var left []string
		for o, err := range p.env.Store.List(p.Context(), "", "") {
			if err != nil {
				p.Fatal(err)
			}
			left = append(left, string(o.Key))
		}
		if strings.Join(left, " ") != strings.Join(keys, " ") {
			p.Errorf("the store has %q, want %q", left, keys)
		}
	})
}

func TestManifestCopyFromTwoSources(t *testing.T) {
	onEach(t, func(p *place) {
		p.put("a/x", `{"n":1}`)
		p.put("b/x", `{"n":2}`)
		// Names of tables are in lower case, so that these are one.
		l := pipeline.New("two", pipeline.ManifestCopy("a", numbers("Numbers")), pipeline.ManifestCopy("b", numbers("numbers")))
		for range 2 {
			p.run(l)
			p.want("SELECT n FROM numbers ORDER BY n", "1", "2")
		}
		p.run(pipeline.New("beside", pipeline.ManifestCopy("a", numbers("others"))))
		p.want("SELECT n FROM others", "1")
		p.want("SELECT table_name, object FROM arbalest.copied ORDER BY table_name, object", "numbers|a/x", "numbers|b/x", "others|a/x")
	})
}

// A losing database copies from a store that lost an object since it was listed.
type losing struct {
	warehouse.Database
	lose func() error
}

func (l losing) Transact(ctx context.Context, lock string, do func(warehouse.Tx) error) error {
	return l.Database.Transact(ctx, lock, func(tx warehouse.Tx) error { return do(losingTx{tx, l.lose}) })
}

type losingTx struct {
	warehouse.Tx
	lose func() error
}

func (t losingTx) Copy(ctx context.Context, table string, c warehouse.Copy) (warehouse.Copied, error) {
	if err := t.lose(); err != nil {
		return warehouse.Copied{}, err
	}
	return t.Tx.Copy(ctx, table, c)
}

func TestEveryListedObjectIsMandatory(t *testing.T) {
	onEach(t, func(p *place) {
		l := pipeline.New("lost", pipeline.ManifestCopy("s", numbers("numbers"), pipeline.MaxErrors(100)))
		p.put("s/a", `{"n":1}`)
		p.run(l)
		p.put("s/b", `{"n":2}`)
		p.put("s/c", `{"n":3}`)
		env := p.env
		env.Warehouse = losing{env.Warehouse, func() error { return p.env.Store.Delete(p.Context(), "s/c") }}
		if _, err := l.Run(p.Context(), env, pipeline.Options{}); !errors.Is(err, arbalest.ErrUnknown) {
			p.Errorf("err is %v, want ErrUnknown", err)
		}
		p.want("SELECT n FROM numbers", "1")
		p.want("SELECT object FROM arbalest.copied", "s/a")
		p.run(l) // lists what there is
		p.want("SELECT n FROM numbers ORDER BY n", "1", "2")
	})
}

func TestValidateDoesNotWriteTheJournal(t *testing.T) {
	onEach(t, func(p *place) {
		l := pipeline.New("manifest", pipeline.ManifestCopy("s", numbers("numbers")))
		p.put("s/a", `{"n":1}`)
		p.run(l)
		p.put("s/b", `{"n":2}`)
		if r, err := l.Validate(p.Context(), p.env); err != nil || r.Steps[0].Objects != 1 || r.Steps[0].Rows != 1 {
			p.Errorf("%+v, %v", r, err)
		}
		p.want("SELECT object FROM arbalest.copied", "s/a")
		p.want("SELECT n FROM numbers", "1")
		p.put("s/c", `{"n":"many"}`)
		if _, err := l.Validate(p.Context(), p.env); !errors.Is(err, arbalest.ErrInvalid) {
			p.Errorf("of a bad object: %v, want ErrInvalid", err)
		}
		p.put("s/c", `{"n":3}`)
		p.run(l)
		p.want("SELECT n FROM numbers ORDER BY n", "1", "2", "3")
		p.exec("DELETE FROM arbalest.copied")
		if _, err := l.Validate(p.Context(), p.env); !errors.Is(err, arbalest.ErrExists) {
			p.Errorf("of a table without a journal: %v, want ErrExists", err)
		}
		p.want("SELECT count(*) FROM numbers", "3")
	})
}

func TestValidateLeavesTheTable(t *testing.T) {
	onEach(t, func(p *place) {
		l := pipeline.New("bulk", pipeline.BulkCopy("s", numbers("numbers")))
		p.put("s/a", `{"n":1}`)
		p.run(l)
		p.put("s/a", `{"n":2}`)
		if r, err := l.Validate(p.Context(), p.env); err != nil || r.Steps[0].Rows != 1 {
			p.Errorf("%+v, %v", r, err)
		}
		p.want("SELECT n FROM numbers", "1")
		p.want("SELECT count(*) FROM information_schema.tables WHERE table_name = 'numbers_update'", "0")
		p.want("SELECT count(*) FROM arbalest.runs", "1") // a validation is no run
	})
}

// TestManifestCopyInPages has sources that are copied in several transactions.
func TestManifestCopyInPages(t *testing.T) {
	onEach(t, func(p *place) {
		l := pipeline.New("pages", pipeline.InPages(pipeline.ManifestCopy("s", numbers("numbers")), 3))
		for i := range 7 {
			p.put(fmt.Sprintf("s/%d", i), fmt.Sprintf(`{"n":%d}`, i))
		}
		if r, err := l.Validate(p.Context(), p.env); err != nil || r.Steps[0].Objects != 7 || r.Steps[0].Rows != 7 {
			p.Errorf("%+v, %v", r, err)
		}
		if r := p.run(l); r.Steps[0].Objects != 7 || r.Rows() != 7 {
			p.Errorf("%+v", r)
		}
		if r := p.run(l); r.Steps[0].Objects != 0 || r.Rows() != 0 {
			p.Errorf("nothing new: %+v", r)
		}
		p.want("SELECT count(*), count(DISTINCT n) FROM numbers", "7|7")
		// What is wrong is on a page after one that was copied.
		p.put("s/7", `{"n":"many"}`)
		if _, err := l.Validate(p.Context(), p.env); !errors.Is(err, arbalest.ErrInvalid) {
			p.Errorf("of a bad object on the last page: %v, want ErrInvalid", err)
		}
		if plans, err := l.Plan(p.Context(), p.env); err != nil || plans[0].Objects != 1 {
			p.Errorf("%+v, %v", plans, err)
		}
	})
}

func TestSQLTakesStatementsAsTheyAre(t *testing.T) {
	onEach(t, func(p *place) {
		p.exec("CREATE TABLE t (n INTEGER, s VARCHAR(20))")
		p.run(pipeline.New("sql", pipeline.SQL(
			pipeline.S("INSERT INTO t VALUES ($1, $2)", 1, "50%"),
			pipeline.S("INSERT INTO t VALUES (2, '%s'), (3, '100%');"),
			pipeline.S("SELECT * FROM t"),
			pipeline.S("SELECT * FROM t WHERE s = $1", "x"),
			pipeline.S("DELETE FROM t WHERE s LIKE '100%' AND n > $1", 1),
			pipeline.S("INSERT INTO t VALUES ($1, $2)", 4, "x'); DELETE --"),
			pipeline.S("INSERT INTO t SELECT n + $1, s FROM t WHERE n = $2", 10, 1))))
		p.want("SELECT n, s FROM t ORDER BY n", "1|50%", "2|%s", "4|x'); DELETE --", "11|50%")
	})
}

func TestSQLRefusesNumbersThatAreTooLarge(t *testing.T) {
	db, store := duck(t)
	args := []any{uint64(1 << 63)}
	_, err := pipeline.New("p", pipeline.SQL(pipeline.S("SELECT $1", args...))).Run(t.Context(), pipeline.Env{Store: store, Warehouse: db}, pipeline.Options{})
	if !errors.Is(err, arbalest.ErrInvalid) {
		t.Errorf("err is %v, want ErrInvalid", err)
	}
	args[0] = 1
	if s := pipeline.S("SELECT $1", args...); args[0] != 1 || s.Args[0] != int64(1) {
		t.Errorf("%v became %v", args, s.Args)
	}
}

func TestSQLIsRolledBackByValidate(t *testing.T) {
	onEach(t, func(p *place) {
		p.exec("CREATE TABLE t (n INTEGER)")
		l := pipeline.New("sql",
			pipeline.SQL(pipeline.S("INSERT INTO t VALUES ($1)", 1), pipeline.S("INSERT INTO t SELECT n + 1 FROM t")),
			pipeline.SQL(pipeline.S("CREATE TABLE made AS SELECT n FROM t")))
		if r, err := l.Validate(p.Context(), p.env); err != nil || r.State != pipeline.Done {
			p.Errorf("%+v, %v", r, err)
		}
		p.want("SELECT count(*) FROM t", "0")
		p.want("SELECT count(*) FROM information_schema.tables WHERE table_name = 'made'", "0")
		p.run(l)
		p.want("SELECT n FROM made ORDER BY n", "1", "2")
	})
}

func TestPipelinesWithoutStepsAreRefused(t *testing.T) {
	onEach(t, func(p *place) {
		l := pipeline.New("none")
		_, run := l.Run(p.Context(), p.env, pipeline.Options{})
		_, validate := l.Validate(p.Context(), p.env)
		_, plan := l.Plan(p.Context(), p.env)
		for name, err := range map[string]error{"run": run, "validate": validate, "plan": plan} {
			if !errors.Is(err, arbalest.ErrInvalid) {
				p.Errorf("%s: %v, want ErrInvalid", name, err)
			}
		}
		p.want("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'arbalest' AND table_name = 'runs'", "0")
	})
}

func TestStepsAreThoseOfThePipelineInOrder(t *testing.T) {
	l := pipeline.New("all", pipeline.BulkCopy("/a/", numbers("t")), pipeline.ManifestCopy("b", numbers("u")),
		pipeline.TimeSeries("c", numbers("v"), "ts", pipeline.Days()), pipeline.SQL(pipeline.S("DELETE FROM t WHERE n = 1")), pipeline.Sync())
	want := "bulk copy a into t; manifest copy b into u; time series c into v; sql: DELETE FROM t WHERE n =; sync"
	if got := strings.Join(l.Steps(), "; "); got != want {
		t.Errorf("steps are %q, want %q", got, want)
	}
}

func TestTimeSeriesIntoATableThatIsThere(t *testing.T) {
	onEach(t, func(p *place) {
		// Columns are found by their names; there are others, in another order.
		p.exec("CREATE TABLE test_table (ts TIMESTAMP, note VARCHAR(9), n INTEGER)",
			"INSERT INTO test_table VALUES ('2014-11-09 23:59:59', 'old', 9), ('2014-11-10 00:00:00', 'old', 10), ('2014-11-30 00:00:00', 'old', 30)")
		p.put("s/2014-11-10/x", `{"n":1,"at":"2014-11-10T01:00:00Z"}{"n":1,"at":"2014-11-10T01:00:00Z"}`) // rows that are alike are two rows
		p.put("s/2014-11-11/x", `{"n":2,"at":"2014-11-11T01:00:00Z"}`)
		for range 2 {
			p.run(series()(pipeline.Days()))
			p.want("SELECT n, note FROM test_table ORDER BY ts, n", "9|old", "1|NULL", "1|NULL", "2|NULL")
		}
		p.want("SELECT count(*) FROM information_schema.tables WHERE table_name LIKE 'test_table_%' OR table_name LIKE 's_2014%'", "0")
	})
}

func TestTimeSeriesOfIntegers(t *testing.T) {
	onEach(t, func(p *place) {
		for _, n := range []int{1, 2, 9, 10, 11} {
			p.put(fmt.Sprintf("s/%d/x", n), fmt.Sprintf(`{"n":%d}`, n))
		}
		l := func(s pipeline.SortedSources) *pipeline.Pipeline {
			return pipeline.New("integers", pipeline.TimeSeries("s", numbers("test_table"), "n", s))
		}
		p.run(l(pipeline.Integers().From("2").To("10")))
		p.want("SELECT n FROM test_table ORDER BY n", "2", "9", "10")
		p.run(l(pipeline.Integers().Follow()))
		p.want("SELECT n FROM test_table ORDER BY n", "2", "9", "10", "11")
		p.want("SELECT last_source FROM arbalest.sources", "11")
	})
}

// hourly puts an object into each of some hours of two days.
func (p *place) hourly() {
	for _, at := range []string{"2014-11-10/00", "2014-11-10/05", "2014-11-10/23", "2014-11-11/01"} {
		day, hour, _ := strings.Cut(at, "/")
		p.put("s/"+at+"/x", fmt.Sprintf(`{"n":%s,"at":"%sT%s:30:00Z","day":"%[2]s"}`, strings.TrimLeft(day[8:]+hour, "0"), day, hour))
	}
}

func TestTimeSeriesOfHours(t *testing.T) {
	onEach(t, func(p *place) {
		p.hourly()
		p.run(series()(pipeline.Days().From("2014-11-10/05").To("2014-11-10")))
		p.want("SELECT n FROM test_table ORDER BY n", "1005", "1023")
		p.run(series()(pipeline.Hours().To("2014-11-10/05")))
		p.want("SELECT n FROM test_table ORDER BY n", "1000", "1005") // what is after the last source goes
		p.run(series()(pipeline.Hours().Follow()))
		p.want("SELECT n FROM test_table ORDER BY n", "1000", "1005", "1023", "1101")
		p.want("SELECT last_source FROM arbalest.sources", "2014-11-11/01")
	})
}

// TestTimeSeriesOfHoursByDay has an order that does not tell hours apart: what
// is deleted is whole days, and so whole days are copied.
func TestTimeSeriesOfHoursByDay(t *testing.T) {
	for _, kind := range []string{"DATE", "VARCHAR(10)"} {
		l := func(s pipeline.SortedSources) *pipeline.Pipeline {
			schema := arbalest.JSONObject("by_day", arbalest.Property("n", "INTEGER"), arbalest.Property("day", kind))
			return pipeline.New("by_day", pipeline.TimeSeries("s", schema, "day", s))
		}
		onEach(t, func(p *place) {
			p.hourly()
			p.run(l(pipeline.Hours().To("2014-11-10/05")))
			p.want("SELECT n FROM by_day ORDER BY n", "1000", "1005")
			p.run(l(pipeline.Hours().Follow()))
			p.want("SELECT n FROM by_day ORDER BY n", "1000", "1005", "1023", "1101")
		})
	}
}

func TestTimeSeriesRefusesWhatWouldLoseRows(t *testing.T) {
	db, store := duck(t)
	byDay := arbalest.JSONObject("t", arbalest.Property("day", "DATE"))
	for name, step := range map[string]pipeline.Step{
		"an hour of a DATE":      pipeline.TimeSeries("s", byDay, "day", pipeline.Hours().From("2014-11-10/05")),
		"follow and update date": pipeline.TimeSeries("s", numbers("t"), "ts", pipeline.Days().Follow(), pipeline.UpdateFrom("2014-11-01")),
		"hours of one digit":     pipeline.TimeSeries("s", numbers("t"), "ts", pipeline.Hours().From("2014-11-10/5")),
	} {
		if _, err := pipeline.New("p", step).Run(t.Context(), pipeline.Env{Store: store, Warehouse: db}, pipeline.Options{}); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

func TestTheCursorMovesWithTheRows(t *testing.T) {
	onEach(t, func(p *place) {
		l := series()(pipeline.Days().Follow())
		p.put("s/2014-11-10/x", `{"n":10,"at":"2014-11-10"}`)
		p.put("s/2014-11-11/x", `{"n":11,"at":"2014-11-11"}`)
		if _, err := l.Validate(p.Context(), p.env); err != nil {
			p.Fatal(err)
		}
		p.run(l)
		p.want("SELECT last_source FROM arbalest.sources", "2014-11-11")
		p.put("s/2014-11-12/x", `{"n":"many","at":"2014-11-12"}`)
		if _, err := l.Run(p.Context(), p.env, pipeline.Options{}); !errors.Is(err, arbalest.ErrInvalid) {
			p.Errorf("err is %v, want ErrInvalid", err)
		}
		p.want("SELECT last_source FROM arbalest.sources", "2014-11-11")
		p.want("SELECT n FROM test_table ORDER BY n", "10", "11")
		p.put("s/2014-11-12/x", `{"n":12,"at":"2014-11-12"}`)
		if r := p.run(l); r.Steps[0].Objects != 2 {
			p.Errorf("%+v", r)
		}
		// Rolled back, it begins anew; so it does with a table that is gone.
		for _, back := range []string{"DELETE FROM arbalest.sources", "DROP TABLE test_table"} {
			p.exec(back)
			if r := p.run(l); r.Steps[0].Objects != 3 {
				p.Errorf("after %s: %+v", back, r)
			}
			p.want("SELECT n FROM test_table ORDER BY n", "10", "11", "12")
			p.want("SELECT last_source FROM arbalest.sources", "2014-11-12")
		}
	})
}

func TestValidateSeesRowsBeforeTheUpdateDate(t *testing.T) {
	onEach(t, func(p *place) {
		p.put("s/2014-11-10/x", `{"n":1,"at":"2014-11-10T01:00:00Z"}{"n":2,"at":"2014-11-09T23:00:00Z"}`)
		if _, err := series()(pipeline.Days()).Validate(p.Context(), p.env); !errors.Is(err, arbalest.ErrInvalid) {
			p.Errorf("err is %v, want ErrInvalid, as a run's", err)
		}
		r, err := series(pipeline.UpdateFrom("2014-11-09"))(pipeline.Days()).Validate(p.Context(), p.env)
		if err != nil || r.Steps[0].Rows != 2 {
			p.Errorf("%+v, %v", r, err)
		}
		p.want("SELECT count(*) FROM information_schema.tables WHERE table_name IN ('test_table', 'test_table_update')", "0")
	})
}

func TestTaskRunsItsPipeline(t *testing.T) {
	onEach(t, func(p *place) {
		p.exec("CREATE TABLE counts (n INTEGER)")
		task := pipeline.New("counted", pipeline.SQL(pipeline.S("INSERT INTO counts VALUES (1)"))).Task(p.env, "2014-11-10")
		if task.Name() != "counted" || len(task.Requires()) != 0 {
			p.Errorf("%s requires %v", task.Name(), task.Requires())
		}
		for _, before := range []bool{false, true} {
			if done, err := task.Complete(p.Context()); err != nil || done != before {
				p.Errorf("complete is %v, %v, want %v", done, err, before)
			}
			if err := task.Run(p.Context()); err != nil {
				p.Fatal(err)
			}
		}
		p.want("SELECT count(*) FROM counts", "1")
	})
}
