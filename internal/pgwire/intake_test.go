package pgwire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"golang.org/x/sync/semaphore"
)

// message returns a message of a client.
func message(kind byte, body string) string {
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4))
	return string(head) + body
}

func testIntake(r io.Reader) *intake {
	conn, other := net.Pipe()
	other.Close()
	return &intake{r: r, conn: noDeadline{conn}, ctx: context.Background(), budget: semaphore.NewWeighted(intakeBytes), typed: true}
}

type noDeadline struct{ net.Conn }

func (noDeadline) SetReadDeadline(time.Time) error { return nil }

// TestIntakeCounts holds that a large message is counted until the next begins,
// and that SQL that is too long is refused before it is taken in.
func TestIntakeCounts(t *testing.T) {
	body := strings.Repeat("x", 1<<20)
	in := testIntake(iotest.OneByteReader(strings.NewReader(message('B', body) + message('S', "") + message('Q', body+"x"))))
	got := make([]byte, 5+len(body))
	if _, err := io.ReadFull(in, got); err != nil || string(got) != message('B', body) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if in.held != valueFactor<<20 {
		t.Errorf("%d bytes are held", in.held)
	}
	n, err := in.Read(make([]byte, 100))
	if err != nil || n != 5 || in.held != 0 {
		t.Errorf("then %d bytes, %v, and %d are held", n, err, in.held)
	}
	var f *failure
	if _, err := in.Read(make([]byte, 100)); !errors.As(err, &f) || f.code != "54000" || !f.fatal {
		t.Errorf("a statement that is too long: %v", err)
	}
	if !in.budget.TryAcquire(intakeBytes) {
		t.Error("something is held for ever")
	}
}

// FuzzIntake holds that the intake passes all bytes on, in messages, and that
// messages of any kind and length decode or are refused.
func FuzzIntake(f *testing.F) {
	for _, s := range []string{message('Q', "SELECT 1\x00"), message('P', "\x00SELECT $1\x00\x00\x00") + message('B', "\x00\x00\x00\x00\x00\x00\x00\x00") + message('S', ""), "Q\x00\x00\x00\x03", "Q\xff\xff\xff\xff", message('B', strings.Repeat("y", 10_000)), "\x00", message('p', "x"), message('d', "x") + message('f', "x\x00")} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in := testIntake(iotest.HalfReader(bytes.NewReader(data)))
		passed, err := io.ReadAll(in)
		if !bytes.HasPrefix(data, passed) || err == nil && len(passed) != len(data) && len(data)-len(passed) >= 5 {
			t.Fatalf("%d of %d bytes came, %v", len(passed), len(data), err)
		}
		in.release()
		if !in.budget.TryAcquire(intakeBytes) {
			t.Fatal("something is held for ever")
		}
		b := pgproto3.NewBackend(testIntake(bytes.NewReader(data)), io.Discard)
		b.SetMaxBodyLen(maxMessage)
		for range 1000 {
			if _, err := b.Receive(); err != nil {
				break
			}
		}
	})
}

// TestRelief has results that are not read given up when memory lacks: their
// clients are told, and none takes a part for all.
func TestRelief(t *testing.T) {
	address, server := start(t, Options{})
	conn := connect(t, address, "default_query_exec_mode=simple_protocol")
	for _, sql := range []string{"BEGIN", "DECLARE c CURSOR FOR SELECT i FROM range(10000000) r(i)", "FETCH 1 FROM c"} {
		all(t, conn, sql)
	}
	front := connect(t, address, "").PgConn()
	front.Frontend().Send(&pgproto3.Parse{Query: "SELECT i FROM range(10000000) r(i)"})
	front.Frontend().Send(&pgproto3.Bind{})
	front.Frontend().Send(&pgproto3.Execute{MaxRows: 1})
	front.Frontend().Send(&pgproto3.Flush{})
	if err := front.Frontend().Flush(); err != nil {
		t.Fatal(err)
	}
	if m := until[*pgproto3.PortalSuspended](t, front.Frontend()); m == nil {
		t.Fatal("the portal was not suspended")
	}
	holding := func(long bool) bool {
		server.mu.Lock()
		defer server.mu.Unlock()
		n := 0
		for _, c := range server.sessions {
			if since := c.holds.Load(); since != 0 {
				n++
				if long {
					c.holds.Store(1)
				}
			}
		}
		return n == 2
	}
	for !holding(false) {
		time.Sleep(time.Millisecond)
	}
	if wait := server.relieve(); wait <= 0 || wait > patient {
		t.Errorf("what was read just now is given up in %v", wait)
	}
	holding(true)
	if wait := server.relieve(); wait != relief {
		t.Errorf("nothing was given up: wait %v", wait)
	}
	for server.relieve() > 0 {
		time.Sleep(time.Millisecond)
	}
	_, err := conn.Exec(t.Context(), "FETCH 1 FROM c")
	stateIs(t, "cursor", err, "24000")
	front.Frontend().Send(&pgproto3.Execute{MaxRows: 1})
	front.Frontend().Send(&pgproto3.Sync{})
	if err := front.Frontend().Flush(); err != nil {
		t.Fatal(err)
	}
	if m := until[*pgproto3.ErrorResponse](t, front.Frontend()); m == nil || m.Code != "24000" {
		t.Errorf("portal: %+v", m)
	}
}

// until receives messages up to one of a type, or nil.
func until[T pgproto3.BackendMessage](t *testing.T, f *pgproto3.Frontend) (found T) {
	for {
		m, err := f.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if m, ok := m.(T); ok {
			return m
		}
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			return found
		}
	}
}
