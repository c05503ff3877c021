package pgwire

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// A session is one client's. All but interrupt belongs to its goroutine.
type session struct {
	server   *Server
	conn     net.Conn
	in       *bufio.Reader
	intake   *intake
	backend  *pgproto3.Backend
	settings *settings
	locals   map[string]string // what SET LOCAL replaced
	pid      uint32
	key      []byte

	tx         byte // 'I' outside of a transaction, 'T' in one, 'E' in one that failed
	statements map[string]*statement
	portals    map[string]*portal
	cursors    map[string]*cursor
	nested     bool   // what is understood is within DECLARE or COPY
	skip       bool   // until Sync, after an error
	asked      string // the last statement

	holds   atomic.Int64 // since when it has waited with results open, in ns; 0 if it does not
	mu      sync.Mutex
	running context.CancelCauseFunc // of what runs
}

// loop answers messages until the client leaves.
func (c *session) loop() {
	defer c.intake.release()
	defer c.dropStatements()
	defer c.closeAll(true)
	for {
		message, err := c.receive()
		if err == nil {
			err = c.handle(message)
		}
		var f *failure
		switch {
		case err == nil:
		case errors.As(err, &f) && f.fatal:
			c.refuse(err)
			return
		default:
			return // it left, or broke
		}
	}
}

// receive waits for the client's next message. Results that were read in part
// are given up if that takes too long.
func (c *session) receive() (pgproto3.FrontendMessage, error) {
	if c.idle() {
		c.holds.Store(time.Now().UnixNano())
		defer c.holds.Store(0)
	}
	for {
		if err := c.conn.SetReadDeadline(c.patience()); err != nil {
			return nil, err
		}
		if c.server.ctx.Err() != nil {
			return nil, errStopping()
		}
		message, err := c.backend.Receive()
		var f *failure
		switch {
		case err == nil:
			return message, nil
		case errors.As(err, &f):
			return nil, err
		case c.server.ctx.Err() != nil:
			return nil, errStopping()
		case errors.Is(err, os.ErrDeadlineExceeded) && c.idle():
			c.closeOpen()
			c.holds.Store(0)
			continue
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
			return nil, err
		}
		return nil, fatal("08P01", "%v", err)
	}
}

// patience returns until when the client may be waited for; zero is for ever.
func (c *session) patience() time.Time {
	if !c.idle() {
		return time.Time{}
	}
	return time.Now().Add(c.server.opts.Idle)
}

// idle says whether a result was read in part.
func (c *session) idle() bool {
	for _, p := range c.portals {
		if p.rows != nil {
			return true
		}
	}
	for _, cur := range c.cursors {
		if cur.rows != nil {
			return true
		}
	}
	return false
}

// handle answers one message. An error ends the session; what is wrong with a
// statement is told to the client.
func (c *session) handle(message pgproto3.FrontendMessage) error {
	switch m := message.(type) {
	case *pgproto3.Terminate:
		return io.EOF
	case *pgproto3.Sync:
		c.skip = false
		c.endImplicit()
		return c.ready()
	case *pgproto3.Flush:
		return c.flush()
	case *pgproto3.Query:
		return c.simple(m.String)
	}
	if c.skip {
		return nil
	}
	var err error
	switch m := message.(type) {
	case *pgproto3.Parse:
		err = c.parse(m)
	case *pgproto3.Bind:
		err = c.bind(m)
	case *pgproto3.Describe:
		err = c.describe(m)
	case *pgproto3.Execute:
		err = c.execute(m)
	case *pgproto3.Close:
		if m.ObjectType == 'S' {
			c.dropStatement(m.Name)
		} else {
			c.closePortal(m.Name)
		}
		c.backend.Send(&pgproto3.CloseComplete{})
	case *pgproto3.CopyData, *pgproto3.CopyDone, *pgproto3.CopyFail:
		// of a COPY that was refused
	default:
		err = fail("08P01", "messages of type %T are not known", m)
	}
	if err != nil {
		c.skip = true
		return c.tell(err)
	}
	return nil
}

