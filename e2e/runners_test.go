package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"arbalest"
	"arbalest/connect"
	"arbalest/internal/blob"
	"arbalest/internal/postgres/postgrestest"
	"arbalest/internal/s3/s3test"
)

const runnersFile = `
name: runners
store: ${ARBALEST_E2E_STORE}/raw
steps:
  - manifest_copy: {source: incremental, table: incremental, properties: [{name: n, type: INTEGER}, {name: pad, type: VARCHAR(100)}]}
  - bulk_copy: {source: fixed, table: fixed, properties: [{name: n, type: INTEGER}]}
  - time_series: {source: days, table: series, order_by: t, properties: [{name: n, type: INTEGER}, {name: t, type: TIMESTAMP}]}
  - sql:
      - CREATE TABLE IF NOT EXISTS passes (n BIGINT)
      - INSERT INTO passes SELECT count(*) FROM incremental
`

// rawURL is the bucket's folder raw, as the file spells it.
func rawURL(store string) string {
	bucket, parameters, _ := strings.Cut(store, "?")
	return bucket + "/raw?" + parameters
}

// TestInvariant6SoakTwoRunners has two runners, each with a directory of its own,
// on one bucket and one warehouse, killed at random while objects come in: every
// object is loaded once. ARBALEST_SOAK says for how long.
func TestInvariant6SoakTwoRunners(t *testing.T) {
	store := s3test.Start(t)
	s := site{}
	server := postgrestest.Start(t)
	dirs := []string{s.directory(t, store, server, ""), s.directory(t, store, server, "")}
	file := write(t, filepath.Join(t.TempDir(), "runners.yaml"), strings.ReplaceAll(runnersFile, "${ARBALEST_E2E_STORE}/raw", rawURL(store)))
	bucket, closeBucket, err := connect.Store(t.Context(), rawURL(store))
	if err != nil {
		t.Fatal(err)
	}
	defer closeBucket()
	put(t, bucket, "fixed/a", `{"n":1}{"n":2}`)
	for day := range 3 {
		put(t, bucket, fmt.Sprintf("days/2014-11-1%d/a", day), fmt.Sprintf(`{"n":%d,"t":"2014-11-1%dT05:00:00Z"}`, day, day))
	}

	ctx, stop := context.WithTimeout(t.Context(), soakTime(t, 20*time.Second))
	defer stop()
	var fed, killed, finished atomic.Int64
	var all sync.WaitGroup
	all.Go(func() {
		for ; ctx.Err() == nil; fed.Add(1) {
			n := fed.Load()
			put(t, bucket, fmt.Sprintf("incremental/%d/%06d", n%7, n), fmt.Sprintf(`{"n":%d,"pad":"%s"}`, n, strings.Repeat("x", 90)))
		}
	})
	for _, dir := range dirs {
		all.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				cmd := exec.Command(program, "run", file, "--data", dir)
				var out bytes.Buffer
				cmd.Stdout, cmd.Stderr = &out, &out
				if err := cmd.Start(); err != nil {
					t.Error(err)
					return
				}
				timer := time.AfterFunc(time.Duration(50+rand.IntN(1500))*time.Millisecond, func() {
					if n%4 != 0 { // which ends, however slow the machine is
						_ = cmd.Process.Kill()
					}
				})
				err := cmd.Wait()
				timer.Stop()
				switch {
				case err == nil:
					finished.Add(1)
				case cmd.ProcessState.ExitCode() == -1:
					killed.Add(1)
				default:
					t.Errorf("a run failed: %v: %s", err, out.String())
				}
			}
		})
	}
	all.Wait()
	must(t, "run", file, "--data", dirs[0]) // what is left of a run
	must(t, "run", file, "--data", dirs[1])
	t.Logf("%d objects, %d runs killed, %d finished", fed.Load(), killed.Load(), finished.Load())
	if killed.Load() < 3 || finished.Load() < 3 {
		t.Errorf("%d runs killed and %d finished: that tests little", killed.Load(), finished.Load())
	}
	for sql, want := range map[string]string{
		"SELECT count(*), count(DISTINCT n), min(n), max(n) FROM incremental":                                   fmt.Sprintf("%d,%d,0,%d", fed.Load(), fed.Load(), fed.Load()-1),
		"SELECT count(*), count(DISTINCT object) FROM arbalest.copied":                                          fmt.Sprintf("%d,%d", fed.Load(), fed.Load()),
		"SELECT count(*), sum(n) FROM fixed":                                                                    "2,3",
		"SELECT count(*), sum(n) FROM series":                                                                   "3,3",
		"SELECT count(*) FROM information_schema.tables WHERE table_name LIKE '%_update'":                       "0",
		"SELECT count(*) - (SELECT count(*) FROM arbalest.steps WHERE step = 4 AND state = 'done') FROM passes": "0",
	} {
		if got := query(t, dirs[0], sql)[0]; got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
}

