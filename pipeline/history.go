package pipeline

import (
	"context"
	"fmt"
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

// History returns the newest runs of each pipeline, each at most, the newest
// first. A warehouse without runs has none.
func History(ctx context.Context, db warehouse.Database, each int) ([]RunLine, error) {
	if there, err := tableName("arbalest.runs").exists(ctx, db); err != nil || !there {
		return nil, err
	}
	var lines []RunLine
	err := db.Query(ctx, `SELECT pipeline, run_id, run_key, state, started_at, finished_at, row_count, error_count, message FROM
		(SELECT *, row_number() OVER (PARTITION BY pipeline ORDER BY started_at DESC, run_id DESC) AS nth FROM arbalest.runs) r WHERE nth <= $1 ORDER BY started_at DESC, run_id DESC`,
		func(values []any) error {
			var l RunLine
			l.Pipeline, _ = values[0].(string)
			l.Run, _ = values[1].(string)
			l.Key, _ = values[2].(string)
			state, _ := values[3].(string)
			l.State = State(state)
			l.Started, _ = values[4].(time.Time)
			if at, ok := values[5].(time.Time); ok {
				l.Finished = &at
			}
			l.Rows, _ = values[6].(int64)
			l.Errors, _ = values[7].(int64)
			l.Message, _ = values[8].(string)
			lines = append(lines, l)
			return nil
		}, int64(each))
	if err != nil {
		return nil, fmt.Errorf("read arbalest.runs: %w", err)
	}
	return lines, nil
}
