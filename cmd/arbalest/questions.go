package main

import (
	"errors"

	"arbalest"
	"arbalest/internal/saved"
)

// velocity is how long each user took from created to verified.
const velocity = `WITH velocity AS (
  SELECT v.workflow, c.event_time AS created, epoch(v.event_time - c.event_time) / 3600 AS hours
  FROM user_created c JOIN user_verified v USING (email_address)
)
`

// The demo's questions, which are also saved queries of its place, for the page
// with their charts.
var (
	questionJane = saved.Query{Name: "demo-jane", Title: "When did Jane become verified?", Chart: saved.Chart{Kind: "none"}, SQL: `SELECT c.email_address, c.event_time AS created, v.event_time AS verified, v.event_time - c.event_time AS took, v.workflow
FROM user_created c JOIN user_verified v USING (email_address)
WHERE email_address = 'jane@doe.com'`}
	questionWorkflows = saved.Query{Name: "demo-workflows", Title: "Verification velocity by workflow", Description: "Hours from created to verified", Chart: saved.Chart{Kind: "bar", X: "workflow", Y: []string{"median_hours", "p90_hours"}}, SQL: velocity + `SELECT workflow, count(*) AS verified, round(median(hours), 1) AS median_hours, round(quantile_cont(hours, 0.9), 1) AS p90_hours
FROM velocity GROUP BY workflow ORDER BY median_hours`}
	questionWeeks = saved.Query{Name: "demo-weeks", Title: "Verification velocity by week", Description: "Median hours from created to verified: from its fourth week on, web is twice as fast", Chart: saved.Chart{Kind: "line", X: "week", Y: []string{"median_hours"}, Series: "workflow"}, SQL: velocity + `SELECT date_trunc('week', created) AS week, workflow, round(median(hours), 1) AS median_hours
FROM velocity GROUP BY week, workflow ORDER BY week, workflow`}
	questionDays = saved.Query{Name: "demo-days", Title: "Users verified by day", Chart: saved.Chart{Kind: "line", X: "day", Y: []string{"verified"}}, SQL: `SELECT date_trunc('day', event_time) AS day, count(*) AS verified
FROM user_verified GROUP BY day ORDER BY day`}
)

// saveQuestions saves the demo's questions in a place. Those that are there are
// left as they are: they may be somebody's by now.
func saveQuestions(p place) error {
	folder := saved.NewFolder(p.queries())
	for _, q := range []saved.Query{questionJane, questionWorkflows, questionWeeks, questionDays} {
		if _, err := folder.Save(q); err != nil && !errors.Is(err, arbalest.ErrExists) {
			return err
		}
	}
	return nil
}
