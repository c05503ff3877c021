// Package source takes events from message brokers: NATS JetStream, Kafka and
// RabbitMQ.
//
// It stores nothing. A message becomes events with ids and times that a
// redelivery has too: the message's own, else the broker's position and time of
// it. The commit point is that of capture: only when take has returned is a
// message acknowledged to the broker, so that what a crash leaves
// unacknowledged comes again, and is a repeat. A message that is no event is
// kept as rejected by the same call, and acknowledged like any other.
//
// What a source holds is bounded: messages are asked for by number and bytes,
// and no more is asked for while take waits for the store.
package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"time"

	"arbalest"
	"arbalest/internal/capture"
)

// A Take makes events durable, as capture.Handler.TakeForeign does: an error
// says that none was taken.
type Take func(ctx context.Context, events []capture.Foreign) ([]capture.Outcome, error)

// A Source is where events come from.
type Source interface {
	// Run takes events until ctx ends. It connects, and connects again, for as
	// long as that takes. When ctx ends it asks for no more, finishes what it
	// has, acknowledges that, and returns nil. What it could not finish is left
	// to the broker, which delivers it again.
	Run(ctx context.Context, take Take) error
}

// The kinds of sources.
const (
	NATS     = "nats"
	Kafka    = "kafka"
	RabbitMQ = "rabbitmq"
)

// Options say where to take events from, and how. Which are required depends on
// Kind.
type Options struct {
	Name string // of the source, in attributes, metrics and the log
	Kind string // NATS, Kafka or RabbitMQ

	URL         string   // NATS, several with commas, and RabbitMQ. Required there
	Stream      string   // NATS. Required there
	Consumer    string   // NATS: the durable consumer. Defaults to "arbalest"
	Subjects    []string // NATS. Defaults to all of the stream
	Credentials string   // NATS: a .creds file. Defaults to none
	Brokers     []string // Kafka: host:port. Required there
	Topics      []string // Kafka. Required there
	Group       string   // Kafka: the consumer group. Defaults to "arbalest"
	SASL        *SASL    // Kafka. Defaults to none
	Queue       string   // RabbitMQ. Required there
	TLS         *TLS     // Defaults to none, except for tls:// and amqps://

	Mapping Mapping
	// Prefetch is how many messages are held at most, and shared by one take.
	// Defaults to 1000.
	Prefetch int
	// BatchBytes is how many bytes of messages share one take. Defaults to 4 MiB.
	BatchBytes int
	// Linger is how long a message waits for others. Defaults to 5 ms.
	Linger time.Duration
	// Log is told of connections that come and go. Defaults to nothing.
	Log *slog.Logger
	// Stats is counted in. Defaults to one that nobody sees.
	Stats *Stats
}

// A SASL says how to log in to Kafka.
type SASL struct {
	Mechanism string // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
	User      string
	Password  string
}

// A TLS says whom to trust, and who we are. Paths are of PEM files.
type TLS struct {
	CA         string // Defaults to the system's
	Cert, Key  string // Defaults to none
	ServerName string // Defaults to the host's name
}

func (t *TLS) config() (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("read tls.ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%w: tls.ca: %s has no certificate in PEM", arbalest.ErrInvalid, t.CA)
		}
	}
	if t.Cert != "" || t.Key != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("read tls.cert and tls.key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// New returns a source. The error wraps arbalest.ErrInvalid, or is of a file
// that cannot be read. It does not connect.
func New(opts Options) (Source, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("source %.80q: %w", opts.Name, err)
	}
	var s Source
	var err error
	switch opts.Kind {
	case NATS:
		s, err = newNATS(opts)
	case Kafka:
		s, err = newKafka(opts)
	default:
		s, err = newRabbitMQ(opts)
	}
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", opts.Name, err)
	}
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.Prefetch == 0 {
		o.Prefetch = 1000
	}
	if o.BatchBytes == 0 {
		o.BatchBytes = 4 << 20
	}
	if o.Linger == 0 {
		o.Linger = 5 * time.Millisecond
	}
	if o.Consumer == "" {
		o.Consumer = "arbalest"
	}
	if o.Group == "" {
		o.Group = "arbalest"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Stats == nil {
		o.Stats = &Stats{}
	}
	return o
}

// sourceName is what a source may be called: it is a label of metrics.
var sourceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$`)

func (o Options) validate() error {
	var missing, other string
	switch o.Kind {
	case NATS:
		missing = absent("url", o.URL, "stream", o.Stream)
		other = present("brokers", o.Brokers, "topics", o.Topics) + absent1(o.Queue, "queue")
	case Kafka:
		missing = absent("brokers", strings.Join(o.Brokers, ""), "topics", strings.Join(o.Topics, ""))
		other = present("subjects", o.Subjects) + absent1(o.URL, "url") + absent1(o.Stream, "stream") + absent1(o.Queue, "queue")
	case RabbitMQ:
		missing = absent("url", o.URL, "queue", o.Queue)
		other = present("brokers", o.Brokers, "topics", o.Topics, "subjects", o.Subjects) + absent1(o.Stream, "stream")
	default:
		return fmt.Errorf("%w: kind %q: want nats, kafka or rabbitmq", arbalest.ErrInvalid, o.Kind)
	}
	switch {
	case !sourceName.MatchString(o.Name):
		return fmt.Errorf("%w: a source's name has letters, digits, '.', '_' and '-', and begins with a letter or digit", arbalest.ErrInvalid)
	case missing != "":
		return fmt.Errorf("%w: %s is missing: a source of kind %s needs it", arbalest.ErrInvalid, missing, o.Kind)
	case other != "":
		return fmt.Errorf("%w: %s is not for a source of kind %s: leave it out", arbalest.ErrInvalid, other, o.Kind)
	case min(o.Prefetch, o.BatchBytes) < 0 || o.Linger < 0 || o.Prefetch > 50_000:
		return fmt.Errorf("%w: prefetch is 1 to 50000 messages, and batch_bytes and linger are not negative", arbalest.ErrInvalid)
	}
	return o.Mapping.validate()
}

// absent returns the first of pairs of names and values that has none.
func absent(pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			return pairs[i]
		}
	}
	return ""
}

// absent1 returns the name of a value that should be absent and is not.
func absent1(value, name string) string {
	if value != "" {
		return name
	}
	return ""
}

// present returns the first name whose list is not empty.
func present(pairs ...any) string {
	for i := 0; i < len(pairs); i += 2 {
		if len(pairs[i+1].([]string)) > 0 {
			return pairs[i].(string)
		}
	}
	return ""
}
