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

func TestBulkCopyReplacesTheTable(t *testing.T) {
	onEach(t, func(p *place) {
		l := pipeline.New("bulk", pipeline.BulkCopy("events/1/", numbers("numbers")))
		p.put("events/1/a", `{"n":1,"at":"2014-11-10T02:00:00+02:00"}`)
		p.put("events/1/b", `{"n":2}{"n":3}`)
		p.put("events/10/c", `{"n":99}`) // a prefix of the key is not the source
		p.put("events/1.json", `{"n":99}`)
		if r := p.run(l); r.State != pipeline.Done || r.Rows() != 3 || r.Steps[0].Objects != 2 {
			p.Errorf("%+v", r)
		}
		p.want("SELECT n, ts FROM numbers ORDER BY n", "1|2014-11-10 00:00:00 +0000 UTC", "2|NULL", "3|NULL")
		p.put("events/1/b", `{"n":4}`)
		p.run(l)
		p.want("SELECT n FROM numbers ORDER BY n", "1", "4")
		p.want("SELECT count(*) FROM information_schema.tables WHERE table_name = 'numbers_update'", "0")
	})
}

func TestBulkCopyThatFailsLeavesTheTable(t *testing.T) {
	onEach(t, func(p *place) {
		l := pipeline.New("bulk", pipeline.BulkCopy("s", numbers("numbers")))
		p.put("s/a", `{"n":1}`)
		p.run(l)
		p.put("s/a", "{\"n\":2}\n{\"n\":\"many\"}")
		_, err := l.Run(p.Context(), p.env, pipeline.Options{})
		var too *warehouse.CopyError
		if !errors.As(err, &too) || !errors.Is(err, arbalest.ErrInvalid) {
			p.Fatalf("err is %v, want a CopyError", err)
		}
		p.want("SELECT n FROM numbers", "1")
		p.want("SELECT table_name, object, line, column_name FROM arbalest.copy_errors", "numbers|s/a|2|n")
		p.want("SELECT state, attempts FROM arbalest.steps ORDER BY started_at", "done|1", "failed|1")
		if err := p.env.Store.Delete(p.Context(), "s/a"); err != nil {
			p.Fatal(err)
		}
		if _, err := l.Run(p.Context(), p.env, pipeline.Options{}); !errors.Is(err, arbalest.ErrUnknown) {
			p.Errorf("of an empty source: %v, want ErrUnknown", err)
		}
		p.want("SELECT n FROM numbers", "1")
		p.run(pipeline.New("bulk", pipeline.BulkCopy("s", numbers("numbers"), pipeline.AllowEmpty())))
		p.want("SELECT count(*) FROM numbers", "0")
	})
}

func TestMaxErrors(t *testing.T) {
	onEach(t, func(p *place) {
		p.put("s/a", "{\"n\":1}\n{\"n\":\"x\"}\n{\"n\":2}\n{\"n\":\"y\"}\n{\"n\":3}")
		if _, err := pipeline.New("two", pipeline.BulkCopy("s", numbers("t"), pipeline.MaxErrors(2))).Run(p.Context(), p.env, pipeline.Options{}); !errors.Is(err, arbalest.ErrInvalid) {
			p.Errorf("with two errors of at most 2: %v", err)
		}
		r := p.run(pipeline.New("three", pipeline.BulkCopy("s", numbers("t"), pipeline.MaxErrors(3))))
		if r.Rows() != 3 || r.Steps[0].Errors != 2 {
			p.Errorf("%+v", r)
		}
		p.want("SELECT n FROM t ORDER BY n", "1", "2", "3")
		p.want("SELECT line, column_name FROM arbalest.copy_errors WHERE pipeline = 'three' ORDER BY line", "2|n", "4|n")
	})
}

