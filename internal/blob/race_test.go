package blob_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"arbalest"
	"arbalest/internal/blob"
)

// racerDir names the directory in which this binary is to race as a child.
const racerDir = "ARBALEST_BLOB_RACER"

const (
	racers = 6
	prizes = 60
)

// Of processes that create the same objects, also in folders that do not exist
// yet and that others empty, each object has one winner, whose bytes it has.
func TestCreateAcrossProcesses(t *testing.T) {
	if at := os.Getenv(racerDir); at != "" {
		race(t, at)
		return
	}
	at := t.TempDir()
	var children [racers]struct {
		cmd   *exec.Cmd
		out   bytes.Buffer
		start io.Closer
	}
	for i := range children {
		c := &children[i]
		c.cmd = exec.Command(os.Args[0], "-test.run=^TestCreateAcrossProcesses$", "-test.v")
		c.cmd.Env = append(os.Environ(), racerDir+"="+at)
		c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
		start, err := c.cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		c.start = start
		if err := c.cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range children {
		children[i].start.Close()
	}
	winners := make(map[string]string) // key to the winner's process
	for i := range children {
		c := &children[i]
		if err := c.cmd.Wait(); err != nil {
			t.Fatalf("%v: %s", err, c.out.String())
		}
		for line := range strings.Lines(c.out.String()) {
			if key, ok := strings.CutPrefix(strings.TrimSpace(line), "won "); ok {
				if winners[key] != "" {
					t.Errorf("%s has two winners", key)
				}
				winners[key] = fmt.Sprint(c.cmd.Process.Pid)
			}
		}
	}
	if len(winners) != prizes {
		t.Errorf("%d keys have a winner, want %d", len(winners), prizes)
	}
	d := openDir(t, at)
	for key, pid := range winners {
		r, err := d.Get(t.Context(), arbalest.Key(key), 0, blob.Whole)
		if err != nil {
			t.Error(err)
			continue
		}
		if body, err := io.ReadAll(r); err != nil || strings.ReplaceAll(string(body), pid+";", "") != "" {
			t.Errorf("%s: %.40q, %v; want the bytes of %s", key, body, err, pid)
		}
		r.Close()
	}
}

// race creates all prizes as one process, with two goroutines, and deletes an
// object of its own in their folders meanwhile.
func race(t *testing.T, at string) {
	d := openDir(t, at)
	pid := fmt.Sprint(os.Getpid())
	body := strings.Repeat(pid+";", 1000)
	_, _ = io.Copy(io.Discard, os.Stdin) // until all are started
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			for i := range prizes {
				key := arbalest.Key(fmt.Sprintf("race/%d/prize%d", i/3, i))
				switch err := d.Create(t.Context(), key, strings.NewReader(body)); {
				case err == nil:
					fmt.Printf("won %s\n", key)
				case !errors.Is(err, arbalest.ErrExists):
					t.Error(err)
				}
				own := arbalest.Key(fmt.Sprintf("race/%d/%s", i/3+1, pid))
				if err := d.Put(t.Context(), own, strings.NewReader("")); err != nil {
					t.Error(err)
				}
				if err := d.Delete(t.Context(), own); err != nil {
					t.Error(err)
				}
			}
		})
	}
	both.Wait()
}
