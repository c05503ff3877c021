// Package e2e tells stories to the built program from outside: processes,
// signals, HTTP and the command line, and nothing of the inside. It stores
// nothing.
package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is the built arbalest.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "arbalest-e2e-")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "arbalest")
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/arbalest").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// data opens a file of the shared test data, and skips where it is absent, but
// not in CI.
func data(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "shared", "data", name)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("CI must have the test data: %v", err)
		}
		t.Skipf("no test data: %v", err)
	}
	return path
}

// lines reads a gzip file's lines.
func lines(t *testing.T, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for in := bufio.NewReaderSize(z, 1<<20); ; {
		line, err := in.ReadString('\n')
		if line = strings.TrimSuffix(line, "\n"); line != "" {
			out = append(out, line)
		}
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// run runs a command and returns what it printed and its exit code.
func run(t *testing.T, args ...string) (stdout, stderr string, exit int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// must runs a command that has to exit with 0.
func must(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, exit := run(t, args...)
	if exit != 0 {
		t.Fatalf("arbalest %s: exit %d\n%s%s", strings.Join(args, " "), exit, stdout, stderr)
	}
	return stdout
}

// query returns a result's rows as CSV without its header.
func query(t *testing.T, dir, sql string) []string {
	t.Helper()
	out := strings.TrimSuffix(must(t, "query", "--data", dir, "--format", "csv", sql), "\n")
	rows := strings.Split(out, "\n")
	return rows[1:]
}

// A served is a running serve.
type served struct {
	t   *testing.T
	cmd *exec.Cmd
	url string
	log *bytes.Buffer
}

// serve starts serve on a directory and waits until it captures.
func serve(t *testing.T, dir string, args ...string) *served {
	t.Helper()
	s := &served{t: t, cmd: exec.Command(program, append([]string{"serve", "--data", dir, "--listen", "127.0.0.1:0"}, args...)...), log: &bytes.Buffer{}}
	s.cmd.Stderr = s.log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("serve said:\n%s", s.log)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.cmd.Wait()
		t.Fatalf("serve did not start: %v\n%s", err, s.log)
	}
	url, _, _ := strings.Cut(strings.TrimPrefix(line, "Capturing at "), "/v1/events")
	s.url = url
	return s
}

// stop sends SIGTERM and wants exit code 0.
func (s *served) stop() {
	s.t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		s.t.Fatalf("serve after SIGTERM: %v\n%s", err, s.log)
	}
}

// kill is kill -9.
func (s *served) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// peak returns the most memory that the process ever had, in bytes.
func (s *served) peak() int64 {
	s.t.Helper()
	most, ok := peakOf(s.cmd.Process.Pid)
	if !ok {
		s.t.Skip("no /proc")
	}
	return most
}

// peakOf returns the most memory that a running process ever had, in bytes. What
// getrusage says of a child counts the test's own memory before the exec too.
func peakOf(pid int) (most int64, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	_, rest, found := strings.Cut(string(b), "VmHWM:")
	if !found {
		return 0, false // it has ended
	}
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return kib << 10, err == nil
}

// An answer is that of POST /v1/events.
type answer struct {
	Accepted int `json:"accepted"`
	Rejected []struct {
		Index int    `json:"index"`
		Error string `json:"error"`
	} `json:"rejected"`
	Durability string `json:"durability"`
	Receipt    string `json:"receipt"`
}

// post sends a body and returns the status and the answer.
func post(url, body string) (int, answer, error) {
	resp, err := http.Post(url+"/v1/events", "application/json", strings.NewReader(body))
	if err != nil {
		return 0, answer{}, err
	}
	defer resp.Body.Close()
	var a answer
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, answer{}, err
	}
	if err := json.Unmarshal(b, &a); err != nil {
		return resp.StatusCode, a, fmt.Errorf("%s: %w", b, err)
	}
	return resp.StatusCode, a, nil
}

// loaded waits until a receipt's events are in their tables.
func loaded(t *testing.T, url, receipt string) {
	t.Helper()
	for range 10 {
		resp, err := http.Get(url + "/v1/receipts/" + receipt + "?wait=30s")
		if err != nil {
			t.Fatal(err)
		}
		var a struct {
			State string `json:"state"`
		}
		err = json.NewDecoder(resp.Body).Decode(&a)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if a.State == "loaded" {
			return
		}
	}
	t.Fatalf("receipt %s is not loaded after minutes", receipt)
}
