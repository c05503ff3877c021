package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// A workflow is a way to become verified.
type workflow struct {
	name  string
	share float64 // of users
	hours float64 // median time that it takes
	done  float64 // share of users that finish it
}

var workflows = []workflow{{"mobile", 0.45, 2, 0.93}, {"web", 0.35, 9, 0.85}, {"partner", 0.12, 30, 0.7}, {"support", 0.08, 55, 0.6}}

// storyWeeks is how long the story goes on; from its fourth week on, web is
// twice as fast, which the charts show.
const storyWeeks = 6

// story returns the wire events of the talk: users who are created and
// verified. It is the same every time, so that a second demo on the same data
// adds nothing.
func story() []string {
	type dated struct {
		at   time.Time
		wire string
	}
	r := rand.New(rand.NewPCG(2015, 8))
	begin := time.Date(2015, 8, 3, 0, 0, 0, 0, time.UTC)
	var events []dated
	add := func(name, id string, at time.Time, data string) {
		events = append(events, dated{at, fmt.Sprintf(`{"event":%q,"id":%q,"timestamp":%q,"data":{%s}}`, name, id, at.Format(time.RFC3339), data)})
	}
	add("user.created", "009bd890-cb8f-4896-b9e7-8bb6c9b8b8fb", time.Date(2015, 8, 18, 6, 36, 40, 0, time.UTC), `"email_address":"jane@doe.com"`)
	add("user.verified", "b4c3e1e2-6a0c-4d0e-8f5b-2f3c5d7e9a1b", time.Date(2015, 8, 18, 7, 38, 40, 0, time.UTC), `"email_address":"jane@doe.com","workflow":"mobile"`)
	for day := range storyWeeks * 7 {
		users := 90 + day + r.IntN(30)
		if weekday := begin.AddDate(0, 0, day).Weekday(); weekday == time.Saturday || weekday == time.Sunday {
			users /= 2
		}
		for n := range users {
			email := fmt.Sprintf("user%02d%03d@example.com", day, n)
			created := begin.AddDate(0, 0, day).Add(time.Duration(r.IntN(24*3600)) * time.Second)
			add("user.created", fmt.Sprintf("created-%02d-%03d", day, n), created, fmt.Sprintf(`"email_address":%q`, email))
			w := pick(r)
			if r.Float64() > w.done {
				continue
			}
			hours := w.hours * (0.3 + 1.4*r.Float64())
			if w.name == "web" && day >= 3*7 {
				hours /= 2
			}
			verified := created.Add(time.Duration(hours * float64(time.Hour))).Truncate(time.Second)
			add("user.verified", fmt.Sprintf("verified-%02d-%03d", day, n), verified, fmt.Sprintf(`"email_address":%q,"workflow":%q`, email, w.name))
		}
	}
	slices.SortStableFunc(events, func(a, b dated) int { return a.at.Compare(b.at) })
	wire := make([]string, len(events))
	for i, e := range events {
		wire[i] = e.wire
	}
	return wire
}

func pick(r *rand.Rand) workflow {
	x := r.Float64()
	for _, w := range workflows {
		if x -= w.share; x < 0 {
			return w
		}
	}
	return workflows[0]
}
