package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// declare makes the queue, and returns the connection.
func (b *rabbitBroker) declare() (*amqp.Connection, error) {
	conn, err := amqp.Dial(b.url())
	if err != nil {
		return nil, err
	}
	ch, err := conn.Channel()
	if err == nil {
		_, err = ch.QueueDeclare("mail", true, false, false, false, nil)
	}
	return conn, err
}

// sendAll publishes messages, persistent and confirmed, each until the broker has
// it: so it may have it twice.
func (b *rabbitBroker) sendAll(msgs []amqp.Publishing, sent func(i int)) {
	for i := 0; i < len(msgs); {
		err := func() error {
			conn, err := b.declare()
			if err != nil {
				return err
			}
			defer conn.Close()
			ch, err := conn.Channel()
			if err != nil {
				return err
			}
			if err := ch.Confirm(false); err != nil {
				return err
			}
			const window = 50
			for i < len(msgs) {
				var waits []*amqp.DeferredConfirmation
				for _, m := range msgs[i:min(i+window, len(msgs))] {
					m.DeliveryMode = amqp.Persistent
					c, err := ch.PublishWithDeferredConfirm("", "mail", false, false, m)
					if err != nil {
						return err
					}
					waits = append(waits, c)
				}
				for _, c := range waits {
					ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
					ok, err := c.WaitContext(ctx)
					cancel()
					if err != nil || !ok {
						return errors.Join(err, errors.New("not confirmed"))
					}
				}
				i += len(waits)
				sent(i)
			}
			return nil
		}()
		if err != nil {
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// waiting returns how many messages are in the queue, once it is left alone.
func (b *rabbitBroker) waiting() int {
	conn, err := amqp.Dial(b.url())
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		b.t.Fatal(err)
	}
	q, err := ch.QueueDeclarePassive("mail", true, false, false, false, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return q.Messages
}

func rabbitOptions(b *rabbitBroker) Options {
	return Options{Name: "mail", Kind: RabbitMQ, URL: b.url(), Queue: "mail", Prefetch: 300}
}

// TestInvariant2RabbitMQ kills the broker, the store and our process's source
// while messages come. Every third message has no id of its own, and none of
// those a time.
func TestInvariant2RabbitMQ(t *testing.T) {
	b := newRabbitBroker(t)
	w := newWorld(t)
	const messages = 12_000
	at := time.Now().Truncate(time.Second)
	var msgs []amqp.Publishing
	for i := range messages {
		m := amqp.Publishing{Body: event(i)}
		if i%3 > 0 {
			m.MessageId, m.Timestamp = fmt.Sprint("id", i), at
		}
		msgs = append(msgs, m)
		if i < 1000*len(poison) && i%1000 == 700 {
			msgs = append(msgs, amqp.Publishing{Body: []byte(poison[i/1000].payload)})
		}
	}
	progress := make(chan struct{}, 1)
	var reached int
	var mu sync.Mutex
	var senders sync.WaitGroup
	senders.Go(func() {
		b.sendAll(msgs, func(i int) {
			mu.Lock()
			reached = i
			mu.Unlock()
			select {
			case progress <- struct{}{}:
			default:
			}
		})
	})
	sent := func() int { mu.Lock(); defer mu.Unlock(); return reached }
	r := w.run(rabbitOptions(b))
	until(t, "some messages", func() bool { return r.stats.Accepted() > 1000 })
	b.kill()
	if n := sent(); n == len(msgs) {
		t.Errorf("all %d messages were sent before the broker was killed", n)
	}
	b.start()
	until(t, "more messages", func() bool { return r.stats.Accepted() > 4000 })
	w.fails.Store(true)
	until(t, "retries", func() bool { return r.stats.Retries() > 2 })
	r.end(t) // with what it could not make durable
	w.fails.Store(false)
	r = w.run(rabbitOptions(b))
	second := w.run(rabbitOptions(b))
	until(t, "messages by two", func() bool { return r.stats.Accepted() > 500 && second.stats.Accepted() > 500 })
	second.end(t)
	senders.Wait()
	w.want("m", messages)
	r.end(t)
	until(t, "the queue is empty", func() bool { return b.waiting() == 0 })
	w.wantPoison()
	if log := w.log.String(); strings.Contains(log, rabbitPassword) || !strings.Contains(log, "is not connected") {
		t.Errorf("the log shows the password, or not that the broker was away:\n%s", log)
	}
	if got := w.query(fmt.Sprintf(`SELECT count(*) FILTER (event_id LIKE 'id%%'), count(*) FILTER (length(event_id) = 32), count(*) FILTER (event_time = '%s') FROM m`, at.UTC().Format(time.DateTime))); got != fmt.Sprintf("%d,%d,%d", messages*2/3, messages/3, messages*2/3) {
		t.Errorf("own ids, hashes, own times: %s", got)
	}
}

// TestRabbitMQAcknowledgesWhatIsDurable holds the append back: until it is done
// nothing is acknowledged, and what is not is given back when the source stops.
func TestRabbitMQAcknowledgesWhatIsDurable(t *testing.T) {
	b := newRabbitBroker(t)
	w := newWorld(t)
	var msgs []amqp.Publishing
	for i := range 20 {
		msgs = append(msgs, amqp.Publishing{Body: event(i), MessageId: fmt.Sprint(i)})
	}
	b.sendAll(msgs, func(int) {})
	g := &gated{open: make(chan struct{}), waits: make(chan struct{}, 100), denies: true}
	w.gate.Store(g)
	r := w.run(rabbitOptions(b))
	<-g.waits
	time.Sleep(200 * time.Millisecond)
	r.stop()
	time.Sleep(200 * time.Millisecond)
	close(g.open)
	r.end(t)
	if r.stats.Accepted() > 0 {
		t.Error("what was not durable is counted as accepted")
	}
	until(t, "all is in the queue again", func() bool { return b.waiting() == 20 })
	w.gate.Store(nil)
	o := rabbitOptions(b)
	o.URL = strings.Replace(o.URL, rabbitPassword, rabbitPassword+"x", 1)
	refused := w.run(o)
	until(t, "a wrong password is refused", func() bool { return strings.Contains(w.log.String(), "username or password not allowed") })
	refused.end(t)
	o = rabbitOptions(b)
	o.Queue = "other"
	missing := w.run(o)
	until(t, "a queue is missed", func() bool { return strings.Contains(w.log.String(), "no queue 'other'") })
	missing.end(t)
	if strings.Contains(w.log.String(), rabbitPassword) {
		t.Error("the log shows the password")
	}
	r = w.run(rabbitOptions(b))
	until(t, "it is accepted", func() bool { return r.stats.Accepted() == 20 })
	r.end(t)
	if n := b.waiting(); n != 0 {
		t.Errorf("%d messages are in the queue after a stop", n)
	}
	w.want("m", 20)
}

// TestRabbitMQMessages looks at what becomes of one message.
func TestRabbitMQMessages(t *testing.T) {
	s := &rabbitSource{opts: Options{Name: "mail", Queue: "q"}}
	d := &amqp.Delivery{Body: []byte(`{"event":"m"}`), RoutingKey: "k", Exchange: "x", Headers: amqp.Table{"n": int32(7), "b": []byte{0xff}}, Redelivered: false}
	m := s.message(d)
	if got := string(m.attributes); got != `{"source":"mail","queue":"q","exchange":"x","key":"k","headers":{"b":{"base64":"/w=="},"n":"7"}}` {
		t.Error(got)
	}
	d.Redelivered, d.DeliveryTag = true, 9
	if again := s.message(d); again.id != m.id || len(m.id) != 32 {
		t.Errorf("%s, %s", m.id, again.id)
	}
	d.Timestamp = time.Unix(1, 0)
	if other := s.message(d); other.id == m.id || !other.time.Equal(d.Timestamp) {
		t.Error("a message of another time has the same id")
	}
	d.MessageId = "own"
	if own := s.message(d); own.id != "own" {
		t.Error(own.id)
	}
}
