package lake

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"arbalest"
	"arbalest/internal/blob"
	"arbalest/internal/s3"
	"arbalest/internal/s3/s3test"
)

// A kind is one of the stores that the lake's tests run on.
type kind struct {
	name  string
	slow  bool // each operation takes a disk or a network: tests do fewer
	fresh func(t *testing.T) blob.Store
}

// of returns how many: n, or fewer where that would take long.
func (k kind) of(n, fewer int) int {
	if k.slow {
		return fewer
	}
	return n
}

// kinds runs a test on each kind of store.
func kinds(t *testing.T, test func(t *testing.T, k kind)) {
	t.Run("memory", func(t *testing.T) {
		test(t, kind{name: "memory", fresh: func(*testing.T) blob.Store { return blob.NewMemory() }})
	})
	t.Run("dir", func(t *testing.T) {
		test(t, kind{name: "dir", slow: true, fresh: func(t *testing.T) blob.Store { return openStore(t, t.TempDir()) }})
	})
	if testing.Short() {
		return // the S3 adapter has its own suite
	}
	t.Run("gofakes3", func(t *testing.T) {
		bucket, n := s3test.Fake(t), 0
		test(t, kind{name: "gofakes3", slow: true, fresh: func(t *testing.T) blob.Store {
			n++
			return openS3(t, strings.Replace(bucket, "?", fmt.Sprintf("/lake%d?", n), 1), s3.Options{})
		}})
	})
	t.Run("versitygw", func(t *testing.T) {
		server := s3test.StartServer(t)
		test(t, kind{name: "versitygw", slow: true, fresh: func(t *testing.T) blob.Store { return openS3(t, server.Bucket(t), s3.Options{}) }})
	})
}

// stores are what every test of the lake runs on.
func stores(t *testing.T, test func(t *testing.T, store blob.Store)) {
	kinds(t, func(t *testing.T, k kind) { test(t, k.fresh(t)) })
}

// openS3 opens a store whose server's conditional writes are known.
func openS3(t testing.TB, url string, opts s3.Options) *s3.Store {
	t.Helper()
	opts.NoProbe, opts.MaxBackoff = true, 10*time.Millisecond
	s, err := s3.Open(t.Context(), url, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestInvariant2LostRequestAtEveryStep has each request of a session, in turn, be
// refused, answered with SlowDown, and answered with the answer lost. The store
// makes it again: the session does not notice, and all is stored once.
func TestInvariant2LostRequestAtEveryStep(t *testing.T) {
	bucket := s3test.Fake(t)
	run := func(name string, faults ...s3test.Fault) (requests int) {
		t.Helper()
		f := s3test.NewFaulty(faults...)
		at := strings.Replace(bucket, "?", "/"+name+"?", 1)
		acknowledged, err := session(openS3(t, at, s3.Options{HTTPClient: f.Client()}), 2, 2)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		store := openS3(t, at, s3.Options{})
		drain(t, openTest(t, store, Options{}))
		once(t, store, acknowledged)
		return len(f.Asked())
	}
	requests := run("whole")
	if requests < 30 {
		t.Errorf("only %d requests", requests)
	}
	for _, kind := range []s3test.Kind{s3test.Refused, s3test.Status, s3test.LostReply, s3test.Cut} {
		for n := 1; n <= requests && !t.Failed(); n++ {
			run(fmt.Sprintf("kind%d-request%d", kind, n), s3test.Fault{Kind: kind, Nth: n})
		}
	}
}

// A store that is away is no empty lake.
func TestStoreThatIsAway(t *testing.T) {
	for _, fault := range []s3test.Fault{{Times: -1}, {Times: -1, Kind: s3test.Refused}, {Times: -1, Status: 404, Code: "NoSuchBucket"}} {
		f := s3test.NewFaulty(fault)
		l := openTest(t, openS3(t, s3test.Fake(t), s3.Options{HTTPClient: f.Client()}), Options{})
		ctx := context.Background()
		_, appended := l.NewWriter().AppendLines(ctx, lineOf("a", "1", noon))
		for _, err := range []error{appended, second(l.Head(ctx)), second(l.Sort(ctx)), second(l.Commit(ctx, 1)), third(l.Unsorted(ctx)), second(l.Tables(ctx))} {
			if !errors.Is(err, arbalest.ErrUnavailable) {
				t.Errorf("%+v: %v", fault, err)
			}
		}
	}
}
