package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// A FlowSource tells what flows.
type FlowSource interface {
	// Flow returns the newest minutes, a figure for each second. It reads nothing
	// that is not in memory.
	Flow(ctx context.Context) (Flow, error)
}

// A Flow is what flows. Its lists have an element for each second of At; nil
// stands for what there was none of.
type Flow struct {
	At       []int64    `json:"at"`       // Unix seconds, ascending
	Names    []FlowName `json:"names"`    // the most frequent, and the rest as ""
	Accepted []float64  `json:"accepted"` // events in that second
	Rejected []float64  `json:"rejected"`
	Median   []*float64 `json:"p50"` // of the time to acknowledge, in seconds
	High     []*float64 `json:"p99"`
	Lag      []*float64 `json:"lag"` // how long the oldest event waited to be in SQL, in seconds
	// Minute is the last minute, as figures.
	Minute FlowMinute `json:"minute"`
	// Troubles are what somebody has to mend.
	Troubles []Trouble `json:"troubles"`
	// Ever says that there are events at all.
	Ever bool `json:"ever"`
}

// A FlowName is the events of a name, in each second in which they were captured.
type FlowName struct {
	Name   string    `json:"name"`
	Events []float64 `json:"events"`
	Minute float64   `json:"minute"` // in the last minute
}

// A FlowMinute is what a minute came to.
type FlowMinute struct {
	Accepted float64  `json:"accepted"`
	Rejected float64  `json:"rejected"`
	Requests float64  `json:"requests"`
	Median   *float64 `json:"p50"` // seconds
	High     *float64 `json:"p99"`
	Lag      *float64 `json:"lag"` // the longest
	Waiting  int64    `json:"waiting"`
}

// A Trouble is what somebody has to mend.
type Trouble struct {
	Text string `json:"text"`
	Path string `json:"path"` // the page that tells more; empty for none
}

// FlowSeconds is how many seconds a Flow goes back.
const FlowSeconds = 300

// flowJSON is the page / as JSON, for the page's script.
func (s *Site) flowJSON(w http.ResponseWriter, r *http.Request) error {
	f, err := s.flows.get(r.Context(), s.program.Flow)
	if err != nil {
		return err
	}
	return writeJSON(w, f)
}

// writeJSON answers with a value as JSON.
func writeJSON(w http.ResponseWriter, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode JSON: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b) // the client may be gone
	return nil
}
