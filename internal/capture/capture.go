// Package capture takes events over HTTP and answers once they are durable.
//
// It stores nothing of its own. A request is read, decoded and checked in its
// own goroutine; the lines of its accepted events and the records of its
// invalid ones then join the open group. The commit point is Append, which makes
// the lines of all requests of a group durable at once, as a segment or as a part
// of one; only then is any of them answered. Nothing is acknowledged from memory,
// and a capturer can be killed and replaced at any moment.
//
// Memory is bounded by Options.MaxBytesInFlight, which counts what requests hold:
// bodies, decoded bodies and lines. Room is taken as bytes come, and a request
// for which there is no more is answered 429, wherever it has got to: before its
// body, in the middle of it or while it is decoded. Nothing of it is kept.
//
// Front takes the connections. It answers plain posts of events itself, and gives
// every other connection to net/http; both call the same Handler.
package capture

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"arbalest"
	"arbalest/internal/lake"
)

// An Appender makes lines durable. Its methods may be called at once by many
// goroutines, and do not keep what they are given.
type Appender interface {
	// Pack appends whole lines to dst in the form that Append takes. What several
	// calls appended is the form of all their lines.
	Pack(dst, lines []byte) []byte
	// Append makes lines durable, as one segment or part of one, and returns the
	// segment's receipt. size is that of the lines, in bytes. After an error they
	// may be there all the same: their events are then repeats of those that the
	// client sends again.
	Append(ctx context.Context, packed []byte, size int) (arbalest.Receipt, error)
}

