package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"arbalest"
)

// A natsSource pulls from a durable consumer of a stream. The stream is the
// user's; the consumer is made where there is none.
type natsSource struct {
	opts    Options
	connect []nats.Option
}

func newNATS(o Options) (Source, error) {
	for _, address := range strings.Split(o.URL, ",") {
		if err := checkURL(address, "nats", "tls", "ws", "wss"); err != nil {
			return nil, err
		}
	}
	s := &natsSource{opts: o, connect: []nats.Option{nats.Name("arbalest " + o.Name), nats.MaxReconnects(-1), nats.ReconnectJitter(time.Second, time.Second)}}
	if o.Credentials != "" {
		s.connect = append(s.connect, nats.UserCredentials(o.Credentials))
	}
	secure, err := o.TLS.config()
	if err != nil {
		return nil, err
	}
	if secure != nil {
		s.connect = append(s.connect, nats.Secure(secure))
	}
	return s, nil
}

// Run implements Source.
func (s *natsSource) Run(ctx context.Context, take Take) error {
	l := &link{opts: s.opts, take: take}
	return l.forever(ctx, func(ctx context.Context) error { return s.session(ctx, l) })
}

// session takes messages until ctx ends, or the consumer is of no more use: that
// a connection breaks the client mends itself.
func (s *natsSource) session(ctx context.Context, l *link) (err error) {
	nc, err := nats.Connect(s.opts.URL, append(slices.Clone(s.connect),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { l.lost(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			l.opts.Log.Warn("a source has an error", "source", l.opts.Name, "reason", l.clean(err))
		}),
		nats.ReconnectHandler(func(*nats.Conn) { l.connected() }))...)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	consumer, err := s.consumer(ctx, js)
	if err != nil {
		return err
	}
	l.connected()
	h := &held{msgs: map[jetstream.Msg]bool{}, limit: s.opts.Prefetch, maxBytes: s.opts.BatchBytes, freed: make(chan struct{}, 1)}
	in := make(chan jetstream.Msg, s.opts.Prefetch)
	pumping, stop := context.WithCancel(ctx)
	defer stop()
	var pumped error
	var loops sync.WaitGroup
	defer loops.Wait()
	defer stop() // before the wait
	loops.Go(func() { pumped = s.pump(pumping, nc, consumer, h, in); close(in) })
	working, done := context.WithCancel(context.WithoutCancel(ctx))
	defer done()
	loops.Go(func() { h.keep(working, consumer.CachedInfo().Config.AckWait/3) })
	for {
		batch := gather(in, s.opts, size)
		if batch == nil {
			done()
			return errors.Join(pumped, s.flush(nc))
		}
		if err := s.deliver(ctx, l, batch, h); err != nil {
			stop()
			for range in { // so that the pump ends
			}
			done()
			h.giveBack()
			return errors.Join(err, s.flush(nc))
		}
	}
}

// flush waits until the acknowledgements are sent. Those that are lost cost a
// repeat.
func (s *natsSource) flush(nc *nats.Conn) error {
	if !nc.IsConnected() {
		return nil
	}
	return nc.FlushTimeout(2 * time.Second)
}

func size(m jetstream.Msg) int { return len(m.Data()) + 256 }

// deliver makes messages durable, and acknowledges each then.
func (s *natsSource) deliver(ctx context.Context, l *link, batch []jetstream.Msg, h *held) error {
	msgs := make([]message, len(batch))
	for i, m := range batch {
		var pending uint64
		msgs[i], pending = s.message(m)
		s.opts.Stats.lag.Store(int64(pending))
	}
	at := 0
	return l.deliver(ctx, msgs, func(n int) error {
		for _, m := range batch[at : at+n] {
			_ = m.Ack() // one that is lost costs a repeat
			h.drop(m)
		}
		at += n
		return nil
	})
}

