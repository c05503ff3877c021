package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"arbalest"
)

// A kafkaSource is a member of a consumer group. What is durable of a partition
// is always its beginning, for one poll is delivered after the other: so the
// offset that is committed is never past a message that is not.
type kafkaSource struct {
	opts    Options
	connect []kgo.Opt
}

func newKafka(o Options) (Source, error) {
	s := &kafkaSource{opts: o, connect: []kgo.Opt{
		kgo.SeedBrokers(o.Brokers...), kgo.ClientID("arbalest-" + o.Name),
		kgo.ConsumerGroup(o.Group), kgo.ConsumeTopics(o.Topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // a new group begins at the beginning
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.AutoCommitMarks(), kgo.AutoCommitInterval(time.Second),
		// Records that are fetched and not polled yet are held too.
		kgo.FetchMaxBytes(int32(min(2*o.BatchBytes, 1<<30))), kgo.FetchMaxPartitionBytes(int32(min(o.BatchBytes, 1<<30))), kgo.MaxConcurrentFetches(2),
		kgo.RetryBackoffFn(func(n int) time.Duration { return min(time.Duration(n)*200*time.Millisecond, 5*time.Second) }),
	}}
	secure, err := o.TLS.config()
	if err != nil {
		return nil, err
	}
	if secure != nil {
		s.connect = append(s.connect, kgo.DialTLSConfig(secure))
	}
	if o.SASL != nil {
		switch m := strings.ToUpper(o.SASL.Mechanism); m {
		case "PLAIN":
			s.connect = append(s.connect, kgo.SASL(plain.Auth{User: o.SASL.User, Pass: o.SASL.Password}.AsMechanism()))
		case "SCRAM-SHA-256":
			s.connect = append(s.connect, kgo.SASL(scram.Auth{User: o.SASL.User, Pass: o.SASL.Password}.AsSha256Mechanism()))
		case "SCRAM-SHA-512":
			s.connect = append(s.connect, kgo.SASL(scram.Auth{User: o.SASL.User, Pass: o.SASL.Password}.AsSha512Mechanism()))
		default:
			return nil, fmt.Errorf("%w: sasl.mechanism %q: want PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", arbalest.ErrInvalid, m)
		}
	}
	return s, nil
}

// Run implements Source.
func (s *kafkaSource) Run(ctx context.Context, take Take) error {
	l := &link{opts: s.opts, take: take}
	return l.forever(ctx, func(ctx context.Context) error { return s.session(ctx, l) })
}

// commitWait bounds a commit of offsets. One that is lost costs repeats.
const commitWait = 5 * time.Second

// session takes records until ctx ends: the client connects again by itself.
func (s *kafkaSource) session(ctx context.Context, l *link) error {
	w := &watch{link: l, lags: map[partition]int64{}}
	commit := func(ctx context.Context, c *kgo.Client) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitWait)
		defer cancel()
		if err := c.CommitMarkedOffsets(ctx); err != nil {
			l.opts.Log.Warn("what is durable of a source was not committed: it comes again, and is a repeat", "source", l.opts.Name, "reason", l.clean(err))
		}
	}
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.WithHooks(w),
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { l.connected() }),
		kgo.OnPartitionsRevoked(func(ctx context.Context, c *kgo.Client, gone map[string][]int32) {
			commit(ctx, c)
			w.forget(gone)
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) { w.forget(gone) }),
	}, s.connect...)...)
	if err != nil {
		return err
	}
	defer client.Close() // leaves the group
	ping, cancel := context.WithTimeout(ctx, 10*time.Second)
	err = client.Ping(ping) // else a login that is refused would not be heard of
	cancel()
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the broker ended the connection: does it want tls, or another login under sasl? %w", err)
	case err != nil:
		return err
	}
	wait := firstPause
	for ctx.Err() == nil {
		fetches := client.PollRecords(ctx, s.opts.Prefetch)
		var failed error
		fetches.EachError(func(topic string, p int32, err error) {
			if !errors.Is(err, context.Canceled) {
				failed = fmt.Errorf("topic %q, partition %d: %w", topic, p, err)
			}
		})
		if failed != nil {
			l.lost(failed)
		}
		if fetches.IsClientClosed() {
			return failed
		}
		if err := s.deliver(ctx, l, client, fetches, w); err != nil {
			break // ctx has ended, and the rest is not durable
		}
		if fetches.NumRecords() > 0 {
			wait = firstPause
		} else if failed != nil {
			wait, _ = pause(ctx, wait)
		}
	}
	commit(ctx, client)
	return nil
}

// deliver makes the records of a poll durable, and marks them then, to be
// committed.
func (s *kafkaSource) deliver(ctx context.Context, l *link, client *kgo.Client, fetches kgo.Fetches, w *watch) error {
	records := fetches.Records()
	if len(records) == 0 {
		return nil
	}
	l.connected()
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if n := len(p.Records); n > 0 {
			w.lag(partition{p.Topic, p.Partition}, max(p.HighWatermark-p.Records[n-1].Offset-1, 0))
		}
	})
	msgs := make([]message, len(records))
	for i, r := range records {
		msgs[i] = s.message(r)
	}
	at := 0
	return l.deliver(ctx, msgs, func(n int) error {
		client.MarkCommitRecords(append([]*kgo.Record(nil), records[at:at+n]...)...) // a copy, for it is put in another order
		at += n
		return nil
	})
}

func (s *kafkaSource) message(r *kgo.Record) message {
	m := message{payload: r.Value, id: r.Topic + "/" + strconv.Itoa(int(r.Partition)) + "/" + strconv.FormatInt(r.Offset, 10)}
	if r.Timestamp.UnixMilli() > 0 { // those of old formats have -1
		m.time = r.Timestamp
	}
	a := newAttributes(s.opts.Name)
	a.text("topic", r.Topic)
	a.number("partition", int64(r.Partition))
	a.number("offset", r.Offset)
	a.text("key", string(r.Key))
	for _, h := range r.Headers {
		m.headers = append(m.headers, header{h.Key, h.Value})
	}
	a.headers(m.headers)
	m.attributes = a.end()
	return m
}

// A partition is one of a topic.
type partition struct {
	topic  string
	number int32
}

// A watch follows connections and lag. Its methods may be called at once.
type watch struct {
	link *link
	mu   sync.Mutex
	lags map[partition]int64
}

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (w *watch) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err != nil {
		w.link.lost(err)
	}
}

// OnGroupManageError implements kgo.HookGroupManageError.
func (w *watch) OnGroupManageError(err error) { w.link.lost(err) }

// OnBrokerRead implements kgo.HookBrokerRead.
func (w *watch) OnBrokerRead(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	const fetch = 1
	if key == fetch && err == nil {
		w.link.connected()
	}
}

// lag notes how many messages of a partition wait.
func (w *watch) lag(p partition, n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lags[p] = n
	w.sum()
}

// forget drops partitions that are another's now.
func (w *watch) forget(gone map[string][]int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for topic, numbers := range gone {
		for _, n := range numbers {
			delete(w.lags, partition{topic, n})
		}
	}
	w.sum()
}

func (w *watch) sum() {
	var total int64
	for _, n := range w.lags {
		total += n
	}
	w.link.opts.Stats.lag.Store(total)
}
