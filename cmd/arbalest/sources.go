package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"arbalest"
	"arbalest/internal/capture"
	broker "arbalest/internal/source"
)

// A sourceConfig is a message broker that serve takes events from. Which keys
// are needed depends on the kind.
type sourceConfig struct {
	Kind string `yaml:"kind"` // nats, kafka or rabbitmq
	// URL is NATS's, several with commas, or RabbitMQ's. In it, and in sasl, ${NAME}
	// is replaced from the environment, by serve.
	URL         string           `yaml:"url"`
	Stream      string           `yaml:"stream"`
	Consumer    string           `yaml:"consumer"`    // Defaults to arbalest
	Subjects    []string         `yaml:"subjects"`    // Defaults to all of the stream
	Credentials string           `yaml:"credentials"` // a .creds file of NATS
	Brokers     []string         `yaml:"brokers"`
	Topics      []string         `yaml:"topics"`
	Group       string           `yaml:"group"` // Defaults to arbalest
	SASL        *saslConfig      `yaml:"sasl"`
	Queue       string           `yaml:"queue"`
	TLS         *sourceTLSConfig `yaml:"tls"`
	Form        string           `yaml:"form"`        // cloudevents. Defaults to what event says
	Event       string           `yaml:"event"`       // a name, or the JSON pointer to it. Defaults to messages in the form of POST /v1/events
	ID          string           `yaml:"id"`          // a JSON pointer. Defaults to the message's position at the broker
	Time        string           `yaml:"time"`        // a JSON pointer. Defaults to the broker's time of the message
	IDPrefix    string           `yaml:"id_prefix"`   // of ids that are positions. Defaults to none
	Prefetch    int              `yaml:"prefetch"`    // messages that are held at most. Defaults to 1000
	BatchBytes  size             `yaml:"batch_bytes"` // that are taken at once. Defaults to 4MiB
	Linger      duration         `yaml:"linger"`      // how long a message waits for others. Defaults to 5ms
}

// A saslConfig is a login to Kafka.
type saslConfig struct {
	Mechanism string `yaml:"mechanism"` // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
	User      string `yaml:"user"`
	Password  string `yaml:"password"`
}

// A sourceTLSConfig has files in PEM, in the data directory if their paths are
// relative.
type sourceTLSConfig struct {
	CA         string `yaml:"ca"` // Defaults to the system's
	Cert       string `yaml:"cert"`
	Key        string `yaml:"key"`
	ServerName string `yaml:"server_name"` // Defaults to the host
}

// options returns a source's options.
func (c sourceConfig) options(name string, p place) (broker.Options, error) {
	o := broker.Options{
		Name: name, Kind: c.Kind, Stream: c.Stream, Consumer: c.Consumer, Subjects: c.Subjects,
		Brokers: c.Brokers, Topics: c.Topics, Group: c.Group, Queue: c.Queue,
		Mapping:  broker.Mapping{Form: c.Form, Event: c.Event, ID: c.ID, Time: c.Time, IDPrefix: c.IDPrefix},
		Prefetch: c.Prefetch, BatchBytes: int(c.BatchBytes), Linger: time.Duration(c.Linger),
	}
	var err, errPassword error
	o.URL, err = expand(c.URL)
	if c.SASL != nil {
		o.SASL = &broker.SASL{Mechanism: c.SASL.Mechanism, User: c.SASL.User}
		o.SASL.Password, errPassword = expand(c.SASL.Password)
	}
	file := func(path string) string {
		if path == "" {
			return ""
		}
		return p.file(path)
	}
	o.Credentials = file(c.Credentials)
	if c.TLS != nil {
		o.TLS = &broker.TLS{CA: file(c.TLS.CA), Cert: file(c.TLS.Cert), Key: file(c.TLS.Key), ServerName: c.TLS.ServerName}
	}
	return o, errors.Join(err, errPassword)
}

// sources makes the configured sources, which do not connect yet, by name.
func sources(c config, p place, log *slog.Logger) (all []broker.Source, stats map[string]*broker.Stats, err error) {
	stats = map[string]*broker.Stats{}
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		o, err := c.Sources[name].options(name, p)
		if err == nil {
			stats[name] = &broker.Stats{}
			o.Log, o.Stats = log, stats[name]
			var s broker.Source
			if s, err = broker.New(o); err == nil {
				all = append(all, s)
				continue
			}
		}
		return nil, nil, fmt.Errorf("%w configuration: sources: %s: %w", arbalest.ErrInvalid, name, err)
	}
	return all, stats, nil
}

// registerSources has /metrics tell of sources.
func registerSources(r *prometheus.Registry, all map[string]*broker.Stats) {
	for name, s := range all {
		count := func(metric, help string, labels prometheus.Labels, get func() int64) {
			labels["source"] = name
			r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: metric, Help: help, ConstLabels: labels}, func() float64 { return float64(get()) }))
		}
		gauge := func(metric, help string, get func() float64) {
			r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: metric, Help: help, ConstLabels: prometheus.Labels{"source": name}}, get))
		}
		const messages, help = "arbalest_source_messages_total", "Messages of brokers that are durable, by what became of them: accepted, or rejected, if an event of it was."
		count(messages, help, prometheus.Labels{"outcome": "accepted"}, s.Accepted)
		count(messages, help, prometheus.Labels{"outcome": "rejected"}, s.Rejected)
		count("arbalest_source_retries_total", "How often messages were offered again, because the store failed or the memory bound was reached.", prometheus.Labels{}, s.Retries)
		gauge("arbalest_source_lag_messages", "Messages that wait at the broker, as it said last.", func() float64 { return float64(s.Lag()) })
		gauge("arbalest_source_connected", "1 if the broker is reached.", func() float64 {
			if s.Connected() {
				return 1
			}
			return 0
		})
	}
}

// take makes events of a source durable.
func (s *server) take(ctx context.Context, events []capture.Foreign) ([]capture.Outcome, error) {
	_, outcomes, err := s.capture.TakeForeign(ctx, events, nil)
	return outcomes, err
}

// sourceGrace is how long sources may take to finish: the rest of the grace is
// for what they gave to capture.
const sourceGrace = grace / 2

// endSources stops sources, and waits until they have finished and acknowledged
// what they have. What does not finish in time is delivered again.
func (s *server) endSources() {
	s.stopSources()
	ended := make(chan struct{})
	go func() { // ends with the last source: at the latest when capture cancels its appends
		s.taking.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(sourceGrace):
		s.log.Warn("sources did not finish in time: what is not acknowledged is delivered again")
	}
}
