package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"time"

	"arbalest"
	"arbalest/internal/archive"
	"arbalest/pipeline"
)

// A servant asks the serve that has the place open.
type servant struct {
	contact contact
	client  *http.Client
}

// dialServant returns nil if no serve runs on the place: there is no file, or
// nobody answers at what it says, because a serve was killed.
func dialServant(ctx context.Context, file string) (operator, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find the running serve: %w", err)
	}
	var c contact
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, fmt.Errorf("%w: %s: %v: remove it if no serve runs here", arbalest.ErrCorrupt, file, err)
	}
	conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", c.Control)
	if err != nil {
		return nil, nil
	}
	conn.Close()
	return &servant{contact: c, client: &http.Client{}}, nil
}

// ask sends a request and follows its messages to the last.
func (s *servant) ask(ctx context.Context, path string, r request, result any, show func(progress), to rowSink) error {
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.contact.Control+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask serve: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+s.contact.Token)
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask serve (process %d): %w: %w", s.contact.PID, arbalest.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("ask serve (process %d): %w: %s: %s", s.contact.PID, arbalest.ErrUnavailable, resp.Status, bytes.TrimSpace(text))
	}
	for dec := json.NewDecoder(resp.Body); ; {
		var m message
		if err := dec.Decode(&m); err != nil {
			return fmt.Errorf("serve (process %d) went away: %w: %w", s.contact.PID, arbalest.ErrUnavailable, err)
		}
		switch {
		case m.Progress != nil:
			show(*m.Progress)
		case m.Columns != nil:
			err = to.Columns(m.Columns)
		case m.Row != nil:
			err = to.Row(m.Row)
		case m.Error != nil:
			return m.Error
		case result == nil:
			return nil
		default:
			return json.Unmarshal(m.Result, result)
		}
		if err != nil {
			return err
		}
	}
}

// Sync implements operator.
func (s *servant) Sync(ctx context.Context, show func(progress)) (r syncReport, err error) {
	err = s.ask(ctx, "/sync", request{}, &r, show, nil)
	return r, err
}

// Rebuild implements operator.
func (s *servant) Rebuild(ctx context.Context, q rebuildRequest, show func(progress)) (r rebuildReport, err error) {
	err = s.ask(ctx, "/rebuild", request{Rebuild: q}, &r, show, nil)
	return r, err
}

// Verify implements operator.
func (s *servant) Verify(ctx context.Context, v verifyRequest, show func(progress)) (r archive.Report, err error) {
	err = s.ask(ctx, "/verify", request{Verify: v}, &r, show, nil)
	return r, err
}

// Run implements operator.
func (s *servant) Run(ctx context.Context, p pipelineRequest, show func(progress)) (r runReport, err error) {
	err = s.ask(ctx, "/run", request{Pipeline: p}, &r, show, nil)
	return r, err
}

// Validate implements operator.
func (s *servant) Validate(ctx context.Context, p pipelineRequest, show func(progress)) (r validateReport, err error) {
	err = s.ask(ctx, "/validate", request{Pipeline: p}, &r, show, nil)
	return r, err
}

// Plan implements operator.
func (s *servant) Plan(ctx context.Context, p pipelineRequest) (r planReport, err error) {
	err = s.ask(ctx, "/plan", request{Pipeline: p}, &r, func(progress) {}, nil)
	return r, err
}

// Build implements operator.
func (s *servant) Build(ctx context.Context, m modelRequest, show func(progress)) (r buildReport, err error) {
	err = s.ask(ctx, "/build", request{Model: m}, &r, show, nil)
	return r, err
}

// Test implements operator.
func (s *servant) Test(ctx context.Context, m modelRequest) (r testReport, err error) {
	err = s.ask(ctx, "/test", request{Model: m}, &r, func(progress) {}, nil)
	return r, err
}

// Models implements operator.
func (s *servant) Models(ctx context.Context, m modelRequest) (r modelsReport, err error) {
	err = s.ask(ctx, "/models", request{Model: m}, &r, func(progress) {}, nil)
	return r, err
}

// Status implements operator.
func (s *servant) Status(ctx context.Context) (r statusReport, err error) {
	err = s.ask(ctx, "/status", request{}, &r, func(progress) {}, nil)
	r.Serve = s.contact.Capture
	return r, err
}

// Events implements operator.
func (s *servant) Events(ctx context.Context) (r eventsReport, err error) {
	err = s.ask(ctx, "/events", request{}, &r, func(progress) {}, nil)
	return r, err
}

// Event implements operator.
func (s *servant) Event(ctx context.Context, q eventRequest) (r eventReport, err error) {
	err = s.ask(ctx, "/event", request{Event: q}, &r, func(progress) {}, nil)
	return r, err
}

// Tables implements operator.
func (s *servant) Tables(ctx context.Context) (r tablesReport, err error) {
	err = s.ask(ctx, "/tables", request{}, &r, func(progress) {}, nil)
	return r, err
}

// Table implements operator.
func (s *servant) Table(ctx context.Context, q tableRequest) (r tableReport, err error) {
	err = s.ask(ctx, "/table", request{Table: q}, &r, func(progress) {}, nil)
	return r, err
}

// Runs implements operator.
func (s *servant) Runs(ctx context.Context, f pipeline.Filter) (r runsReport, err error) {
	err = s.ask(ctx, "/runs", request{Runs: f}, &r, func(progress) {}, nil)
	return r, err
}

// Land implements operator.
func (s *servant) Land(ctx context.Context) error {
	return s.ask(ctx, "/land", request{}, nil, func(progress) {}, nil)
}

// Query implements operator.
func (s *servant) Query(ctx context.Context, sql string, to rowSink) error {
	return s.ask(ctx, "/query", request{SQL: sql}, nil, func(progress) {}, to)
}

// Close implements operator.
func (s *servant) Close() error { s.client.CloseIdleConnections(); return nil }
