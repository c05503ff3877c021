package capture

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener of connections in memory.
type pipes struct{ handover }

func newPipes() *pipes {
	return &pipes{handover{addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, conns: make(chan net.Conn), closed: make(chan struct{})}}
}

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// A listening front is one that serves on loopback until the test ends.
func listening(t testing.TB, h *Handler) (f *Front, addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f = NewFront(h, &http.Server{Handler: formed{h}})
	served := make(chan error, 1)
	go func() { served <- f.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := f.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return f, ln.Addr().String()
}

// lost is what exchange returns if the other end closed before it had read all
// that was sent: answers that were on their way may be gone with that.
var lost = []string{"not all is taken"}

// exchange sends bytes on one connection and returns what is answered until the
// other end closes it: each answer's status, the headers that matter, and body.
func exchange(t testing.TB, addr, sent string) (answers []string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, sent); err != nil {
		return lost
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return lost
	}
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadResponse(in, nil)
		if errors.Is(err, syscall.ECONNRESET) {
			return lost
		}
		if err != nil {
			if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
				answers = append(answers, err.Error())
			}
			return answers
		}
		body, err := io.ReadAll(r.Body)
		if errors.Is(err, syscall.ECONNRESET) {
			return lost
		}
		if err != nil {
			answers = append(answers, err.Error())
			return answers
		}
		answers = append(answers, fmt.Sprintf("%d %q %q %q %s", r.StatusCode, r.Header.Get("Content-Type"), r.Header.Get("Retry-After"), r.Header.Get("WWW-Authenticate"), body))
	}
}

func requestOf(head, body string) string {
	return fmt.Sprintf("POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n%s", len(body), head, body)
}

