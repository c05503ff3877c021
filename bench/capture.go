package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// A peer is a server that takes events.
type peer struct {
	name string
	cmd  func(addr, dir string) *exec.Cmd
}

// A load is what is sent to every peer.
type postLoad struct {
	name  string
	conns int
	batch int
}

// capture measures accepted events per second.
func (b bench) capture(ctx context.Context) error {
	if err := b.buildPeers(ctx); err != nil {
		return err
	}
	seldom := filepath.Join(b.dir, "seldom.yaml") // capture alone, as the peers do
	if err := os.WriteFile(seldom, []byte("sort_every: 1h\n"), 0o644); err != nil {
		return err
	}
	peers := []peer{
		{"arbalest (fsync)", func(addr, dir string) *exec.Cmd {
			return exec.CommandContext(ctx, b.program, "serve", "--data", dir, "--listen", addr, "--config", seldom)
		}},
		{"… sorting and loading", func(addr, dir string) *exec.Cmd {
			return exec.CommandContext(ctx, b.program, "serve", "--data", dir, "--listen", addr)
		}},
		{"benthos (no fsync)", func(addr, dir string) *exec.Cmd {
			return exec.CommandContext(ctx, b.peers, "benthos", addr, filepath.Join(dir, "out.ndjson"))
		}},
		{"bare handler (fsync)", func(addr, dir string) *exec.Cmd {
			return exec.CommandContext(ctx, b.peers, "bare", addr, filepath.Join(dir, "out.ndjson"))
		}},
	}
	for _, l := range []postLoad{{"arrays of 100, 16 connections", 16, 100}, {"single posts, 64 connections", 64, 1}} {
		figures := make([][]float64, len(peers))
		slow := make([][]time.Duration, len(peers))
		for range b.rounds {
			for i, p := range peers {
				rate, latencies, err := b.post(p, l)
				if err != nil {
					return fmt.Errorf("%s: %w", p.name, err)
				}
				figures[i] = append(figures[i], rate)
				slow[i] = append(slow[i], latencies...)
			}
		}
		fmt.Printf("capture, %s (events of ~240 bytes):\n", l.name)
		mine := median(figures[0])
		for i, p := range peers {
			m := median(figures[i])
			fmt.Printf("  %-22s %9.0f events/s   p50 %-8v p99 %-8v arbalest is %.2f times\n", p.name, m, percentile(slow[i], 0.5).Round(10*time.Microsecond), percentile(slow[i], 0.99).Round(10*time.Microsecond), mine/m)
		}
	}
	return nil
}

// post starts a peer, floods it, and stops it.
func (b bench) post(p peer, l postLoad) (rate float64, latencies []time.Duration, err error) {
	dir, err := os.MkdirTemp(b.dir, "peer-")
	if err != nil {
		return 0, nil, err
	}
	defer os.RemoveAll(dir)
	addr, err := freeAddress()
	if err != nil {
		return 0, nil, err
	}
	cmd := p.cmd(addr, dir)
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	if err := cmd.Start(); err != nil {
		return 0, nil, err
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	if err := awaitListener(addr); err != nil {
		return 0, nil, err
	}
	var events atomic.Int64
	var failure atomic.Value
	var running sync.WaitGroup
	all := make([][]time.Duration, l.conns)
	start := time.Now()
	for c := range l.conns {
		running.Go(func() {
			n, took, err := flood(addr, c, l.batch, start.Add(b.seconds))
			events.Add(int64(n))
			all[c] = took
			if err != nil {
				failure.Store(err)
			}
		})
	}
	running.Wait()
	if err, ok := failure.Load().(error); ok {
		return 0, nil, err
	}
	for _, took := range all {
		latencies = append(latencies, took...)
	}
	return float64(events.Load()) / time.Since(start).Seconds(), latencies, nil
}

// flood posts on one connection as fast as answers come. The client shares the
// machine with the server, so it does as little as it can: requests are written
// as prepared, with the event's number put in its place.
func flood(addr string, client, batch int, until time.Time) (events int, took []time.Duration, err error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, nil, err
	}
	defer conn.Close()
	room := make([]byte, 64<<10)
	var requests [][]byte
	for r := range 16 {
		var body []byte
		for i := range batch {
			body = append(wire(append(body, ','), (client*16+r)*batch+i), '\n')
		}
		body[0] = '['
		body = append(body, ']')
		requests = append(requests, fmt.Appendf(nil, "POST /v1/events HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", addr, len(body), body))
	}
	for n := 0; time.Now().Before(until); n++ {
		start := time.Now()
		if _, err := conn.Write(requests[n%len(requests)]); err != nil {
			return events, took, err
		}
		if err := readAnswer(conn, room); err != nil {
			return events, took, err
		}
		took = append(took, time.Since(start))
		events += batch
	}
	return events, took, nil
}

// readAnswer reads a 200 with a Content-Length, and takes nothing else.
func readAnswer(conn net.Conn, room []byte) error {
	for n := 0; n < len(room); {
		k, err := conn.Read(room[n:])
		if n += k; err != nil {
			return err
		}
		head, body, found := bytes.Cut(room[:n], []byte("\r\n\r\n"))
		if !found {
			continue
		}
		_, digits, found := bytes.Cut(head, []byte("\r\nContent-Length: "))
		if !found || !bytes.HasPrefix(head, []byte("HTTP/1.1 200")) {
			return fmt.Errorf("answer %q", room[:n])
		}
		length := 0
		for _, c := range digits {
			if c < '0' || c > '9' {
				break
			}
			length = length*10 + int(c-'0')
		}
		if len(body) == length {
			return nil
		}
	}
	return fmt.Errorf("an answer is longer than %d bytes", len(room))
}

func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

func awaitListener(addr string) error {
	for range 500 {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			return conn.Close()
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("nobody listens on %s after 10 s", addr)
}
