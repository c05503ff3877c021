package pipeline

import (
	"context"
	"fmt"
	"strings"
	"time"

	"arbalest/internal/warehouse"
)

// A RunLine is a run as arbalest.runs has it.
type RunLine struct {
	Pipeline string     `json:"pipeline"`
	Run      string     `json:"run"`
	Key      string     `json:"key"`
	State    State      `json:"state"`
	Started  time.Time  `json:"started"`
	Finished *time.Time `json:"finished,omitempty"`
	Rows     int64      `json:"rows"`
	Errors   int64      `json:"errors"`
	Message  string     `json:"message,omitempty"` // why it failed
}

// A StepLine is a step of a run as arbalest.steps has it.
type StepLine struct {
	Step     int64      `json:"step"` // from 1
	Name     string     `json:"name"`
	State    State      `json:"state"`
	Attempts int64      `json:"attempts"`
	Started  *time.Time `json:"started,omitempty"`
	Finished *time.Time `json:"finished,omitempty"`
	Objects  int64      `json:"objects"`
	Rows     int64      `json:"rows"`
	Errors   int64      `json:"errors"`
	Message  string     `json:"message,omitempty"` // why it failed
}

// A Filter says which runs are wanted. The zero value is all.
type Filter struct {
	Pipeline string    `json:"pipeline,omitempty"`
	State    State     `json:"state,omitempty"`
	Run      string    `json:"run,omitempty"`
	From     time.Time `json:"from,omitzero"`  // that began then or later
	Each     int       `json:"each,omitempty"` // the newest of each pipeline, at most
	Limit    int       `json:"limit,omitempty"`
}

// History returns the newest runs of each pipeline, each at most, the newest
// first. A warehouse without runs has none.
func History(ctx context.Context, db warehouse.Database, each int) ([]RunLine, error) {
	return Runs(ctx, db, Filter{Each: each})
}

// Runs returns the runs that a filter wants, the newest first. A warehouse
// without runs has none.
func Runs(ctx context.Context, db warehouse.Database, f Filter) ([]RunLine, error) {
	if there, err := tableName("arbalest.runs").exists(ctx, db); err != nil || !there {
		return nil, err
	}
	var conditions []string
	var args []any
	where := func(condition string, arg any) {
		args = append(args, arg)
		conditions = append(conditions, fmt.Sprintf("%s $%d", condition, len(args)))
	}
	if f.Pipeline != "" {
		where("pipeline =", f.Pipeline)
	}
	if f.State != "" {
		where("state =", string(f.State))
	}
	if f.Run != "" {
		where("run_id =", f.Run)
	}
	if !f.From.IsZero() {
		where("started_at >=", f.From.UTC())
	}
	from := "arbalest.runs"
	if f.Each > 0 {
		from = "(SELECT *, row_number() OVER (PARTITION BY pipeline ORDER BY started_at DESC, run_id DESC) AS nth FROM arbalest.runs) r"
		where("nth <=", int64(f.Each))
	}
	query := "SELECT pipeline, run_id, run_key, state, started_at, finished_at, row_count, error_count, message FROM " + from
	if len(conditions) > 0 {
		query += " WHERE " + strings.Join(conditions, " AND ")
	}
	query += " ORDER BY started_at DESC, run_id DESC"
	if f.Limit > 0 {
		query += fmt.Sprintf(" LIMIT %d", f.Limit)
	}
	var lines []RunLine
	err := db.Query(ctx, query, func(v []any) error {
		var l RunLine
		l.Pipeline, _ = v[0].(string)
		l.Run, _ = v[1].(string)
		l.Key, _ = v[2].(string)
		state, _ := v[3].(string)
		l.State = State(state)
		l.Started, _ = v[4].(time.Time)
		l.Finished = warehouse.TimeOf(v[5])
		l.Rows, _ = v[6].(int64)
		l.Errors, _ = v[7].(int64)
		l.Message, _ = v[8].(string)
		lines = append(lines, l)
		return nil
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read arbalest.runs: %w", err)
	}
	return lines, nil
}

// Steps returns the steps of a run, in order.
func Steps(ctx context.Context, db warehouse.Database, run string) ([]StepLine, error) {
	var lines []StepLine
	err := db.Query(ctx, `SELECT step, name, state, attempts, started_at, finished_at, object_count, row_count, error_count, message FROM arbalest.steps WHERE run_id = $1 ORDER BY step`, func(v []any) error {
		var l StepLine
		l.Step, _ = v[0].(int64)
		l.Name, _ = v[1].(string)
		state, _ := v[2].(string)
		l.State = State(state)
		l.Attempts, _ = v[3].(int64)
		l.Started, l.Finished = warehouse.TimeOf(v[4]), warehouse.TimeOf(v[5])
		l.Objects, _ = v[6].(int64)
		l.Rows, _ = v[7].(int64)
		l.Errors, _ = v[8].(int64)
		l.Message, _ = v[9].(string)
		lines = append(lines, l)
		return nil
	}, run)
	if err != nil {
		return nil, fmt.Errorf("read arbalest.steps: %w", err)
	}
	return lines, nil
}