// frontRequests are what clients send: to the front, to net/http, or wrong.
var frontRequests = []string{
	requestOf("", `{"event":"a","id":"1"}`),
	requestOf("Content-Type: application/json\r\nUser-Agent: curl/8\r\nAccept: */*\r\nConnection: Keep-Alive\r\n", `[{"event":"a"},{"event":"_"}]`),
	requestOf("", "") + requestOf("", "[]") + requestOf("", `{"event":"b"}`),
	requestOf("", `{"event":"a"`),
	requestOf("", strings.Repeat(`{"event":"a","data":{"x":"0123456789"}}`+"\n", 300)) + requestOf("", `{"event":"b"}`),
	requestOf("X-Request-Id: abc\r\n", `{"event":"a"}`),
	requestOf("Connection: close\r\n", `{"event":"a"}`) + requestOf("", `{"event":"late"}`),
	requestOf("Expect: 100-continue\r\n", `{"event":"a"}`),
	requestOf("Content-Encoding: gzip\r\n", gzipped(`{"event":"a"}`)),
	requestOf("Content-Encoding: br\r\n", `{"event":"a"}`),
	"POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"event\r\n6\r\n\":\"a\"}\r\n0\r\n\r\n" + requestOf("", `{"event":"b"}`),
	"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"event\"",
	"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\nTransfer-Encoding: chunked\r\n\r\n{\"event\":\"a\"}",
	"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\nContent-Length: 13\r\n\r\n{\"event\":\"a\"}",
	"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: +13\r\n\r\n{\"event\":\"a\"}",
	"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{\"event\":\"a\"}",
	"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length : 13\r\n\r\n{\"event\":\"a\"}",
	"POST /v1/events HTTP/1.1\r\nHost: x\r\n Content-Length: 13\r\n\r\n{\"event\":\"a\"}",
	"POST /v1/events HTTP/1.1\r\nHost: x\nContent-Length: 13\r\n\r\n{\"event\":\"a\"}",
	"POST /v1/events HTTP/1.1\r\nHost: x\r\nX: a\rb\r\nContent-Length: 13\r\n\r\n{\"event\":\"a\"}",
	"POST /v1/events HTTP/1.1\r\nContent-Length: 13\r\n\r\n{\"event\":\"a\"}",
	"POST /v1/events HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 13\r\n\r\n{\"event\":\"a\"}",
	"POST /v1/events HTTP/1.0\r\nContent-Length: 13\r\n\r\n{\"event\":\"a\"}",
	"POST /v1/events?x=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\n{\"event\":\"a\"}",
	"\r\nPOST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\n{\"event\":\"a\"}",
	"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n" + requestOf("", `{"event":"a"}`),
	"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" + requestOf("", `{"event":"a"}`),
	requestOf("", `{"event":"a"}`) + "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + requestOf("", `{"event":"b"}`),
	requestOf("X-Long: "+strings.Repeat("x", 5000)+"\r\n", `{"event":"a"}`),
	requestOf("", `{"event":"a"}`) + "nonsense\r\n\r\n",
	requestOf("ce-SpecVersion: 1.0\r\n", `{"event":"a"}`), requestOf("CE-SPECVERSION:\r\n", `{"event":"a"}`), requestOf("ce-id: 1\r\n", `{"event":"a"}`),
	requestOf("Content-Type: Application/CloudEvents+JSON; charset=utf-8\r\n", `{"event":"a"}`), requestOf("content-type:\tapplication/cloudevents-batch+json\r\n", `[]`),
	requestOf("Content-Type: text/plain\r\nContent-Type: application/cloudevents+json\r\n", `{"event":"a"}`), requestOf("Content-Type: application/cloudevent\r\n", `{"event":"a"}`),
	requestOf("Origin: https://example.com\r\n", `{"event":"a"}`), requestOf("Content-Type: x\x85application/cloudevents\r\n", `{"event":"a"}`),
	"", "POST", "\r\n\r\n", requestOf("", "") + "0", requestOf("", "") + "POST",
	requestOf("Authorization: Bearer wrong\r\n", `{"event":"a"}`) + requestOf("Authorization: bearer  good \r\n", `{"event":"a"}`),
	requestOf("X-Api-Key: good\r\n", `[{"event":"a"},{"event":"not.mine"}]`) + requestOf("X-Api-Key: good\r\n", `{"event":"not.mine"}`),
	requestOf("Authorization: Bearer slow\r\n", `{"event":"a"}`) + requestOf("Authorization: Bearer good\r\n", "[]"),
	requestOf("Authorization: Bearer slow\r\n", `{"event":"a"}{"event":"b"}`) + requestOf("Authorization: Bearer slow\r\n", "[]"),
	requestOf("Authorization: Basic Z29vZDo=\r\n", `{"event":"a"}`), requestOf("Authorization: Basic Z29vZA==\r\nX-Api-Key: wrong\r\n", `{"event":"a"}`),
	requestOf("Authorization: Basic !\r\nX-Api-Key: good\r\n", `{"event":"a"}`), requestOf("Authorization: Digest good\r\n", `{"event":"a"}`),
	requestOf("Authorization: Bearer\r\nX-Api-Key: good\r\n", `{"event":"a"}`), requestOf("Authorization: Bearer \r\n", `{"event":"a"}`), requestOf("Authorization:\r\n", `{"event":"a"}`),
	requestOf("X-Api-Key: wrong\r\nAuthorization: Bearer good\r\n", `{"event":"a"}`), requestOf("X-Api-Key: wrong\r\nX-Api-Key: good\r\n", `{"event":"a"}`),
	requestOf("Authorization: Bearer good\r\nAuthorization: Bearer wrong\r\n", `{"event":"a"}`), requestOf("Authorization: Bearer\tgood\r\n", `{"event":"a"}`),
	requestOf("Authorization: Bearer wrong\r\n", strings.Repeat(" ", 60<<10)) + requestOf("Authorization: Bearer good\r\nX-Api-Key:\r\n", `{"event":"a"}`),
	"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\nContent-Length: 100\r\n\r\n{\"event\"",
	requestOf("Traceparent: "+someTrace+"\r\n", `{"event":"a"}`),
	requestOf("", `{"event":"a"}`) + "\r\n" + requestOf("", `{"event":"b"}`), requestOf("", "") + "\n0 * HTTP/0.0\n\n", requestOf("", "") + "\r\n\r\n",
}

// formed is a handler that answers CloudEvents and browsers in other ways, as
// internal/form does: what is for that must not be answered by the front.
type formed struct{ *Handler }

func (f formed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/v1/events" && IsCloudEvent(r.Header):
		f.refuse(w, http.StatusTeapot, false, "a CloudEvent")
	case len(r.Header["Origin"]) > 0:
		f.refuse(w, http.StatusTeapot, false, "a browser")
	default:
		f.Handler.ServeHTTP(w, r)
	}
}

// sameAnswers compares the front's answers with those of net/http alone.
func sameAnswers(t *testing.T, front, plain string, sent string) {
	t.Helper()
	got, want := exchange(t, front, sent), exchange(t, plain, sent)
	if !slices.Equal(got, want) && !slices.Equal(got, lost) && !slices.Equal(want, lost) {
		t.Errorf("%.300q:\n front: %q\nnet/http: %q", sent, got, want)
	}
}