// message returns a message, and how many wait behind it.
func (s *natsSource) message(m jetstream.Msg) (msg message, pending uint64) {
	msg.payload = m.Data()
	a := newAttributes(s.opts.Name)
	a.text("subject", m.Subject())
	if meta, err := m.Metadata(); err == nil { // as each message of a consumer has it
		a.text("stream", meta.Stream)
		a.number("sequence", int64(meta.Sequence.Stream))
		msg.id = meta.Stream + "/" + strconv.FormatUint(meta.Sequence.Stream, 10)
		msg.time = meta.Timestamp
		pending = meta.NumPending
	}
	names := make([]string, 0, len(m.Headers()))
	for name := range m.Headers() {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range m.Headers()[name] {
			msg.headers = append(msg.headers, header{name, []byte(v)})
		}
	}
	a.headers(msg.headers)
	msg.attributes = a.end()
	return msg, pending
}

// consumer finds the durable consumer, or makes it. One that would lose
// messages, or that was made for others, is refused.
func (s *natsSource) consumer(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	c, err := js.Consumer(ctx, s.opts.Stream, s.opts.Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return js.CreateConsumer(ctx, s.opts.Stream, jetstream.ConsumerConfig{
			Durable: s.opts.Consumer, FilterSubjects: s.opts.Subjects, Description: "arbalest serve, source " + s.opts.Name,
			AckPolicy: jetstream.AckExplicitPolicy, DeliverPolicy: jetstream.DeliverAllPolicy, MaxDeliver: -1, MaxAckPending: 8 * s.opts.Prefetch,
		})
	}
	if err != nil {
		return nil, fmt.Errorf("consumer %s of stream %s: %w", s.opts.Consumer, s.opts.Stream, err)
	}
	is := c.CachedInfo().Config
	subjects := slices.Clone(is.FilterSubjects)
	if is.FilterSubject != "" {
		subjects = []string{is.FilterSubject}
	}
	want := slices.Clone(s.opts.Subjects)
	slices.Sort(subjects)
	slices.Sort(want)
	var wrong string
	switch {
	case is.AckPolicy != jetstream.AckExplicitPolicy:
		wrong = "does not have each message acknowledged (ack policy explicit), so that a crash would lose some"
	case is.MaxDeliver > 0:
		wrong = fmt.Sprintf("gives a message up after %d deliveries (max deliver): set that to -1", is.MaxDeliver)
	case !slices.Equal(subjects, want):
		wrong = fmt.Sprintf("is of the subjects %v, not %v", subjects, want)
	default:
		return c, nil
	}
	return nil, fmt.Errorf("%w: consumer %s of stream %s %s; or name another consumer: it begins at the stream's first message, and what is there already is a repeat", arbalest.ErrInvalid, s.opts.Consumer, s.opts.Stream, wrong)
}

// fetchWait is how long a fetch waits for messages, and so how long stopping an
// idle source takes at most.
const fetchWait = time.Second

// pump fetches messages into in, no more than h may hold, until ctx ends. The
// error says that the consumer is of no more use.
func (s *natsSource) pump(ctx context.Context, nc *nats.Conn, c jetstream.Consumer, h *held, in chan<- jetstream.Msg) error {
	limit := max(s.opts.BatchBytes, int(nc.MaxPayload())+64<<10)
	for large := false; ; {
		room := h.wait(ctx)
		if ctx.Err() != nil {
			return nil
		}
		fetch := []jetstream.FetchOpt{jetstream.FetchMaxWait(fetchWait)}
		if large { // a message that is larger than the limit comes alone
			room = 1
		} else {
			fetch = append(fetch, jetstream.FetchMaxBytes(limit))
		}
		start, n := time.Now(), 0
		batch, err := c.Fetch(room, fetch...)
		if err != nil {
			return err
		}
		for m := range batch.Messages() {
			n++
			h.add(m)
			in <- m
		}
		if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) {
			return err
		}
		if large = n == 0 && !large && time.Since(start) < fetchWait/2; large {
			_, _ = pause(ctx, firstPause)
		}
	}
}
