package source

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A kafkaBroker is a cluster in this process, that can be killed: what it stores
// is in files.
type kafkaBroker struct {
	t       *testing.T
	dir     string
	ports   []int
	cluster atomic.Pointer[kfake.Cluster]
	opts    []kfake.Opt
}

const topicPartitions = 4

func newKafkaBroker(t *testing.T, opts ...kfake.Opt) *kafkaBroker {
	t.Helper()
	b := &kafkaBroker{t: t, dir: t.TempDir(), opts: opts}
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		b.ports = append(b.ports, l.Addr().(*net.TCPAddr).Port)
		l.Close()
	}
	b.start()
	t.Cleanup(func() { b.cluster.Load().Close() })
	return b
}

func (b *kafkaBroker) start() {
	b.t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.Ports(b.ports...), kfake.DataDir(b.dir), kfake.SeedTopics(topicPartitions, "clicks"), kfake.GroupMinSessionTimeout(time.Second)}, b.opts...)...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.cluster.Store(c)
}

func (b *kafkaBroker) addresses() []string {
	var all []string
	for _, p := range b.ports {
		all = append(all, fmt.Sprint("127.0.0.1:", p))
	}
	return all
}

// producer returns a client that sends without doubling.
func (b *kafkaBroker) producer(opts ...kgo.Opt) *kgo.Client {
	b.t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.addresses()...), kgo.DefaultProduceTopic("clicks"), kgo.RecordPartitioner(kgo.ManualPartitioner())}, opts...)...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(c.Close)
	return c
}

func produce(t *testing.T, c *kgo.Client, partition int32, payload []byte) {
	t.Helper()
	r := &kgo.Record{Partition: partition, Value: payload, Key: []byte("k"), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("v")}}}
	if err := c.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Error(err)
	}
}

// committed returns the offsets that a group has committed.
func (b *kafkaBroker) committed(group string) (sum int64) {
	info := b.cluster.Load().GroupInfo(group)
	if info == nil {
		return 0
	}
	for _, c := range info.Commits["clicks"] {
		sum += c.Offset
	}
	return sum
}

func kafkaOptions(b *kafkaBroker) Options {
	return Options{Name: "clicks", Kind: Kafka, Brokers: b.addresses(), Topics: []string{"clicks"}, Prefetch: 400}
}

// TestInvariant2Kafka restarts the cluster, drops connections, answers with
// errors, fails the store, and has members of the group come and go while
// messages come.
func TestInvariant2Kafka(t *testing.T) {
	b := newKafkaBroker(t)
	w := newWorld(t)
	c := b.producer()
	const messages = 12_000
	produced, proceed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(produced)
		var senders sync.WaitGroup
		for first := range topicPartitions {
			senders.Go(func() {
				for i := first; i < messages; i += topicPartitions {
					if i >= messages/2 {
						<-proceed
					}
					produce(t, c, int32(first), event(i))
					if i < 1000*len(poison) && i%1000 == 700 {
						produce(t, c, int32(first), []byte(poison[i/1000].payload))
					}
				}
			})
		}
		senders.Wait()
	}()
	r := w.run(kafkaOptions(b))
	until(t, "some messages", func() bool { return r.stats.Accepted() > 1000 })
	b.drop(kmsg.Fetch, 3)
	b.drop(kmsg.OffsetCommit, 3)
	b.drop(kmsg.Heartbeat, 1)
	b.cluster.Load().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.NotCoordinator, Count: 2},
		kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.NotLeaderForPartition, Count: 3})
	until(t, "more messages", func() bool { return r.stats.Accepted() > 2500 })
	b.cluster.Load().Close()
	until(t, "it is noticed", func() bool { return strings.Contains(w.log.String(), "is not connected") })
	b.start()
	until(t, "messages after a restart", func() bool { return r.stats.Accepted() > 4000 })
	second := w.run(kafkaOptions(b))
	until(t, "both have partitions", func() bool {
		g := b.cluster.Load().GroupInfo("arbalest")
		return g != nil && len(g.Members) == 2 && g.Members[0].NumAssigned() == topicPartitions/2 && g.Members[1].NumAssigned() == topicPartitions/2
	})
	close(proceed)
	until(t, "messages by the second", func() bool { return second.stats.Accepted() > 100 })
	w.fails.Store(true)
	until(t, "retries", func() bool { return r.stats.Retries() > 2 })
	r.end(t) // with what it could not make durable
	w.fails.Store(false)
	until(t, "more messages by the second", func() bool { return second.stats.Accepted() > 2000 })
	<-produced
	w.want("m", messages)
	until(t, "all is committed", func() bool { return b.committed("arbalest") == int64(messages+len(poison)) })
	second.end(t)
	w.wantPoison()
	if got := w.query(`SELECT count(*) FROM m WHERE NOT regexp_matches(event_id, '^clicks/[0-3]/[0-9]+$')`); got != "0" {
		t.Errorf("%s ids are not topic/partition/offset", got)
	}
	if lag := second.stats.Lag(); lag != 0 {
		t.Errorf("lag %d", lag)
	}
}

// drop closes the connections of the next n requests of a kind.
func (b *kafkaBroker) drop(key kmsg.Key, n int) {
	for range n {
		b.cluster.Load().ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
			return nil, errors.New("dropped"), true
		})
	}
}

