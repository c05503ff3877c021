package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"arbalest"
	"arbalest/connect"
	"arbalest/internal/capture"
	"arbalest/internal/keys"
	"arbalest/internal/lake"
)

// serveBatch is how many bytes of lines a batch is of: two are held, as columns.
const serveBatch = 24 << 20

// goMemory is the soft limit of Go's heap in serve. With DuckDB's own limit, and
// what neither counts, it keeps the process below 512 MiB.
const goMemory = 168 << 20

// gcPercent is how much of Go's heap may be garbage, within goMemory. Go's own
// hundred collects two hundred times a second under a flood, and each time
// empties the pools that capture takes its buffers from.
const gcPercent = 400

// grace is how long a serve that is told to stop may take to finish.
const grace = 30 * time.Second

func newServe() *cobra.Command {
	var listen, sql, pages string
	var debugging bool
	cmd := &cobra.Command{
		Use:   "serve --data DIR",
		Short: "Capture events over HTTP, sort and load them, until told to stop",
		Long: `Captures events at POST /v1/events, sorts and loads them as they come, and
answers the other commands. SIGTERM or Ctrl-C: finishes what it has, exits 0;
a second one stops at once, and loses nothing that was acknowledged.

  curl -d '{"event":"user.created","data":{"email_address":"jane@doe.com"}}' http://127.0.0.1:8080/v1/events`,
		Args: noArgs,
	}
	p := placeFlags(cmd)
	cmd.Flags().StringVar(&listen, "listen", "", "address to capture on (default 127.0.0.1:8080)")
	cmd.Flags().StringVar(&sql, "sql", "", "address for PostgreSQL's clients, or off (default 127.0.0.1:5439)")
	cmd.Flags().StringVar(&pages, "web", "", "address for the pages, or off (default beside capture, where only this machine reaches that)")
	cmd.Flags().BoolVar(&debugging, "debug", false, "log requests that are refused, too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := p.resolve(false); err != nil {
			return err
		}
		c, err := p.read()
		if err != nil {
			return err
		}
		if listen != "" {
			c.Listen = listen
		}
		if sql != "" {
			c.SQL.Listen = sql
		}
		if pages != "" {
			c.Web.Listen = pages
		}
		level := slog.LevelInfo
		if debugging {
			level = slog.LevelDebug
		}
		log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
		s, err := startServer(cmd.Context(), *p, c, log)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "Capturing at %s/v1/events, %s. Ctrl-C stops.\n", s.url, p.where(c))
		if s.sql != nil {
			fmt.Fprintf(cmd.OutOrStdout(), "SQL for PostgreSQL's clients at postgres://arbalest@%s/arbalest\n", s.sql.address)
		}
		if pages := s.web.Load(); pages != nil {
			fmt.Fprintf(cmd.OutOrStdout(), "Pages at %s\n", pages.url)
		}
		return s.wait(cmd.Context())
	}
	return cmd
}

// A server is everything that serve runs: the loops start in startServer, and
// stop in Close.
type server struct {
	url     string
	log     *slog.Logger
	engine  *engine
	landing *lake.Gatherer
	capture *capture.Handler
	front   frontage
	control *control
	sql     *sqlFace                // nil if there is none
	web     atomic.Pointer[webFace] // nil if there is none
	local   bool                    // capture listens on loopback only
	flow    flow
	lag     lag

	keys        *keys.Ring
	certificate *certificate // nil without TLS

	every   time.Duration
	wake    chan struct{} // something landed
	landed  atomic.Int64  // bytes of lines since the last pass began
	full    chan struct{} // that is enough for a pass before its time
	loaded  chan struct{} // models have something to follow
	failed  chan error    // the listener broke
	stop    context.CancelFunc
	loops   sync.WaitGroup
	metrics *passMetrics

	stopSources context.CancelFunc
	taking      sync.WaitGroup // the sources
}

