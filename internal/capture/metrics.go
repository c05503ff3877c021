package capture

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"arbalest"
)

// metrics are what /metrics shows of capture. Counters with labels are resolved
// once, so that counting is an addition.
type metrics struct {
	handler  http.Handler
	requests map[int]prometheus.Counter // by status
	accepted prometheus.Counter
	rejects  map[Code]prometheus.Counter
	bytes    prometheus.Counter
	answered prometheus.Histogram // seconds
	written  prometheus.Histogram // seconds
	size     prometheus.Histogram // bytes
	failures prometheus.Counter
}

// statuses are those that POST /v1/events answers with.
var statuses = [...]int{
	http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge,
	http.StatusUnsupportedMediaType, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable,
}

func newMetrics(registry *prometheus.Registry, b *budget) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "arbalest", Subsystem: "capture", Name: name, Help: help})
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "arbalest", Subsystem: "capture", Name: name, Help: help, Buckets: buckets})
	}
	vector := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "arbalest", Subsystem: "capture", Name: name, Help: help}, []string{label})
	}
	requests := vector("requests_total", "Requests to /v1/events, by the answer's status.", "status")
	rejects := vector("rejected_events_total", "Invalid events that were kept with their reasons, by code.", "code")
	seconds := prometheus.ExponentialBuckets(0.0001, 2, 16) // 0.1 ms to 3.3 s
	m := &metrics{
		handler:  promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
		requests: make(map[int]prometheus.Counter), rejects: make(map[Code]prometheus.Counter),
		accepted: counter("accepted_events_total", "Events that were accepted."),
		bytes:    counter("received_bytes_total", "Bytes of bodies, as they came."),
		answered: histogram("answer_seconds", "Time from a request's head to the answer that its events are durable.", seconds),
		written:  histogram("segment_seconds", "Time to make a segment durable.", seconds),
		size:     histogram("segment_bytes", "Lines of a segment, uncompressed.", prometheus.ExponentialBuckets(256, 4, 9)),
		failures: counter("segment_failures_total", "Segments that could not be written."),
	}
	inFlight := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "arbalest", Subsystem: "capture", Name: "in_flight_bytes",
		Help: "Bytes that requests hold: bodies, decoded bodies and lines."}, func() float64 { return float64(b.used.Load()) })
	for _, s := range statuses {
		m.requests[s] = requests.WithLabelValues(strconv.Itoa(s))
	}
	for _, c := range codes {
		m.rejects[c] = rejects.WithLabelValues(string(c))
	}
	for _, c := range []prometheus.Collector{requests, rejects, m.accepted, m.bytes, m.answered, m.written, m.size, m.failures, inFlight} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("%w: register a metric of capture: %v", arbalest.ErrInvalid, err)
		}
	}
	return m, nil
}

// request counts an answer of /v1/events.
func (m *metrics) request(status int) {
	if c := m.requests[status]; c != nil {
		c.Inc()
	}
}

// durable counts what an answer says.
func (m *metrics) durable(in *intake, took time.Duration) {
	m.accepted.Add(float64(in.accepted))
	for _, code := range in.codes {
		m.rejects[code].Inc()
	}
	m.answered.Observe(took.Seconds())
}

// segment counts an append.
func (m *metrics) segment(size int, took time.Duration, err error) {
	if err != nil {
		m.failures.Inc()
		return
	}
	m.size.Observe(float64(size))
	m.written.Observe(took.Seconds())
}

// A Reading is what a handler has counted since it was made.
type Reading struct {
	Accepted, Rejected float64 // events
	// Answers counts answers by how long they took: Answers[i] took at most
	// Bounds[i] seconds, and the last took longer.
	Answers []float64
	Bounds  []float64
}

// Reading reads the counters, which costs some microseconds and holds up nobody.
func (h *Handler) Reading() Reading {
	r := Reading{Accepted: valueOf(h.metrics.accepted)}
	for _, c := range h.metrics.rejects {
		r.Rejected += valueOf(c)
	}
	var m dto.Metric
	if h.metrics.answered.Write(&m) != nil {
		return r
	}
	before := uint64(0)
	for _, b := range m.GetHistogram().GetBucket() {
		r.Bounds = append(r.Bounds, b.GetUpperBound())
		r.Answers = append(r.Answers, float64(b.GetCumulativeCount()-before))
		before = b.GetCumulativeCount()
	}
	r.Answers = append(r.Answers, float64(m.GetHistogram().GetSampleCount()-before))
	return r
}

func valueOf(c prometheus.Counter) float64 {
	var m dto.Metric
	_ = c.Write(&m) // a counter's does not fail
	return m.GetCounter().GetValue()
}
