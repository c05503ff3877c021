package capture

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"arbalest"
)

// null is an Appender that keeps nothing.
type null struct{}

func (null) Pack(dst, lines []byte) []byte { return append(dst, lines...) }

func (null) Append(context.Context, []byte, int) (arbalest.Receipt, error) { return "w-000001", nil }

// disk is an Appender that makes each segment durable in a directory: create,
// fsync, rename, fsync the directory.
type disk struct {
	dir string
	n   atomic.Int64
}

func (d *disk) Pack(dst, lines []byte) []byte { return append(dst, lines...) }

func (d *disk) Append(_ context.Context, lines []byte, _ int) (arbalest.Receipt, error) {
	name := filepath.Join(d.dir, fmt.Sprintf("%012d", d.n.Add(1)))
	f, err := os.Create(name + ".tmp")
	if err != nil {
		return "", err
	}
	_, err = f.Write(lines)
	for _, step := range []func() error{f.Sync, f.Close, func() error { return os.Rename(name+".tmp", name) }} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		return "", err
	}
	folder, err := os.Open(d.dir)
	if err != nil {
		return "", err
	}
	defer folder.Close()
	return arbalest.Receipt(filepath.Base(name)), folder.Sync()
}

var writers = flag.Int("writers", 0, "segments written at once by the benchmarks")

// someEvents returns n events of about 240 bytes, one to a line.
func someEvents(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `{"event":"user.verified","id":"009bd890-cb8f-4896-b9e7-%012d","timestamp":"2015-08-18T07:38:40Z","data":{"email_address":"jane%d@doe.com","workflow":"mobile","amount":%d.25,"tags":["new","eu"],"timestamp":"2015-08-18T07:38:40Z"}}`+"\n", i, i, i)
	}
	return b.Bytes()
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

func BenchmarkHandler(b *testing.B) {
	for _, n := range []int{1, 100} {
		for _, form := range []string{"lines", "gzip", "zstd"} {
			b.Run(fmt.Sprintf("%s/events=%d", form, n), func(b *testing.B) {
				h := newHandler(b, Options{Appender: null{}})
				body := string(someEvents(n))
				r, _ := http.NewRequest("POST", "/v1/events", nil)
				switch form {
				case "gzip":
					body = gzipped(body)
				case "zstd":
					body = zstded(body)
				}
				if form != "lines" {
					r.Header.Set("Content-Encoding", form)
				}
				r.ContentLength = int64(len(body))
				src := strings.NewReader("")
				r.Body = io.NopCloser(src)
				w := &discard{make(http.Header)}
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					src.Reset(body)
					clear(w.header)
					h.ServeHTTP(w, r)
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}

// BenchmarkLoopback sends requests over 64 connections that are kept alive, to
// a store that fsyncs each segment. The clients share the machine; they are as
// thin as can be, so that mostly the server is measured.
func BenchmarkLoopback(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("events=%d", n), func(b *testing.B) {
			store := &disk{dir: b.TempDir()}
			h := newHandler(b, Options{Appender: store, Writers: *writers})
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			server := &http.Server{Handler: h}
			go func() { _ = server.Serve(listener) }()
			defer server.Close()
			body := someEvents(n)
			request := append(fmt.Appendf(nil, "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(body)), body...)
			var left atomic.Int64
			left.Store(int64(b.N))
			var clients sync.WaitGroup
			b.ResetTimer()
			for range 64 {
				clients.Go(func() {
					if err := post(listener.Addr().String(), request, &left); err != nil {
						b.Error(err)
					}
				})
			}
			clients.Wait()
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(b.N)/float64(store.n.Load()), "requests/segment")
			b.ReportMetric(float64(store.n.Load())/b.Elapsed().Seconds(), "segments/s")
		})
	}
}

// post sends the request, and reads its answer, as long as there are some left.
func post(addr string, request []byte, left *atomic.Int64) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for left.Add(-1) >= 0 {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		if err := readAnswer(in); err != nil {
			return err
		}
	}
	return nil
}

func readAnswer(in *bufio.Reader) error {
	status, err := in.ReadSlice('\n')
	if err != nil || !bytes.HasPrefix(status, []byte("HTTP/1.1 200")) {
		return fmt.Errorf("answer %q: %w", status, err)
	}
	length := 0
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 2 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if _, err := fmt.Sscan(string(value), &length); err != nil {
				return err
			}
		}
	}
	_, err = in.Discard(length)
	return err
}
