package pipeline_test

import (
	"fmt"
	"os"
	"testing"

	"arbalest/internal/blob"
	"arbalest/internal/postgres"
	"arbalest/internal/postgres/postgrestest"
	"arbalest/pipeline"
)

// TestInvariant2ConnectionCutAtEveryMessage cuts the connection of a run before
// the nth message to the server, and after it so that its reply is lost, for
// every n if ARBALEST_SOAK is set (five minutes), else for one in 23. The run
// goes on by itself, or the next one finishes it.
func TestInvariant2ConnectionCutAtEveryMessage(t *testing.T) {
	dsn := postgrestest.Start(t)
	direct, err := postgres.Open(t.Context(), dsn, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	step := 23
	if os.Getenv("ARBALEST_SOAK") != "" {
		step = 1
	}
	for _, kind := range []postgrestest.FaultKind{postgrestest.CutBefore, postgrestest.LoseReply} {
		byItself, n := 0, 1
		for ; ; n += step {
			proxy := postgrestest.NewProxy(t, dsn)
			db, err := postgres.Open(t.Context(), proxy.DSN(), postgres.Options{})
			if err != nil {
				t.Fatal(err)
			}
			p := &place{t, pipeline.Env{Store: blob.NewMemory(), Warehouse: db}}
			table := fmt.Sprintf("c%d_%d", kind, n)
			p.put("s/2014-11-10/a", `{"n":1,"at":"2014-11-10"}`)
			p.put("s/2014-11-11/a", `{"n":2,"at":"2014-11-11"}`)
			l := pipeline.New(table,
				pipeline.ManifestCopy("s", numbers(table+"_manifest")),
				pipeline.TimeSeries("s", numbers(table+"_series"), "ts", pipeline.Days()),
				pipeline.BulkCopy("s", numbers(table+"_bulk")),
				pipeline.SQL(pipeline.S("INSERT INTO "+table+"_bulk SELECT n + 10, ts FROM "+table+"_manifest")))
			proxy.Set(postgrestest.Fault{Kind: kind, N: n})
			_, err = l.Run(t.Context(), p.env, pipeline.Options{})
			fired := proxy.Pending() == 0
			if err == nil {
				byItself++
			} else if !fired {
				t.Fatalf("message %d: %v", n, err)
			}
			db.Close()
			p.env.Warehouse = direct
			if err != nil {
				p.run(l)
			}
			p.want("SELECT n FROM "+table+"_bulk ORDER BY n", "1", "2", "11", "12")
			p.want("SELECT n FROM "+table+"_manifest ORDER BY n", "1", "2")
			p.want("SELECT n FROM "+table+"_series ORDER BY n", "1", "2")
			p.want("SELECT count(*) FROM arbalest.steps WHERE pipeline = '"+table+"' AND state <> 'done'", "0")
			if t.Failed() {
				t.Fatalf("%v at message %d", kind, n)
			}
			if !fired {
				break
			}
		}
		t.Logf("%v: up to message %d, every %d, %d runs went on by themselves", kind, n, step, byItself)
	}
}
