package source

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A natsBroker is a server in this process, that can be killed: what it stores
// is in files.
type natsBroker struct {
	t      *testing.T
	dir    string
	port   int
	server *server.Server
}

const natsPassword = "not-for-anyones-eyes"

func newNATSBroker(t *testing.T) *natsBroker {
	b := &natsBroker{t: t, dir: t.TempDir(), port: -1}
	b.start()
	t.Cleanup(b.stop)
	return b
}

func (b *natsBroker) start() {
	b.t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: b.port, JetStream: true, StoreDir: b.dir, NoSigs: true, Username: "u", Password: natsPassword})
	if err != nil {
		b.t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		b.t.Fatal("the NATS server does not start")
	}
	b.server, b.port = s, s.Addr().(*net.TCPAddr).Port
}

func (b *natsBroker) stop() {
	b.server.Shutdown()
	b.server.WaitForShutdown()
}

func (b *natsBroker) url() string {
	return fmt.Sprintf("nats://u:%s@127.0.0.1:%d", natsPassword, b.port)
}

// stream makes the stream and returns a client.
func (b *natsBroker) stream() (*nats.Conn, jetstream.JetStream) {
	b.t.Helper()
	nc, err := nats.Connect(b.url(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := js.CreateOrUpdateStream(b.t.Context(), jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}}); err != nil {
		b.t.Fatal(err)
	}
	return nc, js
}

// publish publishes with a message id, until the broker has it.
func publish(t *testing.T, js jetstream.JetStream, id string, payload []byte) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err := js.Publish(ctx, "orders.new", payload, jetstream.WithMsgID(id))
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func natsOptions(b *natsBroker) Options {
	return Options{Name: "orders", Kind: NATS, URL: b.url(), Stream: "ORDERS", Subjects: []string{"orders.>"}, Prefetch: 500}
}

// unacknowledged returns how many messages of the stream are not acknowledged.
func unacknowledged(t *testing.T, js jetstream.JetStream) int {
	t.Helper()
	c, err := js.Consumer(t.Context(), "ORDERS", "arbalest")
	if err != nil {
		t.Fatal(err)
	}
	info, err := c.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.NumAckPending + int(info.NumPending)
}

// TestInvariant2NATS kills the broker, the store and our process's source while
// messages come.
func TestInvariant2NATS(t *testing.T) {
	b := newNATSBroker(t)
	w := newWorld(t)
	_, js := b.stream()
	// What was on its way to us when the broker died it delivers again after this.
	if _, err := js.CreateConsumer(t.Context(), "ORDERS", jetstream.ConsumerConfig{Durable: "arbalest", FilterSubjects: []string{"orders.>"}, AckPolicy: jetstream.AckExplicitPolicy, AckWait: 2 * time.Second, MaxDeliver: -1}); err != nil {
		t.Fatal(err)
	}
	const messages = 12_000
	published := make(chan struct{})
	go func() {
		defer close(published)
		var senders sync.WaitGroup
		for first := range 8 {
			senders.Go(func() {
				for i := first; i < messages; i += 8 {
					publish(t, js, fmt.Sprint("e", i), event(i))
					if i < 1000*len(poison) && i%1000 == 700 {
						publish(t, js, fmt.Sprint("p", i), []byte(poison[i/1000].payload))
					}
				}
			})
		}
		senders.Wait()
	}()
	r := w.run(natsOptions(b))
	until(t, "some messages", func() bool { return r.stats.Accepted() > 1000 })
	b.stop()
	b.start()
	until(t, "more messages", func() bool { return r.stats.Accepted() > 3000 })
	w.fails.Store(true)
	until(t, "retries", func() bool { return r.stats.Retries() > 2 })
	r.end(t) // with what it could not make durable
	w.fails.Store(false)
	r = w.run(natsOptions(b))
	second := w.run(natsOptions(b))
	until(t, "messages by two", func() bool { return r.stats.Accepted()+second.stats.Accepted() > 3000 })
	second.end(t)
	<-published
	w.want("m", messages)
	until(t, "all is acknowledged", func() bool { return unacknowledged(t, js) == 0 })
	r.end(t)
	w.wantPoison()
	if log := w.log.String(); strings.Contains(log, natsPassword) || !strings.Contains(log, "is not connected") {
		t.Errorf("the log shows the password, or not that the broker was away:\n%s", log)
	}
	if r.stats.Lag() != 0 {
		t.Errorf("lag %d", r.stats.Lag())
	}
}

