package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A Front serves a Handler on a listener. The requests that clients of capture
// send all day, POST /v1/events with a Content-Length and nothing unusual in its
// head, it reads and answers itself, at half of what net/http costs. Every other
// connection goes to an http.Server, with what has been read of it, and stays
// there: net/http sees just what the client sent.
//
// It keeps a goroutine for each connection, as net/http does.
type Front struct {
	handler *Handler
	rest    *http.Server
	handed  *handover
	date    atomic.Pointer[dateLine]

	closing atomic.Bool
	mu      sync.Mutex
	conns   map[*frontConn]bool
	ln      net.Listener
	serving sync.WaitGroup
}

// The time that a client has for a request, and a connection for the next. They
// are for the whole, however often something comes, and count as net/http counts
// them: that for a head from its first byte, or from the connection's begin if it
// is the first; that for a request, head and body, from there too.
const (
	headTimeout    = 10 * time.Second
	requestTimeout = 2 * time.Minute
	idleTimeout    = 2 * time.Minute
)

// maxDrained is how much of a body that nobody will look at is read all the
// same, so that the answer reaches a client that is still sending.
const maxDrained = 256 << 10

// NewFront returns a front of h. rest serves all else, within limits.
func NewFront(h *Handler, rest *http.Server) *Front {
	Limit(rest)
	return &Front{handler: h, rest: rest, handed: &handover{conns: make(chan net.Conn), closed: make(chan struct{})}, conns: map[*frontConn]bool{}}
}

// Limit sets the timeouts of a server that has no Front before it, and sees to
// it that every answer has an X-Request-Id.
func Limit(s *http.Server) {
	s.ReadHeaderTimeout, s.ReadTimeout, s.IdleTimeout = headTimeout, requestTimeout, idleTimeout
	if s.Handler != nil {
		s.Handler = Identified(s.Handler)
	}
}

// Serve answers until Shutdown, after which it returns http.ErrServerClosed.
func (f *Front) Serve(ln net.Listener) error {
	f.mu.Lock()
	f.ln, f.handed.addr = ln, ln.Addr()
	closed := f.closing.Load() // before this: nobody else closes ln
	f.mu.Unlock()
	if closed {
		ln.Close()
		return http.ErrServerClosed
	}
	rest := make(chan error, 1)
	go func() { rest <- f.rest.Serve(f.handed) }() // ends with handed, which Shutdown closes
	for pause := time.Duration(0); ; {
		conn, err := ln.Accept()
		if f.closing.Load() {
			if err == nil {
				conn.Close()
			}
			ln.Close()
			return <-rest
		}
		if errors.Is(err, net.ErrClosed) {
			f.handed.Close()
			return errors.Join(err, <-rest)
		}
		if err != nil { // there are no files left to open, say
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			if f.rest.ErrorLog != nil {
				f.rest.ErrorLog.Printf("accept a connection: %v: again in %v", err, pause)
			}
			time.Sleep(pause)
			continue
		}
		pause = 0
		f.begin(conn)
	}
}

// begin serves a connection in a goroutine of its own.
func (f *Front) begin(conn net.Conn) {
	c := &frontConn{front: f, conn: conn}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns[c] = true
	f.serving.Go(c.serve)
}

func (f *Front) forget(c *frontConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, c)
}

// Shutdown takes no more connections, closes the idle ones, and returns when
// the requests that were begun are answered. Where ctx ends first it closes all,
// and returns the context's error.
func (f *Front) Shutdown(ctx context.Context) error {
	f.closing.Store(true)
	f.mu.Lock()
	if f.ln != nil {
		f.ln.Close()
	}
	for c := range f.conns {
		if c.busy.CompareAndSwap(false, true) {
			c.conn.Close()
		}
	}
	f.mu.Unlock()
	err := f.rest.Shutdown(ctx)
	f.handed.Close()
	answered := make(chan struct{})
	go func() { f.serving.Wait(); close(answered) }() // ends with the last connection
	select {
	case <-answered:
		return err
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		c.conn.Close()
	}
	return errors.Join(err, ctx.Err())
}