// TestKafkaCommitsWhatIsDurable holds the append back: until it is done no offset
// is committed, also not when the source is stopped meanwhile and the append
// fails.
func TestKafkaCommitsWhatIsDurable(t *testing.T) {
	b := newKafkaBroker(t)
	w := newWorld(t)
	c := b.producer()
	for i := range 20 {
		produce(t, c, 0, event(i))
	}
	var early atomic.Int64 // offsets that were committed
	b.cluster.Load().ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
		for _, topic := range r.(*kmsg.OffsetCommitRequest).Topics {
			for _, p := range topic.Partitions {
				early.Add(p.Offset)
			}
		}
		return nil, nil, false
	})
	g := &gated{open: make(chan struct{}), waits: make(chan struct{}, 100), denies: true}
	w.gate.Store(g)
	r := w.run(kafkaOptions(b))
	<-g.waits
	time.Sleep(2500 * time.Millisecond) // more than two intervals of commits
	r.stop()
	time.Sleep(100 * time.Millisecond)
	if n := early.Load(); n != 0 {
		t.Errorf("offsets %d were committed while the append waited", n)
	}
	close(g.open)
	r.end(t)
	if n := early.Load(); n != 0 {
		t.Errorf("offsets %d were committed after the append failed", n)
	}
	w.gate.Store(nil)
	r = w.run(kafkaOptions(b))
	until(t, "it is accepted", func() bool { return r.stats.Accepted() == 20 })
	r.end(t) // which commits
	if n := b.committed("arbalest"); n != 20 {
		t.Errorf("%d offsets are committed after a stop, want 20", n)
	}
	w.want("m", 20)
}

// TestKafkaStopsWithoutLoss stops and starts a source many times: a stop commits
// all that was taken, so that not even a repeat comes.
func TestKafkaStopsWithoutLoss(t *testing.T) {
	b := newKafkaBroker(t)
	w := newWorld(t)
	c := b.producer()
	const messages = 3000
	go func() {
		for i := range messages {
			produce(t, c, int32(i%topicPartitions), event(i))
		}
	}()
	var accepted int64
	for accepted < messages {
		r := w.run(kafkaOptions(b))
		until(t, "some messages", func() bool { return r.stats.Accepted() > 0 })
		time.Sleep(20 * time.Millisecond)
		r.end(t)
		accepted += r.stats.Accepted()
	}
	if accepted != messages {
		t.Errorf("%d messages were taken, want %d: a stop did not commit what was taken", accepted, messages)
	}
	w.want("m", messages)
}

// TestKafkaLogins looks at SASL with TLS off: right and wrong passwords.
func TestKafkaLogins(t *testing.T) {
	const password = "not-for-anyones-eyes"
	b := newKafkaBroker(t, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "u", password), kfake.Superuser("PLAIN", "u", password))
	w := newWorld(t)
	for i, mechanism := range []string{"PLAIN", "SCRAM-SHA-256"} {
		o := kafkaOptions(b)
		o.SASL, o.Group = &SASL{Mechanism: mechanism, User: "u", Password: password + "-but-wrong"}, fmt.Sprint("g", i)
		before := strings.Count(w.log.String(), "another login")
		r := w.run(o)
		until(t, "it is refused", func() bool { return strings.Count(w.log.String(), "another login") > before })
		r.end(t)
		if r.stats.Accepted() > 0 || r.stats.Connected() {
			t.Errorf("%s: a wrong password lets in", mechanism)
		}
		o.SASL, o.Stats = &SASL{Mechanism: mechanism, User: "u", Password: password}, nil
		r = w.run(o)
		until(t, "it is let in", r.stats.Connected)
		r.end(t)
	}
	if strings.Contains(w.log.String(), password) {
		t.Errorf("the log shows the password:\n%s", w.log)
	}
}

// TestKafkaMessages looks at what becomes of one record.
func TestKafkaMessages(t *testing.T) {
	at := time.Date(2015, 8, 18, 7, 38, 40, 0, time.UTC)
	s := &kafkaSource{opts: Options{Name: "clicks"}}
	r := &kgo.Record{Topic: "t", Partition: 3, Offset: 7, Key: []byte{0xff}, Value: []byte(`{}`), Timestamp: at, Headers: []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "b"}, {Key: "a", Value: []byte("2")}}}
	m := s.message(r)
	if got := string(m.attributes); got != `{"source":"clicks","topic":"t","partition":3,"offset":7,"key":{"base64":"/w=="},"headers":{"a":["1","2"],"b":""}}` || m.id != "t/3/7" || !m.time.Equal(at) {
		t.Errorf("%s %s %s", got, m.id, m.time)
	}
	r.Timestamp, r.Topic = time.UnixMilli(-1), strings.Repeat("x", 249)
	if m = s.message(r); !m.time.IsZero() {
		t.Error(m.time)
	}
	r.Value = []byte(`{"event":"m"}`)
	m = s.message(r)
	if e := (Mapping{IDPrefix: "other-cluster/"}).events(&m); len(e[0].ID) != 32 {
		t.Errorf("an id that is too long became %s", e[0].ID)
	}
}
