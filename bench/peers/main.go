// Command peers runs what the benchmark compares capture with: Benthos, from
// http_server to a file without fsync, and a bare net/http handler that appends
// to a file and shares each fsync among the requests that wait. It is a module
// of its own, so that the project does not depend on any peer.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"

	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: peers benthos|bare ADDRESS FILE")
		os.Exit(2)
	}
	run := map[string]func(addr, file string) error{"benthos": benthos, "bare": bare}[os.Args[1]]
	if err := run(os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// benthos answers when its output has taken the events, which it parses out of
// an array and writes one to a line.
func benthos(addr, file string) error {
	b := service.NewStreamBuilder()
	err := b.SetYAML(fmt.Sprintf(`
http:
  enabled: false
input:
  http_server:
    address: %q
    path: /v1/events
  processors:
    - unarchive:
        format: json_array
output:
  file:
    path: %q
    codec: lines
logger:
  level: ERROR
`, addr, file))
	if err != nil {
		return err
	}
	stream, err := b.Build()
	if err != nil {
		return err
	}
	return stream.Run(context.Background())
}

// bare is the least that can keep the promise: append, fsync, answer. It does
// not look at what it takes.
func bare(addr, file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	g := group{file: f}
	g.turn = sync.NewCond(&g.mu)
	go g.write()
	http.HandleFunc("/v1/events", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = g.append(body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		io.WriteString(w, `{"accepted":1}`)
	})
	return http.ListenAndServe(addr, nil)
}

// A group gathers bodies while a file is being synced.
type group struct {
	file *os.File
	mu   sync.Mutex
	turn *sync.Cond
	open []byte
	wait []chan error
}

func (g *group) append(body []byte) error {
	done := make(chan error, 1)
	g.mu.Lock()
	g.open = append(append(g.open, body...), '\n')
	g.wait = append(g.wait, done)
	g.mu.Unlock()
	g.turn.Signal()
	return <-done
}

func (g *group) write() {
	for {
		g.mu.Lock()
		for len(g.wait) == 0 {
			g.turn.Wait()
		}
		lines, wait := g.open, g.wait
		g.open, g.wait = nil, nil
		g.mu.Unlock()
		_, err := g.file.Write(lines)
		if err == nil {
			err = g.file.Sync()
		}
		for _, done := range wait {
			done <- err
		}
	}
}