// A handover is the listener by which the http.Server gets connections.
type handover struct {
	addr   net.Addr
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// Accept implements net.Listener.
func (l *handover) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *handover) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *handover) Addr() net.Addr { return l.addr }

// A begunConn is a connection of which something has been read already.
type begunConn struct {
	net.Conn
	read []byte
}

// Read implements net.Conn.
func (c *begunConn) Read(b []byte) (int, error) {
	if len(c.read) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.read)
	c.read = c.read[n:]
	return n, nil
}

// CloseWrite lets net/http close one half, as it does of a net.TCPConn.
func (c *begunConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// A frontConn is a connection. It is the reader of the body of the request that
// it is at.
type frontConn struct {
	front    *Front
	conn     net.Conn
	busy     atomic.Bool // with a request; Shutdown closes those that are not
	used     bool        // a request was answered
	buf      [4096]byte
	from, to int       // of buf: read and not used
	body     int64     // bytes of the request's body that have not been read
	begun    time.Time // the request; zero if its head came all at once
	deadline time.Time
	out      []byte
	id       [16]byte // room for a request's
}

// serve answers one request after another until the connection ends or is
// handed over.
func (c *frontConn) serve() {
	defer c.front.forget(c)
	for !c.front.closing.Load() {
		head := c.head()
		if head == nil {
			break
		}
		request, ok := parseHead(head, c.front.handler.opts.MaxBody)
		if !ok || request.barred && c.front.handler.opts.Gate != nil {
			c.handOver()
			return
		}
		c.from += len(head)
		if !c.answer(request) {
			c.linger()
			break
		}
		c.used = true
		c.busy.Store(false)
	}
	c.conn.Close()
}

// head reads the next request's head, or as much of it as there is room for. It
// returns nil if there is none.
func (c *frontConn) head() []byte {
	if c.from == c.to {
		c.from, c.to = 0, 0
	}
	if c.begun = (time.Time{}); !c.used {
		c.limitHead()
	}
	for looked := 0; ; {
		have := c.buf[c.from:c.to]
		if len(have) > 0 && looked == 0 && !c.busy.CompareAndSwap(false, true) {
			return nil // Shutdown was faster
		}
		again := max(looked-3, 0) // for the end may be half there
		if i := bytes.Index(have[again:], []byte("\r\n\r\n")); i >= 0 {
			return have[:again+i+4]
		}
		looked = len(have)
		if c.from > 0 {
			c.from, c.to = 0, copy(c.buf[:], have)
		}
		switch {
		case c.to == len(c.buf):
			return c.buf[:]
		case !c.begun.IsZero(): // the deadline is for all of the head
		case looked == 0:
			c.wait(idleTimeout)
		default:
			c.limitHead()
		}
		n, err := c.conn.Read(c.buf[c.to:])
		c.to += n
		switch {
		case err == io.EOF && (c.to >= 4 || c.to > 0 && !c.used): // as net/http has it
			return c.buf[:c.to] // cut off, which parseHead sees
		case err != nil:
			return nil
		}
	}
}

// wait sets the deadline for what need not come, give or take some seconds: it
// costs as much as parsing a request.
func (c *frontConn) wait(d time.Duration) {
	if now := time.Now(); c.deadline.Sub(now) < d-headTimeout || c.deadline.Sub(now) > d {
		c.deadline = now.Add(d)
		_ = c.conn.SetReadDeadline(c.deadline) // a connection that is closed says so when it is read
	}
}

// limitHead sets the deadline for what is missing of a head.
func (c *frontConn) limitHead() {
	c.begun = time.Now()
	c.expect(c.begun.Add(headTimeout))
}

// expect sets the deadline for what must come.
func (c *frontConn) expect(deadline time.Time) {
	c.deadline = deadline
	_ = c.conn.SetReadDeadline(deadline)
}

// handOver gives the connection to net/http.
func (c *frontConn) handOver() {
	_ = c.conn.SetReadDeadline(time.Time{})
	read := bytes.Clone(c.buf[c.from:c.to])
	// Line ends after the body of a POST, which some clients send, net/http
	// skips; but it does not know that there was one.
	for n := 0; c.used && n < 4 && len(read) > 0 && (read[0] == '\r' || read[0] == '\n'); n++ {
		read = read[1:]
	}
	begun := &begunConn{c.conn, read}
	select {
	case c.front.handed.conns <- begun:
	case <-c.front.handed.closed:
		c.conn.Close()
	}
}

// Read reads the body.
func (c *frontConn) Read(b []byte) (int, error) {
	if c.body == 0 {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), c.body)]
	n := copy(b, c.buf[c.from:c.to])
	c.from += n
	var err error
	if n == 0 {
		n, err = c.conn.Read(b)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
	}
	c.body -= int64(n)
	return n, err
}

