package duckdb

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arbalest"
)

// TestConnectionOfDriver guards what connectionOf reads from a field that the
// driver does not export.
func TestConnectionOfDriver(t *testing.T) {
	w := mustOpen(t, "", Options{})
	defer w.Close()
	err := w.writer.Raw(func(c any) error {
		raw, err := connectionOf(c)
		if err == nil && raw == nil {
			t.Error("connection is nil")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := connectionOf("no connection"); !errors.Is(err, arbalest.ErrInvalid) {
		t.Errorf("connection of a string: %v", err)
	}
}

func TestOpenTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.duckdb")
	w := mustOpen(t, path, Options{})
	for range 2 {
		_, err := Open(t.Context(), path, Options{})
		if !errors.Is(err, arbalest.ErrInUse) || !strings.Contains(err.Error(), "stop it") {
			t.Errorf("second open: %v", err)
		}
	}
	// The refusal took nothing from the one that has it.
	mustQuery(t, w, "SELECT 1")
	if out, err := child(t, "TestOpenInChild", "WAREHOUSE="+path).CombinedOutput(); err == nil || !strings.Contains(string(out), "in use") {
		t.Errorf("open in another process: %v\n%s", err, out)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := child(t, "TestOpenInChild", "WAREHOUSE="+path).CombinedOutput(); err != nil {
		t.Errorf("open in another process after close: %v\n%s", err, out)
	}
}

// TestOpenInChild is TestOpenTwice's other process.
func TestOpenInChild(t *testing.T) {
	path := os.Getenv("WAREHOUSE")
	if path == "" {
		t.Skip("for TestOpenTwice")
	}
	if err := mustOpen(t, path, Options{}).Close(); err != nil {
		t.Fatal(err)
	}
}

// child makes a command that runs one test of this binary.
func child(t *testing.T, test string, env ...string) *exec.Cmd {
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$")
	c.Env = append(append(os.Environ(), "TMPDIR="+t.TempDir()), env...) // what a killed one leaves goes with the test
	return c
}

func TestOpenWhatIsNoDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.duckdb")
	if err := os.WriteFile(path, []byte(strings.Repeat("not a database ", 1000)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, arbalest.ErrCorrupt) {
		t.Errorf("open: %v", err)
	}
}

// While a result is open DuckDB is on the file, and no other Warehouse gets it.
func TestCloseWaitsForResults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.duckdb")
	w := mustOpen(t, path, Options{})
	r, err := w.Query(t.Context(), "SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- w.Close() }()
	time.Sleep(100 * time.Millisecond)
	if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, arbalest.ErrInUse) {
		t.Errorf("opened beside: %v", err)
	}
	select {
	case err := <-closed:
		t.Errorf("closed with a result open: %v", err)
	default:
	}
	r.Close()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := mustOpen(t, path, Options{}).Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenNewerFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.duckdb")
	w := mustOpen(t, path, Options{})
	if _, err := w.writer.ExecContext(t.Context(), "UPDATE arbalest.format SET version = 99"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, arbalest.ErrNewer) {
		t.Errorf("open: %v", err)
	}
}

func TestOpenBadOptions(t *testing.T) {
	for _, o := range []Options{{MemoryLimit: 1}, {MemoryLimit: -1}, {Threads: -1}} {
		if _, err := Open(t.Context(), "", o); !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("open with %+v: %v", o, err)
		}
	}
}

// TestCloseLeavesNoLog holds that the file alone is the warehouse after Close.
func TestCloseLeavesNoLog(t *testing.T) {
	dir := t.TempDir()
	if err := mustOpen(t, filepath.Join(dir, "w.duckdb"), Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "w.duckdb" && e.Name() != "w.duckdb.lock" {
			t.Errorf("Close left %s", e.Name())
		}
	}
}

func TestLoadAfterClose(t *testing.T) {
	w := mustOpen(t, "", Options{})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Reset(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("reset after close: %v", err)
	}
	if _, err := w.Query(t.Context(), "SELECT 1"); err == nil {
		t.Error("query after close succeeded")
	}
}