func TestManifestCopyCopiesWhatIsNew(t *testing.T) {
	onEach(t, func(p *place) {
		l := pipeline.New("manifest", pipeline.ManifestCopy("s", numbers("numbers")))
		p.run(l) // nothing yet: a table without rows
		p.want("SELECT count(*) FROM numbers", "0")
		p.put("s/2014-11-10/b", `{"n":1}`)
		if r := p.run(l); r.Rows() != 1 {
			p.Errorf("%+v", r)
		}
		p.put("s/2014-11-10/a", `{"n":2}`) // late, before what was copied
		p.put("s/2014-11-11/c", `{"n":3}`)
		if r := p.run(l); r.Rows() != 2 || r.Steps[0].Objects != 2 {
			p.Errorf("%+v", r)
		}
		if r := p.run(l); r.Rows() != 0 || r.Steps[0].Objects != 0 {
			p.Errorf("nothing new: %+v", r)
		}
		p.want("SELECT n FROM numbers ORDER BY n", "1", "2", "3")
		p.want("SELECT object, bytes FROM arbalest.copied ORDER BY object", "s/2014-11-10/a|7", "s/2014-11-10/b|7", "s/2014-11-11/c|7")
		// What is deleted in the store and comes back was copied before.
		if err := p.env.Store.Delete(p.Context(), "s/2014-11-10/b"); err != nil {
			p.Fatal(err)
		}
		p.run(l)
		p.put("s/2014-11-10/b", `{"n":1}`)
		p.run(l)
		p.want("SELECT n FROM numbers ORDER BY n", "1", "2", "3")
		// A table that was dropped is made again, with all there is.
		p.exec("DROP TABLE numbers")
		p.run(l)
		p.want("SELECT n FROM numbers ORDER BY n", "1", "2", "3")
	})
}

func TestManifestCopyNeverDropsATable(t *testing.T) {
	onEach(t, func(p *place) {
		p.exec("CREATE TABLE numbers (n INTEGER, ts TIMESTAMP)", "INSERT INTO numbers VALUES (7, NULL)")
		p.put("s/a", `{"n":1}`)
		_, err := pipeline.New("manifest", pipeline.ManifestCopy("s", numbers("numbers"))).Run(p.Context(), p.env, pipeline.Options{})
		if !errors.Is(err, arbalest.ErrExists) || !strings.Contains(err.Error(), "adopt") {
			p.Errorf("err is %v, want ErrExists that says what to do", err)
		}
		p.want("SELECT n FROM numbers", "7")
		p.run(pipeline.New("manifest", pipeline.ManifestCopy("s", numbers("numbers"), pipeline.Adopt())))
		p.want("SELECT n FROM numbers ORDER BY n", "1", "7")
	})
}

func series(options ...pipeline.Option) func(pipeline.SortedSources) *pipeline.Pipeline {
	return func(s pipeline.SortedSources) *pipeline.Pipeline {
		return pipeline.New("series", pipeline.TimeSeries("s", numbers("test_table"), "ts", s, options...))
	}
}

func TestTimeSeriesReplacesTheEnd(t *testing.T) {
	onEach(t, func(p *place) {
		for day := 9; day <= 13; day++ {
			p.put(fmt.Sprintf("s/2014-11-%02d/x", day), fmt.Sprintf(`{"n":%d,"at":"2014-11-%02dT01:00:00Z"}`, day, day))
		}
		l := series()
		p.run(l(pipeline.Days().From("2014-11-10").To("2014-11-12")))
		p.want("SELECT n FROM test_table ORDER BY n", "10", "11", "12")
		p.run(l(pipeline.Days().From("2014-11-10").To("2014-11-12"))) // twice is once
		p.want("SELECT n FROM test_table ORDER BY n", "10", "11", "12")
		p.put("s/2014-11-12/late", `{"n":120,"at":"2014-11-12T23:59:59Z"}`)
		p.run(l(pipeline.Days().From("2014-11-12")))
		p.want("SELECT n FROM test_table ORDER BY n", "10", "11", "12", "13", "120")
		p.want("SELECT table_name, source, last_source FROM arbalest.sources", "test_table|s|2014-11-13")
		// Following goes on at the last source, which may have grown.
		p.put("s/2014-11-13/late", `{"n":130,"at":"2014-11-13T02:00:00Z"}`)
		p.put("s/2014-11-14/x", `{"n":14,"at":"2014-11-14T02:00:00Z"}`)
		if r := p.run(l(pipeline.Days().Follow())); r.Steps[0].Objects != 3 {
			p.Errorf("%+v", r)
		}
		p.want("SELECT n FROM test_table ORDER BY n", "10", "11", "12", "13", "14", "120", "130")
	})
}