// answer takes the request's events and answers it. It returns false if the
// connection is to be closed.
func (c *frontConn) answer(r request) (more bool) {
	h := c.front.handler
	if c.body = r.length; int64(c.to-c.from) < c.body {
		if c.begun.IsZero() {
			c.begun = time.Now()
		}
		c.expect(c.begun.Add(requestTimeout))
	}
	if r.id == nil {
		r.id = appendRequestID(c.id[:0])
	}
	in := h.intakes.get(h)
	defer h.intakes.put(in)
	v := c.post(in, r)
	h.metrics.request(v.status)
	if v.reason != "" {
		h.note(v, string(r.id))
	}
	more = c.drained() && !h.closing.Load()
	c.out = c.front.appendAnswer(c.out[:0], r, v, more)
	_, err := c.conn.Write(c.out)
	return more && err == nil
}

// post is serveEvents of net/http's way.
func (c *frontConn) post(in *intake, r request) verdict {
	h := c.front.handler
	if h.opts.Gate != nil {
		var err error
		if in.pass, err = h.opts.Gate.Open(string(r.key)); err != nil {
			return h.refusalOf(err)
		}
	}
	if r.trace != nil {
		in.trace(string(r.trace))
	}
	return h.post(context.Background(), in, c, r.length, nil)
}

// drained reads what is left of the body, where that is little, and says whether
// all of it is read.
func (c *frontConn) drained() bool {
	if 0 < c.body && c.body <= maxDrained {
		_, _ = io.Copy(io.Discard, c)
	}
	return c.body == 0
}

// linger lets what was answered arrive at a client that is still sending: were
// the connection closed at once, the kernel would answer what comes with a
// reset, at which the client may forget what it has received.
func (c *frontConn) linger() {
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok && c.body > 0 && half.CloseWrite() == nil {
		c.expect(time.Now().Add(500 * time.Millisecond))
		_, _ = io.Copy(io.Discard, c.conn)
	}
}

// appendAnswer appends an answer in HTTP/1.1.
func (f *Front) appendAnswer(dst []byte, r request, v verdict, more bool) []byte {
	if v.status == http.StatusOK {
		dst = append(dst, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"...)
	} else {
		dst = fmt.Appendf(dst, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n", v.status, http.StatusText(v.status))
	}
	dst = append(dst, "X-Request-Id: "...)
	dst = append(dst, r.id...)
	if v.retry {
		dst = append(append(dst, "\r\nRetry-After: "...), v.retryAfter()...)
	}
	if v.status == http.StatusUnauthorized {
		dst = append(dst, "\r\nWww-Authenticate: "+challenge...)
	}
	if !more {
		dst = append(dst, "\r\nConnection: close"...)
	}
	dst = append(dst, f.dateLine()...)
	dst = strconv.AppendInt(dst, int64(len(v.body)), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, v.body...)
}

// A dateLine is the part of an answer's head that is the same for a second.
type dateLine struct {
	second int64
	text   string
}

func (f *Front) dateLine() string {
	now := time.Now()
	if d := f.date.Load(); d != nil && d.second == now.Unix() {
		return d.text
	}
	d := &dateLine{now.Unix(), "\r\nDate: " + now.UTC().Format(http.TimeFormat) + "\r\nContent-Length: "}
	f.date.Store(d)
	return d.text
}