// startServer opens the place and begins to serve. The caller must Close it,
// which waiting does.
func startServer(ctx context.Context, p place, c config, log *slog.Logger) (*server, error) {
	debug.SetMemoryLimit(goMemory)
	debug.SetGCPercent(gcPercent)
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	pipelines, err := readSchedules(p, c)
	if err != nil {
		return nil, err
	}
	taken, stats, err := sources(c, p, log)
	if err != nil {
		return nil, err
	}
	c.Warehouse.Batch = cmp.Or(c.Warehouse.Batch, serveBatch)
	e, err := openEngine(ctx, p, c)
	if err != nil {
		return nil, err
	}
	c = c.forServe(connect.IsRemote(p.store(c)))
	s := &server{log: log, engine: e, every: time.Duration(c.SortEvery), wake: make(chan struct{}, 1), full: make(chan struct{}, 1), loaded: make(chan struct{}, 1), failed: make(chan error, 1)}
	if err := s.secure(p, c); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	registry := prometheus.NewRegistry()
	registerSources(registry, stats)
	if err := s.listen(c, registry); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	if s.control, err = listenControl(e, p.servant(), s.url); err != nil {
		return nil, errors.Join(err, s.front.Shutdown(ctx), e.Close())
	}
	if err := s.listenSQL(ctx, c.SQL); err != nil {
		return nil, errors.Join(err, s.control.Close(ctx), s.front.Shutdown(ctx), e.Close())
	}
	loops, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	if err := s.openWeb(loops, p, c.Web, c.SQL.Timeout); err != nil {
		stop()
		return nil, errors.Join(err, s.closeSQL(ctx), s.control.Close(ctx), s.front.Shutdown(ctx), e.Close())
	}
	s.loops.Go(func() { s.follow(loops) })
	s.loops.Go(func() { s.watch(loops) })
	s.loops.Go(func() { s.watchFlow(loops) })
	s.loops.Go(func() { e.buildOn(loops, s.loaded, log) })
	if !c.Compact.Off {
		s.loops.Go(func() { e.compactOn(loops, log) })
	}
	if c.retains() {
		s.loops.Go(func() { e.archiveOn(loops, log) })
	}
	for _, p := range pipelines {
		s.loops.Go(func() { e.runBy(loops, p, log) })
	}
	taking, stopSources := context.WithCancel(loops)
	s.stopSources = stopSources
	for _, b := range taken {
		s.taking.Go(func() { _ = b.Run(taking, s.take) }) // it logs what goes wrong, and tries again
	}
	return s, nil
}

// listen starts capture.
func (s *server) listen(c config, registry *prometheus.Registry) error {
	s.landing = s.engine.lake.NewGatherer()
	s.metrics = newPassMetrics(registry)
	s.lag.register(registry)
	door, err := c.door()
	if err != nil {
		return err
	}
	handler, err := capture.New(capture.Options{
		Appender: waker{s.landing, s, int64(c.SortBytes)},
		Tracker:  s.engine, Registry: registry, Gate: s.keys, Log: s.log,
		Linger: time.Duration(*c.Linger), Writers: c.writers, Durability: c.durability,
		Policies: door.policies, Guarded: door.guarded,
		MaxBody: int(c.Limits.Body), MaxEvent: int(c.Limits.Event), MaxBytesInFlight: int(c.Limits.InFlight),
	})
	if err != nil {
		return err
	}
	all, err := handlers(c, handler, registry)
	if err != nil {
		return err
	}
	all = s.besidePages(all)
	ln, err := s.open(c)
	if err != nil {
		return err
	}
	s.capture, s.url, s.local = handler, s.scheme()+ln.Addr().String(), isLoopback(ln)
	s.front = s.frontOf(handler, all)
	s.loops.Go(func() {
		if err := s.front.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("capture on %s: %w", ln.Addr(), err)
		}
	})
	return nil
}

// wait serves until the context ends or capture breaks, and closes.
func (s *server) wait(ctx context.Context) error {
	var err error
	select {
	case <-ctx.Done():
		s.log.Info("stopping: finishing what was accepted")
	case err = <-s.failed:
	}
	return errors.Join(err, s.Close())
}