// both returns the addresses of a front and of net/http alone, each with a
// handler of its own.
func both(t testing.TB, gate Gate) (front, plain string) {
	t.Helper()
	options := Options{MaxBody: 64 << 10, MaxEvent: 4096, Gate: gate}
	options.Appender = null{}
	_, front = listening(t, newHandler(t, options))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: formed{newHandler(t, options)}, ReadHeaderTimeout: headTimeout}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { server.Close() })
	return front, ln.Addr().String()
}

func TestFrontAnswersAsNetHTTP(t *testing.T) {
	for _, gate := range []Gate{nil, doorman{}} {
		front, plain := both(t, gate)
		for _, sent := range frontRequests {
			sameAnswers(t, front, plain, sent)
			sameAnswers(t, front, plain, strings.ReplaceAll(sent, "Host: x\r\n", "Host: x\r\nAuthorization: Bearer good\r\n"))
		}
	}
}

func FuzzFront(f *testing.F) {
	for _, sent := range frontRequests {
		f.Add([]byte(sent), false)
		f.Add([]byte(sent), true)
	}
	openFront, openPlain := both(f, nil)
	keyedFront, keyedPlain := both(f, doorman{})
	f.Fuzz(func(t *testing.T, sent []byte, keyed bool) {
		if keyed {
			sameAnswers(t, keyedFront, keyedPlain, string(sent))
		} else {
			sameAnswers(t, openFront, openPlain, string(sent))
		}
	})
}

// The requests that are sent all day do not go to net/http.
func TestParseHead(t *testing.T) {
	for _, head := range []string{
		"", "Content-Type: application/json\r\n", "User-Agent: python-requests/2.31\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n",
		"Authorization: Bearer abc/+=\r\nTraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nX-Forwarded-For: ::1, 10.0.0.1\r\n",
	} {
		sent := requestOf(head, "{}")
		r, ok := parseHead([]byte(strings.TrimSuffix(sent, "{}")), 100)
		if !ok || r.length != 2 || r.id != nil {
			t.Errorf("%q: %+v, %v", sent, r, ok)
		}
	}
	r, ok := parseHead([]byte("POST /v1/events HTTP/1.1\r\nhost: [::1]:8080\r\ncontent-length:  7 \r\nx-request-id: abc\r\n\r\n"), 100)
	if !ok || r.length != 7 || string(r.id) != "abc" {
		t.Errorf("%+v, %v", r, ok)
	}
}

// Many clients on connections that stay open, while the front is told to stop:
// what was answered is stored, and nothing is answered that is not.
func TestFrontShutdown(t *testing.T) {
	store := &segments{}
	h := newHandler(t, Options{Appender: store})
	f, addr := listening(t, h)
	idle, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	var accepted atomic.Int64
	var clients sync.WaitGroup
	for c := range 16 {
		clients.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			for i := 0; ; i++ {
				r, err := client.Post("http://"+addr+"/v1/events", "application/json", strings.NewReader(fmt.Sprintf(`{"event":"a","id":"%d-%d"}`, c, i)))
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				r.Body.Close()
				if r.StatusCode != http.StatusOK {
					if r.StatusCode != http.StatusServiceUnavailable {
						t.Errorf("answer %d", r.StatusCode)
					}
					return
				}
				accepted.Add(1)
			}
		})
	}
	for accepted.Load() < 500 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := errors.Join(h.Close(ctx), f.Shutdown(ctx)); err != nil {
		t.Error(err)
	}
	clients.Wait()
	if n := int64(bytes.Count(store.stored(), []byte("\n"))); n < accepted.Load() {
		t.Errorf("%d are stored of %d that were acknowledged", n, accepted.Load())
	}
	if _, err := idle.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the idle connection: %v", err)
	}
	if used := h.budget.used.Load(); used != 0 {
		t.Errorf("%d bytes are held", used)
	}
}

// A request that hangs in the store holds up Shutdown for as long as its
// context allows, and its connection is then closed.
func TestFrontShutdownInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &segments{gate: make(chan struct{})}
		h := newHandler(t, Options{Appender: store})
		f, ln := NewFront(h, &http.Server{Handler: h}), newPipes()
		go func() { _ = f.Serve(ln) }()
		conn := ln.dial()
		if _, err := io.WriteString(conn, requestOf("", `{"event":"a"}`)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		if err := f.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("shutdown: %v", err)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("shutdown took %v", took)
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("the connection is open")
		}
		close(store.gate)
		synctest.Wait()
	})
}

