package pgwire

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"time"

	"golang.org/x/sync/semaphore"
)

// What clients' messages may take in all, of all sessions.
const (
	// maxMessage is the most bytes that a message may have, and maxStatement those
	// of SQL among them.
	maxMessage   = 16 << 20
	maxStatement = 1 << 20
	// smallMessage is how many bytes are taken in without being counted.
	smallMessage = 8 << 10
	// intakeBytes is how many bytes messages that are counted may take at once.
	intakeBytes = 64 << 20
	// tokenFactor is how many bytes a byte of SQL may take while it is understood,
	// and valueFactor one of other messages.
	tokenFactor = intakeBytes / maxStatement
	valueFactor = 4
	// intakeTime is how long such a message may wait for others, and how long it
	// may take to come.
	intakeTime = 30 * time.Second
	// keptBytes is what all sessions may keep: statements that were prepared, and
	// the values of portals and cursors.
	keptBytes = 64 << 20
)

// An intake reads a client's messages one by one, so that a large one is taken
// in only when there is memory for it, and given back when it was handled. It
// never reads beyond a message.
type intake struct {
	r      io.Reader
	conn   net.Conn
	ctx    context.Context
	budget *semaphore.Weighted
	typed  bool // all are but the first
	head   []byte
	sent   int   // of head
	left   int64 // of the body
	held   int64 // of budget
}

// Read reads some of a message. An error within a message's head loses nothing.
func (in *intake) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if in.sent == len(in.head) && in.left == 0 {
		in.release()
		in.head, in.sent = in.head[:0], 0
	}
	size := 4
	if in.typed {
		size = 5
	}
	for in.sent == 0 && len(in.head) < size {
		at := len(in.head)
		n, err := in.r.Read(in.headRoom(size))
		in.head = in.head[:at+n]
		if err != nil {
			return 0, err
		}
		if len(in.head) == size {
			if err := in.open(); err != nil {
				return 0, err
			}
		}
	}
	if in.sent < len(in.head) {
		n := copy(p, in.head[in.sent:])
		in.sent += n
		return n, nil
	}
	n, err := in.r.Read(p[:min(int64(len(p)), in.left)])
	in.left -= int64(n)
	return n, err
}

// headRoom returns what is missing of the head.
func (in *intake) headRoom(size int) []byte {
	if cap(in.head) < size {
		in.head = append(make([]byte, 0, 5), in.head...)
	}
	return in.head[len(in.head):size]
}

// open looks at a head, and waits until there is memory for the body.
func (in *intake) open() error {
	kind := byte(0)
	if in.typed {
		kind = in.head[0]
	}
	in.typed = true
	in.left = max(0, int64(binary.BigEndian.Uint32(in.head[len(in.head)-4:]))-4)
	weight := in.left * valueFactor
	if kind == 'Q' || kind == 'P' {
		if in.left > maxStatement {
			return fatal("54000", "a statement has %d bytes, of at most %d: send values as parameters", in.left, maxStatement)
		}
		weight = in.left * tokenFactor
	}
	if in.left <= smallMessage || in.left > maxMessage { // that it is too long is said by who decodes it
		return nil
	}
	ctx, cancel := context.WithTimeout(in.ctx, intakeTime)
	defer cancel()
	if err := in.budget.Acquire(ctx, min(weight, intakeBytes)); err != nil {
		return fatal("53200", "there are too many large messages at once: send this one again")
	}
	in.held = min(weight, intakeBytes)
	if err := in.conn.SetReadDeadline(time.Now().Add(intakeTime)); err != nil {
		return err
	}
	return in.ctx.Err() // whose end may have come just before the deadline was moved
}

// release gives back what the last message took.
func (in *intake) release() {
	if in.held > 0 {
		in.budget.Release(in.held)
		in.held = 0
	}
}

// keep notes that a session keeps so much more, or less.
func (c *session) keep(bytes int) error {
	if bytes < 0 {
		c.server.kept.Release(int64(-bytes))
	} else if !c.server.kept.TryAcquire(int64(bytes)) {
		return fail("53200", "prepared statements and open portals take too much memory: close some")
	}
	return nil
}

// weight returns about how many bytes a prepared statement takes.
func (st *statement) weight() int {
	n := 1<<10 + 2*len(st.sql) + 64*(len(st.oids)+len(st.columns)+len(st.all)+len(st.tokens))
	if st.inner != nil {
		n += st.inner.weight()
	}
	return n
}

// weightOf returns about how many bytes arguments take, here and in DuckDB.
func weightOf(args []any) int {
	n := 256
	for _, arg := range args {
		n += 64
		if text, ok := arg.(string); ok {
			n += 2 * len(text)
		}
	}
	return n
}