func TestTimeSeriesLeavesOutWhatItWouldDouble(t *testing.T) {
	onEach(t, func(p *place) {
		p.put("s/2014-11-10/x", `{"n":1,"at":"2014-11-10T01:00:00Z"}{"n":2,"at":"2014-11-09T23:00:00Z"}{"n":3}`)
		_, err := series()(pipeline.Days()).Run(p.Context(), p.env, pipeline.Options{})
		if !errors.Is(err, arbalest.ErrInvalid) {
			p.Errorf("err is %v, want ErrInvalid", err)
		}
		p.run(series(pipeline.MaxErrors(3))(pipeline.Days()))
		p.run(series(pipeline.MaxErrors(3))(pipeline.Days()))
		p.want("SELECT n FROM test_table ORDER BY n", "1")
		p.run(series(pipeline.MaxErrors(3), pipeline.UpdateFrom("2014-11-09"))(pipeline.Days()))
		p.want("SELECT n FROM test_table ORDER BY n", "1", "2")
	})
}

func TestSQLIsOneTransaction(t *testing.T) {
	onEach(t, func(p *place) {
		p.exec("CREATE TABLE t (n INTEGER, s VARCHAR(20))")
		l := pipeline.New("sql", pipeline.SQL(
			pipeline.S("DELETE FROM t WHERE n = $1", 1),
			pipeline.S("INSERT INTO t VALUES ($1, $2)", 1, "it's"),
		))
		p.run(l)
		p.run(l)
		p.want("SELECT n, s FROM t", "1|it's")
		_, err := pipeline.New("bad", pipeline.SQL(pipeline.S("DELETE FROM t"), pipeline.S("INSERT INTO nowhere VALUES (1)"))).Run(p.Context(), p.env, pipeline.Options{})
		if err == nil || !strings.Contains(err.Error(), "statement 2") {
			p.Errorf("err is %v, want it to name statement 2", err)
		}
		p.want("SELECT n, s FROM t", "1|it's")
	})
}

func TestValidateLeavesNoTrace(t *testing.T) {
	onEach(t, func(p *place) {
		p.put("s/a", "{\"n\":1}\n{\"n\":2}")
		l := pipeline.New("example",
			pipeline.BulkCopy("s", numbers("bulk")),
			pipeline.ManifestCopy("s", numbers("manifest")),
			pipeline.SQL(pipeline.S("CREATE TABLE derived AS SELECT n + 1 AS m FROM bulk")))
		r, err := l.Validate(p.Context(), p.env)
		if err != nil || len(r.Steps) != 3 || r.Steps[0].Rows != 2 || r.Steps[0].State != pipeline.Done {
			p.Errorf("%+v, %v", r, err)
		}
		p.want("SELECT count(*) FROM information_schema.tables WHERE table_name IN ('bulk', 'manifest', 'derived', 'steps', 'copied')", "0")
		p.put("s/b", `{"n":"many"}`)
		r, err = l.Validate(p.Context(), p.env)
		if !errors.Is(err, arbalest.ErrInvalid) || r.Steps[0].State != pipeline.Failed || r.Steps[2].State != pipeline.Skipped {
			p.Errorf("%+v, %v", r, err)
		}
		p.want("SELECT count(*) FROM information_schema.tables WHERE table_name = 'bulk'", "0")
	})
}