// TestFrontShutdownBeforeServe stops a front that has not begun, as a serve that is
// told to stop at once does.
func TestFrontShutdownBeforeServe(t *testing.T) {
	f := NewFront(nil, &http.Server{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- f.Serve(ln) }()
	select {
	case err := <-served:
		if err != http.ErrServerClosed {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it serves on")
	}
	if _, err := ln.Accept(); err == nil {
		t.Error("the listener is open")
	}
}

// Clients that send too slowly, or nothing more, are not waited for for ever, by
// the front as by net/http.
func TestFrontTimeouts(t *testing.T) {
	const head = "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
	whole := requestOf("", `{"event":"a"}`)
	for _, c := range []struct {
		name  string
		sent  []string
		drip  string        // sent again and again, with a pause
		pause time.Duration // 0 if nothing is
		after time.Duration
	}{
		{"nothing", nil, "", 0, headTimeout},
		{"a head that does not end", []string{"POST /v1/ev"}, "", 0, headTimeout},
		{"a head that comes slowly", []string{head}, "X: x\r\n", 3 * time.Second, headTimeout},
		{"a first line that comes slowly", nil, "P", 9 * time.Second, headTimeout},
		{"a body that does not come", []string{head + "\r\n{"}, "", 0, requestTimeout},
		{"a body that comes slowly", []string{head + "\r\n"}, " ", 5 * time.Second, requestTimeout},
		{"a head, then a body that comes slowly", []string{head, "", "\r\n"}, " ", 5 * time.Second, requestTimeout},
		{"nothing after an answer", []string{whole}, "", 0, idleTimeout},
		{"a second head that comes slowly", []string{whole, head}, "X: x\r\n", 3 * time.Second, headTimeout},
		{"a second body that comes slowly", []string{whole, head + "\r\n"}, " ", 5 * time.Second, requestTimeout},
		{"a head behind a request that comes slowly", []string{whole + head}, "X: x\r\n", 3 * time.Second, headTimeout},
	} {
		for name, serve := range servers {
			synctest.Test(t, func(t *testing.T) {
				h := newHandler(t, Options{Appender: &segments{}})
				ln := newPipes()
				shutdown := serve(h, ln)
				conn := ln.dial()
				start := time.Now()
				var client sync.WaitGroup
				client.Go(func() {
					for i, s := range c.sent {
						if i > 0 {
							time.Sleep(time.Millisecond) // it counts from here, give or take
						}
						if _, err := io.WriteString(conn, s); err != nil {
							return
						}
					}
					for c.pause > 0 {
						time.Sleep(c.pause)
						if _, err := io.WriteString(conn, c.drip); err != nil {
							return
						}
					}
				})
				_, _ = io.Copy(io.Discard, conn) // until it is closed
				if took := time.Since(start); took < c.after-time.Second || took > c.after+time.Second {
					t.Errorf("%s, %s: closed after %v, want %v", name, c.name, took, c.after)
				}
				conn.Close()
				client.Wait()
				if err := shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				if used := h.budget.used.Load(); used != 0 {
					t.Errorf("%s, %s: %d bytes are held", name, c.name, used)
				}
			})
		}
	}
}

// servers begin to serve a handler, and return what ends that: a front, and
// net/http alone with the same limits.
var servers = map[string]func(h *Handler, ln net.Listener) (shutdown func(context.Context) error){
	"front": func(h *Handler, ln net.Listener) func(context.Context) error {
		f := NewFront(h, &http.Server{Handler: h})
		go func() { _ = f.Serve(ln) }()
		return f.Shutdown
	},
	"net/http": func(h *Handler, ln net.Listener) func(context.Context) error {
		s := &http.Server{Handler: h}
		NewFront(h, s) // which sets them
		go func() { _ = s.Serve(ln) }()
		return s.Shutdown
	},
}

// A client that is refused before its body is read, and sends on, gets its
// answer.
func TestFrontRefusesALargeBody(t *testing.T) {
	store := &segments{gate: make(chan struct{})}
	h := newHandler(t, Options{Appender: store, MaxBody: 1 << 20, MaxBytesInFlight: 4 << 20})
	h.budget.used.Add(4 << 20) // all is in use
	_, addr := listening(t, h)
	for _, size := range []int{100, 100 << 10, 900 << 10} {
		answers := exchange(t, addr, requestOf("", strings.Repeat(" ", size)))
		if len(answers) != 1 || !strings.HasPrefix(answers[0], `429 "application/json" "1" `) {
			t.Errorf("%d bytes: %q", size, answers)
		}
	}
	h.budget.used.Add(-4 << 20)
}
