package source

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A rabbitSource consumes a queue, which is the user's.
type rabbitSource struct {
	opts   Options
	secure *tls.Config
}

func newRabbitMQ(o Options) (Source, error) {
	if err := checkURL(o.URL, "amqp", "amqps"); err != nil {
		return nil, err
	}
	if _, err := amqp.ParseURI(o.URL); err != nil {
		return nil, fmt.Errorf("url: it is not one of RabbitMQ: want amqp://user:${PASSWORD}@host:port/vhost")
	}
	secure, err := o.TLS.config()
	if err != nil {
		return nil, err
	}
	return &rabbitSource{opts: o, secure: secure}, nil
}

// Run implements Source.
func (s *rabbitSource) Run(ctx context.Context, take Take) error {
	l := &link{opts: s.opts, take: take}
	return l.forever(ctx, func(ctx context.Context) error { return s.session(ctx, l) })
}

// lagEvery is how often the queue is asked how many messages wait in it.
const lagEvery = 10 * time.Second

// session takes messages until ctx ends or the connection breaks.
func (s *rabbitSource) session(ctx context.Context, l *link) (err error) {
	conn, err := amqp.DialConfig(s.opts.URL, amqp.Config{
		TLSClientConfig: s.secure, Heartbeat: 10 * time.Second, Locale: "en_US",
		Dial:       amqp.DefaultDial(10 * time.Second),
		Properties: amqp.Table{"product": "arbalest", "connection_name": "arbalest " + s.opts.Name},
	})
	if err != nil {
		return err
	}
	defer conn.Close() // what is not acknowledged is put back
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	broken := ch.NotifyClose(make(chan *amqp.Error, 1))
	if err := ch.Qos(s.opts.Prefetch, 0, false); err != nil {
		return err
	}
	tag := "arbalest " + s.opts.Name
	in, err := ch.Consume(s.opts.Queue, tag, false, false, false, false, nil)
	if err != nil {
		return err
	}
	l.connected()
	over := make(chan struct{})
	defer close(over)
	go s.follow(conn, over)                                              // ends with the session
	stop := context.AfterFunc(ctx, func() { _ = ch.Cancel(tag, false) }) // then in is closed, after what is on its way
	defer stop()
	for batch := gather(in, s.opts, deliverySize); batch != nil; batch = gather(in, s.opts, deliverySize) {
		if err := s.deliver(ctx, l, ch, batch); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if err, ok := <-broken; ok && err != nil {
		return err
	}
	return fmt.Errorf("the server ended the consumer: is queue %s there?", s.opts.Queue)
}

// follow asks for the lag, on a channel of its own, until the session is over.
func (s *rabbitSource) follow(conn *amqp.Connection, over <-chan struct{}) {
	ticker := time.NewTicker(lagEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-over:
			return
		}
		ch, err := conn.Channel()
		if err != nil {
			return // the session sees it too
		}
		if q, err := ch.QueueDeclarePassive(s.opts.Queue, true, false, false, false, nil); err == nil {
			s.opts.Stats.lag.Store(int64(q.Messages))
		}
		_ = ch.Close() // it is closed already where that failed
	}
}

func deliverySize(d amqp.Delivery) int { return len(d.Body) + 256 }

// deliver makes messages durable, and acknowledges them up to the last that is:
// tags are counted in the order of delivery.
func (s *rabbitSource) deliver(ctx context.Context, l *link, ch *amqp.Channel, batch []amqp.Delivery) error {
	msgs := make([]message, len(batch))
	for i := range batch {
		msgs[i] = s.message(&batch[i])
	}
	at := 0
	return l.deliver(ctx, msgs, func(n int) error {
		at += n
		if err := ch.Ack(batch[at-1].DeliveryTag, true); err != nil {
			return fmt.Errorf("acknowledge: %w", err) // they come again, and are repeats
		}
		return nil
	})
}

func (s *rabbitSource) message(d *amqp.Delivery) message {
	m := message{payload: d.Body, id: d.MessageId, time: d.Timestamp, contentType: d.ContentType}
	if m.id == "" {
		m.id = fingerprint(d)
	}
	a := newAttributes(s.opts.Name)
	a.text("queue", s.opts.Queue)
	a.text("exchange", d.Exchange)
	a.text("key", d.RoutingKey)
	a.text("message_id", d.MessageId)
	a.text("correlation_id", d.CorrelationId)
	a.text("content_type", d.ContentType)
	a.text("type", d.Type)
	a.text("app_id", d.AppId)
	names := make([]string, 0, len(d.Headers))
	for name := range d.Headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		m.headers = append(m.headers, header{name, headerText(d.Headers[name])})
	}
	a.headers(m.headers)
	m.attributes = a.end()
	return m
}

// headerText spells the value of a header.
func headerText(v any) []byte {
	switch v := v.(type) {
	case string:
		return []byte(v)
	case []byte:
		return v
	case time.Time:
		return []byte(v.UTC().Format(time.RFC3339))
	}
	return []byte(strings.ToValidUTF8(fmt.Sprint(v), "\uFFFD"))
}

// fingerprint is the id of a message that has none: a hash of what it says and
// when. Two messages of which all this is the same are one event.
func fingerprint(d *amqp.Delivery) string {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(d.Exchange), []byte(d.RoutingKey), []byte(d.CorrelationId), d.Body} {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part)))) // never fails
		_, _ = h.Write(part)
	}
	if !d.Timestamp.IsZero() {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(d.Timestamp.Unix())))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