func TestPlanSaysWhatARunWouldDo(t *testing.T) {
	onEach(t, func(p *place) {
		p.put("s/2014-11-10/a", `{"n":1,"at":"2014-11-10"}`)
		p.put("s/2014-11-11/a", `{"n":1,"at":"2014-11-11"}`)
		l := pipeline.New("example", pipeline.BulkCopy("s", numbers("bulk")), pipeline.ManifestCopy("s", numbers("manifest")),
			pipeline.TimeSeries("s", numbers("series"), "ts", pipeline.Days()), pipeline.SQL(pipeline.S("SELECT 1")))
		plan := func() []pipeline.StepPlan {
			p.Helper()
			plans, err := l.Plan(p.Context(), p.env)
			if err != nil {
				p.Fatal(err)
			}
			return plans
		}
		for i, s := range plan()[:3] {
			if s.Objects != 2 || s.Bytes != 50 || len(s.Statements) == 0 {
				p.Errorf("step %d: %+v", i, s)
			}
		}
		p.want("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'arbalest' AND table_name = 'steps'", "0")
		p.run(l)
		p.put("s/2014-11-12/a", `{"n":1,"at":"2014-11-12"}`)
		if plans := plan(); plans[0].Objects != 3 || plans[1].Objects != 1 || plans[1].Sample[0] != "s/2014-11-12/a" || plans[2].Sources[2] != "2014-11-12" {
			p.Errorf("%+v", plans)
		}
		p.want("SELECT count(*) FROM manifest", "2")
	})
}

func TestSyncFollowsTheLog(t *testing.T) {
	onEach(t, func(p *place) {
		l := pipeline.New("sync", pipeline.Sync())
		if _, err := l.Run(p.Context(), p.env, pipeline.Options{}); !errors.Is(err, arbalest.ErrInvalid) {
			p.Errorf("without a lake: %v", err)
		}
		calls := 0
		p.env.Sync = func(context.Context) (int64, error) { calls++; return 5, nil }
		if r := p.run(l); r.Rows() != 5 || calls != 1 {
			p.Errorf("%+v after %d calls", r, calls)
		}
	})
}

func TestDefinitionsAreChecked(t *testing.T) {
	db, store := duck(t)
	env := pipeline.Env{Store: store, Warehouse: db}
	ok := pipeline.SQL(pipeline.S("SELECT 1"))
	for name, l := range map[string]*pipeline.Pipeline{
		"no steps":      pipeline.New("p"),
		"no name":       pipeline.New("", ok),
		"bad name":      pipeline.New("a b", ok),
		"no source":     pipeline.New("p", pipeline.BulkCopy("/", numbers("t"))),
		"source above":  pipeline.New("p", pipeline.BulkCopy("../x", numbers("t"))),
		"bad type":      pipeline.New("p", pipeline.BulkCopy("s", arbalest.JSONObject("t", arbalest.Property("a", "MONEY")))),
		"max errors":    pipeline.New("p", pipeline.BulkCopy("s", numbers("t"), pipeline.MaxErrors(100_001))),
		"empty sql":     pipeline.New("p", pipeline.SQL(pipeline.S(" "))),
		"no sql":        pipeline.New("p", pipeline.SQL()),
		"no such order": pipeline.New("p", pipeline.TimeSeries("s", numbers("t"), "when", pipeline.Days())),
		"order of days": pipeline.New("p", pipeline.TimeSeries("s", numbers("t"), "n", pipeline.Days())),
		"bad bound":     pipeline.New("p", pipeline.TimeSeries("s", numbers("t"), "ts", pipeline.Days().From("2014-13-01"))),
		"bounds turned": pipeline.New("p", pipeline.TimeSeries("s", numbers("t"), "ts", pipeline.Days().From("2014-12-01").To("2014-11-01"))),
		"update quote":  pipeline.New("p", pipeline.TimeSeries("s", numbers("t"), "ts", pipeline.Days(), pipeline.UpdateFrom("'"))),
	} {
		if _, err := l.Run(t.Context(), env, pipeline.Options{}); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}
