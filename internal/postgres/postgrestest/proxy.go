package postgrestest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"
)

// A FaultKind says what goes wrong.
type FaultKind uint8

// The kinds of faults.
const (
	// CutBefore cuts the connection before the message reaches the server.
	CutBefore FaultKind = iota + 1
	// LoseReply cuts the connection after the message reached the server and,
	// where it asks for a reply, the server has done as it says and answered:
	// the reply is lost.
	LoseReply
	// Delay passes the message on after Fault.Delay, or never if the server ends
	// the connection, or Cut, before that. That the client is gone is not seen
	// until then.
	Delay
)

func (k FaultKind) String() string {
	switch k {
	case CutBefore:
		return "cut before"
	case LoseReply:
		return "lost reply"
	case Delay:
		return "delay"
	}
	return fmt.Sprintf("FaultKind(%d)", k)
}

// A Fault happens once: at the Nth message of those that hold Match.
type Fault struct {
	Kind  FaultKind
	Match string // bytes of the message; all messages if empty
	N     int    // from 1; counted over all connections since the fault was set
	Delay time.Duration
}

// A Proxy passes the PostgreSQL protocol on to a server, message by message,
// and makes the faults that it is told to. Messages are those of clients after
// the connection is made (startup and password are not counted), Terminate not
// among them. It speaks no TLS.
type Proxy struct {
	dsn      *url.URL
	server   string
	listener net.Listener
	closed   chan struct{}
	running  sync.WaitGroup

	mu       sync.Mutex
	faults   []Fault
	messages int
	conns    map[*proxyConn]bool
}

// NewProxy starts a proxy to the server of dsn, a URL with a host and a port,
// and closes it when the test ends.
func NewProxy(t testing.TB, dsn string) *Proxy {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal("DSN is not a URL") // the error would show the password
	}
	p := &Proxy{dsn: u, server: u.Host, closed: make(chan struct{}), conns: map[*proxyConn]bool{}}
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	u.Host = p.listener.Addr().String()
	p.running.Go(p.accept)
	t.Cleanup(func() {
		close(p.closed)
		if err := p.listener.Close(); err != nil {
			t.Error(err)
		}
		p.Cut()
		p.running.Wait()
	})
	return p
}

// DSN returns the address by which the server is reached through the proxy.
func (p *Proxy) DSN() string { return p.dsn.String() }

// Set replaces the faults that are still to happen, and counts messages from
// zero.
func (p *Proxy) Set(faults ...Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults, p.messages = slices.Clone(faults), 0
}

// Messages returns how many messages clients sent since Set.
func (p *Proxy) Messages() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.messages
}

// Pending returns how many faults have not happened yet.
func (p *Proxy) Pending() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.faults)
}

// Cut cuts all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.close()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.running.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		_ = client.Close() // the client sees that the server is away
		return
	}
	c := &proxyConn{proxy: p, client: client, server: server, answered: make(chan struct{}), gone: make(chan struct{})}
	p.mu.Lock()
	p.conns[c] = true
	p.mu.Unlock()
	p.running.Go(c.replies)
	_ = c.messages() // either end may go away at any time
	c.close()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// fault counts a message and returns the fault that happens at it, if any.
func (p *Proxy) fault(message []byte) (Fault, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messages++
	hit := -1
	for i := range p.faults {
		if !bytes.Contains(message, []byte(p.faults[i].Match)) {
			continue
		}
		if p.faults[i].N--; p.faults[i].N <= 0 && hit < 0 {
			hit = i
		}
	}
	if hit < 0 {
		return Fault{}, false
	}
	f := p.faults[hit]
	p.faults = slices.Delete(p.faults, hit, hit+1)
	return f, true
}

// A proxyConn is one client's connection.
type proxyConn struct {
	proxy          *Proxy
	client, server net.Conn

	mu       sync.Mutex
	losing   bool          // replies are lost from now on
	answered chan struct{} // closed when one was lost
	gone     chan struct{} // closed when the connection is
	closing  sync.Once
}

func (c *proxyConn) close() {
	c.closing.Do(func() {
		close(c.gone)
		_, _ = c.client.Close(), c.server.Close() // what is cut is cut
	})
}

// replies passes on what the server says.
func (c *proxyConn) replies() {
	defer c.close()
	buf := make([]byte, 64<<10)
	for {
		n, err := c.server.Read(buf)
		c.mu.Lock()
		losing := c.losing
		c.mu.Unlock()
		if losing {
			close(c.answered)
			return
		}
		if _, err := c.client.Write(buf[:n]); err != nil {
			return
		}
		if err != nil {
			return
		}
	}
}

var errCut = errors.New("cut")

// messages passes on what the client says.
func (c *proxyConn) messages() error {
	if err := c.startup(); err != nil {
		return err
	}
	for {
		var head [5]byte
		if _, err := io.ReadFull(c.client, head[:]); err != nil {
			return err
		}
		message := append(head[:], make([]byte, max(int(binary.BigEndian.Uint32(head[1:]))-4, 0))...)
		if _, err := io.ReadFull(c.client, message[5:]); err != nil {
			return err
		}
		if kind := message[0]; kind != 'p' && kind != 'X' {
			if f, ok := c.proxy.fault(message); ok {
				if err := c.fail(f, message); err != nil {
					return err
				}
				continue
			}
		}
		if _, err := c.server.Write(message); err != nil {
			return err
		}
	}
}

// startup passes on the messages that come before the first with a type. A
// request for encryption, which the server of a test refuses, comes before the
// startup message.
func (c *proxyConn) startup() error {
	const (
		sslRequest = 80877103
		gssRequest = 80877104
	)
	for {
		var head [8]byte
		if _, err := io.ReadFull(c.client, head[:]); err != nil {
			return err
		}
		message := append(head[:], make([]byte, max(int(binary.BigEndian.Uint32(head[:]))-8, 0))...)
		if _, err := io.ReadFull(c.client, message[8:]); err != nil {
			return err
		}
		if _, err := c.server.Write(message); err != nil {
			return err
		}
		if code := binary.BigEndian.Uint32(head[4:]); code != sslRequest && code != gssRequest {
			return nil
		}
	}
}

// fail makes a fault happen at a message. The error ends the connection.
func (c *proxyConn) fail(f Fault, message []byte) error {
	switch f.Kind {
	case LoseReply:
		c.mu.Lock()
		c.losing = true
		c.mu.Unlock()
		if _, err := c.server.Write(message); err != nil {
			return err
		}
		if kind := message[0]; kind == 'Q' || kind == 'S' || kind == 'c' || kind == 'f' {
			select {
			case <-c.answered:
			case <-c.gone:
			case <-c.proxy.closed:
			}
		}
		return errCut
	case Delay:
		select {
		case <-time.After(f.Delay):
		case <-c.gone:
			return errCut
		case <-c.proxy.closed:
			return errCut
		}
		_, err := c.server.Write(message)
		return err
	}
	return errCut
}
