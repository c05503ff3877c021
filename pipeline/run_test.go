package pipeline_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"arbalest"
	"arbalest/internal/warehouse/databasetest"
	"arbalest/pipeline"
)

func TestRunResumesWhereItFailed(t *testing.T) {
	onEach(t, func(p *place) {
		p.exec("CREATE TABLE counts (n INTEGER)")
		l := pipeline.New("resumed",
			pipeline.SQL(pipeline.S("INSERT INTO counts VALUES (1)")),
			pipeline.ManifestCopy("s", numbers("numbers")),
			pipeline.SQL(pipeline.S("INSERT INTO counts VALUES (3)")))
		p.put("s/a", `{"n":"bad"}`)
		r, err := l.Run(p.Context(), p.env, pipeline.Options{})
		if err == nil || r.State != pipeline.Failed || len(r.Steps) != 2 {
			p.Fatalf("%+v, %v", r, err)
		}
		p.want("SELECT step, state, attempts FROM arbalest.steps ORDER BY step", "1|done|1", "2|failed|1", "3|pending|0")
		p.want("SELECT state FROM arbalest.runs", "failed")
		p.put("s/a", `{"n":1}`)
		again := p.run(l)
		if again.Run != r.Run || !again.Steps[0].Earlier || again.Steps[1].Earlier || again.State != pipeline.Done {
			p.Errorf("%+v", again)
		}
		p.want("SELECT n FROM counts ORDER BY n", "1", "3")
		p.want("SELECT step, state, attempts FROM arbalest.steps ORDER BY step", "1|done|1", "2|done|2", "3|done|1")
		p.want("SELECT state, row_count FROM arbalest.runs", "done|3")
		if next := p.run(l); next.Run == r.Run {
			p.Error("a run that was done was resumed")
		}
	})
}

func TestRunOfAKeyIsDoneOnce(t *testing.T) {
	onEach(t, func(p *place) {
		p.exec("CREATE TABLE counts (n INTEGER)")
		l := pipeline.New("keyed", pipeline.SQL(pipeline.S("INSERT INTO counts VALUES (1)")))
		for range 3 {
			if _, err := l.Run(p.Context(), p.env, pipeline.Options{Key: "2014-11-10"}); err != nil {
				p.Fatal(err)
			}
		}
		p.want("SELECT count(*) FROM counts", "1")
		if _, err := l.Run(p.Context(), p.env, pipeline.Options{Key: "2014-11-11"}); err != nil {
			p.Fatal(err)
		}
		p.want("SELECT count(*) FROM counts", "2")
	})
}

func TestChangedDefinitionBeginsAnew(t *testing.T) {
	onEach(t, func(p *place) {
		p.exec("CREATE TABLE counts (n INTEGER)")
		first := pipeline.SQL(pipeline.S("INSERT INTO counts VALUES (1)"))
		bad := pipeline.New("changed", first, pipeline.SQL(pipeline.S("SELECT * FROM nowhere")))
		for range 2 {
			if _, err := bad.Run(p.Context(), p.env, pipeline.Options{}); !errors.Is(err, arbalest.ErrUnknown) {
				p.Errorf("err is %v, want ErrUnknown", err)
			}
		}
		p.want("SELECT count(*) FROM counts", "1")
		p.run(pipeline.New("changed", first, pipeline.SQL(pipeline.S("SELECT 1"))))
		p.want("SELECT count(*) FROM counts", "2")
		p.want("SELECT state FROM arbalest.runs ORDER BY started_at", "failed", "done")
		bad.Run(p.Context(), p.env, pipeline.Options{})
		p.want("SELECT count(*) FROM counts", "3")
		bad.Run(p.Context(), p.env, pipeline.Options{Fresh: true})
		p.want("SELECT count(*) FROM counts", "4")
	})
}

// TestInvariant6ManyRunnersDoEachStepOnce has runners of one pipeline and of
// others at one table, all at a time.
func TestInvariant6ManyRunnersDoEachStepOnce(t *testing.T) {
	onEach(t, func(p *place) {
		p.exec("CREATE TABLE counts (n INTEGER)")
		for i := range 40 {
			p.put(fmt.Sprintf("s/%02d", i), fmt.Sprintf(`{"n":%d}`, i))
		}
		one := pipeline.New("one", pipeline.SQL(pipeline.S("INSERT INTO counts VALUES (1)")), pipeline.ManifestCopy("s", numbers("numbers")), pipeline.SQL(pipeline.S("INSERT INTO counts VALUES (3)")))
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				l := one
				if i >= 4 {
					l = pipeline.New(fmt.Sprintf("other%d", i), pipeline.ManifestCopy("s", numbers("numbers")))
				}
				if _, err := l.Run(p.Context(), p.env, pipeline.Options{Key: "k"}); err != nil {
					p.Error(err)
				}
			})
		}
		all.Wait()
		p.want("SELECT n, count(*) FROM counts GROUP BY n ORDER BY n", "1|1", "3|1")
		p.want("SELECT count(*), count(DISTINCT n) FROM numbers", "40|40")
	})
}

// TestInvariant2KilledAtEveryStatement stops a run after k statements, for every
// k, and lets another finish it.
func TestInvariant2KilledAtEveryStatement(t *testing.T) {
	onEach(t, func(p *place) {
		for k := int64(0); ; k++ {
			if testing.Short() && k%3 != 0 {
				continue
			}
			table := fmt.Sprintf("t%d", k)
			p.put(table+"/2014-11-10/a", `{"n":1,"at":"2014-11-10"}`)
			p.put(table+"/2014-11-11/a", `{"n":2,"at":"2014-11-11"}`)
			l := pipeline.New(table,
				pipeline.BulkCopy(table, numbers(table+"_bulk")),
				pipeline.ManifestCopy(table, numbers(table+"_manifest")),
				pipeline.TimeSeries(table, numbers(table+"_series"), "ts", pipeline.Days()),
				pipeline.SQL(pipeline.S("INSERT INTO "+table+"_bulk SELECT n + 10, ts FROM "+table+"_manifest")))
			env := p.env
			env.Warehouse = databasetest.Dying(env.Warehouse, k)
			_, err := l.Run(p.Context(), env, pipeline.Options{})
			if err != nil && !errors.Is(err, databasetest.ErrKilled) {
				p.Fatalf("after %d: %v", k, err)
			}
			if err != nil {
				p.run(l)
			}
			p.want("SELECT n FROM "+table+"_bulk ORDER BY n", "1", "2", "11", "12")
			p.want("SELECT n FROM "+table+"_manifest ORDER BY n", "1", "2")
			p.want("SELECT n FROM "+table+"_series ORDER BY n", "1", "2")
			p.want("SELECT count(*) FROM information_schema.tables WHERE table_name LIKE '%_update'", "0")
			if err == nil {
				if k < 20 {
					p.Errorf("a run has only %d statements", k)
				}
				return
			}
		}
	})
}