// TestNATSAcknowledgesWhatIsDurable holds the append back: until it is done
// nothing is acknowledged, and the broker does not deliver again.
func TestNATSAcknowledgesWhatIsDurable(t *testing.T) {
	b := newNATSBroker(t)
	w := newWorld(t)
	_, js := b.stream()
	if _, err := js.CreateConsumer(t.Context(), "ORDERS", jetstream.ConsumerConfig{Durable: "arbalest", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 300 * time.Millisecond, MaxDeliver: -1}); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		publish(t, js, fmt.Sprint(i), event(i))
	}
	g := &gated{open: make(chan struct{}), waits: make(chan struct{}, 100)}
	w.gate.Store(g)
	o := natsOptions(b)
	o.Subjects = nil
	r := w.run(o)
	<-g.waits
	time.Sleep(time.Second) // more than three times as long as the broker waits
	if n := unacknowledged(t, js); n != 20 {
		t.Errorf("%d messages are not acknowledged while the append waits, want 20", n)
	}
	c, err := js.Consumer(t.Context(), "ORDERS", "arbalest")
	if err != nil {
		t.Fatal(err)
	}
	if info := c.CachedInfo(); info.NumRedelivered > 0 {
		t.Errorf("%d were delivered again", info.NumRedelivered)
	}
	w.gate.Store(nil)
	close(g.open)
	until(t, "all is acknowledged", func() bool { return unacknowledged(t, js) == 0 })
	r.end(t)
	w.want("m", 20)
}

// TestNATSBeginsWithoutABroker holds that a source waits for its broker, its
// stream, and a consumer that is right.
func TestNATSBeginsWithoutABroker(t *testing.T) {
	b := newNATSBroker(t)
	b.stop()
	w := newWorld(t)
	r := w.run(natsOptions(b))
	until(t, "it is logged", func() bool { return strings.Contains(w.log.String(), "is not connected") })
	if r.stats.Connected() {
		t.Error("it says that it is connected")
	}
	b.start()
	until(t, "the stream is missed", func() bool { return strings.Contains(w.log.String(), "stream not found") })
	_, js := b.stream()
	publish(t, js, "0", event(0))
	w.want("m", 1)
	r.end(t)
	for name, c := range map[string]jetstream.ConsumerConfig{
		"acknowledged": {AckPolicy: jetstream.AckNonePolicy},
		"max deliver":  {AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: 3},
		"subjects":     {AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: "orders.new"},
	} {
		c.Durable = strings.ReplaceAll(name, " ", "")
		if _, err := js.CreateConsumer(t.Context(), "ORDERS", c); err != nil {
			t.Fatal(err)
		}
		o := natsOptions(b)
		o.Consumer = c.Durable
		r := w.run(o)
		until(t, "it refuses "+name, func() bool {
			return strings.Contains(w.log.String(), "consumer "+c.Durable) && strings.Contains(w.log.String(), name)
		})
		r.end(t)
	}
	if strings.Contains(w.log.String(), natsPassword) {
		t.Error("the log shows the password")
	}
}

// TestNATSMessages looks at what becomes of one message: large, with headers,
// with several events.
func TestNATSMessages(t *testing.T) {
	b := newNATSBroker(t)
	w := newWorld(t)
	nc, js := b.stream()
	m := nats.NewMsg("orders.new")
	m.Header = nats.Header{"A": {"x", "y"}, "B": {"\xff"}}
	m.Data = []byte(`[{"event":"m","data":{"n":0}},{"event":"m","id":"own","timestamp":"2015-08-18T07:38:40Z","data":{"n":1}},{"event":"m","data":{"n":2}}]`)
	if _, err := js.PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	large := fmt.Appendf(nil, `{"event":"m","data":{"n":3,"text":%q}}`, strings.Repeat("x", int(nc.MaxPayload())-400))
	publish(t, js, "large", large)
	o := natsOptions(b)
	o.BatchBytes = 1000
	r := w.run(o)
	w.want("m", 4)
	r.end(t)
	if got := w.query(`SELECT string_agg(event_id, ' ' ORDER BY n) FROM m`); got != "ORDERS/1 own ORDERS/1/2 ORDERS/2" {
		t.Error(got)
	}
	if got := w.query(`SELECT count(*) FROM m WHERE event_time < '2015-08-19'`); got != "1" {
		t.Error(got)
	}
	c, err := js.OrderedConsumer(t.Context(), "ORDERS", jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	msg, _ := (&natsSource{opts: o}).message(first)
	if got := string(msg.attributes); got != `{"source":"orders","subject":"orders.new","stream":"ORDERS","sequence":1,"headers":{"A":["x","y"],"B":{"base64":"/w=="}}}` {
		t.Error(got)
	}
	if e := (Mapping{}).events(&msg); len(e) != 3 || e[0].Bad != nil || string(e[0].Attributes) != string(msg.attributes) {
		t.Errorf("%+v", e)
	}
}