// tell tells the client of an error, and notes that its transaction failed. It
// returns the error if it ends the session.
func (c *session) tell(err error) error {
	var f *failure
	if errors.As(err, &f) && f.fatal || errors.Is(err, errGone) {
		return err
	}
	if c.tx == 'T' {
		c.tx = 'E'
	}
	c.server.opts.Log.Debug("sql: refused", "statement", c.asked, "error", err)
	c.backend.Send(responseOf(err))
	return nil
}

// ready says that the next statement may come.
func (c *session) ready() error {
	c.backend.Send(&pgproto3.ReadyForQuery{TxStatus: c.tx})
	return c.flush()
}

func (c *session) flush() error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	return c.backend.Flush()
}

// warn sends a warning, unless there is none.
func (c *session) warn(message string) {
	if message != "" {
		c.backend.Send(&pgproto3.NoticeResponse{Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: "01000", Message: message})
	}
}

// interrupt stops what runs. Any goroutine may call it.
func (c *session) interrupt(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running != nil {
		c.running(cause)
	}
}

// A task is what a context stops: a statement's preparation, or a result.
type task struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
}

func (c *session) newTask() *task {
	ctx, cancel := context.WithCancelCause(c.server.ctx)
	return &task{ctx, cancel}
}

// errGone is that the client left while its statement ran.
var errGone = errors.New("the client left")

// work does some of a task: while it lasts the client can cancel it, it takes no
// longer than a statement may, and it ends when the client is gone.
func (c *session) work(t *task, do func() error) error {
	c.setRunning(t.cancel)
	defer c.setRunning(nil)
	timer := time.AfterFunc(c.settings.timeout, func() { t.cancel(errTimeout()) })
	defer timer.Stop()
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.settings.timeout + 5*time.Second)); err != nil {
		return err
	}
	stalled := make(chan struct{})
	stop := context.AfterFunc(t.ctx, func() {
		defer close(stalled)
		_ = c.conn.SetWriteDeadline(time.Now().Add(5 * time.Second)) // it is closed, then
	})
	defer func() {
		if !stop() {
			<-stalled
		}
	}()
	defer c.watch(t.cancel)()
	return because(t.ctx, do())
}

func (c *session) setRunning(cancel context.CancelCauseFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = cancel
}

// watch cancels a task when the client is gone. Until stop returns nothing else
// may read.
func (c *session) watch(cancel context.CancelCauseFunc) (stop func()) {
	if c.in.Buffered() > 0 {
		return func() {}
	}
	if err := c.conn.SetReadDeadline(time.Time{}); err != nil {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := c.in.Peek(1); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			cancel(errGone)
		}
	}()
	return func() {
		_ = c.conn.SetReadDeadline(time.Unix(1, 0)) // it is closed, then
		<-done
		_ = c.conn.SetReadDeadline(time.Time{})
	}
}

// endImplicit ends what lasts no longer than a transaction, outside of one.
func (c *session) endImplicit() {
	if c.tx == 'I' {
		c.closeAll(false)
	}
}

// endTransaction is COMMIT and ROLLBACK.
func (c *session) endTransaction() {
	c.tx = 'I'
	for name, value := range c.locals {
		_, _ = c.settings.set(name, value) // it was the value before
	}
	c.locals = nil
	c.closeAll(false)
}

// closeAll closes portals, and cursors too, but held ones only if the session
// ends.
func (c *session) closeAll(held bool) {
	for name := range c.portals {
		c.closePortal(name)
	}
	for name, cur := range c.cursors {
		if held || !cur.hold {
			c.dropCursor(name)
		}
	}
}

// dropStatement forgets a prepared statement, dropStatements all.
func (c *session) dropStatement(name string) {
	if st := c.statements[name]; st != nil {
		_ = c.keep(-st.kept)
		delete(c.statements, name)
	}
}

func (c *session) dropStatements() {
	for name := range c.statements {
		c.dropStatement(name)
	}
}

// closeOpen gives up results that were read in part.
func (c *session) closeOpen() {
	for _, p := range c.portals {
		p.lost = p.lost || p.rows != nil
		p.close()
	}
	for _, cur := range c.cursors {
		cur.close()
	}
}
