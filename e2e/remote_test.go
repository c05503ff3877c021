package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arbalest/connect"
	"arbalest/internal/postgres/postgrestest"
	"arbalest/internal/redshift/redshifttest"
	"arbalest/internal/s3/s3test"
)

// A site is where a store and a warehouse are.
type site struct {
	name      string
	store     func(*testing.T) string // their URLs
	warehouse func(*testing.T) string
}

func sites() []site {
	directory := func(*testing.T) string { return "" }
	file := directory
	url := "" // of the bucket
	bucket := func(t *testing.T) string { url = s3test.Start(t); return url }
	server := func(t *testing.T) string { return postgrestest.Start(t) }
	redshift := func(t *testing.T) string { return cluster(t, url) }
	return []site{{"S3AndDuckDB", bucket, file}, {"DirectoryAndPostgreSQL", directory, server}, {"S3AndPostgreSQL", bucket, server}, {"S3AndRedshiftEmulator", bucket, redshift}}
}

// cluster starts the emulator of Redshift, whose COPY reads the bucket.
func cluster(t *testing.T, store string) string {
	t.Helper()
	server := redshifttest.Start(t)
	bucket, _, err := connect.Store(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(store)
	if err != nil {
		t.Fatal(err)
	}
	server.Mount(u.Host, "", bucket)
	return server.URL()
}

// directory makes a data directory whose configuration has the URLs and more.
// Passwords stay in the environment.
func (s site) directory(t *testing.T, store, warehouse, more string) string {
	t.Helper()
	dir := t.TempDir()
	text := more
	if store != "" {
		t.Setenv("ARBALEST_E2E_STORE", store)
		text += "store: ${ARBALEST_E2E_STORE}\n"
	}
	if warehouse != "" {
		t.Setenv("ARBALEST_E2E_WAREHOUSE", warehouse)
		text += "warehouse:\n  url: ${ARBALEST_E2E_WAREHOUSE}\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "arbalest.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestInvariant2RemoteKillNine kills serve, on real servers (but for Redshift),
// while clients post with retries: every acknowledged event is in its table
// once, verify agrees, and rebuilt tables have the same rows.
func TestInvariant2RemoteKillNine(t *testing.T) {
	for _, s := range sites() {
		t.Run(s.name, func(t *testing.T) {
			dir := s.directory(t, s.store(t), s.warehouse(t), "linger: 5ms\nsort_every: 100ms\n")
			addr := freeAddress(t)
			c := clients{url: "http://" + addr, stop: make(chan struct{})}
			for n := range 2 {
				c.running.Go(func() { c.post(n) })
			}
			for round := range 4 {
				running := serve(t, dir, "--listen", addr)
				time.Sleep(time.Duration(300+450*round) * time.Millisecond)
				running.kill()
			}
			running := serve(t, dir, "--listen", addr)
			time.Sleep(300 * time.Millisecond)
			close(c.stop)
			c.running.Wait()
			must(t, "sync", "--data", dir)
			checkRemote(t, dir, &c)
			running.stop()
			// Without a serve commands open the servers themselves.
			must(t, "verify", "--data", dir)
			must(t, "rebuild", "--data", dir)
			must(t, "rebuild", "--data", dir, "kill_a")
			checkRemote(t, dir, &c)
			if out := must(t, "status", "--data", dir); strings.Contains(out, "do not balance") || !strings.Contains(out, "kill.a") {
				t.Error(out)
			}
			if out := must(t, "sync", "--data", dir); !strings.Contains(out, "Nothing new") {
				t.Errorf("a second sync: %s", out)
			}
		})
	}
}

// checkRemote compares the tables with what clients were told.
func checkRemote(t *testing.T, dir string, all ...*clients) {
	t.Helper()
	acknowledged, repeated := int64(0), int64(0)
	for _, c := range all {
		if why := c.refused.Load(); why != nil {
			t.Fatalf("a post was refused: %v", why)
		}
		acknowledged += c.acknowledged.Load()
		repeated += c.repeated.Load()
	}
	t.Logf("%d events acknowledged, %d posts had to be repeated", acknowledged, repeated)
	if acknowledged < 100 || repeated == 0 {
		t.Errorf("%d events acknowledged, %d posts repeated: that tests little", acknowledged, repeated)
	}
	for _, table := range []string{"kill_a", "kill_b"} {
		got := query(t, dir, "SELECT count(*), count(DISTINCT event_id), count(DISTINCT n) FROM "+table)[0]
		want := fmt.Sprintf("%d,%d,%d", acknowledged/2, acknowledged/2, acknowledged/2)
		if got != want {
			t.Errorf("%s: %s, want %s", table, got, want)
		}
	}
	must(t, "verify", "--data", dir)
}

// TestInvariant6ManyServe runs two serves, with directories of their own, on one
// bucket and one database, and a sync beside them.
func TestInvariant6ManyServe(t *testing.T) {
	s := site{}
	store, warehouse := s3test.Start(t), postgrestest.Start(t)
	var dirs []string
	var running []*served
	var all []*clients
	for n := range 2 {
		dir := s.directory(t, store, warehouse, "linger: 5ms\nsort_every: 100ms\n")
		running = append(running, serve(t, dir, "--listen", freeAddress(t)))
		dirs = append(dirs, dir)
		c := &clients{url: running[n].url, stop: make(chan struct{})}
		c.running.Go(func() { c.post(n) })
		all = append(all, c)
	}
	alone := s.directory(t, store, warehouse, "")
	for range 3 {
		must(t, "sync", "--data", alone)
	}
	running[1].kill()
	running[1] = serve(t, dirs[1], "--listen", strings.TrimPrefix(all[1].url, "http://"))
	time.Sleep(time.Second)
	for _, c := range all {
		close(c.stop)
		c.running.Wait()
	}
	must(t, "sync", "--data", alone)
	checkRemote(t, alone, all...)
	for _, r := range running {
		r.stop()
	}
	checkRemote(t, dirs[0], all...)
}

// TestRemoteDefaults captures with the defaults of S3: requests share a segment,
// and SIGTERM leaves nothing in landing. What was imported goes the same way.
func TestRemoteDefaults(t *testing.T) {
	dir := site{}.directory(t, s3test.Start(t), "", "")
	s := serve(t, dir)
	start := time.Now()
	status, a, err := post(s.url, `{"event":"remote","id":"1","data":{"n":1}}`)
	if err != nil || status != 200 || a.Accepted != 1 || a.Durability != "s3" {
		t.Fatalf("%d, %+v, %v", status, a, err)
	}
	if took := time.Since(start); took < 250*time.Millisecond {
		t.Errorf("the post took %s: it did not wait for others", took)
	}
	s.stop()
	file := filepath.Join(t.TempDir(), "more.ndjson")
	if err := os.WriteFile(file, []byte(`{"event":"remote","id":"2","data":{"n":2}}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	must(t, "import", "--data", dir, file)
	if got := query(t, dir, "SELECT count(*), sum(n) FROM remote")[0]; got != "2,3" {
		t.Errorf("rows are %s", got)
	}
	must(t, "verify", "--data", dir)
}

// freeAddress returns an address to listen on, below the ports that the system
// gives to clients: of those one may be taken, even by a client that dials it
// while nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000)))
		if err != nil {
			continue
		}
		defer ln.Close()
		return ln.Addr().String()
	}
	t.Fatal("no port is free")
	return ""
}
