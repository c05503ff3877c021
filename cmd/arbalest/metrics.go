package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// passMetrics are what serve's loop says of its passes.
type passMetrics struct {
	events  *prometheus.CounterVec
	seconds prometheus.Histogram
	failed  prometheus.Counter
	stalled prometheus.Gauge
	last    prometheus.Gauge
}

func newPassMetrics(r *prometheus.Registry) *passMetrics {
	m := &passMetrics{
		events:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "arbalest_sync_events_total", Help: "Events by what became of them: sorted, loaded, repeat, conflict (also counted as repeat), error."}, []string{"outcome"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "arbalest_sync_seconds", Help: "How long one pass of sort and load took.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 16)}),
		failed:  prometheus.NewCounter(prometheus.CounterOpts{Name: "arbalest_sync_failures_total", Help: "Passes that ended in an error."}),
		stalled: prometheus.NewGauge(prometheus.GaugeOpts{Name: "arbalest_stalled_tables", Help: "Tables that cannot be loaded at present."}),
		last:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "arbalest_sync_last_success_timestamp_seconds", Help: "When a pass last succeeded: if it is long ago, events wait."}),
	}
	r.MustRegister(m.events, m.seconds, m.failed, m.stalled, m.last, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *passMetrics) pass(r syncReport, err error, took time.Duration) {
	m.seconds.Observe(took.Seconds())
	for outcome, n := range map[string]int64{"sorted": r.Sorted, "loaded": r.Loaded, "repeat": r.Repeats, "conflict": r.Conflicts, "error": r.Errors} {
		m.events.WithLabelValues(outcome).Add(float64(n))
	}
	if err != nil {
		m.failed.Inc()
		return
	}
	m.stalled.Set(float64(len(r.Stalled)))
	m.last.SetToCurrentTime()
}
