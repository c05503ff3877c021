package pgwire

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// startupTime is how long a client may take until it is let in.
const startupTime = 30 * time.Second

// The codes of what comes before a session, instead of a version.
const (
	codeCancel = 80877102
	codeTLS    = 80877103
	codeGSS    = 80877104
)

// serve does all for one connection.
func (s *Server) serve(conn net.Conn) {
	c := &session{server: s, conn: conn, in: bufio.NewReaderSize(conn, 8<<10), tx: 'I', statements: map[string]*statement{}, portals: map[string]*portal{}, cursors: map[string]*cursor{}}
	_ = conn.SetDeadline(time.Now().Add(startupTime))
	ok, err := c.greet()
	if err != nil {
		c.refuse(err)
	}
	if !ok || err != nil {
		return
	}
	defer s.unregister(c)
	_ = conn.SetDeadline(time.Time{})
	c.loop()
}

// refuse tells a client why it is not let in.
func (c *session) refuse(err error) {
	if c.backend == nil {
		return
	}
	r := responseOf(err)
	r.Severity, r.SeverityUnlocalized = "FATAL", "FATAL"
	c.backend.Send(r)
	_ = c.backend.Flush() // it is gone anyway
}

// greet goes through what comes before a session. ok is false if there is to be
// none.
func (c *session) greet() (ok bool, err error) {
	encrypted := false
	for range 3 {
		head, err := c.in.Peek(8)
		if err != nil {
			return false, err
		}
		switch binary.BigEndian.Uint32(head[4:]) {
		case codeTLS, codeGSS:
			tlsAsked := binary.BigEndian.Uint32(head[4:]) == codeTLS
			if _, err := c.in.Discard(8); err != nil {
				return false, err
			}
			if !tlsAsked || c.server.opts.TLS == nil || encrypted {
				if _, err := c.conn.Write([]byte{'N'}); err != nil {
					return false, err
				}
				continue
			}
			if c.in.Buffered() > 0 {
				return false, nil // sent in clear what should be encrypted: someone is between
			}
			if _, err := c.conn.Write([]byte{'S'}); err != nil {
				return false, err
			}
			c.conn, encrypted = tls.Server(c.conn, c.server.opts.TLS), true
			c.in.Reset(c.conn)
			continue
		}
		return c.enter(encrypted)
	}
	return false, nil
}

// enter lets a client in.
func (c *session) enter(encrypted bool) (ok bool, err error) {
	intake := &intake{r: c.in, conn: c.conn, ctx: c.server.ctx, budget: c.server.taken}
	defer func() {
		if !ok {
			intake.release()
		}
	}()
	c.intake, c.backend = intake, pgproto3.NewBackend(intake, c.conn)
	c.backend.SetMaxBodyLen(64 << 10)
	first, err := c.backend.ReceiveStartupMessage()
	if err != nil {
		return false, fatal("08P01", "%v", err)
	}
	if cancel, ok := first.(*pgproto3.CancelRequest); ok {
		c.server.cancel(cancel.ProcessID, cancel.SecretKey)
		return false, nil
	}
	start, ok := first.(*pgproto3.StartupMessage)
	if !ok {
		return false, fatal("08P01", "a startup message was expected")
	}
	if c.server.opts.TLS != nil && !encrypted && !isLoopback(c.conn.RemoteAddr()) {
		return false, fatal("28000", "from other machines TLS is needed: connect with sslmode=require")
	}
	user, database := start.Parameters["user"], start.Parameters["database"]
	if user != "arbalest" {
		return false, fatal("28000", "role %q does not exist: the user is arbalest", user)
	}
	if database != "" && database != "arbalest" {
		return false, fatal("3D000", "database %q does not exist: it is arbalest", database)
	}
	if minor := start.ProtocolVersion & 0xffff; minor > 0 {
		c.backend.Send(&pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: 0})
	}
	if c.server.secret != nil {
		if err := c.authenticate(c.server.secret); err != nil {
			return false, err
		}
	}
	c.settings = newSettings(c.server.opts.Timeout)
	for name, value := range start.Parameters {
		if name == "user" || name == "database" || name == "replication" || strings.HasPrefix(name, "_pq_.") {
			continue
		}
		if name == "options" {
			c.options(value)
			continue
		}
		if notice, err := c.settings.set(name, value); err != nil && name == "client_encoding" {
			return false, fatal("22023", "%v", err)
		} else if notice != "" {
			continue // JDBC gives its machine's time zone, and reads times in any
		}
	}
	if err := c.server.attach(); err != nil {
		return false, err
	}
	if err := c.server.register(c); err != nil {
		return false, err
	}
	c.welcome()
	return true, nil
}

// options sets what a startup message's options do: -c name=value.
func (c *session) options(value string) {
	for part := range strings.FieldsSeq(value) {
		part = strings.TrimPrefix(strings.TrimPrefix(part, "-c"), "--")
		if name, value, ok := strings.Cut(part, "="); ok {
			_, _ = c.settings.set(name, value) // as if it were not given
		}
	}
}

func (c *session) welcome() {
	c.backend.SetMaxBodyLen(maxMessage)
	c.backend.Send(&pgproto3.AuthenticationOk{})
	names := reported()
	slices.Sort(names)
	for _, name := range names {
		value, _ := c.settings.get(name)
		c.backend.Send(&pgproto3.ParameterStatus{Name: name, Value: value})
	}
	c.backend.Send(&pgproto3.BackendKeyData{ProcessID: c.pid, SecretKey: c.key})
	c.ready()
}

// isLoopback says whether a client is on this machine.
func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}