// soakTime is how long a soak lasts: ARBALEST_SOAK, or the short form's time.
func soakTime(t *testing.T, short time.Duration) time.Duration {
	t.Helper()
	soak := os.Getenv("ARBALEST_SOAK")
	if soak == "" {
		return short
	}
	d, err := time.ParseDuration(soak)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func put(t *testing.T, store blob.Store, key, text string) {
	if err := store.Put(context.Background(), arbalest.Key(key), strings.NewReader(text)); err != nil {
		t.Errorf("put %s: %v", key, err)
	}
}

// TestManySmallObjects copies 20,000 objects of one event each from a real S3
// server.
func TestManySmallObjects(t *testing.T) {
	const objects, most = 20_000, 20 * time.Second
	server := s3test.StartServer(t)
	store := server.Bucket(t)
	server.Fill(t, store, func(yield func(key, text string) bool) {
		for n := range objects {
			at := time.Date(2014, 11, 10, n/1000, n%60, 0, 0, time.UTC)
			if !yield(fmt.Sprintf("user.created/%s/%06d", at.Format("2006-01-02/15"), n), fmt.Sprintf(`{"n":%d,"email_address":"user%d@doe.com","timestamp":%q}`, n, n, at.Format(time.RFC3339))) {
				return
			}
		}
	})
	for _, s := range []site{{"DuckDB", nil, func(*testing.T) string { return "" }}, {"PostgreSQL", nil, func(t *testing.T) string { return postgrestest.Start(t) }}} {
		t.Run(s.name, func(t *testing.T) {
			dir := s.directory(t, "", s.warehouse(t), "")
			file := write(t, filepath.Join(dir, "many.yaml"), "store: "+store+"\nsteps: [{manifest_copy: {source: user.created, table: user_created, properties: [{name: n, type: INTEGER}, {name: email_address, type: VARCHAR(256)}, {name: timestamp, type: TIMESTAMP, as: happened}]}}]\n")
			for _, pass := range []string{"first", "nothing new"} {
				start := time.Now()
				cmd := exec.Command(program, "run", file, "--data", dir)
				var out bytes.Buffer
				cmd.Stdout, cmd.Stderr = &out, &out
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() { ended <- cmd.Wait() }()
				var peak int64
				for done := false; !done; {
					select {
					case err := <-ended:
						if done = true; err != nil {
							t.Fatalf("%v: %s", err, &out)
						}
					case <-time.After(10 * time.Millisecond):
						if most, ok := peakOf(cmd.Process.Pid); ok {
							peak = most
						}
					}
				}
				took := time.Since(start)
				t.Logf("%s: %d objects in %.1f s, at most %d MiB", pass, objects, took.Seconds(), peak>>20)
				if took > most {
					t.Errorf("%s took %v, want less than %v", pass, took, most)
				}
				if peak == 0 || peak > 512<<20 {
					t.Errorf("%s took %d MiB of memory", pass, peak>>20)
				}
			}
			if got := query(t, dir, "SELECT count(*), count(DISTINCT n), sum(n) FROM user_created")[0]; got != fmt.Sprintf("%d,%d,%d", objects, objects, objects*(objects-1)/2) {
				t.Error(got)
			}
		})
	}
}
