package model_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"arbalest/internal/model"
	"arbalest/internal/warehouse/databasetest"
)

// graph is models of all kinds, over each other. On the emulator of Redshift, where
// views bind early, no view is on a table that is made anew.
func graph(kind string) map[string]string {
	models := map[string]string{
		"flat":   "-- materialized: incremental\n-- partition: event_time\nSELECT event_id, event_time, CAST(n AS VARCHAR(40)) AS n FROM order_placed WHERE event_id <> 'id3'",
		"hourly": "-- materialized: incremental\n-- partition: hour\nSELECT date_trunc('hour', event_time) AS hour, count(*) AS times, max(n) AS most FROM order_placed GROUP BY 1",
		"daily":  "-- materialized: incremental\n-- partition: day by day\nSELECT CAST(hour AS DATE) AS day, CAST(sum(times) AS BIGINT) AS times, max(most) AS most FROM hourly GROUP BY 1",
		"merged": "-- materialized: incremental\n-- partition: event_time\nSELECT event_id, event_time, 'order' AS what FROM flat UNION ALL SELECT event_id, event_time, 'user' FROM user_created",
		"named":  "-- materialized: incremental\n-- partition: event_time\n-- lookup: user_created\nSELECT o.event_id, o.event_time, (SELECT count(*) FROM user_created u WHERE u.n = o.n) AS users FROM order_placed o",
		"total":  "-- materialized: table\nSELECT count(*) AS times FROM flat",
	}
	if kind != "redshift" {
		models["seen"] = "SELECT * FROM hourly WHERE times > 1"
		models["over"] = "-- materialized: incremental\n-- partition: hour\nSELECT hour, times + 1 AS times FROM seen"
		models["wide"] = "-- materialized: incremental\n-- partition: event_time\nSELECT * FROM user_created"
	}
	return models
}

// tell returns all rows of the models' tables.
func (p *place) tell(names map[string]string) (all []string) {
	p.Helper()
	for name := range names {
		columns := "*"
		for _, row := range p.rows("SELECT " + columns + " FROM " + name) {
			all = append(all, name+": "+row)
		}
	}
	return sorted(all)
}

// compare holds that what is there is what a build in full gives.
func (p *place) compare(names map[string]string) {
	p.Helper()
	p.build()
	got := p.tell(names)
	p.pass(model.Options{Full: true})
	want := p.tell(names)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		p.Fatalf("step by step:\n%s\nin full:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for name, text := range names {
		if strings.Contains(text, "materialized") {
			p.want(fmt.Sprintf("SELECT m.row_count - (SELECT count(*) FROM %s) FROM arbalest.models m WHERE m.name = '%[1]s'", name), "0")
		}
	}
}

// happen lets something happen at random: events, late and of other types, loads
// that stop in the middle, builds of some models.
func (p *place) happen(random *rand.Rand, names []string) {
	p.Helper()
	switch random.IntN(8) {
	case 0, 1, 2:
		for range 1 + random.IntN(6) {
			value := fmt.Sprint(random.IntN(5))
			if random.IntN(30) == 0 {
				value += ".5" // the column is widened
			}
			text := fmt.Sprintf(`{"n":%s}`, value)
			if random.IntN(30) == 0 {
				text = fmt.Sprintf(`{"n":%s,"x%d":1}`, value, random.IntN(3))
			}
			p.send([]string{"order.placed", "user.created"}[random.IntN(2)], random.IntN(72)-48, text)
		}
		p.sort()
	case 3, 4, 5:
		for range random.IntN(4) { // batches, not commits
			if _, err := p.loader.Once(p.Context()); err != nil {
				p.Fatal(err)
			}
		}
	default:
		p.build(names[random.IntN(len(names))])
	}
}

// TestInvariant3IncrementalIsAsFull does anything in any order, and compares what
// incremental models have with what they are built to in full.
func TestInvariant3IncrementalIsAsFull(t *testing.T) {
	onEach(t, func(p *place) {
		models := graph(p.kind)
		var names []string
		for name, text := range models {
			p.write(name, text)
			names = append(names, name)
		}
		names = sorted(names)
		p.send("order.placed", 0, `{"n":1}`)
		p.send("user.created", 0, `{"n":1}`)
		p.load()
		p.build()
		seed := rand.Uint64()
		p.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 1))
		rounds, each := 3, 30
		if testing.Short() {
			rounds, each = 2, 15
		}
		for range rounds {
			for range each {
				p.happen(random, names)
			}
			p.load()
			p.compare(models)
		}
		table := []string{"order_placed", "user_created"}[random.IntN(2)]
		p.rebuild(table)
		p.compare(models)
	})
}

// TestInvariant6AnyNumberBuild lets several build at once while events are loaded.
func TestInvariant6AnyNumberBuild(t *testing.T) {
	onEach(t, func(p *place) {
		models := p.graph()
		for round := range 3 {
			var all sync.WaitGroup
			for range 3 {
				b := p.builder(model.Options{Parallel: 2})
				all.Go(func() {
					if _, err := b.Once(p.Context()); err != nil {
						p.Error(err)
					}
				})
			}
			for hour := range 5 {
				p.send("order.placed", -round-hour, `{"n":2}`)
				p.load()
			}
			all.Wait()
		}
		p.compare(models)
	})
}

// graph writes the models of graph, loads an event of each name, and returns
// them.
func (p *place) graph() map[string]string {
	models := graph(p.kind)
	for name, text := range models {
		p.write(name, text)
	}
	p.send("order.placed", 0, `{"n":1}`)
	p.send("user.created", 0, `{"n":1}`)
	p.load()
	return models
}

// TestInvariant3KilledAtEveryStatement stops a pass after k statements, for every
// k if ARBALEST_SOAK is set, once it builds all and once hours, and lets another finish it.
func TestInvariant3KilledAtEveryStatement(t *testing.T) {
	onEach(t, func(p *place) {
		models := p.graph()
		step := map[string]int64{"duckdb": 13, "postgres": 19, "redshift": 17}[p.kind]
		switch {
		case os.Getenv("ARBALEST_SOAK") != "":
			step = 1
		case testing.Short():
			step = 20
		}
		for _, full := range []bool{true, false} {
			for k := rand.Int64N(step); ; k += step {
				if !full {
					p.send("order.placed", int(k%50)-40, `{"n":2}`)
					p.send("user.created", 3, `{"n":2}`)
					p.load()
				}
				set, err := model.Read(p.dir)
				if err != nil {
					p.Fatal(err)
				}
				_, err = model.New(p.Context(), databasetest.Dying(p.db, k), set, model.Options{Full: full}).Once(p.Context())
				if err != nil && !errors.Is(err, databasetest.ErrKilled) {
					p.Fatalf("after %d: %v", k, err)
				}
				if k%7 == 0 || err == nil {
					p.compare(models)
				} else {
					p.build()
				}
				if err == nil {
					if k < 20 {
						p.Errorf("a pass has only %d statements", k)
					}
					break
				}
			}
		}
		p.want("SELECT count(*) FROM information_schema.tables WHERE right(table_name, 6) = '__next'", "0")
	})
}