// Options say how to capture. Sizes are in bytes.
type Options struct {
	// Appender is where segments go. It is required.
	Appender Appender
	// Tracker says how far a receipt's events are. Defaults to none: every
	// receipt is then answered with 404.
	Tracker Tracker
	// Check says why this process cannot take events, for /readyz. Defaults to
	// none.
	Check func(context.Context) error
	// Registry is where the metrics are registered, and what /metrics shows.
	// Defaults to a new one.
	Registry *prometheus.Registry
	// Durability is what an answer says of how its events are kept. Defaults to
	// "fsync".
	Durability string
	// MaxBody is the largest body of a request, before and after decoding.
	// Defaults to 16 MiB.
	MaxBody int
	// MaxEvent is the largest event, as it came. Defaults to 1 MiB.
	MaxEvent int
	// MaxDepth is how deep an event's objects and arrays may be nested, its own
	// braces included. Defaults to 64.
	MaxDepth int
	// MaxRejected is after how many invalid events of one request the rest of it
	// is rejected as one. Defaults to 10,000.
	MaxRejected int
	// MaxBytesInFlight bounds what all requests together hold: bodies, decoded
	// bodies and lines. It must be at least four times MaxBody. Defaults to 64
	// MiB, or to four times MaxBody where that is more.
	MaxBytesInFlight int
	// Writers is how many segments may be being written at once. Defaults to 1:
	// on a directory fewer and fuller groups are faster.
	Writers int
	// SegmentBytes is the size of lines at which a group takes no more requests.
	// Defaults to 4 MiB.
	SegmentBytes int
	// Linger is how long a group waits for more requests before it is written.
	// Defaults to 0: only while other segments are being written.
	Linger time.Duration
	// Patience is how long a group waits at most for as many requests as the one
	// before it had. Defaults to 200 µs; negative is not at all.
	Patience time.Duration
	// Gate says who may send events. Defaults to none: everybody may.
	Gate Gate
	// Policies gives what is to be done with events of a name, nil for nothing.
	// It is called for every event, by many goroutines at once. Defaults to none.
	Policies func(arbalest.EventName) Policy
	// Guarded says that there are events of which not everything may be stored:
	// of a rejected event whose body is not JSON, or whose name is not valid,
	// the body is then not kept, since it may be one of them. Defaults to false.
	Guarded bool
	// Log is told of requests that are refused, each by its X-Request-Id.
	// Defaults to none.
	Log *slog.Logger
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	o.MaxBody = either(o.MaxBody, 16<<20)
	o.MaxEvent = either(o.MaxEvent, 1<<20)
	o.MaxDepth = either(o.MaxDepth, 64)
	o.MaxRejected = either(o.MaxRejected, 10_000)
	o.MaxBytesInFlight = either(o.MaxBytesInFlight, max(64<<20, 4*o.MaxBody))
	o.Writers = either(o.Writers, 1)
	o.SegmentBytes = either(o.SegmentBytes, 4<<20)
	o.Patience = either(o.Patience, 200*time.Microsecond)
	o.Durability = either(o.Durability, "fsync")
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// either returns v, or def where v is the zero value.
func either[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

func (o Options) validate() error {
	switch {
	case o.Appender == nil:
		return fmt.Errorf("%w: capture without an Appender", arbalest.ErrInvalid)
	case min(o.MaxBody, o.MaxEvent, o.MaxDepth, o.MaxRejected, o.MaxBytesInFlight, o.Writers, o.SegmentBytes) < 0 || o.Linger < 0:
		return fmt.Errorf("%w: a limit of capture is negative", arbalest.ErrInvalid)
	case o.SegmentBytes > lake.MaxSegment:
		return fmt.Errorf("%w: segments of %d bytes of lines: at most %d can be read", arbalest.ErrInvalid, o.SegmentBytes, lake.MaxSegment)
	case o.MaxBytesInFlight < 4*o.MaxBody:
		return fmt.Errorf("%w: capture may hold %d bytes, which is less than four bodies of %d bytes: raise the bound or lower the limit for a body", arbalest.ErrInvalid, o.MaxBytesInFlight, o.MaxBody)
	}
	return nil
}

// A Handler serves capture over HTTP: POST /v1/events, GET
// /v1/receipts/{receipt}, /healthz, /readyz and /metrics.
type Handler struct {
	opts      Options
	committer *committer
	budget    budget
	buffers   buffers
	intakes   intakes
	gzips     sync.Pool // of *gzip.Reader
	zstds     sync.Pool // of *zstd.Decoder
	ids       idSource
	metrics   *metrics
	jsonType  []string // the Content-Type header, made once
	closing   atomic.Bool
}

// maxLines is how many bytes of lines a request may make of its events: what
// is added to each is more than a small one has. All must fit into a segment.
func (o *Options) maxLines() int { return min(max(64<<20, 4*o.MaxBody), lake.MaxSegment) }

// New returns a handler. The error wraps arbalest.ErrInvalid.
func New(opts Options) (*Handler, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	h := &Handler{opts: opts, jsonType: []string{"application/json"}}
	h.budget.limit = int64(opts.MaxBytesInFlight)
	metrics, err := newMetrics(opts.Registry, &h.budget)
	if err != nil {
		return nil, err
	}
	h.metrics = metrics
	h.committer = newCommitter(opts, &h.budget, &h.buffers, metrics)
	return h, nil
}

// ServeHTTP answers a request. The answer has an X-Request-Id: the client's own
// where it is sane, else a new one.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	identify(w, r)
	switch path := r.URL.Path; {
	case path == "/v1/events":
		h.serveEvents(w, r)
	case strings.HasPrefix(path, "/v1/receipts/"):
		h.serveReceipt(w, r, arbalest.Receipt(path[len("/v1/receipts/"):]))
	case path == "/healthz":
		h.serveHealth(w, r)
	case path == "/readyz":
		h.serveReady(w, r)
	case path == "/metrics":
		if _, err := h.Pass(Token(r.Header)); err != nil {
			h.write(w, h.refusalOf(err))
			return
		}
		h.metrics.handler.ServeHTTP(w, r)
	default:
		h.refuse(w, http.StatusNotFound, false, "there is nothing here: events are sent with POST to /v1/events")
	}
}

// Close stops intake, so that new events are answered with 503, writes what has
// been taken, and returns when all of it is answered for. Where ctx ends first,
// the writes are cancelled, and their requests are answered with 503. The
// handler still answers everything else.
func (h *Handler) Close(ctx context.Context) error {
	h.closing.Store(true)
	return h.committer.close(ctx)
}
