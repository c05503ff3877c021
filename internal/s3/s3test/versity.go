package s3test

import (
	"bytes"
	"fmt"
	"iter"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Variable is that of the environment which says where versitygw is. Where it is
// not set, bin/tools of the repository is looked at: make tools puts it there.
const Variable = "ARBALEST_S3"

// A Server is a versitygw of one test.
type Server struct {
	Endpoint string // http://127.0.0.1:port
	root     string // its buckets are folders here
	buckets  atomic.Int64
}

// Start starts versitygw over a directory of the test's, and returns the URL of
// an empty bucket. Without the program the test is skipped, and fails if CI is
// true in the environment. The server ends with the test.
func Start(t testing.TB) (url string) {
	t.Helper()
	return StartServer(t).Bucket(t)
}

// Bucket returns the URL of a new bucket of the server.
func (s *Server) Bucket(t testing.TB) (url string) {
	t.Helper()
	bucket := fmt.Sprintf("lake-%d", s.buckets.Add(1))
	if err := os.Mkdir(filepath.Join(s.root, bucket), 0o777); err != nil {
		t.Fatalf("create bucket: %v", err)
	}
	return urlOf(bucket, s.Endpoint)
}

// Fill makes objects of a bucket in the server's directory, which is faster than
// through the server. url is the bucket's; objects must be new.
func (s *Server) Fill(t testing.TB, url string, objects iter.Seq2[string, string]) {
	t.Helper()
	bucket, _, _ := strings.Cut(strings.TrimPrefix(url, "s3://"), "?")
	made := map[string]bool{}
	for key, text := range objects {
		at := filepath.Join(s.root, bucket, filepath.FromSlash(key))
		if dir := filepath.Dir(at); !made[dir] {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			made[dir] = true
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// StartServer is Start, for tests that need several buckets.
func StartServer(t testing.TB) *Server {
	t.Helper()
	program := binary(t)
	setenv(t)
	var out bytes.Buffer
	// Another process may take the port between our asking for one and the
	// server's: then there is another.
	for range 5 {
		s := &Server{root: t.TempDir(), Endpoint: "http://" + freeAddress(t)}
		if s.run(t, program, &out) {
			return s
		}
	}
	t.Fatalf("versitygw does not answer: %s", out.String())
	return nil
}

// run starts the process, and says whether it answers.
func (s *Server) run(t testing.TB, program string, out *bytes.Buffer) bool {
	args := []string{"--port", s.Endpoint[len("http://"):], "--access", AccessKey, "--secret", SecretKey, "--region", region, "--quiet", "--keep-alive", "posix"}
	if syscall.Setxattr(s.root, "user.arbalest", []byte("x"), 0) != nil { // where a file system has none
		args = append(args, "--sidecar", t.TempDir())
	}
	cmd := exec.Command(program, append(args, s.root)...)
	cmd.Env = []string{"HOME=" + s.root, "PATH=" + os.Getenv("PATH")}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatalf("start versitygw: %v", err)
	}
	exited := make(chan struct{})
	go func() { // ends with the process
		_ = cmd.Wait()
		close(exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
	})
	client := http.Client{Timeout: time.Second}
	for range 400 {
		if answer, err := client.Get(s.Endpoint); err == nil {
			answer.Body.Close()
			return answer.Header.Get("Server") == "VERSITYGW"
		}
		select {
		case <-exited:
			return false
		case <-time.After(25 * time.Millisecond):
		}
	}
	return false
}

func freeAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// binary returns the program, or skips or fails the test.
func binary(t testing.TB) string {
	t.Helper()
	program := find()
	switch {
	case program != "":
	case os.Getenv(Variable) != "":
		t.Fatalf("there is no versitygw at %s=%s", Variable, os.Getenv(Variable))
	case os.Getenv("CI") == "true":
		t.Fatalf("versitygw is missing, and CI is true: run make tools, or set %s to the program", Variable)
	default:
		t.Skipf("versitygw is missing: run make tools, or set %s to the program", Variable)
	}
	return program
}

// find returns the program's path, "" if it is missing.
func find() string {
	if at := os.Getenv(Variable); at != "" {
		if executable(at) {
			return at
		}
		return ""
	}
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for ; ; dir = filepath.Dir(dir) {
		if at := filepath.Join(dir, "bin", "tools", "versitygw"); executable(at) {
			return at
		}
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil || dir == filepath.Dir(dir) {
			return ""
		}
	}
}

func executable(at string) bool {
	info, err := os.Stat(at)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
