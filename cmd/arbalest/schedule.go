package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/robfig/cron/v3"

	"arbalest"
	"arbalest/pipeline"
)

// A scheduled is a pipeline that serve runs by the clock.
type scheduled struct {
	pipeline.File
	times cron.Schedule
}

// readSchedules reads the pipelines that the configuration names. Those without
// a schedule are read all the same, so that what is wrong with them is told.
func readSchedules(p place, c config) ([]scheduled, error) {
	var out []scheduled
	for _, file := range c.Pipelines {
		if !filepath.IsAbs(file) {
			file = filepath.Join(p.dir, file)
		}
		f, err := pipeline.ReadFile(file, os.LookupEnv)
		if err != nil {
			return nil, err
		}
		if f.Schedule == "" {
			continue
		}
		times, err := cron.ParseStandard(f.Schedule)
		if err != nil {
			return nil, fmt.Errorf("%w pipeline %s: schedule %q: %v: write five fields as cron does (minute hour day month weekday), @hourly, @daily or @every 10m", arbalest.ErrInvalid, file, f.Schedule, err)
		}
		out = append(out, scheduled{f, times})
	}
	return out, nil
}

// runBy runs a pipeline at its times, one run after another: a time that comes
// while it runs is left out. The run's key is the time, so that of several
// serves one does it.
func (e *engine) runBy(ctx context.Context, s scheduled, log *slog.Logger) {
	for {
		at := s.times.Next(time.Now().UTC())
		if at.IsZero() || !sleep(ctx, time.Until(at), nil) {
			return
		}
		var open stores
		r, err := s.RunAll(ctx, e.env(&open, log, func(progress) {}), pipeline.Options{Key: at.Format(time.RFC3339)}, 2)
		rows := int64(0)
		for _, run := range r.Runs {
			rows += run.Rows()
		}
		if closed := open.close(); err == nil {
			err = closed
		}
		if err != nil {
			log.Error("pipeline failed", "pipeline", s.Name(), "at", r.Key, "error", err)
			continue
		}
		log.Info("pipeline ran", "pipeline", s.Name(), "at", r.Key, "rows", rows)
	}
}
