package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// The stream of latency: 100 posts a second of 50 events each.
const (
	postsPerSecond = 100
	eventsPerPost  = 50
	streamSeconds  = 20
)

// latency measures a steady stream of 5,000 events a second: how long until a
// post is acknowledged, and until its receipt says that it is in SQL, which is
// asked for every tenth.
func (b bench) latency(ctx context.Context) error {
	addr, err := freeAddress()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, b.program, "serve", "--data", filepath.Join(b.dir, "latency"), "--listen", addr)
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	if err := awaitListener(addr); err != nil {
		return err
	}
	var mu sync.Mutex
	var acked, loaded []time.Duration
	var failure error
	var running sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	tick := time.NewTicker(time.Second / postsPerSecond)
	defer tick.Stop()
	for n := range postsPerSecond * streamSeconds {
		<-tick.C
		running.Go(func() {
			start := time.Now()
			ack, load, err := postAndFollow(client, "http://"+addr, n, n%10 == 0)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failure = err
				return
			}
			acked = append(acked, ack.Sub(start))
			if !load.IsZero() {
				loaded = append(loaded, load.Sub(start))
			}
		})
	}
	running.Wait()
	if failure != nil {
		return failure
	}
	fmt.Printf("steady stream, %d events/s for %d s:\n", postsPerSecond*eventsPerPost, streamSeconds)
	for _, l := range []struct {
		name string
		took []time.Duration
	}{{"acknowledged", acked}, {"in SQL", loaded}} {
		fmt.Printf("  %-14s p50 %-10v p99 %-10v max %v\n", l.name, percentile(l.took, 0.5).Round(100*time.Microsecond), percentile(l.took, 0.99).Round(100*time.Microsecond), percentile(l.took, 1).Round(100*time.Microsecond))
	}
	return nil
}

func postAndFollow(client *http.Client, url string, n int, follow bool) (acked, loaded time.Time, err error) {
	var body []byte
	for i := range eventsPerPost {
		body = append(wire(body, n*eventsPerPost+i), '\n')
	}
	var a struct {
		Receipt string `json:"receipt"`
	}
	if err := call(client, http.MethodPost, url+"/v1/events", string(body), &a); err != nil {
		return acked, loaded, err
	}
	acked = time.Now()
	for follow && loaded.IsZero() {
		var r struct {
			State string `json:"state"`
		}
		if err := call(client, http.MethodGet, url+"/v1/receipts/"+a.Receipt+"?wait=30s", "", &r); err != nil {
			return acked, loaded, err
		}
		if r.State == "loaded" {
			loaded = time.Now()
		}
	}
	return acked, loaded, nil
}

func call(client *http.Client, method, url, body string, into any) error {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, b)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}
