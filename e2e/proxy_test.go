package e2e

import (
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// A proxy stands before serve and fails a part of the requests, in the ways that
// networks and servers do.
type proxy struct {
	*httptest.Server
	forward                               http.Handler
	requests, refused, reset, lost, blind atomic.Int64

	mu   sync.Mutex
	dice *rand.Rand
}

// failing starts a proxy before a URL.
func failing(t *testing.T, to string) *proxy {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{forward: httputil.NewSingleHostReverseProxy(target), dice: rand.New(rand.NewPCG(1, 2))}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// ServeHTTP forwards a request, or fails it.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.requests.Add(1)
	p.mu.Lock()
	face := p.dice.IntN(24)
	p.mu.Unlock()
	switch face {
	case 0: // a server that is not up
		p.refused.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		http.Error(w, "not now", http.StatusServiceUnavailable)
	case 1: // a connection that breaks before the request arrives
		p.reset.Add(1)
		cut(w)
	case 2: // one that breaks before the answer does
		p.lost.Add(1)
		p.forward.ServeHTTP(httptest.NewRecorder(), r)
		cut(w)
	case 3: // a gateway that did not hear the answer
		p.blind.Add(1)
		p.forward.ServeHTTP(httptest.NewRecorder(), r)
		http.Error(w, "nobody answered", http.StatusBadGateway)
	default:
		p.forward.ServeHTTP(w, r)
	}
}

// cut resets the connection.
func cut(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}
