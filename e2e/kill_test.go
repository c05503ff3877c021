package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// kills is how often serve is killed: a soak goes on for its time.
const kills = 20

// TestInvariant2KillNine kills serve at random moments while clients post with
// retries. Every acknowledged event is in its table once, verify agrees, and a
// rebuild without the warehouse file gives the same rows.
func TestInvariant2KillNine(t *testing.T) {
	until := time.Time{}
	if soak := os.Getenv("ARBALEST_SOAK"); soak != "" {
		d, err := time.ParseDuration(soak)
		if err != nil {
			t.Fatal(err)
		}
		until = time.Now().Add(d)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	addr := freeAddress(t)
	dir := t.TempDir()
	c := clients{url: "http://" + addr, stop: make(chan struct{})}
	for n := range 4 {
		c.running.Go(func() { c.post(n) })
	}
	done := 0
	for ; done < kills || time.Now().Before(until); done++ {
		s := serve(t, dir, "--listen", addr)
		time.Sleep(time.Duration(30+r.IntN(900)) * time.Millisecond)
		s.kill()
	}
	s := serve(t, dir, "--listen", addr)
	close(c.stop)
	c.running.Wait()
	if why := c.refused.Load(); why != nil {
		t.Fatalf("a post was refused: %v", why)
	}
	must(t, "sync", "--data", dir)
	acknowledged := c.acknowledged.Load()
	t.Logf("%d kills, %d events acknowledged, %d posts had to be repeated", done, acknowledged, c.repeated.Load())
	if acknowledged < 1000 || c.repeated.Load() == 0 {
		t.Errorf("%d events acknowledged, %d posts repeated: that tests little", acknowledged, c.repeated.Load())
	}
	check := func() {
		t.Helper()
		for _, table := range []string{"kill_a", "kill_b"} {
			got := query(t, dir, "SELECT count(*), count(DISTINCT event_id), count(DISTINCT n) FROM "+table)[0]
			want := fmt.Sprintf("%d,%d,%d", acknowledged/2, acknowledged/2, acknowledged/2)
			if got != want {
				t.Errorf("%s: %s, want %s", table, got, want)
			}
		}
		must(t, "verify", "--data", dir)
	}
	check()
	sum := "SELECT (SELECT sum(hash(t)::HUGEINT) FROM kill_a t), (SELECT sum(hash(t)::HUGEINT) FROM kill_b t)"
	before := query(t, dir, sum)[0]
	s.stop()
	files, _ := filepath.Glob(filepath.Join(dir, "warehouse.duckdb*"))
	for _, f := range files {
		os.RemoveAll(f)
	}
	must(t, "rebuild", "--data", dir)
	if after := query(t, dir, sum)[0]; after != before {
		t.Errorf("rebuilt rows differ: %s, before %s", after, before)
	}
	check()
}

// clients post events until they are stopped, each as often as it takes.
type clients struct {
	url          string
	stop         chan struct{}
	running      sync.WaitGroup
	acknowledged atomic.Int64
	repeated     atomic.Int64
	refused      atomic.Value // why, if a post was
}

func (c *clients) post(client int) {
	begin := time.Date(2020, 3, 1, 0, 0, 0, 0, time.UTC)
	for batch := 0; ; batch++ {
		const size = 20
		var events []string
		for i := range size {
			n := (client*1_000_000+batch)*size + i
			events = append(events, fmt.Sprintf(`{"event":"kill.%c","id":"e%d","timestamp":%q,"data":{"n":%d,"client":"c%d"}}`, 'a'+i%2, n, begin.Add(time.Duration(n)*time.Second).Format(time.RFC3339), n, client))
		}
		body := strings.Join(events, "\n")
		for {
			status, a, err := post(c.url, body)
			if err == nil && status == 200 && a.Accepted == size {
				c.acknowledged.Add(size)
				break
			}
			if err == nil && status == 400 {
				c.refused.Store(fmt.Sprintf("%+v", a.Rejected[0]))
				return
			}
			c.repeated.Add(1)
			time.Sleep(20 * time.Millisecond)
		}
		select {
		case <-c.stop:
			return
		default:
		}
	}
}
