package pgwire

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"arbalest"
	"arbalest/internal/duckdb"
)

// Options are a server's settings.
type Options struct {
	// Warehouse is what is asked. It must be there.
	Warehouse *duckdb.Warehouse
	// Password is asked for by SCRAM-SHA-256. Defaults to none, which lets in all
	// who can connect.
	Password string
	// TLS is what connections are encrypted with if the client asks for it, and
	// must be from other machines. Defaults to none.
	TLS *tls.Config
	// Timeout is how long a statement may take. Clients can shorten it. Defaults
	// to five minutes.
	Timeout time.Duration
	// Idle is how long a result that was read in part is kept for a client that
	// does nothing. Defaults to ten minutes.
	Idle time.Duration
	// Sessions is how many may be open at once. Defaults to 64.
	Sessions int
	// Log defaults to none.
	Log *slog.Logger
}

// postgresVersion is what clients are told: by it they choose how they ask the
// catalog.
const postgresVersion = "13.0"

// A Server lets clients of PostgreSQL ask a warehouse.
type Server struct {
	opts    Options
	catalog *catalog
	types   *typeSet
	secret  *secret      // nil without a password
	attach  func() error // makes the catalog, once
	ctx     context.Context
	stop    context.CancelCauseFunc
	taken   *semaphore.Weighted // by messages that are handled
	kept    *semaphore.Weighted // by sessions
	results *semaphore.Weighted // that are open

	mu       sync.Mutex
	listener net.Listener
	sessions map[uint32]*session
	conns    map[net.Conn]bool
	lastPID  uint32
	closed   bool
	running  sync.WaitGroup
}

// New makes a server. With the first session its catalog comes into the
// warehouse (5 MiB), which has it until it is closed: there can be one server
// for each.
func New(ctx context.Context, opts Options) (*Server, error) {
	if opts.Warehouse == nil {
		return nil, fmt.Errorf("%w: there is no warehouse to ask", arbalest.ErrInvalid)
	}
	opts.Timeout = cmp.Or(opts.Timeout, 5*time.Minute)
	opts.Idle = cmp.Or(opts.Idle, 10*time.Minute)
	opts.Sessions = cmp.Or(opts.Sessions, 64)
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{opts: opts, catalog: newCatalog(postgresVersion), types: newTypeSet(), sessions: map[uint32]*session{}, conns: map[net.Conn]bool{}, taken: semaphore.NewWeighted(intakeBytes), kept: semaphore.NewWeighted(keptBytes), results: semaphore.NewWeighted(int64(4 * opts.Sessions))}
	if opts.Password != "" {
		var err error
		if s.secret, err = newSecret(opts.Password); err != nil {
			return nil, err
		}
	}
	s.ctx, s.stop = context.WithCancelCause(context.WithoutCancel(ctx))
	s.attach = sync.OnceValue(func() error { return opts.Warehouse.Attach(s.ctx, "pg", s.catalog.statements) })
	return s, nil
}

// Serve takes connections until the server is closed, which makes it return
// nil. Each has a goroutine of its own.
func (s *Server) Serve(ln net.Listener) error {
	s.mu.Lock()
	s.listener = ln
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return ln.Close()
	}
	for {
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			s.opts.Log.Warn("sql: accept", "error", err)
			time.Sleep(50 * time.Millisecond) // out of files, most likely
			continue
		}
		if !s.enter(conn) {
			conn.Close()
			continue
		}
		s.running.Go(func() {
			defer s.leave(conn)
			defer s.survive()
			s.serve(conn)
		})
	}
}

// survive lets a session that panics end alone: others, and capture, go on.
func (s *Server) survive() {
	if r := recover(); r != nil {
		s.opts.Log.Error("sql: a session ended by a defect of arbalest: please report it", "panic", r, "stack", string(debug.Stack()))
	}
}

// enter notes a connection, unless there are far too many: those that only
// cancel must get through when all sessions are taken.
func (s *Server) enter(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= 2*s.opts.Sessions+16 {
		return false
	}
	s.conns[conn] = true
	return true
}

func (s *Server) leave(conn net.Conn) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// register gives a session its number and key, by which it can be cancelled.
func (s *Server) register(c *session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sessions) >= s.opts.Sessions {
		return fatal("53300", "there are %d sessions already: close some", s.opts.Sessions)
	}
	s.lastPID++
	c.pid = s.lastPID
	c.key = make([]byte, 4)
	rand.Read(c.key)
	s.sessions[c.pid] = c
	return nil
}

func (s *Server) unregister(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, c.pid)
}

// cancel stops what a session is doing, for one who knows its key.
func (s *Server) cancel(pid uint32, key []byte) {
	s.mu.Lock()
	c := s.sessions[pid]
	s.mu.Unlock()
	if c != nil && len(key) == 4 && binary.BigEndian.Uint32(key) == binary.BigEndian.Uint32(c.key) {
		c.interrupt(errCancelled())
	}
}

// When queries lack memory, results that were not read for patient go, within
// relief.
const (
	patient = time.Second
	relief  = 300 * time.Millisecond
)

// relieve has sessions that wait for their clients give up the results that they
// keep open, and returns how long to wait until they have, or until they may be
// asked to; 0 if there are none.
func (s *Server) relieve() (wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.sessions {
		since := c.holds.Load()
		if since == 0 {
			continue
		}
		left := patient - time.Since(time.Unix(0, since))
		if left <= 0 {
			_ = c.conn.SetReadDeadline(time.Unix(1, 0)) // it is closed, then
			left = relief
		}
		if wait == 0 || left < wait {
			wait = left
		}
	}
	return wait
}

// Close takes no more connections, stops what is running, and waits until all
// sessions have ended, or the context does.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	ln := s.listener
	s.mu.Unlock()
	s.stop(errStopping())
	var err error
	if ln != nil {
		if err = ln.Close(); errors.Is(err, net.ErrClosed) {
			err = nil
		}
	}
	s.mu.Lock()
	for conn := range s.conns {
		// Those that wait for their clients wake up; others end their statement.
		_ = conn.SetReadDeadline(time.Unix(1, 0))
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		s.mu.Lock()
		for conn := range s.conns {
			conn.Close()
		}
		s.mu.Unlock()
		err = errors.Join(err, fmt.Errorf("close sql: %w", ctx.Err()))
	}
	return err
}
