package model_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"arbalest"
	"arbalest/internal/model"
)

func TestTests(t *testing.T) {
	onEach(t, func(p *place) {
		if got, err := model.Standings(p.Context(), p.db); got != nil || err != nil {
			p.Fatalf("before anything: %+v, %v", got, err)
		}
		p.send("order.placed", 0, `{"n":1,"what":"a"}`, `{"n":1,"what":"b"}`, `{"n":2,"what":"it's, c"}`, `{"what":"a"}`)
		p.send("user.created", 0, `{"n":1}`)
		p.load()
		p.write("orders", "-- materialized: table\n-- key: event_id\n-- tests: not_null(n), unique(n), unique(n, what)\n-- tests: accepted_values(what: a, b), accepted_values(n: 1, 2), relationships(n: user_created.n), relationships(event_id: public.order_placed.event_id)\nSELECT event_id, n, what FROM order_placed")
		p.write("people", "-- tests: not_null(n)\nSELECT n FROM user_created")
		p.build()
		results, err := p.builder(model.Options{}).Test(p.Context())
		if !errors.Is(err, arbalest.ErrInvalid) || arbalest.OutcomeOf(err).Exit != 2 {
			p.Error(err)
		}
		var got []string
		for _, r := range results {
			s := fmt.Sprintf("%s %d %s", r.Test, r.Failures, r.Error)
			if r.Test != "not_null(n)" {
				for _, e := range r.Examples {
					s += strings.Join(r.Columns, "|") + "=" + strings.Join(e, "|")
				}
			}
			got = append(got, strings.TrimSpace(s))
		}
		p.is(strings.Join(got, "\n"), strings.Join([]string{
			"unique(event_id) 0", "not_null(n) 1", "unique(n) 1 n|row_count=1|2", "unique(n, what) 0",
			"accepted_values(what: a, b) 1 what|row_count=it's, c|1", "accepted_values(n: 1, 2) 0", "relationships(n: user_created.n) 1 n|row_count=2|1",
			"relationships(event_id: order_placed.event_id) 0", "not_null(event_id) 0", "not_null(n) 0"}, "\n"))
		p.is(standings(p), "orders built: accepted_values(what: a, b) 1, not_null(n) 1, relationships(n: user_created.n) 1, unique(n) 1\npeople built")
		if results, err := p.builder(model.Options{}).Test(p.Context(), "people"); len(results) != 1 || err != nil {
			p.Errorf("%v, %v", results, err)
		}
		p.write("people", "-- description: x\n-- tests: not_null(nothing)\nSELECT n FROM user_created")
		if _, err := p.builder(model.Options{}).Test(p.Context(), "people"); err == nil || !strings.Contains(err.Error(), "people.sql:2: ") {
			p.Error(err)
		}
		if got := standings(p); !strings.Contains(got, "people built: not_null(nothing) 0 ") || !strings.Contains(got, "orders built: accepted_values") {
			p.Errorf("after tests of one model only:\n%s", got)
		}
		p.write("orders", "-- materialized: table\n-- tests: not_null(n)\nSELECT 1 AS n")
		p.build()
		if _, err := p.builder(model.Options{}).Test(p.Context(), "orders"); err != nil {
			p.Error(err)
		}
		if got := standings(p); !strings.HasPrefix(got, "orders built\n") {
			p.Errorf("when the test passes:\n%s", got)
		}
	})
}

// standings says how models stand by what was noted.
func standings(p *place) string {
	p.Helper()
	all, err := model.Standings(p.Context(), p.db)
	if err != nil {
		p.Fatal(err)
	}
	var lines []string
	for _, s := range all {
		line := s.Name + " " + s.State.State
		for i, f := range s.Failing {
			line += fmt.Sprintf("%s %s %d", map[bool]string{true: ":", false: ","}[i == 0], f.Test, f.Failures)
			if f.Error != "" {
				line += " " + f.Error
			}
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestHeadersThatAreWrong(t *testing.T) {
	for header, want := range map[string]string{
		"-- tests: nut_null(a)":           "there is no nut_null",
		"-- tests: not_null(a) unique(b)": "with commas between",
		"-- tests: not_null()":            "write not_null(a)",
		"-- tests: relationships(a: b)":   "relationships(c: other.d)",
		"-- tests: accepted_values(a)":    "accepted_values(b: x, y)",
		"-- materialized: tabel":          "want view, table or incremental",
		"-- partition: a by week":         "by hour or by day",
	} {
		m := model.Parse("x.sql", "-- a comment: of any words\n"+header+"\nSELECT 1 AS a")
		if err := m.Err(); !errors.Is(err, arbalest.ErrInvalid) || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "x.sql:2: ") {
			t.Errorf("%s: %v", header, err)
		}
	}
	if m := model.Parse("A-b.sql", "SELECT 1"); m.Err() == nil {
		t.Error("a name that is none of a table")
	}
}

func TestLineage(t *testing.T) {
	onEach(t, func(p *place) {
		p.write("a", "SELECT * FROM x, y")
		p.write("b", "SELECT * FROM a JOIN raw.z USING (id)")
		p.write("c", "-- depends: a, b\n-- materialized: table\nSELECT any words")
		set, err := model.Read(p.dir)
		if err != nil {
			p.Fatal(err)
		}
		set.Resolve(p.Context(), p.db)
		p.is(set.Lineage(), "c (table)\n├─ a (view)\n│  ├─ x\n│  └─ y\n└─ b (view)\n   ├─ a (see above)\n   └─ raw.z\n")
		outlooks, err := model.New(p.Context(), p.db, set, model.Options{}).Outlooks(p.Context())
		if err != nil || len(outlooks) != 3 || outlooks[2].How != "full" {
			p.Errorf("%+v, %v", outlooks, err)
		}
	})
}