// Close stops intake, writes what was taken, sorts and loads it, and closes.
// What does not finish within the grace is durable all the same, and loaded by
// the next serve or sync.
func (s *server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	s.endSources()
	errWeb := s.closeWeb(ctx) // capture's address waits for what is asked there
	errCapture := errors.Join(s.capture.Close(ctx), s.front.Shutdown(ctx), s.landing.Close(ctx))
	s.stop()
	errControl := errors.Join(errWeb, s.control.Close(ctx), s.closeSQL(ctx))
	s.loops.Wait()
	if r, err := s.engine.Sync(ctx, func(progress) {}); err != nil {
		s.log.Warn("left for the next start", "reason", err)
	} else if err := r.err(); err != nil {
		s.log.Warn("left for the next start", "reason", err)
	} else if built, err := s.engine.Build(ctx, modelRequest{}, func(progress) {}); err != nil || built.Error != nil {
		s.log.Warn("models are left for the next start", "reason", errors.Join(err, built.err()))
	}
	return errors.Join(errCapture, errControl, s.engine.Close())
}

// follow sorts and loads what lands, at once, but not more often than every.
func (s *server) follow(ctx context.Context) {
	pause := s.every
	for {
		start := time.Now()
		s.landed.Store(0)
		early := s.full
		s.lag.begin()
		r, err := s.engine.Sync(ctx, func(progress) {})
		s.metrics.pass(r, err, time.Since(start))
		s.flow.passed(err)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			pause = min(2*pause, 30*time.Second)
			early = nil
			s.log.Error("sync", "error", err, "again_in", pause)
		default:
			pause = s.every
			s.lag.end()
			if r.Loaded > 0 {
				tell(s.loaded)
				s.log.Info("loaded", "rows", r.Loaded, "tables", len(r.Tables), "repeats", r.Repeats, "conflicts", r.Conflicts, "errors", r.Errors, "rejected", r.Rejected, "took", time.Since(start).Round(time.Millisecond))
			}
		}
		if !sleep(ctx, pause-time.Since(start), early) {
			return
		}
		select {
		case <-s.wake:
		case <-time.After(max(s.every, time.Second)): // others may have landed something
		case <-ctx.Done():
			return
		}
	}
}

// sleep waits for some time, or for early. It returns false if the context ends
// first.
func sleep(ctx context.Context, d time.Duration, early <-chan struct{}) bool {
	select {
	case <-time.After(d):
		return true
	case <-early:
		return true
	case <-ctx.Done():
		return false
	}
}

// A waker tells the loop of everything that lands, and of when that is enough.
type waker struct {
	*lake.Gatherer
	server *server
	enough int64 // bytes of lines; 0 is never
}

// Append implements capture.Appender.
func (w waker) Append(ctx context.Context, packed []byte, size int) (arbalest.Receipt, error) {
	r, err := w.Gatherer.Append(ctx, packed, size)
	if err == nil {
		w.server.lag.land()
		tell(w.server.wake)
		if landed := w.server.landed.Add(int64(size)); w.enough > 0 && landed >= w.enough {
			tell(w.server.full)
		}
	}
	return r, err
}

// tell tells whoever looks next.
func tell(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Track implements capture.Tracker.
func (e *engine) Track(ctx context.Context, r arbalest.Receipt) (capture.Progress, error) {
	place, err := e.lake.Track(ctx, r)
	if err != nil || place.Commit == 0 {
		return capture.Progress{State: capture.Landed}, err
	}
	p := capture.Progress{State: capture.Loaded, Commit: place.Commit}
	done := e.loader.Progress()
	for _, event := range place.Events {
		name, err := e.loader.TableName(ctx, event)
		if err != nil {
			return p, err
		}
		p.Tables = append(p.Tables, name)
		if stall, ok := done.Stalled[name]; ok && stall.Commit < place.Commit {
			p.State = capture.Sorted
		}
	}
	if done.Commit < place.Commit {
		p.State = capture.Sorted
	}
	return p, nil
}
